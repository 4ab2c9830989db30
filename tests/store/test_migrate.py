"""Migrations: from nothing, again, and from several processes at once."""

import asyncio

import psycopg
import pytest
from psycopg import sql

from dirbridge.contract.errors import ConfigurationError, TransientError
from dirbridge.store.database import Database, conninfo
from dirbridge.store.embedded import EmbeddedServer
from dirbridge.store.migrate import migrate


def tables(url: str) -> set[str]:
    with psycopg.connect(url) as connection:
        found = connection.execute(
            "select schemaname || '.' || tablename from pg_tables where schemaname in ('public', 'procrastinate')"
        )
        return {name for (name,) in found}


async def test_from_nothing(empty_database_url: str) -> None:
    """An empty database gets our tables and those of the queue, each in its schema."""
    await migrate(empty_database_url)
    found = tables(empty_database_url)
    assert {"public.jobs", "public.links", "public.events", "public.alembic_version"} <= found
    assert {"procrastinate.procrastinate_jobs", "procrastinate.procrastinate_workers"} <= found
    assert not {name for name in found if name.startswith("public.procrastinate")}


async def test_a_second_time_changes_nothing(database_url: str) -> None:
    """Migrating a migrated database leaves it as it is, rows included."""
    before = tables(database_url)
    async with Database(database_url) as database, database.connection() as connection:
        await connection.execute(
            "insert into tenants (id, name, initial_domain, base_url) values (gen_random_uuid(), 'a', 'b', 'c')"
        )
        await migrate(database_url)
        result = await connection.execute("select count(*) from tenants")
        assert await result.fetchone() == (1,)
    assert tables(database_url) == before


async def test_several_at_once(empty_database_url: str) -> None:
    """Processes that start together wait for one another, and all find the tables."""
    await asyncio.gather(*(migrate(empty_database_url) for _ in range(4)))
    assert "public.jobs" in tables(empty_database_url)


async def test_a_queue_migration_that_is_missing_is_applied(database_url: str) -> None:
    """What a later Procrastinate brings is applied once and remembered."""
    name = "03.03.00_01_pre_priority_lock_fetch_job.sql"
    with psycopg.connect(conninfo(database_url), autocommit=True) as connection:
        connection.execute("delete from procrastinate.applied where name = %s", [name])
        connection.execute("drop function procrastinate_fetch_job_v2")
        await migrate(database_url)
        found = connection.execute("select to_regproc('procrastinate.procrastinate_fetch_job_v2') is not null")
        assert found.fetchone() == (True,)
        assert connection.execute("select count(*) from procrastinate.applied where name = %s", [name]).fetchone() == (
            1,
        )


async def test_a_newer_database_is_refused(database_url: str) -> None:
    """A revision that this release does not know is no reason to guess."""
    with psycopg.connect(database_url, autocommit=True) as connection:
        connection.execute("update alembic_version set version_num = '9999'")
    with pytest.raises(ConfigurationError, match="newer release") as raised:
        await migrate(database_url)
    assert raised.value.code == "DatabaseIsNewer"


async def test_another_encoding_is_refused(postgres: EmbeddedServer, empty_database_url: str) -> None:
    """A database that cannot hold every name is refused before anything is stored."""
    name = f"{empty_database_url.split('?', maxsplit=1)[0].rsplit('/', 1)[1]}_latin"
    with psycopg.connect(postgres.url("postgres"), autocommit=True) as connection:
        connection.execute(
            sql.SQL("create database {} encoding 'LATIN1' locale_provider libc locale 'C' template template0").format(
                sql.Identifier(name)
            )
        )
        try:
            with pytest.raises(ConfigurationError, match="encoding LATIN1"):
                await migrate(postgres.url(name))
        finally:
            connection.execute(sql.SQL("drop database {} with (force)").format(sql.Identifier(name)))


async def test_a_missing_database_is_named(postgres: EmbeddedServer) -> None:
    """The error names the database that does not exist and says what to do."""
    with pytest.raises(ConfigurationError, match='"nowhere" does not exist') as raised:
        await migrate(postgres.url("nowhere"))
    assert "database URL" in raised.value.recommended_action


async def test_a_server_that_is_not_there_is_waited_for() -> None:
    """Nothing behind the URL is no fault of configuration yet: the service may start before its database."""
    with pytest.raises(TransientError) as raised:
        await migrate("postgresql://nobody@127.0.0.1:1/dirbridge")
    assert raised.value.code == "DatabaseUnavailable"
