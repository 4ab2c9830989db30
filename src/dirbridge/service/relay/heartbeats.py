"""Heartbeats: what agents say of themselves every half minute, and what they are told in return.

A member of either that the other side does not know is passed over, and one that it has not is left out, so that an
agent and a service of different versions understand each other.
"""

from __future__ import annotations

from typing import Any

from fastapi import APIRouter, Request
from fastapi.responses import JSONResponse
from pydantic import BaseModel, ConfigDict, Field

from dirbridge.service.relay.door import PATH, Door, Known, TheDoor, address, message
from dirbridge.service.relay.refusals import DoorRoute
from dirbridge.store import agents, jobs, requests


class Heartbeat(BaseModel):
    """What an agent says of itself.

    `update` is what its updater is doing, `traces` how it traces; each is kept as it came, for those who show it.
    """

    model_config = ConfigDict(populate_by_name=True)

    state: str = Field(pattern="^(starting|running|stopping)$")
    version: str = Field(max_length=64)
    host: str = Field(max_length=255)
    uptime: float = Field(ge=0)
    queue: int = Field(ge=0)
    domains: list[str] = Field(max_length=1000)
    last_error: str | None = Field(default=None, alias="lastError", max_length=4000)
    update: dict[str, Any] | None = None
    traces: dict[str, Any] | None = None


router = APIRouter(prefix=PATH, route_class=DoorRoute, include_in_schema=False)


@router.post("/heartbeat")
async def heartbeat(door: TheDoor, request: Request, agent: Known) -> JSONResponse:
    """Hear how an agent is."""
    await _note(door, agent, await message(request, Heartbeat), address(request))
    return JSONResponse(_answer(door))


def _answer(door: Door) -> dict[str, Any]:
    """Say what the agent is to know, a member for each matter."""
    return {"poll": door.advice()}


async def _note(door: Door, agent: agents.Agent, beat: Heartbeat, address: str) -> None:
    """Keep a heartbeat. A process that begins or ends works at nothing, whatever was handed to it before."""
    domains = sorted({domain.lower() for domain in beat.domains}) if beat.state != "stopping" else []
    report = {
        "state": beat.state,
        "host": beat.host,
        "uptime": beat.uptime,
        "queue": beat.queue,
        "domains": domains,
        "lastError": beat.last_error,
        "update": beat.update,
        "traces": beat.traces,
    }
    async with door.database.transaction() as conn:
        await agents.reported(conn, door.tenant, agent.id, address=address, version=beat.version, report=report)
        if beat.state != "running":
            await requests.release(conn, door.tenant, agent.id)
        if beat.state == "starting":
            # Its settings may be others than before, and with them the account that it binds as.
            await jobs.wake(conn, door.tenant, domains=domains)
