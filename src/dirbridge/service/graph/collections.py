"""Lists of directory objects: the same options, pages, casts and counts wherever they hang."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Mapping, Sequence
from typing import Any
from uuid import UUID

from fastapi import Request
from starlette.responses import Response

from dirbridge.service.auth.access import Caller
from dirbridge.service.graph import changes, expansions, objects, odata, visibility
from dirbridge.service.graph.context import context, database, root
from dirbridge.service.graph.errors import bad_request
from dirbridge.service.graph.responses import GraphResponse, TextResponse, moment
from dirbridge.store import directory_properties, directory_queries, provisioning_errors
from dirbridge.store.directory_queries import After, Collection, Conn, DirectoryObject, Order

_ERRORS = "onPremisesProvisioningErrors"

CASTS = {f"graph.{name}": kind for kind, name in objects.GRAPH_TYPES.items()}
FOREIGN_CASTS = {f"graph.{name}": name for name in objects.FOREIGN_TYPES}

_PLAIN_ORDERS = frozenset({Order.DISPLAY_NAME, Order.USER_PRINCIPAL_NAME})
"""What lists are sorted by without an advanced query."""
LIVE_ORDERS = {
    "user": (Order.DISPLAY_NAME, Order.USER_PRINCIPAL_NAME, Order.CREATED),
    "group": (Order.DISPLAY_NAME, Order.CREATED),
    "contact": (Order.DISPLAY_NAME,),
}
RELATED_ORDERS = (Order.DISPLAY_NAME,)
_NONE: frozenset[Order] = frozenset()
"""A list of related objects has no index to be sorted by: every order of it is an advanced query."""
DELETED_ORDERS = {
    "user": (Order.DISPLAY_NAME, Order.USER_PRINCIPAL_NAME, Order.DELETED),
    "group": (Order.DISPLAY_NAME, Order.DELETED),
}


async def listing(
    request: Request,
    collection: Collection,
    *,
    fragment: str,
    object_type: str | None,
    orders: Sequence[Order] = (),
    plain_orders: frozenset[Order] = _PLAIN_ORDERS,
    caller: Caller | None = None,
    typed: bool = False,
) -> Response:
    """Answer a list request.

    Args:
        object_type: the only type in it, or None where several mix.
        orders: what it can be sorted by; all but the plain ones ask for an advanced query.
        caller: whose permissions decide which relations can be expanded; None where none can.
        typed: each object says of which type it is.
    """
    allowed = odata.LIST | {"search"} if orders else odata.LIST - {"orderby"} | {"search"}
    query = odata.read(request, allowed | {"expand"} if caller else allowed)
    relation = expansions.wanted(query, object_type, caller) if caller and object_type else None
    select = objects.selected(query, object_type)
    where = query.where(*_properties(request, object_type))
    order, descending = _order(query, orders, plain_orders, objects.type_name(object_type))
    if order is not Order.ID:
        visibility.need(request, object_type, order)
    after = _position(query, order)
    async with database(request).connection() as conn:
        rows = await directory_queries.page(
            conn, collection, where=where, order=order, descending=descending, after=after, limit=query.top + 1
        )
        counted = query.advanced and after is None
        total = await directory_queries.count(conn, collection, where) if counted else None
        shown = [row.id for row in rows[: query.top]]
        expanded = await expansions.read(request, conn, caller, query, relation, shown) if caller else {}
        errors = await _errors(request, conn, collection.parameters["tenant"], object_type, select, shown)
    return GraphResponse(
        odata.page(
            request,
            query,
            rows,
            fragment=odata.with_select(fragment, query),
            render=lambda row: {
                **objects.render(request, row, select, typed=typed),
                **errors.get(row.id, {}),
                **expanded.get(row.id, {}),
            },
            key=lambda row: After(row.id, row.sort_key),
            total=total,
        )
    )


def _order(query: odata.Query, orders: Sequence[Order], plain: frozenset[Order], type_name: str) -> tuple[Order, bool]:
    found = odata.order(query, {order.value.lower(): order for order in orders}, type_name)
    if found is None:
        return Order.ID, False
    if not query.advanced and (query.filter is not None or found[0] not in plain):
        what = "$filter together with $orderby" if query.filter is not None else f"Sorting by '{found[0]}'"
        raise bad_request(
            f"{what} is an advanced query. Send the header 'ConsistencyLevel: eventual' and the option $count=true with"
            " it.",
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


async def counting(request: Request, collection: Collection, *, object_type: str | None) -> Response:
    """Answer `/$count`: a bare number."""
    query = odata.read(request, frozenset({"filter", "search"}))
    odata.need_eventual(query)
    where = query.where(*_properties(request, object_type), advanced=True)
    async with database(request).connection() as conn:
        return TextResponse(str(await directory_queries.count(conn, collection, where)))


async def related(request: Request, of_type: Callable[[str | None], Collection], cast: str | None) -> Response:
    """Answer a list of related objects, `/$ref`, `/$count` or a cast of it.

    Args:
        of_type: gives the collection, of one type or of all.
        cast: what follows in the path.
    """
    if cast == "$count":
        return await counting(request, of_type(None), object_type=None)
    if cast == "$ref":
        return await references(request, of_type(None))
    if cast is None or cast in FOREIGN_CASTS:
        kind = FOREIGN_CASTS.get(cast or "")
        fragment = "directoryObjects" if kind is None else f"{kind}s"
        return await listing(
            request, of_type(kind), fragment=fragment, object_type=None, orders=RELATED_ORDERS, plain_orders=_NONE,
            typed=True,
        )  # fmt: skip
    kind = object_type_of(cast)
    return await listing(
        request, of_type(kind), fragment=f"{kind}s", object_type=kind, orders=LIVE_ORDERS[kind], plain_orders=_NONE
    )


async def references(request: Request, collection: Collection) -> Response:
    """Answer a list with addresses in place of objects."""
    query = odata.read(request, frozenset({"top", "skiptoken", "count"}))
    after = odata.position(query, After)
    async with database(request).connection() as conn:
        rows = await directory_queries.page(conn, collection, after=after, limit=query.top + 1)
    return GraphResponse(
        odata.page(
            request,
            query,
            rows,
            fragment="Collection($ref)",
            render=lambda row: {"@odata.id": f"{root(request)}/directoryObjects/{row.id}/{_typed(row)}"},
            key=lambda row: After(row.id, row.sort_key),
        )
    )


async def single(
    request: Request, caller: Caller, find: Callable[[Conn], Awaitable[DirectoryObject]], object_type: str
) -> Response:
    """Answer with one object and, where asked, a relation of it."""
    query = odata.read(request, odata.ITEM | {"expand"})
    select = objects.selected(query, object_type)
    relation = expansions.wanted(query, object_type, caller)
    async with database(request).connection() as conn:
        row = await find(conn)
        expanded = await expansions.read(request, conn, caller, query, relation, [row.id])
        errors = await _errors(request, conn, caller.tenant, object_type, select, [row.id])
    if relation is None and changes.is_known(request, row):
        return Response(status_code=304, headers={"ETag": changes.tag(row)})
    return entity(
        request, row, query, select, f"{object_type}s", expanded={**errors.get(row.id, {}), **expanded.get(row.id, {})}
    )


def entity(
    request: Request,
    row: DirectoryObject,
    query: odata.Query,
    select: tuple[str, ...] | None,
    fragment: str,
    *,
    typed: bool = False,
    whole: bool = False,
    expanded: Mapping[str, Any] | None = None,
) -> Response:
    """Answer with one object; `whole` where it is the caller's own."""
    address = context(request, odata.with_select(fragment, query) + "/$entity")
    shown = {**objects.render(request, row, select, typed=typed, whole=whole), **(expanded or {})}
    return GraphResponse({"@odata.context": address, **shown}, headers={"ETag": changes.tag(row)})


