"""389-DS passes what every source must do."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Iterator
from pathlib import Path

import ldap
import pytest
import pytest_asyncio

from dirbridge.connectors import source_conformance
from dirbridge.connectors.ldap import settings as ldap_settings
from dirbridge.connectors.ldap.source import LdapSource
from dirbridge.connectors.source_conformance import Check, Subject
from dirbridge.contract.entry import Watermark
from dirbridge.contract.errors import WatermarkExpired
from tests.connectors.ldap.conftest import SELECTION, Admin, at_work, connect, values_for
from tests.connectors.ldap.directory_server import CHANGE_LOG, DirectoryServer

pytestmark = [pytest.mark.slapd, pytest.mark.xdist_group("389")]


@pytest_asyncio.fixture(scope="module", loop_scope="session")
async def other() -> AsyncIterator[DirectoryServer]:
    async with DirectoryServer() as running:
        yield running


@pytest.fixture
def there(other: DirectoryServer, tmp_path: Path) -> Iterator[Subject]:
    """Somebody who reads a unit of the test's own on 389-DS."""
    handle = connect(other.ldaps_url, other.ca_file, other.admin_dn, other.admin_password)
    source = LdapSource(ldap_settings.parse(values_for(other, tmp_path)))
    yield Subject(source, at_work(handle, other.base_dn, anchor_attribute="nsUniqueId"), SELECTION)
    handle.unbind_s()


@pytest.mark.parametrize("check", source_conformance.CHECKS, ids=lambda check: check.__name__)
async def test_389_ds_conforms(check: Check, there: Subject) -> None:
    """Every check holds, one unit each."""
    await check(there)


def _working(server: DirectoryServer, folder: Path) -> Subject:
    handle = connect(server.ldaps_url, server.ca_file, server.admin_dn, server.admin_password)
    source = LdapSource(ldap_settings.parse(values_for(server, folder)))
    return Subject(source, at_work(handle, server.base_dn, anchor_attribute="nsUniqueId"), SELECTION)


async def test_changes_that_389_ds_has_forgotten_lead_to_a_full_read(tmp_path: Path) -> None:
    """It takes a position older than its change log, and passes over what it has no longer: deletes, too."""
    brief = f"{CHANGE_LOG}\nnsslapd-changelogmaxage: 1s\nnsslapd-changelog-trim-interval: 1s"
    async with DirectoryServer(change_log=brief) as server:
        subject = _working(server, tmp_path)
        admin = subject.edit
        assert isinstance(admin, Admin)
        admin.add_person("Ann")
        bob = admin.add_person("Bob")
        await subject.next()
        admin.delete("Bob")
        gone = _change_number(admin, "lastchangenumber")
        async with asyncio.timeout(30):
            while _change_number(admin, "firstchangenumber") <= gone:
                await asyncio.sleep(0.2)
                admin.set("Ann", description="newer")
        with pytest.raises(WatermarkExpired) as raised:
            await subject.next()
        assert "nsslapd-changelogmaxage" in raised.value.reason
        assert [one.anchor for page in await subject.read_pages(bob) for one in page.deleted] == [bob]
        admin.handle.unbind_s()


async def test_position_of_another_389_ds_expires(there: Subject) -> None:
    """Servers that were made from one image call themselves alike and would take it; their numbers differ."""
    await there.next()
    assert there.watermark is not None
    there.watermark = Watermark("ldaps://twin.test:636", there.watermark.position)
    with pytest.raises(WatermarkExpired):
        await there.next()


async def test_check_notices_389_ds_that_tells_no_changes(other: DirectoryServer, tmp_path: Path) -> None:
    """Without targetUniqueId in its change log it tells of nothing and calls that success."""
    async with DirectoryServer(change_log="") as server:
        mute = _working(server, tmp_path)
        told = [await _finding(_working(other, tmp_path)), await _finding(mute)]
        assert told == [("pass", ""), ("warn", "ChangesNotTold")]


async def _finding(subject: Subject) -> tuple[str, str]:
    (found,) = [one for one in (await subject.source.check()).findings if one.name == "changes"]
    return found.outcome, found.code


def _change_number(admin: Admin, name: str) -> int:
    ((_, values),) = admin.handle.search_s("", ldap.SCOPE_BASE, attrlist=[name])
    return int(values[name][0])
