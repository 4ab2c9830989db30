"""The agent updates itself while a job runs, and comes back from a version that does not work; nobody helps it.

The agent, its updater and their supervisor are processes of real releases: all that the agent needs, packed, signed,
handed out by the real service, and run without this checkout.
"""

from __future__ import annotations

import hashlib
import json
import signal
import subprocess
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest

from dirbridge.agent import enrol as enrolling
from dirbridge.agent.updater.home import Home
from dirbridge.cli.demo.children import clean_environment
from dirbridge.contract.release import Release, here
from tests.e2e import made_up
from tests.e2e.harness import Installation, until
from tests.fixtures.releases import Publisher, agent_contents

pytestmark = [pytest.mark.service, pytest.mark.timeout(420)]

FIRST, SECOND, BROKEN, THIRD = "1.0.0", "1.1.0", "1.2.0", "1.3.0"
DEAF = "lib/dirbridge/agent/client.py"


@dataclass
class Host:
    """A host with an agent that updates itself."""

    folder: Path

    @property
    def home(self) -> Home:
        return Home(self.folder / "home")

    @property
    def state(self) -> Path:
        return self.folder / "agent"

    @property
    def settings(self) -> Path:
        return self.folder / "agent.toml"

    @property
    def log(self) -> Path:
        return self.folder / "supervisor.log"

    def install(self, publisher: Publisher) -> None:
        """Do what an installation of the first version does. The root that it trusts comes with that version."""
        self.home.versions.mkdir(parents=True)
        self.home.add(publisher.pack(FIRST, agent_contents(FIRST)), Release(FIRST, *here()))
        self.home.switch(FIRST)

    @contextmanager
    def supervised(self) -> Iterator[subprocess.Popen[bytes]]:
        """Run agent and updater."""
        words = ["agent", "supervise", "--settings", str(self.settings), "--state", str(self.state)]
        haste = ["--every", "1", "--patience", "25", "--settle", "2", "--pause", "0.5"]
        with self.log.open("ab") as log:
            process = subprocess.Popen(
                ["setpriv", "--pdeathsig", "KILL", self.home.program, *words, "--home", self.home.folder, *haste],
                stdin=subprocess.DEVNULL, stdout=log, stderr=log, env=clean_environment(), start_new_session=True,
            )  # fmt: skip
        try:
            yield process
        finally:
            process.send_signal(signal.SIGTERM)
            assert process.wait(60) == 0

    def said(self) -> tuple[str, str]:
        """What the updater says: phase and message."""
        file = self.state / "update.json"
        said = json.loads(file.read_text()) if file.exists() else {"phase": "", "message": ""}
        return said["phase"], said["message"]

    def kept(self) -> dict[str, bytes]:
        """What no update may touch."""
        files = [self.settings, *(self.state / name for name in ("agent.json", "key.pem", "certificate.pem", "ca.pem"))]
        return {file.name: file.read_bytes() for file in files}


async def send(installation: Installation, publisher: Publisher) -> None:
    """Bring the archives to the service, of which agents know nothing yet."""
    for file in publisher.repository.target_files():
        body = file.read_bytes()
        place = f"/beta/dirbridge/releases/archives/{hashlib.sha256(body).hexdigest()}"
        answer = await installation.api._authorized("PUT", place, content=body)
        assert answer.status_code == 204, answer.text


async def sign(installation: Installation, publisher: Publisher) -> None:
    """Hand the signed list out, and with it the archives."""
    files = {name: content.decode() for name, content in publisher.repository.files().items()}
    await installation.api.post("/beta/dirbridge/releases/repository", {"files": files})


async def seen(installation: Installation) -> Mapping[str, Any]:
    """The agent as the service shows it."""
    (agent,) = (await installation.api.get("/beta/dirbridge/agents"))["value"]
    return dict(agent)


def deaf(version: str) -> dict[str, Path | bytes]:
    """A version that runs and calls the service where nobody answers it."""
    contents = agent_contents(version)
    source = contents[DEAF]
    assert isinstance(source, Path)
    broken = source.read_text("utf-8").replace('PATH = "/agents/v1"', 'PATH = "/agents/v0"')
    assert broken != source.read_text("utf-8")
    return {**contents, DEAF: broken.encode()}


async def test_update_and_roll_back_with_the_job_running(place: Path) -> None:
    """From one version to the next in mid-cycle, to one that does not work and back, and on to one that works.

    Everything is provisioned once, settings and state are the same bytes, and the service shows each of the versions.
    """
    host, publisher = Host(place), Publisher(place / "publisher")
    host.install(publisher)
    given = made_up.settings(place, users=2000, groups=20, members=20, pause=6)
    async with Installation(place, made_up.DOMAIN) as installation:
        host.settings.write_text(f'retry_longest = 0.5\nlog_format = "json"\n\n{made_up.toml(given)}\n')
        await enrolling.enrol(installation.url, await installation.code(), host.state)
        before = host.kept()

        async def describe() -> str:
            return f"{host.said()}\n{host.log.read_text()[-3000:]}\n{await installation.describe()}"

        async def at_work(version: str, phase: str) -> Mapping[str, Any]:
            async def look() -> Mapping[str, Any] | None:
                agent = await seen(installation)
                told = (agent["version"], host.home.current(), host.said()[0])
                return agent if told == (version, version, phase) and agent["status"] != "inactive" else None

            return await until(look, f"{version} is at work, and the updater {phase}", 90, describe)

        with host.supervised():
            await at_work(FIRST, "idle")
            publisher.release(SECOND, agent_contents(SECOND))
            await send(installation, publisher)
            began = datetime.now(UTC)
            await installation.create_job()
            await until(lambda: _reading(installation), "the first cycle reads", 60, describe)
            await sign(installation, publisher)
            await until(lambda: _switched(host, SECOND), "the second version is switched to", 90, describe)
            assert not (await installation.status()).get("lastSuccessfulExecution"), "no cycle was under way any more"
            await at_work(SECOND, "idle")
            await installation.succeeded(began, 120)
            await made_up.compare(installation, given)
            log = await installation.events()
            assert log == dict.fromkeys(((anchor, "create") for anchor in made_up.anchors(given)), 1)

            publisher.release(BROKEN, deaf(BROKEN))
            await send(installation, publisher)
            await sign(installation, publisher)
            await until(lambda: _switched(host, BROKEN), "the broken version is switched to", 90, describe)
            assert given.revision_file is not None
            given.revision_file.write_text("2")
            await at_work(SECOND, "rolled-back")
            assert BROKEN in host.home.bad()
            await installation.settled(90)
            await made_up.compare(installation, given)

            publisher.release(THIRD, agent_contents(THIRD))
            await send(installation, publisher)
            await sign(installation, publisher)
            await at_work(THIRD, "idle")
            await installation.settled()
            assert sorted(each.name for each in host.home.versions.iterdir()) == [SECOND, THIRD]
        assert host.kept() == before
        changes = await installation.events() - log
        assert set(changes.values()) == {1}, changes


async def _reading(installation: Installation) -> bool | None:
    rows = await installation.rows("select 1 from agent_requests where state = 'taken' and renewed_at > '-infinity'")
    return bool(rows) or None


async def _switched(host: Host, version: str) -> bool | None:
    return host.home.current() == version or None
