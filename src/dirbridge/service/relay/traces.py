"""Traces of agents, from the service: an administrator wants a verbose one for a time, the agent hears of it.

The order lies in the database; an agent hears it with its next heartbeat, for which one that waits for requests is
called at once. What it may do is for its own settings to say, and what it does is in its heartbeats.
"""

from __future__ import annotations

from datetime import datetime, timedelta
from typing import Annotated, Any
from uuid import UUID, uuid4

from fastapi import APIRouter, Depends, HTTPException, Response
from fastapi.responses import JSONResponse
from pydantic import BaseModel, ConfigDict, Field

from dirbridge.service.auth.access import Caller
from dirbridge.service.relay.administration import READ, WRITE, TheDoor
from dirbridge.store import agents, audits, traces
from dirbridge.store.database import Connection

LONGEST_MINUTES = 24 * 60

router = APIRouter(prefix="/beta/dirbridge/agents/{agent}", tags=["agents"])


class TraceWish(BaseModel):
    """A verbose trace that is to begin."""

    model_config = ConfigDict(extra="forbid")

    minutes: float = Field(default=10, gt=0, le=LONGEST_MINUTES, allow_inf_nan=False)
    values: bool = False


async def told(conn: Connection, tenant: UUID, agent: UUID) -> dict[str, Any] | None:
    """Give what a heartbeat's answer says of tracing; None where no verbose trace is wanted."""
    order = await traces.wanted(conn, tenant, agent)
    if order is None:
        return None
    return {"order": str(order.id), "seconds": order.left.total_seconds(), "values": order.shows_values}


@router.get("/trace", dependencies=[Depends(READ)])
async def get_trace(door: TheDoor, agent: UUID) -> JSONResponse:
    """Show which verbose trace is wanted of an agent, and what it last said of its own."""
    async with door.database.connection() as conn:
        found = await agents.get(conn, door.tenant, agent)
        order = await traces.wanted(conn, door.tenant, agent)
    if found is None:
        raise HTTPException(404, f"There is no agent {agent}.")
    return JSONResponse({"wanted": _shown(order), "reported": found.report.get("traces")})


@router.post("/startTrace")
async def post_start(
    door: TheDoor, caller: Annotated[Caller, Depends(WRITE)], agent: UUID, wish: TraceWish
) -> JSONResponse:
    """Want a verbose trace for a time."""
    async with door.database.transaction() as conn:
        order = await traces.want(
            conn, door.tenant, agent, uuid4(), timedelta(minutes=wish.minutes), values=wish.values
        )
        if order is None:
            raise HTTPException(404, f"There is no agent {agent}, or it was revoked.")
        await audits.record(
            conn,
            door.tenant,
            actor=caller.actor,
            activity="Start verbose trace",
            target=str(agent),
            detail={"minutes": wish.minutes, "values": wish.values},
        )
    return JSONResponse(_shown(order))


@router.post("/stopTrace")
async def post_stop(door: TheDoor, caller: Annotated[Caller, Depends(WRITE)], agent: UUID) -> Response:
    """Want none any more. One that was begun on the agent's host goes on."""
    async with door.database.transaction() as conn:
        if await agents.get(conn, door.tenant, agent) is None:
            raise HTTPException(404, f"There is no agent {agent}.")
        if await traces.stop(conn, door.tenant, agent):
            await audits.record(conn, door.tenant, actor=caller.actor, activity="Stop verbose trace", target=str(agent))
    return Response(status_code=204)


def _shown(order: traces.TraceOrder | None) -> dict[str, Any] | None:
    return None if order is None else {"until": _time(order.until), "values": order.shows_values}


def _time(at: datetime) -> str:
    return at.strftime("%Y-%m-%dT%H:%M:%SZ")
