"""The demo for real: a domain controller, the service, an agent, a sync, a dozen changes, and nothing left behind."""

import asyncio
import json
import os
import re
import signal
import sys
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path

import pytest

from dirbridge.cli.demo import changes, company, ldap_changes

COMMAND = (sys.executable, "-c", "from dirbridge.cli.main import main; main()", "demo")

pytestmark = [pytest.mark.samba, pytest.mark.service, pytest.mark.timeout(420)]


@asynccontextmanager
async def demo(folder: Path, *arguments: str) -> AsyncIterator[asyncio.subprocess.Process]:
    """Start the demo with a folder of its own for everything temporary."""
    process = await asyncio.create_subprocess_exec(
        *COMMAND,
        *arguments,
        stdin=asyncio.subprocess.DEVNULL,
        stdout=asyncio.subprocess.PIPE,
        stderr=asyncio.subprocess.STDOUT,
        env={**os.environ, "TMPDIR": str(folder), "PYTHONUNBUFFERED": "1"},
    )
    try:
        yield process
    finally:
        if process.returncode is None:
            process.kill()
            await process.wait()


async def read_until(process: asyncio.subprocess.Process, pattern: str) -> str:
    """Read what the demo prints up to a line."""
    assert process.stdout is not None
    text = ""
    while line := (await process.stdout.readline()).decode():
        text += line
        if re.search(pattern, line):
            return text
    raise AssertionError(f"The demo ended without {pattern!r}:\n{text}")


def left(folder: Path) -> list[str]:
    """What is left: files, and processes that know of them."""
    found = [str(path) for path in folder.iterdir()]
    for directory in Path("/proc").iterdir():
        if not directory.name.isdigit() or int(directory.name) == os.getpid():
            continue
        try:
            line = (directory / "cmdline").read_bytes().replace(b"\0", b" ").decode(errors="replace")
            place = str((directory / "cwd").readlink())
        except OSError:
            continue
        if str(folder) in line or place.startswith(str(folder)):
            found.append(f"process {directory.name}: {line}")
    return found


async def nothing_left(folder: Path) -> None:
    """Wait until everything is gone that was told to go."""
    until = asyncio.get_running_loop().time() + 30
    while left(folder):
        assert asyncio.get_running_loop().time() < until, left(folder)
        await asyncio.sleep(0.1)


async def test_demo_once(folder):
    """The tenant is what AD says, before and after a dozen changes, each of which arrives; nothing is left."""
    async with demo(folder, "--once") as process:
        output, _ = await process.communicate()
    text = output.decode()
    assert process.returncode == 0, text
    *shown, last = text.splitlines()
    summary = json.loads(last)
    assert summary["ok"] is True
    assert summary["differences"] == []
    assert summary["objects"] == company.USERS + company.GROUPS + company.CONTACTS + 2  # one joins, one enters scope
    assert summary["members"] > company.LARGE_GROUP
    assert summary["initialSeconds"] > 0
    assert [change["change"] for change in summary["changes"]] == [change.name for change in changes.CHANGES]
    assert all(0 <= change["latencySeconds"] < changes.ARRIVAL_SECONDS for change in summary["changes"])
    assert [line for line in shown if len(line) > 80] == []
    assert left(folder) == []


@pytest.mark.slapd
async def test_demo_with_openldap(folder):
    """The same with an OpenLDAP server in place of the domain controller."""
    async with demo(folder, "--once", "--source", "openldap", "--users", "60") as process:
        output, _ = await process.communicate()
    text = output.decode()
    assert process.returncode == 0, text
    *shown, last = text.splitlines()
    summary = json.loads(last)
    assert (summary["ok"], summary["differences"]) == (True, [])
    assert summary["objects"] > 60
    assert [change["change"] for change in summary["changes"]] == [change.name for change in ldap_changes.CHANGES]
    assert all(0 <= change["latencySeconds"] < changes.ARRIVAL_SECONDS for change in summary["changes"])
    assert [line for line in shown if len(line) > 80] == []
    assert left(folder) == []


async def test_demo_runs_until_told_to_stop(folder):
    """It shows how to reach it, can be reached so, and takes everything with it when it is told to stop."""
    async with demo(folder, "--users", str(company.MINIMUM_USERS)) as process:
        text = await read_until(process, "Ctrl-C ends it")
        where = re.search(r"^  \. (\S+)$", text, re.MULTILINE)
        assert where is not None, text
        environment = dict(re.findall(r"^export (\w+)='(.*)'$", Path(where[1]).read_text(), re.MULTILINE))
        assert environment["DIRBRIDGE_URL"] in text
        assert Path(where[1]).stat().st_mode & 0o777 == 0o600
        process.send_signal(signal.SIGINT)
        process.send_signal(signal.SIGINT)  # an impatient second one changes nothing
        rest, _ = await process.communicate()
    assert process.returncode == 0, rest.decode()
    assert left(folder) == []


async def test_demo_leaves_nothing_when_it_is_interrupted_early(folder):
    """Being stopped in the middle of the set-up is no success, and leaves nothing behind either."""
    async with demo(folder, "--once") as process:
        await read_until(process, "Agent's account")
        await asyncio.sleep(1)
        process.send_signal(signal.SIGTERM)
        await process.communicate()
    assert process.returncode == 128 + signal.SIGTERM
    assert left(folder) == []


async def test_demo_leaves_no_process_when_it_is_killed(folder):
    """After SIGKILL its children end by themselves."""
    async with demo(folder, "--users", str(company.MINIMUM_USERS)) as process:
        await read_until(process, "Initial sync")
        process.kill()
        await process.wait()
    until = asyncio.get_running_loop().time() + 60
    while found := [one for one in left(folder) if one.startswith("process")]:
        assert asyncio.get_running_loop().time() < until, found
        await asyncio.sleep(0.2)


async def test_demo_says_why_it_cannot_go_on(folder):
    """When the agent dies under way, the demo ends with the end of the agent's log, and still leaves nothing."""
    kept = folder / "kept"
    async with demo(folder, "--once", "--keep", str(kept), "--users", str(company.MINIMUM_USERS)) as process:
        await read_until(process, "Agent  ")
        agents = [one for one in left(kept) if re.match(r"process \d+: .* agent run ", one)]
        os.kill(int(agents[0].split()[1].rstrip(":")), signal.SIGKILL)
        output, _ = await process.communicate()
    text = output.decode()
    assert process.returncode == 1, text
    assert "The agent was ended by signal 9." in text
    summary = json.loads(text.splitlines()[-1])
    assert summary["ok"] is False
    assert summary["error"]["code"] == "ProcessEnded"
    assert (kept / "service.log").exists()
    assert (kept / "domain-samba.log").exists() or (kept / "domain-output.log").exists()
    assert [one for one in left(kept) if one.startswith("process")] == []
    assert list(folder.iterdir()) == [kept]


@pytest.mark.parametrize("arguments", [("--users", "59"), ("--users", "many"), ("--nonsense",)])
async def test_demo_refuses_wrong_usage(folder, arguments):
    """Wrong usage is told at once."""
    async with demo(folder, *arguments) as process:
        await process.communicate()
    assert process.returncode == 2


async def test_demo_refuses_a_folder_that_is_in_use(folder):
    """Files of others are not mixed with those of the demo."""
    (folder / "mine").write_text("mine")
    async with demo(folder, "--once", "--keep", str(folder)) as process:
        output, _ = await process.communicate()
    assert process.returncode == 1
    assert f"The folder {folder} is not empty." in output.decode()
    assert list(folder.iterdir()) == [folder / "mine"]
