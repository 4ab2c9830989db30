"""Requests and pages: leases, attempts and the window, by the database's clock."""

import asyncio
from datetime import UTC, datetime, timedelta
from uuid import UUID, uuid4

import msgspec
import pytest

from dirbridge.store import agent_groups, agents, assertions, identity, requests
from dirbridge.store.agent_groups import Group, Resource
from dirbridge.store.agents import CodeState
from dirbridge.store.database import Connection, Database
from dirbridge.store.listener import Listener
from dirbridge.store.requests import Leases, PageState

TENANT = UUID(int=1)
ANNA, BERT = UUID(int=10), UUID(int=11)
LONG = Leases(offer=timedelta(hours=1), silence=timedelta(hours=1), reader=timedelta(hours=1), window=3)
OVER = timedelta(seconds=-1)
"""A lease of this length is over when it begins."""

pytestmark = pytest.mark.service


@pytest.fixture
async def stored(database: Database) -> Database:
    """A tenant with two agents for one domain."""
    async with database.transaction() as conn:
        await identity.create_tenant(conn, TENANT, name="T", initial_domain="t.test", base_url="https://t.test")
        for agent in (ANNA, BERT):
            await _insert_agent(conn, agent)
    return database


async def _insert_agent(conn: object, agent: UUID) -> None:
    await agents.insert(
        conn,  # type: ignore[arg-type]
        TENANT,
        agent,
        machine_name="host",
        version="1",
        domains=["a.test"],
        public_key=b"k",
        certificate=b"c",
        expires_at=datetime.now(UTC) + timedelta(days=1),
        address="127.0.0.1",
    )


async def make(database: Database, request: UUID) -> None:
    async with database.transaction() as conn:
        await requests.create(conn, TENANT, request, domain="a.test", replica=None, body=b"ask")


async def take(database: Database, agent: UUID, leases: Leases = LONG, domain: str = "a.test") -> UUID | None:
    async with database.connection() as conn:
        taken = await requests.take(conn, TENANT, agent, [domain], leases)
    return taken.id if taken else None


async def post(
    database: Database, request: UUID, number: int, *, attempt: int = 1, agent: UUID = ANNA, is_last: bool = False
) -> PageState:
    async with database.connection() as conn:
        return await requests.insert_page(
            conn, TENANT, request, attempt, agent, number, body=b"page %d" % number, is_last=is_last, leases=LONG
        )


async def look(database: Database, request: UUID, number: int, leases: Leases = LONG) -> requests.Progress | None:
    async with database.connection() as conn:
        return await requests.advance(conn, TENANT, request, number, leases)


async def test_oldest_request_goes_to_one_agent(stored: Database) -> None:
    """Requests are handed out in order, each to one agent, and only for its domains."""
    first, second = uuid4(), uuid4()
    await make(stored, first)
    await make(stored, second)
    assert await take(stored, ANNA, domain="b.test") is None
    taken = await asyncio.gather(*(take(stored, agent) for agent in (ANNA, BERT) * 4))
    assert sorted(request for request in taken if request) == sorted([first, second])
    assert await take(stored, ANNA) is None


async def test_silent_agent_loses_its_request(stored: Database) -> None:
    """When the lease is over another attempt begins; the first agent's pages and renewals are refused."""
    request = uuid4()
    await make(stored, request)
    await take(stored, ANNA)
    assert await post(stored, request, 0) is PageState.STORED
    late = msgspec.structs.replace(LONG, silence=OVER, offer=OVER)
    assert await take(stored, BERT, late) == request
    assert await post(stored, request, 1) is PageState.GONE
    async with stored.connection() as conn:
        assert not await requests.renew(conn, TENANT, request, 1, ANNA, LONG)
        assert await requests.renew(conn, TENANT, request, 2, BERT, LONG)
        assert not await requests.renew(conn, TENANT, request, 2, ANNA, LONG)
    progress = await look(stored, request, 0)
    assert progress is not None
    assert (progress.attempt, progress.body) == (2, None)
    assert await post(stored, request, 0, attempt=2, agent=BERT, is_last=True) is PageState.STORED
    assert await look(stored, request, 0) == requests.Progress("answered", 2, False, b"page 0", True)


async def test_answer_that_was_read_in_part_is_not_handed_on(stored: Database) -> None:
    """Its reader starts over; a second agent would work for nobody."""
    request = uuid4()
    await make(stored, request)
    await take(stored, ANNA)
    await post(stored, request, 0)
    await look(stored, request, 1)
    late = msgspec.structs.replace(LONG, silence=OVER)
    assert await take(stored, BERT, late) is None
    progress = await look(stored, request, 1, late)
    assert progress is not None
    assert progress.is_silent


