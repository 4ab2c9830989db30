"""Several domain controllers of one domain: reading goes on at another one, and nothing is lost or invented."""

from __future__ import annotations

import time
import uuid
from collections.abc import AsyncIterator, Sequence
from contextlib import aclosing
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import msgspec
import pytest

from dirbridge.connectors.ad import settings as ad_settings
from dirbridge.connectors.ad import watermark
from dirbridge.connectors.ad.directory import Directory
from dirbridge.connectors.ad.source import ActiveDirectorySource
from dirbridge.connectors.ldap_wire import connection
from dirbridge.contract.entry import Watermark
from dirbridge.contract.errors import TransientError, WatermarkExpired
from tests.connectors.ad.conftest import PASSWORD, READER, SELECTION, Admin, Follower, rdn, signed_in
from tests.connectors.ad.test_notification import listening
from tests.fixtures.controllers import Controller, Pair

pytestmark = [pytest.mark.samba, pytest.mark.xdist_group("controllers"), pytest.mark.timeout(180)]


@dataclass
class Two:
    """The administrator at both, and an organizational unit that both have."""

    pair: Pair
    one: Admin
    two: Admin
    ou: str


@pytest.fixture
async def there(readable: Pair, pair: Pair) -> AsyncIterator[Two]:
    with signed_in(pair.one) as one, signed_in(pair.two) as two:
        ou = f"OU=T{uuid.uuid4().hex[:10]},{pair.one.base_dn}"
        one.add(ou, objectClass="organizationalUnit")
        await pair.two.pull(pair.one)
        yield Two(pair, one, two, ou)


@pytest.fixture
def values(pair: Pair, tmp_path: Path) -> dict[str, Any]:
    """Settings that name both, the first one preferred."""
    file = tmp_path / "password"
    file.touch(mode=0o600)
    file.write_text(PASSWORD + "\n")
    return {
        "name": pair.one.realm,
        "servers": [pair.one.ldaps_url, pair.two.ldaps_url],
        "ca_file": str(pair.ca_file),
        "user": f"{READER}@{pair.one.realm}",
        "password_file": str(file),
        "connect_timeout": "2s",
    }


class Clock:
    """Seconds that go by when a test says so."""

    def __init__(self) -> None:
        self.now = 0.0

    def __call__(self) -> float:
        return self.now


@pytest.fixture
def clock() -> Clock:
    return Clock()


@pytest.fixture
def follower(values: dict[str, Any], clock: Clock) -> Follower:
    return Follower(ActiveDirectorySource(ad_settings.parse(values), page_entries=5, clock=clock))


def replica_of(follower: Follower) -> str:
    """Name of the domain controller that was read last."""
    assert follower.watermark is not None
    return follower.watermark.replica.partition(".")[0].lower()


async def test_another_controller_goes_on_after_ten_minutes(there: Two, follower: Follower, clock: Clock) -> None:
    """Not before, and from the cookie of the first: what that one told is not told again, what it lacked is."""
    await follower.next()
    ann = there.one.user(there.ou, "Ann")
    group = there.one.group(there.ou, "Group", [rdn("Ann", there.ou)])
    assert set((await follower.next()).entries) == {ann, group}
    assert replica_of(follower) == "dc1"
    await there.pair.two.pull(there.pair.one)
    bob = there.two.user(there.ou, "Bob")
    there.two.join(rdn("Group", there.ou), rdn("Bob", there.ou))
    await there.pair.one.halt()
    for clock.now in (0, 599):
        with pytest.raises(TransientError, match=r"(?i)dc1\.contoso\.test, at which the reading .* stands") as caught:
            await follower.next()
        assert caught.value.code == "DomainControllerAway"
        assert replica_of(follower) == "dc1"
    assert "away for 10 minutes; in 1 seconds" in caught.value.reason
    clock.now = 600
    seen = await follower.next()
    assert set(seen.entries) == {bob}
    assert [(delta.owner, delta.added, delta.removed) for delta in seen.references] == [(group, (bob,), ())]
    assert replica_of(follower) == "dc2"
    assert (await follower.next()).idle


