"""From a source entry to the target entry that should be."""

from __future__ import annotations

from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from typing import Any
from uuid import UUID

import msgspec
import pytest

from dirbridge.contract.entry import Entry
from dirbridge.contract.errors import ConfigurationError, EntryError
from dirbridge.contract.schema import Schema
from dirbridge.engine import mapping
from dirbridge.engine.mapping import Mapped
from dirbridge.engine.plan import Plan, compile_schema
from tests.engine.world import default_schema

NOW = datetime(2026, 3, 1, 12, tzinfo=UTC)
MACROS = {"DomainFQDN": "contoso.test", "DomainNetBios": "CONTOSO"}
GUID = UUID("6f9619ff-8b86-d011-b42d-00c04fc964ff")
SID = bytes.fromhex("010500000000000515000000a065cf7e784b9b5fe77c8770f4010000")


def altered(change: Callable[[dict[str, Any]], None]) -> Schema:
    """The default schema document with its rule changed."""
    document = msgspec.to_builtins(default_schema("job"))
    change(document["synchronizationRules"][0])
    return msgspec.convert(document, Schema)


PLAN = compile_schema(default_schema("job"), MACROS)


def person(**attributes: str | bytes | tuple[str | bytes, ...]) -> Entry:
    values = {
        "objectGUID": (GUID.bytes_le,),
        "cn": ("Ann Lee",),
        "sAMAccountName": ("ann",),
        **{n.replace("__", "-"): v if isinstance(v, tuple) else (v,) for n, v in attributes.items()},
    }
    return Entry(str(GUID), "user", "Ann Lee", attributes={n: v for n, v in values.items() if v != ("",)})  # type: ignore[misc]


def group(**attributes: str | bytes | tuple[str | bytes, ...]) -> Entry:
    return msgspec.structs.replace(person(**attributes), object_type="group")


def mapped(entry: Entry, plan: Plan = PLAN, now: datetime = NOW) -> Mapped:
    return mapping.apply(plan.rules[entry.object_type][0], entry, now)


def ticks(moment: datetime) -> str:
    return str(int((moment - datetime(1601, 1, 1, tzinfo=UTC)).total_seconds()) * 10_000_000)


def test_default_schema_maps_everything_that_is_published() -> None:
    """136 rows for people; a contact has those that need no account, and one of its own."""
    rule = default_schema("job").synchronization_rules[0]
    rows = {
        m.source_object_name: {row.target_attribute_name for row in m.attribute_mappings} for m in rule.object_mappings
    }
    assert {name: len(found) for name, found in rows.items()} | {"group": 0} == {
        "user": 136, "inetOrgPerson": 136, "group": 0, "contact": 110,
    }  # fmt: skip
    assert rows["contact"] - rows["user"] == {"MSExchBypassModerationLink"}
    assert not {"UserPrincipalName", "AccountEnabled", "OnPremiseSecurityIdentifier"} & rows["contact"]
    assert {"Member", "ManagedBy", "SecurityEnabled", "DisplayName", "Mail", "ProxyAddresses"} <= rows["group"]


SAMPLES: dict[str, tuple[str | bytes, ...]] = {
    "objectGUID": (GUID.bytes_le,),
    "objectSid": (SID,),
    "userAccountControl": ("512",),
    "groupType": ("-2147483646",),
    "pwdLastSet": ("132772253564048004",),
    "userPrincipalName": ("ann@contoso.test",),
}


def full(kind: str) -> Entry:
    """An entry that has every attribute that the schema asks for."""
    definition = next(o for o in default_schema("job").directories[0].objects if o.name == kind)
    attributes: dict[str, tuple[str | bytes, ...]] = {}
    for one in definition.attributes:
        if one.name not in PLAN.selection.attributes[kind] or one.name in ("accountExpires", "accountDisabled"):
            continue
        sample: tuple[str | bytes, ...]
        match one.type:
            case "Binary":
                sample = (b"\x01\xff\x00",)
            case "Integer":
                sample = ("7",)
            case "Boolean":
                sample = ("TRUE",)
            case _:
                sample = (f" {one.name} ",)
        attributes[one.name] = SAMPLES.get(one.name, sample)
    return Entry(str(GUID), kind, "Ann Lee", attributes=attributes)  # type: ignore[arg-type]