async def test_complete_answer_is_not_handed_on(stored: Database) -> None:
    """An agent that has delivered everything may fall silent."""
    request = uuid4()
    await make(stored, request)
    await take(stored, ANNA)
    await post(stored, request, 0, is_last=True)
    late = msgspec.structs.replace(LONG, silence=OVER)
    assert await take(stored, BERT, late) is None
    assert await look(stored, request, 0, late) == requests.Progress("answered", 1, False, b"page 0", True)


async def test_window_counts_from_what_the_reader_wants(stored: Database) -> None:
    """Pages that overtake cannot fill the window: the one that is wanted always finds room."""
    request = uuid4()
    await make(stored, request)
    await take(stored, ANNA)
    states = [await post(stored, request, number) for number in (2, 1, 3, 0, 0, 4)]
    stored_, full, repeated = PageState.STORED, PageState.FULL, PageState.REPEATED
    assert states == [stored_, stored_, full, stored_, repeated, full]
    await look(stored, request, 1)
    assert await post(stored, request, 3) is stored_
    assert await post(stored, request, 0) is repeated
    async with stored.connection() as conn:
        rows = await (await conn.execute("select number from agent_pages order by number")).fetchall()
    assert [row[0] for row in rows] == [1, 2, 3]


async def test_request_of_a_dead_reader(stored: Database) -> None:
    """It is not handed out, its agent is told to drop it, and the next request sweeps it away."""
    dead = msgspec.structs.replace(LONG, reader=OVER)
    request = uuid4()
    await make(stored, request)
    assert await take(stored, ANNA, dead) is None
    await take(stored, ANNA)
    async with stored.connection() as conn:
        assert not await requests.renew(conn, TENANT, request, 1, ANNA, dead)
        assert await requests.sweep(conn, TENANT, "a.test", LONG) == 0
        assert await requests.sweep(conn, TENANT, "a.test", dead) == 1
        assert not await requests.renew(conn, TENANT, request, 1, ANNA, LONG)


async def test_release(stored: Database) -> None:
    """What an agent gives back is free at once, and it cannot go on with it."""
    request, other = uuid4(), uuid4()
    await make(stored, request)
    await take(stored, ANNA)
    await make(stored, other)
    await take(stored, BERT)
    async with stored.connection() as conn:
        assert await requests.release(conn, TENANT, ANNA) == 1
        assert not await requests.renew(conn, TENANT, request, 1, ANNA, LONG)
        assert await requests.renew(conn, TENANT, other, 1, BERT, LONG)
    assert await post(stored, request, 0) is PageState.GONE
    assert await take(stored, BERT) == request


async def test_revoked_agent_gets_nothing(stored: Database) -> None:
    """Also in the middle of a wait for a request."""
    first, second = uuid4(), uuid4()
    await make(stored, first)
    assert await take(stored, ANNA) == first
    async with stored.connection() as conn:
        assert await agents.revoke(conn, TENANT, ANNA)
        assert not await agents.revoke(conn, TENANT, uuid4())
    await make(stored, second)
    assert await take(stored, ANNA) is None
    assert {await take(stored, BERT), await take(stored, BERT)} == {first, second}


async def test_a_domain_that_is_assigned_to_groups(stored: Database) -> None:
    """Only the agents of its groups get its requests and count as its agents; without groups every one does."""
    east, west, domain = Group(uuid4(), "East"), Group(uuid4(), "West"), Resource(uuid4(), "A", "a.test")
    first, second = uuid4(), uuid4()
    await make(stored, first)
    async with stored.connection() as conn:
        for group in (east, west):
            await agent_groups.put_group(conn, TENANT, group)
        await agent_groups.put_resource(conn, TENANT, domain)
        await agent_groups.assign_agent(conn, TENANT, east.id, ANNA)
        assert (await agents.presence(conn, TENANT, "a.test")).assigned == 2
        await agent_groups.assign_resource(conn, TENANT, west.id, domain.id)
        assert (await agents.presence(conn, TENANT, "a.test")).assigned == 0
    assert (await take(stored, ANNA), await take(stored, BERT)) == (None, None)
    async with stored.connection() as conn:
        await agent_groups.assign_resource(conn, TENANT, east.id, domain.id)
        assert (await agents.presence(conn, TENANT, "a.test")).assigned == 1
    assert (await take(stored, BERT), await take(stored, ANNA)) == (None, first)
    await make(stored, second)
    async with stored.connection() as conn:
        for group in (east, west):
            await agent_groups.delete_group(conn, TENANT, group.id)
        assert (await agents.presence(conn, TENANT, "a.test")).assigned == 2
    assert await take(stored, BERT) == second


