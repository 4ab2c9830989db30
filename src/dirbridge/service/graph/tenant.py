"""The tenant itself: `/organization` and `/domains`.

Source: Graph organization and domain resources.
"""

from __future__ import annotations

import re
from typing import Annotated, Any

import msgspec
from fastapi import APIRouter, Depends, Request
from starlette.responses import Response

from dirbridge.service.auth.access import Caller, require
from dirbridge.service.auth.permissions import HYBRID
from dirbridge.service.graph import odata
from dirbridge.service.graph.context import body, context, database, root
from dirbridge.service.graph.errors import GraphError, bad_request, not_found
from dirbridge.service.graph.responses import GraphResponse, moment, no_content
from dirbridge.store import audits, directory_queries, identity, tenant_settings
from dirbridge.store.directory_queries import Organization
from dirbridge.store.identity import Domain

router = APIRouter()

_DIRECTORY = ("Directory.Read.All", "Directory.ReadWrite.All")
OrganizationReader = Annotated[
    Caller, Depends(require("Organization.Read.All", "Organization.ReadWrite.All", "User.Read.All", *_DIRECTORY))
]
OrganizationWriter = Annotated[Caller, Depends(require("Organization.ReadWrite.All", roles=HYBRID))]
DomainReader = Annotated[Caller, Depends(require("Domain.Read.All", "Domain.ReadWrite.All", *_DIRECTORY))]
DomainWriter = Annotated[Caller, Depends(require("Domain.ReadWrite.All", "Directory.ReadWrite.All", roles=HYBRID))]

# Labels as RFC 1035 section 2.3.1 has them, in their ASCII form.
_NAME = re.compile(r"(?=.{3,253}$)[a-z0-9]([a-z0-9-]{0,61}[a-z0-9])?(\.[a-z0-9]([a-z0-9-]{0,61}[a-z0-9])?)+")


class OrganizationChange(msgspec.Struct, rename="camel"):
    """What can be changed of the tenant."""

    on_premises_sync_enabled: bool


class NewDomain(msgspec.Struct):
    """A domain to add; its name is its id."""

    id: str


@router.get("/organization")
async def list_organizations(request: Request, caller: OrganizationReader) -> Response:
    """Give the tenant, as a list of one."""
    query = odata.read(request, odata.ITEM)
    shown = _chosen(query, await _organization(request, caller), "organization")
    address = context(request, odata.with_select("organization", query))
    return GraphResponse({"@odata.context": address, "value": [shown]})


@router.get("/organization/{key}")
async def get_organization(request: Request, key: str, caller: OrganizationReader) -> Response:
    """Give the tenant."""
    query = odata.read(request, odata.ITEM)
    if key.lower() != str(caller.tenant):
        raise not_found("organization", key)
    shown = _chosen(query, await _organization(request, caller), "organization")
    address = context(request, odata.with_select("organization", query) + "/$entity")
    return GraphResponse({"@odata.context": address, **shown})


@router.patch("/organization/{key}")
async def change_organization(request: Request, key: str, caller: OrganizationWriter) -> Response:
    """Say whether the tenant is synchronized; with jobs it is, whatever is said."""
    wanted = await body(request, OrganizationChange)
    if key.lower() != str(caller.tenant):
        raise not_found("organization", key)
    async with database(request).transaction() as conn:
        found = await directory_queries.organization(conn, caller.tenant)
        if found is not None and found.synced and not wanted.on_premises_sync_enabled:
            raise GraphError(
                409, "Conflict", "Synchronization cannot be disabled while there are jobs. Delete them first."
            )
        detail = {"onPremisesSyncEnabled": wanted.on_premises_sync_enabled}
        await tenant_settings.put(conn, caller.tenant, tenant_settings.ORGANIZATION, detail)
        await audits.record(
            conn,
            caller.tenant,
            actor=caller.actor,
            activity="Set DirSync enabled flag",
            target=str(caller.tenant),
            detail=detail,
        )
    return no_content()


