"""Signing keys come and go under several processes, which never disagree on a token."""

import asyncio
from collections.abc import Awaitable, Callable
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from dirbridge.contract.errors import ConfigurationError, CredentialError, TransientError
from dirbridge.service import setup
from dirbridge.service.auth import key_rings, rotation, tokens
from dirbridge.service.auth.people import Act
from dirbridge.service.auth.tokens import Tokens
from dirbridge.service.settings import Settings
from dirbridge.service.setup import Identity
from dirbridge.store import audits, housekeeping, signing_keys
from dirbridge.store.database import Database, unavailable
from tests.service import registered
from tests.service.auth.test_tokens import decoded

DAY = timedelta(days=1)


@pytest.fixture
async def other(database: Database, identity: Identity, settings: Settings) -> Tokens:
    """The tokens of a second process on the same database."""
    return (await setup.load(database, settings)).tokens


def token(issuer: Tokens) -> str:
    return issuer.issue_app(app_id=registered.CLIENT, object_id=registered.PRINCIPAL, roles=[])


def kid(text: str) -> str:
    return str(decoded(text.partition(".")[0])["kid"])


async def do(
    database: Database, identity: Identity, work: Callable[[Act], Awaitable[Any]], at: datetime | None = None
) -> Any:
    async with database.transaction() as conn:
        return await work(Act(conn, identity.tenant.id, "tester", at or datetime.now(UTC)))


async def rotate(
    database: Database, identity: Identity, delay: timedelta = timedelta(0), at: datetime | None = None
) -> str:
    made = await do(database, identity, lambda act: rotation.rotate(act, identity.sealing, delay), at)
    assert isinstance(made, str)
    return made


async def kids(database: Database, identity: Identity) -> list[str]:
    async with database.connection() as conn:
        return [each.id for each in await signing_keys.list_all(conn, identity.tenant.id)]


def stale(process: Tokens) -> None:
    """Let the time pass for which a process believes what it read."""
    process._read_at -= tokens.FRESH


async def test_a_new_key_is_published_before_it_signs(database: Database, identity: Identity, other: Tokens) -> None:
    """Both keys are in the set, and every process goes on with the old one until the new one's hour."""
    before = kid(token(identity.tokens))
    made = await rotate(database, identity, DAY)
    for process in (identity.tokens, other):
        stale(process)
        await process.refresh()
        assert {each["kid"] for each in process.public_keys()["keys"]} == {before, made}
        assert kid(token(process)) == before
    later = await tokens.load(
        database, identity.tenant.id, identity.tenant.base_url, identity.sealing, lambda: datetime.now(UTC) + DAY
    )
    assert kid(token(later)) == made


async def test_a_token_by_a_key_that_is_new_here_is_judged_by_the_keys_of_now(
    database: Database, identity: Identity, other: Tokens
) -> None:
    """The process that has not heard of the key yet takes the token all the same, at once."""
    made = await rotate(database, identity)
    stale(identity.tokens)
    await identity.tokens.refresh()
    fresh = token(identity.tokens)
    assert kid(fresh) == made
    with pytest.raises(CredentialError, match="not by a key of this service"):
        other.verify_graph(fresh)
    await other.refresh(fresh)
    assert other.verify_graph(fresh)["oid"] == str(registered.PRINCIPAL)


