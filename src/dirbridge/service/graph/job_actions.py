"""What is done with a job: start, pause, restart, trying its credentials.

Source: Graph synchronizationJob: start, pause, restart.
"""

from __future__ import annotations

import msgspec
from fastapi import APIRouter, Request
from starlette.responses import Response

from dirbridge.service.graph.context import body, database
from dirbridge.service.graph.errors import bad_request
from dirbridge.service.graph.responses import no_content
from dirbridge.service.graph.synchronization import Writer, audit, find_job
from dirbridge.store import jobs

tree = APIRouter()


class Criteria(msgspec.Struct, rename="camel"):
    """What a restart clears, names separated by commas."""

    reset_scope: str | list[str] | None = None


class Restart(msgspec.Struct):
    """A restart's body; clients leave all of it out for the default."""

    criteria: Criteria | None = None


@tree.post("/jobs/{job}/start")
async def start_job(request: Request, sp: str, job: str, caller: Writer) -> Response:
    """Let a job run from where it stopped. One that runs is left alone."""
    async with database(request).transaction() as conn:
        found = await find_job(conn, caller, sp, job)
        if found.state != "Active" or found.quarantine is not None:
            await jobs.start(conn, caller.tenant, job)
            await audit(conn, caller, "Enable/start provisioning configuration", job)
    return no_content()


@tree.post("/jobs/{job}/pause")
async def pause_job(request: Request, sp: str, job: str, caller: Writer) -> Response:
    """Stop a job at its next page, keeping its state."""
    async with database(request).transaction() as conn:
        await find_job(conn, caller, sp, job)
        await jobs.pause(conn, caller.tenant, job)
        await audit(conn, caller, "Disable/pause provisioning configuration", job)
    return no_content()


@tree.post("/jobs/{job}/restart")
async def restart_job(request: Request, sp: str, job: str, caller: Writer) -> Response:
    """Clear what the criteria name and run at once."""
    wanted = await body(request, Restart, optional=True)
    scopes = _scopes(wanted.criteria.reset_scope if wanted.criteria else None)
    async with database(request).transaction() as conn:
        await find_job(conn, caller, sp, job)
        await jobs.restart(conn, caller.tenant, job, scopes)
        await audit(
            conn, caller, "Enable/restart provisioning configuration", job, {"resetScope": ", ".join(sorted(scopes))}
        )
    return no_content()


def _scopes(text: str | list[str] | None) -> set[str]:
    """Read a flags value: names in any case, separated by commas."""
    written = ",".join(text) if isinstance(text, list) else text or ""
    known = {name.lower(): name for name in jobs.RESET_SCOPES}
    chosen: set[str] = set()
    for part in written.split(","):
        if not part.strip():
            continue
        name = known.get(part.strip().lower())
        if name is None:
            raise bad_request(f"resetScope expects names of {', '.join(jobs.RESET_SCOPES)}; found '{part.strip()}'.")
        chosen.add(name)
    return chosen
