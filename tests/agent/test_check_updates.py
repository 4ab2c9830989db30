"""`dirbridge agent check` says how the updater is."""

from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest

from dirbridge.agent.check import updates
from dirbridge.agent.updater import status
from dirbridge.agent.updater.status import Phase

AT = datetime(2026, 3, 1, 12, tzinfo=UTC)


def found(folder: Path, after: timedelta = timedelta(minutes=5)) -> list[tuple[str, str]]:
    return [(each.outcome, each.code) for each in updates.examine(folder, (AT + after).timestamp())]


@pytest.mark.parametrize(
    ("phase", "expected"),
    [
        ("idle", ("pass", "")),
        ("waiting", ("pass", "")),
        ("checking", ("pass", "")),
        ("rolled-back", ("warn", "UpdateRolledBack")),
        ("failed", ("warn", "UpdateFailed")),
    ],
)
def test_what_the_updater_said(tmp_path: Path, phase: Phase, expected: tuple[str, str]) -> None:
    """What went wrong is a warning: the agent itself works."""
    status.write(tmp_path, phase, "This happened.", at=AT)
    assert found(tmp_path) == [expected]
    assert "This happened." in next(updates.examine(tmp_path, AT.timestamp())).finding


def test_updater_that_does_not_run(tmp_path: Path) -> None:
    """It has said nothing for longer than it ever does; where none was ever there, nothing is missing."""
    assert found(tmp_path) == []
    status.write(tmp_path, "idle", "1.0.0 is the newest release.", at=AT)
    assert found(tmp_path, timedelta(hours=23)) == [("pass", "")]
    assert found(tmp_path, timedelta(hours=25)) == [("warn", "UpdaterSilent")]


def test_status_that_cannot_be_read(tmp_path: Path) -> None:
    for text in ("", "[]", '{"phase": 7}'):
        (tmp_path / status.STATUS).write_text(text)
        assert all(code == "UpdaterSilent" for _, code in found(tmp_path))
