"""What went wrong at agents lately, as they told it: a few rows of each.

`service/relay/agent_errors` writes and reads them. Ids rise with time. Nothing here commits.
"""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime
from typing import Any
from uuid import UUID

import msgspec
from psycopg import AsyncConnection
from psycopg.rows import class_row

from dirbridge.store.identifiers import new_id

KEPT = 50
"""Rows that are kept of an agent."""


class AgentError(msgspec.Struct, frozen=True):
    """Something that went wrong.

    Attributes:
        domain: in which it did; None where it is of the agent as a whole.
        code: of docs/errors.md, or of the agent's own version.
    """

    code: str
    message: str
    recommended_action: str = ""
    domain: str | None = None


class Remembered(AgentError, frozen=True, kw_only=True):
    """A row of `agent_errors`."""

    id: UUID
    at: datetime


async def add(conn: AsyncConnection[Any], tenant: UUID, agent: UUID, rows: Sequence[AgentError]) -> None:
    """Remember them, and forget the oldest beyond `KEPT`."""
    for row in rows:
        await conn.execute(
            """insert into agent_errors (tenant, agent, id, domain, code, message, recommended_action)
               values (%s, %s, %s, %s, %s, %s, %s)""",
            (tenant, agent, new_id(), row.domain, row.code, row.message, row.recommended_action),
        )
    await conn.execute(
        """delete from agent_errors where tenant = %(tenant)s and agent = %(agent)s and id <=
           (select id from agent_errors where tenant = %(tenant)s and agent = %(agent)s
            order by id desc offset %(kept)s limit 1)""",
        {"tenant": tenant, "agent": agent, "kept": KEPT},
    )


async def latest(conn: AsyncConnection[Any], tenant: UUID, agent: UUID) -> list[Remembered]:
    """Give those of an agent, the newest first."""
    async with conn.cursor(row_factory=class_row(Remembered)) as cursor:
        await cursor.execute(
            """select id, at, domain, code, message, recommended_action from agent_errors
               where tenant = %s and agent = %s order by id desc""",
            (tenant, agent),
        )
        return await cursor.fetchall()
