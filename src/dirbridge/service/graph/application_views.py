"""How an application and its service principal are shown: one row, two resources.

Source: Graph application, servicePrincipal, keyCredential, passwordCredential, appRole, permissionScope.
"""

from __future__ import annotations

import base64
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from functools import cache
from typing import Any
from uuid import UUID

from dirbridge.service import templates
from dirbridge.service.auth.applications import graph_resource
from dirbridge.service.graph.application_bodies import AUDIENCE
from dirbridge.service.graph.responses import moment
from dirbridge.store import application_queries
from dirbridge.store.application_queries import Conn, Secret, ShownCertificate
from dirbridge.store.applications import Application, Certificate


@dataclass(frozen=True, slots=True)
class Credentials:
    """The credentials of some applications."""

    secrets: Sequence[Secret] = ()
    certificates: Sequence[ShownCertificate] = ()

    def shown(self, principal: UUID) -> dict[str, Any]:
        """Show those of one."""
        return {
            "keyCredentials": [key(each) for each in self.certificates if each.service_principal == principal],
            "passwordCredentials": [password(each) for each in self.secrets if each.service_principal == principal],
        }


async def credentials(conn: Conn, tenant: UUID, rows: Sequence[Application]) -> Credentials:
    """Read the credentials of some applications."""
    ids = [row.id for row in rows]
    return Credentials(
        await application_queries.secrets(conn, tenant, ids), await application_queries.certificates(conn, tenant, ids)
    )


def application(row: Application, known: Credentials) -> dict[str, Any]:
    """Show an application; its object id is its client id."""
    web = [each for each in row.redirect_uris if each not in row.public_redirect_uris]
    return {
        "id": str(row.app_id),
        "deletedDateTime": None,
        "appId": str(row.app_id),
        "applicationTemplateId": _text(row.template_id),
        "createdDateTime": moment(row.created_at),
        "description": row.description,
        "displayName": row.display_name,
        "identifierUris": [],
        "isFallbackPublicClient": row.is_public,
        "signInAudience": AUDIENCE,
        "tags": row.tags,
        "api": {"oauth2PermissionScopes": []},
        "appRoles": [],
        "publicClient": {"redirectUris": row.public_redirect_uris},
        "requiredResourceAccess": _required(row),
        "spa": {"redirectUris": []},
        "web": {"redirectUris": web, "homePageUrl": None, "logoutUrl": None},
        **known.shown(row.id),
    }


def principal(row: Application, known: Credentials, tenant: UUID, version: str) -> dict[str, Any]:
    """Show a service principal; Microsoft Graph's own has the permissions that can be granted."""
    is_graph = row.built_in == "graph"
    scopes = "oauth2PermissionScopes" if version == "v1.0" else "publishedPermissionScopes"
    return {
        "id": str(row.id),
        "deletedDateTime": None,
        "accountEnabled": row.is_enabled,
        "alternativeNames": [],
        "appDescription": row.description,
        "appDisplayName": templates.APPLICATIONS.get(row.template_id) if row.template_id else row.display_name,
        "appId": str(row.app_id),
        "applicationTemplateId": _text(row.template_id),
        "appOwnerOrganizationId": str(tenant),
        "appRoleAssignmentRequired": False,
        "appRoles": app_roles() if is_graph else [],
        "createdDateTime": moment(row.created_at),
        "description": row.description,
        "displayName": row.display_name,
        "homepage": None,
        "replyUrls": row.redirect_uris,
        "servicePrincipalNames": [str(row.app_id), *(["https://graph.microsoft.com"] if is_graph else [])],
        "servicePrincipalType": "Application",
        "signInAudience": AUDIENCE,
        "tags": row.tags,
        scopes: permission_scopes() if is_graph else [],
        **known.shown(row.id),
    }


def _required(row: Application) -> list[dict[str, Any]]:
    """Show what an application says that it needs, for itself and for people."""
    roles, scopes = graph_resource.app_role_ids(), graph_resource.scope_ids()
    access = [{"id": str(roles[name]), "type": "Role"} for name in row.required_permissions if name in roles]
    access += [{"id": str(scopes[name]), "type": "Scope"} for name in row.delegated_permissions if name in scopes]
    return [{"resourceAppId": str(graph_resource.APP_ID), "resourceAccess": access}] if access else []


@cache
def properties(kind: str, version: str) -> dict[str, str]:
    """Give the properties of `application` or `servicePrincipal`, by name in lower case."""
    empty = Application(id=UUID(int=0), app_id=UUID(int=0), display_name="", created_at=datetime.fromtimestamp(0, UTC))
    shown = application(empty, Credentials()) if kind == "application" else None
    return {name.lower(): name for name in shown or principal(empty, Credentials(), empty.id, version)}


def key(row: ShownCertificate | Certificate) -> dict[str, Any]:
    """Show a certificate; its bytes are as public as its key."""
    return {
        "customKeyIdentifier": base64.b64encode(row.sha1).decode(),
        "displayName": row.display_name,
        "endDateTime": moment(row.expires_at),
        "key": base64.b64encode(row.certificate).decode(),
        "keyId": str(row.id),
        "startDateTime": moment(row.starts_at),
        "type": "AsymmetricX509Cert",
        "usage": "Verify",
    }


def password(row: Secret) -> dict[str, Any]:
    """Show a client secret, of which nobody knows the text any longer."""
    return {
        "customKeyIdentifier": None,
        "displayName": row.display_name,
        "endDateTime": moment(row.expires_at),
        "hint": row.hint,
        "keyId": str(row.id),
        "secretText": None,
        "startDateTime": moment(row.created_at),
    }


@cache
def app_roles() -> list[dict[str, Any]]:
    """Show the permissions that can be granted to applications."""
    return [
        {
            "allowedMemberTypes": ["Application"],
            "description": f"Lets an application act without a person, with the permission {name}.",
            "displayName": name,
            "id": str(id),
            "isEnabled": True,
            "origin": "Application",
            "value": name,
        }
        for id, name in graph_resource.app_roles().items()
    ]


@cache
def permission_scopes() -> list[dict[str, Any]]:
    """Show the permissions that applications can have for people."""
    return [
        {
            "adminConsentDescription": f"Lets an application act for a person, with the permission {name}.",
            "adminConsentDisplayName": name,
            "id": str(id),
            "isEnabled": True,
            "type": "Admin",
            "userConsentDescription": None,
            "userConsentDisplayName": None,
            "value": name,
        }
        for id, name in graph_resource.scopes().items()
    ]


def _text(id: UUID | None) -> str | None:
    return None if id is None else str(id)
