"""One domain controller for all tests of a run; each test has an organizational unit of its own."""

from __future__ import annotations

import time
import uuid
from collections.abc import AsyncIterator, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from importlib.util import find_spec
from pathlib import Path
from typing import Any

import ldap
import pytest
import pytest_asyncio
from ldap.controls import LDAPControl
from ldap.dn import escape_dn_chars

from dirbridge.cli.demo.domain import Domain
from dirbridge.connectors.ad import settings as ad_settings
from dirbridge.connectors.ad.source import ActiveDirectorySource
from dirbridge.contract.entry import (
    BackReferences,
    ChangePage,
    Container,
    Entry,
    ReferenceDelta,
    Selection,
    Tombstone,
    Watermark,
)
from tests.fixtures.controllers import Pair

# Kerberos is an extra, without which the agent's tests run too.
collect_ignore = [] if find_spec("gssapi") else ["test_kerberos.py"]

READER, PASSWORD = "svc-sync", "Pass-word.1"
SHOW_DELETED = LDAPControl("1.2.840.113556.1.4.417", criticality=True)
TREE_DELETE = LDAPControl("1.2.840.113556.1.4.805", criticality=True)

PERSON = (
    "accountExpires",
    "cn",
    "department",
    "description",
    "displayName",
    "distinguishedName",
    "info",
    "objectGUID",
    "objectSid",
    "proxyAddresses",
    "sAMAccountName",
    "thumbnailPhoto",
    "title",
    "userAccountControl",
)
SELECTION = Selection(
    attributes={
        "user": PERSON,
        "inetOrgPerson": PERSON,
        "group": ("cn", "description", "distinguishedName", "groupType", "objectGUID", "sAMAccountName"),
    },
    references={"user": ("manager",), "inetOrgPerson": ("manager",), "group": ("managedBy",)},
    memberships={"group": ("member",)},
    binary=("objectGUID", "objectSid", "thumbnailPhoto"),
)


@pytest_asyncio.fixture(scope="session", loop_scope="session")
async def domain() -> AsyncIterator[Domain]:
    async with Domain() as running:
        await running.create_user(READER, PASSWORD)
        await running.grant_deleted_objects(READER)
        yield running


@pytest_asyncio.fixture(scope="session", loop_scope="session")
async def readable(running_pair: Pair) -> Pair:
    """Two domain controllers of one domain, with an account that reads them."""
    await running_pair.one.create_user(READER, PASSWORD)
    await running_pair.one.grant_deleted_objects(READER)
    await running_pair.two.pull(running_pair.one)
    return running_pair


@dataclass
class Admin:
    """The administrator, changing the directory over LDAP as any tool would."""

    handle: Any
    base: str

    def add(self, dn: str, **attributes: str | bytes | Sequence[str | bytes]) -> str:
        """Add an entry and give its anchor."""
        self.handle.add_s(dn, [(name, _values(value)) for name, value in attributes.items()])
        return self.anchor(dn)

    def user(self, container: str, name: str, **attributes: Any) -> str:
        account = "u" + uuid.uuid4().hex[:15]
        return self.add(rdn(name, container), objectClass="user", sAMAccountName=account, **attributes)

    def group(self, container: str, name: str, members: Sequence[str] = (), **attributes: Any) -> str:
        account = "g" + uuid.uuid4().hex[:15]
        more = {"member": list(members)} if members else {}
        return self.add(rdn(name, container), objectClass="group", sAMAccountName=account, **more, **attributes)

    def unit(self, container: str, name: str) -> str:
        return self.add(f"OU={escape_dn_chars(name)},{container}", objectClass="organizationalUnit")

    def replace(self, dn: str, **attributes: Any) -> None:
        changes = [(ldap.MOD_REPLACE, name, _values(value) or None) for name, value in attributes.items()]
        self.handle.modify_s(dn, changes)

    def join(self, group: str, *members: str) -> None:
        self.handle.modify_s(group, [(ldap.MOD_ADD, "member", _values(members))])

    def leave(self, group: str, *members: str) -> None:
        self.handle.modify_s(group, [(ldap.MOD_DELETE, "member", _values(members))])

    def rename(self, dn: str, name: str, container: str | None = None) -> None:
        self.handle.rename_s(dn, name, container)

    def delete(self, dn: str) -> None:
        self.handle.delete_ext_s(dn, serverctrls=[TREE_DELETE])

    def reanimate(self, anchor: str, dn: str) -> None:
        """Bring a deleted entry back: MS-ADTS 3.1.1.5.3.7.3. Samba wants the tombstone's own DN as the target."""
        (tombstone,) = self.handle.search_ext_s(
            f"<GUID={anchor}>", ldap.SCOPE_BASE, attrlist=["1.1"], serverctrls=[SHOW_DELETED]
        )
        changes = [(ldap.MOD_DELETE, "isDeleted", None), (ldap.MOD_REPLACE, "distinguishedName", [dn.encode()])]
        self.handle.modify_ext_s(tombstone[0], changes, serverctrls=[SHOW_DELETED])

    def anchor(self, dn: str) -> str:
        return str(uuid.UUID(bytes_le=self.value(dn, "objectGUID")))

    def value(self, dn: str, attribute: str) -> bytes:
        found: bytes = self.handle.search_s(dn, ldap.SCOPE_BASE, attrlist=[attribute])[0][1][attribute][0]
        return found


