"""TLS by StartTLS, and Kerberos with a keytab instead of a password: what works, and what is said where it does not."""

from __future__ import annotations

import asyncio
import json
import sys
from pathlib import Path
from typing import Any

import pytest
import pytest_asyncio

from dirbridge.agent import settings as agent_settings
from dirbridge.cli.demo.authority import Authority
from dirbridge.cli.demo.domain import Domain
from dirbridge.connectors.ad import settings as ad_settings
from dirbridge.connectors.ad.source import ActiveDirectorySource
from dirbridge.connectors.ldap_wire import kerberos, kerberos_failures
from dirbridge.connectors.ldap_wire.kerberos import Keytab
from dirbridge.contract.errors import ConfigurationError, CredentialError, DirbridgeError, TransientError
from tests.connectors.ad.conftest import PASSWORD, READER, Follower, signed_in, values_for
from tests.connectors.ad.test_source_refused import cutting_proxy
from tests.fixtures.controllers import Pair

pytestmark = [pytest.mark.samba, pytest.mark.xdist_group("controllers"), pytest.mark.timeout(180)]

FAKETIME = "/usr/lib/x86_64-linux-gnu/faketime/libfaketime.so.1"


@pytest.fixture(scope="session")
def values(readable: Pair, tmp_path_factory: pytest.TempPathFactory) -> dict[str, Any]:
    """Settings of the first domain controller, with a password."""
    file = tmp_path_factory.mktemp("account") / "password"
    file.touch(mode=0o600)
    file.write_text(PASSWORD + "\n")
    return {
        "name": readable.one.realm,
        "servers": [readable.one.ldaps_url],
        "ca_file": str(readable.ca_file),
        "user": f"{READER}@{readable.one.realm}",
        "password_file": str(file),
        "connect_timeout": "5s",
    }


@pytest_asyncio.fixture(scope="session", loop_scope="session")
async def keyed(readable: Pair, values: dict[str, Any], tmp_path_factory: pytest.TempPathFactory) -> dict[str, Any]:
    """The same with a keytab."""
    file = tmp_path_factory.mktemp("keys") / "svc.keytab"
    await readable.one.export_keys(READER, file)
    await readable.one.register(f"ldap/{readable.one.address}")
    kept = {name: value for name, value in values.items() if name != "password_file"}
    return {**kept, "keytab_file": str(file)}


async def account(pair: Pair, keyed: dict[str, Any], folder: Path, name: str) -> dict[str, Any]:
    """Settings with an account, and a keytab, of their own."""
    file = folder / f"{name}.keytab"
    await pair.one.create_user(name, PASSWORD)
    await pair.one.export_keys(name, file)
    return {**keyed, "user": f"{name}@{pair.one.realm}", "keytab_file": str(file)}


def start_tls(pair: Pair) -> list[str]:
    return [f"ldap://{pair.one.address}"]


async def read(values: dict[str, Any]) -> set[str]:
    """Names of what a full read shows."""
    seen = await Follower(ActiveDirectorySource(ad_settings.parse(values))).next()
    return {entry.name for entry in seen.entries.values()}


async def failure(values: dict[str, Any]) -> DirbridgeError:
    with pytest.raises(DirbridgeError) as caught:
        await read(values)
    return caught.value


async def test_start_tls(readable: Pair, values: dict[str, Any]) -> None:
    """At the port without TLS, which a simple bind is refused at."""
    assert READER in await read({**values, "servers": start_tls(readable)})


async def test_start_tls_verifies_the_server(readable: Pair, values: dict[str, Any], tmp_path: Path) -> None:
    """As LDAPS does: the authority, and the name."""
    other = Authority(tmp_path / "other")
    error = await failure({**values, "servers": start_tls(readable), "ca_file": str(other.ca_file)})
    assert error.code == "UnknownCertificateAuthority"


@pytest.mark.parametrize(
    ("answer", "words"),
    [
        (b"\x30\x0c\x02\x01\x01\x78\x07\x0a\x01\x34\x04\x00\x04\x00", "answered StartTLS with 52"),
        (b"HTTP/1.1 400 Bad Request\r\n\r\n", "does not speak LDAP"),
        (b"", "ended the TLS handshake"),
    ],
)
async def test_nothing_is_said_to_who_does_not_start_tls(values: dict[str, Any], answer: bytes, words: str) -> None:
    """A man in the middle who takes TLS away gets neither name nor password."""
    heard = bytearray()

    async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        heard.extend(await reader.read(1000))
        writer.write(answer)
        writer.write_eof()
        heard.extend(await reader.read())
        writer.close()

    server = await asyncio.start_server(serve, "127.0.0.1", 0)
    async with server:
        port = server.sockets[0].getsockname()[1]
        error = await failure({**values, "servers": [f"ldap://127.0.0.1:{port}"]})
    assert error.code == "TlsFailed"
    assert words in error.reason
    assert bytes(heard) == b"\x30\x1d\x02\x01\x01\x77\x18\x80\x161.3.6.1.4.1.1466.20037"