async def test_made_up_keys_do_not_wear_the_database_out(
    database: Database, identity: Identity, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A hundred tokens by unknown keys at once cause one reading."""
    readings = 0
    read = key_rings.read

    async def count(*arguments: Any) -> Any:
        nonlocal readings
        readings += 1
        return await read(*arguments)

    monkeypatch.setattr(key_rings, "read", count)
    head, _, rest = token(Tokens(identity.tenant.id, "https://x", identity.tokens._ring)).partition(".")
    forged = "eyJhbGciOiJSUzI1NiIsImtpZCI6IngifQ" + "." + rest  # {"alg":"RS256","kid":"x"}
    assert head not in forged
    await asyncio.gather(*(identity.tokens.refresh(forged) for _ in range(100)))
    assert readings == 1
    for nonsense in ("", "a.b", "....", "W10.x.y", "bnVsbA.x.y"):
        await identity.tokens.refresh(nonsense)


async def test_a_failed_reading_is_told_to_all_who_waited_for_it(
    database: Database, identity: Identity, monkeypatch: pytest.MonkeyPatch
) -> None:
    """While the database is away nobody queues for a turn to wait; the next request asks again."""
    readings, read = 0, key_rings.read

    async def away(*_: Any) -> Any:
        nonlocal readings
        readings += 1
        await asyncio.sleep(0.01)
        raise unavailable("it was stopped")

    monkeypatch.setattr(key_rings, "read", away)
    stale(identity.tokens)
    failed = await asyncio.gather(*(identity.tokens.refresh() for _ in range(100)), return_exceptions=True)
    assert {type(each) for each in failed} == {TransientError}
    assert readings == 1
    monkeypatch.setattr(key_rings, "read", read)
    await identity.tokens.refresh()
    await identity.tokens.refresh()


async def test_removal_voids_what_the_key_signed(database: Database, identity: Identity, other: Tokens) -> None:
    """In each process as soon as it reads the keys again, and another key signs."""
    old = token(other)
    await do(database, identity, lambda act: rotation.remove(act, identity.sealing, kid(old)))
    assert other.verify_graph(old)
    stale(other)
    await other.refresh(old)
    with pytest.raises(CredentialError, match="not by a key of this service"):
        other.verify_graph(old)
    assert await kids(database, identity) == [kid(token(other))] != [kid(old)]


async def test_a_key_that_waits_takes_over_when_the_signing_one_is_removed(
    database: Database, identity: Identity
) -> None:
    """No third one is made; and one that was replaced already never signs again."""
    first = kid(token(identity.tokens))
    second = await rotate(database, identity)
    third = await rotate(database, identity, DAY)
    await do(database, identity, lambda act: rotation.remove(act, identity.sealing, second))
    assert await kids(database, identity) == [third, first]
    stale(identity.tokens)
    await identity.tokens.refresh()
    assert kid(token(identity.tokens)) == third
    await do(database, identity, lambda act: rotation.remove(act, identity.sealing, third))
    fourth, *rest = await kids(database, identity)
    assert rest == [first]
    assert fourth not in {first, second, third}


async def test_one_key_waits_at_a_time(database: Database, identity: Identity) -> None:
    """Another is refused, unless it is to sign at once: then that very key does."""
    waiting = await rotate(database, identity, DAY)
    with pytest.raises(ConfigurationError) as refused:
        await rotate(database, identity, DAY)
    assert refused.value.code == "KeyRotationPending"
    assert await rotate(database, identity) == waiting
    with pytest.raises(ConfigurationError) as refused:
        await rotate(database, identity, timedelta(days=31))
    assert refused.value.code == "InvalidDelay"


async def test_an_old_key_goes_once_nothing_that_it_signed_can_be_good(database: Database, identity: Identity) -> None:
    """Housekeeping removes it, and never the one that signs."""
    assert timedelta(seconds=tokens.FRESH + 60) + tokens.LIFETIME < signing_keys.KEEP
    now = datetime.now(UTC)
    first = kid(token(identity.tokens))
    second = await rotate(database, identity, at=now)
    await housekeeping.tidy(database, now + signing_keys.KEEP - timedelta(seconds=1))
    assert await kids(database, identity) == [second, first]
    await housekeeping.tidy(database, now + signing_keys.KEEP)
    assert await kids(database, identity) == [second]
    await housekeeping.tidy(database, now + 365 * DAY)
    assert await kids(database, identity) == [second]


async def test_acts_are_in_the_audit_trail_and_keys_are_sealed(database: Database, identity: Identity) -> None:
    """With the key's id, and no part of the private key in the row."""
    made = await rotate(database, identity)
    await do(database, identity, lambda act: rotation.remove(act, identity.sealing, made))
    async with database.connection() as conn:
        acts = await audits.latest(conn, identity.tenant.id)
        rows = await signing_keys.list_all(conn, identity.tenant.id)
    told = [(each.activity, each.target, each.actor) for each in acts if "signing key" in each.activity]
    assert told == [("Remove signing key", made, "tester"), ("Rotate signing key", made, "tester")]
    assert not any(b"PRIVATE" in row.sealed for row in rows)