async def counted(conn: Connection, domain: str, heard_within: timedelta = agents.HEARD_WITHIN) -> tuple[int, int]:
    """Agents enrolled and connected."""
    presence = await agents.presence(conn, TENANT, domain, heard_within)
    return presence.assigned, presence.connected


async def test_presence(stored: Database) -> None:
    """An agent counts as connected where it was heard from lately and says that it serves the domain."""
    async with stored.connection() as conn:
        assert await counted(conn, "a.test") == (2, 0)
        await agents.heard(conn, TENANT, ANNA, "::1")
        assert await counted(conn, "a.test") == (2, 0)
        await agents.reported(conn, TENANT, ANNA, address="::1", version="2", report={"domains": ["a.test"]})
        assert await counted(conn, "a.test") == (2, 1)
        assert await counted(conn, "a.test", OVER) == (2, 0)
        assert await counted(conn, "b.test") == (0, 0)
        await agents.revoke(conn, TENANT, ANNA)
        assert await counted(conn, "a.test") == (1, 0)


async def test_presence_tells_how_long_nobody_was_heard(stored: Database) -> None:
    """By the agent that was heard last; nothing where none ever was."""
    async with stored.transaction() as conn:
        assert (await agents.presence(conn, TENANT, "a.test")).silence is None
        for agent, ago in ((ANNA, 60), (BERT, 20)):
            heard = f"update agents set last_heard = now() - interval '{ago} seconds' where id = %s"
            await conn.execute(heard.encode(), (agent,))
        assert (await agents.presence(conn, TENANT, "a.test")).silence == timedelta(seconds=20)


async def test_codes(stored: Database) -> None:
    """A code is taken once and in time, and what else it is can be told."""
    async with stored.connection() as conn:
        await agents.create_code(conn, TENANT, b"good", ["b.test", "a.test"], timedelta(minutes=1))
        await agents.create_code(conn, TENANT, b"old", ["a.test"], OVER)
        taken = await agents.use_code(conn, TENANT, b"good", ANNA)
        assert (taken.state, taken.domains) == (CodeState.TAKEN, ("a.test", "b.test"))
        used = await agents.use_code(conn, TENANT, b"good", BERT)
        assert (used.state, used.agent) == (CodeState.USED, ANNA)
        assert (await agents.use_code(conn, TENANT, b"old", BERT)).state is CodeState.EXPIRED
        assert (await agents.use_code(conn, TENANT, b"none", BERT)).state is CodeState.UNKNOWN


async def test_assertions(stored: Database) -> None:
    """One use each; what has expired is forgotten."""
    async with stored.connection() as conn:
        assert await assertions.use(conn, TENANT, "a", "1", OVER)
        assert not await assertions.use(conn, TENANT, "a", "1", timedelta(minutes=1))
        assert await assertions.use(conn, TENANT, "b", "1", timedelta(minutes=1))
        assert await assertions.use(conn, TENANT, "a", "2", timedelta(minutes=1))
        rows = await (await conn.execute("select issuer, jti from used_assertions order by 1, 2")).fetchall()
        assert rows == [("a", "2"), ("b", "1")]


async def test_bells_ring_for_their_topic_and_after_a_lost_connection(stored: Database) -> None:
    """A waiter is woken by its own notifications, and once more when the connection is back."""
    async with Listener(stored, [requests.REQUESTS, requests.PAGES]) as listener:
        await listener.connected.wait()
        with (
            listener.watch((requests.REQUESTS, "a.test")) as mine,
            listener.watch((requests.REQUESTS, "b.test"), (requests.PAGES, "a.test")) as other,
        ):
            await make(stored, uuid4())
            assert await mine.wait(10)
            assert not await mine.wait(0)
            assert not await other.wait(0)
            async with stored.connection() as conn:
                await conn.execute(
                    """select pg_terminate_backend(pid) from pg_stat_activity
                       where datname = current_database() and query ilike 'listen%'"""
                )
            assert await other.wait(10)
            await make(stored, uuid4())
            assert await mine.wait(10)