@contextmanager
def signed_in(domain: Domain) -> Iterator[Admin]:
    """The administrator at one domain controller."""
    handle = ldap.initialize(domain.ldaps_url)
    handle.set_option(ldap.OPT_X_TLS_CACERTFILE, str(domain.ca_file))
    handle.set_option(ldap.OPT_REFERRALS, 0)
    handle.set_option(ldap.OPT_X_TLS_NEWCTX, 0)
    handle.simple_bind_s(domain.admin_dn, domain.admin_password)
    try:
        yield Admin(handle, domain.base_dn)
    finally:
        handle.unbind_s()


@pytest.fixture
def admin(domain: Domain) -> Iterator[Admin]:
    with signed_in(domain) as there:
        yield there


@pytest.fixture
def ou(admin: Admin) -> str:
    """A test's own organizational unit. It goes with the domain: taking large ones away is slow."""
    dn = f"OU=T{uuid.uuid4().hex[:10]},{admin.base}"
    admin.add(dn, objectClass="organizationalUnit")
    return dn


@pytest.fixture
def values(domain: Domain, tmp_path: Path) -> dict[str, Any]:
    """Settings of the domain, as they would stand in the agent's file."""
    return values_for(domain, tmp_path)


@pytest.fixture
def source(values: dict[str, Any]) -> ActiveDirectorySource:
    return ActiveDirectorySource(ad_settings.parse(values))


def values_for(domain: Domain, folder: Path, user: str = READER, password: str = PASSWORD) -> dict[str, Any]:
    file = folder / f"{user.partition('@')[0]}.password"
    file.touch(mode=0o600)
    file.write_text(password + "\n")
    return {
        "name": domain.realm,
        "servers": [domain.ldaps_url],
        "ca_file": str(domain.ca_file),
        "user": f"{user}@{domain.realm}",
        "password_file": str(file),
    }


@dataclass
class Seen:
    """Everything that a stream of pages told."""

    pages: list[ChangePage] = field(default_factory=list)

    @property
    def entries(self) -> dict[str, Entry]:
        return {entry.anchor: entry for page in self.pages for entry in page.entries}

    @property
    def deleted(self) -> dict[str, Tombstone]:
        return {tombstone.anchor: tombstone for page in self.pages for tombstone in page.deleted}

    @property
    def containers(self) -> dict[str, Container]:
        return {container.anchor: container for page in self.pages for container in page.containers}

    @property
    def not_visible(self) -> set[str]:
        return {anchor for page in self.pages for anchor in page.not_visible}

    @property
    def references(self) -> list[ReferenceDelta]:
        return [delta for page in self.pages for delta in page.references]

    @property
    def back_references(self) -> list[BackReferences]:
        return [back for page in self.pages for back in page.back_references]

    @property
    def idle(self) -> bool:
        return self.pages[-1].idle

    def whole(self, owner: str, attribute: str = "member") -> set[str]:
        """A membership that was handed out whole, put together by the contract's rules."""
        found: list[str] | None = None
        ended = False
        for part in self.references:
            if (part.owner, part.attribute) == (owner, attribute):
                assert part.whole
                assert not part.removed
                assert len(part.added) <= 5000
                if part.part == 0:
                    found, ended = [], False
                assert found is not None
                assert not ended
                found += part.added
                ended = part.end
        assert found is not None, "no membership was handed out"
        assert ended, "the membership was never completed"
        assert len(set(found)) == len(found)
        return set(found)

    def nothing_but_watermark(self) -> bool:
        return not any(
            page.entries or page.deleted or page.containers or page.references or page.not_visible
            for page in self.pages
        )


@dataclass
class Follower:
    """Reads a source as a job does: everything once, then what changed."""

    source: ActiveDirectorySource
    selection: Selection = SELECTION
    watermark: Watermark | None = None

    async def next(self) -> Seen:
        seen = Seen([page async for page in self.source.changes(self.selection, self.watermark)])
        assert seen.pages[-1].last
        assert not any(page.last for page in seen.pages[:-1])
        assert seen.pages[-1].watermark is not None
        self.watermark = seen.pages[-1].watermark
        return seen

    async def read(self, *anchors: str) -> Seen:
        seen = Seen([page async for page in self.source.read(self.selection, anchors)])
        assert seen.pages[-1].last
        return seen


@pytest.fixture
async def follower(source: ActiveDirectorySource, ou: str) -> Follower:
    """A job that has read everything, the test's own unit included."""
    following = Follower(source)
    await following.next()
    return following


def rdn(name: str, container: str) -> str:
    return f"CN={escape_dn_chars(name)},{container}"


def filetime(days_from_now: int) -> str:
    """100-nanosecond intervals since 1601, as Active Directory keeps time."""
    return str(int((time.time() + days_from_now * 86400 + 11644473600) * 10_000_000))


def _values(value: str | bytes | Sequence[str | bytes]) -> list[bytes]:
    several = [value] if isinstance(value, (str, bytes)) else value
    return [one.encode() if isinstance(one, str) else one for one in several]
