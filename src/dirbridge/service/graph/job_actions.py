"""What is done with a job: start, pause, restart, trying its credentials.

Source: Graph synchronizationJob: start, pause, restart.
"""

from __future__ import annotations

from typing import Annotated
from uuid import UUID

import msgspec
from fastapi import APIRouter, Depends, Request
from starlette.responses import Response

from dirbridge.contract.errors import DirbridgeError
from dirbridge.service import configuration, templates
from dirbridge.service.auth.access import Caller, require
from dirbridge.service.auth.permissions import SYNCHRONIZERS
from dirbridge.service.contexts import Reach
from dirbridge.service.graph.context import body, database, sealing
from dirbridge.service.graph.errors import GraphError, bad_request
from dirbridge.service.graph.responses import no_content
from dirbridge.service.graph.secrets import Pair, values_of
from dirbridge.service.graph.synchronization import Writer, audit, find_job, find_principal
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
        cleared: dict[str, object] = {"resetScope": ", ".join(sorted(scopes or jobs.DEFAULT_RESET))}
        await audit(conn, caller, "Enable/restart provisioning configuration", job, cleared)
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


# Trying credentials ---------------------------------------------------------------------------------------------------


class Trial(msgspec.Struct, rename="camel"):
    """What to try; all may be left out, and then it is what is stored."""

    application_identifier: str | None = None
    template_id: str | None = None
    use_saved_credentials: bool | None = None
    credentials: list[Pair] | None = None


@tree.post("/jobs/validateCredentials")
async def try_credentials(request: Request, sp: str, caller: Writer) -> Response:
    """Try what a configuration has or is to have, before there is a job."""
    wanted = await body(request, Trial, optional=True)
    return await _try(request, sp, caller, wanted)


@tree.post("/jobs/{job}/validateCredentials")
async def try_job_credentials(request: Request, sp: str, job: str, caller: Writer) -> Response:
    """Try what the configuration of a job has or is to have."""
    wanted = await body(request, Trial, optional=True)
    async with database(request).connection() as conn:
        await find_job(conn, caller, sp, job)
    return await _try(request, sp, caller, wanted)


async def _try(request: Request, sp: str, caller: Caller, wanted: Trial) -> Response:
    """Check the values, then have an agent sign in at the domain and read from it.

    The account that reads the domain is in the agent's own settings: no credential of it is ever sent here.

    Raises:
        GraphError: 400 with the code of what failed.
    """
    if wanted.template_id is not None and wanted.template_id not in templates.TEMPLATES:
        raise bad_request(f"The requested value '{wanted.template_id}' was not found.", target="templateId")
    async with database(request).connection() as conn:
        principal = await find_principal(conn, caller, sp)
        saved = await configuration.read(conn, sealing(request), caller.tenant, principal.id)
    domain = principal.display_name.lower()
    given = values_of(wanted.credentials or []) if not wanted.use_saved_credentials else {}
    configuration.check(given or saved, domain)
    reach: Reach = request.app.state.reach
    await _sign_in(reach, caller.tenant, domain)
    return no_content()


async def _sign_in(reach: Reach, tenant: UUID, domain: str) -> None:
    try:
        report = await reach(tenant, domain).check()
    except DirbridgeError as error:
        raise GraphError(400, error.code, str(error), target=domain) from error
    failed = [one for one in report.findings if one.outcome == "fail"]
    if failed:
        details = [{"code": one.name, "message": f"{one.finding} {one.remedy}".strip()} for one in failed]
        known = [one.code for one in failed if one.code]
        code = known[0] if known else "CredentialsNotValid"
        raise GraphError(400, code, " ".join(one["message"] for one in details), target=domain, details=details)


# What a directory that an agent reads has no use for ------------------------------------------------------------------

Uploader = Annotated[
    Caller,
    Depends(require("SynchronizationData-User.Upload", "SynchronizationData-User.Upload.OwnedBy", roles=SYNCHRONIZERS)),
]


@tree.post("/acquireAccessToken")
async def acquire_access_token(request: Request, sp: str, caller: Writer) -> Response:
    """Refuse: no connector signs in by an authorization code."""
    async with database(request).connection() as conn:
        await find_principal(conn, caller, sp)
    raise bad_request(
        "No template of this configuration gets an access token by OAuth; an agent reads the directory with the "
        "account in its own settings.",
        code="notSupported",
    )


async def refuse_upload(request: Request, sp: str, job: str, caller: Uploader) -> Response:
    """Refuse: entries come from an agent, not from uploads."""
    async with database(request).connection() as conn:
        found = await find_job(conn, caller, sp, job)
    raise bad_request(
        f"Only jobs of the template API2AAD take uploads; this is one of {found.template_id}, whose entries an agent "
        "reads.",
        code="notSupported",
    )


for _path, _methods in (("", ["GET", "POST", "PATCH", "DELETE"]), ("/$value", ["GET", "PUT", "DELETE"])):
    for _method in _methods:
        tree.add_api_route(f"/jobs/{{job}}/bulkUpload{_path}", refuse_upload, methods=[_method])
