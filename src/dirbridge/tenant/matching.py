"""Which objects of the tenant a new entry could be: by the schema's matching attributes, then by its own rules.

Called by `target`. Says what it finds, whoever has it; the engine decides among entries.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from uuid import UUID

from dirbridge.contract.export import Match, TargetValue
from dirbridge.store import directory, tenant_settings, unique
from dirbridge.store.unit import Unit
from dirbridge.tenant import features, rules
from dirbridge.tenant import properties as shapes

Wanted = Sequence[tuple[str, Mapping[str, TargetValue]]]

_ANCHORS = ("SourceAnchor", "onPremisesObjectIdentifier")
"""Both are looked for in the immutable id: an entry without an anchor of its own takes its identifier for one."""

_CLAIMED = {"UserPrincipalName": rules.UPN, "Mail": rules.ADDRESS}
"""Attributes whose values are unique, and the kind under which they are claimed."""


async def find(unit: Unit, kind: str, wanted: Wanted, attributes: Sequence[str]) -> dict[str, Match]:
    """Match new entries with objects that exist.

    By the attributes in their order; then by source anchor (hard match), the recycle bin included; then, among objects
    made in the cloud, by sign-in name or primary address (soft match; groups and contacts by address only). What the
    tenant switched off of these two does not happen.
    """
    switches = features.of(await tenant_settings.get(unit.conn, unit.tenant, tenant_settings.ON_PREMISES))
    found: dict[str, Match] = {}
    immutable: set[TargetValue] = set()
    for attribute in (*attributes, *(_ANCHORS[:1] if _ANCHORS[0] not in attributes else ())):
        rest = [(anchor, values) for anchor, values in wanted if anchor not in found]
        if attribute in _ANCHORS:
            # Mostly the two are the same: who was not found by one is not looked for by the other.
            rest = [(anchor, values) for anchor, values in rest if values.get(attribute) not in immutable]
            immutable |= {values.get(attribute) for _, values in rest}
        found |= await _by(unit, kind, attribute, rest, switches)
    if switches[features.BLOCK_SOFT_MATCH]:
        return found
    left = [(anchor, values) for anchor, values in wanted if anchor not in found]
    return found | await _soft(unit, kind, left, by_name=switches[features.SOFT_MATCH_ON_NAME])


async def _by(unit: Unit, kind: str, attribute: str, wanted: Wanted, switches: Mapping[str, bool]) -> dict[str, Match]:
    """Match by the value of one attribute."""
    asked: dict[str, list[str]] = {}
    fold = _folding(attribute)
    for anchor, values in wanted:
        value = values.get(attribute)
        if value is not None:
            asked.setdefault(fold(value), []).append(anchor)
    if not asked:
        return {}
    there = await _holders(unit, kind, attribute, list(asked), switches)
    return {
        anchor: Match(attribute, tuple(str(id) for id in ids))
        for value, ids in there.items()
        for anchor in asked.get(value, ())
    }


def _folding(attribute: str) -> Callable[[TargetValue], str]:
    if attribute in _ANCHORS:
        return str
    if attribute in _CLAIMED:
        return lambda value: rules.fold(str(value))
    return lambda value: shapes.text_at(attribute, value).lower()


async def _holders(
    unit: Unit, kind: str, attribute: str, values: Sequence[str], switches: Mapping[str, bool]
) -> Mapping[str, Sequence[UUID]]:
    if attribute in _ANCHORS:
        hard = await directory.by_immutable_id(
            unit.conn, unit.tenant, kind, values, only_synchronized=switches[features.BLOCK_HARD_MATCH]
        )
        return {value: [id] for value, id in hard.items()}
    if attribute in _CLAIMED:
        claimed = _CLAIMED[attribute]
        held = await directory.by_claim(unit.conn, unit.tenant, kind, [(claimed, value) for value in values])
        return {value: [id] for (_, value), id in held.items()}
    return await directory.by_property(unit.conn, unit.tenant, kind, shapes.path(attribute), values)


async def _soft(unit: Unit, kind: str, wanted: Wanted, *, by_name: bool) -> dict[str, Match]:
    names = {anchor: keys for anchor, values in wanted if (keys := _soft_keys(kind, values, by_name=by_name))}
    if not names:
        return {}
    asked = sorted({key for keys in names.values() for _, key in keys})
    holders = await directory.by_claim(unit.conn, unit.tenant, kind, asked, only_cloud=True)
    return {
        anchor: next(Match(name, (str(holders[key]),), soft=True) for name, key in keys if key in holders)
        for anchor, keys in names.items()
        if any(key in holders for _, key in keys)
    }


def _soft_keys(kind: str, values: Mapping[str, TargetValue], *, by_name: bool) -> list[tuple[str, unique.Key]]:
    keys: list[tuple[str, unique.Key]] = []
    name = values.get("UserPrincipalName")
    if kind == "user" and by_name and isinstance(name, str):
        keys.append(("UserPrincipalName", (rules.UPN, rules.fold(name))))
    addresses = values.get("ProxyAddresses")
    if isinstance(addresses, tuple):
        primary = rules.primary_smtp([address for address in addresses if isinstance(address, str)])
        if primary:
            keys.append(("ProxyAddresses", (rules.ADDRESS, rules.fold(primary))))
    return keys
