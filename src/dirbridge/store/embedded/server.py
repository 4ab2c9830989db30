"""The server itself: made, started, watched, started again, ended."""

from __future__ import annotations

import asyncio
import contextlib
import fcntl
import hashlib
import json
import logging
import os
import shutil
import signal
import subprocess
import sys
import time
from pathlib import Path
from types import TracebackType
from typing import Self
from urllib.parse import quote

import psycopg
from psycopg import sql

from dirbridge.contract.errors import ConfigurationError, DirbridgeError, TransientError
from dirbridge.store.embedded import account, binaries, launcher, leftovers, refusals
from dirbridge.store.embedded.account import USER, Account
from dirbridge.store.embedded.configuration import ACCESS, SETTINGS

logger = logging.getLogger(__name__)

SOCKET_NAME = ".s.PGSQL.5432"
SOCKET_LIMIT = 107
"""Bytes that a Unix socket's path may have (unix(7): sun_path without its final NUL)."""
LOG_LIMIT = 10 * 1024 * 1024
READY = "ready"
FIRST_PAUSE, LONGEST_PAUSE, STEADY = 0.2, 30.0, 60.0


class EmbeddedServer:
    """A PostgreSQL server in a folder, for as long as this process lives.

    Args:
        data: the service's data folder; the database is its folder `postgres`, the server's log its `postgres.log`.
        durable: False gives up safety against a crash of the machine for speed; for tests.
        patience: how long a start may take; replaying what a crash left takes its time.

    `start`, `stop` and the watch belong to one event loop. The kernel ends the server with the *thread* that started
    it, so that loop should be the main thread's.

    Raises:
        ConfigurationError: from `start`, where somebody must change something first.
        TransientError: from `start`, where the server did not come up.
    """

    def __init__(self, data: Path, *, durable: bool = True, patience: float = 300.0) -> None:
        self.data = data.resolve()
        self.folder = self.data / "postgres"
        self.log = self.data / "postgres.log"
        self.restarts = 0
        self._durable = durable
        self._patience = patience
        self._socket = _socket_folder(self.data)
        self._account = Account(USER, None, None)
        self._binaries = Path()
        self._lock: int | None = None
        self._process: asyncio.subprocess.Process | None = None
        self._watch: asyncio.Task[None] | None = None

    @property
    def pid(self) -> int | None:
        """The server's process id while it runs."""
        return self._process.pid if self._process is not None and self._process.returncode is None else None

    def url(self, database: str = "dirbridge") -> str:
        """Where clients connect, as a libpq URL."""
        return f"postgresql:///{quote(database, safe='')}?host={quote(str(self._socket), safe='')}&user={USER}"

    async def start(self) -> None:
        """Make the database where there is none yet, start the server and wait until it answers."""
        if self._lock is not None:
            return
        try:
            await asyncio.to_thread(self._prepare)
            await self._launch()
            await self._create_database()
        except BaseException:
            await self._end()
            self._release()
            raise
        self._watch = asyncio.create_task(self._keep(), name="embedded PostgreSQL")

    async def stop(self) -> None:
        """End the server in good order: clients are cut off, what is committed is on the disk."""
        if self._watch is not None:
            self._watch.cancel()
            with contextlib.suppress(asyncio.CancelledError):
                await self._watch
            self._watch = None
        await self._end()
        self._release()

    async def __aenter__(self) -> Self:
        await self.start()
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        await self.stop()

    # Before the start -------------------------------------------------------------------------------------------------

    def _prepare(self) -> None:
        with refusals.plain_errors(self.data):
            if not self.data.exists():
                self.data.mkdir(parents=True)
                self.data.chmod(0o711 if os.geteuid() == 0 else 0o700)
            self._lock = _take_lock(self.data)
            self._account = account.ours()
            self._binaries = binaries.of(self._account)
            account.check_reachable(self._account, self.data)
            leftovers.clear(self.folder)
            if not (self.folder / "PG_VERSION").exists():
                self._make_database()
            binaries.check_version(self.folder)
            self._own_folder(self._socket)
            (self._socket / SOCKET_NAME).unlink(missing_ok=True)
            (self._socket / f"{SOCKET_NAME}.lock").unlink(missing_ok=True)
            self._configure()
            if self.log.exists() and self.log.stat().st_size > LOG_LIMIT:
                self.log.replace(self.log.with_suffix(".log.1"))

    def _own_folder(self, folder: Path) -> None:
        folder.mkdir(mode=0o700, exist_ok=True)
        found = folder.lstat()
        wanted = os.geteuid() if self._account.uid is None else self._account.uid
        if folder.is_symlink() or found.st_uid not in {wanted, os.geteuid()}:
            raise ConfigurationError(
                f"The folder '{folder}' belongs to user id {found.st_uid}, not to the database's user "
                f"'{self._account.name}' ({wanted}).",
                code="DataFolderNotWritable",
                recommended_action="Remove it, or give it to that user.",
            )
        folder.chmod(0o700)
        if self._account.uid is not None and self._account.gid is not None:
            os.chown(folder, self._account.uid, self._account.gid)

    def _make_database(self) -> None:
        """Run initdb beside the final place and move the result there: a half-made database is never taken for one."""
        making = self.data / "postgres.new"
        if making.exists():
            shutil.rmtree(making)
        if self.folder.exists():
            self.folder.rmdir()  # only an empty one goes
        self._own_folder(making)
        options = ["--username", USER, "--auth", "trust", "--encoding", "UTF8", "--no-instructions"]
        # The built-in provider orders text the same on every machine, whatever its C library.
        options += ["--locale", "C", "--locale-provider", "builtin", "--builtin-locale", "C.UTF-8"]
        if not self._durable:
            options.append("--no-sync")
        made = subprocess.run(
            self._as_user([str(self._binaries / "bin/initdb"), *options, "--pgdata", str(making)]),
            stdin=subprocess.DEVNULL,
            capture_output=True,
            text=True,
            check=False,
            cwd="/",
            env=_environment(),
        )
        if made.returncode != 0:
            shutil.rmtree(making, ignore_errors=True)
            raise refusals.start_failed(self.data, made.stderr or made.stdout)
        making.rename(self.folder)

    def _configure(self) -> None:
        memory = os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES") // 2**20
        settings = SETTINGS.format(
            socket=str(self._socket).replace("'", "''"),
            shared_buffers=max(64, min(512, memory // 16)) if self._durable else 64,
            cache=max(256, memory // 2),
            durable="on" if self._durable else "off",
        )
        if (self.folder / "local.conf").exists():
            settings += "include = 'local.conf'\n"
        for name, text in (("postgresql.conf", settings), ("pg_hba.conf", ACCESS)):
            new = self.folder / f"{name}.new"
            new.write_text(text)
            if self._account.uid is not None and self._account.gid is not None:
                os.chown(new, self._account.uid, self._account.gid)
            new.replace(self.folder / name)

    # Running ----------------------------------------------------------------------------------------------------------

    def _as_user(self, argv: list[str]) -> list[str]:
        plan = {"uid": self._account.uid, "gid": self._account.gid, "parent": os.getpid(), "argv": argv}
        return [sys.executable, "-I", "-S", launcher.__file__, json.dumps(plan)]

    async def _launch(self) -> None:
        with refusals.plain_errors(self.data), self.log.open("ab") as log:
            begin = log.tell()
            self._process = await asyncio.create_subprocess_exec(
                *self._as_user([str(self._binaries / "bin/postgres"), "-D", str(self.folder)]),
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=log,
                cwd="/",
                env=_environment(),
                start_new_session=True,  # Ctrl-C at the terminal is for us; the server is ended in its turn
            )
        deadline = time.monotonic() + self._patience
        while _status(self.folder, self._process.pid) != READY:
            if self._process.returncode is not None:
                raise refusals.start_failed(self.data, await asyncio.to_thread(_read_from, self.log, begin))
            if time.monotonic() > deadline:
                raise TransientError(
                    f"The embedded PostgreSQL in '{self.folder}' was not ready after {self._patience:.0f} seconds.",
                    code="DatabaseDidNotStart",
                    recommended_action=f"Look into '{self.log}'.",
                )
            await asyncio.sleep(0.02)
        logger.info(
            "Embedded PostgreSQL runs with process id %d.",
            self._process.pid,
            extra={"event": "database.started", "pid": self._process.pid},
        )

    async def _create_database(self) -> None:
        async with await psycopg.AsyncConnection.connect(self.url("postgres"), autocommit=True) as connection:
            found = await connection.execute("select 1 from pg_database where datname = %s", [USER])
            if await found.fetchone() is None:
                await connection.execute(sql.SQL("create database {}").format(sql.Identifier(USER)))

    async def _keep(self) -> None:
        """Start the server again whenever it ends without having been asked to."""
        pause = FIRST_PAUSE
        began = time.monotonic()
        while True:
            assert self._process is not None
            status = await self._process.wait()
            if time.monotonic() - began > STEADY:
                pause = FIRST_PAUSE
            logger.error(
                "Embedded PostgreSQL ended by itself with status %d; starting it again.",
                status,
                extra={"event": "database.died", "status": status},
            )
            await asyncio.sleep(pause)
            pause = min(2 * pause, LONGEST_PAUSE)
            began = time.monotonic()
            try:
                await asyncio.to_thread(leftovers.clear, self.folder)
                await self._launch()
            except (DirbridgeError, OSError) as error:
                logger.error(  # noqa: TRY400 - the error is a plain sentence; the trace says no more
                    "%s Trying again in %.0f seconds.", error, pause, extra={"event": "database.failed"}
                )
                # What still stands in the way is seen again, and told, by the next attempt.
                with contextlib.suppress(DirbridgeError, OSError):
                    await self._end()
            else:
                self.restarts += 1

    async def _end(self) -> None:
        process = self._process
        if process is None:
            return
        for step, wait in ((signal.SIGINT, 30), (signal.SIGQUIT, 10), (signal.SIGKILL, 10)):
            if process.returncode is not None:
                break
            with contextlib.suppress(ProcessLookupError):
                process.send_signal(step)
            with contextlib.suppress(TimeoutError):
                await asyncio.wait_for(process.wait(), wait)
        await asyncio.to_thread(leftovers.clear, self.folder)

    def _release(self) -> None:
        self._process = None
        if self._socket.parent != self.data:
            with contextlib.suppress(OSError):
                self._socket.rmdir()
        if self._lock is not None:
            os.close(self._lock)
            self._lock = None


def _status(folder: Path, process: int) -> str | None:
    """What the server with this process id wrote as its status, as pg_ctl reads it (line 8 of postmaster.pid)."""
    try:
        lines = (folder / "postmaster.pid").read_text().splitlines()
    except OSError:
        return None
    return lines[7].strip() if len(lines) > 7 and lines[0] == str(process) else None


def _socket_folder(data: Path) -> Path:
    folder = data / "run"
    if len(os.fsencode(folder / SOCKET_NAME)) <= SOCKET_LIMIT:
        return folder
    digest = hashlib.sha256(os.fsencode(data)).hexdigest()[:12]
    if os.geteuid() == 0:
        return Path(f"/run/dirbridge-{digest}")
    return Path(f"/tmp/dirbridge-{os.geteuid()}-{digest}")  # noqa: S108 - its owner is checked before it is used


def _environment() -> dict[str, str]:
    return {"PATH": "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin", "LC_ALL": "C", "TZ": "UTC"}


def _take_lock(data: Path) -> int:
    """Hold the folder for this process; the kernel lets go of it when the process ends, however it does."""
    lock = os.open(data / "postgres.lock", os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
    try:
        fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError as error:
        owner = os.read(lock, 20).decode(errors="replace").strip() or "unknown"
        os.close(lock)
        raise ConfigurationError(
            f"The data folder '{data}' is in use by another dirbridge (process id {owner}).",
            code="DataFolderInUse",
            recommended_action="Stop that one, or name another folder with --data. Several processes share one "
            "database with --database-url.",
        ) from error
    os.ftruncate(lock, 0)
    os.write(lock, f"{os.getpid()}\n".encode())
    return lock


def _read_from(path: Path, position: int) -> str:
    with path.open("rb") as file:
        file.seek(position)
        return file.read().decode(errors="replace")
