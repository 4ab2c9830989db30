"""Scope by organizational units and groups against a real domain controller: renames, moves, nesting, a lost group."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from dirbridge.cli.demo import company as demo
from dirbridge.cli.demo.company import line
from dirbridge.cli.demo.domain import Domain
from dirbridge.cli.demo.reader import Reader
from tests.e2e import company
from tests.e2e.harness import Installation, until

pytestmark = [pytest.mark.service, pytest.mark.samba, pytest.mark.timeout(400)]

PLACES = {"North": demo.ROOT, "City": f"OU=North,{demo.ROOT}", "South": demo.ROOT}
PEOPLE = {"n1": "North", "n2": "North", "c1": "City", "s1": "South", "x1": "South", "x2": "South", "p1": "South"}


def _person(name: str) -> list[str]:
    return [
        *(f"objectClass: {one}" for one in ("top", "person", "organizationalPerson", "user")),
        f"sAMAccountName: {name}",
        f"userPrincipalName: {name}@{company.REALM}",
        f"userAccountControl: {demo.NORMAL_ACCOUNT | demo.PASSWORD_NOT_REQUIRED}",
    ]


class Office:
    """The domain, edited by its administrator, and what the tenant has of it."""

    def __init__(self, installation: Installation, administrator: Reader) -> None:
        self.installation = installation
        self.administrator = administrator
        self.base = administrator.base_dn

    def unit(self, name: str) -> str:
        """The distinguished name that an OU was made with."""
        return f"OU={name},{PLACES[name]},{self.base}"

    def person(self, name: str) -> str:
        return f"CN={name},{self.unit(PEOPLE[name])}"

    def group(self, name: str) -> str:
        return f"CN={name},{demo.TEAMS},{self.base}"

    async def fill(self) -> None:
        """Three OUs with people and a group in one of them, and two groups in each other with people of their own."""
        groups = {name: self.group(name) for name in ("outer", "inner")} | {"staff": f"CN=staff,{self.unit('North')}"}
        records = [
            *([self.unit(name), "objectClass: organizationalUnit"] for name in PLACES),
            *([self.person(name), *_person(name)] for name in PEOPLE),
            *(
                [dn, "objectClass: group", f"sAMAccountName: {name}", f"groupType: {demo.GLOBAL_SECURITY}"]
                for name, dn in groups.items()
            ),
        ]
        records = [[f"dn: {dn}", "changetype: add", *rest] for dn, *rest in records]
        await self.administrator.modify("\n\n".join("\n".join(record) for record in records) + "\n")
        await self.members("outer", add=[self.group("inner"), self.person("s1")])
        await self.members("inner", add=[self.group("outer"), self.person("x1")])

    async def members(self, group: str, *, add: list[str] = [], remove: list[str] = []) -> None:  # noqa: B006
        """Put entries into a group, or take them out."""
        lines = [line("dn", self.group(group)), "changetype: modify"]
        for action, names in (("add", add), ("delete", remove)):
            if names:
                lines += [f"{action}: member", *(line("member", name) for name in names), "-"]
        await self.administrator.modify("\n".join([*lines, ""]))

    async def move(self, dn: str, rdn: str, parent: str) -> None:
        """Rename an entry, or put it elsewhere."""
        lines = [line("dn", dn), "changetype: modrdn", line("newrdn", rdn), "deleteoldrdn: 1"]
        await self.administrator.modify("\n".join([*lines, line("newsuperior", parent), ""]))

    async def choose(self, *arguments: str) -> None:
        done = await self.installation.command("schema", "scope", *arguments, "--json")
        assert done.code == 0, done.complaint

    async def shown(self) -> dict[str, Any]:
        """The job's scope as the command line shows it."""
        done = await self.installation.command("schema", "scope", "--json")
        (rule,) = json.loads(done.output)["rules"]
        found: dict[str, Any] = rule
        return found

    async def becomes(self, *accounts: str) -> dict[str, str]:
        """Wait until the tenant holds just these users and groups; gives their ids."""

        async def look() -> dict[str, str] | None:
            ids = await company.ids(self.installation)
            return ids if set(ids) == set(accounts) else None

        async def describe() -> str:
            there = sorted(await company.ids(self.installation))
            return f"There are {there}.\n{await self.installation.describe()}"

        return await until(look, f"the tenant holds {accounts}", 60, describe)

    async def stays(self, *accounts: str) -> None:
        """See that after a whole cycle the tenant holds just these."""
        await self.installation.settled()
        assert set(await company.ids(self.installation)) == set(accounts)


