"""Random edits of a domain, as its administrators and its staff would make them, always the same for a seed."""

from __future__ import annotations

import random
from collections.abc import Awaitable, Callable

from dirbridge.cli.demo import company as demo
from dirbridge.cli.demo.company import escape, line
from dirbridge.cli.demo.reader import Found, Reader

PEOPLE = "(&(objectClass=user)(!(objectClass=computer))(!(adminDescription=User_*))(!(sAMAccountName=svc-*)))"
CONTACTS = "(objectClass=contact)"
ANYBODY = f"(|{PEOPLE}{CONTACTS})"
GROUPS = "(objectClass=group)"
UNITS = "(objectClass=organizationalUnit)"
LEAST_CONTACTS = 3
"""Contacts that keep their address: the last of a type does not go without a person's word."""
MOST_REMOVALS = 8
"""Deletes and disables; ten in a day go without a person's word."""

Edit = Callable[[], Awaitable[str | None]]


class Editor:
    """Makes one edit after the other.

    Attributes:
        done: a sentence for each edit that was made.
    """

    def __init__(self, administrator: Reader, realm: str, seed: int) -> None:
        self.done: list[str] = []
        self._reader = administrator
        self._realm = realm
        self._chance = random.Random(seed)
        self._number = 0
        self._removals = 0
        self._deleted: list[Found] = []
        self._edits: dict[Edit, int] = {
            self._create: 4,
            self._create_group: 2,
            self._rename: 3,
            self._move: 4,
            self._rename_unit: 2,
            self._move_unit: 2,
            self._delete: 3,
            self._restore: 4,
            self._recreate: 2,
            self._join: 5,
            self._leave: 4,
            self._manage: 4,
            self._swap_mail: 3,
            self._disable: 2,
            self._enable: 1,
            self._retitle: 3,
            self._create_contact: 2,
            self._rename_contact: 2,
            self._delete_contact: 2,
            self._mute_contact: 2,
            self._unmute_contact: 2,
        }

    async def edit(self, times: int) -> None:
        """Make so many edits."""
        wanted = len(self.done) + times
        while len(self.done) < wanted:
            (chosen,) = self._chance.choices(list(self._edits), list(self._edits.values()))
            sentence = await chosen()
            if sentence is not None:
                self.done.append(sentence)

    # Who and where ----------------------------------------------------------------------------------------------------

    async def _some(self, query: str, count: int = 1, base: str = demo.ROOT) -> list[Found]:
        """Choose entries; all of them where none are counted."""
        found = await self._reader.search(query, ("*",), base=f"{base},{self._reader.base_dn}")
        found.sort(key=lambda entry: entry.values("objectGUID"))
        return self._chance.sample(found, count) if count else found

    async def _place(self) -> str:
        return (await self._some(UNITS, base=demo.PEOPLE))[0].dn

    def _new(self) -> int:
        self._number += 1
        return self._number

    async def _modify(self, dn: str, *lines: str, deleted: bool = False) -> None:
        await self._reader.modify("\n".join([line("dn", dn), "changetype: modify", *lines, "-", ""]), deleted=deleted)

    async def _rename_to(self, entry: Found, rdn: str, parent: str = "") -> None:
        lines = [line("dn", entry.dn), "changetype: modrdn", line("newrdn", rdn), "deleteoldrdn: 1"]
        lines += [line("newsuperior", parent)] if parent else []
        await self._reader.modify("\n".join([*lines, ""]))

    # Edits ------------------------------------------------------------------------------------------------------------

    async def _create(self, like: Found | None = None) -> str:
        number = self._new()
        account = f"new{number}" if like is None else str(like.text("sAMAccountName"))
        name = f"Neu, Nr. {number} + Søn" if like is None else str(like.text("cn"))
        place = await self._place() if like is None else like.dn[len(_first(like.dn)) + 1 :]
        mail = f"{account}@{self._realm}"
        manager = (await self._some(PEOPLE))[0]
        attributes = [
            "objectClass: user", f"sAMAccountName: {account}", f"userPrincipalName: {mail}",
            line("displayName", name), f"mail: {mail}", f"proxyAddresses: SMTP:{mail}", "userAccountControl: 544",
            line("manager", manager.dn),
        ]  # fmt: skip
        await self._reader.modify(
            "\n".join([line("dn", f"CN={escape(name)},{place}"), "changetype: add", *attributes, ""])
        )
        return f"{account} was created in {place}"

    async def _create_group(self) -> str:
        number = self._new()
        dn = f"CN=Group {number},{demo.TEAMS},{self._reader.base_dn}"
        members = [line("member", one.dn) for one in await self._some(PEOPLE, 3)]
        lines = ["changetype: add", "objectClass: group", f"sAMAccountName: group{number}", *members]
        await self._reader.modify("\n".join([line("dn", dn), *lines, ""]))
        return f"{dn} was created with three members"

    async def _rename(self) -> str:
        (entry,) = await self._some(PEOPLE)
        name = f"Renamed #{self._new()} \\ Ω"
        await self._rename_to(entry, f"CN={escape(name)}")
        parent = entry.dn[len(_first(entry.dn)) + 1 :]
        await self._modify(f"CN={escape(name)},{parent}", "replace: displayName", line("displayName", name))
        return f"{entry.dn} was renamed to {name}"

    async def _move(self) -> str | None:
        (entry,), place = await self._some(PEOPLE), await self._place()
        if entry.dn.endswith(place):
            return None
        await self._rename_to(entry, _first(entry.dn), place)
        return f"{entry.dn} was moved to {place}"

    async def _rename_unit(self) -> str:
        unit = await self._unit()
        name = f"Unit {self._new()}"
        await self._rename_to(unit, f"OU={name}")
        return f"{unit.dn} was renamed to {name}"

    async def _move_unit(self) -> str | None:
        unit, place = await self._unit(), await self._place()
        if place.endswith(unit.dn) or place == unit.dn[len(_first(unit.dn)) + 1 :]:
            return None
        await self._rename_to(unit, _first(unit.dn), place)
        return f"{unit.dn} was moved to {place}"

    async def _unit(self) -> Found:
        """Choose a unit below that of all people."""
        while True:
            (unit,) = await self._some(UNITS, base=demo.PEOPLE)
            if not unit.dn.startswith(demo.PEOPLE):
                return unit

    async def _delete(self) -> str | None:
        if self._removals >= MOST_REMOVALS:
            return None
        (entry,) = await self._some(PEOPLE)
        await self._reader.modify(f"{line('dn', entry.dn)}\nchangetype: delete\n")
        self._removals += 1
        self._deleted.append(entry)
        return f"{entry.dn} was deleted"

    async def _restore(self) -> str | None:
        """Bring a deleted entry back; the tombstone kept little of it, so its administrator fills it in again."""
        if not self._deleted:
            return None
        entry = self._deleted.pop(self._chance.randrange(len(self._deleted)))
        (tombstone,) = [
            found
            for found in await self._reader.search("(isDeleted=TRUE)", ("objectGUID",), deleted=True)
            if found.values("objectGUID") == entry.values("objectGUID")
        ]
        is_contact = "contact" in entry.texts("objectClass")
        mail = entry.text("mail") if is_contact else f"{entry.text('sAMAccountName')}@{self._realm}"
        place = f"{_first(entry.dn)},{await self._place()}"
        await self._modify(
            tombstone.dn, "delete: isDeleted", "-", "replace: distinguishedName",
            line("distinguishedName", place), deleted=True,
        )  # fmt: skip
        lines = ["replace: mail", *([line("mail", mail)] if mail else []), "-", "replace: displayName"]
        await self._modify(place, *lines, line("displayName", entry.text("displayName") or "Back again"))
        return f"{entry.dn} was restored as {place}"

    async def _recreate(self) -> str | None:
        if self._removals >= MOST_REMOVALS:
            return None
        (entry,) = await self._some(PEOPLE)
        await self._reader.modify(f"{line('dn', entry.dn)}\nchangetype: delete\n")
        self._removals += 1
        await self._create(entry)
        return f"{entry.dn} was deleted and made anew"

    async def _join(self) -> str | None:
        (group,), members = await self._some(GROUPS), await self._some(ANYBODY, 3)
        new = [member.dn for member in members if member.dn not in group.texts("member")]
        if not new:
            return None
        await self._modify(group.dn, "add: member", *(line("member", dn) for dn in new))
        return f"{len(new)} joined {group.dn}"

    async def _leave(self) -> str | None:
        (group,) = await self._some(GROUPS)
        members = group.texts("member")
        if not members:
            return None
        gone = self._chance.sample(sorted(members), self._chance.randint(1, min(3, len(members))))
        await self._modify(group.dn, "delete: member", *(line("member", dn) for dn in gone))
        return f"{len(gone)} left {group.dn}"

    async def _manage(self) -> str:
        entry, manager = await self._some(ANYBODY, 2)
        lines = [line("manager", manager.dn)] if self._chance.random() < 0.8 else []
        await self._modify(entry.dn, "replace: manager", *lines)
        return f"{entry.dn} got {manager.dn if lines else 'nobody'} as manager"

    async def _swap_mail(self) -> str:
        # A sign-in name made of an address, for want of a verified domain, stays when the address changes.
        routable = f"(userPrincipalName=*@{self._realm})"
        pair = await self._some(f"(&(objectClass=user)(mail=*)(proxyAddresses=*){routable})", 2)
        for entry in pair:
            await self._modify(entry.dn, "replace: mail", "-", "replace: proxyAddresses")
        for entry, of in zip(pair, reversed(pair), strict=True):
            addresses = [line("proxyAddresses", address) for address in of.texts("proxyAddresses")]
            mail = line("mail", str(of.text("mail")))
            await self._modify(entry.dn, "replace: mail", mail, "-", "replace: proxyAddresses", *addresses)
        return f"{pair[0].dn} and {pair[1].dn} swapped their addresses"

    async def _disable(self) -> str | None:
        (entry,) = await self._some(PEOPLE)
        control = int(entry.text("userAccountControl") or 0)
        if self._removals >= MOST_REMOVALS or control & demo.DISABLED:
            return None
        self._removals += 1
        await self._modify(entry.dn, "replace: userAccountControl", f"userAccountControl: {control | demo.DISABLED}")
        return f"{entry.dn} was disabled"

    async def _enable(self) -> str:
        (entry,) = await self._some("(&(objectClass=user)(userAccountControl:1.2.840.113556.1.4.803:=2))")
        control = int(entry.text("userAccountControl") or 0) & ~demo.DISABLED | demo.PASSWORD_NOT_REQUIRED
        await self._modify(entry.dn, "replace: userAccountControl", f"userAccountControl: {control}")
        return f"{entry.dn} was enabled"

    async def _retitle(self) -> str:
        (entry,) = await self._some(PEOPLE)
        await self._modify(entry.dn, "replace: title", f"title: Title {self._new()}")
        return f"{entry.dn} got another title"

    async def _create_contact(self) -> str:
        number, (manager,) = self._new(), await self._some(ANYBODY)
        name, mail = f"Partner, Nr. {number} + Søn", f"partner{number}@fabrikam.test"
        dn = f"CN={escape(name)},{demo.PARTNERS},{self._reader.base_dn}"
        lines = ["changetype: add", "objectClass: contact", f"mail: {mail}", line("manager", manager.dn)]
        await self._reader.modify("\n".join([line("dn", dn), *lines, ""]))
        (group,) = await self._some(GROUPS)
        await self._modify(group.dn, "add: member", line("member", dn))
        return f"{dn} was created, under {manager.dn} and in {group.dn}"

    async def _rename_contact(self) -> str:
        (entry,) = await self._some(CONTACTS)
        name = f"Partner #{self._new()} \\ Ω"
        await self._rename_to(entry, f"CN={escape(name)}", await self._place())
        return f"{entry.dn} was renamed to {name} and moved"

    async def _spare_contact(self) -> Found | None:
        """Choose a contact with an address, unless there are few of them."""
        reachable = await self._some("(&(objectClass=contact)(|(mail=*)(proxyAddresses=*)))", 0)
        return self._chance.choice(reachable) if len(reachable) > LEAST_CONTACTS else None

    async def _delete_contact(self) -> str | None:
        entry = await self._spare_contact()
        if entry is None or self._removals >= MOST_REMOVALS:
            return None
        await self._reader.modify(f"{line('dn', entry.dn)}\nchangetype: delete\n")
        self._removals += 1
        self._deleted.append(entry)
        return f"{entry.dn} was deleted"

    async def _mute_contact(self) -> str | None:
        """Take a contact's addresses away, so that it is of no use any more."""
        entry = await self._spare_contact()
        if entry is None or self._removals >= MOST_REMOVALS:
            return None
        self._removals += 1
        await self._modify(entry.dn, "replace: mail", "-", "replace: proxyAddresses")
        return f"{entry.dn} lost its address"

    async def _unmute_contact(self) -> str | None:
        mute = await self._some("(&(objectClass=contact)(!(mail=*))(!(proxyAddresses=*)))", 0)
        if not mute:
            return None
        entry = self._chance.choice(mute)
        await self._modify(entry.dn, "replace: mail", f"mail: partner{self._new()}@fabrikam.test")
        return f"{entry.dn} got an address"


def _first(dn: str) -> str:
    """Give the first part of a DN, as it is written."""
    at = 0
    while dn[at] != ",":
        at += 2 if dn[at] == "\\" else 1
    return dn[:at]
