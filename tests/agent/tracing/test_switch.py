"""A verbose trace begins when it is wanted and ends at its time, whatever happens in between."""

import json
import logging
import os
import time
from collections.abc import AsyncGenerator, Iterator, Sequence
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest

from dirbridge import __version__
from dirbridge.agent import settings, tracing
from dirbridge.agent.executor import Executor
from dirbridge.agent.tracing import wish
from dirbridge.agent.tracing.switch import FILE, Switch
from dirbridge.agent.tracing.wish import Wish
from dirbridge.contract import wire
from dirbridge.contract.entry import ChangePage, Entry, ReferenceDelta, Selection, Tombstone, Watermark
from dirbridge.contract.errors import ConfigurationError

SETTINGS = settings.parse({"domain": [{"kind": "generated", "name": "made-up.test"}]}, "test")
MINUTE = timedelta(minutes=1)
START = 1_800_000_000.0

logger = logging.getLogger("dirbridge.test")


class Clocks:
    """A clock that people set, and one that only grows."""

    def __init__(self) -> None:
        self.wall, self.steady = START, 50.0

    def go(self, seconds: float) -> None:
        self.wall += seconds
        self.steady += seconds


@pytest.fixture
def clocks() -> Clocks:
    return Clocks()


@pytest.fixture(autouse=True)
def loggers(tmp_path: Path) -> Iterator[None]:
    """As in an agent, and afterwards as before."""
    root = logging.getLogger()
    handlers, level, ours = root.handlers[:], root.level, logging.getLogger("dirbridge").level
    with (tmp_path / "stderr").open("w") as stream:
        tracing.set_up(SETTINGS, tmp_path, stream)
        yield
        for handler in root.handlers:
            handler.close()
    root.handlers[:] = handlers
    root.setLevel(level)
    logging.getLogger("dirbridge").setLevel(ours)
    logging.getLogger(tracing.VALUES).propagate = True


def switch(folder: Path, clocks: Clocks) -> Switch:
    return Switch(SETTINGS, folder, now=lambda: clocks.wall, clock=lambda: clocks.steady)


def written(folder: Path) -> list[dict[str, Any]]:
    file = folder / tracing.TRACE_FOLDER / FILE
    return [json.loads(line) for line in file.read_text().splitlines()] if file.exists() else []


def messages(folder: Path) -> list[str]:
    return [line["message"] for line in written(folder)]


def test_nothing_is_traced_unless_wanted(tmp_path: Path, clocks: Clocks) -> None:
    """No file, and debug lines go nowhere."""
    here = switch(tmp_path, clocks)
    here.look()
    logger.debug("a detail")
    assert here.shown() is None
    assert not (tmp_path / "trace" / FILE).exists()


def test_trace_begins_and_ends_at_its_time(tmp_path: Path, clocks: Clocks) -> None:
    """With what runs at its head; afterwards everything is as before."""
    here = switch(tmp_path, clocks)
    here.look()
    wish.start(tmp_path, MINUTE, clocks.wall, values=False)
    here.look()
    assert here.shown() == {"until": "2027-01-15T08:01:00Z", "values": False, "by": "host"}
    logger.debug("a detail")
    clocks.go(59)
    here.look()
    logger.debug("another")
    clocks.go(1)
    here.look()
    logger.debug("too late")
    assert here.shown() is None
    first, about, *rest = written(tmp_path)
    assert first["event"] == "verbose_on"
    assert first["message"].endswith("without values of attributes.")
    assert (about["version"], about["domains"][0]["name"]) == (__version__, "made-up.test")
    assert [line["message"] for line in rest] == [
        "a detail", "another", "The verbose trace ends: its time is over.",
    ]  # fmt: skip
    assert (tmp_path / "stderr").read_text().count("a detail") == 0


def test_trace_ends_when_it_is_stopped(tmp_path: Path, clocks: Clocks) -> None:
    """Within one look; stopping twice does no harm."""
    here = switch(tmp_path, clocks)
    wish.start(tmp_path, MINUTE, clocks.wall, values=False)
    here.look()
    assert wish.stop(tmp_path, clocks.wall) is True
    assert wish.stop(tmp_path, clocks.wall) is False
    here.look()
    logger.debug("too late")
    assert messages(tmp_path)[-1] == "The verbose trace ends: it is not wanted any more."


