"""Settings come from options, then the environment, then their defaults; every fault is told at once."""

from pathlib import Path
from typing import Any

import pytest

from dirbridge.contract.errors import ConfigurationError
from dirbridge.service.settings import Settings, load


def test_option_wins_over_variable_and_variable_over_default() -> None:
    """In that order."""
    found = load({"listen": "127.0.0.1:1", "role": None}, {"DIRBRIDGE_LISTEN": "127.0.0.1:2", "DIRBRIDGE_ROLE": "api"})
    assert (found.listen, found.role, found.worker_concurrency) == ("127.0.0.1:1", "api", 4)


def test_every_setting_has_a_sentence() -> None:
    """The reference page is made of them."""
    described = {name: field.description or "" for name, field in Settings.model_fields.items()}
    assert [name for name, sentence in described.items() if not sentence.endswith(".")] == []


def test_all_faults_are_told_at_once_by_the_name_they_were_given_under() -> None:
    """Four faults, four sentences, and the password in the URL in none of them."""
    with pytest.raises(ConfigurationError) as caught:
        load(
            {"listen": "here", "base_url": "http://a.example", "tls_cert": "/x.pem"},
            {"DIRBRIDGE_WORKER_CONCURRENCY": "0", "DIRBRIDGE_DATABASE_URL": "mysql://user:hidden@host/x"},
        )
    assert caught.value.code == "InvalidSettings"
    assert len(caught.value.details) == 5
    for word in ("5 faults", "--listen", "--base-url", "DIRBRIDGE_WORKER_CONCURRENCY", "'0'", "mysql:", "tls_key"):
        assert word in caught.value.reason
    assert "hidden" not in str(caught.value)


@pytest.mark.parametrize(
    ("given", "expected"),
    [
        ("https://Sync.Example/", "https://sync.example"),
        ("https://sync.example:8443", "https://sync.example:8443"),
        ("https://[::1]:8443", "https://[::1]:8443"),
    ],
)
def test_base_url_has_one_form(given: str, expected: str) -> None:
    """Issuer and audience follow from it, so it must not vary."""
    assert load({"base_url": given}, {}).base_url == expected


@pytest.mark.parametrize(
    "given",
    ["sync.example", "http://sync.example", "https://", "https://a.example/x", "https://a:b@c.example", "https://a:x"],
)
def test_base_url_that_is_no_origin_is_refused(given: str) -> None:
    """https, a host, nothing else."""
    with pytest.raises(ConfigurationError, match="--base-url"):
        load({"base_url": given}, {})


@pytest.mark.parametrize(
    ("listen", "host", "port", "url"),
    [
        ("127.0.0.1:8443", "127.0.0.1", 8443, "https://127.0.0.1:8443"),
        ("[::1]:8443", "::1", 8443, "https://[::1]:8443"),
        ("sync.example:443", "sync.example", 443, "https://sync.example"),
    ],
)
def test_base_url_follows_from_where_it_listens(listen: str, host: str, port: int, url: str) -> None:
    """Without the port that https has anyway."""
    found = load({"listen": listen}, {})
    assert (found.host, found.port, found.derived_base_url()) == (host, port, url)


def test_listening_everywhere_gives_a_base_url_that_others_can_reach() -> None:
    """0.0.0.0 is nobody's address."""
    assert "0.0.0.0" not in load({"listen": "0.0.0.0:8443"}, {}).derived_base_url()


@pytest.mark.parametrize(
    "fault", [{"worker_concurrency": "many"}, {"role": "boss"}, {"listen": "a:70000"}, {"listen": ":1"}]
)
def test_value_out_of_range_is_refused(fault: dict[str, Any]) -> None:
    """With the value that was met."""
    with pytest.raises(ConfigurationError) as caught:
        load(fault, {})
    assert str(next(iter(fault.values()))) in caught.value.reason


