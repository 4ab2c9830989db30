"""One OpenLDAP server for all tests of a run; each test has an organizational unit of its own."""

from __future__ import annotations

import time
import uuid
from collections.abc import AsyncIterator, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import ldap
import pytest
import pytest_asyncio
from ldap.dn import escape_dn_chars
from ldap.filter import filter_format

from dirbridge.cli.demo.openldap import READER_PASSWORD, OpenLdap
from dirbridge.connectors.ldap import settings as ldap_settings
from dirbridge.connectors.ldap.source import LdapSource
from dirbridge.connectors.source_conformance import Subject
from dirbridge.contract.entry import Selection

PERSON = ("accountDisabled", "cn", "description", "displayName", "entryDN", "entryUUID", "jpegPhoto", "mail", "sn")
GROUP = ("cn", "description", "entryDN", "entryUUID")
GROUPS = ("groupOfNames", "groupOfUniqueNames", "posixGroup")
SELECTION = Selection(
    attributes={"inetOrgPerson": (*PERSON, "title", "uid"), **dict.fromkeys(GROUPS, GROUP)},
    references={"inetOrgPerson": ("manager",), "groupOfNames": ("owner",)},
    memberships=dict.fromkeys(GROUPS, ("member",)),
    binary=("jpegPhoto",),
)


@pytest_asyncio.fixture(scope="session", loop_scope="session")
async def server() -> AsyncIterator[OpenLdap]:
    async with OpenLdap() as running:
        yield running


@dataclass
class Admin:
    """The administrator at work in one unit, over LDAP as any tool would."""

    handle: Any
    ou: str
    anchor_attribute: str = "entryUUID"
    person: str = "inetOrgPerson"
    group: str = "groupOfNames"

    @property
    def unit(self) -> str:
        return self.anchor(self.ou)

    def add(self, dn: str, **attributes: str | bytes | Sequence[str | bytes]) -> str:
        self.handle.add_s(dn, [(name, _values(value)) for name, value in attributes.items()])
        return self.anchor(dn)

    def add_person(self, name: str, **values: str | bytes | Sequence[str | bytes]) -> str:
        return self.add(self.dn(name), **{"objectClass": "inetOrgPerson", "sn": name, **values})

    def add_group(self, name: str, *members: str) -> str:
        return self.add(self.dn(name), objectClass="groupOfNames", member=[self.dn(member) for member in members])

    def add_unit(self, name: str) -> str:
        return self.add(f"ou={escape_dn_chars(name)},{self.ou}", objectClass="organizationalUnit")

    def set(self, name: str, **values: str) -> None:
        changes = [(ldap.MOD_REPLACE, key, _values(value) if value else None) for key, value in values.items()]
        self.handle.modify_s(self.dn(name), changes)

    def manage(self, name: str, manager: str) -> None:
        self.set(name, manager=self.dn(manager))

    def join(self, group: str, *members: str) -> None:
        self.handle.modify_s(self.dn(group), [(ldap.MOD_ADD, "member", _values([self.dn(one) for one in members]))])

    def leave(self, group: str, *members: str) -> None:
        self.handle.modify_s(self.dn(group), [(ldap.MOD_DELETE, "member", _values([self.dn(one) for one in members]))])

    def rename(self, name: str, new: str) -> None:
        self.handle.rename_s(self.dn(name), f"cn={escape_dn_chars(new)}")
        self.settle(self.dn(name))

    def move(self, name: str, unit: str) -> None:
        self.handle.rename_s(self.dn(name), f"cn={escape_dn_chars(name)}", f"ou={escape_dn_chars(unit)},{self.ou}")
        self.settle(self.dn(name))

    def rename_unit(self, name: str, new: str) -> None:
        old = f"ou={escape_dn_chars(name)},{self.ou}"
        below = [dn for dn, _ in self.handle.search_s(old, ldap.SCOPE_SUBTREE, attrlist=["1.1"])]
        self.handle.rename_s(old, f"ou={escape_dn_chars(new)}")
        for dn in below:
            self.settle(dn)

    def delete(self, name: str) -> None:
        self.handle.delete_s(self.dn(name))
        self.settle(self.dn(name))

    def settle(self, gone: str) -> None:
        """Wait until the server's referential integrity, which comes a moment later, has caught up with a name."""
        value = filter_format("%s", [gone])
        query = f"(|(member={value})(uniqueMember={value})(manager={value})(owner={value}))"
        until = time.monotonic() + 10
        while self.handle.search_s(self.ou, ldap.SCOPE_SUBTREE, query, ["1.1"]):
            assert time.monotonic() < until, f"{gone} is still referred to"
            time.sleep(0.01)

    def dn(self, name: str) -> str:
        return f"cn={escape_dn_chars(name)},{self.ou}"

    def anchor(self, dn: str) -> str:
        ((_, values),) = self.handle.search_s(dn, ldap.SCOPE_BASE, attrlist=[self.anchor_attribute])
        ((raw,),) = values.values()
        return str(uuid.UUID(raw.decode().replace("-", "")))


def connect(url: str, ca_file: Path, user: str, password: str) -> Any:
    handle = ldap.initialize(url)
    handle.set_option(ldap.OPT_X_TLS_CACERTFILE, str(ca_file))
    handle.set_option(ldap.OPT_REFERRALS, 0)
    handle.set_option(ldap.OPT_X_TLS_NEWCTX, 0)
    handle.simple_bind_s(user, password)
    return handle


def at_work(handle: Any, base_dn: str, **more: str) -> Admin:
    """An administrator in a new unit."""
    admin = Admin(handle, f"ou=t{uuid.uuid4().hex[:10]},{base_dn}", **more)
    admin.add(admin.ou, objectClass="organizationalUnit")
    return admin


def values_for(server: Any, folder: Path, user: str = "", password: str = READER_PASSWORD) -> dict[str, Any]:
    """Settings of a directory, as they would stand in the agent's file."""
    file = folder / "reader.password"
    file.touch(mode=0o600)
    file.write_text(password + "\n")
    return {
        "name": server.realm,
        "servers": [server.ldaps_url],
        "ca_file": str(server.ca_file),
        "user": user or server.reader,
        "password_file": str(file),
    }


@pytest.fixture
def admin(server: OpenLdap) -> Iterator[Admin]:
    handle = connect(server.ldaps_url, server.ca_file, server.admin_dn, server.admin_password)
    yield at_work(handle, server.base_dn)
    handle.unbind_s()


@pytest.fixture
def values(server: OpenLdap, tmp_path: Path) -> dict[str, Any]:
    return values_for(server, tmp_path)


@pytest.fixture
def source(values: dict[str, Any]) -> LdapSource:
    return LdapSource(ldap_settings.parse(values))


@pytest.fixture
def subject(source: LdapSource, admin: Admin) -> Subject:
    return Subject(source, admin, SELECTION)


def _values(value: str | bytes | Sequence[str | bytes]) -> list[bytes]:
    several = [value] if isinstance(value, (str, bytes)) else value
    return [one.encode() if isinstance(one, str) else one for one in several]
