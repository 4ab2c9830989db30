"""`dirbridge admin user` against a service that runs."""

import json
import subprocess
import sys

import pytest

from tests.cli.conftest import Command

pytestmark = pytest.mark.service


def test_an_administrator_from_first_to_last(command: Command) -> None:
    """Made, listed, given a role and a password, shut out, let in, removed."""
    made = command.json("admin", "user", "create", "ada@contoso.test", "--role", "Reports Reader")
    assert (made["roles"], len(made["password"])) == (["Reports Reader"], 29)
    assert "ada@contoso.test" in command("admin", "user", "list")
    command("admin", "user", "role", "ada@contoso.test", "--role", "Global Administrator", "--role", "Reports Reader")
    assert command.json("admin", "user", "disable", "ada@contoso.test")["accountEnabled"] is False
    assert command.json("admin", "user", "enable", made["id"])["accountEnabled"] is True
    assert "Password: " in command("admin", "user", "password", "ada@contoso.test")
    found = {each["userName"]: each for each in command.json("admin", "user", "list")}
    assert found["ada@contoso.test"]["roles"] == ["Global Administrator", "Reports Reader"]
    command("admin", "user", "delete", "ada@contoso.test", "--yes")
    assert [each["userName"] for each in command.json("admin", "user", "list")] == ["admin@contoso.dirbridge.local"]


def test_the_last_one_stays(command: Command) -> None:
    """Whoever could repair it would be locked out."""
    said = command("admin", "user", "disable", "admin@contoso.dirbridge.local", "--json", code=1)
    assert json.loads(said)["error"]["code"] == "LastGlobalAdministrator"


def test_a_password_from_standard_input_is_not_shown(command: Command) -> None:
    """Taken from its first line; none there is said."""
    arguments = ["admin", "user", "password", "admin@contoso.dirbridge.local", "--password-stdin", "--json"]
    for given, status in (("river-stone-lamp-42\n", 0), ("", 3)):
        done = subprocess.run(
            [sys.executable, "-c", "from dirbridge.cli.main import main; main()", *arguments],
            env=command.environment, input=given, capture_output=True, text=True, timeout=60, check=False,
        )  # fmt: skip
        assert done.returncode == status, done.stderr
        assert "river" not in done.stdout + done.stderr
    assert json.loads(done.stderr)["error"]["code"] == "PasswordMissing"