async def _errors(
    request: Request,
    conn: Conn,
    tenant: UUID,
    object_type: str | None,
    select: Sequence[str] | None,
    ids: Sequence[UUID],
) -> dict[UUID, dict[str, Any]]:
    """Give what is to be laid over objects that a job cannot bring up to date, where that is shown at all."""
    if not objects.shows(request, _ERRORS, object_type, select) or not visibility.shows(request, object_type, _ERRORS):
        return {}
    found: dict[UUID, dict[str, Any]] = {}
    for each in await provisioning_errors.of(conn, tenant, ids):
        found.setdefault(each.id, {_ERRORS: []})[_ERRORS].append({
            "category": each.category,
            "occurredDateTime": moment(each.occurred),
            "propertyCausingError": each.property,
            "value": each.value,
        })  # fmt: skip
    return found


def object_type_of(cast: str) -> str:
    """Read a cast in a path, such as `graph.user`."""
    if cast not in CASTS:
        known = ", ".join((*CASTS, *FOREIGN_CASTS))
        raise bad_request(f"Resource not found for the segment '{cast}'. Known: {known}, $count and $ref.")
    return CASTS[cast]


def _properties(request: Request, object_type: str | None) -> tuple[visibility.Table, str]:
    table = directory_properties.ANY_OBJECT if object_type is None else directory_properties.PROPERTIES[object_type]
    return visibility.Table(request, object_type, table), objects.type_name(object_type)


def _typed(row: DirectoryObject) -> str:
    return "Microsoft.DirectoryServices." + row.object_type.capitalize()
