"""The changes happen in a real directory, and their checks tell a tenant that follows from one that does not."""

import uuid
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import Any
from urllib.parse import unquote

import pytest

from dirbridge.cli.demo import changes, company, verify
from dirbridge.cli.demo.domain import Domain
from dirbridge.cli.demo.reader import Reader
from dirbridge.cli.demo.verify import Domains, Picture

DOMAINS = Domains("contoso.test", frozenset({"contoso.test"}), "contoso.onmicrosoft.test")


@dataclass
class Mirror:
    """A tenant that holds exactly what the directory held when `follow` was last called."""

    reader: Reader
    picture: Picture = field(default_factory=Picture)
    deleted: set[str] = field(default_factory=set)

    async def follow(self) -> None:
        before = set(self.picture.users)
        entries = await self.reader.search(verify.QUERY, verify.ATTRIBUTES)
        self.picture = verify.expected(entries, DOMAINS, datetime.now(UTC))
        self.deleted = (self.deleted | (before - set(self.picture.users))) - set(self.picture.users)

    async def get(self, path: str) -> dict[str, Any]:
        match unquote(path.partition("?")[0]).strip("/").split("/"):
            case ["users"]:
                return {"value": [self._shown(key, value) for key, value in self.picture.users.items()]}
            case ["groups"]:
                return {"value": [self._shown(key, value) for key, value in self.picture.groups.items()]}
            case ["contacts"]:
                return {"value": [self._shown(key, value) for key, value in self.picture.contacts.items()]}
            case ["users", name]:
                return self._find(name)
            case ["users" | "contacts", name, "manager"]:
                managers = {_id(key): manager for key, manager in self.picture.managers.items()}
                return self._find(_id(managers[name])) if name in managers else {}
            case ["groups", name, "members"]:
                members = {_id(key): found for key, found in self.picture.members.items()}
                return {"value": [{"id": _id(member)} for member in members[name]]}
            case ["directory", "deletedItems", name]:
                return {"id": name} if name in map(_id, self.deleted) else {}
        raise AssertionError(path)

    def _find(self, name: str) -> dict[str, Any]:
        for key, value in self.picture.users.items():
            if name in {_id(key), value["userPrincipalName"]}:
                return self._shown(key, value)
        return {}

    def _shown(self, key: str, value: dict[str, Any]) -> dict[str, Any]:
        return {"id": _id(key), **value}


def _id(key: str) -> str:
    return str(uuid.uuid5(uuid.NAMESPACE_OID, key))


@pytest.mark.samba
@pytest.mark.timeout(180)
async def test_each_change_happens_and_is_told_apart():
    """A tenant that stands still shows no change; one that follows shows each."""
    contoso = company.make("DC=contoso,DC=test", "contoso.test", company.MINIMUM_USERS)
    async with Domain("contoso.test", "CONTOSO") as domain:
        await domain.load(contoso.entries())
        await domain.modify(contoso.references())
        access = (domain.ldaps_url, domain.ca_file, domain.admin_dn, domain.admin_password, domain.base_dn)
        with Reader(*access) as reader:
            mirror = Mirror(reader)
            await mirror.follow()
            assert (len(mirror.picture.users), len(mirror.picture.groups)) == (company.MINIMUM_USERS, company.GROUPS)
            (everybody,) = await reader.search("(cn=All Employees)", ("member;range=0-24",))
            assert len(set(everybody.texts("member"))) == company.MINIMUM_USERS
            here = await changes.scene(reader, mirror.get, "contoso.test")
            stale, arrived = {}, {}
            for change in changes.CHANGES:
                check = await change.make(here)
                stale[change.name] = await check()
                await mirror.follow()
                arrived[change.name] = await check()
            (rosa,) = await reader.search("(sAMAccountName=rosa.rueckkehr)", ("*", "directReports"))
    assert [name for name, missing in stale.items() if missing is None] == []
    assert [missing for missing in arrived.values() if missing is not None] == []
    assert len(changes.CHANGES) == 12
    before = here.kept["rosa.rueckkehr"]
    assert before.texts("memberOf")
    for name in ("objectGUID", "objectSid", "memberOf", "manager", "mail", "proxyAddresses", "directReports"):
        assert sorted(rosa.values(name)) == sorted(before.values(name)), name


async def test_play_gives_up_on_a_change_that_never_arrives():
    """A change that does not arrive in time is reported with what is still missing."""

    async def never() -> str | None:
        return "it is not there"

    change = changes.Change("never", "Never arrives", lambda here: pytest.fail("is not made"))
    arrival = await changes.arrival(change, never, 0.1)
    assert arrival == changes.Arrival(change, None, "it is not there")
