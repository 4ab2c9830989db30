"""Whose turn it is to be updated: of the agents that share a domain, one at a time.

`service/releases/updating` calls these at heartbeats of agents that are behind. Times are the database's. Nothing here
commits.
"""

from __future__ import annotations

from collections.abc import Collection
from datetime import datetime, timedelta
from typing import Any
from uuid import UUID

from psycopg import AsyncConnection

from dirbridge.store.agents import HEARD_WITHIN

LASTS = timedelta(minutes=10)
"""How long a turn lasts unless it is prolonged: then somebody else may have it."""
REST = timedelta(minutes=2)
"""How long an agent whose turn has passed lets others go first."""


async def take(
    conn: AsyncConnection[Any], tenant: UUID, agent: UUID, domains: Collection[str], *, at_work: bool
) -> datetime | None:
    """Take the turn of these domains, or keep it.

    Args:
        domains: all that the agent serves; it needs the turn of each.
        at_work: it is updating itself just now, and keeps its turn until it is done.

    Returns:
        None where the agent may update itself; otherwise until when it has to wait at most.
    """
    given = {
        "tenant": tenant,
        "agent": agent,
        "domains": sorted(domains),
        "heard_within": HEARD_WITHIN,
        "lasts": LASTS,
        "rest": REST,
        "at_work": at_work,
    }
    cursor = await conn.execute(
        """select from agents where tenant = %(tenant)s and id <> %(agent)s and revoked_at is null
           and last_heard > now() - %(heard_within)s and domains && %(domains)s limit 1""",
        given,
    )
    if await cursor.fetchone() is None:
        return None
    await conn.execute("select pg_advisory_xact_lock(hashtextextended(%s, 0))", (f"{tenant}/update turns",))
    cursor = await conn.execute(
        """select max(case
                      when agent <> %(agent)s and until > now() then until
                      when agent = %(agent)s and until between now() - %(rest)s and now() then until + %(rest)s
                      end)
           from update_turns where tenant = %(tenant)s and domain = any(%(domains)s)""",
        given,
    )
    row = await cursor.fetchone()
    if row is not None and row[0] is not None:
        waits: datetime = row[0]
        return waits
    # Prolonged in large steps: others are told the time, and look afresh whenever it changes.
    await conn.execute(
        """insert into update_turns (tenant, domain, agent, until)
           select %(tenant)s, domain, %(agent)s, now() + %(lasts)s from unnest(%(domains)s::text[]) domain
           on conflict (tenant, domain) do update set agent = excluded.agent, until = excluded.until
           where update_turns.until <= now() or (%(at_work)s and update_turns.until < now() + %(lasts)s / 2)""",
        given,
    )
    return None


async def end(conn: AsyncConnection[Any], tenant: UUID, agent: UUID) -> None:
    """Let others have an agent's turn."""
    await conn.execute("delete from update_turns where tenant = %s and agent = %s", (tenant, agent))
