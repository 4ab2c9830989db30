"""What people do to the relations of the tenant directory through the API: members of groups, managers of users.

The relations of a synchronized object are its source's: only those of objects made here are changed here.
"""

from __future__ import annotations

from collections.abc import Collection, Sequence
from typing import Any
from uuid import UUID

from psycopg import AsyncConnection

from dirbridge.contract.errors import EntryError
from dirbridge.store import administration, directory
from dirbridge.store.directory import ObjectRow
from dirbridge.tenant.administration import Mastered

Conn = AsyncConnection[Any]

_MANAGERS = frozenset({"user", "contact"})
MOST_OWNERS = 100
"""Owners of a group."""


class UnknownObject(EntryError):
    """A relation names an object that does not exist.

    Args:
        id: of the object.
    """

    code = "Request_ResourceNotFound"

    def __init__(self, id: UUID) -> None:
        super().__init__(f"Resource '{id}' does not exist.")
        self.id = id


async def add_members(conn: Conn, tenant: UUID, group: UUID, members: Sequence[UUID]) -> None:
    """Add members to a group: all of them, or none.

    Raises:
        UnknownObject: the group or one of them does not exist.
        Mastered: the group is synchronized.
        EntryError: one of them is in it, or it is the group itself.
    """
    known = await _lock(conn, tenant, [group, *members])
    _refuse_mastered(known[group], "members")
    if group in members:
        raise EntryError("A group cannot be a member of itself.", code="Request_BadRequest")
    there = await administration.among(conn, tenant, group, "members", members)
    if there or len(set(members)) < len(members):
        raise _already_there("members", ", ".join(sorted(str(id) for id in there)) or "one is named twice")
    await directory.refer(conn, tenant, [(str(group), "members", str(member)) for member in members])


async def add_owner(conn: Conn, tenant: UUID, group: UUID, owner: UUID) -> None:
    """Give a group an owner. No source knows owners, so a synchronized group gets them as well.

    Raises:
        UnknownObject: one of the two does not exist.
        EntryError: it is an owner, or no user; or the group has as many as it can have.
    """
    known = await _lock(conn, tenant, [group, owner])
    if known[owner].object_type != "user":
        raise EntryError(f"An owner is a user; '{owner}' is a {known[owner].object_type}.", code="Request_BadRequest")
    if await administration.among(conn, tenant, group, "owners", [owner]):
        raise _already_there("owners", str(owner))
    if await administration.size(conn, tenant, group, "owners", MOST_OWNERS) >= MOST_OWNERS:
        raise EntryError(f"The group has {MOST_OWNERS} owners, and no room for more.", code="Request_BadRequest")
    await directory.refer(conn, tenant, [(str(group), "owners", str(owner))])


async def remove_owner(conn: Conn, tenant: UUID, group: UUID, owner: UUID) -> None:
    """Take an owner off a group.

    Raises:
        UnknownObject: the group does not exist, or this is no owner of it.
    """
    await _lock(conn, tenant, [group])
    if not await administration.among(conn, tenant, group, "owners", [owner]):
        raise UnknownObject(owner)
    await directory.unrefer(conn, tenant, [(str(group), "owners", str(owner))])


async def remove_member(conn: Conn, tenant: UUID, group: UUID, member: UUID) -> None:
    """Take a member out of a group.

    Raises:
        UnknownObject: the group does not exist, or this is no member of it.
        Mastered: the group is synchronized.
    """
    known = await _lock(conn, tenant, [group])
    _refuse_mastered(known[group], "members")
    if not await administration.among(conn, tenant, group, "members", [member]):
        raise UnknownObject(member)
    await directory.unrefer(conn, tenant, [(str(group), "members", str(member))])


async def set_manager(conn: Conn, tenant: UUID, user: UUID, manager: UUID) -> None:
    """Give a user a manager, in the place of one that it has.

    Raises:
        UnknownObject: one of the two does not exist.
        Mastered: the user is synchronized.
        EntryError: the manager is no person.
    """
    known = await _lock(conn, tenant, [user, manager])
    _refuse_mastered(known[user], "manager")
    if known[manager].object_type not in _MANAGERS:
        raise EntryError(
            f"A manager is a user or a contact; '{manager}' is a {known[manager].object_type}.",
            code="Request_BadRequest",
        )
    await administration.end_relation(conn, tenant, user, "manager")
    await directory.refer(conn, tenant, [(str(user), "manager", str(manager))])


async def remove_manager(conn: Conn, tenant: UUID, user: UUID) -> bool:
    """Take a user's manager away. False where it has none.

    Raises:
        UnknownObject: the user does not exist.
        Mastered: the user is synchronized.
    """
    known = await _lock(conn, tenant, [user])
    _refuse_mastered(known[user], "manager")
    return await administration.end_relation(conn, tenant, user, "manager")


def _already_there(what: str, which: str) -> EntryError:
    return EntryError(
        f"One or more added object references already exist for the following modified properties: '{what}' ({which}).",
        code="Request_BadRequest",
    )


async def _lock(conn: Conn, tenant: UUID, ids: Collection[UUID]) -> dict[UUID, ObjectRow]:
    """Hold live objects until the end of the transaction, so that none is deleted while it gets a relation."""
    known = await directory.read(conn, tenant, list(set(ids)), lock=True)
    for id in ids:
        if id not in known or known[id].deleted_at is not None:
            raise UnknownObject(id)
    return known


def _refuse_mastered(row: ObjectRow, what: str) -> None:
    if row.sync_job is not None:
        raise Mastered(
            f"Unable to update the specified properties for on-premises mastered Directory Sync objects: {what}.",
            recommended_action="Change them in the source directory; the next cycle brings them here.",
        )
