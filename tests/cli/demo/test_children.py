"""Processes of the demo end with it, in good order, and what they complain of is understood."""

import asyncio
import os
import signal
import sys
from pathlib import Path

import pytest

from dirbridge.cli.demo import children
from dirbridge.cli.demo.children import Child, ChildEnded
from dirbridge.contract.errors import DirbridgeError

_STARTER = """
import asyncio, sys
from pathlib import Path
from dirbridge.cli.demo import children

children._COMMAND = (sys.executable, "-c", "import os, time; print(os.getpid(), flush=True); time.sleep(600)")

async def main():
    child = children.Child("sleeper", [], Path(sys.argv[1]), {})
    await child.start()
    print(await child.first_line(), flush=True)
    await asyncio.sleep(600)

asyncio.run(main())
"""


def _alive(pid: int) -> bool:
    try:
        os.kill(pid, 0)
    except ProcessLookupError:
        return False
    return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0] != "Z"


@pytest.fixture
def program(monkeypatch):
    """Let children run some Python instead of the command."""

    def use(text: str) -> None:
        monkeypatch.setattr(children, "_COMMAND", (sys.executable, "-c", text))

    return use


async def test_stop_ends_one_that_does_not_want_to(program, tmp_path, monkeypatch):
    """SIGTERM first, then SIGKILL."""
    monkeypatch.setattr(children, "STOP_SECONDS", 0.5)
    program(
        "import os, signal, time; signal.signal(signal.SIGTERM, signal.SIG_IGN); "
        "print(os.getpid(), flush=True); time.sleep(600)"
    )
    child = Child("mule", [], tmp_path / "mule.log", {})
    await child.start()
    pid = int(await asyncio.wait_for(child.first_line(), 20))
    assert _alive(pid)
    await child.stop()
    await child.stop()
    assert not _alive(pid)


async def test_children_end_when_their_starter_is_killed(tmp_path):
    """After SIGKILL of the demo none of its processes is left."""
    starter = await asyncio.create_subprocess_exec(
        sys.executable, "-c", _STARTER, str(tmp_path / "x.log"), stdout=asyncio.subprocess.PIPE
    )
    assert starter.stdout is not None
    pid = int(await asyncio.wait_for(starter.stdout.readline(), 30))
    assert _alive(pid)
    starter.send_signal(signal.SIGKILL)
    await starter.wait()
    async with asyncio.timeout(20):
        while _alive(pid):
            await asyncio.sleep(0.05)


async def test_watch_gives_the_result_while_all_live(program, tmp_path):
    """What is done comes to its end when nothing happens to the children."""
    program("import time; time.sleep(600)")
    child = Child("sleeper", [], tmp_path / "sleeper.log", {})
    await child.start()
    try:
        assert await children.watch(asyncio.sleep(0.1, "done"), [child]) == "done"
    finally:
        await child.stop()


async def test_watch_stops_when_a_child_ends(program, tmp_path):
    """A process that dies under way ends the work at once, with its name and its log."""
    program("import sys, time; time.sleep(0.3); sys.exit('\\033[31mno room\\033[0m')")
    child = Child("service", [], tmp_path / "service.log", {})
    await child.start()
    with pytest.raises(ChildEnded, match="The service ended with exit code 1") as caught:
        await asyncio.wait_for(children.watch(asyncio.sleep(600), [child]), 30)
    assert caught.value.child == "service"
    assert children.tail(child.log) == "no room"
    await child.stop()


async def test_command_gives_what_is_printed(program, tmp_path):
    """Standard output comes back; what is said besides goes to the log."""
    program("import sys; print('made', sys.argv[1:]); print('told', file=sys.stderr)")
    assert await children.command(["init", "--json"], {}, tmp_path / "log") == "made ['init', '--json']\n"
    assert (tmp_path / "log").read_text() == "told\n"


async def test_command_understands_a_complaint(program, tmp_path):
    """An error in JSON comes back as the error that it was."""
    complaint = '{"error": {"code": "PortInUse", "message": "It is in use.", "recommendedAction": "Stop it."}}'
    program(f"import sys; print('before', file=sys.stderr); print({complaint!r}, file=sys.stderr); sys.exit(3)")
    with pytest.raises(DirbridgeError) as caught:
        await children.command(["serve"], {}, tmp_path / "log")
    error = caught.value
    assert (error.code, error.reason, error.recommended_action) == (
        "PortInUse",
        "`dirbridge serve` failed: It is in use.",
        "Stop it.",
    )


async def test_command_gives_what_it_cannot_understand(program, tmp_path):
    """A crash comes back in its own words."""
    program("raise SystemExit('boom')")
    with pytest.raises(DirbridgeError, match="`dirbridge serve` ended with exit code 1: boom"):
        await children.command(["serve"], {}, tmp_path / "log")


def test_clean_environment_leads_nowhere_else(monkeypatch):
    """Settings and proxies of the caller's do not reach the children."""
    for name in ("DIRBRIDGE_URL", "https_proxy", "HTTP_PROXY", "SSL_CERT_FILE", "LDAPTLS_CACERT"):
        monkeypatch.setenv(name, "x")
    monkeypatch.setenv("PATH_OF_MINE", "x")
    kept = children.clean_environment()
    assert "PATH_OF_MINE" in kept
    assert not {"DIRBRIDGE_URL", "https_proxy", "HTTP_PROXY", "SSL_CERT_FILE", "LDAPTLS_CACERT"} & set(kept)
