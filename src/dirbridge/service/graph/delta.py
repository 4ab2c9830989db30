"""Delta queries: `/users/delta`, `/groups/delta`, `/contacts/delta` and `/directoryObjects/delta`.

A round is a row of pages that ends in a delta link; the next round begins there. First come the objects, then what
changed in their links, so a group with many members recurs on several pages, each with members of its own.

A row is shown whenever anything of it changed, also what `$select` does not name: clients merge rows, and so do not
mind one that brings nothing new. What is shown is exactly what was selected.

Source: Graph's guide to delta queries; user, group and orgContact: delta.
"""

from __future__ import annotations

from collections.abc import Sequence
from datetime import UTC, datetime
from typing import Annotated, Any
from uuid import UUID

import msgspec
from fastapi import APIRouter, Depends, Request
from starlette.responses import Response

from dirbridge.service.auth.access import Caller, require
from dirbridge.service.graph import contacts, delta_options, delta_tokens, groups, objects, users
from dirbridge.service.graph.context import context, database, root, sealing
from dirbridge.service.graph.delta_options import First, Kind
from dirbridge.service.graph.delta_tokens import Options, Place, Round, Standing, Token
from dirbridge.service.graph.errors import GraphError
from dirbridge.service.graph.responses import GraphResponse
from dirbridge.store import directory_queries, feed
from dirbridge.store.directory_queries import Conn, DirectoryObject
from dirbridge.store.feed import Moment, ObjectChange, ReferenceChange

router = APIRouter()

USERS = Kind("users", ("user",), ("manager",), default_links=())
GROUPS = Kind("groups", ("group",), ("members",), default_links=("members",))
CONTACTS = Kind("contacts", ("contact",), ("manager",), default_links=())
OBJECTS = Kind("directoryObjects", ("user", "group", "contact"), ("members", "manager"), default_links=("members",))
KINDS = (USERS, GROUPS, CONTACTS, OBJECTS)
"""The collections that have a feed."""

_USER_READ = tuple(name for name in users.READ if name != "User.ReadBasic.All")

LINKS_PER_ENTRY = 20
"""How many links a page reads for each entry that it may hold."""


@router.get("/users/delta")
async def users_delta(request: Request, caller: Annotated[Caller, Depends(require(*_USER_READ))]) -> Response:
    """Tell what changed among users."""
    return await _answer(request, caller, USERS)


@router.get("/groups/delta")
async def groups_delta(request: Request, caller: Annotated[Caller, Depends(require(*groups.READ))]) -> Response:
    """Tell what changed among groups and in their members."""
    return await _answer(request, caller, GROUPS)


@router.get("/contacts/delta")
async def contacts_delta(request: Request, caller: Annotated[Caller, Depends(require(*contacts.READ))]) -> Response:
    """Tell what changed among contacts."""
    return await _answer(request, caller, CONTACTS)


@router.get("/directoryObjects/delta")
async def objects_delta(request: Request, caller: Annotated[Caller, Depends(require(*groups.DIRECTORY))]) -> Response:
    """Tell what changed among all directory objects."""
    return await _answer(request, caller, OBJECTS)


async def _answer(request: Request, caller: Caller, kind: Kind) -> Response:
    asked = delta_options.read(request, kind)
    async with database(request).connection() as conn:
        now, at = await feed.now(conn), datetime.now(UTC)
        if isinstance(asked, First):
            current = Round(_allowed(asked, caller), None, at, now, at, asked.size)
        else:
            current = _round(_known(request, kind, asked.token, now, at), now, at, asked.size)
        if "members" in current.options.links:
            caller.need(groups.MEMBERS)
        page = _Page(conn, request, caller, kind, current, asked.minimal)
        place = None if isinstance(asked, First) and asked.latest else await page.fill()
    return _respond(request, kind, current, page, place)


def _allowed(asked: First, caller: Caller) -> Options:
    """Leave members out where nobody asked for them by name and the caller may not see them."""
    if asked.explicit or not caller.permissions.isdisjoint(groups.MEMBERS):
        return asked.options
    links = tuple(link for link in asked.options.links if link != "members")
    return Options(asked.options.select, links, asked.options.types, asked.options.ids)


def _round(token: Token, now: Moment, at: datetime, size: int | None) -> Round:
    """Give the round that goes on, or the one that begins at a delta link."""
    if isinstance(token, Standing):
        return Round(token.options, token.since, token.since_at, now, at, size or token.size)
    return msgspec.structs.replace(token, size=size or token.size)


def _known(request: Request, kind: Kind, token: Token, now: Moment, at: datetime) -> Token:
    """Make sure that the feed still knows a token's moments.

    Raises:
        GraphError: 410, with the address to begin anew at.
    """
    moment = token.since if isinstance(token, Standing) else token.until
    if moment.epoch != now.epoch or moment.next_id > now.next_id:
        code, why = "resyncRequired", "The directory was restored since this token was issued"
    elif at - token.since_at > feed.KEPT:
        code, why = "syncStateNotFound", f"This token is older than {feed.KEPT.days} days"
    else:
        return token
    options = delta_options.written(token.options, kind)
    raise GraphError(
        410,
        code,
        f"{why}, so what changed meanwhile is not known. Begin anew at the address in the Location header.",
        headers={"Location": f"{root(request)}/{kind.collection}/delta?{options}$deltatoken="},
    )


