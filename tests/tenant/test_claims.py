"""Who gets a unique value when several want it."""

from __future__ import annotations

from itertools import combinations
from uuid import UUID

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from dirbridge.tenant.claims import Claim, Key, Loss, decide

A, B, C, D, E = (UUID(int=number) for number in range(1, 6))
OUTSIDER = UUID(int=99)


def key(value: str) -> Key:
    return ("address", value)


def claim(owner: UUID, held: str = "", wanted: str = "", rank: str | None = None) -> Claim:
    """A claim whose keys are single letters; its rank is its owner's number unless given."""
    return Claim(owner, rank or f"{owner.int:02}", frozenset(map(key, held)), frozenset(map(key, wanted)))


def batch(*claims: Claim) -> dict[UUID, Claim]:
    return {one.owner: one for one in claims}


def holders(*claims: Claim, **others: UUID) -> dict[Key, UUID]:
    """Who holds what: the claims what they hold, and others by letter."""
    found = {held: one.owner for one in claims for held in one.held}
    return found | {key(letter): owner for letter, owner in others.items()}


@pytest.mark.parametrize(
    ("claims", "others", "losses"),
    [
        ([claim(A, "", "x")], {}, {}),
        ([claim(A, "", "x")], {"x": OUTSIDER}, {A: Loss(key("x"), OUTSIDER)}),
        # Swap, and a ring of three.
        ([claim(A, "x", "y"), claim(B, "y", "x")], {}, {}),
        ([claim(A, "x", "y"), claim(B, "y", "z"), claim(C, "z", "x")], {}, {}),
        # Freed and taken at once.
        ([claim(A, "x", ""), claim(B, "", "x")], {}, {}),
        # The lowest anchor wins among newcomers, whatever the order; the other learns who holds it now.
        ([claim(B, "", "x"), claim(A, "", "x")], {}, {B: Loss(key("x"), A)}),
        # Who holds it already wins against a lower anchor.
        ([claim(A, "", "x"), claim(B, "x", "xy")], {}, {A: Loss(key("x"), B)}),
        # A ring that breaks at one place breaks everywhere: each keeps what it has.
        (
            [claim(A, "x", "y"), claim(B, "y", "z"), claim(C, "z", "xo")],
            {"o": OUTSIDER},
            {A: Loss(key("y"), B), B: Loss(key("z"), C), C: Loss(key("o"), OUTSIDER)},
        ),
        # A loser keeps what it would have given up, so who hoped for it loses too.
        ([claim(A, "x", "o"), claim(B, "", "x")], {"o": OUTSIDER}, {A: Loss(key("o"), OUTSIDER), B: Loss(key("x"), A)}),
        # Who lost only to somebody that lost itself gets the value after all.
        ([claim(A, "", "xo"), claim(B, "", "x")], {"o": OUTSIDER}, {A: Loss(key("o"), OUTSIDER)}),
    ],
)
def test_decides(claims: list[Claim], others: dict[str, UUID], losses: dict[UUID, Loss]) -> None:
    """Frees before takes, holders before newcomers, lowest anchor first."""
    assert decide(batch(*claims), holders(*claims, **others)) == losses


def test_swap_that_waits_for_a_loser_is_let_in() -> None:
    """Two who want to swap both lose while a third is in their way; when the third loses as well, they may."""
    # C outranks A for `k`, and is itself held up by D, who loses `m` to A's lower rank... of E.
    claims = [
        claim(A, "a", "bk", rank="5"),
        claim(B, "b", "a", rank="6"),
        claim(C, "", "ky", rank="1"),
        claim(D, "y", "m", rank="3"),
        claim(E, "", "m", rank="2"),
    ]
    losses = decide(batch(*claims), holders(*claims))
    assert set(losses) == {C, D}


LETTERS = "uvwxyz"


@st.composite
def situations(draw: st.DrawFn) -> tuple[dict[UUID, Claim], dict[Key, UUID]]:
    """Up to six objects over six values; each value has one holder at most, perhaps outside the batch."""
    owners = [UUID(int=number) for number in range(1, draw(st.integers(1, 6)) + 1)]
    held: dict[UUID, set[Key]] = {owner: set() for owner in owners}
    found: dict[Key, UUID] = {}
    for letter in LETTERS:
        holder = draw(st.sampled_from([None, OUTSIDER, *owners, *owners]))
        if holder is not None:
            found[key(letter)] = holder
            held.get(holder, set()).add(key(letter))
    ranks = draw(st.permutations(range(len(owners))))
    claims = {
        owner: Claim(
            owner,
            f"{rank:02}",
            frozenset(held[owner]),
            frozenset(map(key, draw(st.sets(st.sampled_from(LETTERS), max_size=3)))),
        )
        for owner, rank in zip(owners, ranks, strict=True)
    }
    wanted = {one for each in claims.values() for one in each.wanted}
    return claims, {one: holder for one, holder in found.items() if one in wanted}


def feasible(claims: dict[UUID, Claim], found: dict[Key, UUID], winners: set[UUID]) -> bool:
    """Whether these may all change at once while the others keep what they hold."""
    now = dict(found)
    for owner in winners:
        for one in claims[owner].held - claims[owner].wanted:
            now.pop(one, None)
    for owner in winners:
        for one in claims[owner].wanted:
            if now.setdefault(one, owner) != owner:
                return False
    return True


@settings(max_examples=400, deadline=None)
@given(situations())
def test_winners_may_change_at_once_and_no_more_could(situation: tuple[dict[UUID, Claim], dict[Key, UUID]]) -> None:
    """No two hold one value, a loser keeps its own, nobody loses without need, and the reason names the holder."""
    claims, found = situation
    losses = decide(claims, found)
    winners = set(claims) - set(losses)
    assert feasible(claims, found, winners)
    for size in range(1, len(losses) + 1):
        for more in combinations(sorted(losses), size):
            assert not feasible(claims, found, winners | set(more)), f"{more} lost without need"
    after = dict(found)
    for owner in winners:
        for one in claims[owner].held - claims[owner].wanted:
            after.pop(one, None)
    for owner in winners:
        after |= dict.fromkeys(claims[owner].wanted, owner)
    for owner, loss in losses.items():
        assert loss.key in claims[owner].wanted
        assert loss.holder == after[loss.key] != owner


@settings(max_examples=100, deadline=None)
@given(situations(), st.randoms(use_true_random=False))
def test_order_of_the_batch_does_not_matter(
    situation: tuple[dict[UUID, Claim], dict[Key, UUID]], random: object
) -> None:
    """The same batch in another order has the same losers."""
    claims, found = situation
    shuffled = list(claims.items())
    random.shuffle(shuffled)  # type: ignore[attr-defined]
    assert decide(dict(shuffled), found) == decide(claims, found)


def test_many_contests_are_decided_quickly() -> None:
    """5,000 objects in pairs that want one value each: no pair is looked at once for every other pair."""
    claims = batch(
        *(
            Claim(UUID(int=number), f"{number:05}", frozenset(), frozenset({key(str(number // 2))}))
            for number in range(5000)
        )
    )
    from time import process_time

    began = process_time()
    losses = decide(claims, {})
    assert process_time() - began < 2
    assert set(losses) == {UUID(int=number) for number in range(1, 5000, 2)}
