"""One configuration: how it is, what its last cycles did, why it is in quarantine, and which objects failed."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from fastapi import APIRouter, Request
from starlette.responses import Response, StreamingResponse

from dirbridge.service.auth.sign_in.browser import SignedIn
from dirbridge.service.portal import api, live, rendering
from dirbridge.service.portal.api import Api, ApiRefusal
from dirbridge.service.portal.configurations import jobs
from dirbridge.service.portal.viewer import PortalRoute, Viewer

router = APIRouter(prefix=jobs.PATH, route_class=PortalRoute, include_in_schema=False)

SAMPLE = 5
"""So many objects that failed, or wait to be removed, are shown here; lists have all of them."""
LISTED = 50

_PIECES = ("status", "quarantine", "failures", "cycles")

COUNTS = {
    "firstExports": "Exported for the first time",
    "firstFailures": "Of these failed",
    "escrowed": "Objects set aside",
    "waitingReferences": "References that wait for them",
    "staged": "Removals that wait",
    "failedCycles": "Cycles that failed in a row",
}
"""What the numbers of a quarantine are called."""


@router.get("/{job}")
async def show(request: Request, who: Viewer, job: str) -> Response:
    """Show it."""
    state = await _state(request, who, job)
    return rendering.page(request, who, "configuration.html", **state, tabs=jobs.tabs(state["job"]))


@router.get("/{job}/live")
async def follow(request: Request, who: Viewer, job: str) -> StreamingResponse:
    """Send what changes of it."""
    frame = rendering.frame(request, who)

    async def pieces() -> dict[str, str]:
        try:
            state = await _state(request, who, job)
        except ApiRefusal as refusal:
            if refusal.status != 404:
                raise
            return {**dict.fromkeys(_PIECES, ""), "status": rendering.part("configurations/gone.html")}
        return {name: rendering.part(f"configurations/{name}.html", **frame, **state) for name in _PIECES}

    return live.stream(request, pieces)


@router.get("/{job}/escrows")
async def show_escrows(request: Request, who: Viewer, job: str) -> Response:
    """List the objects that failed, page by page."""
    position = request.query_params.get("after", "")
    async with api.of(request, who) as ours:
        found = await jobs.one(ours, job)
        answer = await ours.get(_escrows(job), {"$skiptoken": position} if position else {}, top=LISTED)
    return rendering.page(
        request, who, "configurations/escrows.html", job=found, tabs=jobs.tabs(found), rows=answer["value"],
        position=position, next=jobs.position_behind(answer),
    )  # fmt: skip


async def _state(request: Request, who: SignedIn, job: str) -> dict[str, Any]:
    async with api.of(request, who) as ours:
        found = await jobs.one(ours, job)
        failures = (await ours.get(_escrows(job), top=SAMPLE))["value"]
        staged = await _staged(ours, found)
    executions = _executions(found["status"])
    return {"job": found, "failures": failures, "staged": staged, "executions": executions, "counts": COUNTS}


async def _staged(ours: Api, job: Mapping[str, Any]) -> list[dict[str, Any]]:
    """Give some of what waits for a word, where that is why the job is in quarantine."""
    if (job["status"]["quarantine"] or {}).get("reason") != "TooManyDeletes":
        return []
    rows: list[dict[str, Any]] = (await ours.get(f"{jobs.OURS}/{api.key(job['id'])}/stagedRemovals", top=SAMPLE))[
        "value"
    ]
    return rows


def _executions(status: Mapping[str, Any]) -> list[tuple[str, Mapping[str, Any]]]:
    """Give the cycles that the API remembers, each once under all of its names, the newest first."""
    named: dict[str, tuple[list[str], Mapping[str, Any]]] = {}
    for name, words in (
        ("lastExecution", "Last"),
        ("lastSuccessfulExecution", "Last without failures"),
        ("lastSuccessfulExecutionWithExports", "Last that wrote"),
    ):
        if status[name]:
            named.setdefault(status[name]["activityIdentifier"], ([], status[name]))[0].append(words)
    found = [(", ".join([names[0], *(each.lower() for each in names[1:])]), cycle) for names, cycle in named.values()]
    return sorted(found, key=lambda each: str(each[1]["timeEnded"]), reverse=True)


def _escrows(job: str) -> str:
    return f"{jobs.OURS}/{api.key(job)}/escrows"
