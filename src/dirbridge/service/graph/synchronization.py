"""Synchronization jobs: application templates, service principals, jobs.

Source: Graph synchronizationJob and synchronizationStatus.
"""

from __future__ import annotations

import re
from datetime import UTC, datetime, timedelta
from typing import Annotated, Any
from uuid import UUID, uuid4

import msgspec
from fastapi import APIRouter, Depends, Request
from starlette.responses import Response

from dirbridge.engine import policies
from dirbridge.service import configuration, templates
from dirbridge.service.auth.access import Caller, require
from dirbridge.service.auth.permissions import OBSERVERS, SYNCHRONIZERS
from dirbridge.service.graph import odata, status
from dirbridge.service.graph.context import body, context, database, guid, root, sealing
from dirbridge.service.graph.errors import GraphError, bad_request, not_found
from dirbridge.service.graph.responses import GraphResponse, TextResponse, moment, no_content
from dirbridge.store import audits, identity, jobs
from dirbridge.store.directory_queries import Conn
from dirbridge.store.identifiers import new_id
from dirbridge.store.identity import ServicePrincipal
from dirbridge.store.jobs import Job
from dirbridge.tenant import account

router = APIRouter()

_OWNED = "Application.ReadWrite.OwnedBy"
_ALL = "Synchronization.ReadWrite.All"
Reader = Annotated[Caller, Depends(require("Synchronization.Read.All", _ALL, _OWNED, roles=OBSERVERS))]
Writer = Annotated[Caller, Depends(require(_ALL, _OWNED, roles=SYNCHRONIZERS))]
Installer = Annotated[
    Caller, Depends(require("Application.ReadWrite.All", "Directory.ReadWrite.All", _OWNED, roles=SYNCHRONIZERS))
]
_DIRECTORY = ("Directory.Read.All", "Directory.ReadWrite.All")
_APPLICATION = ("Application.Read.All", "Application.ReadWrite.All")
PrincipalReader = Annotated[
    Caller, Depends(require(*_APPLICATION, *_DIRECTORY, "Synchronization.Read.All", _ALL, _OWNED))
]

MOST_OFTEN, LEAST_OFTEN = timedelta(seconds=1), timedelta(days=1)
JOBS = "/servicePrincipals/{sp}/synchronization/jobs"

# ISO 8601 without years and months, whose length varies; names are those of timedelta.
_DURATION = re.compile(
    r"P(?:(?P<days>\d{1,5})D)?(?:T(?=\d)(?:(?P<hours>\d{1,6})H)?(?:(?P<minutes>\d{1,8})M)?(?:(?P<seconds>\d{1,9}(?:\.\d+)?)S)?)?"
)

# A DNS name of at least two labels; the length of labels and of the whole as RFC 1035 section 2.3.4 says.
_DOMAIN = re.compile(
    r"(?=.{3,253}$)[a-z0-9]([a-z0-9-]{0,61}[a-z0-9])?(\.[a-z0-9]([a-z0-9-]{0,61}[a-z0-9])?)+", re.IGNORECASE
)


class NewApplication(msgspec.Struct, rename="camel"):
    """The name of a new configuration: the DNS name of the domain that it reads."""

    display_name: Annotated[str, msgspec.Meta(min_length=1, max_length=256)]


class NewJob(msgspec.Struct, rename="camel"):
    """The template of a new job."""

    template_id: str


class Schedule(msgspec.Struct):
    """How often a job runs, as an ISO 8601 duration such as `PT2M`."""

    interval: str | None = None


class JobSetting(msgspec.Struct):
    """One setting, as Graph's keyValuePair. Null, or no text, means the default."""

    name: str
    value: str | None = None


class JobChange(msgspec.Struct, rename="camel"):
    """What can be changed of a job; the rest follows from what it does."""

    schedule: Schedule | None = None
    synchronization_job_settings: list[JobSetting] | None = None


class Criteria(msgspec.Struct, rename="camel"):
    """What a restart clears, names separated by commas."""

    reset_scope: str | list[str] | None = None


class Restart(msgspec.Struct):
    """A restart's body; clients leave all of it out for the default."""

    criteria: Criteria | None = None


# Applications ---------------------------------------------------------------------------------------------------------


