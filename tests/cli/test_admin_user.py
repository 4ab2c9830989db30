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


def test_sign_in_is_looked_after(command: Command) -> None:
    """Sessions listed and ended, lock-out taken back; what is not there is said."""
    name = "admin@contoso.dirbridge.local"
    command.sql(
        """insert into sessions (tenant, digest, id, administrator, signed_in_at, last_seen_at, expires_at, methods,
               address, browser)
           select tenant, sha256(n::text::bytea), gen_random_uuid(), id, now(), now(), now() + interval '1 hour',
               '{pwd}', '192.0.2.1', 'Firefox ' || n
           from administrators, generate_series(1, 3) n"""
    )
    assert "Firefox 2" in command("admin", "user", "sessions", name)
    found = command.json("admin", "user", "sessions", name)
    left = command.json("admin", "user", "sessions", name, "--end", found[0]["id"])
    assert {each["id"] for each in left} == {each["id"] for each in found[1:]}
    assert command.json("admin", "user", "sessions", name, "--end-all") == []
    assert command("admin", "user", "sessions", name) == f"{name} is signed in nowhere.\n"
    assert "need not wait" in command("admin", "user", "unlock", name)
    for act, refusal in (("reset-totp", "NoSecondFactor"), ("unlink", "NotLinked")):
        said = command("admin", "user", act, name, "--json", code=1)
        assert json.loads(said)["error"]["code"] == refusal
    (listed,) = command.json("admin", "user", "list")
    assert (listed["hasSecondFactor"], listed["lastSignInDateTime"]) == (False, None)


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
