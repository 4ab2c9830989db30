"""How the service reaches others, as its settings say, and who is to be reached."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import timedelta

from dirbridge.service import outgoing
from dirbridge.service.https import Way
from dirbridge.service.notify.mail import MailServer
from dirbridge.service.notify.webhook import Hook
from dirbridge.service.outgoing import Outgoing
from dirbridge.service.settings import Settings


@dataclass(frozen=True, slots=True)
class Ways:
    """What the settings name.

    Attributes:
        mail: None where no mail server is set.
        hook: the service's own webhook, which hears of all jobs.
    """

    mail: MailServer | None
    webhooks: Way
    hook: Hook | None


@dataclass(frozen=True, slots=True)
class Recipients:
    """Who is told of a configuration's jobs, besides the service's own webhook."""

    mailboxes: Sequence[str] = ()
    hook: Hook | None = None


def build(settings: Settings, name: str) -> Ways:
    """Make ready what the settings name.

    Args:
        name: the host that the service is reached at.

    Raises:
        ConfigurationError: a file of certificates cannot be used.
    """
    out = Outgoing(outgoing.networks(settings.outgoing_networks))
    timeout = timedelta(seconds=settings.outgoing_timeout)
    hook = None
    if settings.webhook_url is not None and settings.webhook_secret is not None:
        hook = Hook(settings.webhook_url.get_secret_value(), settings.webhook_secret.get_secret_value())
    return Ways(
        _mail_server(settings, name, timeout, out), Way(outgoing.trust(settings.webhook_ca_file), timeout, out), hook
    )


def _mail_server(settings: Settings, name: str, timeout: timedelta, out: Outgoing) -> MailServer | None:
    address = settings.smtp_address
    if address is None or settings.mail_from is None:
        return None
    return MailServer(
        host=address[0],
        port=address[1],
        implicit_tls=settings.smtp_security == "tls",
        user=settings.smtp_user or "",
        password=settings.smtp_password.get_secret_value() if settings.smtp_password else "",
        sender=settings.mail_from,
        name=_literal(name),
        trust=outgoing.trust(settings.smtp_ca_file),
        timeout=timeout,
        outgoing=out,
    )


def _literal(name: str) -> str:
    """Write an address as SMTP takes it in the place of a name (RFC 5321 section 4.1.3)."""
    if ":" in name:
        return f"[IPv6:{name}]"
    return f"[{name}]" if name.replace(".", "").isdigit() else name
