"""A domain whose administrator writes markup wherever it lets them: in the portal, all of it stays text."""

from __future__ import annotations

from dataclasses import dataclass, field
from urllib.parse import urlencode

import pytest
from playwright.async_api import Dialog, Page, Request, expect

from dirbridge.cli.demo.company import escape, line
from dirbridge.cli.demo.reader import Reader
from dirbridge.contract.errors import DirbridgeError
from tests.e2e import company
from tests.e2e.harness import until
from tests.e2e.portal.desks import Desk

pytestmark = [pytest.mark.service, pytest.mark.samba, pytest.mark.timeout(400)]

TEXTS = (
    "javascript:hacked=1//'\"></textarea></title><svg onload=hacked=1><script>hacked=1</script>{{7*7}}${7*7}<!--",
    '"><img src=/hacked onerror=hacked=1><script>hacked=1</script>',
    "<script>hacked=1</script>",
    '"><script>',
    "<b>",
)
"""The longest that an attribute takes is written. Where one is not taken for text, it is seen to run or to vanish."""
NAME = '<img src=/hacked onerror=hacked=1>"{{7*7}}'
"""Of entries and containers: a cn has at most 64 characters."""

MARKUP = "main :is(script, img, svg[onload]), [onerror], [onload], [href^='javascript:' i]"
"""What would be there if one of them were markup; no page of the portal has any of these itself."""

TEXT_SYNTAXES = ("2.5.5.3", "2.5.5.4", "2.5.5.5", "2.5.5.12")
"""Source: MS-ADTS 3.1.1.2.2.2."""
OWN = frozenset({"cn", "sAMAccountName", "userPrincipalName", "servicePrincipalName", "userParameters"})
"""Not written as they are: by some the entry is found, others the server refuses in any such form."""
ADDRESSES = frozenset({"mail", "proxyAddresses"})

LEAST = {
    "user": {
        "adminDescription", "co", "company", "department", "description", "displayName", "employeeID", "givenName",
        "info", "initials", "l", "mail", "mobile", "physicalDeliveryOfficeName", "postalCode", "proxyAddresses", "sn",
        "st", "street", "streetAddress", "telephoneNumber", "title", "url", "wWWHomePage",
    },
    "group": {"adminDescription", "description", "displayName", "info", "mail", "proxyAddresses", "wWWHomePage"},
}  # fmt: skip
"""Attributes that a domain surely takes such texts in; it takes some hundred more."""


@dataclass
class Watch:
    """What a page does that it must not do, while it is looked at."""

    desk: Desk
    happened: list[str] = field(default_factory=list)

    @property
    def page(self) -> Page:
        return self.desk.screen.page

    async def dialog(self, dialog: Dialog) -> None:
        self.happened.append(f"dialog: {dialog.message}")
        await dialog.dismiss()

    def request(self, request: Request) -> None:
        if "hacked" in request.url.partition("?")[0]:
            self.happened.append(f"request: {request.url}")

    async def calm(self, *texts: str) -> None:
        """See that nothing ran, that nobody complained, and that these are to be read."""
        for text in texts:
            await expect(self.page.locator("main")).to_contain_text(text)
        where = self.page.url
        assert await self.page.evaluate("window.hacked") is None, where
        assert await self.page.locator(MARKUP).count() == 0, where
        assert self.happened == [], where
        assert self.desk.screen.complaints == [], where

    async def see(self, path: str, *texts: str) -> None:
        """Go to a page, and look at it."""
        await self.desk.screen.open(path)
        await self.calm(*texts)


@dataclass
class Written:
    """What was written into the domain: DNs, and ids in the tenant."""

    unit: str
    user: str
    group: str
    user_id: str = ""
    group_id: str = ""


@pytest.fixture
async def watch(desk: Desk) -> Watch:
    """A page that is watched."""
    watched = Watch(desk)
    desk.screen.page.on("dialog", watched.dialog)
    desk.screen.page.on("request", watched.request)
    return watched


async def _add(reader: Reader, dn: str, *lines: str) -> None:
    await reader.modify("\n".join([line("dn", dn), "changetype: add", *lines, ""]))


async def _replace(reader: Reader, dn: str, attribute: str, value: str) -> None:
    await reader.modify(
        "\n".join([line("dn", dn), "changetype: modify", f"replace: {attribute}", line(attribute, value), "-", ""])
    )


