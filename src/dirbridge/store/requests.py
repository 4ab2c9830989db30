"""What is asked of agents, and their answers, page by page.

A cycle creates a request and reads its pages in order (`service/relay/remote`); an agent takes it and posts them
(`service/relay/door`). Three leases hold it together, all by the database's clock: an agent that was offered a request
must say that it has it, one that works at it must renew it, and so must the reader; whoever falls silent loses it.

A request carries an attempt, raised each time it is handed out. Pages are keyed (request, attempt, number), so what an
agent sends that lost its request reaches nobody, and what is sent twice is stored once. Nothing here commits.
"""

from __future__ import annotations

from collections.abc import Collection
from datetime import timedelta
from enum import StrEnum
from typing import Any
from uuid import UUID

import msgspec
from psycopg import AsyncConnection
from psycopg.rows import class_row

REQUESTS = "dirbridge_requests"
"""Channel of NOTIFY: a request waits; the payload is its domain."""
PAGES = "dirbridge_pages"
"""Channel of NOTIFY: a page arrived; the payload is its request."""
ROOM = "dirbridge_room"
"""Channel of NOTIFY: a reader went on, so there is room for another page; the payload is the request."""


class Leases(msgspec.Struct, frozen=True):
    """How long each side may be silent.

    Attributes:
        offer: for an agent to say that it has received a request.
        silence: for an agent that works at a request.
        reader: for the cycle that waits for the answer.
        window: pages that may wait unread.
    """

    offer: timedelta = timedelta(seconds=10)
    silence: timedelta = timedelta(seconds=45)
    reader: timedelta = timedelta(seconds=60)
    window: int = 8


class Taken(msgspec.Struct, frozen=True):
    """A request as handed to an agent; `body` is a coded `contract.wire.Request`."""

    id: UUID
    attempt: int
    body: bytes


class PageState(StrEnum):
    """What became of a page that was posted."""

    STORED = "stored"
    REPEATED = "repeated"
    FULL = "full"
    GONE = "gone"


class Progress(msgspec.Struct, frozen=True):
    """Where a request stands, and the page that was asked for where it is there.

    Attributes:
        is_silent: the agent has lost its lease, or nobody has taken the request.
        body: a coded `contract.wire.Answer`; None where the page has not arrived.
    """

    state: str
    attempt: int
    is_silent: bool
    body: bytes | None
    is_last: bool | None


async def create(
    conn: AsyncConnection[Any], tenant: UUID, request: UUID, *, domain: str, replica: str | None, body: bytes
) -> None:
    """Ask something of the agents of a domain; they are woken when the transaction commits."""
    await conn.execute(
        """insert into agent_requests (tenant, id, domain, replica, body) values (%s, %s, %s, %s, %s)""",
        (tenant, request, domain, replica, body),
    )
    await conn.execute("select pg_notify(%s, %s)", (REQUESTS, domain))


async def take(
    conn: AsyncConnection[Any], tenant: UUID, agent: UUID, domains: Collection[str], leases: Leases
) -> Taken | None:
    """Hand the oldest open request of these domains to an agent; None where there is none.

    A domain that is assigned to agent groups is served by their agents only.
    An answer that was read in part is not handed on: its reader starts over from its own watermark. The agent has
    `leases.offer` to renew it for the first time, so that an assignment that was lost on its way is soon offered again.
    """
    async with conn.cursor(binary=True, row_factory=class_row(Taken)) as cursor:
        await cursor.execute(
            """with oldest as materialized (
                   select tenant, id from agent_requests
                   where tenant = %(tenant)s and domain = any(%(domains)s) and next_page = 0
                     and (state = 'waiting' or (state = 'taken' and renewed_at < now() - %(silence)s::interval))
                     and read_at > now() - %(reader)s::interval
                     and exists (select from agents where tenant = %(tenant)s and id = %(agent)s and revoked_at is null)
                     and coalesce((select bool_or(agent is not distinct from %(agent)s) from assigned_agents assigned
                                   where assigned.tenant = %(tenant)s and assigned.domain = agent_requests.domain),
                                  true)
                   order by created_at limit 1 for update skip locked
               )
               update agent_requests request
               set state = 'taken', attempt = attempt + 1, agent = %(agent)s,
                   renewed_at = clock_timestamp() - %(silence)s::interval + %(offer)s::interval
               from oldest
               where request.tenant = oldest.tenant and request.id = oldest.id
               returning request.id, request.attempt, request.body""",
            {
                "tenant": tenant,
                "agent": agent,
                "domains": sorted(domains),
                "silence": leases.silence,
                "offer": leases.offer,
                "reader": leases.reader,
            },
        )
        return await cursor.fetchone()


async def renew(
    conn: AsyncConnection[Any], tenant: UUID, request: UUID, attempt: int, agent: UUID, leases: Leases
) -> bool:
    """Keep a request for the agent that has it. False where it is no longer wanted, or not of this agent."""
    cursor = await conn.execute(
        """update agent_requests set renewed_at = greatest(renewed_at, clock_timestamp())
           where tenant = %s and id = %s and attempt = %s and agent = %s and state in ('taken', 'answered')
             and renewed_at > '-infinity' and read_at > now() - %s::interval
           returning id""",
        (tenant, request, attempt, agent, leases.reader),
    )
    return await cursor.fetchone() is not None


