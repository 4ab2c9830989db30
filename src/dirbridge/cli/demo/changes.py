"""A dozen changes in the directory, one after the other, and what each has to look like in the tenant.

Every change is written with the distribution's own LDAP tools and then looked for through the API, by the ids that the
tenant gave its objects before. A `Check` says what is still otherwise, or None once the change has arrived.
"""

from __future__ import annotations

import asyncio
import time
from collections.abc import AsyncIterator, Awaitable, Callable, Sequence
from dataclasses import dataclass, field
from typing import Any
from urllib.parse import quote

from dirbridge.cli.demo import company as companies
from dirbridge.cli.demo import verify
from dirbridge.cli.demo.company import escape, line
from dirbridge.cli.demo.reader import Found, Reader
from dirbridge.cli.demo.verify import Get

ARRIVAL_SECONDS = 60
LOOK_SECONDS = 0.05
"""How often the tenant is asked whether a change has arrived."""

Check = Callable[[], Awaitable[str | None]]

_RESTORED = (
    "displayName", "givenName", "sn", "userPrincipalName", "mail", "proxyAddresses", "department", "title", "company",
    "manager",
)  # fmt: skip


@dataclass(frozen=True, slots=True)
class Scene:
    """Where the changes happen.

    Attributes:
        domain: DNS name of the directory's domain.
        ids: the tenant's ids of users and groups, by sAMAccountName in lower case.
        kept: entries as they were before they were deleted.
    """

    reader: Reader
    get: Get
    domain: str
    ids: dict[str, str]
    kept: dict[str, Found] = field(default_factory=dict)

    async def entry(self, account: str) -> Found:
        """Read an entry as it is in the directory now."""
        (found,) = await self.reader.search(f"(sAMAccountName={_quoted(account)})", ("*", "directReports"))
        return found

    async def dn(self, account: str) -> str:
        return (await self.entry(account)).dn

    async def account(self, dn: str) -> str:
        """Give the sAMAccountName of an entry, in lower case."""
        (found,) = await self.reader.search(attributes=("sAMAccountName",), base=dn, scope="base")
        return str(found.text("sAMAccountName")).lower()

    async def user(self, account: str, *fields: str) -> dict[str, Any]:
        """Read a user from the tenant; empty where it is not there."""
        return await self.get(f"/users/{self.ids[account]}?$select={','.join(('id', *fields))}")

    async def manager(self, account: str) -> str | None:
        """Give the id of a user's manager in the tenant."""
        return (await self.get(f"/users/{self.ids[account]}/manager?$select=id")).get("id")

    async def members(self, group: str) -> set[str]:
        """Give the ids of a group's members in the tenant."""
        found = await verify.items(self.get, f"/groups/{self.ids[group]}/members?$select=id&$top=100")
        return {item["id"] for item in found}

    async def set(self, dn: str, **values: str | Sequence[str]) -> None:
        """Replace attributes of an entry; an empty value takes the attribute away."""
        await self.reader.modify(_replacing(dn, values))


@dataclass(frozen=True, slots=True)
class Change:
    """One thing that an administrator does.

    Attributes:
        name: a word for it that stays the same. sentence: what happens, for people.
        make: writes it to the directory and gives the check of its arrival.
    """

    name: str
    sentence: str
    make: Callable[[Scene], Awaitable[Check]]


@dataclass(frozen=True, slots=True)
class Arrival:
    """What became of a change.

    Attributes:
        seconds: from the end of the write to when the tenant showed it; None where it never did.
        missing: what was still otherwise when the time was up.
    """

    change: Change
    seconds: float | None
    missing: str = ""


async def scene(reader: Reader, get: Get, domain: str) -> Scene:
    """Set the scene: learn the tenant's ids."""
    ids: dict[str, str] = {}
    for kind in ("users", "groups"):
        for item in await verify.items(get, f"/{kind}?$select=id,onPremisesSamAccountName&$top=100"):
            ids[str(item.get("onPremisesSamAccountName")).lower()] = item["id"]
    return Scene(reader, get, domain, ids)


