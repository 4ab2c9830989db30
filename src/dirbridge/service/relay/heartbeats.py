"""Heartbeats: what agents say of themselves every half minute, and what they are told in return.

A member of either that the other side does not know is passed over, and one that it has not is left out, so that an
agent and a service of different versions understand each other.
"""

from __future__ import annotations

import math
from datetime import UTC, datetime
from typing import Any

from fastapi import APIRouter, Request
from fastapi.responses import JSONResponse
from pydantic import BaseModel, ConfigDict, Field
from pydantic.alias_generators import to_camel

from dirbridge.service.relay import agent_errors, log_collections, traces
from dirbridge.service.relay.door import PATH, Door, Known, TheDoor, address, message
from dirbridge.service.relay.refusals import DoorRoute
from dirbridge.service.releases import updating
from dirbridge.store import agents, jobs, requests


class _Said(BaseModel):
    model_config = ConfigDict(populate_by_name=True, alias_generator=to_camel)


class Trouble(_Said):
    """What keeps an agent from reading a domain."""

    domain: str = Field(max_length=255)
    code: str = Field(max_length=100)
    message: str = Field(max_length=4000)
    recommended_action: str = Field(default="", max_length=4000)
    since: datetime | None = None


class Heartbeat(_Said):
    """What an agent says of itself.

    Attributes:
        time: by the clock of its host.
        lost: why it gets no requests although its heartbeats come through.
        update: what its updater is doing; kept as it came.
        traces: how it traces; kept as it came.
    """

    state: str = Field(pattern="^(starting|running|stopping)$")
    version: str = Field(max_length=64)
    host: str = Field(max_length=255)
    uptime: float = Field(ge=0, allow_inf_nan=False)
    queue: int = Field(ge=0)
    domains: list[str] = Field(max_length=1000)
    last_error: str | None = Field(default=None, max_length=4000)
    time: datetime | None = None
    troubles: list[Trouble] = Field(default=[], max_length=100)
    lost: str | None = Field(default=None, max_length=4000)
    update: dict[str, Any] | None = None
    traces: dict[str, Any] | None = None


router = APIRouter(prefix=PATH, route_class=DoorRoute, include_in_schema=False)


@router.post("/heartbeat")
async def heartbeat(door: TheDoor, request: Request, agent: Known) -> JSONResponse:
    """Hear how an agent is."""
    beat = await message(request, Heartbeat)
    await _note(door, agent, beat, address(request))
    return JSONResponse(await _answer(door, agent, beat))


async def _answer(door: Door, agent: agents.Agent, beat: Heartbeat) -> dict[str, Any]:
    """Say what the agent is to know, a member for each matter."""
    async with door.database.transaction() as conn:
        return {
            "poll": door.advice(),
            "updater": await updating.told(conn, door.tenant, agent, beat.version, beat.update),
            "tracing": await traces.told(conn, door.tenant, agent.id),
            "collect": await log_collections.told(conn, door.tenant, agent.id),
        }


async def _note(door: Door, agent: agents.Agent, beat: Heartbeat, address: str) -> None:
    """Keep a heartbeat. A process that begins or ends works at nothing, whatever was handed to it before."""
    domains = sorted({domain.lower() for domain in beat.domains}) if beat.state != "stopping" else []
    report = beat.model_dump(mode="json", by_alias=True, exclude={"version", "time"}) | {
        "domains": domains,
        "clockOffset": _offset(door, beat.time),
    }
    async with door.database.transaction() as conn:
        await agents.reported(
            conn, door.tenant, agent.id, address=address, version=_clean(beat.version), report=_clean(report)
        )
        await agent_errors.note(conn, door.tenant, agent, _clean(report))
        if beat.state != "running":
            await requests.release(conn, door.tenant, agent.id)
        if beat.state == "starting":
            # Its settings may be others than before, and with them the account that it binds as.
            await jobs.wake(conn, door.tenant, domains=set(domains) & set(agent.domains))


def _offset(door: Door, time: datetime | None) -> float | None:
    """Give the seconds that an agent's clock is ahead of the service's."""
    if time is None:
        return None
    return round(((time if time.tzinfo else time.replace(tzinfo=UTC)) - door.now()).total_seconds(), 1)


def _clean(value: Any) -> Any:
    """Leave out what the database does not take: NUL in texts, and numbers that are none."""
    match value:
        case str():
            return value.replace("\0", "")
        case float() if not math.isfinite(value):
            return None
        case list():
            return [_clean(each) for each in value]
        case dict():
            return {_clean(name): _clean(each) for name, each in value.items()}
        case _:
            return value
