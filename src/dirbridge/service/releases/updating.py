"""What an agent is told of its updates: which version it is to have, and when.

Graph's hybridAgentUpdaterConfiguration says when, in its order of priority: the override lets everything pass; else
nothing happens before a deferral has ended; else only inside the daily window, which is in the time of each host.
Whatever it says, of several agents that serve a domain one at a time updates itself: a release that does not work is
met by one of them, while the others serve.
"""

from __future__ import annotations

from collections.abc import Collection, Mapping
from datetime import UTC, datetime
from typing import Any
from uuid import UUID

from dirbridge.contract import release as releases
from dirbridge.contract.errors import ConfigurationError
from dirbridge.service.graph import updater
from dirbridge.service.graph.responses import moment
from dirbridge.service.relay import agent_states
from dirbridge.store import releases as stored
from dirbridge.store import tenant_settings, update_orders, update_turns
from dirbridge.store.agents import Agent
from dirbridge.store.database import Connection


async def told(
    conn: Connection, tenant: UUID, agent: Agent, version: str, update: Mapping[str, Any] | None
) -> dict[str, Any]:
    """Give the member `updater` of the answer to an agent's heartbeat.

    Args:
        conn: in a transaction.
        version: that the agent runs.
        update: what its updater is doing; None where it has none.

    Returns:
        `newest` among it, the newest version of the list, and `now`, the order to update at once: nobody acts on
        them, but an updater that hears another one looks at once.
    """
    wanted = await stored.wanted(conn, tenant, agent.id)
    settings = await tenant_settings.get(conn, tenant, tenant_settings.UPDATER)
    offered = await stored.versions(conn, tenant)
    order = await update_orders.get(conn, tenant, agent.id)
    answer = {
        "channel": releases.STABLE,
        "api": releases.API,
        "newest": max(offered, key=releases.order, default=None),
        "wanted": wanted,
        **(when(settings) if order is None else {"deferUntil": None, "window": None, "now": str(order.id)}),
    }
    if update is None:
        return answer
    phase = str(update.get("phase"))
    given_up = {str(update.get("to"))} if phase == "rolled-back" else set()
    is_done = not is_behind(version, offered - given_up, wanted)
    if is_done and order is not None:
        await update_orders.end(conn, tenant, agent.id)
    if phase == "failed" or is_done:
        await update_turns.end(conn, tenant, agent.id)
        return answer
    waits = await update_turns.take(conn, tenant, agent.id, agent.domains, at_work=_is_at_work(agent, update))
    return answer if waits is None else answer | {"deferUntil": _later(answer["deferUntil"], waits)}


def _is_at_work(agent: Agent, update: Mapping[str, Any]) -> bool:
    """Say whether an agent is being updated just now, and not by an updater that ended in the middle."""
    return str(update.get("phase")) in agent_states.UPDATING and not agent_states.is_stuck(agent, update)


def is_behind(version: str, offered: Collection[str], wanted: str | None) -> bool:
    """Say whether a newer version is offered, as far as the service knows an agent's host.

    Args:
        version: that the agent runs.
        wanted: the only one that it is to have; None for the newest.
    """
    try:
        return any(
            releases.order(each) > releases.order(version) for each in offered if wanted is None or each == wanted
        )
    except ConfigurationError:  # it runs something that is no release
        return True


def _later(until: str | None, waits: datetime) -> str:
    """Give the later of a deferral and a wait; a deferral by the host's clock is taken before a wait of minutes."""
    if until is not None and (not until.endswith("Z") or datetime.fromisoformat(until) > waits):
        return until
    return str(moment(waits.astimezone(UTC).replace(microsecond=0)))


def when(stored: Mapping[str, Any]) -> dict[str, Any]:
    """Say when an agent may update itself.

    Args:
        stored: the configuration as it is kept.

    Returns:
        `deferUntil`, a moment, in the time of the host where it has no zone, or None; and `window`, its beginning and
        end in the time of the host, or None. A window that ends before it begins goes over midnight.
    """
    configuration = updater.shown(stored)
    if configuration["allowUpdateConfigurationOverride"]:
        return {"deferUntil": None, "window": None}
    window, until = configuration["updateWindow"], configuration["deferUpdateDateTime"]
    return {
        "deferUntil": until and (until.removesuffix("Z") if stored.get(updater.LOCAL) else until),
        "window": window
        and {
            "start": window["updateWindowStartTime"].partition(".")[0],
            "end": window["updateWindowEndTime"].partition(".")[0],
        },
    }
