"""Looking around in a domain: which containers a container has, and what has a text in its name.

Used by `source`, for people who choose what a job takes. What the agent's settings keep back is not shown here either.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence

from dirbridge.connectors.ad import dn, entries
from dirbridge.connectors.ad.directory import Directory, Vanished
from dirbridge.connectors.ad.entries import CONTAINER_CLASSES, PEOPLE, Plan
from dirbridge.connectors.ad.settings import Settings
from dirbridge.connectors.ldap_wire import naming
from dirbridge.connectors.ldap_wire.connection import Found
from dirbridge.connectors.ldap_wire.values import escaped
from dirbridge.contract.entry import Selection
from dirbridge.contract.wire import LISTED, SEARCH_TEXT, Listing, Located

CONTAINER = "container"

# Administrators' tools hide the others until advanced features are asked for; units that somebody made they show.
_CONTAINERS = "(|(objectClass=organizationalUnit)(&(|{classes})(!(showInAdvancedViewOnly=TRUE))))".format(
    classes="".join(f"(objectClass={name})" for name in CONTAINER_CLASSES)
)
# Each is indexed by its beginning; a text in the middle of a name is looked for among groups and containers only.
_PERSONAL = ("name", "displayName", "sn", "sAMAccountName", "userPrincipalName")


async def browse(settings: Settings, directory: Directory, below: str | None) -> Listing:
    """List the containers directly in one; the head of the domain where it is None."""
    plan = Plan(settings, Selection({}))
    if below is None:
        head = await directory.at(settings.base_dn)
        return _listing(plan, [found async for some in directory.read(_anchors(head), plan.whole) for found in some], 1)
    anchor = naming.as_anchor(below)
    if anchor is None:
        return Listing((), missing=True)
    try:
        return _listing(plan, await directory.inside(anchor, _CONTAINERS, plan.whole, LISTED + 1), LISTED)
    except Vanished:
        return Listing((), missing=True)


async def search(
    settings: Settings, directory: Directory, text: str, object_types: Sequence[str], most: int
) -> Listing:
    """Find entries of these types, or containers, by a part of their name."""
    text = text.strip()
    plan = Plan(settings, Selection({kind: () for kind in object_types if kind != CONTAINER}))
    if not naming.can_be_asked(text) or len(text) > SEARCH_TEXT:
        return Listing(())
    kinds = [_CONTAINERS] if CONTAINER in object_types else []
    kinds += [f"(objectClass={kind})" for kind in plan.types]
    query = f"(&(|{''.join(kinds)})(!(objectClass=computer))(|{''.join(_alternatives(settings, plan, text))}))"
    found = await directory.some(query, plan.whole, most + 1) if kinds else []
    return _listing(plan, found, most)


def _alternatives(settings: Settings, plan: Plan, text: str) -> list[str]:
    """Ask by attributes that may leave this host: by others nobody may find out whose value something is either."""
    wanted = escaped(text.encode())
    begins = [f"({name}={wanted}*)" for name in _PERSONAL if name == "name" or settings.allows(name)]
    return begins if PEOPLE & set(plan.types) else [f"(name=*{wanted}*)", *begins]


def _listing(plan: Plan, found: Sequence[Found], most: int) -> Listing:
    shown = sorted(_located(plan, found[:most]), key=lambda one: (one.name.casefold(), one.anchor))
    return Listing(tuple(shown), more=len(found) > most)


def _located(plan: Plan, found: Iterable[Found]) -> Iterable[Located]:
    for one in found:
        kind = plan.kind(one[1])
        if kind is not None and not entries.is_deleted(one[1]) and not plan.hides(one[0]):
            yield Located(entries.container(one).name, entries.anchor_of(one), kind, dn.extended(one[0]).dn)


def _anchors(head: Found | None) -> list[str]:
    return [] if head is None else [entries.anchor_of(head)]
