"""Whether a directory tells of changes, as `agent check` finds it."""

from __future__ import annotations

from collections.abc import AsyncGenerator

import pytest

from dirbridge.agent import settings
from dirbridge.agent.check import directories
from dirbridge.connectors.generated.source import GeneratedSource
from dirbridge.contract.errors import ConfigurationError, TransientError
from dirbridge.contract.wire import CheckReport, Finding

VALUES = {"domain": [{"kind": "generated", "name": "made-up.test"}]}


async def found(values: dict[str, object]) -> dict[str, Finding]:
    return {each.name: each async for each in directories.examine(settings.parse(values, "here"))}


async def test_directory_that_tells_of_changes() -> None:
    """It is listened to until that is known."""
    domain = {"kind": "generated", "name": "made-up.test", "notifies": True, "revision_file": "/nowhere/at/all"}
    finding = (await found({"domain": [domain]}))["made-up.test: notification"]
    assert (finding.outcome, finding.code) == ("pass", "")
    assert "tells of changes as they happen" in finding.finding


async def test_switched_off_is_no_fault() -> None:
    """It passes, and says that changes wait."""
    finding = (await found(VALUES))["made-up.test: notification"]
    assert (finding.outcome, finding.code) == ("pass", "NotificationOff")
    assert finding.finding.startswith("Changes wait for the interval of the jobs.")


@pytest.mark.parametrize(
    ("error", "code"),
    [
        (ConfigurationError("It does not.", code="NotificationUnsupported"), "NotificationUnsupported"),
        (TransientError("It is away.", code="ConnectionLost"), "ConnectionLost"),
        (None, "WatchEnded"),
    ],
)
async def test_directory_that_does_not_tell(
    monkeypatch: pytest.MonkeyPatch, error: Exception | None, code: str
) -> None:
    """A warning with its own code: jobs run all the same, at their interval."""

    async def watch(_: GeneratedSource) -> AsyncGenerator[None, None]:
        if error is not None:
            raise error
        return
        yield

    monkeypatch.setattr(GeneratedSource, "watch", watch)
    finding = (await found(VALUES))["made-up.test: notification"]
    assert (finding.outcome, finding.code) == ("warn", code)


async def test_directory_that_is_not_reached_is_not_listened_to(monkeypatch: pytest.MonkeyPatch) -> None:
    """One finding for one fault."""

    async def check(_: GeneratedSource) -> CheckReport:
        return CheckReport((Finding("connection", "fail", "It is away."),))

    monkeypatch.setattr(GeneratedSource, "check", check)
    assert list(await found(VALUES)) == ["made-up.test: connection"]
