"""Where an application's people are sent back to: only where its registration says, and in which form.

Source: RFC 8252 section 7.3 (loopback addresses of native applications); OAuth 2.0 Multiple Response Type Encoding
Practices and Form Post Response Mode.
"""

from __future__ import annotations

from collections.abc import Mapping
from urllib.parse import SplitResult, urlencode, urlsplit

from fastapi import Request
from starlette.responses import RedirectResponse, Response

from dirbridge.service.auth.sign_in import browser
from dirbridge.store.identity import ServicePrincipal

MODES = ("query", "fragment", "form_post")

_LOOPBACK = frozenset({"localhost", "127.0.0.1", "::1"})
# Addresses that a browser runs or shows itself, instead of going there.
_NOWHERE = frozenset({"", "about", "blob", "data", "file", "filesystem", "javascript", "vbscript", "view-source"})


def is_registered(principal: ServicePrincipal, given: str) -> bool:
    """Tell whether an application may have its people sent to an address.

    It is compared as it is written. A native application listens where it finds a free port: an address of this machine
    that is registered for it is good with any port.
    """
    wanted = _split(given)
    if wanted is None or wanted.scheme in _NOWHERE or wanted.fragment or not given.isascii():
        return False
    if given in principal.redirect_uris:
        return True
    if not principal.is_public or not _is_loopback(wanted):
        return False
    return any(_same_but_port(_split(each), wanted) for each in principal.redirect_uris)


def send(request: Request, redirect_uri: str, mode: str, values: Mapping[str, str]) -> Response:
    """Send a browser back with what the application is to know.

    Args:
        mode: one of `MODES`; with `form_post` the person presses a button, as no page of ours runs a script.
    """
    if mode == "form_post":
        return browser.page(
            request, "send-back.html", form_targets=[origin(redirect_uri)], address=redirect_uri, values=dict(values)
        )
    parts = urlsplit(redirect_uri)
    if mode == "fragment":
        address = parts._replace(fragment=urlencode(values))
    else:
        address = parts._replace(query="&".join(filter(None, [parts.query, urlencode(values)])))
    return RedirectResponse(address.geturl(), status_code=303, headers={"Cache-Control": "no-store"})


def origin(redirect_uri: str) -> str:
    """Give what a page's policy calls an address; an address without a host is named by its scheme."""
    parts = urlsplit(redirect_uri)
    return f"{parts.scheme}://{parts.netloc}" if parts.scheme in {"http", "https"} else f"{parts.scheme}:"


def _same_but_port(registered: SplitResult | None, wanted: SplitResult) -> bool:
    if registered is None or not _is_loopback(registered):
        return False
    return (registered.hostname, registered.path or "/", registered.query) == (
        wanted.hostname, wanted.path or "/", wanted.query,
    )  # fmt: skip


def _is_loopback(parts: SplitResult) -> bool:
    return parts.scheme == "http" and parts.hostname in _LOOPBACK and parts.username is None and parts.password is None


def _split(address: str) -> SplitResult | None:
    try:
        parts = urlsplit(address)
        _ = parts.port  # which is looked at only here
    except ValueError:
        return None
    return parts if address.isprintable() and not set(address) & set(" \\\"'<>;,") else None
