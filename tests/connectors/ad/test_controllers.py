"""Several domain controllers of one domain: reading goes on at another one, and nothing is lost or invented."""

from __future__ import annotations

import uuid
from collections.abc import AsyncIterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest
import pytest_asyncio

from dirbridge.connectors.ad import settings as ad_settings
from dirbridge.connectors.ad.source import ActiveDirectorySource
from tests.connectors.ad.conftest import PASSWORD, READER, Admin, Follower, signed_in
from tests.connectors.ad.test_notification import listening
from tests.fixtures.controllers import Pair

pytestmark = [pytest.mark.samba, pytest.mark.xdist_group("controllers"), pytest.mark.timeout(180)]


@pytest_asyncio.fixture(scope="session", loop_scope="session")
async def readable(running_pair: Pair) -> AsyncIterator[Pair]:
    """The pair with an account that reads them."""
    await running_pair.one.create_user(READER, PASSWORD)
    await running_pair.one.grant_deleted_objects(READER)
    await running_pair.two.pull(running_pair.one)
    yield running_pair


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


async def test_other_controller_goes_on_from_a_cookie_that_is_not_its_own(there: Two, values: dict[str, Any]) -> None:
    """What both have seen is not told again; what the other has besides is."""
    follower = Follower(ActiveDirectorySource(ad_settings.parse(values)))
    await follower.next()
    ann = there.one.user(there.ou, "Ann")
    assert set((await follower.next()).entries) == {ann}
    await there.pair.two.pull(there.pair.one)
    bob = there.two.user(there.ou, "Bob")
    await there.pair.one.halt()
    assert set((await follower.next()).entries) == {bob}
    assert replica_of(follower) == "dc2.contoso.test"


def replica_of(follower: Follower) -> str:
    """Name of the domain controller that was read last."""
    assert follower.watermark is not None
    return follower.watermark.replica.partition("|")[0]


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
        assert replica_of(follower) == "dc2.contoso.test"
        await ear.hears()  # it begins anew there
        there.one.user(there.ou, "Bob")
        assert await ear.quiet()
        cid = there.two.user(there.ou, "Cid")
        await ear.hears()
        assert set((await follower.next()).entries) == {cid}