async def release(conn: AsyncConnection[Any], tenant: UUID, agent: UUID) -> int:
    """Take from an agent all that it was working at: its process has ended or begins anew. Gives how many."""
    cursor = await conn.execute(
        """with released as (
               update agent_requests set renewed_at = '-infinity'
               where tenant = %s and agent = %s and state = 'taken' returning id, domain
           )
           select pg_notify(channel, payload) from released,
               lateral (values (%s, domain), (%s, id::text)) as news (channel, payload)""",
        (tenant, agent, REQUESTS, PAGES),
    )
    return len(await cursor.fetchall()) // 2


async def insert_page(
    conn: AsyncConnection[Any],
    tenant: UUID,
    request: UUID,
    attempt: int,
    agent: UUID,
    number: int,
    *,
    body: bytes,
    is_last: bool,
    leases: Leases,
) -> PageState:
    """Store a page where it belongs to the present attempt and the reader is near enough; posting it renews the lease.

    The window is counted from the page that the reader wants next, so pages that overtake others cannot fill it.
    """
    values = {
        "tenant": tenant,
        "request": request,
        "attempt": attempt,
        "agent": agent,
        "number": number,
        "body": body,
        "is_last": is_last,
        "window": leases.window,
        "reader": leases.reader,
        "channel": PAGES,
    }
    cursor = await conn.execute(
        """with open as (
               update agent_requests
               set renewed_at = greatest(renewed_at, clock_timestamp()),
                   state = case when %(is_last)s then 'answered' else 'taken' end
               where tenant = %(tenant)s and id = %(request)s and attempt = %(attempt)s and agent = %(agent)s
                 and state = 'taken' and renewed_at > '-infinity' and read_at > now() - %(reader)s::interval
                 and %(number)s >= next_page and %(number)s < next_page + %(window)s
               returning id
           ), stored as (
               insert into agent_pages (tenant, request, attempt, number, body, is_last)
               select %(tenant)s, id, %(attempt)s, %(number)s, %(body)s, %(is_last)s from open
               on conflict do nothing returning request
           )
           select pg_notify(%(channel)s, request::text) from stored""",
        values,
    )
    if await cursor.fetchone() is not None:
        return PageState.STORED
    cursor = await conn.execute(
        """select %(number)s < next_page or exists (
                      select from agent_pages page
                      where page.tenant = request.tenant and page.request = request.id
                        and page.attempt = %(attempt)s and page.number = %(number)s),
                  state = 'taken' and renewed_at > '-infinity' and read_at > now() - %(reader)s::interval
           from agent_requests request
           where tenant = %(tenant)s and id = %(request)s and attempt = %(attempt)s and agent = %(agent)s""",
        values,
    )
    row = await cursor.fetchone()
    if row is None:
        return PageState.GONE
    is_repeated, is_open = row
    if is_repeated:
        return PageState.REPEATED
    return PageState.FULL if is_open else PageState.GONE


async def advance(
    conn: AsyncConnection[Any], tenant: UUID, request: UUID, number: int, leases: Leases
) -> Progress | None:
    """Read page `number` of the present attempt, having consumed all before it. None where the request is gone.

    What was consumed is deleted; who waits for room is woken. A look that finds nothing new locks no row: whoever
    would take the request just then skips what is locked.
    """
    async with conn.cursor(binary=True, row_factory=class_row(Progress)) as cursor:
        await cursor.execute(
            """with request as (
                   select tenant, id, state, attempt, next_page, read_at,
                       state = 'waiting' or state = 'taken' and renewed_at < now() - %(silence)s::interval as is_silent
                   from agent_requests where tenant = %(tenant)s and id = %(request)s
               ), kept as (
                   update agent_requests r set next_page = %(number)s, read_at = clock_timestamp() from request
                   where r.tenant = request.tenant and r.id = request.id
                     and (request.next_page <> %(number)s or request.read_at < now() - %(reader)s::interval / 8)
               ), consumed as (
                   delete from agent_pages
                   where tenant = %(tenant)s and request = %(request)s and number < %(number)s returning number
               ), woken as (
                   select pg_notify(%(channel)s, %(request)s::text) from consumed limit 1
               )
               select request.state, request.attempt, request.is_silent, page.body, page.is_last
               from request
               left join agent_pages page
                   on page.tenant = request.tenant and page.request = request.id
                  and page.attempt = request.attempt and page.number = %(number)s
               left join woken on true""",
            {
                "tenant": tenant,
                "request": request,
                "number": number,
                "silence": leases.silence,
                "reader": leases.reader,
                "channel": ROOM,
            },
        )
        return await cursor.fetchone()


async def attend(conn: AsyncConnection[Any], tenant: UUID, request: UUID) -> None:
    """Note that the reader of a request is still there."""
    await conn.execute(
        "update agent_requests set read_at = clock_timestamp() where tenant = %s and id = %s", (tenant, request)
    )


async def finish(conn: AsyncConnection[Any], tenant: UUID, request: UUID) -> None:
    """End a request, answered in full or no longer wanted: it and its pages go; its agent meets a 410."""
    await conn.execute("delete from agent_requests where tenant = %s and id = %s", (tenant, request))
    await conn.execute("select pg_notify(%s, %s)", (ROOM, str(request)))


async def sweep(conn: AsyncConnection[Any], tenant: UUID, domain: str, leases: Leases) -> int:
    """Delete the requests of a domain whose readers died. Gives how many."""
    cursor = await conn.execute(
        "delete from agent_requests where tenant = %s and domain = %s and read_at < now() - %s::interval",
        (tenant, domain, leases.reader),
    )
    return cursor.rowcount
