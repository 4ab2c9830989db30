"""The updates of one agent: what it is to have and when, and the order to update at once."""

from __future__ import annotations

from typing import Annotated, Any
from uuid import UUID

from fastapi import APIRouter, Depends, HTTPException, Response
from fastapi.responses import JSONResponse

from dirbridge.contract import release as releases
from dirbridge.contract.errors import ConfigurationError
from dirbridge.service.auth.access import Caller
from dirbridge.service.relay.administration import READ, WRITE, TheDoor, shown_time
from dirbridge.service.releases import updating
from dirbridge.store import agents, audits, tenant_settings, update_orders
from dirbridge.store import releases as stored
from dirbridge.store.agents import Agent
from dirbridge.store.database import Connection
from dirbridge.store.identifiers import new_id

router = APIRouter(prefix="/beta/dirbridge/agents/{agent}", tags=["agents"])


@router.get("/update", dependencies=[Depends(READ)])
async def get_update(door: TheDoor, agent: UUID) -> JSONResponse:
    """Show which version an agent is to have, and when; and what its updater last said."""
    async with door.database.connection() as conn:
        found = await agents.get(conn, door.tenant, agent)
        if found is None:
            raise HTTPException(404, f"There is no agent {agent}.")
        return JSONResponse(await _shown(conn, door.tenant, found))


@router.post("/updateNow")
async def post_update_now(door: TheDoor, caller: Annotated[Caller, Depends(WRITE)], agent: UUID) -> Response:
    """Have it updated at once, whatever hour or date is set for all; of agents that share a domain still one by one."""
    async with door.database.transaction() as conn:
        found = await agents.get(conn, door.tenant, agent)
        if found is None or found.revoked_at is not None:
            raise HTTPException(404, f"There is no agent {agent}, or it was revoked.")
        await _check(conn, door.tenant, found)
        await update_orders.put(conn, door.tenant, agent, new_id())
        await audits.record(
            conn, door.tenant, actor=caller.actor, activity="Update agent now", target=str(agent),
            detail={"version": found.version},
        )  # fmt: skip
    return Response(status_code=204)


async def _check(conn: Connection, tenant: UUID, agent: Agent) -> None:
    if agent.report.get("update") is None:
        raise ConfigurationError(
            f"No updater runs beside the agent on {agent.machine_name}.",
            code="UpdaterMissing",
            recommended_action="Run `dirbridge agent install --update-root FILE` on its host and start "
            "dirbridge-agent-updater, or install the release there by hand.",
        )
    wanted = await stored.wanted(conn, tenant, agent.id)
    if not updating.is_behind(agent.version, await stored.versions(conn, tenant), wanted):
        raise ConfigurationError(
            f"The agent runs {agent.version}, and no newer release that it is to have is published"
            f"{f': {wanted} is wanted' if wanted else ''}.",
            code="UpdateNotOffered",
            recommended_action="Publish one with `dirbridge release publish`, or choose another version for it.",
        )


async def _shown(conn: Connection, tenant: UUID, agent: Agent) -> dict[str, Any]:
    wanted = await stored.wanted(conn, tenant, agent.id)
    own = await stored.own(conn, tenant, agent.id)
    offered = await stored.versions(conn, tenant)
    order = await update_orders.get(conn, tenant, agent.id)
    when = updating.when(await tenant_settings.get(conn, tenant, tenant_settings.UPDATER))
    return {
        "version": agent.version,
        "offeredVersions": sorted(offered, key=releases.order, reverse=True),
        "wantedVersion": wanted,
        "isChosenForAgent": own is not None,
        "isBehind": updating.is_behind(agent.version, offered, wanted),
        "deferUntilDateTime": when["deferUntil"],
        "window": when["window"],
        "orderedUntilDateTime": shown_time(order.until) if order is not None else None,
        "reported": agent.report.get("update"),
    }
