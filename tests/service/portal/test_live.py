"""What a page hears besides its pieces: that nothing comes and why, that it goes on, that the session is over."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import timedelta
from itertools import chain, repeat
from types import SimpleNamespace

import pytest

from dirbridge.contract.errors import TransientError
from dirbridge.service.portal import live
from tests.service.portal.conftest import Portal

VIEWER = SimpleNamespace(administrator=SimpleNamespace(roles=["Global Reader"]))
STREAM = {"Accept": "text/event-stream"}


class Watched:
    """A request whose browser stays."""

    state = SimpleNamespace(viewer=VIEWER)

    async def is_disconnected(self) -> bool:
        return False


async def heard(monkeypatch: pytest.MonkeyPatch, sessions: Iterator[object], answers: Iterator[object]) -> list[str]:
    """Listen to a stream until it ends; each look finds the next of the sessions, and of the answers."""

    async def signed_in(request: object, *, seen: bool) -> object:
        assert not seen
        return next(sessions)

    async def pieces() -> dict[str, str]:
        answer = next(answers)
        if isinstance(answer, Exception):
            raise answer
        return {"state": str(answer)}

    monkeypatch.setattr(live.browser, "signed_in", signed_in)
    monkeypatch.setattr(live, "EVERY", timedelta(milliseconds=1))
    return [each async for each in live._events(Watched(), pieces)]  # type: ignore[arg-type]


async def test_a_piece_comes_once_and_trouble_is_told(monkeypatch: pytest.MonkeyPatch) -> None:
    """What is the same is not sent again, neither before trouble nor after it."""
    answers = ["good", "good", TransientError("It rests."), TransientError("It rests."), "good", "bad\nagain"]
    said = await heard(monkeypatch, chain(repeat(VIEWER, len(answers)), [None]), iter(answers))
    assert said == [
        "retry: 2000\n\n",
        "event: state\ndata: good\n\n",
        "event: trouble\ndata: It rests.\n\n",
        "event: well\ndata: It goes on.\n\n",
        "event: state\ndata: bad\ndata: again\n\n",
        "event: ended\ndata: Nobody is signed in.\n\n",
    ]


async def test_a_stream_ends_after_a_while(monkeypatch: pytest.MonkeyPatch) -> None:
    """The browser opens another; nothing is open for good."""
    monkeypatch.setattr(live, "LONGEST", timedelta(milliseconds=3))
    assert len(await heard(monkeypatch, repeat(VIEWER), iter([1, 2, 3, 4]))) == 4


async def test_it_ends_when_the_viewer_has_other_roles(monkeypatch: pytest.MonkeyPatch) -> None:
    """What it renders is for the roles with which it began; the browser opens another."""
    demoted = SimpleNamespace(administrator=SimpleNamespace(roles=["Reports Reader"]))
    said = await heard(monkeypatch, chain([VIEWER], repeat(demoted)), iter([1, 2]))
    assert said == ["retry: 2000\n\n", "event: state\ndata: 1\n\n"]


async def test_a_page_that_is_left_open_does_not_keep_its_session(
    portal: Portal, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A stream asks every second, whether anybody sits there or not; only what somebody does counts as use."""
    monkeypatch.setattr(live, "LONGEST", live.EVERY)
    portal.entrance.later(hours=5)
    assert "event: totals" in (await portal.browser.get("/portal/live", headers=STREAM)).text
    portal.entrance.later(hours=5)
    assert (await portal.browser.get("/portal/live", headers=STREAM)).status_code != 200
    assert (await portal.browser.get("/portal")).status_code == 303


async def test_a_page_that_is_used_does(portal: Portal) -> None:
    portal.entrance.later(hours=5)
    assert (await portal.browser.get("/portal")).status_code == 200
    portal.entrance.later(hours=5)
    assert (await portal.browser.get("/portal")).status_code == 200