async def play(here: Scene, seconds: float = ARRIVAL_SECONDS) -> AsyncIterator[Arrival]:
    """Make the changes one after the other, each when the one before has arrived or its time is up."""
    for change in CHANGES:
        check = await change.make(here)
        yield await arrival(change, check, seconds)


async def arrival(change: Change, check: Check, seconds: float = ARRIVAL_SECONDS) -> Arrival:
    """Look until a change that has just been written has arrived, or the time is up."""
    written = time.monotonic()
    while True:
        asked = time.monotonic()
        missing = await check()
        if missing is None:
            return Arrival(change, time.monotonic() - written)
        if asked - written > seconds:
            return Arrival(change, None, missing)
        await asyncio.sleep(LOOK_SECONDS)


async def _join(here: Scene) -> Check:
    name = f"nora.neu@{here.domain}"
    dn = f"CN=Nora Neu,{companies.FINANCE},{here.reader.base_dn}"
    attributes = {
        "objectClass": ["top", "person", "organizationalPerson", "user"],
        "sAMAccountName": ["nora.neu"],
        "userAccountControl": [str(companies.NORMAL_ACCOUNT | companies.PASSWORD_NOT_REQUIRED)],
        "userPrincipalName": [name],
        "displayName": ["Nora Neu"],
        "givenName": ["Nora"],
        "sn": ["Neu"],
        "mail": [name],
        "proxyAddresses": [f"SMTP:{name}"],
        "manager": [await here.dn("marek.mazur")],
    }
    lines = [line(attribute, value) for attribute, values in attributes.items() for value in values]
    await here.reader.modify("\n".join([line("dn", dn), "changetype: add", *lines, ""]))

    async def check() -> str | None:
        found = await here.get(f"/users/{quote(name)}?$select=id,displayName")
        if not found:
            return f"there is no user {name}"
        here.ids["nora.neu"] = found["id"]
        return _differs("manager", await here.manager("nora.neu"), here.ids["marek.mazur"])

    return check


async def _rename(here: Scene) -> Check:
    name, upn = "Lena Lehmann, née Groß", f"lena.gross@{here.domain}"
    await here.reader.modify(_renaming(await here.dn("lena.lehmann"), f"CN={escape(name)}"))
    dn = await here.dn("lena.lehmann")
    await here.set(dn, displayName=name, sn="Groß", userPrincipalName=upn)
    return _user(here, "lena.lehmann", displayName=name, surname="Groß", userPrincipalName=upn, _dn=dn)


async def _move(here: Scene) -> Check:
    before = await here.dn("dora.dietz")
    parent = f"{companies.PERSONNEL},{here.reader.base_dn}"
    await here.reader.modify(_renaming(before, "CN=Dora Dietz", parent))
    return _user(here, "dora.dietz", _dn=f"CN=Dora Dietz,{parent}")


async def _rename_container(here: Scene) -> Check:
    await here.reader.modify(_renaming(f"{companies.SALES},{here.reader.base_dn}", "OU=Sales \\+ Service"))
    below = companies.SALES.replace("OU=Sales,", "OU=Sales \\+ Service,", 1)
    people = await here.reader.search(
        "(&(objectClass=user)(!(objectClass=computer)))", ("sAMAccountName",), base=f"{below},{here.reader.base_dn}"
    )
    wanted = {str(entry.text("sAMAccountName")).lower(): verify.parts(entry.dn) for entry in people}

    async def check() -> str | None:
        found = await verify.items(
            here.get, "/users?$select=id,onPremisesSamAccountName,onPremisesDistinguishedName&$top=100"
        )
        held = {
            str(item.get("onPremisesSamAccountName")).lower(): verify.parts(
                item.get("onPremisesDistinguishedName") or ""
            )
            for item in found
        }
        late = [account for account, dn in wanted.items() if held.get(account) != dn]
        return f"{len(late)} of {len(wanted)} people below it have their old place" if late else None

    return check


