"""What a name stands for in a domain: a distinguished name, a sign-in name, an account name or a GUID.

Used by `source`. A name only leads to candidates; each of them is then read as everything else is, so that nothing is
found here which a reading of the domain would not show.
"""

from __future__ import annotations

from collections.abc import Sequence

from dirbridge.connectors.ad import dn, entries
from dirbridge.connectors.ad.directory import Directory
from dirbridge.connectors.ad.entries import Plan
from dirbridge.connectors.ad.settings import Settings
from dirbridge.connectors.ldap_wire import naming
from dirbridge.connectors.ldap_wire.connection import Found
from dirbridge.contract.entry import Selection
from dirbridge.contract.wire import Located

_TYPES = Selection({"user": (), "inetOrgPerson": (), "group": (), "contact": ()})
_ACCOUNT_NAMES = ("userPrincipalName", "sAMAccountName")


async def locate(settings: Settings, directory: Directory, names: Sequence[str]) -> list[Located]:
    """Find what names stand for, in their order; none where it is nothing, several things, or not to be seen."""
    plan = Plan(settings, _TYPES)
    candidates = [await _candidates(settings, directory, plan, name) for name in names]
    seen: dict[str, tuple[str, Found]] = {}
    async for found in directory.read(dict.fromkeys(anchor for some in candidates for anchor in some), plan.whole):
        for one in found:
            kind = plan.kind(one[1])
            if kind is not None and not plan.hides(one[0]):
                seen[entries.anchor_of(one)] = kind, one
    return [
        _located(name, [seen[anchor] for anchor in some if anchor in seen])
        for name, some in zip(names, candidates, strict=True)
    ]


async def _candidates(settings: Settings, directory: Directory, plan: Plan, name: str) -> list[str]:
    """The anchors that a name may stand for."""
    if not naming.can_be_asked(name):
        return []
    anchor = naming.as_anchor(name)
    if anchor is not None:
        return [anchor]
    if naming.is_below(name, settings.base_dn):
        found = await directory.at(name)
        return [entries.anchor_of(found)] if found is not None else []
    # By an attribute that may not leave this host, nobody may find out whose value it is either.
    attributes = [attribute for attribute in _ACCOUNT_NAMES if settings.allows(attribute)]
    return await directory.equal(attributes, name.strip(), plan.filter)


def _located(name: str, found: Sequence[tuple[str, Found]]) -> Located:
    if len(found) != 1:
        return Located(name)
    kind, one = found[0]
    return Located(name, entries.anchor_of(one), kind, dn.extended(one[0]).dn)
