"""`dirbridge agent check` at a real domain: each fault of the directory is named, with the remedy."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from dirbridge.agent import check
from dirbridge.cli.demo.domain import Domain
from dirbridge.contract.wire import Finding
from tests.connectors.ad.conftest import PASSWORD, values_for

pytestmark = pytest.mark.samba


async def findings(folder: Path, *domains: dict[str, Any]) -> dict[str, Finding]:
    """What the check says of the domains of a settings file; the host itself was never enrolled."""
    lines = []
    for values in domains:
        lines += ["[[domain]]", *(f"{name} = {json.dumps(value)}" for name, value in values.items())]
    file = folder / "agent.toml"
    file.write_text("\n".join(lines))
    return {each.name: each async for each in check.examine(file, folder / "state")}


async def test_good_account_at_a_good_domain(domain: Domain, values: dict[str, Any], tmp_path: Path) -> None:
    """Connection, changes, deleted objects, clock and rights each pass, although the host is not enrolled."""
    found = await findings(tmp_path, values)
    of_domain = {name: each.outcome for name, each in found.items() if name.startswith(f"{domain.realm}: ")}
    assert len(of_domain) >= 5
    assert set(of_domain.values()) == {"pass"}
    assert found["enrolment"].code == "NotEnrolled"


async def test_wrong_password_and_missing_right_and_no_server(domain: Domain, tmp_path: Path) -> None:
    """Three faults of three settings, each by its code."""
    for name in ("svc-check-a", "svc-check-b"):
        await domain.create_user(name, PASSWORD)
    wrong = values_for(domain, tmp_path, "svc-check-a", "Not-its-word.1")
    found = await findings(tmp_path, wrong)
    assert found[f"{domain.realm}: connection"].code == "InvalidCredentials"
    poor = values_for(domain, tmp_path, "svc-check-b")
    right = (await findings(tmp_path, poor))[f"{domain.realm}: deleted-objects"]
    assert right.outcome == "fail"
    assert "dsacls" in right.remedy
    away = {**poor, "servers": [f"ldaps://{domain.address}:6"]}
    down = (await findings(tmp_path, away))[f"{domain.realm}: connection"]
    assert (down.outcome, down.code) == ("fail", "ConnectionRefused")
