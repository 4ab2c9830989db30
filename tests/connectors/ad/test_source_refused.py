"""What stands in the way of reading is said in plain words, and loses nothing."""

from __future__ import annotations

import asyncio
import socket
import ssl
import threading
import time
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager, contextmanager, suppress
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import ldap
import pytest

from dirbridge.cli.demo.authority import Authority
from dirbridge.cli.demo.domain import Domain
from dirbridge.connectors.ad import directory as ad_directory
from dirbridge.connectors.ad import dirsync, watermark
from dirbridge.connectors.ad import settings as ad_settings
from dirbridge.connectors.ad.directory import Directory
from dirbridge.connectors.ad.entries import Plan
from dirbridge.connectors.ad.source import ActiveDirectorySource
from dirbridge.connectors.ldap_wire.connection import Connection, Found, Search
from dirbridge.connectors.ldap_wire.failures import explain
from dirbridge.connectors.ldap_wire.signing_in import REFUSAL_LASTS
from dirbridge.contract.entry import Watermark
from dirbridge.contract.errors import (
    ConfigurationError,
    CredentialError,
    DirbridgeError,
    TransientError,
    WatermarkExpired,
)
from tests.connectors.ad.conftest import PASSWORD, SELECTION, Admin, Follower, filetime, rdn, values_for

pytestmark = pytest.mark.samba


async def failure(values: dict[str, Any]) -> DirbridgeError:
    """What a full read with these settings ends in."""
    with pytest.raises(DirbridgeError) as caught:
        await Follower(ActiveDirectorySource(ad_settings.parse(values))).next()
    return caught.value


async def account(domain: Domain, folder: Path, name: str) -> dict[str, Any]:
    await domain.create_user(name, PASSWORD)
    return values_for(domain, folder, name)


async def test_wrong_password_is_tried_once(domain: Domain, admin: Admin, tmp_path: Path) -> None:
    """Not again by itself: the account must not be locked. A new password is tried at once, time heals too."""
    admin.replace(admin.base, lockoutThreshold="10")  # without a threshold failed sign-ins are not counted
    values = await account(domain, tmp_path, "svc-wrong")
    good = Path(values["password_file"]).read_text()
    Path(values["password_file"]).write_text("Wrong-word.1\n")
    now = [0.0]
    follower = Follower(ActiveDirectorySource(ad_settings.parse(values), clock=lambda: now[0]))
    for _ in range(3):
        with pytest.raises(CredentialError, match=r"refused the account svc-wrong@contoso.test: .* password is wrong"):
            await follower.next()
    dn = f"CN=svc-wrong,CN=Users,{admin.base}"
    assert admin.value(dn, "badPwdCount") == b"1"
    now[0] = REFUSAL_LASTS.total_seconds() + 1
    with pytest.raises(CredentialError):
        await follower.next()
    assert admin.value(dn, "badPwdCount") == b"2"
    Path(values["password_file"]).write_text(good)
    assert (await follower.next()).entries


async def test_refused_account_is_tried_once_however_many_read(domain: Domain, admin: Admin, tmp_path: Path) -> None:
    """Jobs and checks that come at the same moment wait for the first one's sign-in."""
    admin.replace(admin.base, lockoutThreshold="10")
    values = await account(domain, tmp_path, "svc-many")
    Path(values["password_file"]).write_text("Wrong-word.1\n")
    source = ActiveDirectorySource(ad_settings.parse(values))
    ends = await asyncio.gather(*(Follower(source).next() for _ in range(5)), return_exceptions=True)
    assert [type(end) for end in ends] == [CredentialError] * 5
    assert admin.value(f"CN=svc-many,CN=Users,{admin.base}", "badPwdCount") == b"1"


async def test_refused_account_is_not_tried_at_the_next_server(domain: Domain, admin: Admin, tmp_path: Path) -> None:
    """Three servers of one domain would be three failed sign-ins."""
    admin.replace(admin.base, lockoutThreshold="10")
    values = await account(domain, tmp_path, "svc-thrice")
    Path(values["password_file"]).write_text("Wrong-word.1\n")
    values["servers"] = values["servers"] * 3
    assert (await failure(values)).code == "InvalidCredentials"
    assert admin.value(f"CN=svc-thrice,CN=Users,{admin.base}", "badPwdCount") == b"1"


