"""What people do to the tenant directory through the API: make, change, delete, restore and remove objects.

Keeps the same rules as the target of a cycle. What a job masters is changed at its source: here it can only be
deleted, and then its link changes in the same transaction, so that the job's next cycle brings it back.
"""

from __future__ import annotations

from collections.abc import Mapping
from datetime import datetime
from typing import Any
from uuid import UUID

import msgspec
from psycopg import AsyncConnection

from dirbridge.contract.errors import EntryError
from dirbridge.store import accounts, administration, directory, jobs, links, references, unique
from dirbridge.store.directory import ObjectRow
from dirbridge.tenant import rules

Conn = AsyncConnection[Any]

CLOUD_ONLY = frozenset({
    "usageLocation", "preferredLanguage", "passwordPolicies", "passwordProfile", "showInAddressList",
})  # fmt: skip
"""Properties of a synchronized user that people may still set; the rest belongs to its source."""


_ONCE = ("isAssignableToRole", rules.UNIQUE_NAME)
"""Properties that stay as they were when the object was made; a name may be given later, once."""
_EXTENSIONS = "onPremisesExtensionAttributes"


class ConflictingValue(EntryError):
    """A value that must be unique belongs to another object."""

    code = "Request_MultipleObjectsWithSameKeyValue"


class Mastered(EntryError):
    """A synchronized property can only be changed at its source."""

    code = "Request_BadRequest"


async def create_user(conn: Conn, tenant: UUID, id: UUID, properties: Mapping[str, Any], at: datetime) -> ObjectRow:
    """Make a user that no job masters.

    Args:
        properties: by Graph's names, checked for their types by the caller.

    Raises:
        EntryError: the sign-in name is no name in a verified domain.
        ConflictingValue: another live object holds its sign-in name or an address.
    """
    verified, initial = await directory.verified_domains(conn, tenant)
    await _check_name(properties, verified, initial)
    return await _create(conn, tenant, id, "user", properties, at)


async def create_group(conn: Conn, tenant: UUID, id: UUID, properties: Mapping[str, Any], at: datetime) -> ObjectRow:
    """Make a group that no job masters."""
    return await _create(conn, tenant, id, "group", {"groupTypes": [], **properties}, at)


async def _create(
    conn: Conn, tenant: UUID, id: UUID, object_type: str, properties: Mapping[str, Any], at: datetime
) -> ObjectRow:
    kept = _present(properties)
    row = ObjectRow(
        id=id,
        object_type=object_type,
        immutable_id=kept.get("onPremisesImmutableId"),
        sync_job=None,
        properties=kept,
        shadow={},
    )
    await _take(conn, tenant, row, set())
    await directory.insert(conn, tenant, [row], at)
    return row


async def update(
    conn: Conn, tenant: UUID, id: UUID, object_type: str, changes: Mapping[str, Any], at: datetime
) -> bool:
    """Change properties of a live object; None clears one. False where there is no such object.

    Raises:
        Mastered: the object is synchronized and a property belongs to its source.
        ConflictingValue: another live object holds a value.
    """
    row = await _live(conn, tenant, id, object_type)
    if row is None:
        return False
    if row.sync_job is not None:
        refused = sorted(name for name in changes if name not in CLOUD_ONLY)
        if refused:
            raise Mastered(
                f"Unable to update the specified properties for on-premises mastered Directory Sync objects:"
                f" {', '.join(refused)}.",
                recommended_action="Change them in the source directory; the next cycle brings them here.",
            )
    for name in _ONCE:
        if name in changes and row.properties.get(name, changes[name]) != changes[name]:
            raise EntryError(f"The property '{name}' cannot be changed any more.", code="Request_BadRequest")
    properties = {**row.properties, **changes}
    if changes.get(_EXTENSIONS):
        properties[_EXTENSIONS] = {**(row.properties.get(_EXTENSIONS) or {}), **changes[_EXTENSIONS]}
    if row.object_type == "user" and rules.UPN in changes:
        await _check_name(changes, *await directory.verified_domains(conn, tenant))
    kept = _present(properties)
    changed = msgspec.structs.replace(row, properties=kept, immutable_id=kept.get("onPremisesImmutableId"))
    await _take(conn, tenant, changed, rules.claims(row.object_type, row.properties))
    await directory.update(conn, tenant, [changed], at)
    await _password(conn, tenant, id, changes.get("passwordProfile") or {}, at)
    await _mended(conn, tenant, id)
    return True


async def delete_object(conn: Conn, tenant: UUID, id: UUID, object_type: str | None, at: datetime) -> bool:
    """Put a live object into the recycle bin. False where there is none.

    Where a job masters it, its link loses what was last written and its anchor becomes due: the next cycle restores it.
    """
    row = (await directory.read(conn, tenant, [id])).get(id)
    if row is None or row.deleted_at is not None or object_type not in {None, row.object_type}:
        return False
    # Links and references before the object, in the order in which a page takes them: so neither waits for the other.
    await _changed_by_hand(conn, tenant, id)
    if await _live(conn, tenant, id, object_type) is None:
        return False
    await directory.soft_delete(conn, tenant, [id], at)
    await _release(conn, tenant, id)
    return True


async def restore_object(
    conn: Conn, tenant: UUID, id: UUID, at: datetime, *, reconcile: bool = False, name: str | None = None
) -> bool:
    """Bring an object back from the recycle bin with its id and its unique values. False where it does not lie there.

    Args:
        reconcile: leave out the addresses that another live object has taken meanwhile.
        name: the userPrincipalName to come back with.

    Raises:
        ConflictingValue: another live object has taken one of its values meanwhile.
        EntryError: the object cannot have that name.
    """
    row = (await directory.read(conn, tenant, [id], lock=True)).get(id)
    if row is None or row.deleted_at is None:
        return False
    if name is not None:
        row = await _renamed(conn, tenant, row, name)
    if reconcile:
        row = await _without_taken(conn, tenant, row)
    await _take(conn, tenant, row, set())
    await directory.update(conn, tenant, [row], at)
    await _changed_by_hand(conn, tenant, id)
    await _mended(conn, tenant, id)
    return True


