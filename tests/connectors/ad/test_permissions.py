"""`dirbridge agent permissions` at a real domain: what an account lacks and has too much is shown, and set right."""

from __future__ import annotations

import asyncio
import json
import subprocess
import sys
import uuid
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

from dirbridge.cli.demo.domain import Domain
from dirbridge.connectors.ad import permissions
from dirbridge.connectors.ad import settings as ad_settings
from dirbridge.connectors.ad.permissions import Administrator
from tests.connectors.ad.conftest import PASSWORD, Admin, values_for
from tests.connectors.ad.test_agent_check import write

pytestmark = pytest.mark.samba

REPLICATION = "1131f6aa-9c07-11d1-f79f-00c04fc2dcd2"
ALL_SECRETS = "1131f6ad-9c07-11d1-f79f-00c04fc2dcd2"


@dataclass
class Account:
    """An account of the domain, and the settings that name it."""

    domain: Domain
    admin: Admin
    folder: Path
    name: str
    dn: str
    values: dict[str, Any]

    @property
    def sid(self) -> str:
        raw = self.admin.value(self.dn, "objectSid")
        numbers = [int.from_bytes(raw[at : at + 4], "little") for at in range(8, len(raw), 4)]
        return "-".join(["S-1-5", *map(str, numbers)])

    async def run(self, *words: str) -> tuple[int, Any]:
        """The command's exit code and what it says."""
        file = self.folder / "admin.password"
        file.touch(0o600)
        file.write_text(self.domain.admin_password)
        command = [
            sys.executable,
            "-c",
            "from dirbridge.cli.main import main; main()",
            "agent",
            "permissions",
            "--json",
        ]
        command += ["--settings", str(write(self.folder, self.values)), *words]
        if "--administrator" in words:
            command += ["--administrator-password-file", str(file)]
        said = await asyncio.to_thread(subprocess.run, command, capture_output=True, text=True, timeout=60, check=False)
        return said.returncode, json.loads(said.stdout or said.stderr)

    async def states(self, *words: str) -> tuple[int, set[tuple[str, str, str]]]:
        """Exit code, and what the account has: state, right, and the first part of the place.

        What else it may do with deleted objects nobody sees until somebody took them for the administrators.
        """
        code, said = await self.run(*words)
        (answer,) = said["domains"]
        return code, {
            (each["state"], each["right"], each["place"].partition(",")[0])
            for each in answer["permissions"]
            if each["state"] != "unknown"
        }


GOOD = {
    ("granted", "read users, groups, contacts and containers", "DC=contoso"),
    ("granted", "List Contents and Read Property", "CN=Deleted Objects"),
}
LACKING = {
    ("granted", "read users, groups, contacts and containers", "DC=contoso"),
    ("missing", "List Contents and Read Property", "CN=Deleted Objects"),
}


@pytest.fixture
async def account(domain: Domain, admin: Admin, tmp_path: Path) -> Account:
    """An ordinary account, as made."""
    name = f"svc-{uuid.uuid4().hex[:8]}"
    dn = await domain.create_user(name, PASSWORD)
    return Account(domain, admin, tmp_path, name, dn, values_for(domain, tmp_path, name))


def as_administrator(domain: Domain) -> tuple[str, str]:
    return "--administrator", f"Administrator@{domain.realm}"


async def test_missing_right_is_granted(account: Account) -> None:
    """An ordinary account lacks one right; an administrator grants it, and nothing is left to do the next time."""
    code, found = await account.states(*as_administrator(account.domain))
    assert (code, found) == (1, LACKING)
    code, said = await account.run("--set", "--yes", *as_administrator(account.domain))
    (answer,) = said["domains"]
    assert code == 0
    assert answer["changes"] == [
        f"Granted: List Contents and Read Property on CN=Deleted Objects,{account.domain.base_dn}."
    ]
    code, said = await account.run("--set", "--yes", *as_administrator(account.domain))
    assert (code, said["domains"][0]["changes"]) == (0, [])
    assert await account.states(*as_administrator(account.domain)) == (0, GOOD)


