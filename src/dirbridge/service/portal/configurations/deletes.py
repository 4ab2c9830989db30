"""What one configuration will not remove without a person's word: seen one by one, allowed or rejected."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any
from urllib.parse import urlencode

from fastapi import APIRouter, Request
from starlette.responses import Response, StreamingResponse

from dirbridge.service.auth.sign_in.browser import PageRefusal
from dirbridge.service.portal import api, forms, live, rendering
from dirbridge.service.portal.api import Api
from dirbridge.service.portal.configurations import jobs
from dirbridge.service.portal.rendering import Level
from dirbridge.service.portal.viewer import PortalRoute, Viewer

router = APIRouter(prefix=jobs.PATH, route_class=PortalRoute, include_in_schema=False)

STATES = ("staged", "rejected")
WORDS = ("allow", "reject")
SHOWN = 50
"""So many are on one page."""


@router.get("/{job}/deletes")
async def show(request: Request, who: Viewer, job: str) -> Response:
    """List what waits, or what was rejected, page by page."""
    state = request.query_params.get("state", "staged")
    if state not in STATES:
        raise PageRefusal(400, "PageRefused", f"There is no state '{state}'; there are {' and '.join(STATES)}.")
    position = request.query_params.get("after", "")
    async with api.of(request, who) as ours:
        found = await jobs.one(ours, job)
        query = {"$filter": f"state eq '{state}'", **({"$skiptoken": position} if position else {})}
        answer = await ours.get(_in_api(job), query, top=SHOWN)
        kinds = await _kinds(ours, job)
    return rendering.page(
        request, who, "configurations/deletes.html", job=found, tabs=jobs.tabs(found), state=state,
        rows=answer["value"], kinds=kinds, totals=_totals(kinds), position=position,
        next=_address(job, state, jobs.position_behind(answer)), limits=_limits(found),
    )  # fmt: skip


@router.get("/{job}/deletes/live")
async def follow(request: Request, who: Viewer, job: str) -> StreamingResponse:
    """Send how many there are when that changes; the list stays as it is under who ticks boxes in it."""
    frame = rendering.frame(request, who)

    async def pieces() -> dict[str, str]:
        async with api.of(request, who) as ours:
            found = await jobs.one(ours, job)
            kinds = await _kinds(ours, job)
        values = {**frame, "job": found, "kinds": kinds, "totals": _totals(kinds)}
        return {"numbers": rendering.part("configurations/deletes-numbers.html", **values)}

    return live.stream(request, pieces)


@router.get("/{job}/deletes/ask")
async def ask(request: Request, who: Viewer, job: str) -> Response:
    """Say in numbers what a word does, and ask."""
    chosen = list(dict.fromkeys(request.query_params.getlist("id")))
    word, of_all = _word(request.query_params.get("word", ""))
    async with api.of(request, who) as ours:
        found = await jobs.one(ours, job)
        kinds = [kind for kind in await _kinds(ours, job) if kind["state"] == "staged"]
    if not of_all and not chosen:
        raise PageRefusal(400, "PageRefused", "Tick at least one of the list first.")
    waiting = sum(kind["count"] for kind in kinds)
    return rendering.page(
        request, who, "configurations/deletes-ask.html", job=found, tabs=jobs.tabs(found), word=word,
        ids=[] if of_all else chosen, count=waiting if of_all else len(chosen), waiting=waiting, kinds=kinds,
        back=_address(job, request.query_params.get("state", "")),
    )  # fmt: skip


@router.post("/{job}/deletes/{word}")
async def decide(request: Request, who: Viewer, job: str, word: str) -> Response:
    """Say the word. Where everything is meant, it holds for the number that was shown and no other."""
    form = await forms.read(request)
    word, _ = _word(word)
    ids = form.all("id")
    count = form.one("count")
    if not ids and not (count.isascii() and count.isdigit() and len(count) < 10):
        raise PageRefusal(400, "PageRefused", "The form does not say how many removals it is about.")
    said: dict[str, Any] = {"ids": ids} if ids else {"all": True, "count": int(count)}
    async with api.of(request, who) as ours:
        done = await ours.post(f"{_in_api(job)}/{word}", said)
    return rendering.done(request, _outcome(word, done), _address(job), Level.WARN if done["missing"] else Level.GOOD)


def _outcome(word: str, done: Mapping[str, Any]) -> str:
    count, missing = int(done["count"]), len(done["missing"])
    if word == "allow":
        said = f"Allowed {_removals(count)}. The next cycle, which begins now, carries them out."
    else:
        said = f"Rejected {_removals(count)}. The objects stay as they are."
    return f"{said} {missing:,} were decided by somebody else meanwhile, or are gone." if missing else said


def _removals(count: int) -> str:
    return f"{count:,} removal{'s'[: count != 1]}"


def _word(asked: str) -> tuple[str, bool]:
    """Read what a button stands for: the word, and whether everything is meant."""
    word, _, of_all = asked.partition("-")
    if word not in WORDS or of_all not in {"", "all"}:
        raise PageRefusal(404, "PageRefused", f"There is no word '{asked[:40]}'; there are {' and '.join(WORDS)}.")
    return word, bool(of_all)


async def _kinds(ours: Api, job: str) -> list[dict[str, Any]]:
    kinds: list[dict[str, Any]] = (await ours.get(f"{_in_api(job)}/summary"))["value"]
    return kinds


def _totals(kinds: Sequence[Mapping[str, Any]]) -> dict[str, int]:
    return {state: sum(kind["count"] for kind in kinds if kind["state"] == state) for state in STATES}


def _limits(job: Mapping[str, Any]) -> dict[str, str]:
    return {each["name"]: each["value"] for each in job["synchronizationJobSettings"]}


def _address(job: str, state: str = "", after: str | None = None) -> str:
    """Give the path of the list, or of its page at a position; empty where that position is."""
    if after == "":
        return ""
    query = {"state": "" if state == "staged" else state, "after": after or ""}
    asked = urlencode({name: value for name, value in query.items() if value})
    return jobs.page_of(job, "deletes") + (f"?{asked}" if asked else "")


def _in_api(job: str) -> str:
    return f"{jobs.OURS}/{api.key(job)}/stagedRemovals"