async def _disable(here: Scene) -> Check:
    entry = await here.entry("marek.mazur")
    control = int(entry.text("userAccountControl") or 0) | companies.DISABLED
    await here.set(entry.dn, userAccountControl=str(control))
    return _user(here, "marek.mazur", accountEnabled=False)


async def _delete(here: Scene) -> Check:
    entry = here.kept["rosa.rueckkehr"] = await here.entry("rosa.rueckkehr")
    await here.reader.modify(f"{line('dn', entry.dn)}\nchangetype: delete\n")

    async def check() -> str | None:
        if await here.user("rosa.rueckkehr"):
            return "she is still there"
        held = await here.get(f"/directory/deletedItems/{here.ids['rosa.rueckkehr']}")
        return None if held else "she is not among the deleted items"

    return check


async def _restore(here: Scene) -> Check:
    entry = here.kept["rosa.rueckkehr"]
    guid = "".join(f"\\{byte:02x}" for byte in entry.values("objectGUID")[0])
    (tombstone,) = await here.reader.search(f"(objectGUID={guid})", ("objectGUID",), deleted=True)
    await here.reader.modify(_reanimating(tombstone.dn, entry.dn), deleted=True)
    # A tombstone keeps only what identifies it. The rest comes from what was kept, as from a back-up.
    await here.set(entry.dn, **{name: entry.texts(name) for name in _RESTORED if entry.texts(name)})
    for group in entry.texts("memberOf"):
        await here.reader.modify(_membership("add", group, entry.dn))
    for report in entry.texts("directReports"):
        await here.set(report, manager=entry.dn)
    accounts = {dn: await here.account(dn) for dn in (*entry.texts("memberOf"), *entry.texts("directReports"))}
    groups = [accounts[dn] for dn in entry.texts("memberOf")]
    reports = [accounts[dn] for dn in entry.texts("directReports")]
    whole = _user(here, "rosa.rueckkehr", displayName="Rosa Rückkehr", department="People", accountEnabled=True)

    async def check() -> str | None:
        missing = await whole()
        if missing is not None:
            return missing
        rosa = here.ids["rosa.rueckkehr"]
        late = [group for group in groups if rosa not in await here.members(group)]
        late += [report for report in reports if await here.manager(report) != rosa]
        if late:
            return f"she does not have {len(late)} of her {len(groups)} groups and {len(reports)} reports"
        return _differs("manager", await here.manager("rosa.rueckkehr"), here.ids["marek.mazur"])

    return check


async def _add_member(here: Scene) -> Check:
    await here.reader.modify(_membership("add", await here.dn("Empty for Now"), await here.dn("dora.dietz")))

    async def check() -> str | None:
        inside = here.ids["dora.dietz"] in await here.members("empty for now")
        return None if inside else "she is no member yet"

    return check


async def _remove_member(here: Scene) -> Check:
    await here.reader.modify(_membership("delete", await here.dn("Everybody"), await here.dn("aaron.abel")))

    async def check() -> str | None:
        inside = here.ids["aaron.abel"] in await here.members("everybody")
        return "he is still a member" if inside else None

    return check


async def _change_manager(here: Scene) -> Check:
    await here.set(await here.dn("paula.platform"), manager=await here.dn("zoe.zimmermann"))

    async def check() -> str | None:
        return _differs("manager", await here.manager("paula.platform"), here.ids["zoe.zimmermann"])

    return check


async def _swap_mail(here: Scene) -> Check:
    sam, sue = await here.entry("sam.swap"), await here.entry("sue.swap")
    records = [
        _replacing(to.dn, {"mail": of.texts("mail"), "proxyAddresses": of.texts("proxyAddresses")})
        for to, of in ((sam, sue), (sue, sam))
    ]
    await here.reader.modify("\n".join(records))
    checks = [
        _user(here, account, mail=of.text("mail"), proxyAddresses=sorted(of.texts("proxyAddresses")))
        for account, of in (("sam.swap", sue), ("sue.swap", sam))
    ]

    async def check() -> str | None:
        found = [await one() for one in checks]
        return next((missing for missing in found if missing is not None), None)

    return check


