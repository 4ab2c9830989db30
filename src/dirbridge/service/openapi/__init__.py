"""The API described for programs: an OpenAPI document, served where clients look for one.

Its truth is in three places, each said once: the routes have path, method, summary and permissions; the types that
they decode, and the tables that they render by, have the forms; `tables` has the rest. A test finds routes and answers
that differ.
"""

from __future__ import annotations

import asyncio

import msgspec
from fastapi import APIRouter, Request
from starlette.responses import Response

from dirbridge.service.graph.gate import VERSIONS
from dirbridge.service.openapi import document

router = APIRouter(include_in_schema=False)

_WHOLE = "openapi.json"


@router.get(f"/{_WHOLE}")
@router.get("/v1.0/openapi.json")
@router.get("/beta/openapi.json")
async def give(request: Request) -> Response:
    """Give the whole document, or one version's; they are put together at the first request."""
    kept: dict[str, bytes] | None = getattr(request.app.state, "openapi", None)
    if kept is None:
        kept = await asyncio.to_thread(_written, request)
        request.app.state.openapi = kept
    return Response(kept[request.scope["path"].strip("/")], media_type="application/json")


def _written(request: Request) -> dict[str, bytes]:
    """Write the documents, by their path."""
    whole = document.build(request.app, request.app.state.base_url, request.app.state.tenant)
    parts = {f"{version}/{_WHOLE}": document.of_version(whole, version) for version in VERSIONS}
    return {path: msgspec.json.encode(each) for path, each in {_WHOLE: whole, **parts}.items()}