class _Page:
    """One page while it is put together; an object and its links share an entry where they meet."""

    def __init__(self, conn: Conn, request: Request, caller: Caller, kind: Kind, current: Round, minimal: bool) -> None:
        # By id, and whether it was purged: one with the same id may have been made since.
        self.entries: dict[tuple[UUID, bool], dict[str, Any]] = {}
        self.minimal = minimal
        self._conn = conn
        self._tenant = caller.tenant
        self._request = request
        self._typed = len(kind.types) > 1
        self._round = current

    async def fill(self) -> Place | None:
        """Read the page. Gives where it ended; None for the end of the round."""
        place: Place | None = self._round.place
        full = False
        while place is not None and not full:
            place, full = await (self._add_objects(place) if place.link is None else self._add_links(place, place.link))
        return place

    async def _add_objects(self, place: Place) -> tuple[Place | None, bool]:
        """Add objects. Gives where to go on, and whether the page is full."""
        size = self._round.size
        found = await feed.objects(
            self._conn,
            self._tenant,
            self._round.options.types,
            since=self._round.since,
            until=self._round.until,
            ids=self._round.options.ids,
            after=None if place.after is None else (place.changed, place.after),
            limit=size + 1,
        )
        self.entries |= {(change.id, change.purged): self._shown(change) for change in found[:size]}
        if len(found) > size:
            return Place(None, found[size - 1].changed, found[size - 1].id), True
        return self._link_at(0), False

    def _link_at(self, number: int) -> Place | None:
        return Place(number) if number < len(self._round.options.links) else None

    def _shown(self, change: ObjectChange) -> dict[str, Any]:
        if change.object is not None and change.object.deleted_at is None:
            return self._row(change.object)
        typed = {"@odata.type": f"#{objects.type_name(change.object_type)}"} if self._typed else {}
        reason = "deleted" if change.purged else "changed"
        return {**typed, "id": str(change.id), "@removed": {"reason": reason}}

    def _row(self, row: DirectoryObject) -> dict[str, Any]:
        shown = objects.render(self._request, row, self._round.options.select, typed=self._typed)
        return {**shown, "id": str(row.id)}

    async def _add_links(self, place: Place, number: int) -> tuple[Place | None, bool]:
        """Add links of one attribute. Gives where to go on, and whether the page is full."""
        link = self._round.options.links[number]
        limit = self._round.size * LINKS_PER_ENTRY
        last = None
        if place.after is not None and place.referenced is not None:
            last = (place.changed, place.after, place.referenced)
        found = await feed.references(
            self._conn,
            self._tenant,
            self._round.options.types,
            link,
            since=self._round.since,
            until=self._round.until,
            ids=self._round.options.ids,
            after=last,
            limit=limit,
        )
        fitting = self._fitting(found)
        await self._add_owners(fitting)
        for change in fitting:
            entry = self.entries.get((change.owner, False))
            # None, or removed: the owner went between two statements, and the next round tells.
            if entry is not None and "@removed" not in entry:
                entry.setdefault(f"{link}@delta", []).append(_told(change))
        if len(fitting) == len(found) < limit:
            return self._link_at(number + 1), False
        if not fitting:
            return place, True
        return Place(number, fitting[-1].changed, fitting[-1].owner, fitting[-1].referenced), True

    def _fitting(self, found: Sequence[ReferenceChange]) -> list[ReferenceChange]:
        """Take links until their owners would be more entries than the page holds."""
        room = self._round.size - len(self.entries)
        new: set[UUID] = set()
        fitting = []
        for change in found:
            if (change.owner, False) not in self.entries:
                new.add(change.owner)
            if len(new) > room:
                break
            fitting.append(change)
        return fitting

    async def _add_owners(self, changes: Sequence[ReferenceChange]) -> None:
        """Add entries for owners that have none on this page."""
        lacking = dict.fromkeys(each.owner for each in changes if (each.owner, False) not in self.entries)
        if self.minimal and not self._typed:
            self.entries |= {(id, False): {"id": str(id)} for id in lacking}
        elif lacking:
            rows = await directory_queries.get_many(self._conn, self._tenant, lacking, self._round.options.types)
            self.entries |= {(row.id, False): self._row(row) for row in rows}


def _told(change: ReferenceChange) -> dict[str, Any]:
    """Show one end of a link, as Graph does: its type and id."""
    told = {"@odata.type": f"#{objects.type_name(change.referenced_type)}", "id": str(change.referenced)}
    return {**told, "@removed": {"reason": "deleted"}} if change.removed else told


def _respond(request: Request, kind: Kind, current: Round, page: _Page, place: Place | None) -> Response:
    fragment = kind.collection
    if current.options.select is not None:
        fragment += f"({','.join((*current.options.select, *current.options.links))})"
    here = f"{root(request)}/{kind.collection}/delta?"
    if place is not None:
        following = delta_tokens.write(msgspec.structs.replace(current, place=place), sealing(request), kind.collection)
        link = {"@odata.nextLink": f"{here}$skiptoken={following}"}
    else:
        standing = Standing(current.options, current.until, current.until_at, current.size)
        following = delta_tokens.write(standing, sealing(request), kind.collection)
        link = {"@odata.deltaLink": f"{here}$deltatoken={following}"}
    headers = {"Preference-Applied": "return=minimal"} if page.minimal else {}
    answer = {"@odata.context": context(request, fragment), **link, "value": list(page.entries.values())}
    return GraphResponse(answer, headers=headers)
