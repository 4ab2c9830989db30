"""When the updater may act: deferred until a time, within a daily window of this host, or at once."""

from datetime import datetime
from pathlib import Path
from zoneinfo import ZoneInfo

import pytest

from dirbridge.agent.updater import orders
from dirbridge.agent.updater.orders import Orders
from dirbridge.contract.errors import TransientError

HOST = ZoneInfo("Europe/Berlin")


def given(folder: Path, text: str) -> Orders:
    (folder / orders.ORDERS).write_text(text)
    return orders.read(folder)


def at(text: str) -> datetime:
    return datetime.fromisoformat(text).replace(tzinfo=HOST)


def test_nothing_said_is_as_soon_as_there_is_one(tmp_path: Path) -> None:
    """Before the agent has heard anything, and where nothing is set."""
    nothing = '{"channel": "stable", "deferUntil": null, "window": null, "wanted": null, "later": 1}'
    assert orders.read(tmp_path) == given(tmp_path, nothing) == Orders()
    assert Orders().hindrance(at("2026-03-01T12:00")) == ""


@pytest.mark.parametrize(
    ("until", "before", "after"),
    [
        ("2026-03-01T12:00:00Z", "2026-03-01T12:59:59", "2026-03-01T13:00"),
        ("2026-03-01T12:00:00", "2026-03-01T11:59:59", "2026-03-01T12:00"),
    ],
)
def test_deferred(tmp_path: Path, until: str, before: str, after: str) -> None:
    """With a zone it is a moment; without one it is meant by this host's clock."""
    found = given(tmp_path, f'{{"deferUntil": "{until}"}}')
    assert "deferred until 2026-03-01" in found.hindrance(at(before))
    assert found.hindrance(at(after)) == ""


@pytest.mark.parametrize(
    ("start", "end", "inside", "outside"),
    [
        ("01:00:00", "03:00:00", ["01:00", "02:59:59"], ["00:59:59", "03:00"]),
        ("22:00:00", "02:00:00.0000000", ["22:00", "00:00", "01:59"], ["02:00", "21:59"]),
        ("00:00:00", "00:00:00", ["00:00", "12:00"], []),
    ],
)
def test_window(tmp_path: Path, start: str, end: str, inside: list[str], outside: list[str]) -> None:
    """It may go over midnight."""
    found = given(tmp_path, f'{{"window": {{"start": "{start}", "end": "{end}"}}}}')
    assert [found.hindrance(at(f"2026-03-01T{time}")) for time in inside] == [""] * len(inside)
    assert all("window from" in found.hindrance(at(f"2026-03-01T{time}")) for time in outside)


def test_both_hold(tmp_path: Path) -> None:
    """After the deferral the window still counts."""
    both = '{"deferUntil": "2026-03-01T12:00:00", "window": {"start": "01:00:00", "end": "02:00:00"}}'
    found = given(tmp_path, both)
    assert "deferred" in found.hindrance(at("2026-03-01T01:30"))
    assert "window" in found.hindrance(at("2026-03-01T12:30"))
    assert found.hindrance(at("2026-03-02T01:30")) == ""


@pytest.mark.parametrize("last", ["9999-12-31T23:59:59Z", "9999-12-31T23:59:59"])
def test_last_day_there_is_means_never(tmp_path: Path, last: str) -> None:
    """East of Greenwich that moment lies in no year that a clock knows."""
    said = given(tmp_path, f'{{"deferUntil": "{last}"}}').hindrance(at("2026-03-01T12:00"))
    assert "deferred until 9999-12-31 23:59" in said


@pytest.mark.parametrize(
    "text",
    ["", "[]", '{"x": ' + "[" * 100_000, '{"window": {"start": "1"}}', '{"wanted": "../../etc"}', '{"wanted": 3}'],
)
def test_what_cannot_be_read_updates_nothing(tmp_path: Path, text: str) -> None:
    with pytest.raises(TransientError) as refused:
        given(tmp_path, text)
    assert refused.value.code == "UpdaterOrdersDamaged"


def test_link_is_not_followed(tmp_path: Path) -> None:
    """The agent's account cannot have the updater read something else for it."""
    elsewhere = tmp_path / "elsewhere"
    elsewhere.write_text('{"wanted": "9.9.9"}')
    (tmp_path / orders.ORDERS).symlink_to(elsewhere)
    assert orders.read(tmp_path) == Orders()


def test_agent_writes_down_what_it_hears(tmp_path: Path) -> None:
    """As it came; the same once more does not touch the file, whose change wakes the updater."""
    orders.keep(tmp_path, {"wanted": "1.2.3"})
    assert orders.read(tmp_path) == Orders(wanted="1.2.3")
    before = (tmp_path / orders.ORDERS).stat()
    orders.keep(tmp_path, {"wanted": "1.2.3"})
    assert (tmp_path / orders.ORDERS).stat().st_ino == before.st_ino
    orders.keep(tmp_path, {"wanted": None})
    assert orders.read(tmp_path) == Orders()
