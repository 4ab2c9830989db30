"""The tenant directory as a target: the step of the walk in which a mapped entry becomes a user, group or contact.

Called by `engine/page` and `engine/removing` inside their transaction, so that object, link and log commit together.
Knows nothing of sources.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Any
from uuid import UUID

import msgspec
from psycopg import Rollback

from dirbridge.connectors.protocol import Capabilities
from dirbridge.contract.export import Action, Export, Fault, Match, Outcome, Reference, ReferenceFault, TargetValue
from dirbridge.store import directory, unique
from dirbridge.store.directory import ObjectRow
from dirbridge.store.unit import Unit
from dirbridge.tenant import account, matching, rules, schema
from dirbridge.tenant import claims as claiming
from dirbridge.tenant import properties as shapes

_TYPES = {"User": "user", "Group": "group", "Contact": "contact"}
MANAGED_IN_CLOUD = "ManagedInCloud"
"""Why an object that was handed over to people is left as it is."""
_NAMES = {kind: name for name, kind in _TYPES.items()}
_ATTRIBUTES = {
    definition.name: frozenset(a.name for a in definition.attributes if a.type != "Reference")
    for definition in schema.directory("").objects
}


class TenantTarget:
    """The tenant's users, groups and contacts, written as the synchronization service account.

    Args:
        new_id: makes the ids of new objects.
        sealing: opens the credential that a job presents.
    """

    capabilities = Capabilities(joins_transaction=True, soft_deletes=schema.soft_deleting(), is_guarded=True)

    def __init__(self, new_id: Callable[[], UUID], sealing: account.Sealing) -> None:
        self._new_id = new_id
        self._sealing = sealing

    async def authenticate(self, unit: Unit) -> None:
        """Prove that the job may write as the synchronization service account."""
        await account.authenticate(unit.conn, unit.tenant, unit.job, self._sealing, unit.now)

    async def find(
        self,
        unit: Unit,
        object_type: str,
        wanted: Sequence[tuple[str, Mapping[str, TargetValue]]],
        attributes: Sequence[str] = (),
    ) -> dict[str, Match]:
        """Match new entries with objects that exist: as asked, then by source anchor, then with those of the cloud."""
        return await matching.find(unit, _TYPES[object_type], wanted, attributes)

    async def read(self, unit: Unit, targets: Sequence[str]) -> dict[str, Mapping[str, TargetValue]]:
        """Give the present values of live and deleted objects; a deleted one has `IsSoftDeleted`."""
        rows = await directory.read(unit.conn, unit.tenant, [UUID(target) for target in targets], lock=True)
        return {str(row.id): _present(row) for row in rows.values()}

    async def export(self, unit: Unit, batch: Sequence[Export]) -> list[Outcome]:
        """Write a batch. What another object holds fails alone, with a reason that names the holder."""
        await account.check(unit.conn, unit.tenant)
        deletes = [export for export in batch if export.action is Action.DELETE]
        writes = [export for export in batch if export.action is not Action.DELETE]
        outcomes: dict[str, Outcome] = {}
        if deletes:
            outcomes |= await self._delete(unit, deletes)
        if writes:
            outcomes |= await self._write(unit, writes)
        return [outcomes[export.anchor] for export in batch]

    async def refer(
        self, unit: Unit, added: Sequence[Reference], removed: Sequence[Reference]
    ) -> Sequence[ReferenceFault]:
        """Add and take away references between objects of the tenant."""
        await account.check(unit.conn, unit.tenant)
        owners = {UUID(row.owner) for row in (*removed, *added)}
        kept = {str(id) for id in await directory.cloud_managed(unit.conn, unit.tenant, list(owners))}
        gone, new = ([_reference(row) for row in rows if row.owner not in kept] for rows in (removed, added))
        await directory.unrefer(unit.conn, unit.tenant, gone)
        await directory.refer(unit.conn, unit.tenant, new)
        fault = Fault(MANAGED_IN_CLOUD, "The object was handed over to people; its relations are theirs.")
        return [ReferenceFault(owner, fault) for owner in sorted(kept)]

    async def _delete(self, unit: Unit, batch: Sequence[Export]) -> dict[str, Outcome]:
        asked = [UUID(export.target) for export in batch if export.target]
        managed = await directory.cloud_managed(unit.conn, unit.tenant, asked)
        await directory.leave_groups(unit.conn, unit.tenant, sorted(managed))
        ids = [id for id in asked if id not in managed]
        soft = {UUID(e.target) for e in batch if e.target and e.object_type in self.capabilities.soft_deletes}
        await directory.soft_delete(unit.conn, unit.tenant, [id for id in ids if id in soft], unit.now)
        await directory.remove(unit.conn, unit.tenant, sorted(set(ids) - soft))
        held = await unique.held(unit.conn, unit.tenant, ids)
        await unique.release(unit.conn, unit.tenant, {(key, owner) for owner, keys in held.items() for key in keys})
        return {
            export.anchor: _kept(export)
            if UUID(export.target or "") in managed
            else Outcome(export.anchor, export.target, freed=_names(held.get(UUID(export.target or ""), ())))
            for export in batch
        }

    async def _write(self, unit: Unit, batch: Sequence[Export]) -> dict[str, Outcome]:
        known = await directory.read(
            unit.conn, unit.tenant, [UUID(export.target) for export in batch if export.target], lock=True
        )
        managed = {str(row.id) for row in known.values() if row.cloud_managed}
        kept = {export.anchor: _kept(export) for export in batch if export.target in managed}
        domains = await directory.verified_domains(unit.conn, unit.tenant)
        drafts = [self._draft(unit, export, known, domains) for export in batch if export.anchor not in kept]
        losses = await _claim(unit, drafts)
        winners = [draft for draft in drafts if draft.row.id not in losses]
        await directory.insert(unit.conn, unit.tenant, [d.row for d in winners if d.is_new], unit.now)
        await directory.update(unit.conn, unit.tenant, [d.row for d in winners if not d.is_new], unit.now)
        holders = await unique.names(unit.conn, unit.tenant, {loss.holder for loss in losses.values()})
        names = {draft.row.id: _shown_name(draft.row) for draft in drafts} | holders
        return kept | {
            draft.export.anchor: (
                _lost(draft, losses[draft.row.id], names)
                if draft.row.id in losses
                else Outcome(
                    draft.export.anchor, str(draft.row.id), notes=draft.notes, freed=_names(draft.held - draft.wanted)
                )
            )
            for draft in drafts
        }

    def _draft(
        self,
        unit: Unit,
        export: Export,
        known: Mapping[UUID, ObjectRow],
        domains: tuple[frozenset[str], str],
    ) -> _Draft:
        row = known.get(UUID(export.target)) if export.target else None
        kind = _TYPES[export.object_type]
        properties = dict(row.properties) if row else {}
        shadow = dict(row.shadow) if row else {}
        wanted = export.wanted
        shapes.show(properties, wanted)
        _always(kind, properties, unit)
        notes: tuple[str, ...] = ()
        if kind == "user":
            _nickname(properties, shadow, wanted)
            notes = _sign_in(properties, shadow, wanted, domains)
        new = ObjectRow(
            id=row.id if row else self._new_id(),
            object_type=kind,
            immutable_id=properties.get("onPremisesImmutableId"),
            sync_job=unit.job,
            properties=properties,
            shadow=shadow,
        )
        return _Draft(
            export=export,
            row=new,
            is_new=row is None,
            was_live=row is not None and row.deleted_at is None,
            notes=notes,
            held=frozenset(rules.claims(kind, row.properties)) if row and row.deleted_at is None else frozenset(),
            wanted=frozenset(rules.claims(kind, properties)),
        )


class _Draft(msgspec.Struct, frozen=True, gc=False):
    """An object as it would be after its export."""

    export: Export
    row: ObjectRow
    is_new: bool
    was_live: bool
    notes: tuple[str, ...]
    held: frozenset[unique.Key]
    wanted: frozenset[unique.Key]


def _present(row: ObjectRow) -> dict[str, TargetValue]:
    values = shapes.keep({**row.properties, **row.shadow}, _ATTRIBUTES[_NAMES[row.object_type]])
    if row.deleted_at is not None:
        values["IsSoftDeleted"] = True
    return values


def _always(kind: str, properties: dict[str, Any], unit: Unit) -> None:
    """Set what every synchronized object has, whatever the mapping says."""
    properties["onPremisesSyncEnabled"] = True
    properties["onPremisesLastSyncDateTime"] = unit.now.strftime("%Y-%m-%dT%H:%M:%SZ")
    if kind == "group":
        properties.setdefault("groupTypes", [])
        properties["mailEnabled"] = bool(properties.get("mail"))
        properties.setdefault("securityEnabled", True)


def _nickname(properties: dict[str, Any], shadow: dict[str, Any], wanted: Mapping[str, TargetValue]) -> None:
    """Give a user without a mailNickname one, once; the shadow remembers that none was asked for."""
    if wanted.get("Alias") is not None:
        shadow.pop("mailNickname", None)
    elif "mailNickname" not in properties:
        asked = wanted.get("UserPrincipalName")
        properties["mailNickname"] = rules.nickname({**properties, rules.UPN: asked} if asked else properties)
        shadow["mailNickname"] = None


def _sign_in(
    properties: dict[str, Any],
    shadow: dict[str, Any],
    wanted: Mapping[str, TargetValue],
    domains: tuple[frozenset[str], str],
) -> tuple[str, ...]:
    """Work out the visible sign-in name when another is asked for; other changes leave it as it is."""
    if "UserPrincipalName" not in wanted:
        return ()
    asked = wanted["UserPrincipalName"]
    shadow.pop(rules.UPN, None)
    if not isinstance(asked, str):
        return ()
    shown, note = rules.sign_in_name(asked, properties, *domains)
    properties[rules.UPN] = shown
    if shown != asked:
        shadow[rules.UPN] = asked
    return (note,) if note else ()


async def _claim(unit: Unit, drafts: Sequence[_Draft]) -> dict[UUID, claiming.Loss]:
    """Let values change hands and say who lost; repeated when somebody outside the batch was quicker."""
    moving = {
        draft.row.id: claiming.Claim(draft.row.id, draft.export.anchor, draft.held, draft.wanted)
        for draft in drafts
        if draft.held != draft.wanted
    }
    if not moving:
        return {}
    wanted = {key for claim in moving.values() for key in claim.wanted}
    while True:
        holders = await unique.holders(unit.conn, unit.tenant, wanted)
        losses = claiming.decide(moving, holders)
        winners = [claim for owner, claim in moving.items() if owner not in losses]
        async with unit.conn.transaction() as savepoint:
            given_up = {(k, c.owner) for c in winners for k in c.held - c.wanted}
            given_up |= {
                (k, o) for k, o in holders.items() if o in moving and o not in losses and k not in moving[o].wanted
            }
            await unique.release(unit.conn, unit.tenant, given_up)
            late = await unique.claim(
                unit.conn, unit.tenant, {(k, c.owner) for c in winners for k in c.wanted if holders.get(k) != c.owner}
            )
            if late:
                raise Rollback(savepoint)
        if not late:
            return losses


def _lost(draft: _Draft, loss: claiming.Loss, names: Mapping[UUID, str]) -> Outcome:
    kind, value = loss.key
    holder = names.get(loss.holder, str(loss.holder))
    what = "sign-in name" if kind == rules.UPN else "mail address"
    return Outcome(
        draft.export.anchor,
        draft.export.target,
        error=Fault(
            code="AttributeValueMustBeUnique",
            reason=f"The {what} '{value}' belongs to '{holder}'.",
            recommended_action="Change it on one of the two in the source directory; the other follows by itself.",
            details={"attribute": kind, "value": value, "holder": str(loss.holder), "holderName": holder},
        ),
        collision=f"{kind}:{value}",
    )


def _kept(export: Export) -> Outcome:
    return Outcome(export.anchor, export.target, kept=MANAGED_IN_CLOUD)


def _shown_name(row: ObjectRow) -> str:
    return str(row.properties.get(rules.UPN) or row.properties.get("displayName") or row.id)


def _names(keys: Sequence[unique.Key] | frozenset[unique.Key] | set[unique.Key]) -> tuple[str, ...]:
    return tuple(sorted(f"{kind}:{value}" for kind, value in keys))


def _reference(row: Reference) -> tuple[str, str, str]:
    return row.owner, shapes.property_name(row.attribute), row.referenced
