"""`$expand`: objects shown together with what one of their relations names, read in one statement for a whole page.

Source: Graph's query parameter guide: one relation a request, at most twenty objects of it, no advanced query.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any
from uuid import UUID

from fastapi import Request

from dirbridge.service.auth.access import Caller
from dirbridge.service.graph import objects, odata
from dirbridge.service.graph.errors import bad_request
from dirbridge.store import directory_queries
from dirbridge.store.directory_queries import Conn, Relation

LIMIT = 20
"""Objects of a relation that are shown with one object."""

_UP = (Relation.MEMBER_OF, Relation.TRANSITIVE_MEMBER_OF)
_PERSON = (Relation.MANAGER, Relation.DIRECT_REPORTS, *_UP)
RELATIONS = {
    "user": (*_PERSON, Relation.OWNED_OBJECTS),
    "contact": _PERSON,
    "group": (Relation.MEMBERS, Relation.TRANSITIVE_MEMBERS, Relation.OWNERS, *_UP),
}
"""What can be expanded of each type."""
_MEMBERS = frozenset({Relation.MEMBERS, Relation.TRANSITIVE_MEMBERS})
_READ_MEMBERS = (
    "GroupMember.Read.All", "GroupMember.ReadWrite.All", "Group.Read.All", "Group.ReadWrite.All",
    "Directory.Read.All", "Directory.ReadWrite.All",
)  # fmt: skip


def wanted(query: odata.Query, object_type: str, caller: Caller) -> Relation | None:
    """Find the relation that a request wants shown.

    Raises:
        GraphError: 400 where the type has none of this name, or the query is an advanced one.
        HTTPException: 403 where the caller may not read members.
    """
    if query.expand is None:
        return None
    by_name = {relation.lower(): relation for relation in RELATIONS[object_type]}
    relation = by_name.get(query.expand.name.lower())
    if relation is None:
        raise bad_request(
            f"Expanding '{query.expand.name}' is not supported on type '{objects.type_name(object_type)}'. Supported:"
            f" {', '.join(by_name.values())}.",
            code="ExpandNotSupported",
        )
    if query.advanced or query.search is not None:
        raise bad_request("$expand is not supported in an advanced query.", code="Request_UnsupportedQuery")
    if relation in _MEMBERS:
        caller.need(_READ_MEMBERS)
    return relation


async def read(
    request: Request, conn: Conn, caller: Caller, query: odata.Query, relation: Relation | None, ids: Sequence[UUID]
) -> Mapping[UUID, dict[str, Any]]:
    """Give what is to be laid over each object: its relation, as JSON. A manager that is missing is left out."""
    if relation is None or query.expand is None:
        return {}
    select = None if query.expand.select is None else objects.known(query.expand.select, None)
    found: dict[UUID, dict[str, Any]] = {id: {} if relation is Relation.MANAGER else {relation: []} for id in ids}
    for row in await directory_queries.related(conn, caller.tenant, relation, ids, LIMIT):
        shown = objects.render(request, row, select, typed=True)
        if relation is Relation.MANAGER:
            found[row.of].setdefault(relation, shown)
        else:
            found[row.of][relation].append(shown)
    return found