@router.post("/applicationTemplates/{key}/instantiate")
async def instantiate(request: Request, key: str, caller: Installer) -> Response:
    """Make the application under which a domain's jobs live."""
    template = guid(key)
    if template not in templates.APPLICATIONS:
        raise not_found("application template", key)
    wanted = await body(request, NewApplication)
    name = _domain(wanted.display_name)
    principal, app = uuid4(), uuid4()
    async with database(request).transaction() as conn:
        await identity.add_service_principal(
            conn, caller.tenant, principal, app_id=app, display_name=name, template_id=template
        )
        await audits.record(
            conn, caller.tenant, actor=caller.actor, activity="Add service principal", target=str(principal)
        )
        made = await identity.service_principal(conn, caller.tenant, principal)
    shown = show_principal(made) if made else {}
    answer = {
        "@odata.context": context(request, "microsoft.graph.applicationServicePrincipal"),
        "application": {"id": str(app), "appId": str(app), "displayName": name, "applicationTemplateId": str(template)},
        # Scripts of the beta read `objectId`.
        "servicePrincipal": {**shown, "objectId": str(principal)},
    }
    return GraphResponse(answer, status_code=201)


def _domain(text: str) -> str:
    name = text.strip().rstrip(".").lower()
    if not _DOMAIN.fullmatch(name):
        raise bad_request(
            f"displayName names the domain to synchronize by its DNS name, such as contoso.test; found '{text}'."
        )
    return name


@router.get("/servicePrincipals")
async def list_principals(request: Request, caller: PrincipalReader) -> Response:
    """List the tenant's applications."""
    odata.read(request, frozenset({"format", "top"}))
    async with database(request).connection() as conn:
        found = await identity.service_principals(conn, caller.tenant)
    return GraphResponse({
        "@odata.context": context(request, "servicePrincipals"), "value": [show_principal(each) for each in found],
    })  # fmt: skip


@router.get("/servicePrincipals/{sp}")
async def get_principal(request: Request, sp: str, caller: PrincipalReader) -> Response:
    """Give one application, by object id or `appId=…`."""
    odata.read(request, frozenset({"format"}))
    async with database(request).connection() as conn:
        found = await find_principal(conn, caller, sp)
    return GraphResponse({"@odata.context": context(request, "servicePrincipals/$entity"), **show_principal(found)})


async def find_principal(conn: Conn, caller: Caller, key: str) -> ServicePrincipal:
    """Give an application by object id or `appId=…`, or refuse with 404."""
    by_app = key.startswith("appId=")
    id = guid(key.removeprefix("appId="))
    found = None
    if id is not None and by_app:
        found = await identity.service_principal_by_app(conn, caller.tenant, id)
    elif id is not None:
        found = await identity.service_principal(conn, caller.tenant, id)
    if found is None:
        raise not_found("service principal", key)
    return found


def show_principal(row: ServicePrincipal) -> dict[str, Any]:
    """Show an application as Graph's servicePrincipal."""
    return {
        "id": str(row.id),
        "deletedDateTime": None,
        "accountEnabled": row.is_enabled,
        "appId": str(row.app_id),
        "appDisplayName": templates.APPLICATIONS.get(row.template_id) if row.template_id else row.display_name,
        "applicationTemplateId": str(row.template_id) if row.template_id else None,
        "createdDateTime": moment(row.created_at),
        "displayName": row.display_name,
        "servicePrincipalNames": [str(row.app_id)],
        "servicePrincipalType": "Application",
        "signInAudience": "AzureADMyOrg",
        "tags": ["WindowsAzureActiveDirectoryIntegratedApp"],
    }


# Jobs -----------------------------------------------------------------------------------------------------------------


@router.get(JOBS)
async def list_jobs(request: Request, sp: str, caller: Reader) -> Response:
    """List an application's jobs."""
    odata.read(request, frozenset({"format", "top"}))
    async with database(request).connection() as conn:
        principal = await find_principal(conn, caller, sp)
        found = await jobs.list_all(conn, caller.tenant, principal.id)
        shown = [await show_job(request, conn, job) for job in found]
    return GraphResponse({"@odata.context": _context(request, principal.id, "jobs"), "value": shown})


