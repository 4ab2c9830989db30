"""What an administrator does with agents: make enrolment codes, see who is there, shut one out.

Graph has no words for these, so they lie under /beta/dirbridge, in Graph's conventions. The portal calls the functions.
"""

from __future__ import annotations

import re
import secrets
from collections.abc import Sequence
from datetime import datetime, timedelta
from typing import Annotated, Any
from uuid import UUID

import msgspec
from fastapi import APIRouter, Depends, HTTPException, Request, Response
from fastapi.responses import JSONResponse
from pydantic import BaseModel, ConfigDict, Field

from dirbridge.contract import enrolment
from dirbridge.contract.enrolment import EnrolmentCode
from dirbridge.contract.errors import ConfigurationError
from dirbridge.service.auth.access import Caller, require
from dirbridge.service.auth.permissions import HYBRID, OBSERVERS
from dirbridge.service.relay import agent_states
from dirbridge.service.relay.door import Door
from dirbridge.store import agents, audits

_DOMAIN = re.compile(r"(?=.{1,253}$)[a-z0-9]([a-z0-9-]{0,61}[a-z0-9])?(\.[a-z0-9]([a-z0-9-]{0,61}[a-z0-9])?)*")

READ = require("Synchronization.Read.All", "Synchronization.ReadWrite.All", roles=OBSERVERS)
WRITE = require("Synchronization.ReadWrite.All", roles=HYBRID)


class NewCode(msgspec.Struct, frozen=True):
    """An enrolment code as it is shown, once."""

    text: str
    domains: tuple[str, ...]
    expires_at: datetime


class CodeWish(BaseModel):
    """What a new code is to be good for."""

    model_config = ConfigDict(extra="forbid")

    domains: list[str] = Field(min_length=1, max_length=100)


async def create_code(door: Door, domains: Sequence[str], actor: str) -> NewCode:
    """Make a code for one new agent.

    Raises:
        ConfigurationError: a domain is not a DNS name, or there is none.
    """
    wanted = tuple(sorted({domain.strip().rstrip(".").lower() for domain in domains}))
    odd = [domain for domain in wanted if not _DOMAIN.fullmatch(domain)]
    if odd or not wanted:
        raise ConfigurationError(
            f"{', '.join(map(repr, odd)) or 'No domain'} is not the DNS name of a directory.",
            code="DomainInvalid",
            recommended_action="Name each domain as its directory does, such as corp.example.com.",
        )
    code = EnrolmentCode(secrets.token_bytes(enrolment.SECRET_BYTES), door.authority.fingerprint, wanted)
    async with door.database.transaction() as conn:
        expires_at = await agents.create_code(
            conn, door.tenant, enrolment.hash_secret(code.secret), wanted, door.settings.code_lifetime
        )
        await audits.record(
            conn, door.tenant, actor=actor, activity="Create enrolment code", detail={"domains": list(wanted)}
        )
    return NewCode(enrolment.render(code), wanted, expires_at)


async def list_agents(door: Door) -> list[agents.Agent]:
    """Give every agent, the oldest first."""
    async with door.database.connection() as conn:
        return await agents.list_all(conn, door.tenant, door.settings.heard_within)


async def get_agent(door: Door, agent: UUID) -> agents.Agent | None:
    """Give one agent; None where there is none."""
    async with door.database.connection() as conn:
        return await agents.get(conn, door.tenant, agent, door.settings.heard_within)


async def revoke(door: Door, agent: UUID, actor: str) -> bool:
    """Shut an agent out at once. False where there is no such agent."""
    async with door.database.transaction() as conn:
        found = await agents.revoke(conn, door.tenant, agent)
        if found:
            await audits.record(conn, door.tenant, actor=actor, activity="Revoke agent", target=str(agent))
    return found


router = APIRouter(prefix="/beta/dirbridge", tags=["agents"])


def _door(request: Request) -> Door:
    door: Door = request.app.state.door
    return door


TheDoor = Annotated[Door, Depends(_door)]


@router.post("/enrolmentCodes")
async def post_code(door: TheDoor, caller: Annotated[Caller, Depends(WRITE)], wish: CodeWish) -> JSONResponse:
    """Make an enrolment code; its text is shown only here."""
    made = await create_code(door, wish.domains, caller.actor)
    return JSONResponse({"code": made.text, "domains": made.domains, "expirationDateTime": _time(made.expires_at)}, 201)


@router.get("/agents", dependencies=[Depends(READ)])
async def get_agents(door: TheDoor) -> JSONResponse:
    """List the agents."""
    return JSONResponse({"value": [_shown(door, agent) for agent in await list_agents(door)]})


@router.get("/agents/{agent}", dependencies=[Depends(READ)])
async def get_one_agent(door: TheDoor, agent: UUID) -> JSONResponse:
    """Show an agent."""
    found = await get_agent(door, agent)
    if found is None:
        raise HTTPException(404, f"There is no agent {agent}.")
    return JSONResponse(_shown(door, found))


@router.post("/agents/{agent}/revoke")
async def post_revoke(door: TheDoor, caller: Annotated[Caller, Depends(WRITE)], agent: UUID) -> Response:
    """Shut an agent out."""
    if not await revoke(door, agent, caller.actor):
        raise HTTPException(404, f"There is no agent {agent}.")
    return Response(status_code=204)


def _shown(door: Door, agent: agents.Agent) -> dict[str, Any]:
    report = agent.report
    condition = agent_states.judge(agent, timedelta(days=door.settings.certificate_days))
    return {
        "id": str(agent.id),
        "machineName": agent.machine_name,
        "externalIp": agent.address,
        "status": condition.state,
        "statusReasons": [_reason(reason) for reason in condition.reasons],
        "version": agent.version,
        "domains": agent.domains,
        "servedDomains": report.get("domains", []),
        "enrolledDateTime": _time(agent.enrolled_at),
        "lastHeardDateTime": _time(agent.last_heard),
        "lastReportDateTime": _time(agent.reported_at),
        "certificateExpirationDateTime": _time(agent.expires_at),
        "revokedDateTime": _time(agent.revoked_at),
        "uptimeInSeconds": report.get("uptime"),
        "requestsInProgress": report.get("queue"),
        "lastError": report.get("lastError"),
        "clockOffsetInSeconds": report.get("clockOffset"),
        "update": report.get("update"),
        "traces": report.get("traces"),
    }


def _reason(reason: agent_states.Reason) -> dict[str, Any]:
    return {
        "code": reason.code,
        "message": reason.message,
        "recommendedAction": reason.recommended_action,
        "domain": reason.domain,
        "sinceDateTime": _time(reason.since),
    }


def _time(at: datetime | None) -> str | None:
    return at.strftime("%Y-%m-%dT%H:%M:%SZ") if at else None
