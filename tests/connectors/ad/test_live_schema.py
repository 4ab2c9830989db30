"""What entries may have, as a real domain controller's schema says it."""

from __future__ import annotations

from typing import Any

import pytest

from dirbridge.connectors.ad import settings as ad_settings
from dirbridge.connectors.ad.settings import Settings
from dirbridge.connectors.ad.source import ActiveDirectorySource

pytestmark = pytest.mark.samba


def _open(settings: dict[str, Any], *patterns: str) -> Settings:
    return ad_settings.parse({**settings, "include_attributes": patterns})


async def test_attributes_come_from_all_classes_above(values: dict[str, Any]) -> None:
    """Inherited, auxiliary and own attributes, with their types; nothing computed, no back link, no secret."""
    source = ActiveDirectorySource(_open(values, "*"))
    found = await source.schema(["user", "group", "printer of nobody"])
    assert [one.name for one in found] == ["user", "group"]
    attributes = {one.name: one for one in found[0].attributes}
    expected = {
        "cn": ("String", False),  # of person
        "objectGUID": ("Binary", False),  # of top
        "sAMAccountName": ("String", False),  # of securityPrincipal, an auxiliary class
        "manager": ("Reference", False),
        "accountExpires": ("Integer", False),
        "isCriticalSystemObject": ("Boolean", False),
        "whenChanged": ("DateTime", False),
        "otherTelephone": ("String", True),
    }
    assert {name: (attributes[name].type, attributes[name].multivalued) for name in expected} == expected
    assert not attributes.keys() & {"memberOf", "tokenGroups", "unicodePwd", "supplementalCredentials"}
    assert "member" in {one.name for one in found[1].attributes}


async def test_what_may_not_leave_the_host_is_not_named(values: dict[str, Any]) -> None:
    """The settings decide, not the request."""
    (found,) = await ActiveDirectorySource(_open(values, "cn", "mail")).schema(["contact"])
    assert [one.name for one in found.attributes] == ["cn", "mail"]