@pytest.mark.parametrize("kind", ["user", "inetOrgPerson", "group", "contact"])
def test_every_row_flows(kind: str) -> None:
    """Of an entry with all attributes, every row of the default mapping gives a value of its type."""
    (rule,) = PLAN.rules[kind]
    values = mapped(full(kind)).values
    assert set(values) == rule.targets
    definitions = {
        a.name: a
        for o in default_schema("job").directories[1].objects
        if o.name == rule.target_type
        for a in o.attributes
    }
    for name, value in values.items():
        one = definitions[name]
        single = value[0] if one.multivalued and isinstance(value, tuple) else value
        wanted = {"Boolean": bool, "Integer": int, "Binary": bytes}.get(one.type, str)
        assert type(single) is wanted, (name, value)
        assert isinstance(value, tuple) == one.multivalued, name


def test_renamed_and_computed_rows() -> None:
    """What is renamed, trimmed, cut, chosen or made up arrives so."""
    entry = person(
        displayName="Ann Lee (Sales)",
        l=" Łódź ",
        st="S",
        sn=" Lee ",
        description="x" * 500,
        postOfficeBox=(" 12 ", "34"),
        url=("u" * 500,),
        proxyAddresses=("SMTP:a@contoso.test ", "smtp:b@contoso.test", "smtp:b@contoso.test"),
        pwdLastSet="132772253564048004",
        mS__DS__ConsistencyGuid=bytes(16),
        mail=" ann@contoso.test ",
        objectSid=SID,
        userAccountControl="514",
    )
    values = mapped(entry).values
    found = {
        name: values.get(name)
        for name in (
            "onPremisesObjectIdentifier", "DisplayName", "City", "State", "Surname", "PostOfficeBox", "ProxyAddresses",
            "LastPasswordChangeTimestamp", "SourceAnchor", "Mail", "AccountEnabled", "dnsDomainName", "netBiosName",
            "OnPremiseSecurityIdentifier", "UserPrincipalName", "onPremisesUserPrincipalName", "CommonName",
        )
    }  # fmt: skip
    assert found == {
        "onPremisesObjectIdentifier": "/xmWb4aLEdC0LQDAT8lk/w==",
        "DisplayName": "Ann Lee (Sales)",
        "City": "Łódź",
        "State": "S",
        "Surname": "Lee",
        "PostOfficeBox": ("12",),
        "ProxyAddresses": ("SMTP:a@contoso.test", "smtp:b@contoso.test"),
        "LastPasswordChangeTimestamp": "20210927140916.0Z",
        "SourceAnchor": "AAAAAAAAAAAAAAAAAAAAAA==",
        "Mail": "ann@contoso.test",
        "AccountEnabled": False,
        "dnsDomainName": "contoso.test",
        "netBiosName": "CONTOSO",
        "OnPremiseSecurityIdentifier": SID,
        "UserPrincipalName": "ann@contoso.test",
        "onPremisesUserPrincipalName": "ann@contoso.test",
        "CommonName": "Ann Lee",
    }
    assert len(str(values["Description"])) == 448
    assert values["Url"] == ("u" * 448,)


def test_absent_attributes_give_nothing_but_what_is_computed() -> None:
    """A bare entry has only what every entry has."""
    assert set(mapped(person()).values) == {
        "onPremisesObjectIdentifier", "AccountEnabled", "CommonName", "DisplayName", "SourceAnchor", "dnsDomainName",
        "netBiosName", "onPremisesSamAccountName", "UserPrincipalName", "onPremisesUserPrincipalName",
    }  # fmt: skip


