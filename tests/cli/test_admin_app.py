"""`dirbridge admin app` against a service that runs."""

from __future__ import annotations

import json
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import rsa
from cryptography.x509.oid import NameOID

from tests.cli.conftest import Command

pytestmark = pytest.mark.service


def app(command: Command, *arguments: str) -> Any:
    return command.json("admin", "app", *arguments)


def refusal(command: Command, *arguments: str, code: int = 3) -> str:
    said = command("admin", "app", *arguments, "--json", code=code)
    found = json.loads(said[said.index("{") :])["error"]["code"]
    assert isinstance(found, str)
    return found


def test_an_application_from_first_to_last(command: Command) -> None:
    """Made, granted, given a secret, used, disabled, enabled, robbed of all, removed."""
    made = app(command, "create", "reports", "--permission", "User.Read.All", "--redirect-uri", "https://app.test/")
    assert (made["permissions"], made["redirectUris"]) == (["User.Read.All"], ["https://app.test/"])
    granted = app(command, "grant", "reports", "auditlog.read.all", "User.Read.All")
    assert granted["permissions"] == ["AuditLog.Read.All", "User.Read.All"]
    secret = app(command, "add-secret", "reports", "--display-name", "laptop", "--days", "30")
    known = json.loads((Path(command.environment["HOME"]) / ".config/dirbridge/profile.json").read_text())
    theirs = ["--url", known["url"], "--ca-file", known["caFile"], "--tenant", known["tenantId"]]
    theirs += ["--client-id", made["appId"], "--client-secret", secret["secretText"]]
    assert command.run("logs", *theirs).returncode == 0
    assert command.run("jobs", "list", *theirs).returncode == 4
    assert app(command, "disable", made["appId"])["accountEnabled"] is False
    assert "is disabled" in command.run("logs", *theirs).stderr
    app(command, "enable", made["id"])
    shown = command("admin", "app", "show", "reports")
    assert secret["secretText"] not in shown
    for text in ("AuditLog.Read.All, User.Read.All", secret["hint"], "laptop", "https://app.test/", "enabled"):
        assert text in shown
    assert "reports" in command("admin", "app", "list")
    assert app(command, "revoke", "reports", "AuditLog.Read.All")["permissions"] == ["User.Read.All"]
    assert refusal(command, "remove-secret", "reports", "nobody") == "SecretNotFound"
    app(command, "remove-secret", "reports", secret["keyId"])
    assert "Invalid client secret" in command.run("logs", *theirs).stderr
    app(command, "delete", "reports", "--yes")
    assert refusal(command, "show", "reports") == "ApplicationNotFound"


def test_permissions_for_people(command: Command) -> None:
    """Kept apart from what it may do for itself."""
    app(command, "create", "portal", "--public", "--redirect-uri", "http://localhost")
    given = app(command, "grant", "portal", "User.Read", "Synchronization.Read.All", "--for-people")
    assert (given["permissions"], given["delegatedPermissions"]) == ([], ["Synchronization.Read.All", "User.Read"])
    assert app(command, "show", "portal")["isPublicClient"] is True
    left = app(command, "revoke", "portal", "Synchronization.Read.All", "--for-people")
    assert left["delegatedPermissions"] == ["User.Read"]
    names = app(command, "permissions")
    assert ("User.Read" in names["delegated"], "User.Read" in names["application"]) == (True, False)
    assert refusal(command, "grant", "portal", "User.Read") == "UnknownPermission"
    app(command, "delete", "portal", "--yes")


def test_certificates(command: Command, tmp_path: Path) -> None:
    """From a PEM file, whose private key stays where it is."""
    key, name = rsa.generate_private_key(65537, 2048), x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, "tool")])
    now = datetime.now(UTC)
    builder = x509.CertificateBuilder(name, name, key.public_key(), x509.random_serial_number())
    signed = builder.not_valid_before(now).not_valid_after(now + timedelta(days=90)).sign(key, hashes.SHA256())
    file = tmp_path / "tool.pem"
    private = key.private_bytes(
        serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption()
    )
    file.write_bytes(private + signed.public_bytes(serialization.Encoding.PEM))
    app(command, "create", "tool")
    ((added,),) = (app(command, "add-certificate", "tool", str(file)),)
    assert added["displayName"] == "CN=tool"
    assert app(command, "add-certificate", "tool", str(file)) == []
    assert added["keyId"] in command("admin", "app", "show", "tool")
    assert refusal(command, "remove-certificate", "tool", "nobody") == "CertificateNotFound"
    app(command, "remove-certificate", "tool", added["keyId"])
    assert app(command, "show", "tool")["certificates"] == []
    file.write_bytes(private)
    assert refusal(command, "add-certificate", "tool", str(file)) == "FileUnreadable"
    assert refusal(command, "add-certificate", "tool", str(tmp_path / "none.pem")) == "FileUnreadable"
    app(command, "delete", "tool", "--yes")


def test_owners_and_names_that_are_two(command: Command) -> None:
    """An administrator by sign-in name, an application by its own; a name that several have is asked after."""
    first, second = app(command, "create", "twin"), app(command, "create", "twin")
    assert refusal(command, "show", "twin") == "ApplicationAmbiguous"
    app(command, "add-owner", first["appId"], second["appId"])
    there = app(command, "add-owner", first["appId"], "admin@contoso.dirbridge.local")
    assert {each["@odata.type"] for each in there} == {"#microsoft.graph.servicePrincipal", "#microsoft.graph.user"}
    assert second["id"] in command("admin", "app", "owners", first["appId"])
    assert second["id"] not in {each["id"] for each in app(command, "remove-owner", first["appId"], second["appId"])}
    for each in (first, second):
        app(command, "delete", each["appId"], "--yes")


def test_the_command_lines_own_application_comes_back(command: Command) -> None:
    """It does not shut itself out; whoever did is undone by `init --new-secret` at the service's host."""
    own = json.loads((Path(command.environment["HOME"]) / ".config/dirbridge/profile.json").read_text())["clientId"]
    assert refusal(command, "disable", own, code=1) == "OwnApplication"
    assert refusal(command, "delete", own, "--yes", code=1) == "OwnApplication"
    command.sql("update service_principals set is_enabled = false where app_id = %s", own)
    assert command.run("jobs", "list").returncode == 4
    data = ["--data", str(Path(command.environment["HOME"]) / "data"), "--database-url", command.database_url]
    command("init", *data, "--new-secret", "--write-profile")
    assert command.run("jobs", "list").returncode == 0
