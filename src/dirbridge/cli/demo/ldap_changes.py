"""Changes in an LDAP directory, one after the other, and what each has to look like in the tenant."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from typing import Any
from urllib.parse import quote

from dirbridge.cli.demo import company as companies
from dirbridge.cli.demo import verify
from dirbridge.cli.demo.changes import Change, Check, Scene
from dirbridge.cli.demo.company import escape, line


async def _entry_dn(here: Scene, query: str) -> str:
    (found,) = await here.reader.search(query, ("cn",))
    return found.dn


async def _person(here: Scene, uid: str) -> str:
    return await _entry_dn(here, f"(uid={uid})")


async def _join(here: Scene) -> Check:
    name = f"nora.neu@{here.domain}"
    attributes = {
        "objectClass": "inetOrgPerson",
        "uid": "nora.neu",
        "sn": "Neu",
        "displayName": "Nora Neu",
        "mail": name,
        "manager": await _person(here, "marek.mazur"),
    }
    dn = f"cn=Nora Neu,{companies.FINANCE},{here.reader.base_dn}"
    await here.reader.modify("\n".join([line("dn", dn), "changetype: add", *_lines(attributes), ""]))

    async def check() -> str | None:
        found = await here.get(f"/users/{quote(name)}?$select=id")
        if not found:
            return f"there is no user {name}"
        here.ids["nora.neu"] = found["id"]
        manager = await here.manager("nora.neu")
        return None if manager == here.ids["marek.mazur"] else "she has no manager yet"

    return check


async def _rename(here: Scene) -> Check:
    name = "Lena Lehmann, née Groß"
    dn = await _person(here, "lena.lehmann")
    await here.reader.modify(_renaming(dn, f"cn={escape(name)}"))
    await here.set(await _person(here, "lena.lehmann"), displayName=name, sn="Groß")
    return _shows(here, "lena.lehmann", {"displayName": name, "surname": "Groß"})


async def _rename_container(here: Scene) -> Check:
    await here.reader.modify(_renaming(f"{companies.SALES},{here.reader.base_dn}", "ou=Sales \\+ Service"))
    wanted = verify.parts(await _person(here, "vera.sales"))

    async def check() -> str | None:
        found = await here.user("vera.sales", "onPremisesDistinguishedName")
        held = verify.parts(found.get("onPremisesDistinguishedName") or "")
        return None if held == wanted else "who lies in it has the old place"

    return check


async def _move(here: Scene) -> Check:
    parent = f"{companies.PERSONNEL},{here.reader.base_dn}"
    await here.reader.modify(_renaming(await _person(here, "dora.dietz"), "cn=Dora Dietz", parent))
    wanted = verify.parts(f"cn=Dora Dietz,{parent}")

    async def check() -> str | None:
        found = await here.user("dora.dietz", "onPremisesDistinguishedName")
        held = verify.parts(found.get("onPremisesDistinguishedName") or "")
        return None if held == wanted else "she has the old place"

    return check


async def _add_member(here: Scene) -> Check:
    group = await _entry_dn(here, "(&(objectClass=groupOfNames)(cn=Sales \\2b Partners))")
    await here.reader.modify(_membership(group, "add", "member", await _person(here, "aaron.abel")))
    return _belongs(here, "sales + partners", "aaron.abel", inside=True)


async def _remove_member(here: Scene) -> Check:
    group = await _entry_dn(here, "(&(objectClass=groupOfNames)(cn=\\23Everybody))")
    await here.reader.modify(_membership(group, "delete", "member", await _person(here, "aaron.abel")))
    return _belongs(here, "#everybody", "aaron.abel", inside=False)


async def _add_member_by_uid(here: Scene) -> Check:
    (found, *_) = await here.reader.search("(objectClass=posixGroup)", ("cn",))
    await here.reader.modify(_membership(found.dn, "add", "memberUid", "nora.neu"))
    return _belongs(here, str(found.text("cn")).lower(), "nora.neu", inside=True)


async def _change_manager(here: Scene) -> Check:
    await here.set(await _person(here, "paula.platform"), manager=await _person(here, "zoe.zimmermann"))

    async def check() -> str | None:
        manager = await here.manager("paula.platform")
        return None if manager == here.ids["zoe.zimmermann"] else "she reports to somebody else"

    return check


async def _delete(here: Scene) -> Check:
    await here.reader.modify(f"{line('dn', await _person(here, 'rosa.rueckkehr'))}\nchangetype: delete\n")

    async def check() -> str | None:
        if await here.user("rosa.rueckkehr"):
            return "she is still there"
        held = await here.get(f"/directory/deletedItems/{here.ids['rosa.rueckkehr']}")
        return None if held else "she is not among the deleted items"

    return check


async def scene(here: Scene) -> Scene:
    """Add the ids of groups, which go by their names here."""
    for item in await verify.items(here.get, "/groups?$select=id,displayName&$top=100"):
        here.ids[str(item["displayName"]).lower()] = item["id"]
    return here


_MADE: tuple[tuple[str, str, Callable[[Scene], Awaitable[Check]]], ...] = (
    ("join", "Nora Neu joins Finance, reporting to Marek Mazur", _join),
    ("rename", "Lena Lehmann becomes 'Lena Lehmann, née Groß'", _rename),
    ("move", "Dora Dietz moves from Finance to Human Resources", _move),
    ("renameContainer", "The OU 'Sales' becomes 'Sales + Service'", _rename_container),
    ("addMember", "Aaron Abel joins the group 'Sales + Partners'", _add_member),
    ("removeMember", "Aaron Abel leaves the group '#Everybody'", _remove_member),
    ("addMemberByUid", "Nora Neu joins a group that lists its members by uid", _add_member_by_uid),
    ("changeManager", "Paula Øster reports to Zoë Zimmermann", _change_manager),
    ("delete", "Rosa Rückkehr is deleted", _delete),
)
CHANGES = tuple(Change(*one) for one in _MADE)
"""In this order: later ones rely on earlier ones."""


def _shows(here: Scene, uid: str, wanted: dict[str, Any]) -> Check:
    async def check() -> str | None:
        found = await here.user(uid, *wanted)
        late = [name for name, value in wanted.items() if found.get(name) != value]
        return f"{late[0]} is {found.get(late[0])!r}" if late else None

    return check


def _belongs(here: Scene, group: str, uid: str, *, inside: bool) -> Check:
    async def check() -> str | None:
        is_inside = here.ids[uid] in await here.members(group)
        return None if is_inside is inside else f"{uid} is {'no' if inside else 'still a'} member"

    return check


def _lines(attributes: dict[str, str]) -> list[str]:
    return [line(name, value) for name, value in attributes.items()]


def _renaming(dn: str, name: str, parent: str = "") -> str:
    lines = [line("dn", dn), "changetype: modrdn", line("newrdn", name), "deleteoldrdn: 1"]
    return "\n".join([*lines, *([line("newsuperior", parent)] if parent else []), ""])


def _membership(group: str, action: str, attribute: str, member: str) -> str:
    return "\n".join(
        [line("dn", group), "changetype: modify", f"{action}: {attribute}", line(attribute, member), "-", ""]
    )
