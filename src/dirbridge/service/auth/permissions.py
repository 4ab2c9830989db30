"""What may be granted, and to whom: permissions by Graph's names, directory roles, and which roles an act asks for.

An application acts with the application permissions that it was granted. A person acts through an application: that
application's delegated permissions bound what it may do for anybody, the person's roles what anybody may do for them.
Source: Graph permissions reference; Microsoft Entra built-in roles, whose template ids are the same everywhere.
"""

from __future__ import annotations

from dataclasses import dataclass
from uuid import UUID

GLOBAL_ADMINISTRATOR = "Global Administrator"

ROLES: dict[str, UUID] = {
    GLOBAL_ADMINISTRATOR: UUID("62e90394-69f5-4237-9190-012177145e10"),
    "Application Administrator": UUID("9b895d92-2cd3-44c7-9d02-a6ac2d5ea5c3"),
    "Cloud Application Administrator": UUID("158c047a-c907-4556-b7ef-446551a6b5f7"),
    "Global Reader": UUID("f2ef992c-3afb-46b9-b7cf-a126ee74c451"),
    "Groups Administrator": UUID("fdd7a751-b60b-444a-984c-02652fe8fa1c"),
    "Hybrid Identity Administrator": UUID("8ac3fc64-6eca-42ea-9e69-59f4c7b60eb2"),
    "Reports Reader": UUID("4a5d8f65-41da-4de4-8968-e035b65339cf"),
    "Security Administrator": UUID("194ae4cb-b126-40b2-bd5b-6091b380977d"),
    "Security Operator": UUID("5f2222b1-57c3-48ba-8ad5-d4759f1fde6f"),
    "Security Reader": UUID("5d6b6bb7-de71-4623-b4af-96380a352509"),
    "User Administrator": UUID("fe930be7-5e62-47db-91af-98c3a49a38b1"),
}
"""Directory roles of administrators, with the template ids that tokens carry as `wids`."""

Roles = frozenset[str]

GLOBAL: Roles = frozenset({GLOBAL_ADMINISTRATOR})
"""The role that may do everything that its application may."""
ANYONE: Roles = frozenset(ROLES)
"""Every administrator: what any member of a tenant may read."""
SYNCHRONIZERS = GLOBAL | {
    "Hybrid Identity Administrator", "Application Administrator", "Cloud Application Administrator",
}  # fmt: skip
"""Who steers synchronization jobs."""
OBSERVERS = SYNCHRONIZERS | {"Global Reader"}
"""Who may look at synchronization jobs."""
APPLICATION_WRITERS = GLOBAL | {"Application Administrator", "Cloud Application Administrator"}
"""Who registers applications and makes credentials for them."""
HYBRID = GLOBAL | {"Hybrid Identity Administrator"}
"""Who looks after agents, domains and the tenant's synchronization settings."""
USER_WRITERS = GLOBAL | {"User Administrator"}
"""Who changes users."""
GROUP_WRITERS = GLOBAL | {"User Administrator", "Groups Administrator"}
"""Who changes groups and their members."""
LOG_READERS = OBSERVERS | {"Reports Reader", "Security Reader", "Security Administrator", "Security Operator"}
"""Who reads the provisioning log and the audit trail."""


@dataclass(frozen=True, slots=True)
class Permission:
    """A permission that can be granted.

    Attributes:
        application: to an application that acts for itself.
        delegated: to an application that acts for a person.
    """

    application: bool = True
    delegated: bool = True


_BOTH = Permission()
_DELEGATED = Permission(application=False)
_APPLICATION = Permission(delegated=False)

PERMISSIONS: dict[str, Permission] = {
    "Application.Read.All": _BOTH,
    "Application.ReadWrite.All": _BOTH,
    "Application.ReadWrite.OwnedBy": _APPLICATION,
    "AppRoleAssignment.ReadWrite.All": _BOTH,
    "AuditLog.Read.All": _BOTH,
    "Directory.Read.All": _BOTH,
    "Directory.ReadWrite.All": _BOTH,
    "Domain.Read.All": _BOTH,
    "Domain.ReadWrite.All": _BOTH,
    "Group.Create": _APPLICATION,
    "Group.Read.All": _BOTH,
    "Group.ReadBasic.All": _BOTH,
    "Group.ReadWrite.All": _BOTH,
    "Group-OnPremisesSyncBehavior.ReadWrite.All": _BOTH,
    "GroupMember.Read.All": _BOTH,
    "GroupMember.ReadWrite.All": _BOTH,
    "OnPremDirectorySynchronization.Read.All": _BOTH,
    "OnPremDirectorySynchronization.ReadWrite.All": _BOTH,
    "OnPremisesPublishingProfiles.ReadWrite.All": _BOTH,
    "OrgContact.Read.All": _BOTH,
    "Organization.Read.All": _BOTH,
    "Organization.ReadWrite.All": _BOTH,
    "Policy.Read.HybridAuthentication": _BOTH,
    "Policy.ReadWrite.HybridAuthentication": _BOTH,
    "ProvisioningLog.Read.All": _BOTH,
    "RoleManagement.Read.Directory": _BOTH,
    "RoleManagement.ReadWrite.Directory": _BOTH,
    "Synchronization.Read.All": _BOTH,
    "Synchronization.ReadWrite.All": _BOTH,
    "SynchronizationData-User.Upload": _BOTH,
    "SynchronizationData-User.Upload.OwnedBy": _APPLICATION,
    "User.DeleteRestore.All": _BOTH,
    "User.Read": _DELEGATED,
    "User.Read.All": _BOTH,
    "User.ReadBasic.All": _BOTH,
    "User.ReadWrite.All": _BOTH,
    "User-OnPremisesSyncBehavior.ReadWrite.All": _BOTH,
    "email": _DELEGATED,
    "offline_access": _DELEGATED,
    "openid": _DELEGATED,
    "profile": _DELEGATED,
}
"""Every permission that this service knows, by Graph's names."""


BEYOND_APPLICATIONS: frozenset[str] = frozenset({
    "AppRoleAssignment.ReadWrite.All",
    "Directory.ReadWrite.All",
    "Domain.ReadWrite.All",
    "Group-OnPremisesSyncBehavior.ReadWrite.All",
    "Group.Create",
    "Group.ReadWrite.All",
    "GroupMember.ReadWrite.All",
    "OnPremDirectorySynchronization.ReadWrite.All",
    "OnPremisesPublishingProfiles.ReadWrite.All",
    "Organization.ReadWrite.All",
    "Policy.ReadWrite.HybridAuthentication",
    "RoleManagement.ReadWrite.Directory",
    "User-OnPremisesSyncBehavior.ReadWrite.All",
    "User.DeleteRestore.All",
    "User.ReadWrite.All",
})  # fmt: skip
"""Permissions that let an application do what those who register applications may not do themselves.

Only a Global Administrator grants them, and only a Global Administrator makes credentials for an application that holds
one: whoever knows a credential of an application may do what the application may.
"""

BEYOND_FOR_PEOPLE: frozenset[str] = BEYOND_APPLICATIONS | {"Application.ReadWrite.All"}
"""Permissions by which an application that acts for a Global Administrator does what no other administrator may.

Application.ReadWrite.All is among them, as a Global Administrator makes credentials for every application.
"""
