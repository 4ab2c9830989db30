"""Application permissions as Graph grants them: an appRole of Microsoft Graph's service principal, assigned to another.

Source: Graph appRoleAssignment. Its id is made of both ends, so that none has to be kept.
"""

from __future__ import annotations

import base64
import binascii
from collections.abc import Sequence
from typing import Annotated, Any
from uuid import UUID

import msgspec
from fastapi import APIRouter, Depends, Request
from starlette.responses import Response

from dirbridge.service.auth.access import Caller, require
from dirbridge.service.auth.applications import graph_resource, ownership, registrations
from dirbridge.service.auth.permissions import APPLICATION_WRITERS
from dirbridge.service.graph import odata
from dirbridge.service.graph.application_lists import READ, find
from dirbridge.service.graph.applications import act_of
from dirbridge.service.graph.context import body, context, database
from dirbridge.service.graph.errors import GraphError, bad_request, not_found
from dirbridge.service.graph.responses import GraphResponse, no_content
from dirbridge.store import application_queries, applications
from dirbridge.store.application_queries import Conn
from dirbridge.store.applications import Application

router = APIRouter()

_GRANT = "AppRoleAssignment.ReadWrite.All"
Reader = Annotated[Caller, Depends(require(*READ, _GRANT))]
Granter = Annotated[Caller, Depends(require(_GRANT, roles=APPLICATION_WRITERS))]


class Assignment(msgspec.Struct, rename="camel"):
    """An appRoleAssignment to be made."""

    principal_id: UUID
    resource_id: UUID
    app_role_id: UUID


@router.get("/servicePrincipals/{key}/appRoleAssignments")
async def list_assignments(request: Request, key: str, caller: Reader) -> Response:
    """Give the permissions that a service principal was granted."""
    query = odata.read(request, frozenset({"format", "top", "count"}))
    async with database(request).connection() as conn:
        principal = await find(conn, caller, key)
        graph = await _graph(conn, caller)
    fragment = f"servicePrincipals('{principal.id}')/appRoleAssignments"
    return _page(request, query, fragment, _shown([principal], graph))


@router.get("/servicePrincipals/{key}/appRoleAssignedTo")
async def list_assigned(request: Request, key: str, caller: Reader) -> Response:
    """Give who was granted permissions of a service principal, which only Microsoft Graph's own has."""
    query = odata.read(request, frozenset({"format", "top", "count"}))
    async with database(request).connection() as conn:
        resource = await find(conn, caller, key)
        names = list(graph_resource.app_role_ids()) if resource.built_in == "graph" else []
        holders = await application_queries.holders(conn, caller.tenant, names)
    fragment = f"servicePrincipals('{resource.id}')/appRoleAssignedTo"
    return _page(request, query, fragment, _shown(holders, resource))


@router.get("/servicePrincipals/{key}/appRoleAssignments/{assignment}")
@router.get("/servicePrincipals/{key}/appRoleAssignedTo/{assignment}")
async def get_assignment(request: Request, key: str, assignment: str, caller: Reader) -> Response:
    """Give one of them."""
    odata.read(request, frozenset({"format"}))
    async with database(request).connection() as conn:
        principal, name = await _assigned(conn, caller, key, assignment)
        graph = await _graph(conn, caller)
    one = next(each for each in _shown([principal], graph) if each["appRoleId"] == str(_role(name)))
    return GraphResponse({"@odata.context": context(request, "appRoleAssignments/$entity"), **one})


@router.post("/servicePrincipals/{key}/appRoleAssignments")
@router.post("/servicePrincipals/{key}/appRoleAssignedTo")
async def grant(request: Request, key: str, caller: Granter) -> Response:
    """Grant a permission."""
    wish = await body(request, Assignment)
    async with database(request).transaction() as conn:
        graph = await _graph(conn, caller)
        addressed = await find(conn, caller, key)
        if addressed.id not in {wish.principal_id, wish.resource_id}:
            raise bad_request(f"The address names '{addressed.id}', which is neither principalId nor resourceId.")
        permission = _permission(wish, graph)
        principal = await applications.find(conn, caller.tenant, wish.principal_id, "id", lock=True)
        if principal is None or not principal.has_principal:
            raise GraphError(
                404, "Request_ResourceNotFound",
                f"Resource '{wish.principal_id}' does not exist. No service principal has this id; permissions are "
                "granted to service principals only.",
            )  # fmt: skip
        ownership.need_changeable(principal)
        ownership.need_reach(caller, [permission])
        await registrations.grant(act_of(conn, caller), principal, permission)
    one = _one(principal, graph, permission)
    address = context(request, f"servicePrincipals('{addressed.id}')/appRoleAssignments/$entity")
    return GraphResponse({"@odata.context": address, **one}, status_code=201)


