"""Settings of a domain: every fault at once, in plain words."""

from __future__ import annotations

from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest

from dirbridge.cli.demo.authority import Authority
from dirbridge.connectors.ad import settings as ad_settings
from dirbridge.connectors.ad.settings import Settings
from dirbridge.contract.errors import ConfigurationError


@pytest.fixture
def good(tmp_path: Path) -> dict[str, Any]:
    password = tmp_path / "password"
    password.touch(mode=0o600)
    password.write_text("päss word \n")
    return {
        "name": "Contoso.Test",
        "servers": ["ldaps://dc1.contoso.test", "ldaps://[::1]:3636"],
        "ca_file": str(Authority(tmp_path / "tls").ca_file),
        "user": "svc@contoso.test",
        "password_file": str(password),
    }


def test_settings_are_read(good: dict[str, Any]) -> None:
    """Names are folded, ports filled in, times carry their unit, the password keeps its spaces."""
    settings = ad_settings.parse(good | {"connect_timeout": "500ms", "answer_timeout": "2min"})
    assert settings.name == "contoso.test"
    assert settings.base_dn == "DC=contoso,DC=test"
    assert settings.servers == ("ldaps://dc1.contoso.test:636", "ldaps://[::1]:3636")
    assert (settings.connect_timeout, settings.answer_timeout) == (timedelta(milliseconds=500), timedelta(minutes=2))
    assert settings.password() == "päss word "
    assert ad_settings.parse(good | {"user": "CN=svc,DC=contoso,DC=test"}).user == "CN=svc,DC=contoso,DC=test"


FAULTS = {
    "name": ("contoso", "'contoso' is not the DNS name of a domain"),
    "servers": (["http://dc1"], "does not begin with ldaps://"),
    "user": ("svc", "neither a user principal name"),
    "ca_file": ("/nonexistent/ca.pem", "/nonexistent/ca.pem cannot be read: No such file"),
    "password_file": ("/nonexistent/password", "/nonexistent/password cannot be read: No such file"),
    "connect_timeout": ("10 parsecs", "'10 parsecs' is not a length of time"),
    "answer_timeout": ("0s", "0 s lies outside"),
    "include_attributes": (["mail;range=0-1"], "'mail;range=0-1' is not the name of an attribute"),
    "exclude_containers": (["Sales"], "'Sales' is no distinguished name"),
}


def test_all_faults_are_told_at_once(good: dict[str, Any]) -> None:
    """Nine wrong fields and one that does not exist: ten faults, each with its field."""
    wrong = good | {field: value for field, (value, _) in FAULTS.items()} | {"passwort": "x"}
    with pytest.raises(ConfigurationError) as caught:
        ad_settings.parse(wrong)
    assert "have 10 faults" in caught.value.reason
    for field, (_, words) in FAULTS.items():
        assert f"{field}" in caught.value.reason
        assert words in caught.value.reason
    assert "passwort: is not a setting" in caught.value.reason
    del good["user"]
    with pytest.raises(ConfigurationError, match=r"servers: names no server.*user: is missing"):
        ad_settings.parse(good | {"servers": []})


@pytest.mark.parametrize("field", list(FAULTS))
def test_each_fault_alone_is_told(good: dict[str, Any], field: str) -> None:
    value, words = FAULTS[field]
    with pytest.raises(ConfigurationError) as caught:
        ad_settings.parse(good | {field: value})
    assert "have 1 fault:" in caught.value.reason
    assert words in caught.value.reason


@pytest.mark.parametrize(
    ("content", "mode", "words"),
    [
        (b"secret\n", 0o640, "mode 0640"),
        (b"secret\n", 0o604, "mode 0604"),
        (b"\n", 0o600, "is empty"),
        (b"a\nb\n", 0o600, "several lines"),
        (b"\xff\n", 0o600, "not UTF-8"),
    ],
)
def test_password_file_is_checked(good: dict[str, Any], content: bytes, mode: int, words: str) -> None:
    """For its owner only, one line, not empty: an empty password would make the bind anonymous."""
    file = Path(good["password_file"])
    settings = ad_settings.parse(good)
    file.write_bytes(content)
    file.chmod(mode)
    with pytest.raises(ConfigurationError, match=words):
        ad_settings.parse(good)
    with pytest.raises(ConfigurationError, match=words) as caught:
        settings.password()
    assert "secret" not in str(caught.value)


def test_password_is_never_shown(good: dict[str, Any]) -> None:
    assert "päss" not in repr(ad_settings.parse(good))


SECRET_NAMES = (
    "unicodePwd dBCSPwd ntPwdHistory lmPwdHistory supplementalCredentials ms-Mcs-AdmPwd ms-Mcs-AdmPwdExpirationTime "
    "msLAPS-Password msLAPS-EncryptedPassword msDS-ManagedPassword msFVE-RecoveryPassword userPassword"
)
SECRETS = SECRET_NAMES.split()


@pytest.mark.parametrize("name", [*SECRETS, *(name.upper() for name in SECRETS)])
def test_secrets_are_refused_whatever_is_set(good: dict[str, Any], name: str) -> None:
    """Neither a wildcard nor the very name lets one through."""
    for include in (["*"], [name]):
        assert not ad_settings.parse(good | {"include_attributes": include}).allows(name)


def test_policy_is_a_list_of_what_is_allowed(good: dict[str, Any]) -> None:
    """By default what the default mapping uses; patterns and exclusions by the agent's settings."""
    default = ad_settings.parse(good)
    assert default.allows("mail")
    assert default.allows("MAIL")
    assert not default.allows("homeDirectory")
    own = ad_settings.parse(
        good | {"include_attributes": ["mail", "extensionAttribute?", "msDS-*"], "exclude_attributes": ["msds-x"]}
    )
    assert own.allows("extensionAttribute7")
    assert not own.allows("extensionAttribute15")
    assert own.allows("msDS-HABSeniorityIndex")
    assert not own.allows("msDS-X")
    assert not own.allows("title")


def test_every_field_has_a_description() -> None:
    """They are the reference page."""
    for name, field in Settings.model_fields.items():
        assert field.description, name
        assert field.description.endswith("."), name
