"""What an agent makes of directories that tell of changes by themselves."""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import AsyncGenerator, AsyncIterator, Callable
from pathlib import Path
from typing import Any

import pytest

from dirbridge.agent.watching import MOST_AGE, Watching
from dirbridge.connectors.generated.settings import Settings
from dirbridge.connectors.generated.source import GeneratedSource
from dirbridge.connectors.protocol import Source
from dirbridge.contract.errors import ConfigurationError, CredentialError, DirbridgeError, TransientError

DOMAIN = "contoso.test"


class Directory(GeneratedSource):
    """Tells of the changes that the test makes, and fails as it is told to."""

    def __init__(self) -> None:
        super().__init__(Settings(name=DOMAIN))
        self.changes_made: asyncio.Queue[Exception | None] = asyncio.Queue()
        self.refusals: list[Exception] = []
        self.opened = 0

    async def watch(self) -> AsyncGenerator[None, None]:
        self.opened += 1
        if self.refusals:
            raise self.refusals.pop(0)
        yield
        while True:
            failure = await self.changes_made.get()
            if failure is not None:
                raise failure
            yield

    def change(self, times: int = 1) -> None:
        for _ in range(times):
            self.changes_made.put_nowait(None)

    def fail(self, error: Exception) -> None:
        self.changes_made.put_nowait(error)


class Service:
    """Notes the nudges, and refuses as it is told to."""

    def __init__(self) -> None:
        self.nudges: list[tuple[str, float]] = []
        self.refusals: list[Exception] = []
        self.tried = 0

    async def nudge(self, domain: str, age: float) -> None:
        self.tried += 1
        if self.refusals:
            raise self.refusals.pop(0)
        self.nudges.append((domain, age))


class Clock:
    def __init__(self) -> None:
        self.now = 1000.0

    def __call__(self) -> float:
        return self.now


@contextlib.asynccontextmanager
async def watching(service: Service, *sources: Source, **more: Any) -> AsyncIterator[asyncio.Task[None]]:
    named = {f"{DOMAIN}{number or ''}": source for number, source in enumerate(sources)}
    watch = Watching(service, named, **{"patience": 3600, "spacing": 0.01, "pause": 0.01, **more})
    task = asyncio.create_task(watch.run())
    try:
        yield task
    finally:
        task.cancel()
        await asyncio.wait({task})


async def until(fulfilled: Callable[[], bool]) -> None:
    async with asyncio.timeout(10):
        while not fulfilled():
            await asyncio.sleep(0.005)


async def test_changes_are_told(tmp_path: Path) -> None:
    """Once when listening begins, since something may have changed before, and after each change."""
    revision = tmp_path / "revision"
    made_up = GeneratedSource(Settings(name="made-up.test", revision_file=revision, notifies=True))
    service = Service()
    async with watching(service, made_up):
        await until(lambda: len(service.nudges) == 1)
        revision.write_text("1")
        await until(lambda: len(service.nudges) == 2)
    assert {name for name, _ in service.nudges} == {DOMAIN}


async def test_many_changes_are_told_together() -> None:
    """One nudge at once and one when its time is over, however many changes came between."""
    directory, service = Directory(), Service()
    async with watching(service, directory, spacing=0.5):
        await until(lambda: len(service.nudges) == 1)
        directory.change(5000)
        await until(directory.changes_made.empty)
        assert len(service.nudges) == 1
        await until(lambda: len(service.nudges) == 2)
        began = asyncio.get_running_loop().time()
        directory.change()
        await until(lambda: len(service.nudges) == 3)
        assert asyncio.get_running_loop().time() - began > 0.3


async def test_age_is_that_of_the_newest_change() -> None:
    """A nudge that was held up says how long ago the last change was seen, and no more than the service takes."""
    directory, service, clock = Directory(), Service(), Clock()
    service.refusals = [TransientError("Away.")]
    async with watching(service, directory, clock=clock, pause=0.4):
        await until(lambda: service.tried == 1)
        clock.now += 5
        directory.change()
        await until(directory.changes_made.empty)
        clock.now += 2
        await until(lambda: len(service.nudges) == 1)
        service.refusals = [TransientError("Away.")]
        directory.change()
        await until(lambda: service.tried == 3)
        clock.now += 1_000_000
        await until(lambda: len(service.nudges) == 2)
    assert [age for _, age in service.nudges] == [2, MOST_AGE]


