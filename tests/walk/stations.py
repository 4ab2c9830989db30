"""The stations of `docs/walk.md`, and who passes them."""

from __future__ import annotations

import re
import sys
from pathlib import Path
from types import FrameType, TracebackType
from typing import Any, NamedTuple, Self

ROOT = Path(__file__).parents[2]
SOURCE = ROOT / "src" / "dirbridge"
PAGE = ROOT / "docs" / "walk.md"

_ROW = re.compile(r"^\| `([^`]+\.py)` \| `([^`]+)` \|", re.MULTILINE)


class Station(NamedTuple):
    """A function that a change passes: file below `src/dirbridge`, and its qualified name."""

    file: str
    function: str


def listed() -> list[Station]:
    """Give the stations of the page, in its order."""
    return [Station(*row) for row in _ROW.findall(PAGE.read_text("utf-8"))]


class Call(NamedTuple):
    """One call of a station, with what it was given."""

    station: Station
    given: dict[str, Any]


class Recorder:
    """Notes, while entered, each call of the given functions in this thread, in order.

    A coroutine counts when it begins, not each time that it goes on.
    """

    def __init__(self, stations: set[Station]) -> None:
        self.calls: list[Call] = []
        self._stations = {(str(SOURCE / station.file), station.function): station for station in stations}
        # Frames are held, so that none is taken for one that was here before.
        self._seen: dict[int, FrameType] = {}

    def __enter__(self) -> Self:
        sys.setprofile(self._note)
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        sys.setprofile(None)
        self._seen.clear()

    def _note(self, frame: FrameType, event: str, _argument: object) -> None:
        if event != "call":
            return
        code = frame.f_code
        station = self._stations.get((code.co_filename, code.co_qualname))
        if station is None or id(frame) in self._seen:
            return
        self._seen[id(frame)] = frame
        names = code.co_varnames[: code.co_argcount + code.co_kwonlyargcount]
        self.calls.append(Call(station, {name: frame.f_locals.get(name) for name in names}))
