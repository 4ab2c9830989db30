"""`dirbridge agent check` at a real domain: each fault of the directory is produced, and named with the remedy."""

from __future__ import annotations

import asyncio
import contextlib
import json
import os
import shutil
import subprocess
import sys
from collections.abc import AsyncIterator, Callable
from contextlib import AbstractAsyncContextManager
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest

from dirbridge.agent import check
from dirbridge.cli.demo.authority import Authority
from dirbridge.cli.demo.domain import Domain
from dirbridge.contract.wire import Finding
from tests.connectors.ad.conftest import PASSWORD, READER, Admin, values_for
from tests.connectors.ad.test_source_refused import tls_server

pytestmark = pytest.mark.samba

FAKETIME = "/usr/lib/x86_64-linux-gnu/faketime/libfaketime.so.1"


@dataclass
class Setting:
    """A host at a domain, as a fault leaves it: what its settings say of the domain, and its environment."""

    domain: Domain
    admin: Admin
    folder: Path
    values: dict[str, Any]
    environment: dict[str, str] = field(default_factory=dict)

    async def check(self) -> dict[str, dict[str, str]]:
        """The findings of the command about the domain, without its name; the host itself was never enrolled."""
        command = [sys.executable, "-c", "from dirbridge.cli.main import main; main()", "agent", "check", "--json"]
        command += ["--settings", str(write(self.folder, self.values)), "--state", str(self.folder / "state")]
        said = await asyncio.to_thread(
            subprocess.run,
            command,
            env={**os.environ, **self.environment},
            capture_output=True,
            text=True,
            timeout=60,
            check=False,
        )
        assert said.returncode == 1, said.stderr
        prefix = f"{self.domain.realm}: "
        findings = json.loads(said.stdout)["findings"]
        return {each["name"].removeprefix(prefix): each for each in findings if each["name"].startswith(prefix)}


@pytest.fixture
def setting(domain: Domain, admin: Admin, tmp_path: Path) -> Setting:
    return Setting(domain, admin, tmp_path, values_for(domain, tmp_path))


def write(folder: Path, *domains: dict[str, Any]) -> Path:
    """Write settings of these domains."""
    lines = []
    for values in domains:
        lines += ["[[domain]]", *(f"{name} = {json.dumps(value)}" for name, value in values.items())]
    file = folder / "agent.toml"
    file.write_text("\n".join(lines))
    return file


async def test_good_account_at_a_good_domain(domain: Domain, values: dict[str, Any], tmp_path: Path) -> None:
    """Connection, changes, deleted objects, clock and rights each pass, although the host is not enrolled."""
    found: dict[str, Finding] = {
        each.name: each async for each in check.examine(write(tmp_path, values), tmp_path / "state")
    }
    of_domain = {name: each.outcome for name, each in found.items() if name.startswith(f"{domain.realm}: ")}
    assert {name.partition(": ")[2] for name in of_domain} >= {
        "connection", "changes", "deleted-objects", "clock", "privileges", "notification",
    }  # fmt: skip
    assert set(of_domain.values()) == {"pass"}
    assert found["enrolment"].code == "NotEnrolled"


@contextlib.asynccontextmanager
async def domain_controller_down(setting: Setting) -> AsyncIterator[None]:
    """It ran, and has ended."""
    twin = await setting.domain.copy()
    kept = shutil.copy(twin.ca_file, setting.folder / "ca.pem")
    setting.values |= {"servers": [twin.ldaps_url], "ca_file": str(kept)}
    await twin.stop()
    yield


@contextlib.asynccontextmanager
async def domain_controller_frozen(setting: Setting) -> AsyncIterator[None]:
    """It holds its ports and answers nothing."""
    setting.values["connect_timeout"] = "2s"
    setting.domain.suspend()
    try:
        yield
    finally:
        setting.domain.resume()


@contextlib.asynccontextmanager
async def wrong_authority(setting: Setting) -> AsyncIterator[None]:
    """The settings trust somebody else."""
    setting.values["ca_file"] = str(Authority(setting.folder / "other").ca_file)
    yield


@contextlib.asynccontextmanager
async def expired_certificate(setting: Setting) -> AsyncIterator[None]:
    """What the domain controller shows ended an hour ago."""
    authority = Authority(setting.folder / "own")
    files = authority.issue(["127.0.0.1"], until=datetime.now(UTC) - timedelta(hours=1))
    with tls_server(*files) as port:
        setting.values |= {"servers": [f"ldaps://127.0.0.1:{port}"], "ca_file": str(authority.ca_file)}
        yield


