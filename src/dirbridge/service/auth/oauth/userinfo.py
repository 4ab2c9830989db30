"""Who signed in, told to an application that presents its access token.

Source: OpenID Connect Core 1.0 section 5.3.
"""

from __future__ import annotations

from fastapi import APIRouter, HTTPException, Request
from starlette.responses import JSONResponse, Response

from dirbridge.service.auth import access
from dirbridge.service.auth.oauth import id_tokens
from dirbridge.service.auth.oauth.delegated_scopes import OPENID
from dirbridge.service.auth.oauth.refusals import NO_STORE
from dirbridge.store import people

router = APIRouter(tags=["OAuth 2"])


@router.get("/oidc/userinfo")
@router.post("/oidc/userinfo")
async def userinfo(request: Request) -> Response:
    """Give the claims that the token's scopes stand for."""
    caller = await access.caller(request)
    if caller.person is None or OPENID not in caller.person.scopes:
        raise HTTPException(
            403,
            f"The token is not of somebody who signed in with the scope '{OPENID}'.",
            headers={"WWW-Authenticate": f'Bearer error="insufficient_scope", scope="{OPENID}"'},
        )
    async with request.app.state.database.connection() as conn:
        found = await people.get(conn, caller.tenant, caller.person.id)
    if found is None:  # removed since the token was looked at
        raise HTTPException(401, "The account was removed.")
    return JSONResponse(id_tokens.described(found, caller.person.scopes), headers=NO_STORE)
