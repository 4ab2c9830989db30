"""The pool: transactions, restarts of the server, and what errors mean."""

import asyncio
import os
import signal
from collections.abc import AsyncIterator
from datetime import timedelta
from pathlib import Path

import psycopg
import pytest

from dirbridge.contract.errors import ConfigurationError, TransientError
from dirbridge.store.database import Conflict, Database, Failure, ValueRejected, conninfo, failure, savepoint
from dirbridge.store.embedded import EmbeddedServer, leftovers


@pytest.fixture
async def server(folder: Path) -> AsyncIterator[EmbeddedServer]:
    """A server of the test's own, to be killed."""
    async with EmbeddedServer(folder / "data", durable=False) as started:
        yield started


@pytest.fixture
async def table(database: Database) -> Database:
    async with database.connection() as conn:
        await conn.execute("create table kept (id integer primary key, name text check (name <> 'bad'))")
    return database


async def rows(database: Database) -> list[tuple[object, ...]]:
    async with database.connection() as conn:
        return await (await conn.execute("select id, name from kept order by id")).fetchall()


async def test_a_transaction_is_kept_or_undone(table: Database) -> None:
    """What ends without an exception is stored; what does not is undone; a connection alone stores at once."""
    async with table.transaction() as conn:
        await conn.execute("insert into kept values (1, 'kept')")
    with pytest.raises(ZeroDivisionError):
        async with table.transaction() as conn:
            await conn.execute("insert into kept values (2, 'undone')")
            raise ZeroDivisionError
    with pytest.raises(ZeroDivisionError):
        async with table.connection() as conn:
            await conn.execute("insert into kept values (3, 'at once')")
            raise ZeroDivisionError
    assert await rows(table) == [(1, "kept"), (3, "at once")]


async def test_a_savepoint_fails_alone(table: Database) -> None:
    """A refused value undoes its savepoint; the rest of the transaction is stored."""
    async with table.transaction() as conn:
        await conn.execute("insert into kept values (1, 'before')")
        with pytest.raises(ValueRejected) as raised:
            async with savepoint(conn):
                await conn.execute("insert into kept values (2, 'lost with the next')")
                await conn.execute("insert into kept values (3, 'bad')")
        await conn.execute("insert into kept values (4, 'after')")
    assert raised.value.details["constraint"] == "kept_name_check"
    assert await rows(table) == [(1, "before"), (4, "after")]


@pytest.mark.parametrize(
    ("statement", "value"),
    [
        ("insert into kept values (1, %s)", "with\0NUL"),
        ("insert into kept values (1, %s)", "lone \ud800 surrogate"),
        ("insert into kept values (%s, '')", 2**40),
        ("select %s::jsonb", '{"a": "\\u0000"}'),
        ("select %s::uuid", "no uuid"),
        ("select %s::timestamptz", "infinitely"),
        ("insert into kept values (%s, '')", None),
    ],
)
async def test_a_value_that_cannot_be_stored_is_rejected(table: Database, statement: str, value: object) -> None:
    """Whatever the way in which a value is bad, the error is the one that sets an entry aside."""
    with pytest.raises(ValueRejected):
        async with table.connection() as conn:
            await conn.execute(statement.encode(), [value])
    assert await rows(table) == []


async def test_a_deadlock_is_a_conflict(table: Database) -> None:
    """Of two transactions in each other's way one is undone, and said to be worth repeating."""
    async with table.connection() as conn:
        await conn.execute("insert into kept values (1, ''), (2, '')")
    together = asyncio.Barrier(2)

    async def update(first: int, second: int) -> None:
        async with table.transaction() as conn:
            await conn.execute("update kept set name = 'x' where id = %s", [first])
            await together.wait()
            await conn.execute("update kept set name = 'x' where id = %s", [second])

    results = await asyncio.gather(update(1, 2), update(2, 1), return_exceptions=True)
    assert sorted(type(result) for result in results if result) == [Conflict]


async def test_a_statement_that_takes_too_long_ends(database_url: str) -> None:
    """Statements and locks are waited for within limits."""
    async with Database(database_url, statement_timeout=timedelta(milliseconds=50)) as database:
        with pytest.raises(TransientError) as raised:
            async with database.connection() as conn:
                await conn.execute("select pg_sleep(60)")
        assert raised.value.code == "DatabaseTimeout"


