"""The directory that a job reads, as its agent shows it: levels of its tree, and what is found by name."""

from __future__ import annotations

from collections.abc import Collection, Mapping
from dataclasses import dataclass, field
from typing import Any

from dirbridge.service.portal import api
from dirbridge.service.portal.api import Api, ApiRefusal
from dirbridge.service.portal.configurations import jobs

MOST_OPEN = 30
"""Containers that a page without a script shows opened; each is asked for by itself."""

KINDS = ("container", "group")

_FIT = frozenset({400, 404, 503})
"""Refusals that are said in the page's own place; others concern the page as a whole."""


@dataclass(slots=True)
class Level:
    """What lies directly in a container.

    Attributes:
        entries: as the API lists them.
        inner: by anchor, the levels that are open below.
        more: there are more entries than are listed.
        fault: why it cannot be shown.
        waits: it is the head of the directory, and no agent shows it yet.
    """

    entries: list[dict[str, Any]] = field(default_factory=list)
    inner: dict[str, Level] = field(default_factory=dict)
    more: bool = False
    fault: str = ""
    waits: bool = False


async def tree(ours: Api, job: Mapping[str, Any], opened: Collection[str] = ()) -> Level:
    """Give the head of the directory, opened, and what else is open."""
    head = await below(ours, job, None)
    wanted = {*(one["id"] for one in head.entries), *list(opened)[:MOST_OPEN]}
    await _open(ours, job, head, wanted)
    return head


async def _open(ours: Api, job: Mapping[str, Any], level: Level, wanted: set[str]) -> None:
    for one in level.entries:
        if one["id"] in wanted:
            # Each once: an agent may say that a container lies in itself.
            wanted.discard(one["id"])
            inner = await below(ours, job, one["id"])
            level.inner[one["id"]] = inner
            await _open(ours, job, inner, wanted)


async def below(ours: Api, job: Mapping[str, Any], anchor: str | None) -> Level:
    """Give what lies directly in one container; the head of the directory where it is None."""
    try:
        found = await ours.post(f"{jobs.OURS}/{api.key(job['id'])}/browse", {"below": anchor})
    except ApiRefusal as refusal:
        if refusal.status == 404 and anchor is not None:
            return Level(fault="It is not there any more.")
        return Level(fault=_said(refusal), waits=anchor is None and refusal.status == 503)
    return Level(found["value"], more=found["more"])


async def search(ours: Api, job: Mapping[str, Any], text: str, types: list[str]) -> Level:
    """Give what has a text in its name."""
    try:
        found = await ours.post(f"{jobs.OURS}/{api.key(job['id'])}/search", {"text": text, "objectTypes": types})
    except ApiRefusal as refusal:
        return Level(fault=_said(refusal))
    return Level(found["value"], more=found["more"])


def _said(refusal: ApiRefusal) -> str:
    if refusal.status not in _FIT and refusal.status != 403:
        raise refusal
    return str(refusal)
