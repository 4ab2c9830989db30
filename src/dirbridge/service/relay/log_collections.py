"""Traces, journal and check of an agent, fetched through the service as one zip file.

An administrator wants it, the agent hears so with its next heartbeat and brings it in parts, which wait in the
database: any replica takes them in and hands them out. It holds people's data where a trace was begun with values, so
to fetch one takes the permission to change agents, and is in the audit trail.
"""

from __future__ import annotations

from collections.abc import AsyncIterator
from datetime import datetime
from typing import Annotated, Any
from uuid import UUID, uuid4

from fastapi import APIRouter, Depends, Header, HTTPException, Request, Response
from fastapi.responses import JSONResponse, StreamingResponse
from pydantic import BaseModel, ConfigDict, Field

from dirbridge.contract import wire
from dirbridge.contract.errors import TransientError
from dirbridge.service.auth.access import Caller
from dirbridge.service.relay.administration import READ, WRITE, TheDoor
from dirbridge.service.relay.door import PATH, Door, Known, message, verified_body
from dirbridge.service.relay.refusals import DoorRoute, Refusal
from dirbridge.store import audits, log_collections
from dirbridge.store.database import Connection
from dirbridge.store.log_collections import LogCollection

administration = APIRouter(prefix="/beta/dirbridge/agents/{agent}/logCollections", tags=["agents"])
carrying = APIRouter(prefix=f"{PATH}/logs", route_class=DoorRoute, include_in_schema=False)

Writer = Annotated[Caller, Depends(WRITE)]


class CollectionWish(BaseModel):
    """What is to be collected."""

    model_config = ConfigDict(extra="forbid")

    hours: int = Field(default=24, ge=1, le=7 * 24)


class NotBrought(BaseModel):
    """Why an agent does not bring what was wanted."""

    reason: str = Field(max_length=1000)


async def told(conn: Connection, tenant: UUID, agent: UUID) -> dict[str, Any] | None:
    """Give what a heartbeat's answer says of collecting; None where nothing is wanted."""
    found = await log_collections.waiting(conn, tenant, agent)
    return None if found is None else {"id": str(found.id), "hours": found.hours}


@administration.post("")
async def post_collection(door: TheDoor, caller: Writer, agent: UUID, wish: CollectionWish) -> JSONResponse:
    """Want what an agent has. While one is waited for, that one is given."""
    async with door.database.transaction() as conn:
        found = await log_collections.want(conn, door.tenant, agent, uuid4(), wish.hours)
        if found is None:
            raise HTTPException(404, f"There is no agent {agent}, or it was revoked.")
        await audits.record(
            conn,
            door.tenant,
            actor=caller.actor,
            activity="Collect agent logs",
            target=str(agent),
            detail={"hours": wish.hours, "collection": str(found.id)},
        )
    return JSONResponse(_shown(found), 201)


@administration.get("", dependencies=[Depends(READ)])
async def get_collections(door: TheDoor, agent: UUID) -> JSONResponse:
    """List those of an agent, the newest first. They are kept for a day."""
    async with door.database.connection() as conn:
        found = await log_collections.list_of(conn, door.tenant, agent)
    return JSONResponse({"value": [_shown(each) for each in found]})


@administration.get("/{collection}", dependencies=[Depends(READ)])
async def get_collection(door: TheDoor, agent: UUID, collection: UUID) -> JSONResponse:
    """Show whether one is there."""
    return JSONResponse(_shown(await _get(door, agent, collection)))


@administration.get("/{collection}/content")
async def get_content(door: TheDoor, caller: Writer, agent: UUID, collection: UUID) -> Response:
    """Give the zip file."""
    found = await _get(door, agent, collection)
    if found.state != "ready":
        raise HTTPException(409, f"The collection is {found.state}{': ' if found.failure else ''}{found.failure}.")
    async with door.database.transaction() as conn:
        await audits.record(
            conn,
            door.tenant,
            actor=caller.actor,
            activity="Download agent logs",
            target=str(agent),
            detail={"collection": str(collection)},
        )
    return StreamingResponse(
        _parts(door, found),
        media_type="application/zip",
        headers={
            "Content-Disposition": f'attachment; filename="agent-{agent}-{found.wanted_at:%Y%m%d-%H%M%S}.zip"',
            "Content-Length": str(found.size),
            "Cache-Control": "no-store",
        },
    )


@administration.delete("/{collection}")
async def delete_collection(door: TheDoor, caller: Writer, agent: UUID, collection: UUID) -> Response:
    """Remove one, or want it no more."""
    async with door.database.transaction() as conn:
        if not await log_collections.remove(conn, door.tenant, agent, collection):
            raise HTTPException(404, f"There is no collection {collection} of agent {agent}.")
        await audits.record(
            conn,
            door.tenant,
            actor=caller.actor,
            activity="Remove agent logs",
            target=str(agent),
            detail={"collection": str(collection)},
        )
    return Response(status_code=204)


@carrying.post("/{collection}/parts/{number}")
async def post_part(
    door: TheDoor,
    request: Request,
    agent: Known,
    collection: UUID,
    number: int,
    x_last: Annotated[bool, Header()] = False,
) -> Response:
    """Take a part in."""
    body = await verified_body(request, wire.LOG_PART)
    async with door.database.transaction() as conn:
        stored = number >= 0 and await log_collections.insert_part(
            conn, door.tenant, agent.id, collection, number, body, is_last=x_last
        )
    if not stored:
        raise _gone(collection)
    return Response(status_code=204)


@carrying.post("/{collection}/failure")
async def post_failure(door: TheDoor, request: Request, agent: Known, collection: UUID) -> Response:
    """Hear that an agent does not bring it, and why."""
    said = await message(request, NotBrought)
    async with door.database.transaction() as conn:
        noted = await log_collections.fail(conn, door.tenant, agent.id, collection, said.reason.replace("\0", ""))
    if not noted:
        raise _gone(collection)
    return Response(status_code=204)


async def _get(door: Door, agent: UUID, collection: UUID) -> LogCollection:
    async with door.database.connection() as conn:
        found = await log_collections.get(conn, door.tenant, agent, collection)
    if found is None:
        raise HTTPException(404, f"There is no collection {collection} of agent {agent}; they are kept for a day.")
    return found


async def _parts(door: Door, found: LogCollection) -> AsyncIterator[bytes]:
    """Give the file part by part, each on a connection of its own, so that a slow reader holds none."""
    size, number = 0, 0
    while size < found.size:
        async with door.database.connection() as conn:
            part = await log_collections.part(conn, door.tenant, found.id, number)
        if part is None:  # too late for an answer: the connection is cut
            raise TransientError("The collection was removed while it was handed out.", code="CollectionRemoved")
        yield part
        size, number = size + len(part), number + 1


def _gone(collection: UUID) -> Refusal:
    return Refusal(410, "RequestGone", f"The collection {collection} is not waited for, or not from this agent.")


def _shown(found: LogCollection) -> dict[str, Any]:
    return {
        "id": str(found.id),
        "hours": found.hours,
        "status": found.state,
        "failure": found.failure or None,
        "sizeInBytes": found.size,
        "requestedDateTime": _time(found.wanted_at),
        "completedDateTime": _time(found.ended_at),
    }


def _time(at: datetime | None) -> str | None:
    return at.strftime("%Y-%m-%dT%H:%M:%SZ") if at else None
