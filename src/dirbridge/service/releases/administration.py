"""What an administrator does with releases: publish them, see them, say who is to have which.

Graph has no words for these, so they lie under /beta/dirbridge, in Graph's conventions.
"""

from __future__ import annotations

import re
from typing import Annotated, Any
from uuid import UUID

import msgspec
from fastapi import APIRouter, Depends, HTTPException, Request, Response
from fastapi.responses import JSONResponse

from dirbridge.contract import release as releases
from dirbridge.release import verification
from dirbridge.service.auth.access import Caller, require
from dirbridge.service.auth.permissions import HYBRID, OBSERVERS
from dirbridge.service.graph import context
from dirbridge.service.graph.errors import bad_request, not_found
from dirbridge.service.graph.responses import moment
from dirbridge.service.relay.door import TheDoor
from dirbridge.service.releases import publication
from dirbridge.store import releases as stored
from dirbridge.store.releases import ReleaseRow

READ = require("Synchronization.Read.All", "Synchronization.ReadWrite.All", roles=OBSERVERS)
WRITE = require("Synchronization.ReadWrite.All", roles=HYBRID)

_SHA256 = re.compile(r"[0-9a-f]{64}", re.ASCII)

router = APIRouter(prefix="/beta/dirbridge/releases", tags=["releases"])


class SignedFiles(msgspec.Struct, forbid_unknown_fields=True):
    """The signed files of a repository.

    Attributes:
        files: their text by name: every root, and one of each other role.
        anew: they need not continue those that are there.
    """

    files: dict[str, str]
    anew: bool = False


class Choice(msgspec.Struct, rename="camel", forbid_unknown_fields=True):
    """Which version agents are to have.

    Attributes:
        version: null for the newest.
        agent_id: this agent only; all that have none of their own where it is left out.
    """

    version: str | None
    agent_id: UUID | None = None


@router.get("", dependencies=[Depends(READ)])
async def list_releases(door: TheDoor) -> JSONResponse:
    """List the releases that agents are offered, the newest version first."""
    async with door.database.connection() as conn:
        rows = await stored.list_all(conn, door.tenant)
    rows.sort(key=lambda row: (releases.order(row.version), row.name), reverse=True)
    return JSONResponse({"value": [_shown(row) for row in rows]})


@router.get("/repository", dependencies=[Depends(READ)])
async def show_repository(door: TheDoor) -> JSONResponse:
    """Show which versions of the signed files are handed out, until when they count, and which archives are here."""
    async with door.database.connection() as conn:
        files = await stored.files(conn, door.tenant)
        archives = await stored.archives(conn, door.tenant)
    roles: list[dict[str, Any]] = []
    if files:
        listing = verification.verify(files, door.now(), expired=True)
        roles = [
            {"role": role, "version": version, "expirationDateTime": moment(listing.expires[role])}
            for role, version in listing.versions.items()
        ]
    return JSONResponse({"roles": roles, "archives": sorted(archives)})


@router.put("/archives/{sha256}")
async def put_archive(
    door: TheDoor, _caller: Annotated[Caller, Depends(WRITE)], request: Request, sha256: str
) -> Response:
    """Store an archive; agents are offered it once a signed list names it."""
    if not _SHA256.fullmatch(sha256):
        raise bad_request(f"'{sha256[:80]}' is not a SHA-256 in lower-case hexadecimal.")
    try:
        await publication.take_archive(door, sha256, request.stream())
    except publication.TooLarge as error:
        raise HTTPException(413, f"The archive is larger than the {releases.MAX_ARCHIVE:,} bytes taken.") from error
    return Response(status_code=204)


@router.post("/repository")
async def publish(door: TheDoor, caller: Annotated[Caller, Depends(WRITE)], request: Request) -> Response:
    """Hand out signed files from now on, where agents would take them."""
    given = await context.exact_body(request, SignedFiles)
    files = {name: text.encode() for name, text in given.files.items()}
    await publication.publish(door, files, caller, anew=given.anew)
    return Response(status_code=204)


@router.post("/choose")
async def choose(door: TheDoor, caller: Annotated[Caller, Depends(WRITE)], request: Request) -> Response:
    """Say which version agents are to have."""
    choice = await context.exact_body(request, Choice)
    if not await publication.want(door, choice.version, choice.agent_id, caller):
        raise not_found("agent", choice.agent_id)
    return Response(status_code=204)


def _shown(row: ReleaseRow) -> dict[str, Any]:
    return {
        "name": row.name,
        "version": row.version,
        "python": row.python,
        "platform": row.platform,
        "channel": row.channel,
        "requires": row.requires,
        "sha256": row.sha256,
        "size": row.length,
        "publishedDateTime": moment(row.published_at),
        "agents": row.agents,
    }