@pytest.mark.parametrize("scheme", ["ldaps", "ldap"])
async def test_keytab_in_place_of_a_password(readable: Pair, keyed: dict[str, Any], scheme: str) -> None:
    """Over LDAPS and over StartTLS, without a krb5.conf, without a ticket that somebody got before."""
    assert READER in await read({**keyed, "servers": [f"{scheme}://{readable.one.address}"]})


async def test_keys_of_before_a_change_of_password(readable: Pair, keyed: dict[str, Any], tmp_path: Path) -> None:
    """One attempt, no more: a locked account would be worse. A keytab that was exported anew is used at once."""
    domain = readable.one
    values = await account(readable, keyed, tmp_path, "svc-new")
    with signed_in(domain) as admin:
        dn = f"CN=svc-new,CN=Users,{domain.base_dn}"
        admin.replace(domain.base_dn, lockoutThreshold="10")
        admin.replace(dn, unicodePwd='"Other-word.2"'.encode("utf-16-le"))
        follower = Follower(ActiveDirectorySource(ad_settings.parse(values)))
        for _ in range(3):
            with pytest.raises(CredentialError) as caught:
                await follower.next()
            assert caught.value.code == "KeytabOutdated"
        assert admin.value(dn, "badPwdCount") in {b"1", b"2"}
    Path(values["keytab_file"]).unlink()
    await domain.export_keys("svc-new", Path(values["keytab_file"]))
    assert (await follower.next()).entries


async def test_disabled_account(readable: Pair, keyed: dict[str, Any], tmp_path: Path) -> None:
    values = await account(readable, keyed, tmp_path, "svc-gone")
    with signed_in(readable.one) as admin:
        admin.replace(f"CN=svc-gone,CN=Users,{admin.base}", userAccountControl="514")
    error = await failure(values)
    assert isinstance(error, CredentialError)
    assert error.code == "AccountDisabled"


async def test_server_that_gives_no_service_by_that_name_or_in_tls(readable: Pair, keyed: dict[str, Any]) -> None:
    """There is no ticket for an alias; and Samba's default is to take none inside of TLS. What to do is told."""
    values = {**keyed, "servers": [readable.two.ldaps_url]}
    error = await failure(values)
    assert isinstance(error, ConfigurationError)
    assert error.code == "ServicePrincipalUnknown"
    await readable.two.register(f"ldap/{readable.two.address}")
    error = await failure(values)
    assert isinstance(error, ConfigurationError)
    assert error.code == "SigningRequired"
    assert "allow_sasl_over_tls" in error.recommended_action


async def test_port_of_kerberos_is_closed(readable: Pair, keyed: dict[str, Any]) -> None:
    """LDAPS alone is not enough."""
    async with cutting_proxy(readable.one.address, 10**9) as port:
        error = await failure({**keyed, "servers": [f"ldaps://localhost:{port}"]})
    assert isinstance(error, TransientError)
    assert error.code == "KdcUnreachable"


CHECK = """
import asyncio, json, sys
from pathlib import Path
from dirbridge.connectors.ad import settings
from dirbridge.connectors.ad.source import ActiveDirectorySource
values, clock, *offsets = sys.argv[1:]
source = ActiveDirectorySource(settings.parse(json.loads(values)))
for offset in offsets:
    Path(clock).write_text(offset)
    report = asyncio.run(source.check())
    print(json.dumps({one.name: [one.outcome, one.code, one.finding] for one in report.findings}))
"""


async def check(values: dict[str, Any], folder: Path, *offsets: str) -> list[dict[str, list[str]]]:
    """Findings of a process whose clock is moved before each check."""
    clock = folder / "clock"
    clock.write_text(offsets[0])
    process = await asyncio.create_subprocess_exec(
        *("env", f"LD_PRELOAD={FAKETIME}", f"FAKETIME_TIMESTAMP_FILE={clock}", "FAKETIME_NO_CACHE=1"),
        *("FAKETIME_DONT_FAKE_MONOTONIC=1", sys.executable, "-c", CHECK, json.dumps(values), str(clock), *offsets),
        stdout=asyncio.subprocess.PIPE,
    )
    said, _ = await asyncio.wait_for(process.communicate(), 60)
    return [json.loads(line) for line in said.splitlines()]