@contextlib.asynccontextmanager
async def wrong_password(setting: Setting) -> AsyncIterator[None]:
    """The account is there and its password another one."""
    await setting.domain.create_user("svc-check-a", PASSWORD)
    setting.values = values_for(setting.domain, setting.folder, "svc-check-a", "Not-its-word.1")
    yield


@contextlib.asynccontextmanager
async def disabled_account(setting: Setting) -> AsyncIterator[None]:
    """Somebody disabled it."""
    dn = await setting.domain.create_user("svc-check-b", PASSWORD)
    setting.admin.replace(dn, userAccountControl="514")
    setting.values = values_for(setting.domain, setting.folder, "svc-check-b")
    yield


@contextlib.asynccontextmanager
async def no_right_on_deleted_objects(setting: Setting) -> AsyncIterator[None]:
    """An ordinary account may not list them."""
    await setting.domain.create_user("svc-check-c", PASSWORD)
    setting.values = values_for(setting.domain, setting.folder, "svc-check-c")
    yield


@contextlib.asynccontextmanager
async def too_many_rights(setting: Setting) -> AsyncIterator[None]:
    """The account administers the domain."""
    dn = await setting.domain.create_user("svc-check-d", PASSWORD)
    setting.admin.join(f"CN=Domain Admins,CN=Users,{setting.domain.base_dn}", dn)
    setting.values = values_for(setting.domain, setting.folder, "svc-check-d")
    yield


@contextlib.asynccontextmanager
async def clock_ahead(setting: Setting) -> AsyncIterator[None]:
    """The host lives ten minutes in the future."""
    setting.environment = {"LD_PRELOAD": FAKETIME, "FAKETIME": "+10m", "FAKETIME_DONT_FAKE_MONOTONIC": "1"}
    yield


@contextlib.asynccontextmanager
async def no_right_to_read(setting: Setting) -> AsyncIterator[None]:
    """The account may not see the head of the domain."""
    await setting.domain.create_user("svc-check-e", PASSWORD)
    await setting.domain.grant_deleted_objects("svc-check-e")
    raw = setting.admin.value(f"CN=svc-check-e,CN=Users,{setting.domain.base_dn}", "objectSid")
    sid = "-".join(["S-1-5", *(str(int.from_bytes(raw[at : at + 4], "little")) for at in range(8, len(raw), 4))])
    await setting.domain.grant(setting.domain.base_dn, f"(D;;RPLC;;;{sid})")
    setting.values = values_for(setting.domain, setting.folder, "svc-check-e")
    yield


Fault = Callable[[Setting], AbstractAsyncContextManager[None]]


@pytest.mark.parametrize(
    ("fault", "name", "outcome", "code", "said"),
    [
        (domain_controller_down, "connection", "fail", "ConnectionRefused", "Nothing listens at 127."),
        (domain_controller_frozen, "connection", "fail", "DomainControllerSilent", "did not answer within 2 seconds"),
        (wrong_authority, "connection", "fail", "UnknownCertificateAuthority", "not signed by an authority in"),
        (expired_certificate, "connection", "fail", "CertificateExpired", "has expired"),
        (wrong_password, "connection", "fail", "InvalidCredentials", "refused the account svc-check-a@"),
        (disabled_account, "connection", "fail", "AccountDisabled", "the account is disabled"),
        (no_right_on_deleted_objects, "deleted-objects", "fail", "NoRightOnDeletedObjects", "svc-check-c@"),
        (no_right_to_read, "changes", "fail", "InsufficientRights", "svc-check-e@"),
        (too_many_rights, "privileges", "warn", "TooManyRights", "Domain Admins"),
        (clock_ahead, "clock", "warn", "ClockSkewed", "0:10:0"),
    ],
)
async def test_failure_is_named(setting: Setting, fault: Fault, name: str, outcome: str, code: str, said: str) -> None:
    """The finding has its own code, the words of what happened and a remedy; every other test of the domain passes."""
    async with fault(setting):
        found = await setting.check()
    finding = found[name]
    assert (finding["outcome"], finding["code"]) == (outcome, code), found
    assert said in finding["finding"]
    assert finding["remedy"]
    also = {"deleted-objects"} if fault is no_right_to_read else set()  # they lie below what it may not list
    assert {each for each in found if found[each]["outcome"] != "pass"} == {name} | also


async def test_two_faults_of_two_domains_are_told_apart(domain: Domain, tmp_path: Path) -> None:
    """Each finding carries the domain's name."""
    there = values_for(domain, tmp_path, READER)
    away = {**there, "name": "fabrikam.test", "servers": [f"ldaps://{domain.address}:6"]}
    found = {each.name: each.outcome async for each in check.examine(write(tmp_path, there, away), tmp_path / "state")}
    assert found[f"{domain.realm}: connection"] == "pass"
    assert found["fabrikam.test: connection"] == "fail"
