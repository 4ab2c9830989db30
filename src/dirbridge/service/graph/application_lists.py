"""Applications and service principals as addresses name them, and their lists: what both resources have in common."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from fastapi import Request
from starlette.responses import Response

from dirbridge.service.auth.access import Caller
from dirbridge.service.auth.applications import ownership
from dirbridge.service.graph import application_views, odata
from dirbridge.service.graph.application_views import Credentials
from dirbridge.service.graph.context import context, database, guid, version
from dirbridge.service.graph.errors import bad_request, not_found
from dirbridge.service.graph.responses import GraphResponse, TextResponse
from dirbridge.service.graph.synchronization import OF_APPLICATION
from dirbridge.store import application_queries, applications
from dirbridge.store.application_queries import PROPERTIES, After, Conn, Listed, Order
from dirbridge.store.applications import Application

OWNED = "Application.ReadWrite.OwnedBy"
_DIRECTORY = ("Directory.Read.All", "Directory.ReadWrite.All")
WRITE = ("Application.ReadWrite.All", OWNED)
READ = ("Application.Read.All", *WRITE, *_DIRECTORY)
"""Who may change only what it owns may read all. Source: Graph permissions reference, Application.ReadWrite.OwnedBy."""

_TYPES = {Listed.APPLICATIONS: "application", Listed.PRINCIPALS: "servicePrincipal"}
_ORDERS = {order.value.lower(): order for order in (Order.DISPLAY_NAME, Order.CREATED)}


async def find(conn: Conn, caller: Caller, key: str, *, lock: bool = False) -> Application:
    """Give what an address names: below /applications by client id, else by the service principal's id, or `appId=…`.

    Raises:
        GraphError: 404 where there is none.
    """
    named = key.removeprefix(OF_APPLICATION)
    id = guid(named.removeprefix("appId="))
    found = None
    if id is not None:
        by_app = named != key or named.startswith("appId=")
        found = await applications.find(conn, caller.tenant, id, "app_id" if by_app else "id", lock=lock)
    if named != key:
        if found is None or found.built_in == "graph":
            raise not_found("application", named)
    elif found is None or not found.has_principal:
        raise not_found("service principal", named)
    return found


async def changeable(conn: Conn, caller: Caller, key: str) -> Application:
    """Give what an address names for a change by a caller who may write applications; it is locked.

    Raises:
        GraphError: 404 where there is none.
        HTTPException: 403 where it is not the caller's, or may do more than the caller may.
        ConfigurationError: nobody changes it.
    """
    found = await find(conn, caller, key, lock=True)
    await ownership.need_owner(conn, caller, found.id)
    ownership.need_changeable(found)
    return found


def listed_under(key: str) -> Listed:
    """Tell below which resource an address lies."""
    return Listed.APPLICATIONS if key.startswith(OF_APPLICATION) else Listed.PRINCIPALS


async def listing(request: Request, caller: Caller, listed: Listed) -> Response:
    """Answer a list request."""
    kind = _TYPES[listed]
    query = odata.read(request, odata.LIST | {"search"})
    select = odata.selected(query, application_views.properties(kind, version(request)), kind)
    where = query.where(PROPERTIES[listed], kind)
    order, descending = _order(query, kind)
    after = _position(query, order)
    async with database(request).connection() as conn:
        rows = await application_queries.page(
            conn, caller.tenant, listed, where=where, order=order, descending=descending, after=after,
            limit=query.top + 1,
        )  # fmt: skip
        known = await application_views.credentials(conn, caller.tenant, rows[: query.top])
        counted = query.advanced and after is None
        total = await application_queries.count(conn, caller.tenant, listed, where) if counted else None
    return GraphResponse(
        odata.page(
            request,
            query,
            rows,
            fragment=odata.with_select(f"{kind}s", query),
            render=lambda row: odata.chosen(_renderer(request, caller, listed)(row, known), select),
            key=lambda row: After(row.id, row.sort_key),
            total=total,
        )
    )


async def counting(request: Request, caller: Caller, listed: Listed) -> Response:
    """Answer `/$count`: a bare number."""
    query = odata.read(request, frozenset({"filter", "search"}))
    odata.need_eventual(query)
    where = query.where(PROPERTIES[listed], _TYPES[listed], advanced=True)
    async with database(request).connection() as conn:
        return TextResponse(str(await application_queries.count(conn, caller.tenant, listed, where)))


async def single(request: Request, caller: Caller, key: str) -> Response:
    """Answer with one."""
    listed = listed_under(key)
    kind = _TYPES[listed]
    query = odata.read(request, odata.ITEM)
    select = odata.selected(query, application_views.properties(kind, version(request)), kind)
    async with database(request).connection() as conn:
        row = await find(conn, caller, key)
        known = await application_views.credentials(conn, caller.tenant, [row])
    address = context(request, odata.with_select(f"{kind}s", query) + "/$entity")
    shown = odata.chosen(_renderer(request, caller, listed)(row, known), select)
    return GraphResponse({"@odata.context": address, **shown})


async def shown(request: Request, conn: Conn, caller: Caller, row: Application, listed: Listed) -> dict[str, Any]:
    """Show one as it is after a change."""
    known = await application_views.credentials(conn, caller.tenant, [row])
    return _renderer(request, caller, listed)(row, known)


def _renderer(request: Request, caller: Caller, listed: Listed) -> Callable[[Application, Credentials], dict[str, Any]]:
    if listed is Listed.APPLICATIONS:
        return application_views.application
    return lambda row, known: application_views.principal(row, known, caller.tenant, version(request))


def _order(query: odata.Query, kind: str) -> tuple[Order, bool]:
    found = odata.order(query, _ORDERS, kind)
    if found is None:
        return Order.ID, False
    if query.filter is not None and not query.advanced:
        raise bad_request(
            "$filter together with $orderby is an advanced query. Send the header 'ConsistencyLevel: eventual' and the"
            " option $count=true with it.",
            code="Request_UnsupportedQuery",
        )
    return found


def _position(query: odata.Query, order: Order) -> After | None:
    after = odata.position(query, After)
    try:
        if after is not None:
            after.place(order)
    except ValueError as error:
        raise odata.unreadable() from error
    return after
