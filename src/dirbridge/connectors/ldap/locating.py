"""What a name stands for in a directory: a distinguished name, a uid, a mail address, a cn or an entryUUID.

Used by `source`. A name only leads to candidates; each of them is then read as everything else is, so that nothing is
found here which a reading of the directory would not show.
"""

from __future__ import annotations

from collections.abc import Sequence

import msgspec

from dirbridge.connectors.ldap import entries, schema
from dirbridge.connectors.ldap.directory import Directory
from dirbridge.connectors.ldap.entries import Plan
from dirbridge.connectors.ldap.settings import Settings
from dirbridge.connectors.ldap_wire import naming
from dirbridge.contract.entry import Selection
from dirbridge.contract.wire import Located

_TYPES = Selection(dict.fromkeys(("inetOrgPerson", *schema.GROUPS), ()))
_NAMES = ("uid", "mail", "cn")


async def locate(settings: Settings, directory: Directory, names: Sequence[str]) -> list[Located]:
    """Find what names stand for, in their order; none where it is nothing, several things, or not to be seen."""
    plan = Plan(settings, _TYPES, directory.facts.anchor)
    candidates = [await _candidates(settings, directory, plan, name) for name in names]
    seen: dict[str, Located] = {}
    wanted = dict.fromkeys(anchor for some in candidates for anchor in some)
    async for found in directory.read(wanted, ("objectClass",)):
        for one in found:
            kind, anchor = plan.kind(one[1]), plan.anchor(one)
            if kind is not None and not plan.hides(one[0]):
                seen[anchor] = Located("", anchor, kind, one[0])
    return [
        _located(name, [seen[anchor] for anchor in some if anchor in seen])
        for name, some in zip(names, candidates, strict=True)
    ]


async def _candidates(settings: Settings, directory: Directory, plan: Plan, name: str) -> list[str]:
    """The anchors that a name may stand for: those of the first attribute that knows it."""
    if not naming.can_be_asked(name):
        return []
    anchor = naming.as_anchor(name)
    if anchor is not None:
        return [anchor]
    if naming.is_below(name, settings.base_dn):
        found = await directory.at(name)
        return [plan.anchor(found)] if found is not None else []
    # By an attribute that may not leave this host, nobody may find out whose value it is either.
    for attribute in (attribute for attribute in _NAMES if settings.allows(attribute)):
        several = await directory.equal(attribute, name.strip(), entries.class_filter(plan.types))
        if several:
            return [plan.anchor(one) for one in several]
    return []


def _located(name: str, found: Sequence[Located]) -> Located:
    return msgspec.structs.replace(found[0], name=name) if len(found) == 1 else Located(name)