@pytest.mark.parametrize(
    ("name", "change", "code"),
    [
        ("svc-off", {"userAccountControl": "514"}, "AccountDisabled"),
        ("svc-over", {"accountExpires": filetime(-1)}, "AccountExpired"),
        ("svc-new", {"pwdLastSet": "0"}, "PasswordMustChange"),
    ],
)
async def test_account_that_may_not_sign_in_is_told_why(
    domain: Domain, admin: Admin, tmp_path: Path, name: str, change: dict[str, str], code: str
) -> None:
    """Disabled, expired, must change its password: each in its own words."""
    values = await account(domain, tmp_path, name)
    admin.replace(f"CN={name},CN=Users,{admin.base}", **change)
    error = await failure(values)
    assert isinstance(error, CredentialError)
    assert error.code == code
    assert error.recommended_action


@pytest.mark.parametrize(
    ("data", "code"),
    [
        ("52e", "InvalidCredentials"),
        ("525", "InvalidCredentials"),
        ("530", "LogonHoursRestricted"),
        ("531", "WorkstationRestricted"),
        ("532", "PasswordExpired"),
        ("533", "AccountDisabled"),
        ("701", "AccountExpired"),
        ("773", "PasswordMustChange"),
        ("775", "AccountLocked"),
        ("80090346", "ChannelBindingRequired"),
        ("fff", "InvalidCredentials"),
    ],
)
def test_every_reason_behind_error_49_has_its_words(values: dict[str, Any], data: str, code: str) -> None:
    """As Windows writes them."""
    info = f"80090308: LdapErr: DSID-0C09044E, comment: AcceptSecurityContext error, data {data}, v2580"
    error = explain(
        ldap.INVALID_CREDENTIALS({"desc": "Invalid credentials", "info": info}),
        ad_settings.parse(values),
        values["servers"][0],
    )
    assert isinstance(error, CredentialError)
    assert error.code == code


@pytest.mark.parametrize(
    ("raised", "kind", "code"),
    [
        (ldap.STRONG_AUTH_REQUIRED, ConfigurationError, "SigningRequired"),
        (ldap.INSUFFICIENT_ACCESS, ConfigurationError, "InsufficientRights"),
        (ldap.REFERRAL, ConfigurationError, "WrongNamingContext"),
        (ldap.SIZELIMIT_EXCEEDED, TransientError, "ReadCutShort"),
        (ldap.TIMELIMIT_EXCEEDED, TransientError, "ReadCutShort"),
        (ldap.ADMINLIMIT_EXCEEDED, TransientError, "ReadCutShort"),
        (ldap.BUSY, TransientError, "LdapError"),
    ],
)
def test_every_failed_read_is_an_error(values: dict[str, Any], raised: Any, kind: type, code: str) -> None:
    """No cap and no referral is taken for an answer."""
    error = explain(raised({"desc": "d", "info": "i"}), ad_settings.parse(values), "ldaps://dc:636")
    assert type(error) is kind
    assert error.code == code


async def test_unknown_authority(values: dict[str, Any], tmp_path: Path) -> None:
    values["ca_file"] = str(Authority(tmp_path / "other").ca_file)
    error = await failure(values)
    assert isinstance(error, ConfigurationError)
    assert error.code == "UnknownCertificateAuthority"
    assert values["ca_file"] in error.reason


async def test_wrong_host_name_and_expired_certificate(values: dict[str, Any], tmp_path: Path) -> None:
    """Told apart, though libldap calls both `SERVER_DOWN`."""
    authority = Authority(tmp_path / "own")
    values["ca_file"] = str(authority.ca_file)
    cases = {
        "CertificateWrongHost": authority.issue(["dc9.contoso.test"], stem="other"),
        "CertificateExpired": authority.issue(
            ["127.0.0.1"], until=datetime.now(UTC) - timedelta(hours=1), stem="expired"
        ),
        "ConnectionLost": authority.issue(["127.0.0.1"], stem="good"),
    }
    for code, files in cases.items():
        with tls_server(*files) as port:
            values["servers"] = [f"ldaps://127.0.0.1:{port}"]
            assert (await failure(values)).code == code


