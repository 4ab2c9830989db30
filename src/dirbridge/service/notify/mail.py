"""One mail to one mailbox by SMTP, always over TLS.

Source: RFC 5321 (SMTP), RFC 3207 (STARTTLS), RFC 8314 (implicit TLS), RFC 4954 (AUTH), RFC 3834 (automatic messages).
"""

from __future__ import annotations

import asyncio
import contextlib
import ssl
from dataclasses import dataclass
from datetime import datetime, timedelta
from email.headerregistry import Address
from email.message import EmailMessage
from email.policy import SMTP as SMTP_POLICY
from email.utils import format_datetime
from typing import cast
from uuid import UUID

import aiosmtplib

from dirbridge.contract.errors import TransientError
from dirbridge.service import outgoing
from dirbridge.service.notify.faults import NotDelivered
from dirbridge.service.notify.wording import Wording
from dirbridge.service.outgoing import Outgoing

_CHANGE = "Correct DIRBRIDGE_SMTP_USER and DIRBRIDGE_SMTP_PASSWORD."


@dataclass(frozen=True, slots=True)
class MailServer:
    """The server that takes our mail.

    Attributes:
        implicit_tls: TLS from the first byte on; else by STARTTLS, without which nothing is sent.
        user, password: both empty where the server asks for none.
        sender: the mailbox that mails come from.
        name: what we call ourselves; also the right side of message ids.
        timeout: for one mail from connecting to the server's word, in all.
    """

    host: str
    port: int
    implicit_tls: bool
    user: str
    password: str
    sender: str
    name: str
    trust: ssl.SSLContext
    timeout: timedelta
    outgoing: Outgoing


def compose(server: MailServer, id: UUID, recipient: str, wording: Wording, at: datetime) -> EmailMessage:
    """Write a mail. The same id gives the same Message-ID, by which mailboxes know a repetition."""
    mail = EmailMessage(policy=SMTP_POLICY)
    mail["From"] = Address(display_name="dirbridge", addr_spec=server.sender)
    mail["To"] = Address(addr_spec=recipient)
    mail["Subject"] = " ".join(wording.subject.split())
    mail["Date"] = format_datetime(at)
    mail["Message-ID"] = f"<{id}@{server.name}>"
    mail["Auto-Submitted"] = "auto-generated"
    mail.set_content(wording.plain)
    mail.add_alternative(wording.html, subtype="html")
    return mail


async def send(server: MailServer, recipient: str, mail: EmailMessage) -> str:
    """Hand a mail to the server.

    Returns:
        What the server said.

    Raises:
        NotDelivered: it did not take it.
        ConfigurationError, TransientError: it could not be asked.
    """
    try:
        async with asyncio.timeout(server.timeout.total_seconds()):
            return await _send(server, recipient, mail)
    except TimeoutError as error:
        raise TransientError(
            f"The mail server {server.host} did not take the mail within {server.timeout.total_seconds():g} seconds.",
            code="TimeOut",
            recommended_action="See that it runs, and that nothing on the way holds it up.",
        ) from error


async def _send(server: MailServer, recipient: str, mail: EmailMessage) -> str:
    client = aiosmtplib.SMTP(
        hostname=server.host,
        use_tls=server.implicit_tls,
        start_tls=not server.implicit_tls,
        tls_context=server.trust,
        local_hostname=server.name,
        timeout=server.timeout.total_seconds(),
    )
    opened = await server.outgoing.connect(server.host, server.port)
    try:
        await client.connect(sock=opened)
        if server.user:
            await client.login(server.user, server.password)
        _, said = await client.sendmail(server.sender, [recipient], mail.as_bytes())
        await _leave(client)
    except (aiosmtplib.SMTPException, ssl.SSLError, OSError) as error:
        raise _fault(server, recipient, error) from error
    finally:
        if client.transport is not None:
            # TLS's own good-bye could wait for a server that is silent.
            cast("asyncio.WriteTransport", client.transport).abort()
    return " ".join(said.split())[:200]


async def _leave(client: aiosmtplib.SMTP) -> None:
    """Say good-bye; the mail is the server's by now, whatever it answers."""
    with contextlib.suppress(aiosmtplib.SMTPException, OSError, TimeoutError):
        await client.quit(timeout=1)


def _fault(server: MailServer, recipient: str, error: Exception) -> Exception:
    """Say what went wrong. A code of 5yz is the server's last word, 4yz is not (RFC 5321 section 4.2.1)."""
    if (fault := outgoing.tls_fault(server.host, error)) is not None:
        return fault
    match error:
        case aiosmtplib.SMTPAuthenticationError():
            said = _said(error.code, error.message)
            return NotDelivered(
                f"The mail server {server.host} refused the user '{server.user}': {said}.", recommended_action=_CHANGE
            )
        case aiosmtplib.SMTPRecipientsRefused(recipients=[first, *_]):
            return _word(server, f"mail to {recipient}", first.code, first.message)
        case aiosmtplib.SMTPSenderRefused():
            return _word(server, f"mail from {server.sender}", error.code, error.message, final=False)
        case aiosmtplib.SMTPDataError():
            return _word(server, "the mail", error.code, error.message)
        case aiosmtplib.SMTPResponseException():
            return _word(server, "us", error.code, error.message, final=False)
        case aiosmtplib.SMTPServerDisconnected() | aiosmtplib.SMTPConnectError() | OSError():
            return outgoing.unreachable(server.host, server.port, OSError(str(error)))
        case _:
            return NotDelivered(
                f"The mail server {server.host} does not do what is needed: {error}.",
                recommended_action="Use one that offers TLS, and AUTH where a user is set.",
            )


def _word(server: MailServer, what: str, code: int, message: str, *, final: bool = True) -> NotDelivered:
    return NotDelivered(
        f"The mail server {server.host} refused {what}: {_said(code, message)}.",
        recommended_action="Correct the address, or the server's rules." if code >= 500 else "",
        final=final and code >= 500,
    )


def _said(code: int, message: str) -> str:
    return f"{code} {' '.join(message.split())[:200]}".rstrip(" .")
