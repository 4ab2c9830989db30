"""How people sign in here, as the settings say; found under `app.state.sign_in`."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from ipaddress import IPv6Address, ip_address, ip_network
from pathlib import Path

from starlette.requests import Request

from dirbridge.contract.errors import ConfigurationError
from dirbridge.service import outgoing
from dirbridge.service.auth.sign_in.external_provider import Provider, Registration
from dirbridge.service.https import Way
from dirbridge.service.outgoing import Network, Outgoing, networks
from dirbridge.service.settings import Settings

MOST_FORWARDED = 10
"""Entries of X-Forwarded-For that are looked at."""


def _now() -> datetime:
    return datetime.now(UTC)


@dataclass(frozen=True, slots=True)
class SignInRules:
    """The rules of sign-in.

    Attributes:
        idle: how long a session that nobody uses is good.
        lifetime: how long any is.
        proxies: whose X-Forwarded-For is believed.
        provider: by which people may sign in as well; None where there is none.
        clock: tells the time.
    """

    idle: timedelta = timedelta(hours=8)
    lifetime: timedelta = timedelta(hours=24)
    proxies: tuple[Network, ...] = ()
    provider: Provider | None = None
    clock: Callable[[], datetime] = _now


def from_settings(settings: Settings) -> SignInRules:
    """Read the rules from the settings.

    Raises:
        ConfigurationError: a file that they name cannot be used.
    """
    return SignInRules(
        idle=timedelta(seconds=settings.session_idle),
        lifetime=timedelta(seconds=settings.session_lifetime),
        proxies=networks(settings.trusted_proxies),
        provider=_provider(settings),
    )


def _provider(settings: Settings) -> Provider | None:
    if settings.oidc_issuer is None or settings.oidc_client_id is None:
        return None
    way = Way(
        outgoing.trust(settings.oidc_ca_file),
        timedelta(seconds=settings.outgoing_timeout),
        Outgoing(networks(settings.outgoing_networks)),
    )
    secret = _secret(settings.oidc_client_secret_file) if settings.oidc_client_secret_file is not None else None
    registration = Registration(
        settings.oidc_issuer, settings.oidc_client_id, secret, settings.oidc_label, way, settings.oidc_name
    )
    return Provider(registration, _now)


def _secret(file: Path) -> str:
    try:
        secret = file.read_text("utf-8").strip()
    except (OSError, UnicodeDecodeError) as error:
        raise ConfigurationError(
            f"The provider's client secret cannot be read from {file}: {error}.",
            code="ProviderSecretUnreadable",
            recommended_action="Make the file readable by the account that runs the service, and by no other.",
        ) from error
    if not secret:
        raise ConfigurationError(
            f"The file {file}, for the provider's client secret, is empty.",
            code="ProviderSecretUnreadable",
            recommended_action="Write the secret into it, or leave DIRBRIDGE_OIDC_CLIENT_SECRET_FILE out.",
        )
    return secret


def of(request: Request) -> SignInRules:
    """Give the rules of the application that got a request."""
    rules: SignInRules = request.app.state.sign_in
    return rules


def address(request: Request) -> str:
    """Give where a request comes from: the other end of the connection, or what a trusted proxy says of it.

    X-Forwarded-For is read from its end. Each proxy adds whom it was asked by; what stands before the first who is no
    proxy of ours anybody may have written.
    """
    proxies = of(request).proxies
    peer = _plain(request.client.host if request.client else "")
    forwarded = ",".join(request.headers.getlist("x-forwarded-for")).split(",")
    for entry in [*reversed(forwarded)][:MOST_FORWARDED]:
        if not _is_in(peer, proxies):
            break
        if not (named := _plain(entry.strip())):
            break
        peer = named
    return peer


def network(address: str) -> str:
    """Give what counts as one place: an IPv4 address, or the /64 of an IPv6 address, all of which one host may use."""
    try:
        found = ip_address(address)
    except ValueError:
        return ""
    return str(ip_network((found, 64), strict=False)) if isinstance(found, IPv6Address) else str(found)


def _plain(text: str) -> str:
    """Write an address in its one form; empty where it is none."""
    try:
        found = ip_address(text.partition("%")[0].strip("[]"))
    except ValueError:
        return ""
    return str((found.ipv4_mapped if isinstance(found, IPv6Address) else None) or found)


def _is_in(text: str, among: tuple[Network, ...]) -> bool:
    if not text:
        return False
    found = ip_address(text)
    return any(found in each for each in among if each.version == found.version)