async def test_connections_in_use_are_no_fault_of_the_server(database_url: str) -> None:
    """Who gets no connection in time is told that all are in use."""
    async with Database(database_url, most=1, patience=timedelta(seconds=0.2)) as database, database.connection():
        with pytest.raises(TransientError, match="All 1 connections") as raised:
            async with database.connection():
                pass
        assert raised.value.code == "DatabaseBusy"


async def test_a_session_that_the_server_ended_is_not_handed_out(database_url: str) -> None:
    """A connection that lay in the pool when its session ended is replaced before anybody meets it."""
    async with Database(database_url, most=1) as database:
        async with database.connection() as conn:
            pid = conn.info.backend_pid
        other = await database.standalone()
        async with other:
            await other.execute("select pg_terminate_backend(%s, 10000)", (pid,))
        for _ in range(3):
            async with database.connection() as conn:
                assert await (await conn.execute("select pg_backend_pid() <> %s", (pid,))).fetchone() == (True,)


async def test_a_restart_is_waited_through(server: EmbeddedServer) -> None:
    """Kill -9 of the server: what was under way fails as transient, what comes next waits until it is back."""
    async with Database(server.url()) as database:
        async with database.connection() as conn:
            await conn.execute("create table kept (id integer primary key, name text)")
        old = set(leftovers.processes(server.folder))
        with pytest.raises(TransientError) as raised:
            async with database.transaction() as conn:
                await conn.execute("insert into kept values (1, 'undone')")
                assert server.pid is not None
                os.kill(server.pid, signal.SIGKILL)
                while True:
                    await conn.execute("select 1")
        assert raised.value.code == "DatabaseUnavailable"
        # Backends notice the death of their server one by one; from then on nothing answers before it is back.
        async with asyncio.timeout(30):
            while old & set(leftovers.processes(server.folder)):
                await asyncio.sleep(0.01)
        results = await asyncio.gather(*(rows(database) for _ in range(10)))
        assert results == [[]] * 10


async def test_a_server_that_stays_away(server: EmbeddedServer) -> None:
    """After the patience the error says that the database is gone; once it is back, the same pool works."""
    async with Database(server.url(), patience=timedelta(seconds=0.5)) as database:
        async with database.connection() as conn:
            await conn.execute("select 1")
        await server.stop()
        with pytest.raises(TransientError) as raised:
            async with database.connection():
                pass
        assert raised.value.code == "DatabaseUnavailable"
        await server.start()
        async with asyncio.timeout(30):
            while True:
                try:
                    async with database.connection() as conn:
                        await conn.execute("select 1")
                        break
                except TransientError:
                    continue


async def test_a_full_disk_is_transient(database: Database) -> None:
    """PostgreSQL's word for a full disk becomes one that says what to do."""
    with pytest.raises(TransientError) as raised:
        async with database.connection() as conn:
            await conn.execute("do $$ begin raise exception 'could not extend file' using errcode = '53100'; end $$")
    assert raised.value.code == "DiskFull"
    assert "Free some space" in raised.value.recommended_action


async def test_our_own_faults_stay_what_they_are(database: Database) -> None:
    """A statement that is wrong is no matter for an operator."""
    with pytest.raises(psycopg.errors.UndefinedTable) as raised:
        async with database.connection() as conn:
            await conn.execute("select * from nowhere")
    assert failure(raised.value) is Failure.OTHER


def test_a_url_that_is_none() -> None:
    """The error says how a URL is written."""
    with pytest.raises(ConfigurationError) as raised:
        conninfo("postgres//nowhere")
    assert "postgresql://" in raised.value.recommended_action


def test_options_of_the_url_win() -> None:
    """An operator's own options come after ours, so they hold."""
    made = psycopg.conninfo.conninfo_to_dict(
        conninfo("postgresql:///d?options=-c%20statement_timeout%3D5&connect_timeout=1", statement_timeout=timedelta(1))
    )
    assert str(made["options"]).endswith("-c statement_timeout=5")
    assert made["connect_timeout"] == "1"