async def _renamed(conn: Conn, tenant: UUID, row: ObjectRow, name: str) -> ObjectRow:
    if row.object_type != "user":
        raise EntryError("Only a user has a userPrincipalName.", code="Request_BadRequest")
    if row.sync_job is not None:
        raise Mastered(
            "The userPrincipalName of a synchronized user is its source's.",
            recommended_action="Change it in the source directory, or restore the user without a new name.",
        )
    await _check_name({rules.UPN: name}, *await directory.verified_domains(conn, tenant))
    return msgspec.structs.replace(row, properties={**row.properties, rules.UPN: name})


async def _without_taken(conn: Conn, tenant: UUID, row: ObjectRow) -> ObjectRow:
    """Give an object without the addresses that others hold."""
    wanted = {key for key in rules.claims(row.object_type, row.properties) if key[0] == rules.ADDRESS}
    holders = await unique.holders(conn, tenant, wanted)
    taken = {value for (_, value), owner in holders.items() if owner != row.id}
    properties = dict(row.properties)
    if rules.fold(properties.get("mail") or "") in taken:
        del properties["mail"]
    addresses = properties.get("proxyAddresses") or []
    kept = [each for each in addresses if rules.fold(rules.smtp(each) or "") not in taken]
    if kept != addresses:
        properties["proxyAddresses"] = kept
    return msgspec.structs.replace(row, properties=properties)


async def purge(conn: Conn, tenant: UUID, id: UUID) -> bool:
    """Remove an object from the recycle bin for good. False where it does not lie there.

    A link to it becomes one to nothing, so a source entry that still exists is made anew.
    """
    row = (await directory.read(conn, tenant, [id], lock=True)).get(id)
    if row is None or row.deleted_at is None:
        return False
    await _changed_by_hand(conn, tenant, id)
    await administration.remove(conn, tenant, id)
    return True


def _present(properties: Mapping[str, Any]) -> dict[str, Any]:
    """What is kept of properties: those with a value, without the password."""
    kept = {name: value for name, value in properties.items() if value is not None and name != "passwordProfile"}
    extensions = {name: value for name, value in kept.pop(_EXTENSIONS, {}).items() if value is not None}
    return kept | {_EXTENSIONS: extensions} if extensions else kept


async def _password(conn: Conn, tenant: UUID, id: UUID, profile: Mapping[str, Any], at: datetime) -> None:
    """A password that is reset or expires concerns one user here: the one as which jobs write."""
    if profile.get("password") is not None:
        await accounts.revoke(conn, tenant, id)
    elif profile.get("forceChangePasswordNextSignIn"):
        await accounts.expire(conn, tenant, id, at)


async def _mended(conn: Conn, tenant: UUID, id: UUID) -> None:
    """Where this is the user as which jobs write, let those that wait try again."""
    if await accounts.is_account(conn, tenant, id):
        await jobs.wake(conn, tenant)


async def _live(conn: Conn, tenant: UUID, id: UUID, object_type: str | None) -> ObjectRow | None:
    row = (await directory.read(conn, tenant, [id], lock=True)).get(id)
    if row is None or row.deleted_at is not None or object_type not in {None, row.object_type}:
        return None
    return row


async def _check_name(properties: Mapping[str, Any], verified: frozenset[str], initial: str) -> None:
    wanted = str(properties.get(rules.UPN) or "")
    shown, note = rules.sign_in_name(wanted, properties, verified, initial)
    if shown != wanted:
        reason = (note or f"'{wanted}' is no sign-in name.").partition("; ")[0].rstrip(".")
        raise EntryError(
            f"The userPrincipalName is refused: {reason}.",
            code="Request_BadRequest",
            recommended_action=f"Use a name in one of the verified domains: {', '.join(sorted(verified))}.",
        )


async def _take(conn: Conn, tenant: UUID, row: ObjectRow, held: set[unique.Key]) -> None:
    """Let an object hold exactly the values that it has."""
    wanted = rules.claims(row.object_type, row.properties)
    await unique.release(conn, tenant, {(key, row.id) for key in held - wanted})
    lost = await unique.claim(conn, tenant, {(key, row.id) for key in wanted - held})
    if not lost:
        return
    holders = await unique.holders(conn, tenant, lost)
    kind, value = min(lost)
    names = await unique.names(conn, tenant, set(holders.values()))
    holder = holders.get((kind, value))
    what = "mail address" if kind == rules.ADDRESS else kind
    raise ConflictingValue(
        f"Another object with the same value for property {what} already exists: '{value}' belongs to"
        f" '{names.get(holder, '') if holder else 'another object'}'.",
        recommended_action="Choose another value, or free it there.",
    )


async def _release(conn: Conn, tenant: UUID, id: UUID) -> None:
    held = await unique.held(conn, tenant, [id])
    await unique.release(conn, tenant, {(key, owner) for owner, keys in held.items() for key in keys})


async def _changed_by_hand(conn: Conn, tenant: UUID, id: UUID) -> None:
    """Make the jobs that hold this object look at it again."""
    held = await links.holders(conn, tenant, [id])
    await links.forget_targets(conn, tenant, [id])
    for holder in held.values():
        await references.lose(conn, tenant, holder.job, [holder.anchor])
        await jobs.nudge(conn, tenant, holder.job)
