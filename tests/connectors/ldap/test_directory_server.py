"""389-DS passes what every source must do."""

from __future__ import annotations

from collections.abc import AsyncIterator, Iterator
from pathlib import Path

import pytest
import pytest_asyncio

from dirbridge.connectors import source_conformance
from dirbridge.connectors.ldap import settings as ldap_settings
from dirbridge.connectors.ldap.source import LdapSource
from dirbridge.connectors.source_conformance import Check, Subject
from tests.connectors.ldap.conftest import SELECTION, at_work, connect, values_for
from tests.connectors.ldap.directory_server import DirectoryServer

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
