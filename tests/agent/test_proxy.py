"""Which way leads to the service."""

from pathlib import Path

import pytest

from dirbridge.agent import proxy
from dirbridge.agent.settings import Common
from dirbridge.contract.errors import ConfigurationError

SERVICE = "https://sync.contoso.test:8443"
CONFIG = """<?xml version="1.0"?>
<configuration>
  <runtime/>
  <system.net>
    <defaultProxy {enabled} useDefaultCredentials="true">
      <proxy usesystemdefault="true" {address} bypassonlocal="{local}"/>
      <bypasslist>{bypass}</bypasslist>
    </defaultProxy>
  </system.net>
</configuration>
"""


def chosen(service: str = SERVICE, environ: dict[str, str] | None = None, **given: object) -> str | None:
    found = proxy.choose(Common.model_validate(given), service, environ or {})
    return found.url if found else None


def config(
    folder: Path, *, enabled: str = "", address: str = "http://old.test:8080", local: str = "false", bypass: str = ""
) -> Path:
    file = folder / "AADConnectProvisioningAgent.exe.config"
    shown = f'proxyaddress="{address}"' if address else ""
    file.write_text(CONFIG.format(enabled=enabled, address=shown, local=local, bypass=bypass))
    return file


def test_straight_unless_told_otherwise() -> None:
    """The environment alone decides nothing."""
    assert chosen(environ={"HTTPS_PROXY": "http://env.test:1"}) is None


def test_address_of_the_settings() -> None:
    """With credentials in it, without, and without a port."""
    assert chosen(proxy="http://out.test:3128") == "http://out.test:3128"
    assert chosen(proxy="https://out.test") == "https://out.test:443"
    assert chosen(proxy="http://u:p%40ss@out.test:3128") == "http://u:p%40ss@out.test:3128"


def test_password_comes_from_its_file(tmp_path: Path) -> None:
    """What it holds may be anything; a file that others may read is refused."""
    file = tmp_path / "password"
    file.touch(0o600)
    file.write_text("a:b@c/d\n")
    given = {"proxy": "http://out.test:3128", "proxy_user": "DOM\\svc", "proxy_password_file": str(file)}
    assert chosen(**given) == "http://DOM%5Csvc:a%3Ab%40c%2Fd@out.test:3128"
    file.chmod(0o644)
    with pytest.raises(ConfigurationError, match="0600") as refused:
        chosen(**given)
    assert refused.value.code == "PasswordFileUnusable"
    assert "a:b" not in str(refused.value)


@pytest.mark.parametrize(
    ("environ", "expected"),
    [
        ({}, None),
        ({"https_proxy": "http://env.test:1"}, "http://env.test:1"),
        ({"HTTPS_PROXY": "env.test:1"}, "http://env.test:1"),
        ({"http_proxy": "http://env.test:1"}, None),
        ({"ALL_PROXY": "http://env.test:2"}, "http://env.test:2"),
        ({"https_proxy": "http://env.test:1", "no_proxy": "contoso.test"}, None),
        ({"https_proxy": "http://env.test:1", "NO_PROXY": "other.test"}, "http://env.test:1"),
        ({"HTTPS_PROXY": "http://upper.test:1", "https_proxy": "http://lower.test:1"}, "http://lower.test:1"),
    ],
)
def test_environment_where_the_settings_say_so(environ: dict[str, str], expected: str | None) -> None:
    """As curl reads it: for https only, lower case first, no_proxy with the domains below a name."""
    assert chosen(environ=environ, proxy="environment") == expected


@pytest.mark.parametrize(
    ("service", "bypass", "straight"),
    [
        (SERVICE, ("sync.contoso.test",), True),
        (SERVICE, ("*.CONTOSO.test",), True),
        (SERVICE, ("*.test2", "10.0.0.0/8"), False),
        ("https://10.1.2.3", ("10.0.0.0/8",), True),
        ("https://11.1.2.3", ("10.0.0.0/8",), False),
        ("https://[fd00::1]:8443", ("fd00::/8",), True),
    ],
)
def test_hosts_that_need_no_proxy(service: str, bypass: tuple[str, ...], straight: bool) -> None:
    assert (chosen(service, proxy="http://out.test:1", proxy_bypass=bypass) is None) is straight


@pytest.mark.parametrize(
    ("service", "straight"), [("https://sync", True), ("https://127.0.0.1", True), (SERVICE, False)]
)
def test_local_hosts(service: str, straight: bool) -> None:
    """A name without a dot, and this machine."""
    assert (chosen(service, proxy="http://out.test:1", proxy_bypass_local=True) is None) is straight


def test_configuration_of_a_windows_agent(tmp_path: Path) -> None:
    """Its address counts, unless it is switched off or a bypass fits; `proxy` goes before it."""
    assert chosen(proxy_config=config(tmp_path)) == "http://old.test:8080"
    assert chosen(proxy_config=config(tmp_path), proxy="http://new.test:1") == "http://new.test:1"
    assert chosen(proxy_config=config(tmp_path, enabled='enabled="false"')) is None
    assert chosen("https://sync", proxy_config=config(tmp_path, local="true")) is None
    assert chosen(proxy_config=config(tmp_path, local="true")) == "http://old.test:8080"
    assert chosen(proxy_config=config(tmp_path, bypass=r'<add address="[a-z]+\.contoso\.test$"/>')) is None
    assert chosen(proxy_config=config(tmp_path, address="")) is None
    system = config(tmp_path, address="")
    assert chosen(environ={"https_proxy": "http://env.test:1"}, proxy_config=system) == "http://env.test:1"


@pytest.mark.parametrize("content", ["", "<configuration>", "not XML", '<a><add address="["/></a>'])
def test_configuration_that_cannot_be_read(tmp_path: Path, content: str) -> None:
    """It is named with what is wrong; one without `system.net` says nothing of proxies."""
    file = tmp_path / "agent.exe.config"
    file.write_text(content)
    if content.startswith("<a>"):
        assert chosen(proxy_config=file) is None
        file = config(tmp_path, bypass='<add address="["/>')
    with pytest.raises(ConfigurationError) as refused:
        chosen(proxy_config=file)
    assert refused.value.code == "ProxyConfigUnreadable"
    assert str(file) in refused.value.reason


def test_address_that_is_none(tmp_path: Path) -> None:
    """Its credentials are not shown."""
    with pytest.raises(ConfigurationError) as refused:
        chosen(proxy_config=config(tmp_path, address="socks5://u:secret@out.test:1"))
    assert refused.value.code == "ProxyAddressInvalid"
    assert "secret" not in refused.value.reason
