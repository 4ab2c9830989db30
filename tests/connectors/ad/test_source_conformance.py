"""Active Directory passes what every source must do."""

from __future__ import annotations

from typing import Any

import pytest

from dirbridge.connectors import source_conformance
from dirbridge.connectors.ad import settings as ad_settings
from dirbridge.connectors.ad.source import ActiveDirectorySource
from dirbridge.connectors.source_conformance import Check, Subject
from tests.connectors.ad.conftest import SELECTION, Admin, escape_dn_chars, rdn

pytestmark = [pytest.mark.samba, pytest.mark.xdist_group("samba")]


class Editor:
    """The administrator of a domain, at work in one unit."""

    person, group = "user", "group"

    def __init__(self, admin: Admin, ou: str) -> None:
        self._admin = admin
        self._ou = ou
        self.unit = admin.anchor(ou)

    def add_person(self, name: str, **values: str) -> str:
        return self._admin.user(self._ou, name, **values)

    def add_group(self, name: str, *members: str) -> str:
        return self._admin.group(self._ou, name, [self._dn(member) for member in members])

    def add_unit(self, name: str) -> str:
        return self._admin.unit(self._ou, name)

    def set(self, name: str, **values: str) -> None:
        self._admin.replace(self._dn(name), **{key: value or () for key, value in values.items()})

    def manage(self, name: str, manager: str) -> None:
        self._admin.replace(self._dn(name), manager=self._dn(manager))

    def join(self, group: str, *members: str) -> None:
        self._admin.join(self._dn(group), *(self._dn(member) for member in members))

    def leave(self, group: str, *members: str) -> None:
        self._admin.leave(self._dn(group), *(self._dn(member) for member in members))

    def rename(self, name: str, new: str) -> None:
        self._admin.rename(self._dn(name), f"CN={escape_dn_chars(new)}")

    def move(self, name: str, unit: str) -> None:
        self._admin.rename(self._dn(name), f"CN={escape_dn_chars(name)}", f"OU={escape_dn_chars(unit)},{self._ou}")

    def rename_unit(self, name: str, new: str) -> None:
        self._admin.rename(f"OU={escape_dn_chars(name)},{self._ou}", f"OU={escape_dn_chars(new)}")

    def delete(self, name: str) -> None:
        self._admin.delete(self._dn(name))

    def _dn(self, name: str) -> str:
        return rdn(name, self._ou)


@pytest.mark.parametrize("check", source_conformance.CHECKS, ids=lambda check: check.__name__)
async def test_active_directory_conforms(check: Check, values: dict[str, Any], admin: Admin, ou: str) -> None:
    """Every check holds, one unit each."""
    source = ActiveDirectorySource(ad_settings.parse(values))
    await check(Subject(source, Editor(admin, ou), SELECTION))
