"""What the document says of each route beyond what the route says itself, by area.

A route without an entry, and an entry without a route, fail a test that names them. Where a function answers several
paths, an entry whose key ends with the path's last segment comes before the one without.
"""

from __future__ import annotations

from dirbridge.service.openapi.operations import Area, Entry
from dirbridge.service.openapi.tables import (
    agents,
    applications,
    directory,
    extensions,
    identity,
    synchronization,
    tenant,
)

OAUTH = Area("OAuth 2", "Tokens, and what clients ask before they get one.", identity.OAUTH)

AREAS = (
    Area("Users", "Users of the tenant directory.", directory.USERS),
    Area("Groups", "Groups, their members, and objects of any kind.", directory.GROUPS),
    Area("Contacts", "Organizational contacts; they can only be read.", directory.CONTACTS),
    Area("Deleted items", "The recycle bin.", directory.DELETED),
    Area("Tenant", "The tenant, its domains, and its settings for directories on premises.", tenant.TENANT),
    Area(
        "Applications", "Applications, their credentials and permissions, and the gallery.", applications.APPLICATIONS
    ),
    Area("Synchronization", "Jobs, templates, schema documents and secrets.", synchronization.SYNCHRONIZATION),
    Area("Logs", "The provisioning log and the audit trail.", tenant.LOGS),
    Area("Agents", "Agents, their groups, and the domains that they serve.", agents.AGENTS),
    Area("Batch", "Several requests in one.", tenant.BATCH),
    Area("dirbridge", "What Graph has no word for.", extensions.EXTENSIONS),
    OAUTH,
    Area("Health", "Whether the service is alive, and ready.", identity.HEALTH),
)


def find(key: str) -> tuple[Area, Entry] | None:
    """Give the entry of a route; None where there is none."""
    return next(((area, area.table[key]) for area in AREAS if key in area.table), None)