async def test_skewed_clock(keyed: dict[str, Any], tmp_path: Path) -> None:
    """An hour ahead: told, while Kerberos goes by the domain controller's clock."""
    (findings,) = await check(keyed, tmp_path, "+1h")
    assert findings["connection"][0] == "pass"
    assert findings["clock"][:2] == ["warn", "ClockSkewed"]


async def test_ticket_is_replaced_before_it_ends(keyed: dict[str, Any], monkeypatch: pytest.MonkeyPatch) -> None:
    """An agent that runs for days signs in with the keys again, by itself; until then one ticket does."""
    source = ActiveDirectorySource(ad_settings.parse(keyed))
    fingerprint = Keytab.read(Path(keyed["keytab_file"]), keyed["user"], ()).fingerprint
    held = []
    for seconds in (600, 600, 11 * 3600):  # a domain controller gives tickets for ten hours
        monkeypatch.setattr(kerberos, "RENEW_BEFORE", seconds)
        assert await source.locate([READER])
        held.append(kerberos._tickets[fingerprint])
    assert held[0] is held[1]
    assert held[1] is not held[2]


@pytest.mark.parametrize(
    ("said", "kind", "code"),
    [
        ("Clock skew too great", ConfigurationError, "ClockSkewed"),
        ("Ticket expired", TransientError, "TicketExpired"),
        ("Client 'svc@CONTOSO.TEST' not found in Kerberos database", CredentialError, "InvalidCredentials"),
        ("Server ldap/dc1@CONTOSO.TEST not found in Kerberos database", ConfigurationError, "ServicePrincipalUnknown"),
        ("KDC has no support for encryption type", ConfigurationError, "EncryptionTypeRefused"),
        ("Something else", TransientError, "KerberosFailed"),
    ],
)
def test_every_complaint_has_its_words(keyed: dict[str, Any], said: str, kind: type, code: str) -> None:
    """As libkrb5 writes them."""
    error = kerberos_failures.explain(ad_settings.parse(keyed), keyed["servers"][0], said)
    assert type(error) is kind
    assert error.code == code
    assert error.recommended_action


async def test_keytab_is_checked(keyed: dict[str, Any], tmp_path: Path) -> None:
    """Whose keys they are, and who may read them, is told at the start; a password beside it is one too many."""
    file = tmp_path / "svc.keytab"
    file.touch(mode=0o600)
    whole = Path(keyed["keytab_file"]).read_bytes()
    for content, words in (
        (b"", "is no keytab"),
        (whole[:-3], "is cut short"),
        (whole[:2] + b"\x00\x00\x00\x02\xff\xff", "is damaged"),
        (whole[:2], "has keys of nobody"),
    ):
        file.write_bytes(content)
        with pytest.raises(ConfigurationError, match=words):
            ad_settings.parse({**keyed, "keytab_file": str(file)})
    with pytest.raises(ConfigurationError, match=f"it has keys of {READER}@CONTOSO.TEST"):
        ad_settings.parse({**keyed, "user": "other@contoso.test"})
    with pytest.raises(ConfigurationError, match="either password_file or keytab_file"):
        ad_settings.parse({name: value for name, value in keyed.items() if name != "keytab_file"})
    file.write_bytes(whole)
    file.chmod(0o640)
    with pytest.raises(ConfigurationError, match="mode 0640"):
        ad_settings.parse({**keyed, "keytab_file": str(file)})


async def test_one_agent_reads_two_forests(pair: Pair, keyed: dict[str, Any], tmp_path: Path) -> None:
    """Each with servers, authority and account of its own; one that is away holds up no other."""
    async with Domain("fabrikam.test", "FABRIKAM") as other:
        await other.create_user("svc-other", PASSWORD)
        theirs = values_for(other, tmp_path, "svc-other")
        file = tmp_path / "agent.toml"
        tables = [
            "\n".join(f"{name} = {json.dumps(value)}" for name, value in each.items()) for each in (keyed, theirs)
        ]
        file.write_text("".join(f"[[domain]]\n{table}\n" for table in tables))
        contoso, fabrikam = [each.source() for each in agent_settings.load(file).domains]
        for _ in range(2):
            found = await asyncio.gather(contoso.locate([READER]), fabrikam.locate(["svc-other"]))
            assert [one.shown.partition(",")[2] for (one,) in found] == [
                "CN=Users,DC=contoso,DC=test",
                "CN=Users,DC=fabrikam,DC=test",
            ]
        await pair.one.halt()
        ours, others = await asyncio.gather(
            contoso.locate([READER]), fabrikam.locate(["svc-other"]), return_exceptions=True
        )
        assert isinstance(ours, TransientError)
        assert not isinstance(others, BaseException)