async def test_port_without_tls(domain: Domain, values: dict[str, Any]) -> None:
    values["servers"] = [f"ldaps://{domain.address}:389"]
    error = await failure(values)
    assert error.code == "TlsFailed"
    assert "389" in error.reason


async def test_nobody_listens(domain: Domain, values: dict[str, Any]) -> None:
    values["servers"] = [f"ldaps://{domain.address}:6"]
    error = await failure(values)
    assert isinstance(error, TransientError)
    assert error.code == "ConnectionRefused"


async def test_unknown_host(values: dict[str, Any]) -> None:
    values["servers"] = ["ldaps://no-such-host.invalid"]
    assert (await failure(values)).code == "HostNotFound"


async def test_server_of_another_domain(values: dict[str, Any]) -> None:
    """The domain controller says whose it is; it is not taken for another's."""
    values["name"] = "fabrikam.test"
    error = await failure(values)
    assert isinstance(error, ConfigurationError)
    assert error.code == "WrongNamingContext"
    assert "DC=contoso,DC=test" in error.reason
    assert "DC=fabrikam,DC=test" in error.reason


async def test_silent_server(domain: Domain, values: dict[str, Any]) -> None:
    """A frozen domain controller accepts connections and says nothing: bounded, while connecting and in an answer."""
    values |= {"connect_timeout": "1s", "answer_timeout": "1s"}
    source = ActiveDirectorySource(ad_settings.parse(values))
    opened = await Directory.open(source._settings, values["servers"][0])
    domain.suspend()
    try:
        began = time.monotonic()
        error = await failure(values)
        assert isinstance(error, TransientError)
        assert error.code == "DomainControllerSilent"
        with pytest.raises(TransientError) as caught:
            async for _ in opened.answer(b"", "(objectClass=user)", ("name",)):
                pass
        assert caught.value.code == "DomainControllerSilent"
        assert time.monotonic() - began < 15
    finally:
        domain.resume()
        await opened.close()


async def test_connection_cut_in_the_middle_of_an_answer(domain: Domain, values: dict[str, Any]) -> None:
    """Whatever byte it breaks at: an error, never a shorter answer."""
    for limit in (3_000, 10_000, 30_000, 60_000):
        async with cutting_proxy(domain.address, limit) as port:
            values["servers"] = [f"ldaps://localhost:{port}"]
            error = await failure(values)
            assert isinstance(error, TransientError), error
            assert error.code in {"ConnectionLost", "ConnectionRefused", "Unreachable", "TlsFailed"}


async def test_account_without_right_on_deleted_objects(domain: Domain, admin: Admin, ou: str, tmp_path: Path) -> None:
    """A full read works; a delta, which would be silent about deletes, is refused with right and remedy."""
    values = await account(domain, tmp_path, "svc-plain")
    follower = Follower(ActiveDirectorySource(ad_settings.parse(values)))
    assert (await follower.next()).entries
    with pytest.raises(ConfigurationError) as caught:
        await follower.next()
    assert caught.value.code == "NoRightOnDeletedObjects"
    assert "dsacls" in caught.value.recommended_action
    report = {finding.name: finding for finding in (await follower.source.check()).findings}
    assert report["connection"].outcome == "pass"
    assert report["deleted-objects"].outcome == "fail"
    assert "CN=Deleted Objects,DC=contoso,DC=test" in report["deleted-objects"].remedy

    allowed = Follower(
        ActiveDirectorySource(ad_settings.parse(values | {"allow_without_deleted_objects": True})),
        watermark=follower.watermark,
    )
    ann, gone = admin.user(ou, "Ann"), admin.user(ou, "Gone")
    await allowed.next()
    admin.delete(rdn("Gone", ou))
    admin.replace(rdn("Ann", ou), title="new")
    seen = await allowed.next()
    assert set(seen.entries) == {ann}
    assert gone not in seen.deleted
    assert (await allowed.read(gone)).not_visible == {gone}