def test_trace_goes_on_after_a_crash_until_its_time(tmp_path: Path, clocks: Clocks) -> None:
    """The process is gone without a word; its successor takes up what is left, and no more."""
    first = switch(tmp_path, clocks)
    wish.start(tmp_path, MINUTE, clocks.wall, values=False)
    first.look()
    first._turn_off("killed")
    clocks.go(40)
    second = switch(tmp_path, clocks)
    second.look()
    assert second.shown() is not None
    clocks.go(20)
    second.look()
    assert second.shown() is None
    clocks.go(1)
    third = switch(tmp_path, clocks)
    third.look()
    assert third.shown() is None


def test_trace_ends_although_the_clock_is_set_back(tmp_path: Path, clocks: Clocks) -> None:
    """While it runs a second clock counts; at a start an end that is too far away means nothing."""
    here = switch(tmp_path, clocks)
    wish.start(tmp_path, timedelta(hours=20), clocks.wall, values=False)
    here.look()
    clocks.wall -= 86400
    later = switch(tmp_path, clocks)
    later.look()
    assert later.shown() is None
    clocks.steady += 20 * 3600
    here.look()
    assert here.shown() is None


@pytest.mark.parametrize("content", ["", "{", "[]", '{"until": "soon"}', '{"since": 0, "until": 1e300}', "\x00"])
def test_damaged_file_wants_nothing(tmp_path: Path, clocks: Clocks, content: str) -> None:
    """Tracing never goes on by mistake, and the agent starts."""
    (tmp_path / wish.FILE).write_text(content)
    here = switch(tmp_path, clocks)
    here.look()
    assert here.shown() is None


def test_wish_belongs_to_who_owns_the_folder(tmp_path: Path) -> None:
    """Root switches it on for the account; nobody else may read or change it."""
    if os.geteuid() == 0:
        os.chown(tmp_path, 12345, 12345)
    wish.start(tmp_path, MINUTE, START, values=True)
    status = (tmp_path / wish.FILE).stat()
    assert (status.st_mode & 0o777, status.st_uid) == (0o600, tmp_path.stat().st_uid)
    assert wish.load(tmp_path) == Wish(START, START + 60, True, "host", "")


def test_folder_that_cannot_be_written_is_said(tmp_path: Path) -> None:
    """And what to do."""
    with pytest.raises(ConfigurationError) as refused:
        wish.start(tmp_path / "nowhere", MINUTE, START, values=False)
    assert refused.value.code == "StateUnwritable"


class Source:
    """Gives one page."""

    async def changes(self, selection: Selection, since: Watermark | None) -> AsyncGenerator[ChangePage, None]:
        entries = (Entry("a-1", "user", "Anna", attributes={"mail": ("anna@made-up.test",), "sid": (b"\x01\x02",)}),)
        deltas = (ReferenceDelta("g-1", "member", added=("a-1",)),)
        yield ChangePage(entries, (Tombstone("t-1", "Tom"),), references=deltas, last=True)

    read: Any = None
    locate: Any = None
    schema: Any = None
    check: Any = None


async def answer() -> Sequence[object]:
    executor = Executor({"made-up.test": Source()})
    request = wire.ChangesRequest("made-up.test", Selection({"user": ("mail",)}))
    return [part async for part in executor.answer(request)]


async def test_values_are_written_only_where_asked_for(tmp_path: Path, clocks: Clocks) -> None:
    """In no other trace, and in no other place."""
    here = switch(tmp_path, clocks)
    wish.start(tmp_path, MINUTE, clocks.wall, values=False)
    here.look()
    await answer()
    assert "anna@made-up.test" not in (tmp_path / "trace" / FILE).read_text()
    wish.start(tmp_path, 2 * MINUTE, clocks.wall, values=True)
    here.look()
    await answer()
    entry, delta, tombstone = (line for line in written(tmp_path) if line["logger"] == tracing.VALUES)
    assert entry["attributes"] == {"mail": ["anna@made-up.test"], "sid": ["AQI="]}
    assert (delta["anchor"], delta["added"]) == ("g-1", ["a-1"])
    assert tombstone["anchor"] == "t-1"
    wish.stop(tmp_path, clocks.wall)
    here.look()
    await answer()
    assert sum(line["logger"] == tracing.VALUES for line in written(tmp_path)) == 3
    assert "anna" not in (tmp_path / "stderr").read_text()


async def test_switch_looks_by_itself(tmp_path: Path) -> None:
    """Open it runs beside the agent; closed it leaves the wish for the next start."""
    wish.start(tmp_path, MINUTE, time.time(), values=False)
    async with Switch(SETTINGS, tmp_path) as here:
        assert here.shown() is not None
    assert here.shown() is None
    assert messages(tmp_path)[-1] == "The verbose trace ends: the agent stops."
    assert wish.load(tmp_path).until > 0