async def _writable(reader: Reader, dn: str) -> dict[str, int]:
    """Give the attributes of text that may be written at an entry, with the most characters that they take."""
    (entry,) = await reader.search(attributes=("allowedAttributesEffective",), base=dn, scope="base")
    known = await reader.search(
        "(&(objectClass=attributeSchema)(!(systemOnly=TRUE)))",
        ("lDAPDisplayName", "attributeSyntax", "rangeUpper"),
        base=f"CN=Schema,CN=Configuration,{reader.base_dn}",
        scope="one",
    )
    may = set(entry.texts("allowedAttributesEffective")) - OWN
    return {
        str(each.text("lDAPDisplayName")): int(each.text("rangeUpper") or 1024)
        for each in known
        if each.text("attributeSyntax") in TEXT_SYNTAXES and each.text("lDAPDisplayName") in may
    }


async def _spoil(reader: Reader, dn: str, kind: str) -> set[str]:
    """Write into every attribute of an entry; gives those that took it. No two share an address."""

    async def write(attribute: str, most: int) -> str:
        text = next(text for text in TEXTS if len(text) <= most)
        try:
            await _replace(reader, dn, attribute, f"{text}{kind}" if attribute in ADDRESSES else text)
        except DirbridgeError:
            return ""
        return attribute

    taken = set()
    for attribute, most in (await _writable(reader, dn)).items():
        taken.add(await write(attribute, most))
    return taken


async def _write(reader: Reader) -> Written:
    """Make a container, a user and a group in it with such names, and spoil them."""
    unit = f"OU={escape(NAME)},{reader.base_dn}"
    written = Written(unit, f"CN={escape(NAME)},{unit}", f"CN={escape(NAME)} group,{unit}")
    await _add(reader, unit, "objectClass: organizationalUnit", line("description", TEXTS[0]))
    account = ["sAMAccountName: {{7}}'&", f"userPrincipalName: hostile@{company.REALM}", "userAccountControl: 544"]
    await _add(reader, written.user, "objectClass: user", *account)
    members = [line("member", written.user), "sAMAccountName: {{8}}'&", "groupType: -2147483646"]
    await _add(reader, written.group, "objectClass: group", *members)
    for dn, kind in ((written.user, "user"), (written.group, "group")):
        assert await _spoil(reader, dn, kind) >= LEAST[kind]
    (somebody,) = await reader.search("(sAMAccountName=aaron.abel)")
    await _replace(reader, somebody.dn, "manager", written.user)
    # As the server writes them from now on.
    for found in await reader.search("(sAMAccountName={{*)", base=unit):
        if "group" in found.texts("objectClass"):
            written.group = found.dn
        else:
            written.user = found.dn
    return written


async def _come(desk: Desk, written: Written) -> None:
    """Wait until a cycle has brought both."""

    async def there() -> tuple[str, str] | None:
        rows = await desk.installation.rows(
            """select object_type, id::text from directory_objects
               where properties->>'onPremisesSamAccountName' like '{{_}}%%'"""
        )
        found = dict(rows)
        return (found["user"], found["group"]) if len(found) == 2 else None

    written.user_id, written.group_id = await until(there, "user and group", 60, desk.installation.describe)


async def test_markup_in_every_attribute_stays_text(desk: Desk, watch: Watch) -> None:
    """From the domain through a cycle onto the screens of users and groups: nothing runs, it can be read."""
    with company.reader(desk.domain) as administrator:
        written = await _write(administrator)
        await _come(desk, written)
        await desk.installation.settled()
        await desk.installation.api.post(f"{desk.installation.job}/pause")
        await _tenant(watch, written)


async def _tenant(watch: Watch, written: Written) -> None:
    """Users, groups, who is in them, who is above whom."""
    long, user, group = TEXTS[0], f"/portal/users/{written.user_id}", f"/portal/groups/{written.group_id}"
    await watch.see(f"/portal/users?{urlencode({'q': long[:40]})}", long)
    await watch.see(user, long, written.user)
    await watch.see(f"{user}/attributes", *TEXTS[:2], written.user)
    await watch.see(f"{user}/memberships", long)
    await watch.see(f"{user}/reports", "Aaron Abel")
    await watch.page.get_by_role("link", name="Aaron Abel").click()
    await watch.calm(long)
    await watch.see(f"/portal/groups?{urlencode({'q': long[:40]})}", long)
    await watch.see(group, long)
    await watch.see(f"{group}/attributes", long)
    await watch.see(f"{group}/members", long)