async def test_check_of_a_good_account_passes(source: ActiveDirectorySource) -> None:
    findings = (await source.check()).findings
    assert {finding.name for finding in findings} == {
        "connection", "changes", "deleted-objects", "clock", "privileges", "notification",
    }  # fmt: skip
    assert {finding.outcome for finding in findings} == {"pass"}


async def test_check_warns_of_an_administrator(domain: Domain, tmp_path: Path) -> None:
    """More than reading needs is named."""
    values = values_for(domain, tmp_path, "Administrator", domain.admin_password)
    report = {
        finding.name: finding for finding in (await ActiveDirectorySource(ad_settings.parse(values)).check()).findings
    }
    assert report["privileges"].outcome == "warn"
    assert "Domain Admins" in report["privileges"].finding


async def test_check_of_a_domain_out_of_reach_is_a_finding(domain: Domain, values: dict[str, Any]) -> None:
    values["servers"] = [f"ldaps://{domain.address}:6"]
    (finding,) = (await ActiveDirectorySource(ad_settings.parse(values)).check()).findings
    assert finding.outcome == "fail"
    assert finding.remedy


def position(values: dict[str, Any], **changes: Any) -> watermark.Position:
    settings = ad_settings.parse(values)
    given = {"cookie": b"", "taken": datetime.now(UTC), "usn": 0, "digest": Plan(settings, SELECTION).digest}
    return watermark.Position(**{**given, **changes})


@pytest.mark.parametrize("cookie", [b"junk", b"MSDS\x03\x00\x00\x00"])
async def test_cookie_that_the_server_does_not_take(values: dict[str, Any], follower: Follower, cookie: bytes) -> None:
    """Whatever the server's word for it: only a full read leads on."""
    assert follower.watermark is not None
    follower.watermark = Watermark(follower.watermark.replica, watermark.pack(position(values, cookie=cookie)))
    with pytest.raises(WatermarkExpired, match="does not take the watermark"):
        await follower.next()


async def test_damaged_watermark_is_noticed_here(follower: Follower) -> None:
    """Samba takes some damaged cookies for empty ones, so each byte is checked before it is sent."""
    assert follower.watermark is not None
    whole = follower.watermark
    for damaged in (
        whole.position[:-1],
        whole.position[:40],
        b"",
        b"\x00" * 100,
        whole.position[:60] + b"\xff" + whole.position[61:],
    ):
        follower.watermark = Watermark(whole.replica, damaged)
        with pytest.raises(WatermarkExpired):
            await follower.next()
    follower.watermark = whole
    assert (await follower.next()).idle


async def test_old_watermark_is_expired(values: dict[str, Any], follower: Follower) -> None:
    """Half the tombstone lifetime (180 days here) by the domain controller's clock: deletes may be forgotten."""
    assert follower.watermark is not None
    replica = follower.watermark.replica
    good = watermark.unpack(follower.watermark.position)
    for days, expired in ((89, False), (91, True)):
        old = watermark.Position(good.cookie, datetime.now(UTC) - timedelta(days=days), good.usn, good.digest)
        follower.watermark = Watermark(replica, watermark.pack(old))
        if expired:
            with pytest.raises(WatermarkExpired, match="90 days"):
                await follower.next()
        else:
            assert (await follower.next()).idle


async def test_changed_account_policy_or_selection_expires_the_watermark(
    domain: Domain, values: dict[str, Any], follower: Follower, tmp_path: Path
) -> None:
    """Another account may see other things; another attribute was never read."""
    other = await account(domain, tmp_path, "svc-other")
    narrower = values | {"exclude_attributes": ["title"]}
    hiding = values | {"exclude_containers": [f"CN=Users,{domain.base_dn}"]}
    for changed in (other, narrower, hiding):
        with pytest.raises(WatermarkExpired, match="have changed"):
            await Follower(ActiveDirectorySource(ad_settings.parse(changed)), watermark=follower.watermark).next()
    wider = SELECTION.__class__({"user": (*SELECTION.attributes["user"], "mail")})
    with pytest.raises(WatermarkExpired, match="have changed"):
        await Follower(follower.source, wider, follower.watermark).next()