@router.delete("/servicePrincipals/{key}/appRoleAssignments/{assignment}")
@router.delete("/servicePrincipals/{key}/appRoleAssignedTo/{assignment}")
async def revoke(request: Request, key: str, assignment: str, caller: Granter) -> Response:
    """Take a permission away, and the tokens that hold it."""
    async with database(request).transaction() as conn:
        principal, permission = await _assigned(conn, caller, key, assignment, lock=True)
        ownership.need_reach(caller, [permission])
        await registrations.revoke(act_of(conn, caller), principal, permission)
    return no_content()


async def _graph(conn: Conn, caller: Caller) -> Application:
    found = await applications.find_built_in(conn, caller.tenant, "graph")
    if found is None:
        raise not_found("service principal", graph_resource.APP_ID)
    return found


def _permission(wish: Assignment, graph: Application) -> str:
    if wish.resource_id != graph.id:
        raise bad_request(
            f"resourceId is '{wish.resource_id}'; the service principal whose permissions are granted is Microsoft "
            f"Graph's, '{graph.id}'.",
            code="Request_BadRequest", target="resourceId",
        )  # fmt: skip
    name = graph_resource.app_roles().get(wish.app_role_id)
    if name is None:
        raise bad_request(
            f"Permission being assigned was not found on application '{graph.app_id}': there is no appRole "
            f"'{wish.app_role_id}'. Its service principal lists them as appRoles.",
            code="Request_BadRequest", target="appRoleId",
        )  # fmt: skip
    return name


async def _assigned(
    conn: Conn, caller: Caller, key: str, assignment: str, *, lock: bool = False
) -> tuple[Application, str]:
    """Give whom an assignment is to and the permission's name, or refuse with 404."""
    addressed = await find(conn, caller, key)
    ends = _ends(assignment)
    if ends is not None and (addressed.id == ends[0] or addressed.built_in == "graph"):
        principal = await applications.find(conn, caller.tenant, ends[0], "id", lock=lock)
        name = graph_resource.app_roles().get(ends[1])
        if principal is not None and name in principal.app_roles:
            return principal, name
    raise not_found("app role assignment", assignment)


def _ends(assignment: str) -> tuple[UUID, UUID] | None:
    """Read an assignment's id: to whom, and which role."""
    try:
        coded = base64.urlsafe_b64decode(assignment + "=")
    except (binascii.Error, ValueError):
        return None
    return (UUID(bytes=coded[:16]), UUID(bytes=coded[16:])) if len(coded) == 32 else None


def _role(permission: str) -> UUID:
    return graph_resource.app_role_ids()[permission]


def _one(principal: Application, graph: Application, permission: str) -> dict[str, Any]:
    role = _role(permission)
    return {
        "id": base64.urlsafe_b64encode(principal.id.bytes + role.bytes).rstrip(b"=").decode(),
        "deletedDateTime": None,
        "appRoleId": str(role),
        "createdDateTime": None,
        "principalDisplayName": principal.display_name,
        "principalId": str(principal.id),
        "principalType": "ServicePrincipal",
        "resourceDisplayName": graph.display_name,
        "resourceId": str(graph.id),
    }


def _shown(principals: Sequence[Application], graph: Application) -> list[dict[str, Any]]:
    known = graph_resource.app_role_ids()
    return [_one(each, graph, name) for each in principals for name in each.app_roles if name in known]


def _page(request: Request, query: odata.Query, fragment: str, shown: list[dict[str, Any]]) -> Response:
    answer: dict[str, Any] = {"@odata.context": context(request, fragment)}
    if query.count:
        answer["@odata.count"] = len(shown)
    return GraphResponse({**answer, "value": shown})
