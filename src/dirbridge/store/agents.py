"""Agents, the codes they enrol with, and the assertions they have used.

`service/relay` calls these. All times are the database's, so that replicas of the service with clocks of their own
agree on what has expired. Nothing here commits.
"""

from __future__ import annotations

from collections.abc import Collection
from datetime import datetime, timedelta
from enum import StrEnum
from typing import Any, LiteralString
from uuid import UUID

import msgspec
from psycopg import AsyncConnection
from psycopg.rows import class_row
from psycopg.types.json import Jsonb

from dirbridge.store import requests

CALLS = "dirbridge_agents"
"""Channel of NOTIFY: something of an agent changed that it is to know at once; the payload is the agent."""
HEARD_WITHIN = timedelta(seconds=90)
"""An agent heard from within this time counts as connected, unless asked otherwise."""
KEEP_CODES = timedelta(days=30)
"""How long a used or expired code is remembered, so that its holder is told which of the two it is."""


class Agent(msgspec.Struct, frozen=True):
    """A row of `agents`.

    Attributes:
        folded_name: as names are put in order.
        public_key: SubjectPublicKeyInfo in DER.
        certificate: PEM.
        report: what the agent says of itself, as of `reported_at`.
        read_at: now, by the database's clock.
        is_expired: its certificate is no longer valid, by the database's clock.
        is_connected: it was heard from within the time that was asked for.
    """

    id: UUID
    machine_name: str
    folded_name: str
    version: str
    domains: list[str]
    public_key: bytes
    certificate: bytes
    expires_at: datetime
    enrolled_at: datetime
    last_heard: datetime | None
    address: str
    report: dict[str, Any]
    reported_at: datetime | None
    revoked_at: datetime | None
    read_at: datetime
    is_expired: bool
    is_connected: bool

    @property
    def is_there(self) -> bool:
        """Whether it can be given work: one that said that it stops cannot, however lately that was."""
        return self.is_connected and self.report.get("state") != "stopping"


COLUMNS: LiteralString = """id, machine_name, lower(machine_name) as folded_name, version, domains, public_key,
    certificate, expires_at, enrolled_at, last_heard, address, report, reported_at, revoked_at, now() as read_at,
    expires_at < now() as is_expired,
    coalesce(last_heard > now() - %(heard_within)s and revoked_at is null, false) as is_connected"""
"""Of `agents`, as an `Agent` has them; with `heard_within`."""


class CodeState(StrEnum):
    """What a code is good for."""

    TAKEN = "taken"
    UNKNOWN = "unknown"
    EXPIRED = "expired"
    USED = "used"


class Code(msgspec.Struct, frozen=True):
    """A row of `enrolment_codes`, without what it is known by.

    Attributes:
        used_by: the agent that enrolled with it.
        is_expired: by the database's clock.
    """

    id: UUID
    domains: list[str]
    created_at: datetime
    expires_at: datetime
    used_at: datetime | None
    used_by: UUID | None
    is_expired: bool


class CodeUse(msgspec.Struct, frozen=True):
    """The answer to an attempt to use a code. `at` is when it was used before, by `agent`, or expired."""

    state: CodeState
    domains: tuple[str, ...] = ()
    at: datetime | None = None
    agent: UUID | None = None


class Presence(msgspec.Struct, frozen=True):
    """How many agents a domain has: enrolled for it, and heard from lately as serving it.

    Where the domain is assigned to agent groups, only their agents count.

    Attributes:
        silence: since any of them was heard from; None where none ever was.
    """

    assigned: int
    connected: int
    silence: timedelta | None


async def create_code(
    conn: AsyncConnection[Any], tenant: UUID, secret_hash: bytes, domains: Collection[str], lifetime: timedelta
) -> tuple[UUID, datetime]:
    """Store a new code and forget those of long ago; give its id, and the time it expires."""
    await conn.execute(
        "delete from enrolment_codes where tenant = %s and expires_at < now() - %s::interval", (tenant, KEEP_CODES)
    )
    cursor = await conn.execute(
        """insert into enrolment_codes (tenant, secret_hash, domains, expires_at)
           values (%s, %s, %s, now() + %s::interval) returning id, expires_at""",
        (tenant, secret_hash, sorted(domains), lifetime),
    )
    row = await cursor.fetchone()
    assert row is not None
    id, expires_at = row
    return id, expires_at


async def get_code(conn: AsyncConnection[Any], tenant: UUID, id: UUID) -> Code | None:
    """Look a code up, for who made it."""
    async with conn.cursor(row_factory=class_row(Code)) as cursor:
        await cursor.execute(
            """select id, domains, created_at, expires_at, used_at, used_by, expires_at <= now() as is_expired
               from enrolment_codes where tenant = %s and id = %s""",
            (tenant, id),
        )
        return await cursor.fetchone()