async def test_reading_goes_back_to_the_preferred_controller(there: Two, follower: Follower, clock: Clock) -> None:
    """Ten minutes after it is back, so that it has had time to hear what it missed; nothing is told twice or lost."""
    await follower.next()
    await there.pair.one.halt()
    clock.now = 10
    with pytest.raises(TransientError):
        await follower.next()
    clock.now = 610
    ann = there.two.user(there.ou, "Ann")
    assert set((await follower.next()).entries) == {ann}
    assert replica_of(follower) == "dc2"
    await there.pair.one.revive()
    for clock.now in (700, 1200):
        assert (await follower.next()).idle
        assert replica_of(follower) == "dc2"
    await there.pair.one.pull(there.pair.two)
    with signed_in(there.pair.one) as one:
        bob = one.user(there.ou, "Bob")
    clock.now = 1301
    seen = await follower.next()
    assert replica_of(follower) == "dc1"
    assert set(seen.entries) == {bob}
    assert (await follower.next()).idle


async def test_what_a_lagging_controller_lacks_comes_later(there: Two, follower: Follower, clock: Clock) -> None:
    """What the first told and the second has not heard of is neither lost, nor taken for deleted."""
    await follower.next()
    ann = there.one.user(there.ou, "Ann", title="old")
    await there.pair.two.pull(there.pair.one)
    await follower.next()
    there.one.replace(rdn("Ann", there.ou), title="new")
    zoe = there.one.user(there.ou, "Zoe")
    seen = await follower.next()
    assert seen.entries[ann].first("title") == "new"
    assert zoe in seen.entries
    there.pair.one.place.cut()
    with pytest.raises(TransientError):
        await follower.next()
    clock.now = 700
    assert (await follower.next()).nothing_but_watermark()
    assert replica_of(follower) == "dc2"
    there.two.replace(rdn("Ann", there.ou), department="Sales")
    there.pair.one.place.mend()
    await there.pair.two.pull(there.pair.one)
    clock.now = 710
    seen = await follower.next()
    assert seen.entries[ann].first("title") == "new"
    assert seen.entries[ann].first("department") == "Sales"
    assert zoe in seen.entries
    assert not seen.deleted
    assert not seen.not_visible


async def test_controller_that_is_ended_in_the_middle_of_a_stream(
    there: Two, follower: Follower, clock: Clock, monkeypatch: pytest.MonkeyPatch
) -> None:
    """What came of it is an error and no end; the other tells all of it, from the watermark before."""
    monkeypatch.setattr(connection, "CHUNK", 5)
    await follower.next()
    before = follower.watermark
    crowd = {there.one.user(there.ou, f"P{number}", thumbnailPhoto=bytes(90_000)) for number in range(120)}
    gone = there.one.user(there.ou, "Gone")
    there.one.delete(rdn("Gone", there.ou))
    await there.pair.two.pull(there.pair.one)
    told: set[str] = set()
    with pytest.raises(TransientError):
        async with aclosing(follower.source.changes(SELECTION, before)) as stream:
            async for page in stream:
                assert page.watermark is None
                assert not page.last
                if not told:
                    await there.pair.one.halt()
                told |= {entry.anchor for entry in page.entries}
    assert told < crowd
    with pytest.raises(TransientError, match="another one takes its place"):
        await follower.next()
    clock.now = 700
    seen = await follower.next()
    assert set(seen.entries) == crowd
    assert gone in seen.deleted
    assert replica_of(follower) == "dc2"


async def test_controller_that_falls_silent_is_left_as_one_that_refuses(
    there: Two, values: dict[str, Any], clock: Clock
) -> None:
    """Frozen, it takes connections and says nothing. What else is read does not wait for it again and again."""
    values |= {"connect_timeout": "1s", "answer_timeout": "1s"}
    follower = Follower(ActiveDirectorySource(ad_settings.parse(values), clock=clock))
    await follower.next()
    there.pair.one.suspend()
    with pytest.raises(TransientError):
        await follower.next()
    clock.now = 700
    ann = there.two.user(there.ou, "Ann")
    assert set((await follower.next()).entries) == {ann}
    clock.now = 710
    began = time.monotonic()
    assert (await follower.next()).idle
    assert ann in (await follower.read(ann)).entries
    assert time.monotonic() - began < 1


