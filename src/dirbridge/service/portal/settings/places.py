"""Where the settings are."""

from __future__ import annotations

PATH = "/portal/settings"
ADMINISTRATORS = f"{PATH}/administrators"
APPLICATIONS = f"{PATH}/applications"
NOTIFICATIONS = f"{PATH}/notifications"
RETENTION = f"{PATH}/retention"
TENANT = f"{PATH}/tenant"

PAGES = (
    (
        ADMINISTRATORS,
        "Administrators",
        "Who signs in here, with which roles; their passwords, second factors, sessions.",
    ),
    (APPLICATIONS, "Applications", "What calls the API by itself: its permissions, its secrets and certificates."),
    (NOTIFICATIONS, "Notifications", "What was sent, how it is sent, and a test of it."),
    (RETENTION, "Retention", "For how many days the provisioning log is kept."),
    (TENANT, "Tenant", "Verified domains, the account that configurations write as, the keys that sign tokens."),
)
"""Path, name, and what is there."""

TABS = [(path, name) for path, name, _ in PAGES]
