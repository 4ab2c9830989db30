"""Values that only one live object of a tenant may have."""

from __future__ import annotations

import asyncio
from uuid import UUID

from dirbridge.store import unique
from dirbridge.store.unique import Key
from tests.engine.world import World

ANN, BOB = UUID(int=1), UUID(int=2)
X, Y, Z = (("address", value) for value in "xyz")


async def owners(world: World) -> dict[Key, UUID]:
    rows = await world.rows("select kind, value, owner from unique_values where tenant = %s and kind = 'address'")
    return {(row[0], row[1]): row[2] for row in rows}


async def test_claim_and_release(world: World) -> None:
    """Who comes second is told; only an owner frees its value."""
    async with world.database.transaction() as conn:
        assert await unique.claim(conn, world.tenant, []) == set()
        assert await unique.claim(conn, world.tenant, {(X, ANN), (Y, ANN)}) == set()
        assert await unique.claim(conn, world.tenant, {(Y, BOB), (Z, BOB)}) == {Y}
        assert await unique.holders(conn, world.tenant, [X, Y, Z, ("userPrincipalName", "x")]) == {
            X: ANN,
            Y: ANN,
            Z: BOB,
        }
        assert await unique.holders(conn, world.tenant, []) == {}
        assert await unique.held(conn, world.tenant, [ANN, BOB]) == {ANN: {X, Y}, BOB: {Z}}
        await unique.release(conn, world.tenant, {(X, BOB), (Y, ANN)})
    assert await owners(world) == {X: ANN, Z: BOB}


async def test_values_of_another_tenant_do_not_count(world: World) -> None:
    """The same value may be held once in each."""
    async with world.database.transaction() as conn:
        assert await unique.claim(conn, UUID(int=7), {(X, BOB)}) == set()
        assert await unique.claim(conn, world.tenant, {(X, ANN)}) == set()
        assert await unique.holders(conn, world.tenant, [X]) == {X: ANN}


async def test_second_claim_waits_for_the_first_transaction(world: World) -> None:
    """And takes the value when that one is undone, or is told when it is not."""
    for undone in (True, False):
        async with world.database.transaction() as second:
            async with world.database.connection() as first:
                try:
                    async with first.transaction():
                        assert await unique.claim(first, world.tenant, {(X, ANN)}) == set()
                        waiting = asyncio.ensure_future(unique.claim(second, world.tenant, {(X, BOB)}))
                        done, _ = await asyncio.wait([waiting], timeout=0.2)
                        assert not done
                        if undone:
                            raise LookupError
                except LookupError:
                    pass
            lost = await waiting
            assert lost == (set() if undone else {X})
            await unique.release(second, world.tenant, {(X, BOB)})