@router.get(JOBS + "/$count")
async def count_jobs(request: Request, sp: str, caller: Reader) -> Response:
    """Count an application's jobs."""
    odata.read(request, frozenset())
    async with database(request).connection() as conn:
        principal = await find_principal(conn, caller, sp)
        return TextResponse(str(len(await jobs.list_all(conn, caller.tenant, principal.id))))


@router.post(JOBS)
async def create_job(request: Request, sp: str, caller: Writer) -> Response:
    """Make a job, paused, with the template's default schema."""
    wanted = await body(request, NewJob)
    build = templates.TEMPLATES.get(wanted.template_id)
    if build is None:
        raise bad_request(f"templateId expects one of {', '.join(templates.TEMPLATES)}; found '{wanted.template_id}'.")
    job = f"{wanted.template_id}.{caller.tenant.hex}.{uuid4()}"
    async with database(request).transaction() as conn:
        principal = await find_principal(conn, caller, sp)
        domain = _domain(principal.display_name)
        decided = await configuration.settings(conn, sealing(request), caller.tenant, principal.id)
        await jobs.create(
            conn,
            caller.tenant,
            job,
            service_principal=principal.id,
            template_id=wanted.template_id,
            domain=domain,
            schema=build(job, datetime.now(UTC)),
            settings={"DomainFQDN": domain, **decided},
        )
        await account.ensure(conn, caller.tenant, sealing(request), new_id, datetime.now(UTC))
        await _audit(conn, caller, "Add provisioning configuration", job)
        shown = await show_job(request, conn, await find_job(conn, caller, sp, job))
    where = f"{root(request)}/servicePrincipals/{principal.id}/synchronization/jobs/{job}"
    answer = {"@odata.context": _context(request, principal.id, "jobs/$entity"), **shown}
    return GraphResponse(answer, status_code=201, headers={"Location": where})


@router.get(JOBS + "/{job}")
async def get_job(request: Request, sp: str, job: str, caller: Reader) -> Response:
    """Give one job with its status."""
    odata.read(request, frozenset({"format"}))
    async with database(request).connection() as conn:
        found = await find_job(conn, caller, sp, job)
        shown = await show_job(request, conn, found)
    return GraphResponse({"@odata.context": _context(request, found.service_principal, "jobs/$entity"), **shown})


@router.patch(JOBS + "/{job}")
async def change_job(request: Request, sp: str, job: str, caller: Writer) -> Response:
    """Change how often a job runs and what it allows; it takes effect when the cycle that is due next has run."""
    wanted = await body(request, JobChange)
    interval = wanted.schedule.interval if wanted.schedule else None
    async with database(request).transaction() as conn:
        found = await find_job(conn, caller, sp, job)
        changed = _changed_settings(wanted.synchronization_job_settings or [], found)
        if interval is not None:
            await jobs.set_interval(conn, caller.tenant, job, _interval(interval))
            await _audit(conn, caller, "Update provisioning configuration", job, {"interval": interval})
        if changed:
            await jobs.set_settings(conn, caller.tenant, job, changed)
            await jobs.wake(conn, caller.tenant, principal=found.service_principal)
            await _audit(conn, caller, "Update provisioning configuration", job, {"settings": changed})
    return no_content()


def _changed_settings(wanted: list[JobSetting], job: Job) -> dict[str, str | None]:
    """Give the settings that a change really changes; those that it does not name stay as they are.

    Raises:
        GraphError: 400 that names every setting that is none, is not a person's to change, or has a wrong value.
    """
    before = {each["name"]: each["value"] for each in _settings(job)}
    given = {each.name: (each.value or "").strip() or None for each in wanted}
    changed = {name: value for name, value in given.items() if value != before.get(name)}
    changed = {name: value for name, value in changed.items() if value is not None or name in job.settings}
    faults = [
        f"'{name}' is no setting that can be changed; these are: {', '.join(policies.SETTINGS)}."
        for name in policies.unknown(given)
        if name not in before or given[name] != before[name]
    ]
    faults += policies.check({name: value for name, value in changed.items() if value is not None})
    if faults:
        raise bad_request(" ".join(faults), target="synchronizationJobSettings")
    return changed