async def _late_manager(here: Scene) -> Check:
    await here.set(await here.dn("hidden.hofmann"), adminDescription="")

    async def check() -> str | None:
        found = await here.get(f"/users/{here.ids['nils.neumann']}/manager?$select=id,displayName")
        return _differs("manager", found.get("displayName"), "Hilde Hofmann")

    return check


CHANGES = (
    Change("join", "Nora Neu joins Finance, reporting to Marek Mazur", _join),
    Change("rename", "Lena Lehmann becomes 'Lena Lehmann, née Groß'", _rename),
    Change("move", "Dora Dietz moves from Finance to Human Resources", _move),
    Change("renameContainer", "The OU 'Sales' becomes 'Sales + Service'", _rename_container),
    Change("disable", "Marek Mazur's account is disabled", _disable),
    Change("delete", "Rosa Rückkehr is deleted", _delete),
    Change("restore", "Rosa Rückkehr is restored, with all she had", _restore),
    Change("addMember", "Dora Dietz joins the group 'Empty for Now'", _add_member),
    Change("removeMember", "Aaron Abel leaves the group '#Everybody'", _remove_member),
    Change("changeManager", "Paula Øster reports to Zoë Zimmermann", _change_manager),
    Change("swapMail", "Sam and Sue Swap exchange their mail addresses", _swap_mail),
    Change("lateManager", "Hilde Hofmann enters scope; she manages Nils Neumann", _late_manager),
)
"""In this order: later ones rely on earlier ones."""


def _user(here: Scene, account: str, **wanted: Any) -> Check:
    """Check fields of a user; `_dn` stands for the distinguished name, however it is escaped."""
    dn = wanted.pop("_dn", None)
    names = [*wanted, "onPremisesDistinguishedName"]

    async def check() -> str | None:
        found = await here.user(account, *names)
        if not found:
            return f"there is no user {account}"
        if dn is not None and verify.parts(found.get("onPremisesDistinguishedName") or "") != verify.parts(dn):
            return _differs("onPremisesDistinguishedName", found.get("onPremisesDistinguishedName"), dn)
        for name, value in wanted.items():
            held = sorted(found.get(name) or ()) if isinstance(value, list) else found.get(name)
            if held != value:
                return _differs(name, held, value)
        return None

    return check


def _differs(name: str, held: Any, wanted: Any) -> str | None:
    return None if held == wanted else f"{name} is {held!r}, not yet {wanted!r}"


def _quoted(value: str) -> str:
    """Escape a value in an LDAP filter. Source: RFC 4515 section 3."""
    return "".join(f"\\{ord(character):02x}" if character in "\\*()\0" else character for character in value)


def _renaming(dn: str, name: str, parent: str = "") -> str:
    lines = [line("dn", dn), "changetype: modrdn", line("newrdn", name), "deleteoldrdn: 1"]
    if parent:
        lines.append(line("newsuperior", parent))
    return "\n".join(lines) + "\n"


def _reanimating(dn: str, place: str) -> str:
    lines = [line("dn", dn), "changetype: modify", "delete: isDeleted", "-"]
    return "\n".join([*lines, "replace: distinguishedName", line("distinguishedName", place), "-", ""])


def _membership(action: str, group: str, member: str) -> str:
    return "\n".join([line("dn", group), "changetype: modify", f"{action}: member", line("member", member), "-", ""])


def _replacing(dn: str, values: dict[str, str | Sequence[str]] | dict[str, tuple[str, ...]]) -> str:
    lines = [line("dn", dn), "changetype: modify"]
    for name, given in values.items():
        several = (given,) if isinstance(given, str) else given
        lines += [f"replace: {name}", *(line(name, value) for value in several if value), "-"]
    return "\n".join(lines) + "\n"