async def use_code(conn: AsyncConnection[Any], tenant: UUID, secret_hash: bytes, agent: UUID) -> CodeUse:
    """Use a code up. Of two that try at once, one finds it used."""
    cursor = await conn.execute(
        """update enrolment_codes set used_at = now(), used_by = %s
           where tenant = %s and secret_hash = %s and used_at is null and expires_at > now()
           returning domains""",
        (agent, tenant, secret_hash),
    )
    row = await cursor.fetchone()
    if row is not None:
        return CodeUse(CodeState.TAKEN, tuple(row[0]))
    cursor = await conn.execute(
        "select used_at, expires_at, used_by from enrolment_codes where tenant = %s and secret_hash = %s",
        (tenant, secret_hash),
    )
    row = await cursor.fetchone()
    if row is None:
        return CodeUse(CodeState.UNKNOWN)
    if row[0] is not None:
        return CodeUse(CodeState.USED, at=row[0], agent=row[2])
    return CodeUse(CodeState.EXPIRED, at=row[1])


async def insert(
    conn: AsyncConnection[Any],
    tenant: UUID,
    agent: UUID,
    *,
    machine_name: str,
    version: str,
    domains: Collection[str],
    public_key: bytes,
    certificate: bytes,
    expires_at: datetime,
    address: str,
) -> None:
    """Store an agent that has just enrolled."""
    await conn.execute(
        """insert into agents (tenant, id, machine_name, version, domains, public_key, certificate, expires_at, address)
           values (%s, %s, %s, %s, %s, %s, %s, %s, %s)""",
        (tenant, agent, machine_name, version, sorted(domains), public_key, certificate, expires_at, address),
    )


async def get(
    conn: AsyncConnection[Any], tenant: UUID, agent: UUID, heard_within: timedelta = HEARD_WITHIN
) -> Agent | None:
    """Look one agent up."""
    async with conn.cursor(row_factory=class_row(Agent)) as cursor:
        await cursor.execute(
            f"select {COLUMNS} from agents where tenant = %(tenant)s and id = %(agent)s",
            {"tenant": tenant, "agent": agent, "heard_within": heard_within},
        )
        return await cursor.fetchone()


async def list_all(conn: AsyncConnection[Any], tenant: UUID, heard_within: timedelta = HEARD_WITHIN) -> list[Agent]:
    """Give every agent, revoked ones included, the oldest first."""
    async with conn.cursor(row_factory=class_row(Agent)) as cursor:
        await cursor.execute(
            f"select {COLUMNS} from agents where tenant = %(tenant)s order by enrolled_at, id",
            {"tenant": tenant, "heard_within": heard_within},
        )
        return await cursor.fetchall()


async def presence(
    conn: AsyncConnection[Any], tenant: UUID, domain: str, heard_within: timedelta = HEARD_WITHIN
) -> Presence:
    """Count the agents of a domain. One that enrolled for it but does not have it in its settings is not connected."""
    cursor = await conn.execute(
        """select count(*), count(*) filter (where last_heard > now() - %s::interval and report -> 'domains' ? %s),
                  now() - max(last_heard)
           from agents where tenant = %s and revoked_at is null and %s = any(domains)
             and coalesce((select bool_or(assigned.agent is not distinct from agents.id) from assigned_agents assigned
                           where assigned.tenant = agents.tenant and assigned.domain = %s), true)""",
        (heard_within, domain, tenant, domain, domain),
    )
    row = await cursor.fetchone()
    assert row is not None
    return Presence(*row)


async def heard(conn: AsyncConnection[Any], tenant: UUID, agent: UUID, address: str) -> Agent | None:
    """Look up the agent that has just been heard from, and note that it was; at most every ten seconds."""
    async with conn.cursor(row_factory=class_row(Agent)) as cursor:
        await cursor.execute(
            f"""with heard as (
                    update agents set last_heard = now(), address = %(address)s
                    where tenant = %(tenant)s and id = %(agent)s and revoked_at is null
                      and (last_heard is null or last_heard < now() - interval '10 seconds' or address <> %(address)s)
                )
                select {COLUMNS} from agents where tenant = %(tenant)s and id = %(agent)s""",
            {"tenant": tenant, "agent": agent, "address": address, "heard_within": HEARD_WITHIN},
        )
        return await cursor.fetchone()


async def reported(
    conn: AsyncConnection[Any], tenant: UUID, agent: UUID, *, address: str, version: str, report: dict[str, Any]
) -> None:
    """Keep what an agent says of itself."""
    await conn.execute(
        """update agents set last_heard = now(), reported_at = now(), address = %s, version = %s, report = %s
           where tenant = %s and id = %s""",
        (address, version, Jsonb(report), tenant, agent),
    )


async def renew_certificate(
    conn: AsyncConnection[Any], tenant: UUID, agent: UUID, certificate: bytes, expires_at: datetime
) -> None:
    """Replace the certificate of an agent, whose key stays."""
    await conn.execute(
        "update agents set certificate = %s, expires_at = %s where tenant = %s and id = %s",
        (certificate, expires_at, tenant, agent),
    )


async def revoke(conn: AsyncConnection[Any], tenant: UUID, agent: UUID) -> bool:
    """Shut an agent out for good, and take from it what it is working at. False where there is no such agent.

    When this commits, the door wakes it if it waits there.
    """
    cursor = await conn.execute(
        """update agents set revoked_at = coalesce(revoked_at, now()) where tenant = %s and id = %s
           returning pg_notify(%s, id::text)""",
        (tenant, agent, CALLS),
    )
    if await cursor.fetchone() is None:
        return False
    await requests.release(conn, tenant, agent)
    return True