def test_neither_name_is_an_error_of_that_entry() -> None:
    """Without a sign-in name and an account name there is nothing to sign in with."""
    with pytest.raises(EntryError, match="AccountName is not present") as caught:
        mapped(person(sAMAccountName=""))
    assert caught.value.details["targetAttribute"] in ("UserPrincipalName", "onPremisesUserPrincipalName")


@pytest.mark.parametrize(
    ("attributes", "enabled"),
    [
        ({"userAccountControl": "512"}, True),
        ({"userAccountControl": "514"}, False),
        ({"userAccountControl": "66050"}, False),
        ({"accountDisabled": "True"}, False),
        ({"accountDisabled": "False"}, True),
        ({}, True),
        ({"userAccountControl": "512", "accountExpires": "0"}, True),
        ({"userAccountControl": "512", "accountExpires": "9223372036854775807"}, True),
        ({"userAccountControl": "512", "accountExpires": ticks(NOW)}, False),
        ({"userAccountControl": "512", "accountExpires": ticks(NOW + timedelta(seconds=1))}, True),
        ({"userAccountControl": "512", "accountExpires": "1"}, False),
        ({"userAccountControl": "514", "accountExpires": ticks(NOW + timedelta(days=1))}, False),
    ],
)
def test_account_enabled(attributes: dict[str, str], enabled: bool) -> None:
    """Disabled by the flag, or by an expiry that has passed."""
    assert mapped(person(**attributes)).values["AccountEnabled"] is enabled


@pytest.mark.parametrize("value", ["0", "9223372036854775807", "x", "²", "", "--5", "9" * 5000])
def test_expiry_never(value: str) -> None:
    """0, the greatest number, and what is no number or no time: it does not expire."""
    assert mapping.expiry(person(accountExpires=value)) is None


@pytest.mark.parametrize(
    ("kind", "enabled"),
    [("-2147483646", True), ("-2147483640", True), ("2", False), ("8", False), ("2147483650", True)],
)
def test_security_groups(kind: str, enabled: bool) -> None:
    """The highest bit of groupType."""
    assert mapped(group(groupType=kind)).values["SecurityEnabled"] is enabled


@pytest.mark.parametrize(
    ("attributes", "said"),
    [
        ({"title": ("Clerk", "Boss")}, "'Title' of 'Ann Lee'.*one value.*2"),
        ({"countryCode": "Germany"}, "'CountryCode' of 'Ann Lee'.*whole number.*Germany"),
        ({"countryCode": "9223372036854775808"}, "64 bits"),
        ({"msExchBypassAudit": "maybe"}, "True or False"),
        ({"userAccountControl": "9" * 5000}, "'AccountEnabled'"),
        ({"description": b"\xff"}, None),
    ],
)
def test_value_of_another_kind(attributes: dict[str, Any], said: str | None) -> None:
    """The entry fails with a reason that names attribute, value and what it takes."""
    if said is None:
        with pytest.raises(EntryError, match="bytes"):
            mapped(person(**attributes))
        return
    with pytest.raises(EntryError, match=said) as caught:
        mapped(person(**attributes))
    assert caught.value.recommended_action


def test_damaged_attribute_is_named() -> None:
    """A value that cannot be carried fails the entry, whether or not it is mapped."""
    entry = msgspec.structs.replace(person(), faults={"title": "holds a NUL character at position 4"})
    with pytest.raises(EntryError, match="'title' of 'Ann Lee' holds a NUL character at position 4"):
        mapped(entry)


def test_unknown_attributes_are_held_with_all_that_is_computed_from_them() -> None:
    """They flow nowhere, and the fingerprint tells that they were not there to see."""
    entry = person(title="Clerk", displayName="Ann")
    found = mapped(msgspec.structs.replace(entry, unknown=("title", "cn", "accountExpires")))
    assert found.held == {"Title", "CommonName", "DisplayName", "AccountEnabled"}
    assert not found.held & found.values.keys()
    assert mapped(msgspec.structs.replace(person(), unknown=("title",))).digest() != mapped(person()).digest()


