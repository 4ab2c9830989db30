"""Names asked of a real domain controller: what they stand for, and what is kept back."""

from __future__ import annotations

import uuid
from typing import Any

import pytest

from dirbridge.cli.demo.domain import Domain
from dirbridge.connectors.ad import settings as ad_settings
from dirbridge.connectors.ad.source import ActiveDirectorySource
from dirbridge.contract.wire import Located
from tests.connectors.ad.conftest import Admin, rdn

pytestmark = pytest.mark.samba


async def test_name_of_every_kind_is_found(source: ActiveDirectorySource, admin: Admin, ou: str) -> None:
    """By distinguished name, sign-in name, account name and GUID; people, groups, contacts and containers."""
    account = "u" + uuid.uuid4().hex[:12]
    ann = admin.add(
        rdn("Ann, Lee", ou), objectClass="user", sAMAccountName=account, userPrincipalName=f"{account}@other.test"
    )
    ines = admin.add(rdn("Ines", ou), objectClass="inetOrgPerson", sAMAccountName="i" + account, sn="Ines")
    group = admin.group(ou, "Group")
    contact = admin.add(rdn("Partner", ou), objectClass="contact")
    unit = admin.anchor(ou)
    ann_dn = f"CN=Ann\\, Lee,{ou}"
    asked = {
        f"cn=ANN\\2C lee, {ou.lower()}": Located("", ann, "user", ann_dn),
        f"{account.upper()}@other.test": Located("", ann, "user", ann_dn),
        f" {account} ": Located("", ann, "user", ann_dn),
        ann.upper(): Located("", ann, "user", ann_dn),
        f"{{{ann}}}": Located("", ann, "user", ann_dn),
        "i" + account: Located("", ines, "inetOrgPerson", rdn("Ines", ou)),
        rdn("Group", ou): Located("", group, "group", rdn("Group", ou)),
        rdn("Partner", ou): Located("", contact, "contact", rdn("Partner", ou)),
        ou: Located("", unit, "container", ou),
        admin.base: Located("", admin.anchor(admin.base), "container", admin.base),
    }
    found = await source.locate(list(asked))
    assert [(one.anchor, one.object_type, one.shown) for one in found] == [
        (one.anchor, one.object_type, one.shown) for one in asked.values()
    ]
    assert [one.name for one in found] == list(asked)


async def test_name_of_nothing_has_no_anchor(source: ActiveDirectorySource, admin: Admin, ou: str) -> None:
    """Nothing there, deleted, a computer, elsewhere, or no name at all: one answer each, and no error."""
    gone = admin.user(ou, "Gone")
    admin.delete(rdn("Gone", ou))
    computer = admin.add(rdn("PC9", ou), objectClass="computer", sAMAccountName="PC9LOCATE$")
    names = [
        rdn("Nobody", ou),
        gone,
        computer,
        "PC9LOCATE$",
        "CN=Ann,DC=elsewhere,DC=test",
        f"CN=Configuration,{admin.base}",
        f"CN=Ann\\,{admin.base}",
        "OU=",
        "",
        "   ",
        "no*body",
        "*",
        ")(objectClass=*",
        "a\x00b",
        "x" * 100_000,
        f"CN={'x' * 5000},{admin.base}",
        str(uuid.uuid4()),
    ]
    assert await source.locate(names) == [Located(name) for name in names]


async def test_name_with_the_signs_of_a_filter_is_taken_literally(
    source: ActiveDirectorySource, admin: Admin, ou: str
) -> None:
    r"""Parentheses, stars and back-slashes in a name are part of it; `A(*)\` is found, and nothing else by it."""
    name = f"A(*)\\ü{uuid.uuid4().hex[:8]}@contoso.test"
    ann = admin.user(ou, "Ann", userPrincipalName=name)
    admin.user(ou, "Other", userPrincipalName=name.replace("*", "1"))
    assert [one.anchor for one in await source.locate([name])] == [ann]


async def test_name_of_several_things_is_none(source: ActiveDirectorySource, admin: Admin, ou: str) -> None:
    """One's sign-in name is another's account name: neither is taken for the other."""
    account = f"u{uuid.uuid4().hex[:8]}@else.test"
    admin.add(rdn("One", ou), objectClass="user", sAMAccountName=account)
    admin.user(ou, "Two", userPrincipalName=account)
    (found,) = await source.locate([account])
    assert found == Located(account)


async def test_agents_own_policy_holds(values: dict[str, Any], domain: Domain, admin: Admin, ou: str) -> None:
    """What lies in an excluded container is not there, and of a withheld attribute nobody learns the value."""
    admin.unit(ou, "Secret")
    account = f"u{uuid.uuid4().hex[:8]}@else.test"
    hidden = admin.add(rdn("Hidden", f"OU=Secret,{ou}"), objectClass="user", sAMAccountName=account)
    seen = admin.user(ou, "Seen", userPrincipalName=account)
    excluding = ActiveDirectorySource(ad_settings.parse(values | {"exclude_containers": [f"OU=Secret,{ou}"]}))
    found = await excluding.locate([hidden, rdn("Hidden", f"OU=Secret,{ou}"), f"OU=Secret,{ou}", account, ou])
    assert [one.anchor for one in found] == ["", "", "", seen, admin.anchor(ou)]
    withholding = ActiveDirectorySource(ad_settings.parse(values | {"exclude_attributes": ["userPrincipalName"]}))
    found = await withholding.locate([account, rdn("Seen", ou)])
    assert [one.anchor for one in found] == [hidden, seen]
    withholding = ActiveDirectorySource(
        ad_settings.parse(values | {"exclude_attributes": ["userPrincipalName", "sAMAccountName"]})
    )
    assert [one.anchor for one in await withholding.locate([account])] == [""]
