"""Who gets a unique value when several want it: frees before takes, holders before newcomers.

A pure decision over one batch. An object that fails keeps all its present values, so that whoever hoped for one of
them fails as well. Who failed only for want of somebody that failed too is let in again; the winners may then change
hands in any pattern, swaps and rings included.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
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
        The losers, no more than there must be. All others can change at once, after every winner's given-up values are
        released.
    """
    wanting: dict[Key, list[Claim]] = {}
    for claim in sorted(batch.values(), key=lambda one: one.rank):
        for key in claim.wanted:
            wanting.setdefault(key, []).append(claim)
    if not holders and all(len(rivals) == 1 for rivals in wanting.values()):
        return {}
    kept: dict[UUID, list[Key]] = {}
    for key, holder in holders.items():
        kept.setdefault(holder, []).append(key)
    losers: set[UUID] = set()
    for key, holder in holders.items():
        if holder not in batch or key in batch[holder].wanted:
            _lose([rival.owner for rival in wanting.get(key, ()) if rival.owner != holder], wanting, kept, losers)
    for key in sorted(key for key, rivals in wanting.items() if len(rivals) > 1):
        rivals = [rival.owner for rival in wanting[key] if rival.owner not in losers]
        _lose(rivals[1:], wanting, kept, losers)
    _readmit(batch, holders, losers)
    return _reasons(batch, holders, losers)


def _lose(
    owners: Sequence[UUID],
    wanting: Mapping[Key, Sequence[Claim]],
    kept: Mapping[UUID, Sequence[Key]],
    losers: set[UUID],
) -> None:
    """These fail, and with them whoever hoped for what they keep now."""
    todo = list(owners)
    while todo:
        owner = todo.pop()
        if owner not in losers:
            losers.add(owner)
            todo += [r.owner for key in kept.get(owner, ()) for r in wanting.get(key, ()) if r.owner != owner]


def _readmit(batch: Mapping[UUID, Claim], holders: Mapping[Key, UUID], losers: set[UUID]) -> None:
    """Let in again who lost to somebody that lost later, lowest anchor first, with all that this takes."""
    taken = {key for owner, claim in batch.items() if owner not in losers for key in claim.wanted}
    for claim in sorted((batch[owner] for owner in losers), key=lambda one: one.rank):
        for one in _together(claim, batch, holders, losers, taken) if claim.owner in losers else ():
            losers.remove(one.owner)
            taken |= one.wanted


def _together(
    claim: Claim, batch: Mapping[UUID, Claim], holders: Mapping[Key, UUID], losers: set[UUID], taken: set[Key]
) -> list[Claim]:
    """The losers that must change together for one of them to get what it wants; none where that cannot be."""
    group: dict[UUID, Claim] = {}
    wanted: set[Key] = set()
    todo = [claim]
    while todo:
        one = todo.pop()
        if one.owner in group:
            continue
        if not one.wanted.isdisjoint(taken) or not one.wanted.isdisjoint(wanted):
            return []
        group[one.owner] = one
        wanted |= one.wanted
        for key in one.wanted:
            holder = holders.get(key)
            if holder is None or holder == one.owner:
                continue
            if holder not in batch or key in batch[holder].wanted:
                return []
            if holder in losers:
                todo.append(batch[holder])
    return list(group.values())


def _reasons(batch: Mapping[UUID, Claim], holders: Mapping[Key, UUID], losers: set[UUID]) -> dict[UUID, Loss]:
    """For each loser a value that it wants, and who has it once all is done."""
    after = {key: holder for key, holder in holders.items() if holder not in batch or holder in losers}
    after |= {key: owner for owner, claim in batch.items() if owner not in losers for key in claim.wanted}
    return {
        owner: next(Loss(key, after[key]) for key in sorted(batch[owner].wanted) if after.get(key, owner) != owner)
        for owner in losers
    }
