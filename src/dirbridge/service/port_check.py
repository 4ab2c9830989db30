"""A page that shows that this port is reached, for a browser on the host of an agent.

Whoever sees it knows that name, port, firewall and proxy let HTTPS through to this service, and how the service sees
them. It asks for no token and tells nothing that a connection does not tell already. `dirbridge agent check` tests the
same from the agent's side, with the agent's own trust and proxy.
"""

from __future__ import annotations

from datetime import UTC, datetime
from urllib.parse import urlsplit

from fastapi import APIRouter, Request
from fastapi.responses import JSONResponse
from starlette.responses import Response

from dirbridge.service.auth import rendering
from dirbridge.service.relay.administration import TheDoor

PATH = "/port-check"

router = APIRouter(include_in_schema=False)


@router.get(PATH)
async def check(request: Request, door: TheDoor) -> Response:
    """Say that this is dirbridge, by which address it was reached, from where, and what time it is here."""
    expected = urlsplit(request.app.state.base_url)
    now = door.now().astimezone(UTC)
    found = {
        "service": "dirbridge",
        "reachedAs": f"{request.url.scheme}://{request.url.netloc}",
        "agentsUse": f"{expected.scheme}://{expected.netloc}",
        "yourAddress": request.client.host if request.client else None,
        "proxy": request.headers.get("via"),
        "time": now.strftime("%Y-%m-%dT%H:%M:%SZ"),
        "caFingerprint": door.authority.fingerprint,
    }
    if "text/html" not in request.headers.get("accept", ""):
        return JSONResponse(found, headers={"Cache-Control": "no-store"})
    return rendering.render(
        request, "port-check.html", {"found": found, "now": _spelled(now), "pairs": _pairs}, status=200, targets=()
    )


def _spelled(at: datetime) -> str:
    return f"{at:%Y-%m-%d %H:%M:%S} UTC"


def _pairs(fingerprint: str) -> str:
    """Write a fingerprint as browsers do."""
    return ":".join(fingerprint[at : at + 2] for at in range(0, len(fingerprint), 2)).upper()
