"""Looking around in a directory: which containers a container has, and what has a text in its name.

Used by `source`, for people who choose what a job takes. What the agent's settings keep back is not shown here either.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence

from dirbridge.connectors.ldap import entries
from dirbridge.connectors.ldap.directory import Directory
from dirbridge.connectors.ldap.entries import CONTAINER_CLASSES, Plan
from dirbridge.connectors.ldap.settings import Settings
from dirbridge.connectors.ldap_wire import naming
from dirbridge.connectors.ldap_wire.connection import Found
from dirbridge.connectors.ldap_wire.values import escaped
from dirbridge.contract.entry import Selection
from dirbridge.contract.wire import LISTED, SEARCH_TEXT, Listing, Located

CONTAINER = "container"
_NAMES = ("cn", "ou", "uid", "mail")


async def browse(settings: Settings, directory: Directory, below: str | None) -> Listing:
    """List the containers directly in one; the head of the directory where it is None."""
    plan = Plan(settings, Selection({}), directory.facts.anchor)
    anchor = directory.facts.head if below is None else naming.as_anchor(below)
    head = [one async for some in directory.read([anchor] if anchor else [], plan.attributes) for one in some]
    if not head:
        return Listing((), missing=True)
    if below is None:
        return _listing(plan, head, 1)
    return _listing(plan, await directory.inside(head[0][0], plan.filter, plan.attributes, LISTED + 1), LISTED)


async def search(
    settings: Settings, directory: Directory, text: str, object_types: Sequence[str], most: int
) -> Listing:
    """Find entries of these types, or containers, by a part of their name."""
    text = text.strip()
    plan = Plan(settings, Selection({kind: () for kind in object_types if kind != CONTAINER}), directory.facts.anchor)
    classes = (*plan.types, *(CONTAINER_CLASSES if CONTAINER in object_types else ()))
    # By an attribute that may not leave this host, nobody may find out whose value it is either.
    names = [name for name in _NAMES if name in {"cn", "ou"} or settings.allows(name)]
    if not classes or not naming.can_be_asked(text) or len(text) > SEARCH_TEXT:
        return Listing(())
    wanted = escaped(text.encode())
    query = f"(&{entries.class_filter(classes)}(|{''.join(f'({name}=*{wanted}*)' for name in names)}))"
    return _listing(plan, await directory.some(query, plan.attributes, most + 1), most)


def _listing(plan: Plan, found: Sequence[Found], most: int) -> Listing:
    shown = sorted(_located(plan, found[:most]), key=lambda one: (one.name.casefold(), one.anchor))
    return Listing(tuple(shown), more=len(found) > most)


def _located(plan: Plan, found: Iterable[Found]) -> Iterable[Located]:
    for one in found:
        kind = plan.kind(one[1])
        if kind is not None and not plan.hides(one[0]):
            yield Located(entries.leaf(one[0]), plan.anchor(one), kind, one[0])