def _chosen(query: odata.Query, shown: dict[str, Any], kind: str) -> dict[str, Any]:
    """Keep what `$select` asks for, and the id."""
    select = odata.selected(query, {name.lower(): name for name in shown}, f"microsoft.graph.{kind}")
    return odata.chosen(shown, select if select is None else select | {"id"})


async def _organization(request: Request, caller: Caller) -> dict[str, Any]:
    async with database(request).connection() as conn:
        found = await directory_queries.organization(conn, caller.tenant)
        domains = await identity.domains(conn, caller.tenant)
        stored = await tenant_settings.get(conn, caller.tenant, tenant_settings.ORGANIZATION)
    if found is None:
        raise not_found("organization", caller.tenant)
    return _show_organization(found, domains) | ({} if found.synced else stored)


def _show_organization(row: Organization, domains: list[Domain]) -> dict[str, Any]:
    return {
        "id": str(row.id),
        "deletedDateTime": None,
        "displayName": row.name,
        "createdDateTime": moment(row.created_at),
        "onPremisesSyncEnabled": True if row.synced else None,
        "onPremisesLastSyncDateTime": row.last_sync,
        "tenantType": "AAD",
        "verifiedDomains": [
            {
                "capabilities": "Email",
                "isDefault": each.is_default,
                "isInitial": each.is_initial,
                "name": each.name,
                "type": "Managed",
            }
            for each in domains
            if each.is_verified
        ],
    }


@router.get("/domains")
async def list_domains(request: Request, caller: DomainReader) -> Response:
    """List the tenant's domains."""
    query = odata.read(request, odata.ITEM | {"top"})
    async with database(request).connection() as conn:
        found = await identity.domains(conn, caller.tenant)
    address = context(request, odata.with_select("domains", query))
    return GraphResponse(
        {"@odata.context": address, "value": [_chosen(query, show_domain(each), "domain") for each in found]}
    )


@router.get("/domains/{name}")
async def get_domain(request: Request, name: str, caller: DomainReader) -> Response:
    """Give one domain by its name."""
    query = odata.read(request, odata.ITEM)
    async with database(request).connection() as conn:
        found = await identity.domains(conn, caller.tenant)
    for each in found:
        if each.name.lower() == name.lower():
            address = context(request, odata.with_select("domains", query) + "/$entity")
            return GraphResponse({"@odata.context": address, **_chosen(query, show_domain(each), "domain")})
    raise not_found("domain", name)


@router.post("/domains")
async def add_domain(request: Request, caller: DomainWriter) -> Response:
    """Add a domain. It counts as verified: who may write here owns this installation."""
    wanted = (await body(request, NewDomain)).id.strip().rstrip(".").lower()
    if not _NAME.fullmatch(wanted):
        raise bad_request(
            f"A domain is expected as a DNS name such as contoso.test, found '{wanted}'.", code="Request_BadRequest"
        )
    async with database(request).transaction() as conn:
        if not await identity.add_domain(conn, caller.tenant, wanted):
            raise GraphError(400, "Request_BadRequest", f"The domain '{wanted}' has already been added.")
        await audits.record(conn, caller.tenant, actor=caller.actor, activity="Add verified domain", target=wanted)
        found = await identity.domains(conn, caller.tenant)
    shown = next(show_domain(each) for each in found if each.name == wanted)
    return GraphResponse(
        {"@odata.context": context(request, "domains/$entity"), **shown},
        status_code=201,
        headers={"Location": f"{root(request)}/domains/{wanted}"},
    )


def show_domain(row: Domain) -> dict[str, Any]:
    """Show a domain as Graph's domain."""
    return {
        "id": row.name,
        "authenticationType": "Managed",
        "availabilityStatus": None,
        "isAdminManaged": True,
        "isDefault": row.is_default,
        "isInitial": row.is_initial,
        "isRoot": True,
        "isVerified": row.is_verified,
        "supportedServices": ["Email", "OfficeCommunicationsOnline"],
    }
