"""A real mail server and a real receiver of webhooks, both on loopback with TLS, that do as a test tells them."""

import asyncio
import base64
import hashlib
import hmac
import json
import ssl
import warnings
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from datetime import timedelta
from email import message_from_bytes, policy
from email.message import EmailMessage
from ipaddress import ip_network
from pathlib import Path
from typing import Any, cast
from uuid import uuid4

from aiosmtpd.smtp import SMTP, AuthResult, Envelope, LoginPassword, Session

from dirbridge.service.auth.authority import Authority
from dirbridge.service.https import Way
from dirbridge.service.notify.mail import MailServer
from dirbridge.service.outgoing import Outgoing

USER, PASSWORD = "dirbridge", "correct horse"
SENDER = "dirbridge@contoso.test"
LOOPBACK = Outgoing((ip_network("127.0.0.0/8"),))


class Certificates:
    """An authority, and servers' certificates that it issued."""

    def __init__(self, folder: Path) -> None:
        self.authority, _ = Authority.make(uuid4(), "Test")
        self._folder = folder

    def trusted(self) -> ssl.SSLContext:
        """What a client needs that trusts the authority."""
        return ssl.create_default_context(cadata=self.authority.certificate.decode())

    def ca_file(self) -> Path:
        file = self._folder / "ca.pem"
        file.write_bytes(self.authority.certificate)
        return file

    def shown(self, name: str = "localhost") -> ssl.SSLContext:
        """What a server shows that has a certificate of a name."""
        issued = self.authority.issue_server([name])
        file = self._folder / "server.pem"
        file.write_bytes(issued.key + issued.certificate)
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        context.load_cert_chain(file)
        file.unlink()
        return context


@dataclass
class Mailbox:
    """What a mail server was given, and what it answers."""

    port: int = 0
    mails: list[tuple[str, list[str], EmailMessage]] = field(default_factory=list)
    users: list[str] = field(default_factory=list)
    encrypted: list[bool] = field(default_factory=list)
    rcpt_answer: str = "250 OK"
    data_answer: str = "250 queued as 42"
    silent: bool = False
    cut: bool = False

    # aiosmtpd calls these.

    def authenticate(self, _server: Any, _session: Any, _envelope: Any, _mechanism: str, data: Any) -> AuthResult:
        if isinstance(data, LoginPassword) and (data.login, data.password) == (USER.encode(), PASSWORD.encode()):
            self.users.append(data.login.decode())
            return AuthResult(success=True)
        return AuthResult(success=False, handled=False)

    async def handle_RCPT(  # noqa: N802 - the library's name
        self, server: SMTP, _session: Session, envelope: Envelope, address: str, _options: list[str]
    ) -> str:
        if self.silent:
            await asyncio.sleep(60)
        if self.cut:
            assert server.transport is not None
            server.transport.abort()
        if self.rcpt_answer.startswith("250"):
            envelope.rcpt_tos.append(address)
        return self.rcpt_answer

    async def handle_DATA(self, _server: SMTP, session: Session, envelope: Envelope) -> str:  # noqa: N802
        if self.data_answer.startswith("250"):
            content = envelope.content
            assert isinstance(content, bytes)
            mail = cast("EmailMessage", message_from_bytes(content, policy=policy.default))
            self.mails.append((str(envelope.mail_from), list(envelope.rcpt_tos), mail))
            self.encrypted.append(session.ssl is not None)
        return self.data_answer


@asynccontextmanager
async def mail_server(
    shown: ssl.SSLContext | None, *, implicit_tls: bool = False, login: bool = True
) -> AsyncIterator[Mailbox]:
    """Run a mail server; without a certificate it offers no TLS."""
    mailbox = Mailbox()
    loop = asyncio.get_running_loop()
    opened: list[SMTP] = []

    def protocol() -> SMTP:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", UserWarning)  # it does not know that implicit TLS is TLS
            made = SMTP(
                mailbox,
                hostname="mail.test",
                tls_context=None if implicit_tls else shown,
                require_starttls=shown is not None and not implicit_tls,
                authenticator=mailbox.authenticate,
                auth_required=login,
                auth_require_tls=not implicit_tls and login,
                loop=loop,
            )
        opened.append(made)
        return made

    server = await loop.create_server(protocol, "127.0.0.1", 0, ssl=shown if implicit_tls else None)
    mailbox.port = server.sockets[0].getsockname()[1]
    try:
        yield mailbox
    finally:
        server.close()
        for each in opened:
            if each.transport is not None:
                each.transport.abort()
        await server.wait_closed()
        await asyncio.sleep(0)  # what was aborted is closed in the next turn of the loop


def server_at(port: int, trust: ssl.SSLContext, **changed: Any) -> MailServer:
    """The settings that lead to a mail server of ours."""
    values: dict[str, Any] = {
        "host": "localhost", "port": port, "implicit_tls": False, "user": USER, "password": PASSWORD,
        "sender": SENDER, "name": "sync.contoso.test", "trust": trust, "timeout": timedelta(seconds=5),
        "outgoing": LOOPBACK, **changed,
    }  # fmt: skip
    return MailServer(**values)


@dataclass
class Call:
    """One request that a receiver got."""

    path: str
    headers: dict[str, str]
    body: bytes

    @property
    def document(self) -> dict[str, Any]:
        found = json.loads(self.body)
        assert isinstance(found, dict)
        return found

    def is_signed_by(self, key: bytes) -> bool:
        """Check the signature as a receiver does, by the specification's own words."""
        signed = f"{self.headers['webhook-id']}.{self.headers['webhook-timestamp']}.".encode() + self.body
        expected = base64.b64encode(hmac.new(key, signed, hashlib.sha256).digest()).decode()
        return hmac.compare_digest(self.headers["webhook-signature"], f"v1,{expected}")


@dataclass
class Receiver:
    """What a webhook got, and what it answers."""

    port: int = 0
    calls: list[Call] = field(default_factory=list)
    status: str = "204 No Content"
    headers: Sequence[str] = ()
    silent: bool = False
    cut: bool = False

    @property
    def url(self) -> str:
        return f"https://localhost:{self.port}/hook?tenant=1"

    async def serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        try:
            first, *lines = (await reader.readuntil(b"\r\n\r\n")).decode().strip().split("\r\n")
            headers = {name.lower(): value for name, _, value in (line.partition(": ") for line in lines)}
            body = await reader.readexactly(int(headers["content-length"]))
            self.calls.append(Call(first.split(" ")[1], headers, body))
            if self.silent:
                await asyncio.sleep(60)
            if not self.cut:
                answer = "\r\n".join([f"HTTP/1.1 {self.status}", *self.headers, "Content-Length: 0", "", ""])
                writer.write(answer.encode())
                await writer.drain()
        except (asyncio.IncompleteReadError, ConnectionError, ssl.SSLError):
            pass
        finally:
            writer.close()


@asynccontextmanager
async def receiver(shown: ssl.SSLContext) -> AsyncIterator[Receiver]:
    """Run a receiver of webhooks."""
    found = Receiver()
    server = await asyncio.start_server(found.serve, "127.0.0.1", 0, ssl=shown)
    found.port = server.sockets[0].getsockname()[1]
    try:
        yield found
    finally:
        server.close()
        await server.wait_closed()


def way(trust: ssl.SSLContext, **changed: Any) -> Way:
    """How a receiver of ours is reached."""
    values: dict[str, Any] = {"trust": trust, "timeout": timedelta(seconds=5), "outgoing": LOOPBACK, **changed}
    return Way(**values)
