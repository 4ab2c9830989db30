"""Connections to PostgreSQL, and what its errors mean.

`Database` is opened once a process and handed to whoever stores something. Outside this room nobody needs psycopg's
exceptions: what somebody must react to is raised as one of

    TransientError   DatabaseUnavailable     the server is gone or restarting; what was under way is undone
                     DatabaseBusy            every connection is in use
                     DatabaseTimeout         a statement or a lock took too long
                     DiskFull                the server's disk is full
    └── Conflict     DatabaseConflict        deadlock or serialization failure: repeat the transaction
    ValueRejected    ValueRejected           the server takes a value no more than its constraint or type allows

Everything else psycopg raises is a fault of ours and stays as it is.
"""

from __future__ import annotations

import asyncio
import contextlib
import copy
import logging
import select
import time
from collections.abc import AsyncIterator, Iterator
from datetime import timedelta
from enum import StrEnum
from types import TracebackType
from typing import Any, Self, TypeAlias

import psycopg
from psycopg import AsyncConnection
from psycopg.conninfo import conninfo_to_dict, make_conninfo
from psycopg.rows import TupleRow
from psycopg_pool import AsyncConnectionPool, PoolTimeout

from dirbridge.contract.errors import ConfigurationError, DirbridgeError, TransientError
from dirbridge.store import arrays

logger = logging.getLogger(__name__)

Connection: TypeAlias = AsyncConnection[Any]
"""What the rooms above pass on without using it themselves."""

SEARCH_PATH = "public,procrastinate"
SLICE = 2.0
"""Seconds after which the pool is asked again: it tries to connect anew when it is asked, so this bounds how long a
server that is back goes unnoticed."""


class Conflict(TransientError):
    """Two transactions got in each other's way and this one was undone: repeat it."""

    code = "DatabaseConflict"


class ValueRejected(DirbridgeError):
    """The database refuses a value; the transaction, or the savepoint, is undone."""

    code = "ValueRejected"


class Failure(StrEnum):
    """What an error of PostgreSQL means for who met it."""

    UNAVAILABLE = "DatabaseUnavailable"
    CONFLICT = "DatabaseConflict"
    TIMEOUT = "DatabaseTimeout"
    DISK_FULL = "DiskFull"
    VALUE = "ValueRejected"
    OTHER = "Other"


def failure(error: psycopg.Error) -> Failure:
    """Say what an error means.

    Source: PostgreSQL manual, appendix A, "PostgreSQL Error Codes".
    """
    match error.sqlstate:
        case "40001" | "40P01":  # serialization_failure, deadlock_detected
            return Failure.CONFLICT
        case "57014" | "55P03":  # query_canceled (statement_timeout), lock_not_available (lock_timeout)
            return Failure.TIMEOUT
        case "53100":  # disk_full
            return Failure.DISK_FULL
        # admin_shutdown, crash_shutdown, cannot_connect_now, idle_session_timeout, idle_in_transaction_session_timeout,
        # out_of_memory, too_many_connections; read_only_sql_transaction: a server that stayed behind in a fail-over
        case "57P01" | "57P02" | "57P03" | "57P05" | "25P03" | "53200" | "53300" | "25006":
            return Failure.UNAVAILABLE
        case None if isinstance(error, psycopg.OperationalError | psycopg.InterfaceError):
            return Failure.UNAVAILABLE  # libpq lost the connection; there is no code where no server speaks
        case None if isinstance(error, psycopg.DataError):
            return Failure.VALUE  # psycopg refuses what it cannot send, such as NUL in text
        case str(state) if state.startswith("08"):  # connection_exception
            return Failure.UNAVAILABLE
        # data_exception, integrity_constraint_violation, program_limit_exceeded (a value too long for its index)
        case str(state) if state[:2] in {"22", "23", "54"}:
            return Failure.VALUE
    return Failure.OTHER


def translate(error: psycopg.Error) -> DirbridgeError | None:
    """Turn an error of psycopg into one of ours; None where it is a fault of our own."""
    said = (error.diag.message_primary or str(error)).strip().split("\n")[0] or type(error).__name__
    match failure(error):
        case Failure.UNAVAILABLE:
            return unavailable(said)
        case Failure.CONFLICT:
            return Conflict(f"The database undid a transaction that got in the way of another: {said}.")
        case Failure.TIMEOUT:
            return TransientError(f"The database took too long: {said}.", code="DatabaseTimeout")
        case Failure.DISK_FULL:
            return TransientError(
                f"The database's disk is full: {said}.",
                code="DiskFull",
                recommended_action="Free some space there; work goes on by itself.",
            )
        case Failure.VALUE:
            named = {
                "constraint": error.diag.constraint_name,
                "column": error.diag.column_name,
                "table": error.diag.table_name,
                "sqlstate": error.sqlstate,
            }
            return ValueRejected(
                f"The database refuses a value: {said}.",
                details={name: value for name, value in named.items() if value},
            )
        case Failure.OTHER:
            return None


def unavailable(said: str) -> TransientError:
    """The error for a server that does not answer."""
    return TransientError(
        f"The database is not available: {said.rstrip('.')}.",
        code=Failure.UNAVAILABLE,
        recommended_action="Look at the database server; work goes on by itself once it answers.",
    )


@contextlib.contextmanager
def plain_errors() -> Iterator[None]:
    """Raise our errors in place of psycopg's."""
    try:
        yield
    except psycopg.Error as error:
        ours = translate(error)
        if ours is None:
            raise
        raise ours from error
    except UnicodeEncodeError as error:
        raise ValueRejected(f"A text cannot be stored: {error.reason} at position {error.start}.") from error


@contextlib.asynccontextmanager
async def savepoint(connection: AsyncConnection[Any]) -> AsyncIterator[None]:
    """A part of a transaction that can fail alone, with our errors.

    Outside a transaction it is one.
    """
    with plain_errors():
        async with connection.transaction():
            yield


