"""The root of a configuration: `synchronization`, under an application or its service principal.

What lies below is in `jobs`, `job_actions`, `job_templates`, `schema`, `directories`, `expressions`, `secrets` and
`ondemand`; each asks here for the application and the job that an address names.

Source: Graph synchronization.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Annotated, Any
from uuid import UUID

from fastapi import Depends, Request
from starlette.convertors import Convertor, register_url_convertor

from dirbridge.service.auth.access import Caller, require
from dirbridge.service.auth.applications import ownership
from dirbridge.service.auth.permissions import OBSERVERS, SYNCHRONIZERS
from dirbridge.service.graph import job_settings, odata, status
from dirbridge.service.graph.context import context, guid, root
from dirbridge.service.graph.errors import GraphError, not_found
from dirbridge.store import audits, identity, job_listing, jobs, link_counts
from dirbridge.store.directory_queries import Conn
from dirbridge.store.identity import ServicePrincipal
from dirbridge.store.jobs import Job, JobOutline
from dirbridge.store.link_counts import Pair

OWNED = "Application.ReadWrite.OwnedBy"
ALL = "Synchronization.ReadWrite.All"
Reader = Annotated[Caller, Depends(require("Synchronization.Read.All", ALL, OWNED, roles=OBSERVERS))]
Writer = Annotated[Caller, Depends(require(ALL, OWNED, roles=SYNCHRONIZERS))]


class _ApplicationKey(Convertor[str]):
    """Marks a key as one of an application, so that both trees have the same routes."""

    regex = "[^/]+"

    def convert(self, value: str) -> str:
        return f"{OF_APPLICATION}{value}"

    def to_string(self, value: str) -> str:
        return value.removeprefix(OF_APPLICATION)


OF_APPLICATION = "application="
"""What a key begins with that was read from an address below /applications."""
register_url_convertor("application", _ApplicationKey())

PRINCIPAL = "/servicePrincipals/{sp}/synchronization"
TREES = (PRINCIPAL, "/applications/{sp:application}/synchronization")
"""Under which addresses a configuration lies."""


async def find_principal(conn: Conn, caller: Caller, key: str) -> ServicePrincipal:
    """Give an application by object id or `appId=…`, or refuse with 404; under `/applications`, the application's.

    Whoever may come near only what it owns is refused where it does not own this one.
    """
    named = key.removeprefix(OF_APPLICATION)
    by_app = named.startswith("appId=") or named != key
    id = guid(named.removeprefix("appId="))
    found = None
    if id is not None and by_app:
        found = await identity.service_principal_by_app(conn, caller.tenant, id)
    elif id is not None:
        found = await identity.service_principal(conn, caller.tenant, id)
    if found is None or not (found.has_principal or named != key):
        raise not_found("service principal" if named == key else "application", named)
    await ownership.need_owner(conn, caller, found.id)
    return found


# What an address names ------------------------------------------------------------------------------------------------


async def find_job(conn: Conn, caller: Caller, sp: str, job: str, *, lock: bool = False) -> Job:
    """Give a job of an application; raises 404 where there is none."""
    principal = await find_principal(conn, caller, sp)
    found = await jobs.get(conn, caller.tenant, job, lock=lock)
    if found is None or found.service_principal != principal.id:
        raise GraphError(404, "NotFound", f"The synchronization job '{job}' does not exist under '{sp}'.")
    return found


async def audit(conn: Conn, caller: Caller, activity: str, job: str, detail: dict[str, object] | None = None) -> None:
    """Note what was done with a job."""
    await audits.record(conn, caller.tenant, actor=caller.actor, activity=activity, target=job, detail=detail)


def address(request: Request, principal: UUID, rest: str) -> str:
    """Give the address of the metadata of something below a configuration."""
    return context(request, f"servicePrincipals('{principal}')/synchronization/{rest}")


def wants_schema(query: odata.Query) -> bool:
    """Tell whether `$expand=schema` is asked for, which is all that a job or template has to expand.

    Raises:
        GraphError: 400 for anything else.
    """
    text = dict(query.options).get("expand")
    if text is not None and text.strip().lower() != "schema":
        raise GraphError(400, "Request_UnsupportedQuery", f"$expand takes 'schema' here; found '{text}'.")
    return text is not None


async def show_job(request: Request, conn: Conn, job: Job, *, with_schema: bool = False) -> dict[str, Any]:
    """Show a job as Graph's synchronizationJob; raises 404 where it was deleted meanwhile."""
    shown = await show_jobs(request, conn, [job], with_schema=with_schema)
    if not shown:
        raise not_found("synchronization job", job.id)
    return shown[0]


async def show_jobs(
    request: Request, conn: Conn, found: Sequence[Job], *, with_schema: bool = False
) -> list[dict[str, Any]]:
    """Show jobs of one tenant, without those that were deleted meanwhile."""
    if not found:
        return []
    tenant, ids = found[0].tenant, [job.id for job in found]
    codes = await job_listing.codes(conn, tenant, ids)
    in_sync = await link_counts.of_jobs(conn, tenant, ids)
    shown = []
    for job in (each for each in found if each.id in codes):
        expanded = {"schema": {"provisioningTaskIdentifier": job.id, **job.schema}} if with_schema else {}
        shown.append(expanded | outline(request, job, codes[job.id], in_sync.get(job.id, {})))
    return shown


def outline(request: Request, job: JobOutline, code: str, in_sync: Mapping[Pair, int]) -> dict[str, Any]:
    """Show a job without its schema."""
    return {
        "id": job.id,
        "templateId": job.template_id,
        "schedule": {"expiration": None, "interval": job_settings.duration(job.interval), "state": job.state},
        "status": status.show(job, code, in_sync, root(request)),
        "synchronizationJobSettings": job_settings.shown(job),
    }