async def test_what_is_too_much_is_taken_away(account: Account) -> None:
    """Replication of secrets, full control and an administrator's membership go; what others hold stays."""
    domain, admin = account.domain, account.admin
    for rule in (f"(OA;;CR;{REPLICATION};;{account.sid})", f"(OA;;CR;{ALL_SECRETS};;{account.sid})"):
        await domain.grant(domain.base_dn, rule)
    holder = f"CN=AdminSDHolder,CN=System,{domain.base_dn}"
    await domain.grant(holder, f"(A;;GA;;;{account.sid})")
    group = f"CN=Account Operators,CN=Builtin,{domain.base_dn}"
    admin.join(group, account.dn)
    before = await rules_of_others(account)
    code, found = await account.states(*as_administrator(domain))
    assert code == 1
    assert found - LACKING == {
        ("excess", "Replicating Directory Changes", "DC=contoso"),
        ("excess", "Replicating Directory Changes All", "DC=contoso"),
        ("excess", "Full Control", "CN=AdminSDHolder"),
        ("excess", "membership (Account Operators)", "CN=Account Operators"),
    }
    code, said = await account.run("--set", "--yes", *as_administrator(domain))
    assert code == 0, said
    assert len(said["domains"][0]["changes"]) == 5
    assert await account.states(*as_administrator(domain)) == (0, GOOD)
    assert await rules_of_others(account) == before


async def rules_of_others(account: Account) -> list[bytes]:
    """The rules on the head of the domain that are not about this account, byte for byte in their order."""
    settings = ad_settings.parse(account.values)
    administrator = Administrator(settings, account.domain.admin_dn, account.domain.admin_password)
    async with permissions._connected(settings, administrator) as connection:
        subject = await permissions._subject(connection, settings)
        found = await permissions._rules(connection, settings.base_dn)
    assert found is not None
    return [rule.raw for rule in found[1] if rule.sid != subject.sid]


async def test_agent_reads_deletes_with_what_was_granted(account: Account) -> None:
    """What the check found missing passes afterwards."""
    settings = ad_settings.parse(account.values)
    administrator = Administrator(settings, account.domain.admin_dn, account.domain.admin_password)
    assert [each.state for each in await permissions.examine(settings)][:2] == ["granted", "missing"]
    assert len([sentence async for sentence in permissions.repair(settings, administrator)]) == 1
    assert [each.state for each in await permissions.examine(settings)][:2] == ["granted", "granted"]


async def test_account_without_an_administrators_rights_changes_nothing(account: Account, tmp_path: Path) -> None:
    """Whoever may not change rights is refused, and told so; a wrong password is not tried twice."""
    settings = ad_settings.parse(account.values)
    password = tmp_path / "own.password"
    password.touch(0o600)
    password.write_text(PASSWORD)
    write(tmp_path, account.values)
    words = ["--set", "--yes", "--administrator", settings.user, "--administrator-password-file", str(password)]
    command = [sys.executable, "-c", "from dirbridge.cli.main import main; main()", "agent", "permissions", "--json"]
    command += ["--settings", str(tmp_path / "agent.toml"), *words]
    for secret, code in ((PASSWORD, "InsufficientRights"), ("Not-its-word.1", "InvalidCredentials")):
        password.write_text(secret)
        said = await asyncio.to_thread(subprocess.run, command, capture_output=True, text=True, timeout=60, check=False)
        assert said.returncode in {3, 4}
        assert json.loads(said.stderr)["error"]["code"] == code
        assert secret not in said.stderr


async def test_name_that_another_account_has_in_short(account: Account) -> None:
    """The account that signs in by that name gets the right, not the one that is called like its first part."""
    name = f"svc-{uuid.uuid4().hex[:8]}"
    await account.domain.create_user(name, PASSWORD)
    account.admin.replace(account.dn, userPrincipalName=f"{name}@alias.test")
    settings = ad_settings.parse(account.values | {"user": f"{name}@alias.test"})
    administrator = Administrator(settings, account.domain.admin_dn, account.domain.admin_password)
    assert len([sentence async for sentence in permissions.repair(settings, administrator)]) == 1
    assert [each.state for each in await permissions.examine(settings)][:2] == ["granted", "granted"]
    other = ad_settings.parse(values_for(account.domain, account.folder, name))
    assert [each.state for each in await permissions.examine(other)][:2] == ["granted", "missing"]


async def test_settings_without_such_a_domain(account: Account) -> None:
    """The domains that there are are named."""
    code, said = await account.run("--domain", "fabrikam.test")
    assert code == 3
    assert said["error"]["code"] == "DomainUnknown"
    assert account.domain.realm in said["error"]["recommendedAction"]