def order(name: str, seconds: object = 60, *, values: bool = False) -> dict[str, object]:
    return {"order": name, "seconds": seconds, "values": values}


async def test_service_begins_and_ends_a_trace(tmp_path: Path, clocks: Clocks) -> None:
    """Each order once; the same one in every heartbeat does not begin it again when its time is over."""
    here = switch(tmp_path, clocks)
    here.look()
    await here.ordered(None)
    assert here.shown() is None
    await here.ordered(order("first"))
    assert here.shown() == {"until": "2027-01-15T08:01:00Z", "values": False, "by": "service"}
    clocks.go(60)
    here.look()
    await here.ordered(order("first", 0.1))
    assert here.shown() is None
    await here.ordered(order("second"))
    assert here.shown() is not None
    await here.ordered(None)
    assert here.shown() is None
    here.look()
    assert here.shown() is None


async def test_host_has_the_last_word(tmp_path: Path, clocks: Clocks) -> None:
    """What is stopped here stays so, also after a restart; what was begun here the service does not end or shorten."""
    here = switch(tmp_path, clocks)
    await here.ordered(order("first"))
    wish.stop(tmp_path, clocks.wall)
    here.look()
    await here.ordered(order("first", 50))
    assert here.shown() is None
    later = switch(tmp_path, clocks)
    later.look()
    await later.ordered(order("first", 40))
    assert later.shown() is None
    wish.start(tmp_path, 10 * MINUTE, clocks.wall, values=False)
    later.look()
    await later.ordered(order("second"))
    await later.ordered(None)
    assert later.shown() == {"until": "2027-01-15T08:10:00Z", "values": False, "by": "host"}


@pytest.mark.parametrize(
    ("allowed", "expected"),
    [
        ("off", {"refused": "remote_trace in the settings of this agent is off."}),
        (
            "on",
            {
                "until": "2027-01-15T08:01:00Z",
                "values": False,
                "by": "service",
                "refused": "remote_trace in the settings of this agent does not allow values of attributes.",
            },
        ),
        ("values", {"until": "2027-01-15T08:01:00Z", "values": True, "by": "service"}),
    ],
)
async def test_settings_decide_what_the_service_may(
    tmp_path: Path, clocks: Clocks, allowed: str, expected: dict[str, object]
) -> None:
    """What is refused is told, once in the log and as long as it is wanted in the heartbeat."""
    given = {"remote_trace": allowed, "domain": [{"kind": "generated", "name": "made-up.test"}]}
    here = Switch(settings.parse(given, "test"), tmp_path, now=lambda: clocks.wall, clock=lambda: clocks.steady)
    for seconds in (60, 59):
        await here.ordered(order("first", seconds, values=True))
        assert here.shown() == expected
    assert (tmp_path / "stderr").read_text().count("trace_refused") == ("refused" in expected)
    await here.ordered(None)
    assert here.shown() is None


@pytest.mark.parametrize("odd", ["soon", {}, order("x", "soon"), order("x", float("nan")), order("x", -1), [], 7])
async def test_odd_orders_change_nothing(tmp_path: Path, clocks: Clocks, odd: object) -> None:
    """Whatever a service of another version sends."""
    here = switch(tmp_path, clocks)
    await here.ordered(odd)
    assert here.shown() is None


async def test_order_lasts_a_day_at_most(tmp_path: Path, clocks: Clocks) -> None:
    """However long the service wants it."""
    here = switch(tmp_path, clocks)
    await here.ordered(order("x", 1e9))
    assert here.shown() == {"until": "2027-01-16T08:00:00Z", "values": False, "by": "service"}


async def test_service_is_heard_although_nothing_can_be_written(tmp_path: Path, clocks: Clocks) -> None:
    """On a full disk its trace begins and ends all the same, each order once."""
    (tmp_path / wish.FILE).mkdir()
    here = switch(tmp_path, clocks)
    await here.ordered(order("first"))
    assert here.shown() == {"until": "2027-01-15T08:01:00Z", "values": False, "by": "service"}
    here.look()
    await here.ordered(None)
    assert here.shown() is None
    await here.ordered(order("first", 50))
    assert here.shown() is None
    await here.ordered(order("second"))
    clocks.go(60)
    here.look()
    assert here.shown() is None