def test_relative_paths_are_fixed_at_start(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A later change of folder changes nothing."""
    monkeypatch.chdir(tmp_path)
    found = load({"data": "here"}, {})
    assert (found.data, found.sealing_key) == (tmp_path / "here", tmp_path / "here/sealing.key")


def test_every_setting_is_in_the_reference() -> None:
    """With its variable and its sentence, word by word."""
    page = (Path(__file__).parents[2] / "docs/settings.md").read_text()
    for name, field in Settings.model_fields.items():
        assert f"| `{name}` | `DIRBRIDGE_{name.upper()}` | " in page
        assert f"| {field.description} |" in page
        if name != "data" and field.default is not None:
            assert f"| `{name}` | `DIRBRIDGE_{name.upper()}` | `{field.default}` |" in page


@pytest.mark.parametrize(
    ("given", "security", "expected"),
    [
        ("mail.contoso.test", "starttls", ("mail.contoso.test", 587)),
        ("mail.contoso.test", "tls", ("mail.contoso.test", 465)),
        ("mail.contoso.test:2525", "tls", ("mail.contoso.test", 2525)),
        ("[fd00::1]:25", "starttls", ("fd00::1", 25)),
    ],
)
def test_mail_server_has_the_port_of_its_encryption(given: str, security: str, expected: tuple[str, int]) -> None:
    """Unless one is given."""
    found = load({}, {
        "DIRBRIDGE_SMTP_SERVER": given, "DIRBRIDGE_SMTP_SECURITY": security, "DIRBRIDGE_MAIL_FROM": "a@contoso.test",
    })  # fmt: skip
    assert found.smtp_address == expected


@pytest.mark.parametrize(
    ("variables", "said"),
    [
        ({"SMTP_SERVER": "mail.test"}, "smtp_server and mail_from belong together, mail_from is missing"),
        ({"SMTP_USER": "x"}, "smtp_user and smtp_password belong together, smtp_password is missing"),
        ({"WEBHOOK_URL": "https://hook.test/"}, "webhook_url and webhook_secret belong together"),
        ({"SMTP_SERVER": "mail.test:x", "MAIL_FROM": "a@b.test"}, "DIRBRIDGE_SMTP_SERVER is 'mail.test:x'"),
        ({"SMTP_SERVER": "user@mail.test", "MAIL_FROM": "a@b.test"}, "HOST or HOST:PORT is expected"),
        ({"SMTP_SERVER": "mail.test", "MAIL_FROM": "dirbridge"}, "DIRBRIDGE_MAIL_FROM is 'dirbridge'"),
        ({"WEBHOOK_URL": "http://hook.test/", "WEBHOOK_SECRET": "x" * 30}, "DIRBRIDGE_WEBHOOK_URL is no address"),
        ({"WEBHOOK_URL": "https://hook.test/", "WEBHOOK_SECRET": "tell-nobody"}, "is a key of 11 bytes"),
        ({"OUTGOING_NETWORKS": "10.1.0.0/99"}, "DIRBRIDGE_OUTGOING_NETWORKS '10.1.0.0/99' does not appear"),
        ({"LOG_RETENTION": "0"}, "DIRBRIDGE_LOG_RETENTION"),
    ],
)
def test_settings_of_notifications_are_checked_at_start(variables: dict[str, str], said: str) -> None:
    """By the name they were given under; no secret is shown."""
    with pytest.raises(ConfigurationError) as caught:
        load({}, {f"DIRBRIDGE_{name}": value for name, value in variables.items()})
    assert said in caught.value.reason
    assert "tell-nobody" not in str(caught.value)


def test_several_lonely_settings_are_told_together() -> None:
    """Each pair by its own sentence."""
    with pytest.raises(ConfigurationError) as caught:
        load({"tls_cert": "/x.pem"}, {"DIRBRIDGE_SMTP_USER": "x", "DIRBRIDGE_LOG_RETENTION": "0"})
    assert (len(caught.value.details), "tls_key is missing" in caught.value.reason) == (3, True)
