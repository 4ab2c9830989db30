"""How much of an object a caller sees: all of it, its basic profile, or only that it is there.

A list shows objects of types that its own permission does not read: members of a group are users, and who may read
memberships may not for that reason read telephone numbers. What is not seen is shown as null, and nobody finds it out
by filtering or sorting either. `access.require` leaves the caller with the request.

Source: Graph permissions reference (the ReadBasic permissions); Graph, "limited information returned for inaccessible
member objects".
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from functools import lru_cache

from fastapi import HTTPException, Request

from dirbridge.service.auth.access import Caller
from dirbridge.store.conditions import Property

_DIRECTORY = ("Directory.Read.All", "Directory.ReadWrite.All")
READ = {
    "user": ("User.Read.All", "User.ReadWrite.All", *_DIRECTORY),
    "group": ("Group.Read.All", "Group.ReadWrite.All", *_DIRECTORY),
    "contact": ("OrgContact.Read.All", *_DIRECTORY),
}
"""Permissions that show all of an object, by its type."""

_BASIC_USER = frozenset({"displayName", "givenName", "id", "mail", "surname", "userPrincipalName"})
_BASIC_GROUP = frozenset({
    "classification", "createdDateTime", "description", "displayName", "groupTypes", "id", "mail", "mailEnabled",
    "mailNickname", "securityEnabled", "visibility",
})  # fmt: skip
_BASIC = {
    "user": (("User.ReadBasic.All",), _BASIC_USER),
    "group": (
        ("Group.Create", "Group.ReadBasic.All", "GroupMember.Read.All", "GroupMember.ReadWrite.All"),
        _BASIC_GROUP,
    ),
    "contact": ((), frozenset[str]()),
}
"""Permissions that show an object's basic profile, and what belongs to it."""
_NOTHING = frozenset({"id"})


def of(request: Request, object_type: str | None) -> frozenset[str] | None:
    """Give the properties that a request's caller sees of a type; None where it is all of them.

    Args:
        object_type: None asks for what is seen of an object of whichever type.
    """
    caller: Caller = request.state.caller
    if object_type is not None:
        return _seen(caller.permissions, object_type)
    seen = [found for found in (_seen(caller.permissions, each) for each in READ) if found is not None]
    return frozenset.intersection(*seen) if seen else None


def shows(request: Request, object_type: str | None, name: str) -> bool:
    """Tell whether a request's caller sees a property."""
    seen = of(request, object_type)
    return seen is None or name in seen


def need(request: Request, object_type: str | None, name: str) -> None:
    """Make sure that the caller sees a property, before it finds out anything by it.

    Raises:
        HTTPException: 403 that names it, and the permissions that show it.
    """
    if not shows(request, object_type, name):
        kinds = READ if object_type is None else [object_type]
        wanted = dict.fromkeys(permission for kind in kinds for permission in READ[kind])
        raise HTTPException(
            403,
            f"Insufficient privileges to complete the operation. To filter or sort by '{name}', one of these "
            f"permissions is needed for each type in the list: {', '.join(wanted)}."
            + (" A cast, such as /graph.user, narrows a list to one type." if object_type is None else ""),
        )


class Table(Mapping[str, Property]):
    """Properties that can be filtered by, by name in lower case: those that the caller does not see refuse."""

    def __init__(self, request: Request, object_type: str | None, properties: Mapping[str, Property]) -> None:
        self._request = request
        self._object_type = object_type
        self._properties = properties

    def __getitem__(self, name: str) -> Property:
        found = self._properties[name]
        need(self._request, self._object_type, found.name.partition("/")[0])
        return found

    def __iter__(self) -> Iterator[str]:
        return iter(self._properties)

    def __len__(self) -> int:
        return len(self._properties)


@lru_cache(maxsize=256)
def _seen(permissions: frozenset[str], object_type: str) -> frozenset[str] | None:
    if not permissions.isdisjoint(READ[object_type]):
        return None
    basic, names = _BASIC[object_type]
    return _NOTHING if permissions.isdisjoint(basic) else names
