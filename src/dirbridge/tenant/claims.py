"""Who gets a unique value when several want it: frees before takes, holders before newcomers.

A pure decision over one batch. An object that fails keeps all its present values, so that whoever hoped for one of
them fails as well; the decision is repeated until nothing changes, and the rest may then change hands in any pattern,
swaps and rings included.
"""

from __future__ import annotations

from collections.abc import Mapping
from uuid import UUID

import msgspec

Key = tuple[str, str]


class Claim(msgspec.Struct, frozen=True, gc=False):
    """One object of the batch: what it holds, and what it would hold. `rank` orders newcomers (the source anchor)."""

    owner: UUID
    rank: str
    held: frozenset[Key]
    wanted: frozenset[Key]


class Loss(msgspec.Struct, frozen=True, gc=False):
    """Why a claim fails: the value, and who holds it."""

    key: Key
    holder: UUID


def decide(batch: Mapping[UUID, Claim], holders: Mapping[Key, UUID]) -> dict[UUID, Loss]:
    """Say which objects of a batch cannot have what they want.

    Args:
        batch: by owner.
        holders: present holders of all wanted values, in the batch or not.

    Returns:
        The losers. All others can change at once, after every winner's given-up values are released.
    """
    losses: dict[UUID, Loss] = {}
    if not holders and sum(len(claim.wanted) for claim in batch.values()) == len(_wanted(batch)):
        return losses
    while True:
        found = _blocked(batch, holders, losses)
        if not found:
            found = _outranked(batch, losses)
        if not found:
            break
        losses.update(found)
    _readmit(batch, holders, losses)
    return losses


def _wanted(batch: Mapping[UUID, Claim]) -> set[Key]:
    return {key for claim in batch.values() for key in claim.wanted}


def _keeps(batch: Mapping[UUID, Claim], losses: Mapping[UUID, Loss], owner: UUID, key: Key) -> bool:
    claim = batch.get(owner)
    return claim is None or owner in losses or key in claim.wanted


def _blocked(batch: Mapping[UUID, Claim], holders: Mapping[Key, UUID], losses: Mapping[UUID, Loss]) -> dict[UUID, Loss]:
    """Claims for a value whose holder keeps it."""
    found: dict[UUID, Loss] = {}
    for owner, claim in batch.items():
        if owner in losses:
            continue
        for key in sorted(claim.wanted):
            holder = holders.get(key)
            if holder is not None and holder != owner and _keeps(batch, losses, holder, key):
                found[owner] = Loss(key, holder)
                break
    return found


def _outranked(batch: Mapping[UUID, Claim], losses: Mapping[UUID, Loss]) -> dict[UUID, Loss]:
    """The first contest for a free value among several: the lowest anchor wins."""
    wanted: dict[Key, list[Claim]] = {}
    for owner, claim in batch.items():
        if owner not in losses:
            for key in claim.wanted:
                wanted.setdefault(key, []).append(claim)
    for key in sorted(wanted):
        rivals = sorted(wanted[key], key=lambda claim: (key not in claim.held, claim.rank))
        if len(rivals) > 1:
            return {rival.owner: Loss(key, rivals[0].owner) for rival in rivals[1:]}
    return {}


def _readmit(batch: Mapping[UUID, Claim], holders: Mapping[Key, UUID], losses: dict[UUID, Loss]) -> None:
    """Let in again who lost to somebody that lost later, lowest anchor first."""
    taken = {key for owner, other in batch.items() if owner not in losses for key in other.wanted}
    for claim in sorted((batch[owner] for owner in losses), key=lambda claim: claim.rank):
        free = all(
            key not in taken
            and (holders.get(key) in (None, claim.owner) or not _keeps(batch, losses, holders[key], key))
            for key in claim.wanted
        )
        if free:
            del losses[claim.owner]
            taken |= claim.wanted
