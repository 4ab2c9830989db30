"""What an agent is told of its updates: which version it is to have, and when.

Graph's hybridAgentUpdaterConfiguration says when, in its order of priority: the override lets everything pass; else
nothing happens before a deferral has ended; else only inside the daily window, which is in the time of each host.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any
from uuid import UUID

from dirbridge.contract import release as releases
from dirbridge.service.graph import updater
from dirbridge.store import releases as stored
from dirbridge.store import tenant_settings
from dirbridge.store.database import Connection


async def told(conn: Connection, tenant: UUID, agent: UUID) -> dict[str, Any]:
    """Give the member `updater` of the answer to an agent's heartbeat."""
    return {
        "channel": releases.STABLE,
        "api": releases.API,
        "wanted": await stored.wanted(conn, tenant, agent),
        **when(await tenant_settings.get(conn, tenant, tenant_settings.UPDATER)),
    }


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
