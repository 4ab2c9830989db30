"""The grant by which an application acts for itself.

Source: Microsoft identity platform, OAuth 2.0 client credentials flow; RFC 6749 section 4.4.
"""

from __future__ import annotations

from collections.abc import Mapping

from dirbridge.service.auth.oauth import clients
from dirbridge.service.auth.oauth.clients import Client
from dirbridge.service.auth.oauth.refusals import TokenError
from dirbridge.service.auth.oauth.token_requests import TokenRequest
from dirbridge.service.auth.tokens import LIFETIME


async def answer(asked: TokenRequest, client: Client) -> Mapping[str, object]:
    """Give the application a token with the permissions that it was granted.

    Raises:
        TokenError: the scope is for something else.
    """
    _check_scope(asked, asked.needed("scope"))
    async with asked.database.transaction() as conn:
        principal = await clients.hold(conn, asked, client)
        issued = asked.tokens.issue_app(
            app_id=principal.app_id,
            object_id=principal.id,
            roles=principal.app_roles,
            authenticated_by="certificate" if client.authenticated_by == "certificate" else "secret",
        )
    lifetime = int(LIFETIME.total_seconds())
    return {"token_type": "Bearer", "expires_in": lifetime, "ext_expires_in": lifetime, "access_token": issued}


def _check_scope(asked: TokenRequest, scope: str) -> None:
    """Accept every name that stock clients have for this API, followed by /.default."""
    names = [each.rpartition("/") for each in scope.split()]
    if any(name != ".default" for _, _, name in names):
        raise TokenError(
            1002012,
            "invalid_scope",
            f"The provided value for scope {scope[:200]} is not valid. Client credential flows must have a scope value "
            "with /.default suffixed to the resource identifier (application ID URI).",
        )
    for resource, _, _ in names:
        if not asked.means_us(resource.rstrip("/")):
            raise TokenError(
                500011,
                "invalid_resource",
                f"The resource principal named {resource[:200]} was not found in the tenant {asked.tokens.tenant}.",
            )
