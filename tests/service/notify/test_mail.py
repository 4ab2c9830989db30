"""A mail arrives over TLS with a signed-in user, or it is said why not; against a real SMTP server."""

import time
from datetime import UTC, datetime, timedelta
from typing import Any
from uuid import UUID

import pytest

from dirbridge.contract.errors import ConfigurationError, DirbridgeError, TransientError
from dirbridge.service.notify import mail
from dirbridge.service.notify.faults import NotDelivered
from dirbridge.service.notify.wording import Wording
from dirbridge.service.outgoing import Outgoing
from tests.service.notify.parts import SENDER, USER, Certificates, Mailbox, mail_server, server_at

ID = UUID("0195f0c8-0000-7000-8000-000000000001")
AT = datetime(2026, 3, 1, 12, tzinfo=UTC)
WORDING = Wording("[dirbridge] contoso.test is in\n quarantine – Zoë", "Plain – Zoë\n", "<p>Rich – Zoë</p>\n")
OPS = "ops@contoso.test"


async def send(port: int, certificates: Certificates, **changed: Any) -> str:
    server = server_at(port, certificates.trusted(), **changed)
    return await mail.send(server, OPS, mail.compose(server, ID, OPS, WORDING, AT))


@pytest.mark.parametrize("implicit_tls", [False, True], ids=["starttls", "tls"])
async def test_a_mail_arrives_encrypted_and_signed_in(certificates: Certificates, implicit_tls: bool) -> None:
    """In both forms, under an id of ours, with the server's answer given back."""
    async with mail_server(certificates.shown(), implicit_tls=implicit_tls) as box:
        assert await send(box.port, certificates, implicit_tls=implicit_tls) == "queued as 42"
    ((sender, recipients, got),) = box.mails
    assert (sender, recipients, box.users) == (SENDER, [OPS], [USER])
    assert implicit_tls or box.encrypted == [True]
    assert (got["From"], got["To"]) == (f"dirbridge <{SENDER}>", OPS)
    assert got["Subject"] == "[dirbridge] contoso.test is in quarantine – Zoë"
    assert got["Message-ID"] == f"<{ID}@sync.contoso.test>"
    assert got["Auto-Submitted"] == "auto-generated"
    assert got["Date"].datetime == AT
    bodies = [part.get_content().replace("\r\n", "\n") for part in got.iter_parts()]
    assert (got.get_content_type(), bodies) == ("multipart/alternative", [WORDING.plain, WORDING.html])


async def test_a_server_that_asks_for_no_user_gets_none(certificates: Certificates) -> None:
    """A relay that knows us by our address."""
    async with mail_server(certificates.shown(), login=False) as box:
        await send(box.port, certificates, user="", password="")
    assert (len(box.mails), box.users) == (1, [])


async def fails(box: Mailbox, certificates: Certificates, **changed: Any) -> DirbridgeError:
    with pytest.raises(DirbridgeError) as caught:
        await send(box.port, certificates, **changed)
    assert box.mails == []
    return caught.value


async def test_nothing_is_sent_in_the_clear(certificates: Certificates) -> None:
    """A server without STARTTLS, or somebody on the way who hides it, gets neither mail nor password."""
    async with mail_server(None, login=False) as box:
        error = await fails(box, certificates)
    assert isinstance(error, NotDelivered)
    assert "STARTTLS" in error.reason
    assert box.users == []


async def test_a_wrong_password_is_told_with_the_servers_words(certificates: Certificates) -> None:
    """It can be mended, so it is tried again; the password is in no message."""
    async with mail_server(certificates.shown()) as box:
        error = await fails(box, certificates, password="wrong battery")
    assert isinstance(error, NotDelivered)
    assert (error.final, "refused the user 'dirbridge': 535" in error.reason) == (False, True)
    assert "battery" not in str(error)


@pytest.mark.parametrize("implicit_tls", [False, True], ids=["starttls", "tls"])
async def test_a_certificate_of_another_host_ends_it(certificates: Certificates, implicit_tls: bool) -> None:
    """Before anything is said that matters."""
    async with mail_server(certificates.shown("other.test"), implicit_tls=implicit_tls) as box:
        error = await fails(box, certificates, implicit_tls=implicit_tls)
    assert (error.code, "not valid for 'localhost'" in error.reason) == ("TlsFailed", True)


async def test_an_authority_nobody_trusts_ends_it(certificates: Certificates, tmp_path: Any) -> None:
    """The server's certificate is of another authority than the one that is trusted."""
    (tmp_path / "other").mkdir()
    stranger = Certificates(tmp_path / "other")
    async with mail_server(stranger.shown()) as box:
        error = await fails(box, certificates)
    assert error.code == "TlsFailed"


async def test_a_port_that_refuses_is_told(certificates: Certificates) -> None:
    """With host and port."""
    async with mail_server(certificates.shown()) as box:
        pass
    error = await fails(box, certificates)
    assert (type(error), error.code) == (TransientError, "HostUnreachable")
    assert f"localhost, port {box.port}, cannot be reached" in error.reason


async def test_a_server_that_falls_silent_is_left(certificates: Certificates) -> None:
    """The time limit is for the whole mail."""
    async with mail_server(certificates.shown()) as box:
        box.silent = True
        began = time.monotonic()
        error = await fails(box, certificates, timeout=timedelta(seconds=1))
    assert (error.code, time.monotonic() - began < 4) == ("TimeOut", True)


async def test_a_connection_that_is_cut_is_tried_again(certificates: Certificates) -> None:
    """Nobody knows whether the mail was taken; its id tells a repetition."""
    async with mail_server(certificates.shown()) as box:
        box.cut = True
        error = await fails(box, certificates)
    assert isinstance(error, TransientError)


@pytest.mark.parametrize(
    ("where", "answer", "final", "said"),
    [
        ("rcpt_answer", "550 no such user", True, "refused mail to ops@contoso.test: 550 no such user"),
        ("rcpt_answer", "451 greylisted", False, "refused mail to ops@contoso.test: 451 greylisted"),
        ("data_answer", "554 looks like spam", True, "refused the mail: 554 looks like spam"),
        ("data_answer", "452 disk full", False, "refused the mail: 452 disk full"),
    ],
)
async def test_the_servers_word_decides_whether_it_is_tried_again(
    certificates: Certificates, where: str, answer: str, final: bool, said: str
) -> None:
    """5yz is its last word, 4yz is not."""
    async with mail_server(certificates.shown()) as box:
        setattr(box, where, answer)
        error = await fails(box, certificates)
    assert isinstance(error, NotDelivered)
    assert (error.final, said in error.reason) == (final, True)


async def test_loopback_is_refused_unless_it_is_allowed(certificates: Certificates) -> None:
    """Before a connection is made."""
    async with mail_server(certificates.shown()) as box:
        error = await fails(box, certificates, outgoing=Outgoing())
    assert (type(error), error.code) == (ConfigurationError, "AddressNotAllowed")
    assert "DIRBRIDGE_OUTGOING_NETWORKS" in error.recommended_action
