"""OpenLDAP passes what every source must do."""

from __future__ import annotations

import pytest

from dirbridge.connectors import source_conformance
from dirbridge.connectors.source_conformance import Check, Subject

pytestmark = [pytest.mark.slapd, pytest.mark.xdist_group("slapd")]


@pytest.mark.parametrize("check", source_conformance.CHECKS, ids=lambda check: check.__name__)
async def test_openldap_conforms(check: Check, subject: Subject) -> None:
    """Every check holds, one unit each."""
    await check(subject)
