"""Who looks at a page of the portal: whoever is signed in; all others are sent to sign in first, and come back then."""

from __future__ import annotations

import logging
from collections.abc import Callable, Coroutine
from typing import Annotated, Any
from urllib.parse import urlencode

from fastapi import Depends, Request
from fastapi.routing import APIRoute
from starlette.responses import Response

from dirbridge.contract.errors import DirbridgeError, TransientError
from dirbridge.service.auth.sign_in import browser
from dirbridge.service.auth.sign_in.browser import PageRefusal, SignedIn
from dirbridge.service.portal import live, rendering
from dirbridge.service.portal.api import ApiRefusal

logger = logging.getLogger(__name__)


class _SignInNeeded(Exception):
    """Nobody is signed in."""


async def _viewer(request: Request) -> SignedIn:
    who = await browser.signed_in(request, seen=not live.is_stream(request))
    if who is None:
        raise _SignInNeeded
    request.state.viewer = who
    return who


Viewer = Annotated[SignedIn, Depends(_viewer)]
"""Who is signed in."""


class PortalRoute(APIRoute):
    """A route to a page of the portal: what goes wrong is told on a page of its own, in the same frame."""

    def get_route_handler(self) -> Callable[[Request], Coroutine[Any, Any, Response]]:
        """Give what answers a request."""
        answer = APIRoute.get_route_handler(self)

        async def handle(request: Request) -> Response:
            try:
                return await answer(request)
            except _SignInNeeded:
                return _send_to_sign_in(request)
            except (ApiRefusal, PageRefusal) as refusal:
                return _refused(request, refusal)
            except DirbridgeError as error:
                logger.warning("A page was refused: %s", error, extra={"event": "page_refused", "code": error.code})
                status = 503 if isinstance(error, TransientError) else 400
                return _refused(request, PageRefusal(status, error.code, str(error)))

        return handle


def _refused(request: Request, refusal: ApiRefusal | PageRefusal) -> Response:
    """Say why: on a page of its own, or above the page that a script asked from."""
    who: SignedIn | None = getattr(request.state, "viewer", None)
    if who is None:
        return browser.refused(request, PageRefusal(refusal.status, refusal.code, str(refusal)))
    if rendering.is_piece(request):
        return rendering.told(f"{refusal} ({refusal.code})", refusal.status)
    return rendering.page(request, who, "refused.html", status=refusal.status, code=refusal.code, message=str(refusal))


def _send_to_sign_in(request: Request) -> Response:
    """A whole page is redirected; a piece of one tells htmx to leave the page that it is on."""
    if request.headers.get("HX-Request"):
        here = request.headers.get("HX-Current-URL", "").removeprefix(f"{request.url.scheme}://{request.url.netloc}")
        asked = urlencode({"continue": here})
        return Response(status_code=401, headers={"HX-Redirect": f"{browser.SIGN_IN}?{asked}"})
    path = request.url.path + (f"?{request.url.query}" if request.url.query else "")
    return browser.ask(request, path)
