"""Handing releases to agents, without a token: everything is signed, and nothing of it is secret.

Any replica answers, from the database. A slow reader holds no connection of the pool.
"""

from __future__ import annotations

from collections.abc import AsyncIterator

from fastapi import APIRouter, Response
from fastapi.responses import StreamingResponse

from dirbridge.contract.errors import TransientError
from dirbridge.service.relay.door import PATH, Door, TheDoor
from dirbridge.service.relay.refusals import DoorRoute, Refusal
from dirbridge.store import releases

_STAYS = {"Cache-Control": "public, max-age=86400, immutable"}
_CHANGES = {"Cache-Control": "no-cache"}

router = APIRouter(prefix=f"{PATH}/releases", route_class=DoorRoute, include_in_schema=False)


@router.get("/metadata/{name}")
async def give_file(door: TheDoor, name: str) -> Response:
    """Give a signed file."""
    body = None
    if "\0" not in name:  # which the database does not take
        async with door.database.connection() as conn:
            body = await releases.file(conn, door.tenant, name)
    if body is None:
        raise Refusal(404, "ReleaseFileUnknown", f"There is no signed file '{name[:64]}' of releases.")
    return Response(body, media_type="application/json", headers=_CHANGES if name == "timestamp.json" else _STAYS)


@router.get("/targets/{path}")
async def give_archive(door: TheDoor, path: str) -> Response:
    """Give an archive that is in the signed list, by hash and name."""
    sha256, _, name = path.partition(".")
    length = None
    if "\0" not in path:
        async with door.database.connection() as conn:
            length = await releases.offered(conn, door.tenant, name, sha256)
    if length is None:
        raise Refusal(404, "ReleaseFileUnknown", f"There is no archive '{path[:128]}' among the releases.")
    return StreamingResponse(
        _pieces(door, sha256, length),
        media_type="application/gzip",
        headers={"Content-Length": str(length), **_STAYS},
    )


async def _pieces(door: Door, sha256: str, length: int) -> AsyncIterator[bytes]:
    for number in range(-(-length // releases.PIECE)):
        async with door.database.connection() as conn:
            piece = await releases.piece(conn, door.tenant, sha256, number)
        if piece is None:  # too late for an answer: the connection is cut, and the agent asks again
            raise TransientError(
                f"The archive {sha256} was withdrawn while it was handed out.", code="ArchiveWithdrawn"
            )
        yield piece