async def test_server_that_never_gets_on(follower: Follower, monkeypatch: pytest.MonkeyPatch) -> None:
    """The same cookie and a promise of more, for ever: an error, and no watermark."""
    response = dirsync.response

    monkeypatch.setattr(dirsync, "response", lambda value: response(value)._replace(more=True))
    with pytest.raises(TransientError) as caught:
        await follower.next()
    assert caught.value.code == "NoProgress"


async def test_list_that_never_stands_still(follower: Follower, admin: Admin, ou: str, monkeypatch: Any) -> None:
    """Values move up while they are read: started afresh, and given up in the end, never a list with a gap."""
    asked = 0

    async def shifting(self: Any, anchor: str, attribute: str, start: int) -> tuple[list[bytes], bool]:
        nonlocal asked
        asked += 1
        first = start + asked
        return [f"<GUID=00000000-0000-4000-8000-{first + at:012d}>;CN=x".encode() for at in range(10)], False

    group = admin.group(ou, "Group")
    monkeypatch.setattr(ad_directory.Directory, "_values", shifting)
    with pytest.raises(TransientError) as caught:
        await follower.read(group)
    assert caught.value.code == "ListKeptChanging"


async def test_short_range_is_a_failed_read(follower: Follower, admin: Admin, ou: str, monkeypatch: Any) -> None:
    """Fewer values than announced: no list at all rather than a short one."""
    group = admin.group(ou, "Group")
    search = Connection.search

    async def short(self: Any, question: Search) -> list[Found]:
        found = await search(self, question)
        if any("range=" in name for name in question.attributes):
            return [(found[0][0], {"member;range=0-1499": [b"<GUID=00000000-0000-4000-8000-000000000001>;CN=x"]})]
        return found

    monkeypatch.setattr(Connection, "search", short)
    with pytest.raises(TransientError) as caught:
        await follower.read(group)
    assert caught.value.code == "ShortRange"


@contextmanager
def tls_server(certificate: Path, key: Path) -> Iterator[int]:
    """A server that shakes hands and hangs up."""
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(certificate, key)
    listener = socket.create_server(("127.0.0.1", 0))
    listener.settimeout(0.2)
    done = threading.Event()

    def serve() -> None:
        while not done.is_set():
            try:
                plain, _ = listener.accept()
            except TimeoutError:
                continue
            with plain:
                plain.settimeout(5)
                try:
                    context.wrap_socket(plain, server_side=True).close()
                except OSError:
                    continue

    thread = threading.Thread(target=serve)
    thread.start()
    try:
        yield listener.getsockname()[1]
    finally:
        done.set()
        thread.join()
        listener.close()


@asynccontextmanager
async def cutting_proxy(address: str, limit: int) -> AsyncIterator[int]:
    """Passes on so many bytes of the domain controller's, then cuts the line, and every later one at once."""
    left = limit
    lines: list[asyncio.Task[None]] = []

    async def carry(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        with suppress(OSError):
            while data := await reader.read(4096):
                writer.write(data)
                await writer.drain()

    async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        nonlocal left
        there_reader, there_writer = await asyncio.open_connection(address, 636)
        forth = asyncio.create_task(carry(reader, there_writer))
        try:
            with suppress(OSError):
                while left > 0 and (data := await there_reader.read(512)):
                    writer.write(data[:left])
                    left -= len(data)
                    await writer.drain()
        finally:
            forth.cancel()
            await asyncio.gather(forth, return_exceptions=True)
            for one in (writer, there_writer):
                one.close()
                with suppress(OSError):
                    await one.wait_closed()

    def accept(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        lines.append(asyncio.create_task(serve(reader, writer)))

    server = await asyncio.start_server(accept, "127.0.0.1", 0)
    try:
        yield server.sockets[0].getsockname()[1]
    finally:
        server.close()
        for line in lines:
            line.cancel()
        await asyncio.gather(*lines, return_exceptions=True)
