"""Is the process alive, and can it work: two addresses for load balancers and monitoring."""

from __future__ import annotations

import asyncio
import logging

from fastapi import APIRouter
from starlette.responses import JSONResponse, Response

from dirbridge.contract.errors import DirbridgeError
from dirbridge.store import migrate
from dirbridge.store.database import Database

logger = logging.getLogger(__name__)

PATIENCE = 4.0
"""Seconds that the database has to answer."""

_HEADERS = {"Cache-Control": "no-store"}


def router(database: Database) -> APIRouter:
    """Give the routes; they ask for no token and tell nothing but how things stand."""
    routes = APIRouter(tags=["health"])

    @routes.get("/healthz")
    async def healthz() -> Response:
        """Say that the process is alive."""
        return JSONResponse({"status": "ok"}, headers=_HEADERS)

    @routes.get("/readyz")
    async def readyz() -> Response:
        """Say whether the process can work: its database answers, with the tables of this release."""
        checks = await _checks(database)
        ready = all(said == "ok" for said in checks.values())
        return JSONResponse(
            {"status": "ready" if ready else "unavailable", "checks": checks},
            status_code=200 if ready else 503,
            headers=_HEADERS if ready else {**_HEADERS, "Retry-After": "2"},
        )

    return routes


async def _checks(database: Database) -> dict[str, str]:
    try:
        async with asyncio.timeout(PATIENCE), database.connection() as conn:
            current = await migrate.is_current(conn)
    except (DirbridgeError, TimeoutError) as error:
        said = str(error) or f"no answer within {PATIENCE:.0f} seconds"
        logger.warning("Not ready: %s", said, extra={"event": "not_ready"})
        return {"database": "unavailable", "migrations": "unknown"}
    return {"database": "ok", "migrations": "ok" if current else "this release needs others"}