class Database:
    """A pool of connections to one database.

    Args:
        url: a libpq connection string or URL.
        most: how many connections are open at once.
        patience: how long to wait for a connection, through a restart of the server, before giving up.
        statement_timeout, lock_timeout: limits for a single statement.
        name: what PostgreSQL shows as the application's name.
    """

    def __init__(
        self,
        url: str,
        *,
        most: int = 20,
        patience: timedelta = timedelta(seconds=30),
        statement_timeout: timedelta = timedelta(minutes=10),
        lock_timeout: timedelta = timedelta(minutes=1),
        name: str = "dirbridge",
    ) -> None:
        self.url = url
        self._conninfo = conninfo(url, name=name, statement_timeout=statement_timeout, lock_timeout=lock_timeout)
        self._most = most
        self._patience = patience.total_seconds()
        self._pool: AsyncConnectionPool[AsyncConnection[TupleRow]] | None = None

    async def open(self) -> None:
        """Open the pool; does not wait for the server."""
        if self._pool is not None:
            return
        pool: AsyncConnectionPool[AsyncConnection[TupleRow]] = AsyncConnectionPool(
            self._conninfo,
            kwargs={"autocommit": True},
            configure=arrays.prepare,
            min_size=min(1, self._most),
            max_size=self._most,
            open=False,
            check=_check,
            timeout=SLICE,
            reconnect_timeout=2 * SLICE,
            name="dirbridge",
        )
        await pool.open()
        self._pool = pool

    def with_patience(self, patience: timedelta) -> Database:
        """Give the same pool, which must be open, to callers who wait otherwise; it is closed where it was opened."""
        other = copy.copy(self)
        other._patience = patience.total_seconds()  # noqa: SLF001 - it is one of us
        return other

    async def close(self) -> None:
        """Close the pool and its connections."""
        pool, self._pool = self._pool, None
        if pool is not None:
            await pool.close()

    async def __aenter__(self) -> Self:
        await self.open()
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        await self.close()

    @contextlib.asynccontextmanager
    async def connection(self) -> AsyncIterator[AsyncConnection[TupleRow]]:
        """A connection on which each statement is a transaction of its own."""
        pool = self._pool
        if pool is None:
            raise RuntimeError("The database has not been opened.")
        connection = await self._take(pool)
        try:
            with plain_errors():
                yield connection
        finally:
            await pool.putconn(connection)

    @contextlib.asynccontextmanager
    async def transaction(self) -> AsyncIterator[AsyncConnection[TupleRow]]:
        """A connection in a transaction: committed at the end, undone by any exception."""
        # The transaction ends inside `connection`, so that what its COMMIT raises is translated as well.
        async with self.connection() as connection, connection.transaction():
            yield connection

    async def standalone(self) -> AsyncConnection[TupleRow]:
        """A connection outside the pool, for LISTEN or a session's lock; the caller closes it."""
        with plain_errors():
            return await AsyncConnection.connect(self._conninfo, autocommit=True)

    async def _take(self, pool: AsyncConnectionPool[AsyncConnection[TupleRow]]) -> AsyncConnection[TupleRow]:
        deadline = time.monotonic() + self._patience
        while True:
            try:
                return await pool.getconn(timeout=max(0.1, min(SLICE, deadline - time.monotonic())))
            except PoolTimeout as error:
                if time.monotonic() < deadline:
                    continue
                await self._probe()
                raise TransientError(
                    f"All {self._most} connections to the database have been in use for {self._patience:.0f} seconds.",
                    code="DatabaseBusy",
                ) from error
            except psycopg.Error as error:
                raise unavailable(str(error)) from error

    async def _probe(self) -> None:
        """Say why the pool has no connection: raises unless the server answers."""
        with plain_errors():
            async with asyncio.timeout(10):
                await (await AsyncConnection.connect(self._conninfo)).close()


async def _check(connection: AsyncConnection[TupleRow]) -> None:
    """Make sure that a connection of the pool still has its server; raises where it has not.

    A server that ends, or ends a session, says so or closes the socket, and otherwise nothing comes unasked. So a
    socket without anything to read is as good as an answer, and costs no round trip.
    """
    socket = select.poll()
    socket.register(connection.fileno(), select.POLLIN)
    if socket.poll(0):
        await AsyncConnectionPool.check_connection(connection)


def conninfo(
    url: str,
    *,
    name: str = "dirbridge",
    statement_timeout: timedelta | None = None,
    lock_timeout: timedelta | None = None,
) -> str:
    """Complete a connection string by what our sessions rely on; what it says itself about time-outs holds.

    Raises:
        ConfigurationError: it is no connection string.
    """
    try:
        given = conninfo_to_dict(url)
    except psycopg.Error as error:
        raise ConfigurationError(
            f"The database URL cannot be read: {str(error).strip()}.",
            recommended_action="Write it as postgresql://user:password@host:5432/database.",
        ) from error
    settings = {"search_path": SEARCH_PATH, "timezone": "UTC"}
    for setting, limit in (("statement_timeout", statement_timeout), ("lock_timeout", lock_timeout)):
        if limit is not None:
            settings[setting] = str(int(limit.total_seconds() * 1000))
    options = " ".join(f"-c {setting}={value}" for setting, value in settings.items())
    defaults: dict[str, Any] = {
        "application_name": name,
        "client_encoding": "utf8",
        "connect_timeout": 5,
        "keepalives_idle": 15,
        "keepalives_interval": 5,
        "keepalives_count": 3,
        "tcp_user_timeout": 30000,
    }
    return make_conninfo(**{**defaults, **given, "options": f"{options} {given.get('options') or ''}".rstrip()})