async def test_lost_directory_is_listened_to_again() -> None:
    """Whatever it was; and as nobody knows what was missed, the service is nudged once more."""
    directory, service = Directory(), Service()
    async with watching(service, directory):
        await until(lambda: len(service.nudges) == 1)
        directory.refusals = [TransientError("Still away.")]
        directory.fail(TransientError("The connection is lost."))
        await until(lambda: len(service.nudges) == 2)
        assert directory.opened == 3


async def test_directory_that_says_no_is_left_alone() -> None:
    """One that cannot tell, or refused the account, is not asked again until settings change; others are heard."""
    for refusal in (
        ConfigurationError("It cannot.", code="NotificationUnsupported"),
        CredentialError("It refused the account."),
    ):
        mute, other, service, stamp = Directory(), Directory(), Service(), [1]
        mute.refusals = [refusal]
        clock = Clock()
        async with watching(service, mute, other, stamp=lambda _, stamp=stamp: tuple(stamp), clock=clock) as task:
            await until(lambda: len(service.nudges) == 1)  # noqa: B023 - awaited here
            clock.now += 3599
            other.change()
            await until(lambda: len(service.nudges) == 2)  # noqa: B023
            assert (mute.opened, task.done()) == (1, False)
        assert {name for name, _ in service.nudges} == {f"{DOMAIN}1"}


async def test_changed_password_is_tried_at_once(monkeypatch: pytest.MonkeyPatch) -> None:
    """As it is for requests."""
    monkeypatch.setattr("dirbridge.agent.watching.LOOK", 0.01)
    directory, service, stamp = Directory(), Service(), [1]
    directory.refusals = [CredentialError("It refused the account.")]
    async with watching(service, directory, stamp=lambda _: tuple(stamp), clock=Clock()):
        await until(lambda: directory.opened == 1)
        stamp[0] = 2
        await until(lambda: len(service.nudges) == 1)


async def test_service_that_is_away_is_told_later() -> None:
    """A nudge is kept until it arrives; one that is too old to know nudges costs a call now and then."""
    directory, service = Directory(), Service()
    service.refusals = [TransientError("Away."), TransientError("No such address.", code="ResourceNotFound")]
    async with watching(service, directory):
        await until(lambda: len(service.nudges) == 1)
        assert service.tried == 3


async def test_unforeseen_fault_does_not_end_the_agent(monkeypatch: pytest.MonkeyPatch) -> None:
    """Of a library, say, or of an end that is no failure."""
    monkeypatch.setattr("dirbridge.agent.watching.LONGEST_PAUSE", 0.01)
    directory, service = Directory(), Service()
    async with watching(service, directory) as task:
        await until(lambda: len(service.nudges) == 1)
        directory.fail(OSError("what nobody thought of"))
        await until(lambda: len(service.nudges) == 2)
        directory.fail(DirbridgeError("nor of this"))
        await until(lambda: len(service.nudges) == 3)
        assert not task.done()


async def test_revoked_agent_stops() -> None:
    """What the service says of the agent itself is for the runner."""
    directory, service = Directory(), Service()
    service.refusals = [CredentialError("Revoked.", code="AgentRevoked")]
    async with watching(service, directory) as task:
        with pytest.raises(CredentialError, match="Revoked"):
            await asyncio.wait_for(asyncio.shield(task), 5)


async def test_agent_without_such_directories_goes_on() -> None:
    """Nothing is listened to, and nothing fails."""

    class Mute:
        """A source that cannot be listened to."""

    async with watching(Service(), Mute()) as task:  # type: ignore[arg-type]
        await asyncio.wait_for(task, 5)


async def test_loss_after_a_long_time_is_no_warning(caplog: pytest.LogCaptureFixture) -> None:
    """Servers let go of who is silent; one that never lets anybody listen is another matter."""
    directory, service, clock = Directory(), Service(), Clock()
    async with watching(service, directory, clock=clock):
        await until(lambda: len(service.nudges) == 1)
        clock.now += 61
        directory.fail(TransientError("Idle."))
        await until(lambda: len(service.nudges) == 2)
        directory.fail(TransientError("Again."))
        await until(lambda: len(service.nudges) == 3)
    lost = [(record.levelname, "Again." in record.message) for record in caplog.records if "until it" in record.message]
    assert [found for found in lost if found[0] == "WARNING"] == [("WARNING", True)]
