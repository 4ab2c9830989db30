"""Target attributes and the Graph properties that show them."""

from __future__ import annotations

import json

import pytest
from hypothesis import given
from hypothesis import strategies as st

from dirbridge.contract.export import TargetValue
from dirbridge.contract.schema import AttributeDefinition
from dirbridge.tenant import properties, schema

DEFINITIONS = {one.name: [a for a in one.attributes if a.type != "Reference"] for one in schema.directory("id").objects}
SID = bytes.fromhex("010500000000000515000000a065cf7e784b9b5fe77c8770f4010000")

texts = st.text(st.characters(exclude_characters="\x00", exclude_categories=["Cs"]), min_size=1, max_size=20)
blobs = st.binary(min_size=1, max_size=40)
sids = st.builds(
    lambda authority, parts: bytes([1, len(parts)]) + authority + b"".join(p.to_bytes(4, "little") for p in parts),
    st.binary(min_size=6, max_size=6),
    st.lists(st.integers(0, 2**32 - 1), max_size=15),
)
stamps = st.datetimes().map(lambda moment: f"{moment:%m%d%H%M%S}.0Z").map(lambda rest: f"2026{rest}")


def values(one: AttributeDefinition) -> st.SearchStrategy[TargetValue]:
    """What the mapping may give for an attribute."""
    if one.name == "OnPremiseSecurityIdentifier":
        return sids | blobs
    if one.name == "LastPasswordChangeTimestamp":
        return stamps
    single: st.SearchStrategy[TargetValue] = {
        "Boolean": st.booleans(),
        "Integer": st.integers(-(2**63), 2**63 - 1),
        "Binary": blobs,
    }.get(one.type, texts)  # type: ignore[assignment]
    return st.lists(single, min_size=1, max_size=3).map(tuple) if one.multivalued else single  # type: ignore[arg-type]


@given(st.data(), st.sampled_from(["User", "Group"]))
def test_every_attribute_comes_back_as_it_went(data: st.DataObject, kind: str) -> None:
    """Whatever is shown is JSON, and is read back without loss."""
    picked = data.draw(st.lists(st.sampled_from(DEFINITIONS[kind]), unique_by=lambda one: one.name, max_size=12))
    wanted = {one.name: data.draw(values(one)) for one in picked}
    shown: dict[str, object] = {}
    properties.show(shown, wanted)
    assert properties.keep(json.loads(json.dumps(shown)), frozenset(a.name for a in DEFINITIONS[kind])) == wanted
    properties.show(shown, dict.fromkeys(wanted))
    assert shown == {}


@pytest.mark.parametrize("kind", ["User", "Group"])
def test_no_two_attributes_are_shown_alike(kind: str) -> None:
    """Each has a property of its own, and none is taken for one that Graph makes itself."""
    names = [properties.property_name(one.name) for one in DEFINITIONS[kind]]
    assert len(set(names)) == len(names)
    assert not {"id", "createdDateTime", "deletedDateTime", "onPremisesSyncEnabled"} & set(names)


@pytest.mark.parametrize(
    ("attribute", "value", "shown"),
    [
        ("Title", "Clerk", {"jobTitle": "Clerk"}),
        ("TelephoneNumber", "+49 1", {"businessPhones": ["+49 1"]}),
        ("SourceAnchor", "abc=", {"onPremisesImmutableId": "abc="}),
        ("ExtensionAttribute15", "x", {"onPremisesExtensionAttributes": {"extensionAttribute15": "x"}}),
        (
            "OnPremiseSecurityIdentifier",
            SID,
            {"onPremisesSecurityIdentifier": "S-1-5-21-2127521184-1604012920-1887927527-500"},
        ),
        ("LastPasswordChangeTimestamp", "20210927140916.0Z", {"lastPasswordChangeDateTime": "2021-09-27T14:09:16Z"}),
        ("UserCertificate", (b"\x01", b"\xff"), {"userCertificate": ["AQ==", "/w=="]}),
        ("ProxyAddresses", ("SMTP:a@b",), {"proxyAddresses": ["SMTP:a@b"]}),
        ("MSExchHideFromAddressLists", False, {"mSExchHideFromAddressLists": False}),
    ],
)
def test_shown_as_graph_does(attribute: str, value: TargetValue, shown: dict[str, object]) -> None:
    """Graph's names, and its forms of numbers, times and identifiers."""
    found: dict[str, object] = {}
    properties.show(found, {attribute: value})
    assert found == shown


def test_extension_attributes_do_not_disturb_each_other() -> None:
    """One is cleared, the others stay; with the last one the property goes."""
    shown: dict[str, object] = {}
    properties.show(shown, {"ExtensionAttribute1": "a", "ExtensionAttribute2": "b"})
    properties.show(shown, {"ExtensionAttribute1": None})
    assert shown == {"onPremisesExtensionAttributes": {"extensionAttribute2": "b"}}
    properties.show(shown, {"ExtensionAttribute2": None})
    assert shown == {}
