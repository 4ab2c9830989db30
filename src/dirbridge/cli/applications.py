"""Applications as the command line names them: by name, client id or object id; and all that is known of one."""

from __future__ import annotations

from typing import Any
from uuid import UUID

from dirbridge.cli.client import Client
from dirbridge.contract.errors import ConfigurationError

Found = dict[str, Any]
"""A Graph servicePrincipal."""

GRAPH = "00000003-0000-0000-c000-000000000000"


def find(client: Client, name: str) -> Found:
    """Give the service principal that a name means.

    Raises:
        ConfigurationError: none has it, or several do.
    """
    asked = f"displayName eq '{_quoted(name)}'"
    if _is_guid(name):
        asked = f"appId eq '{name}' or id eq '{name}'"
    found = list(client.pages("/servicePrincipals", filter=asked))
    if len(found) == 1:
        return found[0]
    if found:
        raise ConfigurationError(
            f"Several applications are called '{name}': {', '.join(each['appId'] for each in found)}.",
            code="ApplicationAmbiguous",
            recommended_action="Give the client id of the one that is meant.",
        )
    raise ConfigurationError(
        f"No application has the name or id '{name}'.",
        code="ApplicationNotFound",
        recommended_action="`dirbridge admin app list` shows those that there are.",
    )


def graph(client: Client) -> Found:
    """Give Microsoft Graph's own service principal, which lists all permissions."""
    return find(client, GRAPH)


def role(resource: Found, permission: str) -> str:
    """Give the id of an application permission.

    Raises:
        ConfigurationError: there is none of this name.
    """
    return _id(resource["appRoles"], permission, "applications")


def scope(resource: Found, permission: str) -> str:
    """Give the id of a delegated permission.

    Raises:
        ConfigurationError: there is none of this name.
    """
    return _id(resource["oauth2PermissionScopes"], permission, "people")


def assignments(client: Client, application: Found) -> dict[str, str]:
    """Give the permissions that an application was granted: the id of each assignment by the permission's name."""
    names = {each["id"]: each["value"] for each in graph(client)["appRoles"]}
    held = client.get(f"/servicePrincipals/{application['id']}/appRoleAssignments")["value"]
    return {names[each["appRoleId"]]: each["id"] for each in held}


def needed(client: Client, application: Found) -> list[dict[str, str]]:
    """Give what an application says that it needs, as Graph's resourceAccess."""
    shown = client.get(f"/applications/{application['appId']}")
    return [one for each in shown["requiredResourceAccess"] for one in each["resourceAccess"]]


def describe(client: Client, application: Found) -> dict[str, Any]:
    """Give all that is known of an application."""
    registered = client.get(f"/applications/{application['appId']}") if application["appId"] != GRAPH else {}
    scopes = {each["id"]: each["value"] for each in graph(client)["oauth2PermissionScopes"]}
    wanted = [one for each in registered.get("requiredResourceAccess", []) for one in each["resourceAccess"]]
    return {
        "displayName": application["displayName"],
        "appId": application["appId"],
        "id": application["id"],
        "accountEnabled": application["accountEnabled"],
        "createdDateTime": application["createdDateTime"],
        "isPublicClient": bool(registered.get("isFallbackPublicClient")),
        "redirectUris": application["replyUrls"],
        "permissions": sorted(assignments(client, application)),
        "delegatedPermissions": [scopes[each["id"]] for each in wanted if each["type"] == "Scope"],
        "secrets": [_kept(each, "hint") for each in application["passwordCredentials"]],
        "certificates": [_kept(each, "customKeyIdentifier") for each in application["keyCredentials"]],
        "owners": client.get(f"/servicePrincipals/{application['id']}/owners")["value"],
    }


def _kept(credential: dict[str, Any], mark: str) -> dict[str, Any]:
    return {name: credential[name] for name in ("keyId", "displayName", "endDateTime", mark)}


def _id(permissions: list[dict[str, Any]], name: str, whom: str) -> str:
    for each in permissions:
        if each["value"].lower() == name.lower():
            return str(each["id"])
    raise ConfigurationError(
        f"There is no permission '{name}' for {whom}.",
        code="UnknownPermission",
        recommended_action="`dirbridge admin app permissions` shows those that there are.",
    )


def _quoted(name: str) -> str:
    return name.replace("'", "''")


def _is_guid(name: str) -> bool:
    try:
        return len(name) == 36 and bool(UUID(name))
    except ValueError:
        return False
