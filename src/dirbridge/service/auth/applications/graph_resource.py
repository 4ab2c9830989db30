"""Microsoft Graph as an application that every tenant knows: the ids under which its permissions are granted.

Scripts look a permission up by name among the `appRoles` (granted to applications) and `oauth2PermissionScopes`
(granted for people) of this application, and grant it by id; others write the published ids down. So these are those.

Source: Microsoft Graph permissions reference, the identifier of each permission. Three of ours have none there.
"""

from __future__ import annotations

from functools import cache
from uuid import UUID, uuid5

from dirbridge.service.auth.permissions import PERMISSIONS

APP_ID = UUID("00000003-0000-0000-c000-000000000000")

_PUBLISHED: dict[str, tuple[str | None, str | None]] = {
    "Application.Read.All": ("9a5d68dd-52b0-4cc2-bd40-abcf44ac3a30", "c79f8feb-a9db-4090-85f9-90d820caa0eb"),
    "Application.ReadWrite.All": ("1bfefb4e-e0b5-418b-a88f-73c46d2cc8e9", "bdfbf15f-ee85-4955-8675-146e8e5296b5"),
    "Application.ReadWrite.OwnedBy": ("18a4783c-866b-4cc7-a460-3d5e5662c884", None),
    "AppRoleAssignment.ReadWrite.All": ("06b708a9-e830-4db3-a914-8e69da51d44f", "84bccea3-f856-4a8a-967b-dbe0a3d53a64"),
    "AuditLog.Read.All": ("b0afded3-3588-46d8-8b3d-9842eff778da", "e4c9e354-4dc5-45b8-9e7c-e1393b0b1a20"),
    "Directory.Read.All": ("7ab1d382-f21e-4acd-a863-ba3e13f7da61", "06da0dbc-49e2-44d2-8312-53f166ab848a"),
    "Directory.ReadWrite.All": ("19dbc75e-c2e2-444c-a770-ec69d8559fc7", "c5366453-9fb0-48a5-a156-24f0c49a4b84"),
    "Domain.Read.All": ("dbb9058a-0e50-45d7-ae91-66909b5d4664", "2f9ee017-59c1-4f1d-9472-bd5529a7b311"),
    "Domain.ReadWrite.All": ("7e05723c-0bb0-42da-be95-ae9f08a6e53c", "0b5d694c-a244-4bde-86e6-eb5cd07730fe"),
    "Group-OnPremisesSyncBehavior.ReadWrite.All": (
        "2d9bd318-b883-40be-9df7-63ec4fcdc424",
        "37e00479-5776-4659-aecf-4841ec5d590a",
    ),
    "Group.Create": ("bf7b1a76-6e77-406b-b258-bf5c7720e98f", None),
    "Group.Read.All": ("5b567255-7703-4780-807c-7be8301ae99b", "5f8c59db-677d-491f-a6b8-5f174b11ec1d"),
    "Group.ReadWrite.All": ("62a82d76-70ea-41e2-9197-370581804d09", "4e46008b-f24c-477d-8fff-7bb4ec7aafe0"),
    "GroupMember.Read.All": ("98830695-27a2-44f7-8c18-0c3ebc9698f6", "bc024368-1153-4739-b217-4326f2e966d0"),
    "GroupMember.ReadWrite.All": ("dbaae8cf-10b5-4b86-a4a1-f871c94c6695", "f81125ac-d3b7-4573-a3b2-7099cc39df9e"),
    "OnPremDirectorySynchronization.Read.All": (
        "bb70e231-92dc-4729-aff5-697b3f04be95",
        "f6609722-4100-44eb-b747-e6ca0536989d",
    ),
    "OnPremDirectorySynchronization.ReadWrite.All": (
        "c22a92cc-79bf-4bb1-8b6c-e0a05d3d80ce",
        "c2d95988-7604-4ba1-aaed-38a5f82a51c7",
    ),
    "OnPremisesPublishingProfiles.ReadWrite.All": (
        "0b57845e-aa49-4e6f-8109-ce654fffa618",
        "8c4d5184-71c2-4bf8-bb9d-bc3378c9ad42",
    ),
    "OrgContact.Read.All": ("e1a88a34-94c4-4418-be12-c87b00e26bea", "08432d1b-5911-483c-86df-7980af5cdee0"),
    "Organization.Read.All": ("498476ce-e0fe-48b0-b801-37ba7e2685c6", "4908d5b9-3fb2-4b1e-9336-1888b7937185"),
    "Organization.ReadWrite.All": ("292d869f-3427-49a8-9dab-8c70152b74e9", "46ca0847-7e6b-426e-9775-ea810a948356"),
    "ProvisioningLog.Read.All": ("091937d3-3e38-47a1-8649-b2f99d3035f1", "95aec97b-cf27-4a8d-a67d-42f60b5b38ef"),
    "RoleManagement.Read.Directory": ("483bed4a-2ad3-4361-a73b-c83ccdbdc53c", "741c54c3-0c1e-44a1-818b-3f97ab4e8c83"),
    "RoleManagement.ReadWrite.Directory": (
        "9e3f62cf-ca93-4989-b6ce-bf83c28f9fe8",
        "d01b97e9-cbc0-49fe-810a-750afd5527a3",
    ),
    "Synchronization.Read.All": ("5ba43d2f-fa88-4db2-bd1c-a67c5f0fb1ce", "7aa02aeb-824f-4fbe-a3f7-611f751f5b55"),
    "Synchronization.ReadWrite.All": ("9b50c33d-700f-43b1-b2eb-87e89b703581", "7bb27fa3-ea8f-4d67-a916-87715b6188bd"),
    "SynchronizationData-User.Upload": ("db31e92a-b9ea-4d87-bf6a-75a37a9ca35a", "1a2e7420-4e92-4d2b-94cb-fb2952e9ddf7"),
    "SynchronizationData-User.Upload.OwnedBy": ("25c32ff3-849a-494b-b94f-20a8ac4e6774", None),
    "User-OnPremisesSyncBehavior.ReadWrite.All": (
        "a94a502d-0281-4d15-8cd2-682ac9362c4c",
        "7ff9afdd-0cdb-439d-a61c-fea3e9339e89",
    ),
    "User.DeleteRestore.All": ("eccc023d-eccf-4e7b-9683-8813ab36cecc", "4bb440cd-2cf2-4f90-8004-aa2acd2537c5"),
    "User.Read": (None, "e1fe6dd8-ba31-4d61-89e7-88639da4683d"),
    "User.Read.All": ("df021288-bdef-4463-88db-98f22de89214", "a154be20-db9c-4678-8ab7-66f6cc099a59"),
    "User.ReadBasic.All": ("97235f07-e226-4f63-ace3-39588e11d3a1", "b340eb25-3456-403f-be2f-af7a0d370277"),
    "User.ReadWrite.All": ("741f803b-c850-494e-b5df-cde7c675a1ca", "204e0828-b5ca-4ad8-b9f3-f32a958e7cc4"),
    "email": (None, "64a6cdd6-aab1-4aaf-94b8-3cc8405e90d0"),
    "offline_access": (None, "7427e0e9-2fba-42fe-b0c0-848c9e6a8182"),
    "openid": (None, "37f7f235-527c-4136-accd-4a02d197296e"),
    "profile": (None, "14dad69e-099b-42c9-810b-d002981feec1"),
}
"""By name: the id of the application permission, and of the delegated one."""

_OURS = UUID("d1b81d9e-0000-4000-8000-000000000000")
"""What ids are made from where none is published."""


@cache
def app_roles() -> dict[UUID, str]:
    """Give the names of application permissions by id."""
    return {_id(name, 0): name for name, each in PERMISSIONS.items() if each.application}


@cache
def scopes() -> dict[UUID, str]:
    """Give the names of delegated permissions by id."""
    return {_id(name, 1): name for name, each in PERMISSIONS.items() if each.delegated}


@cache
def app_role_ids() -> dict[str, UUID]:
    """Give the ids of application permissions by name."""
    return {name: id for id, name in app_roles().items()}


@cache
def scope_ids() -> dict[str, UUID]:
    """Give the ids of delegated permissions by name."""
    return {name: id for id, name in scopes().items()}


def _id(name: str, which: int) -> UUID:
    published = _PUBLISHED.get(name, (None, None))[which]
    return UUID(published) if published else uuid5(_OURS, f"{which}:{name}")
