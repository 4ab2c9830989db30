"""The agent's settings file: read whole, or refused with every fault at once."""

from pathlib import Path

import pytest

from dirbridge.agent import settings
from dirbridge.connectors import settings_class
from dirbridge.contract.errors import ConfigurationError

GENERATED = '[[domain]]\nkind = "generated"\nname = "made-up.test"\n'


def write(folder: Path, text: str | bytes) -> Path:
    file = folder / "agent.toml"
    file.write_bytes(text if isinstance(text, bytes) else text.encode())
    return file


def refused(file: Path) -> ConfigurationError:
    with pytest.raises(ConfigurationError) as raised:
        settings.load(file)
    return raised.value


def test_defaults(tmp_path: Path) -> None:
    """A domain is all that must be written."""
    loaded = settings.load(write(tmp_path, GENERATED))
    assert loaded.names == ["made-up.test"]
    assert loaded.common == settings.Common()


def test_every_fault_is_told_at_once(tmp_path: Path) -> None:
    """Each names the field, the value met and what is expected; a value that may be a password is not shown."""
    text = """
concurrency = "many"
proxy = "proxy.example.com"
log_level = "chatty"
pasword = "hunter2"

[[domain]]
kind = "generated"
users = -1

[[domain]]
kind = "novell"

[[domain]]
name = "contoso"
servers = ["http://dc1.contoso.test"]
ca_file = "/nowhere/ca.pem"
password = "hunter2"
"""
    error = refused(write(tmp_path, text))
    said = error.reason
    assert error.code == "SettingsInvalid"
    assert "concurrency is 'many': input should be a valid integer" in said
    assert "proxy is 'proxy.example.com': does not begin with http:// or https://" in said
    assert "log_level is 'chatty': input should be 'debug', 'info', 'warning' or 'error'" in said
    assert "pasword is no setting of this version" in said
    assert "domain 1: name is missing" in said
    assert "domain 1: users is -1: input should be greater than or equal to 0" in said
    assert "domain 2: kind is 'novell'; 'active-directory' or 'ldap' or 'generated' is expected" in said
    assert "domain contoso: name is 'contoso'" in said
    assert "domain contoso: servers[0] is 'http://dc1.contoso.test'" in said
    assert "domain contoso: ca_file" in said
    assert "domain contoso: user is missing" in said
    assert "domain contoso: password is no setting of this version" in said
    assert "hunter2" not in str(error)
    assert len(error.details) == said.count("\n")


def test_proxy_user_without_a_proxy(tmp_path: Path) -> None:
    """It would have no effect, and the agent would go out directly."""
    assert "proxy_user is given without a proxy" in refused(write(tmp_path, f'proxy_user = "x"\n{GENERATED}')).reason


def test_domain_named_twice(tmp_path: Path) -> None:
    """Two tables for one domain are a fault."""
    assert "name is 'made-up.test', which an earlier domain has" in refused(write(tmp_path, GENERATED * 2)).reason


def test_no_domain(tmp_path: Path) -> None:
    """An agent without a directory has nothing to do."""
    assert "at least one table [[domain]] is expected" in refused(write(tmp_path, "concurrency = 2")).reason
    assert "at least one table [[domain]] is expected" in refused(write(tmp_path, 'domain = "a.test"')).reason


@pytest.mark.parametrize(
    ("content", "said"),
    [
        (b"concurrency = = 3", "is not TOML: Invalid value (at line 1, column 15)"),
        (b'proxy = "caf\xe9"', "is not UTF-8 text: byte 13 is 0xe9"),
    ],
)
def test_unreadable_text(tmp_path: Path, content: bytes, said: str) -> None:
    """What is no TOML is told with its place."""
    error = refused(write(tmp_path, content))
    assert error.code == "SettingsUnreadable"
    assert said in error.reason


def test_missing_file(tmp_path: Path) -> None:
    """The file that was looked for is named."""
    error = refused(tmp_path / "no.toml")
    assert f"{tmp_path / 'no.toml'} cannot be read: No such file or directory" in error.reason
    assert "--settings" in error.recommended_action


def test_every_field_is_described() -> None:
    """Each setting has a sentence."""
    assert all((field.description or "").endswith(".") for field in settings.Common.model_fields.values())


def test_every_field_is_in_the_reference() -> None:
    """docs/agent.md has each setting, in the words of the code."""
    reference = (Path(__file__).parents[2] / "docs" / "agent.md").read_text()
    for model in (settings.Common, settings_class("active-directory")):
        for name, field in model.model_fields.items():
            assert f"| `{name}` |" in reference
            assert f"| {field.description} |" in reference, name


def test_stamp_changes_with_the_files_that_are_named(tmp_path: Path) -> None:
    """A new password file is noticed without a restart."""
    revision = tmp_path / "revision"
    text = f"{GENERATED}revision_file = '{revision}'\n"
    (domain,) = settings.load(write(tmp_path, text)).domains
    before = domain.stamp()
    revision.write_text("1")
    after = domain.stamp()
    assert before != after == domain.stamp()
