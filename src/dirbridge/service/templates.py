"""Job templates: what a new job of a kind starts with.

The one place that puts a source's default rule together with the target it writes to.
"""

from __future__ import annotations

from collections.abc import Callable
from datetime import datetime
from uuid import UUID, uuid5

from dirbridge.connectors.ad import schema as active_directory
from dirbridge.connectors.ldap import schema as ldap_directory
from dirbridge.contract.schema import DirectoryDefinition, Rule, Schema
from dirbridge.tenant import schema as tenant_directory

AD_APPLICATION = UUID("1a4721b3-e57f-4451-ae87-ef078703ec94")
"""The gallery application under which cloud sync configurations are made, by Graph's id."""

AD_PROVISIONING = "AD2AADProvisioning"
LDAP_PROVISIONING = "LDAP2AADProvisioning"
"""For OpenLDAP, 389-DS and their kind; Graph has no word for it."""
PASSWORD_HASHES = "AD2AADPasswordHash"  # noqa: S105 - a template's name
"""Graph's template for password hashes, which are not synchronized."""

METADATA = {
    "IsSynchronizationAgentRequired": "true",
    "IsSynchronizationAgentAssignmentRequired": "true",
    "IsSynchronizationInPreview": "false",
}
"""Graph's synchronizationMetadata of every template here: an agent reads."""

APPLICATIONS = {AD_APPLICATION: "Active Directory to tenant directory"}

_TENANT_DIRECTORY = UUID("5f3ab3e2-9b0e-4c0a-8b6f-0f6f8a2f3c11")


DESCRIPTIONS = {
    AD_PROVISIONING: "Brings users, groups and contacts of an Active Directory domain into the tenant directory.",
    LDAP_PROVISIONING: "Brings people and groups of an LDAP directory (OpenLDAP, 389-DS) into the tenant directory.",
}
"""What each template does, by its id."""


def _ad_to_tenant(job: str, now: datetime) -> Schema:
    return _to_tenant(job, now, active_directory.default_rule(), active_directory.directory())


def _ldap_to_tenant(job: str, now: datetime) -> Schema:
    return _to_tenant(job, now, ldap_directory.default_rule(), ldap_directory.directory())


def _to_tenant(job: str, now: datetime, rule: Rule, source: DirectoryDefinition) -> Schema:
    return Schema(
        id=job,
        version=f"Date:{now:%Y-%m-%dT%H:%M:%S.%fZ}",
        synchronization_rules=(rule,),
        directories=(source, tenant_directory.directory(str(uuid5(_TENANT_DIRECTORY, job)))),
    )


TEMPLATES: dict[str, Callable[[str, datetime], Schema]] = {
    AD_PROVISIONING: _ad_to_tenant,
    LDAP_PROVISIONING: _ldap_to_tenant,
}
"""By template id: makes the schema document of a new job."""


def macros(domain: str) -> dict[str, str]:
    """Give what `%DomainFQDN%` and `%DomainNetBios%` stand for in a new job that reads a domain."""
    return {"DomainFQDN": domain, "DomainNetBios": domain.partition(".")[0].upper()}
