"""Looking around in the directory that a job reads, through an agent: the tree of containers, entries by their names.

For people who choose a scope or somebody to try a mapping with. Nothing of it is stored.
"""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from datetime import timedelta
from typing import Annotated, Any

import msgspec
from fastapi import APIRouter, Depends, Request
from starlette.responses import Response

from dirbridge.connectors.protocol import Browsed
from dirbridge.contract.entry import text_fault
from dirbridge.contract.errors import ConfigurationError
from dirbridge.contract.wire import SEARCH_TEXT, Listing, Located
from dirbridge.engine.run import Context
from dirbridge.service.auth.access import Caller, require
from dirbridge.service.auth.permissions import SYNCHRONIZERS
from dirbridge.service.graph.context import body, context, database
from dirbridge.service.graph.errors import GraphError, bad_request, not_found
from dirbridge.service.graph.responses import GraphResponse
from dirbridge.store import jobs
from dirbridge.store.jobs import Job

router = APIRouter(prefix="/beta/dirbridge")

Looker = Annotated[Caller, Depends(require("Synchronization.ReadWrite.All", roles=SYNCHRONIZERS))]

PATIENCE = timedelta(seconds=20)
"""How long somebody who looks at a page waits for an agent."""
MOST, USUAL = 100, 50


class Place(msgspec.Struct):
    """The anchor of the container whose containers are listed; the head of the directory where there is none."""

    below: Annotated[str, msgspec.Meta(max_length=256)] | None = None


class Search(msgspec.Struct, rename="camel"):
    """A part of a name, and the object types that are searched: of the source, or `container`.

    Without types those are searched that the job provisions.
    """

    text: Annotated[str, msgspec.Meta(min_length=1, max_length=SEARCH_TEXT)]
    object_types: Annotated[list[str], msgspec.Meta(min_length=1, max_length=10)] | None = None
    top: Annotated[int, msgspec.Meta(ge=1, le=MOST)] = USUAL


@router.post("/jobs/{job}/browse")
async def browse(request: Request, job: str, caller: Looker) -> Response:
    """List the containers directly in one, as they are now."""
    place = await body(request, Place, optional=True)
    source = _source(request, await _job(request, caller, job))
    found = await _answer(lambda: source.browse(place.below))
    if found.missing:
        raise not_found("container", place.below)
    return _shown(request, found)


@router.post("/jobs/{job}/search")
async def search(request: Request, job: str, caller: Looker) -> Response:
    """Find entries by a part of their name."""
    wanted = await body(request, Search)
    read = await _job(request, caller, job)
    types = _types(wanted, read)
    source = _source(request, read)
    return _shown(request, await _answer(lambda: source.search(wanted.text.strip(), types, wanted.top)))


def _types(wanted: Search, job: Job) -> list[str]:
    """Give the types that are searched, and make sure that the job may read them.

    Raises:
        GraphError: 400 that says what is expected.
    """
    fault = text_fault(wanted.text)
    if fault is not None or not wanted.text.strip():
        raise bad_request(f"text {fault or 'is empty'}; a part of a name is expected.", target="text")
    schema = job.document()
    sources = {rule.source_directory_name for rule in schema.synchronization_rules}
    known = {"container", *(one.name for each in schema.directories if each.name in sources for one in each.objects)}
    if wanted.object_types is None:
        mappings = (mapping for rule in schema.synchronization_rules for mapping in rule.object_mappings)
        return sorted({mapping.source_object_name for mapping in mappings})
    for kind in wanted.object_types:
        if kind not in known:
            raise bad_request(
                f"objectTypes expects some of {', '.join(sorted(known))}; found '{kind:.80}'.", target="objectTypes"
            )
    return wanted.object_types


async def _job(request: Request, caller: Caller, job: str) -> Job:
    async with database(request).connection() as conn:
        found = await jobs.get(conn, caller.tenant, job)
    if found is None or found.state == jobs.PREVIEW:
        raise not_found("synchronization job", job)
    return found


def _source(request: Request, job: Job) -> Browsed:
    engine: Context = request.app.state.engine
    source = engine.source(job)
    if not isinstance(source, Browsed):
        raise ConfigurationError(
            f"Nobody can look around in the directory of {job.domain}.",
            code="RequestNotSupported",
            recommended_action="Name containers and groups by their distinguished names.",
        )
    return source


async def _answer(ask: Callable[[], Awaitable[Listing]]) -> Listing:
    try:
        async with asyncio.timeout(PATIENCE.total_seconds()):
            return await ask()
    except TimeoutError as error:
        raise GraphError(
            503,
            "serviceNotAvailable",
            f"No agent answered within {PATIENCE.total_seconds():.0f} seconds. See whether one is well, and try again.",
            headers={"Retry-After": "5"},
        ) from error


def _shown(request: Request, found: Listing) -> Response:
    value = [_entry(one) for one in found.found]
    return GraphResponse(
        {"@odata.context": context(request, "dirbridge/directoryListing"), "value": value, "more": found.more}
    )


def _entry(one: Located) -> dict[str, Any]:
    return {
        "id": one.anchor,
        "objectType": one.object_type,
        "displayName": one.name,
        "distinguishedName": one.shown,
    }
