"""Users and groups alike: where their pages are, what of the API they show, and how one is found."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from fastapi import Request

from dirbridge.service.portal import api
from dirbridge.service.portal.api import Api, ApiRefusal

DELETED = "/beta/directory/deletedItems"


@dataclass(frozen=True, slots=True)
class Kind:
    """A type of object.

    Attributes:
        name: Graph's, as casts name it.
        path: of its list in the portal.
        api: of its list in the API.
        many: what several are called.
        searched: properties whose beginnings find one; of a display name, those of its words.
        listed: properties that a list shows.
        tabs: pages of one: the last part of their path, and their name.
    """

    name: str
    path: str
    api: str
    many: str
    searched: tuple[str, ...]
    listed: tuple[str, ...]
    tabs: tuple[tuple[str, str], ...]

    def page(self, id: str, name: str = "") -> str:
        """Give the path of a page of one."""
        return f"{self.path}/{api.key(id)}" + (f"/{name}" if name else "")

    def pages(self, found: Mapping[str, Any]) -> list[tuple[str, str]]:
        """Give path and name of each page of one; one that was deleted has no relations any more."""
        shown = self.tabs[:2] if found["deletedDateTime"] else self.tabs
        return [(self.page(found["id"], name), words) for name, words in shown]


_BOTH = ("id", "displayName", "mail", "onPremisesSyncEnabled", "onPremisesLastSyncDateTime", "deletedDateTime")
_SEARCHED = ("displayName", "mail", "onPremisesSamAccountName")
_FIRST_TABS = (("", "Overview"), ("attributes", "Attributes"))

USER = Kind(
    "user", "/portal/users", "/beta/users", "users", ("userPrincipalName", *_SEARCHED),
    (*_BOTH, "userPrincipalName", "accountEnabled", "onPremisesProvisioningErrors"),
    (*_FIRST_TABS, ("memberships", "Groups"), ("reports", "Direct reports")),
)  # fmt: skip
GROUP = Kind(
    "group", "/portal/groups", "/beta/groups", "groups", _SEARCHED,
    (*_BOTH, "groupTypes", "mailEnabled", "securityEnabled", "onPremisesProvisioningErrors"),
    (*_FIRST_TABS, ("members", "Members"), ("memberships", "Groups")),
)  # fmt: skip

BY_PATH = {kind.path: kind for kind in (USER, GROUP)}
BY_TYPE = {f"#microsoft.graph.{kind.name}": kind for kind in (USER, GROUP)}


def asked(request: Request) -> Kind:
    """Say of which type a page is."""
    return BY_PATH["/".join(request.url.path.split("/")[:3])]


async def one(ours: Api, kind: Kind, id: str) -> dict[str, Any]:
    """Give a live or a deleted object with all its properties.

    Raises:
        ApiRefusal: there is none.
    """
    try:
        return {"deletedDateTime": None, **await ours.get(f"{kind.api}/{api.key(id)}")}
    except ApiRefusal as refusal:
        if refusal.status != 404:
            raise
        found = await _deleted(ours, id)
        if found is None or BY_TYPE.get(found["@odata.type"]) is not kind:
            raise
        return found


async def _deleted(ours: Api, id: str) -> dict[str, Any] | None:
    try:
        return await ours.get(f"{DELETED}/{api.key(id)}")
    except ApiRefusal:
        return None


def title(found: Mapping[str, Any]) -> str:
    """Give the name by which people know an object."""
    return str(found.get("displayName") or found.get("userPrincipalName") or found["id"])