def test_digest_is_of_what_flows_on_update() -> None:
    """The same values have the same fingerprint, in whatever order; another value has another."""
    one = mapped(person(title="Clerk", otherMobile=("1", "2")))
    other = mapped(person(otherMobile=("2", "1"), title="Clerk"))
    assert one.digest() == other.digest()
    assert one.digest() != mapped(person(title="Boss", otherMobile=("1", "2"))).digest()
    assert one.digest() != mapped(person(otherMobile=("1", "2"))).digest()


def test_default_value_flows_on_creation_only() -> None:
    """Where the source has nothing, the default is written once and left alone."""

    def change(rule: dict[str, Any]) -> None:
        for row in rule["objectMappings"][0]["attributeMappings"]:
            if row["targetAttributeName"] == "UsageLocation":
                row["defaultValue"] = "DE"

    plan = compile_schema(altered(change), MACROS)
    found = mapped(person(), plan)
    assert (found.values["UsageLocation"], found.on_create) == ("DE", {"UsageLocation"})
    found = mapped(person(msExchUsageLocation="FR"), plan)
    assert (found.values["UsageLocation"], found.on_create) == ("FR", frozenset())


def test_selection_asks_for_what_is_mapped_and_filtered() -> None:
    """Short references, memberships and binary attributes apart; no attribute that only the engine knows."""
    selection = PLAN.selection
    assert selection.object_types == ("user", "inetOrgPerson", "group", "contact")
    assert {"isCriticalSystemObject", "adminDescription", "accountExpires", "cn", "objectGUID"} <= set(
        selection.attributes["user"]
    )
    assert not {"accountExpired", "manager", "member"} & set(selection.attributes["user"])
    assert {"manager", "assistant"} <= set(selection.references["user"])
    assert "managedBy" in selection.references["group"]
    assert {"manager", "authOrig", "msExchModeratedByLink"} <= set(selection.references["contact"])
    assert not {"sAMAccountName", "userAccountControl", "objectSid"} & set(selection.attributes["contact"])
    assert selection.memberships == {"user": (), "inetOrgPerson": (), "group": ("member",), "contact": ()}
    assert {"objectGUID", "objectSid", "thumbnailPhoto", "mS-DS-ConsistencyGuid"} <= set(selection.binary)


def test_disabled_mapping_is_neither_read_nor_compiled() -> None:
    """Its rows may be as wrong as they like."""

    def change(rule: dict[str, Any]) -> None:
        rule["objectMappings"][2]["enabled"] = False
        rule["objectMappings"][2]["attributeMappings"][0]["targetAttributeName"] = "ShoeSize"

    plan = compile_schema(altered(change), MACROS)
    assert set(plan.rules) == set(plan.selection.object_types) == {"user", "inetOrgPerson", "contact"}


def _no_rule(rule: dict[str, Any]) -> None:
    rule["targetDirectoryName"] = "Nowhere"


def _no_object(rule: dict[str, Any]) -> None:
    rule["objectMappings"][0]["targetObjectName"] = "Robot"


def _no_attribute(rule: dict[str, Any]) -> None:
    rule["objectMappings"][0]["attributeMappings"][0]["targetAttributeName"] = "ShoeSize"


def _computed_reference(rule: dict[str, Any]) -> None:
    row = next(r for r in rule["objectMappings"][0]["attributeMappings"] if r["targetAttributeName"] == "Manager")
    row["source"] = {"type": "Constant", "name": "Ann"}


@pytest.mark.parametrize(
    ("change", "said"),
    [
        (_no_rule, "'Nowhere'"),
        (_no_object, r"objectMappings\[0\].*'Robot'"),
        (_no_attribute, r"objectMappings\[0\].attributeMappings\[0\].*'ShoeSize'"),
        (_computed_reference, "'Manager' is not mapped from an attribute"),
    ],
)
def test_faults_of_a_document_are_named(change: Callable[[dict[str, Any]], None], said: str) -> None:
    """Each with its place in the document."""
    with pytest.raises(ConfigurationError, match=said):
        compile_schema(altered(change), MACROS)