@router.delete(JOBS + "/{job}")
async def delete_job(request: Request, sp: str, job: str, caller: Writer) -> Response:
    """Drop a job and all its state; what it wrote stays."""
    async with database(request).transaction() as conn:
        await find_job(conn, caller, sp, job)
        await jobs.delete(conn, caller.tenant, job)
        await _audit(conn, caller, "Delete provisioning configuration", job)
    return no_content()


@router.post(JOBS + "/{job}/start")
async def start_job(request: Request, sp: str, job: str, caller: Writer) -> Response:
    """Let a job run from where it stopped. One that runs is left alone."""
    async with database(request).transaction() as conn:
        found = await find_job(conn, caller, sp, job)
        if found.state != "Active" or found.quarantine is not None:
            await jobs.start(conn, caller.tenant, job)
            await _audit(conn, caller, "Enable/start provisioning configuration", job)
    return no_content()


@router.post(JOBS + "/{job}/pause")
async def pause_job(request: Request, sp: str, job: str, caller: Writer) -> Response:
    """Stop a job at its next page, keeping its state."""
    async with database(request).transaction() as conn:
        await find_job(conn, caller, sp, job)
        await jobs.pause(conn, caller.tenant, job)
        await _audit(conn, caller, "Disable/pause provisioning configuration", job)
    return no_content()


@router.post(JOBS + "/{job}/restart")
async def restart_job(request: Request, sp: str, job: str, caller: Writer) -> Response:
    """Clear what the criteria name and run at once."""
    wanted = await body(request, Restart, optional=True)
    scopes = _scopes(wanted.criteria.reset_scope if wanted.criteria else None)
    async with database(request).transaction() as conn:
        await find_job(conn, caller, sp, job)
        await jobs.restart(conn, caller.tenant, job, scopes)
        await _audit(
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


async def find_job(conn: Conn, caller: Caller, sp: str, job: str) -> Job:
    """Give a job of an application; raises 404 where there is none."""
    principal = await find_principal(conn, caller, sp)
    found = await jobs.get(conn, caller.tenant, job)
    if found is None or found.service_principal != principal.id:
        raise GraphError(404, "NotFound", f"The synchronization job '{job}' does not exist under '{sp}'.")
    return found


async def _audit(conn: Conn, caller: Caller, activity: str, job: str, detail: dict[str, object] | None = None) -> None:
    await audits.record(conn, caller.tenant, actor=caller.actor, activity=activity, target=job, detail=detail)


def _context(request: Request, principal: UUID, rest: str) -> str:
    return context(request, f"servicePrincipals('{principal}')/synchronization/{rest}")


async def show_job(request: Request, conn: Conn, job: Job) -> dict[str, Any]:
    """Show a job as Graph's synchronizationJob."""
    return {
        "id": job.id,
        "templateId": job.template_id,
        "schedule": {"expiration": None, "interval": duration(job.interval), "state": job.state},
        "status": await status.show(conn, job, root(request)),
        "synchronizationJobSettings": _settings(job),
    }


def _settings(job: Job) -> list[dict[str, str]]:
    """Show what is set, and what holds because nothing is set."""
    kept = {
        name: value if isinstance(value, str) else msgspec.json.encode(value).decode()
        for name, value in job.settings.items()
    }
    return [{"name": name, "value": value} for name, value in sorted({**kept, **policies.shown(kept)}.items())]


def duration(value: timedelta) -> str:
    """Write a duration as ISO 8601, in the largest unit that fits."""
    seconds = int(value.total_seconds())
    for unit, letter in ((86_400, "D"), (3600, "H"), (60, "M")):
        if seconds and seconds % unit == 0:
            return f"P{seconds // unit}D" if letter == "D" else f"PT{seconds // unit}{letter}"
    return f"PT{seconds}S"


def _interval(text: str) -> timedelta:
    parts = _DURATION.fullmatch(text)
    given = {unit: float(number) for unit, number in (parts.groupdict() if parts else {}).items() if number}
    value = timedelta(**given)
    if not MOST_OFTEN <= value <= LEAST_OFTEN:
        raise bad_request(
            f"schedule.interval expects a duration from {duration(MOST_OFTEN)} to {duration(LEAST_OFTEN)}, "
            f"such as PT2M; found '{text}'."
        )
    return value
