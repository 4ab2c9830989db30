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
from dirbridge.service.graph import odata
from dirbridge.service.graph.responses import GraphResponse
from dirbridge.service.relay import agent_states
from dirbridge.service.relay.door import Door
from dirbridge.store import agent_listing, agents, audits
from dirbridge.store.agent_listing import After

_DOMAIN = re.compile(r"(?=.{1,253}$)[a-z0-9]([a-z0-9-]{0,61}[a-z0-9])?(\.[a-z0-9]([a-z0-9-]{0,61}[a-z0-9])?)*")

READ = require("Synchronization.Read.All", "Synchronization.ReadWrite.All", roles=OBSERVERS)
WRITE = require("Synchronization.ReadWrite.All", roles=HYBRID)


class NewCode(msgspec.Struct, frozen=True):
    """An enrolment code as it is shown, once."""

    id: UUID
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
        id, expires_at = await agents.create_code(
            conn, door.tenant, enrolment.hash_secret(code.secret), wanted, door.settings.code_lifetime
        )
        await audits.record(
            conn, door.tenant, actor=actor, activity="Create enrolment code", detail={"domains": list(wanted)}
        )
    return NewCode(id, enrolment.render(code), wanted, expires_at)


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
    shown = {"id": str(made.id), "code": made.text, "domains": made.domains}
    return JSONResponse({**shown, "expirationDateTime": shown_time(made.expires_at)}, 201)


@router.get("/enrolmentCodes/{code}", dependencies=[Depends(READ)])
async def get_code(door: TheDoor, code: UUID) -> JSONResponse:
    """Show whether a code was used, and by which agent; not the code itself, which nobody knows any more."""
    async with door.database.connection() as conn:
        found = await agents.get_code(conn, door.tenant, code)
    if found is None:
        raise HTTPException(404, f"There is no enrolment code {code}; used and expired ones are kept for 30 days.")
    return JSONResponse(_code(found))


@router.get("/agents", dependencies=[Depends(READ)])
async def get_agents(request: Request, door: TheDoor) -> Response:
    """List the agents by the name of their host, revoked ones last."""
    query = odata.read(request, frozenset({"filter", "top", "skiptoken", "count", "format"}))
    where = query.where(agent_listing.PROPERTIES, "dirbridge.agent", advanced=True)
    after = odata.position(query, After)
    async with door.database.connection() as conn:
        rows = await agent_listing.page(
            conn, door.tenant, where=where, after=after, limit=query.top + 1, heard_within=door.settings.heard_within
        )
        total = await agent_listing.count(conn, door.tenant, where) if query.count and after is None else None
    return GraphResponse(
        odata.page(
            request, query, rows, fragment="dirbridge/agents", render=lambda agent: _shown(door, agent),
            key=After.of, total=total,
        )
    )  # fmt: skip


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
    report, life = agent.report, timedelta(days=door.settings.certificate_days)
    condition = agent_states.judge(agent, life)
    return {
        "id": str(agent.id),
        "machineName": agent.machine_name,
        "externalIp": agent.address,
        "status": condition.state,
        "statusReasons": [_reason(reason) for reason in condition.reasons],
        "checks": [_check(check) for check in agent_states.checks(agent, life)],
        "version": agent.version,
        "domains": agent.domains,
        "servedDomains": report.get("domains", []),
        "enrolledDateTime": shown_time(agent.enrolled_at),
        "lastHeardDateTime": shown_time(agent.last_heard),
        "lastReportDateTime": shown_time(agent.reported_at),
        "certificateExpirationDateTime": shown_time(agent.expires_at),
        "revokedDateTime": shown_time(agent.revoked_at),
        "uptimeInSeconds": report.get("uptime"),
        "requestsInProgress": report.get("queue"),
        "lastError": report.get("lastError"),
        "clockOffsetInSeconds": report.get("clockOffset"),
        "update": report.get("update"),
        "traces": report.get("traces"),
    }


def _code(code: agents.Code) -> dict[str, Any]:
    status = "used" if code.used_at is not None else "expired" if code.is_expired else "waiting"
    return {
        "id": str(code.id),
        "status": status,
        "domains": code.domains,
        "createdDateTime": shown_time(code.created_at),
        "expirationDateTime": shown_time(code.expires_at),
        "usedDateTime": shown_time(code.used_at),
        "agentId": str(code.used_by) if code.used_by is not None else None,
    }


def _check(check: agent_states.Check) -> dict[str, Any]:
    return {
        "name": check.name,
        "domain": check.domain,
        "status": check.status,
        "reason": None if check.reason is None else _reason(check.reason),
    }


def _reason(reason: agent_states.Reason) -> dict[str, Any]:
    return {
        "code": reason.code,
        "message": reason.message,
        "recommendedAction": reason.recommended_action,
        "domain": reason.domain,
        "sinceDateTime": shown_time(reason.since),
    }


def shown_time(at: datetime | None) -> str | None:
    """Write a time as the API does, or nothing."""
    return at.strftime("%Y-%m-%dT%H:%M:%SZ") if at else None
