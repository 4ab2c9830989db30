"""Brings a database's tables to what this release needs: ours by Alembic, Procrastinate's beside them.

`service.app` calls it before anything else opens the database. It may be called by any number of processes at once.
"""

from __future__ import annotations

import asyncio
import logging
from datetime import timedelta
from functools import cache
from importlib import resources
from pathlib import Path
from typing import Any

import psycopg
from alembic import command
from alembic.config import Config
from alembic.script import ScriptDirectory
from alembic.util import CommandError
from procrastinate.schema import SchemaManager
from psycopg import AsyncConnection, Connection, sql
from sqlalchemy import NullPool, create_engine
from sqlalchemy.exc import DBAPIError

from dirbridge.contract.errors import ConfigurationError, DirbridgeError
from dirbridge.store import migrations
from dirbridge.store.database import conninfo, translate

logger = logging.getLogger(__name__)

LOCK = 0x64697262726964  # "dirbrid": any number that nobody else takes for an advisory lock
OLDEST = 140000
QUEUE = "procrastinate"


async def migrate(url: str) -> None:
    """Create or bring up to date all tables; does nothing where they are.

    Raises:
        ConfigurationError: the server is too old, its database unfit, newer than this release, or not ours to change.
        TransientError: the server does not answer.
    """
    await asyncio.to_thread(_migrate, url)


async def is_current(connection: AsyncConnection[Any]) -> bool:
    """Tell whether a database has exactly the tables of this release."""
    found = await connection.execute("select version_num from alembic_version")
    return [version for (version,) in await found.fetchall()] == list(_heads())


@cache
def _heads() -> tuple[str, ...]:
    return tuple(ScriptDirectory(str(Path(migrations.__file__).parent)).get_heads())


def _migrate(url: str) -> None:
    target = conninfo(url, name="dirbridge migrate", lock_timeout=timedelta(minutes=5))
    try:
        with psycopg.connect(target, autocommit=True) as connection:
            _check_server(connection)
            # Held by the session, so it is free again however this process ends.
            connection.execute("select pg_advisory_lock(%s)", (LOCK,))
            _migrate_ours(target)
            _migrate_queue(connection)
    except psycopg.Error as error:
        raise _plain(error) from error
    except DBAPIError as error:  # Alembic's statements come wrapped once more
        if isinstance(error.orig, psycopg.Error):
            raise _plain(error.orig) from error
        raise
    except CommandError as error:
        raise ConfigurationError(
            f"The database was changed by a newer release of dirbridge: {error}.",
            code="DatabaseIsNewer",
            recommended_action="Install that release or a later one.",
        ) from error


def _check_server(connection: Connection) -> None:
    version = connection.info.server_version
    if version < OLDEST:
        raise ConfigurationError(
            f"The database server is PostgreSQL {version // 10000}; dirbridge needs {OLDEST // 10000} or later.",
            code="DatabaseTooOld",
            recommended_action="Give a newer server with --database-url, or leave it out to use the embedded one.",
        )
    encoding = connection.info.parameter_status("server_encoding")
    if encoding != "UTF8":
        raise ConfigurationError(
            f"The database '{connection.info.dbname}' has the encoding {encoding}; names of people need UTF8.",
            code="DatabaseEncoding",
            recommended_action="Create it anew with: create database dirbridge encoding 'UTF8' template template0",
        )


def _migrate_ours(target: str) -> None:
    config = Config()
    config.set_main_option("script_location", str(Path(migrations.__file__).parent))
    config.set_main_option("path_separator", "os")
    engine = create_engine("postgresql+psycopg://", creator=lambda: psycopg.connect(target), poolclass=NullPool)
    with engine.connect() as connection:
        config.attributes["connection"] = connection
        command.upgrade(config, "head")
        connection.commit()


def _migrate_queue(connection: Connection) -> None:
    """Apply Procrastinate's schema, later its migrations, in a schema of its own.

    Its functions name its tables without a schema, so every session has both schemas on its search path.
    """
    files = resources.files("procrastinate.sql") / "migrations"
    names = sorted(file.name for file in files.iterdir() if file.name.endswith(".sql"))
    with connection.transaction():
        connection.execute(sql.SQL("create schema if not exists {}").format(sql.Identifier(QUEUE)))
        connection.execute(sql.SQL("set local search_path = {}").format(sql.Identifier(QUEUE)))
        is_new = connection.execute("select to_regclass('applied') is null").fetchone() == (True,)
        if is_new:
            connection.execute("create table applied (name text primary key)")
            connection.execute(SchemaManager.get_schema().encode())
        else:
            applied = {name for (name,) in connection.execute("select name from applied")}
            names = [name for name in names if name not in applied]
            for name in names:
                logger.info("Applying the queue's migration %s.", name, extra={"event": "queue.migrated"})
                connection.execute((files / name).read_text(encoding="utf-8").encode())
        connection.execute("insert into applied select unnest(%s::text[])", (names,))


def _plain(error: psycopg.Error) -> DirbridgeError | psycopg.Error:
    """Say what somebody must change; a server that does not answer is waited for."""
    said = str(error).strip().split("\n")[0]
    if error.sqlstate == "42501":  # insufficient_privilege
        return ConfigurationError(
            f"The database's user may not create what dirbridge needs: {said}.",
            code="DatabasePermission",
            recommended_action="Make that user the owner of the database.",
        )
    # Where a connection is refused, libpq hands on no code, only the server's words.
    if any(word in said for word in ("authentication failed", "does not exist", "no pg_hba.conf entry")):
        return ConfigurationError(
            f"The database server refuses the connection: {said}.",
            code="DatabaseRefused",
            recommended_action="Correct the database URL, or create the user and the database that it names.",
        )
    return translate(error) or error