async def test_names_are_looked_up_wherever_there_is_an_answer(there: Two, follower: Follower) -> None:
    """Only a reading of changes is bound to a domain controller."""
    await follower.next()
    await there.pair.one.halt()
    (found,) = await follower.source.locate([there.ou])
    assert found.object_type == "container"


async def test_entries_are_read_where_the_reading_stands(there: Two, follower: Follower) -> None:
    """A domain controller that lags behind does not say of what the other told that it is not there."""
    await follower.next()
    ann = there.two.user(there.ou, "Ann")
    mark = (await Follower(_only(follower, there.pair.two)).next()).pages[-1].watermark
    assert mark is not None
    stream = follower.source.read_at(mark.replica, SELECTION, [ann])
    assert [entry.anchor async for page in stream for entry in page.entries] == [ann]
    assert (await follower.read(ann)).not_visible == {ann}


async def test_position_that_the_other_does_not_take_leads_to_a_full_read(
    there: Two, follower: Follower, clock: Clock
) -> None:
    """It is tried first, and not before the wait is over."""
    await follower.next()
    mark = follower.watermark
    assert mark is not None
    good = watermark.unpack(mark.position)
    refused = Watermark(mark.replica, watermark.pack(msgspec.structs.replace(good, cookie=b"junk")))
    await there.pair.one.halt()
    follower.watermark = refused
    with pytest.raises(TransientError) as waiting:
        await follower.next()
    assert waiting.value.code == "DomainControllerAway"
    clock.now = 600
    with pytest.raises(WatermarkExpired, match=there.pair.two.address):
        await follower.next()
    follower.watermark = None
    assert (await follower.next()).entries
    assert replica_of(follower) == "dc2"


async def test_preferred_controller_that_does_not_take_the_position_is_left_alone(
    there: Two, follower: Follower, clock: Clock, monkeypatch: pytest.MonkeyPatch
) -> None:
    """For a preference nothing is read afresh: the reading stays where it is, and the other is asked no more."""
    await follower.next()
    follower.watermark = (await Follower(_only(follower, there.pair.two)).next()).pages[-1].watermark
    asked = []
    answer = Directory.answer

    def refuse(self: Directory, cookie: bytes, classes: str, attributes: Sequence[str]) -> Any:
        if self.facts.replica.lower().startswith("dc1"):
            asked.append(clock.now)
            cookie = b"of no use"
        return answer(self, cookie, classes, attributes)

    monkeypatch.setattr(Directory, "answer", refuse)
    ann = there.two.user(there.ou, "Ann")
    for clock.now, told in ((700, {ann}), (800, set())):
        assert set((await follower.next()).entries) == told
        assert replica_of(follower) == "dc2"
    assert asked == [700]


async def test_listening_follows_the_reading(there: Two, values: dict[str, Any], pair: Pair) -> None:
    """What another domain controller tells may not have come yet to the one that is read."""
    first = Follower(ActiveDirectorySource(ad_settings.parse({**values, "servers": [pair.two.ldaps_url]})))
    await first.next()
    source = ActiveDirectorySource(ad_settings.parse(values))
    follower = Follower(source, watermark=first.watermark)
    async with listening(source) as ear:
        there.one.user(there.ou, "Ann")
        await ear.hears()
        await follower.next()
        assert replica_of(follower) == "dc2"
        await ear.hears()  # it begins anew there
        there.one.user(there.ou, "Bob")
        assert await ear.quiet()
        cid = there.two.user(there.ou, "Cid")
        await ear.hears()
        assert set((await follower.next()).entries) == {cid}


def _only(follower: Follower, controller: Controller) -> ActiveDirectorySource:
    """A source that reaches one domain controller."""
    settings = follower.source._settings
    return ActiveDirectorySource(settings.model_copy(update={"servers": (controller.ldaps_url,)}))
