"""The tenant directory as the schema document describes it."""

from __future__ import annotations

import pytest

from dirbridge.contract.schema import ObjectDefinition
from dirbridge.tenant import schema


def test_directory_has_users_groups_and_contacts() -> None:
    """Under Graph's name, with the recycle bin, which contacts do not have, and the flag that says who is active."""
    directory = schema.directory("id")
    assert (directory.id, directory.name) == ("id", "Azure Active Directory")
    metadata = {one.name: {m.key: m.value for m in one.metadata} for one in directory.objects}
    assert metadata == {
        "User": {"IsSoftDeletionSupported": "true", "PropertyNameAccountEnabled": "AccountEnabled"},
        "Group": {"IsSoftDeletionSupported": "true"},
        "Contact": {"IsSoftDeletionSupported": "false"},
    }
    assert schema.soft_deleting() == {"User", "Group"}


@pytest.mark.parametrize("definition", schema.directory("id").objects, ids=lambda one: one.name)
def test_attributes(definition: ObjectDefinition) -> None:
    """Each once, one anchor, references that say to what."""
    names = [one.name for one in definition.attributes]
    assert len(set(names)) == len(names)
    assert [one.name for one in definition.attributes if one.anchor] == ["onPremisesObjectIdentifier"]
    for one in definition.attributes:
        assert bool(one.referenced_objects) == (one.type == "Reference"), one.name


@pytest.mark.parametrize(
    ("kind", "name", "type_of", "multivalued"),
    [
        ("User", "AccountEnabled", "Boolean", False),
        ("User", "ProxyAddresses", "String", True),
        ("User", "UserCertificate", "Binary", True),
        ("User", "ThumbnailPhoto", "Binary", False),
        ("User", "PostOfficeBox", "String", True),
        ("User", "Manager", "Reference", False),
        ("User", "CountryCode", "Integer", False),
        ("Group", "Member", "Reference", True),
        ("Group", "ManagedBy", "Reference", False),
        ("Group", "SecurityEnabled", "Boolean", False),
        ("Contact", "Manager", "Reference", False),
        ("Contact", "MSExchBypassModerationLink", "Reference", True),
        ("Contact", "UserSMIMECertificate", "Binary", True),
    ],
)
def test_types(kind: str, name: str, type_of: str, multivalued: bool) -> None:
    """As published for the default mapping."""
    definition = next(one for one in schema.directory("id").objects if one.name == kind)
    found = next(one for one in definition.attributes if one.name == name)
    assert (found.type, found.multivalued) == (type_of, multivalued)
