"""Agent and updater without systemd: both run, both come back, and one signal restarts the agent."""

import asyncio
import os
import signal
import sys
from collections.abc import AsyncIterator
from dataclasses import dataclass
from pathlib import Path

import pytest

from dirbridge.agent.updater.home import Home, Trial
from dirbridge.cli import main
from dirbridge.contract.release import Release, here
from tests.agent.updater.signing import archive

MAIN = """
import os, pathlib, signal, sys, time
words = sys.argv[1:]
folder = pathlib.Path(words[words.index("--state") + 1])
def main():
    name = words[1]
    code = folder / f"{name}.code"
    with (folder / f"{name}.log").open("a") as log:
        log.write(f"VERSION {os.getpid()} {' '.join(words)}\\n")
    if code.exists():
        sys.exit(int(code.read_text()))
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(0))
    time.sleep(300)
"""


@dataclass
class Supervised:
    """A supervisor and what it started."""

    home: Home
    folder: Path
    process: asyncio.subprocess.Process

    def started(self, name: str) -> list[list[str]]:
        """Each start of `run` or `updater`: version, process, words."""
        file = self.folder / f"{name}.log"
        return [line.split() for line in file.read_text().splitlines()] if file.exists() else []

    async def until_started(self, name: str, count: int) -> list[str]:
        async with asyncio.timeout(20):
            while len(self.started(name)) < count:
                await asyncio.sleep(0.02)
        return self.started(name)[-1]

    async def ended(self) -> int:
        return await asyncio.wait_for(self.process.wait(), 20)


@pytest.fixture
async def supervised(tmp_path: Path) -> AsyncIterator[Supervised]:
    home = Home(tmp_path / "home")
    (home.folder / "updater").mkdir(parents=True)
    for version in ("1.0.0", "1.1.0"):
        file = tmp_path / "release.tar.gz"
        files = {"dirbridge/__init__.py": "", "dirbridge/cli/main.py": MAIN.replace("VERSION", version)}
        file.write_bytes(archive(version, files))
        home.add(file, Release(version, *here()))
    home.switch("1.0.0")
    places = ["--home", str(home.folder), "--settings", str(tmp_path / "agent.toml"), "--state", str(tmp_path)]
    process = await asyncio.create_subprocess_exec(
        sys.executable, "-c", "from dirbridge.cli.main import main; main()",
        "agent", "supervise", *places, "--every", "7", "--pause", "0.2",
    )  # fmt: skip
    found = Supervised(home, tmp_path, process)
    yield found
    if process.returncode is None:
        process.terminate()
        await asyncio.wait_for(process.wait(), 20)
    for _, pid, *_ in found.started("run") + found.started("updater"):
        assert not Path(f"/proc/{pid}").exists(), f"{pid} was left behind"


async def test_both_run_and_end(supervised: Supervised) -> None:
    """Each with its options; SIGTERM ends all three."""
    run = await supervised.until_started("run", 1)
    updater = await supervised.until_started("updater", 1)
    places = ["--settings", f"{supervised.folder}/agent.toml", "--state", f"{supervised.folder}"]
    assert run[2:] == ["agent", "run", *places]
    assert updater[2:8] == ["agent", "updater", *places]
    assert f"--home {supervised.home.folder}" in " ".join(updater)
    assert "--every 7" in " ".join(updater)
    supervised.process.send_signal(signal.SIGTERM)
    assert await supervised.ended() == 0


async def test_what_ends_is_started_from_the_current_version(supervised: Supervised) -> None:
    """Killed by whomever; and by SIGHUP, which the updater's command sends, only the agent."""
    await supervised.until_started("updater", 1)
    first = await supervised.until_started("run", 1)
    os.kill(int(first[1]), signal.SIGKILL)
    second = await supervised.until_started("run", 2)
    assert second[0] == "1.0.0"
    supervised.home.switch("1.1.0")
    words = " ".join(supervised.started("updater")[0])
    assert f"os.kill({supervised.process.pid}, signal.SIGHUP)" in words
    supervised.process.send_signal(signal.SIGHUP)
    third = await supervised.until_started("run", 3)
    assert third[0] == "1.1.0"
    assert not Path(f"/proc/{second[1]}").exists()
    assert len(supervised.started("updater")) == 1
    os.kill(int(supervised.started("updater")[0][1]), signal.SIGKILL)
    assert (await supervised.until_started("updater", 2))[0] == "1.1.0"


async def test_agent_that_cannot_go_on_ends_it(supervised: Supervised) -> None:
    """Wrong settings are nothing that a restart mends; but while a version is on trial the updater mends them."""
    await supervised.until_started("run", 1)
    supervised.home.begin_trial(Trial("1.0.0", "1.1.0"))
    (supervised.folder / "run.code").write_text("3")
    supervised.process.send_signal(signal.SIGHUP)
    await supervised.until_started("run", 4)
    assert supervised.process.returncode is None
    supervised.home.end_trial()
    assert await supervised.ended() == 3


async def test_nothing_outlives_a_supervisor_that_is_killed(supervised: Supervised) -> None:
    """Another one could not start its agent beside the one that is left."""
    pids = [int((await supervised.until_started(name, 1))[1]) for name in ("run", "updater")]
    supervised.process.kill()
    await supervised.process.wait()
    async with asyncio.timeout(20):
        while any(Path(f"/proc/{pid}").exists() for pid in pids):
            await asyncio.sleep(0.02)


def test_home_without_a_version(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """There is nothing to start, and it is said what makes a version."""
    places = ["--home", str(tmp_path / "home"), "--settings", str(tmp_path / "agent.toml"), "--state", str(tmp_path)]
    assert main.run(["agent", "supervise", *places]) == 3
    told = capsys.readouterr().err
    assert f"no current version of the agent in {tmp_path}/home" in told
    assert "dirbridge agent install" in told