async def test_scope_follows_a_real_directory(place: Path, pristine: Domain) -> None:
    """OUs by GUID through renames and moves, nested groups in a circle, the primary group, a deleted scoping group."""
    async with await pristine.copy() as domain, Installation(place, company.REALM) as installation:
        await installation.agent(company.toml(domain, place))
        await installation.create_job(start=False)
        with company.reader(domain) as administrator:
            office = Office(installation, administrator)
            await office.fill()
            await office.choose("--container", office.unit("North"), "--group", office.group("outer"))
            await installation.api.post(f"{installation.job}/start")
            first = ("n1", "n2", "c1", "staff", "s1", "x1", "outer", "inner")
            before = await office.becomes(*first)
            # Nobody was judged before it was known where they belong: each once, and none out of scope by mistake.
            events = await installation.events()
            assert {source: number for (source, _), number in events.items() if number > 1} == {}

            await office.move(office.unit("North"), "OU=Norden", f"{demo.SERVICE_ACCOUNTS},{office.base}")
            await office.move(office.group("outer"), "CN=äußere", f"{demo.PEOPLE},{office.base}")
            await office.stays(*first)
            shown = await office.shown()
            (unit,), (group,) = shown["containers"], shown["groups"]
            assert unit["canonicalName"] == f"{company.REALM}/Contoso/Service Accounts/Norden"
            assert group["canonicalName"] == f"{company.REALM}/Contoso/People/äußere"
            assert (unit["state"], group["state"]) == ("present", "present")

            norden = f"OU=Norden,{demo.SERVICE_ACCOUNTS},{office.base}"
            await office.move(f"OU=City,{norden}", "OU=City", office.unit("South"))
            await office.becomes("n1", "n2", "staff", "s1", "x1", "outer", "inner")
            await office.members("inner", add=[office.person("x2")])
            await office.becomes("n1", "n2", "staff", "s1", "x1", "x2", "outer", "inner")
            await office.move(f"OU=City,{office.unit('South')}", "OU=City", norden)
            back = await office.becomes(*first, "x2")
            assert {name: back[name] for name in first} == before

            await _primary_group(office, "p1", "inner")
            await office.becomes(*first, "x2", "p1")
            outer = f"CN=äußere,{demo.PEOPLE},{office.base}"
            await administrator.modify(
                "\n".join([line("dn", outer), "changetype: modify", "delete: member",
                           line("member", office.group("inner")), "-", ""])
            )  # fmt: skip
            await office.becomes("n1", "n2", "c1", "staff", "s1", "outer")

            await administrator.modify("\n".join([line("dn", outer), "changetype: delete", ""]))
            await office.becomes("n1", "n2", "c1", "staff", "s1")
            (group,) = (await office.shown())["groups"]
            assert (group["state"], group["reason"], group["displayName"]) == ("missing", "Deleted", "äußere")
            warned = "select count(*) from events where reason = 'ScopingGroupMissing' and status = 'warning'"
            assert await installation.rows(warned) == [(1,)]
            assert (await installation.status())["quarantine"] is None
            calm = await installation.fingerprint()
            await installation.settled()
            assert await installation.fingerprint() == calm


async def _primary_group(office: Office, person: str, group: str) -> None:
    """Make a group somebody's primary one; the directory takes the listed membership away."""
    await office.members(group, add=[office.person(person)])
    (found,) = await office.administrator.search(f"(sAMAccountName={group})", ("objectSid",))
    relative = int.from_bytes(found.values("objectSid")[0][-4:], "little")
    lines = [line("dn", office.person(person)), "changetype: modify", "replace: primaryGroupID"]
    await office.administrator.modify("\n".join([*lines, f"primaryGroupID: {relative}", "-", ""]))
    (found,) = await office.administrator.search(f"(sAMAccountName={group})", ("member",))
    assert office.person(person) not in found.texts("member")
