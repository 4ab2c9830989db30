"""What went wrong at an agent lately: taken out of its heartbeats when it is new, and shown to who looks after it."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any
from uuid import UUID

from fastapi import APIRouter, Depends, HTTPException
from fastapi.responses import JSONResponse

from dirbridge.service.relay.administration import READ, TheDoor, shown_time
from dirbridge.store import agent_errors, agents
from dirbridge.store.agent_errors import AgentError
from dirbridge.store.database import Connection

router = APIRouter(prefix="/beta/dirbridge/agents/{agent}/errors", tags=["agents"])

_ENDS = {"failed": "UpdateFailed", "rolled-back": "UpdateRolledBack"}
"""Codes of updates that did not succeed, by their phase."""


async def note(conn: Connection, tenant: UUID, agent: agents.Agent, report: Mapping[str, Any]) -> None:
    """Remember what a heartbeat tells that the one before did not."""
    if found := list(news(agent.report, report)):
        await agent_errors.add(conn, tenant, agent.id, found)


def news(before: Mapping[str, Any], now: Mapping[str, Any]) -> Iterator[AgentError]:
    """Say what went wrong between two reports of an agent.

    The last error of a request names its domain first, and is often the trouble of that domain: it is told once.
    """
    known = {_identity(trouble) for trouble in before.get("troubles") or ()}
    told = []
    for trouble in now.get("troubles") or ():
        told.append(f"{trouble['domain']}: {trouble['message']}")
        if _identity(trouble) not in known:
            yield AgentError(trouble["code"], trouble["message"], trouble["recommendedAction"], trouble["domain"])
    last = now.get("lastError")
    if last and last != before.get("lastError") and not last.startswith(tuple(told)):
        yield AgentError("RequestFailed", last)
    if now.get("lost") and not before.get("lost"):
        yield AgentError("RequestsNotFetched", now["lost"])
    update = now.get("update")
    if isinstance(update, dict) and update != before.get("update"):
        # Agents of other versions may tell it otherwise.
        code = _ENDS.get(str(update.get("phase")))
        if code is not None:
            yield AgentError(code, str(update.get("message") or "It said no more."))


def _identity(trouble: Mapping[str, Any]) -> tuple[str, str, str | None]:
    return trouble["domain"], trouble["code"], trouble["since"]


@router.get("", dependencies=[Depends(READ)])
async def get_errors(door: TheDoor, agent: UUID) -> JSONResponse:
    """List what went wrong lately, the newest first."""
    async with door.database.connection() as conn:
        if await agents.get(conn, door.tenant, agent) is None:
            raise HTTPException(404, f"There is no agent {agent}.")
        found = await agent_errors.latest(conn, door.tenant, agent)
    return JSONResponse({"value": [_shown(each) for each in found]})


def _shown(error: agent_errors.Remembered) -> dict[str, Any]:
    return {
        "id": str(error.id),
        "dateTime": shown_time(error.at),
        "code": error.code,
        "message": error.message,
        "recommendedAction": error.recommended_action or None,
        "domain": error.domain,
    }
