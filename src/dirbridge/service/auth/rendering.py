"""Pages for people: rendered here from the templates in `pages`, without a script, under a strict policy."""

from __future__ import annotations

import hashlib
from collections.abc import Iterable
from datetime import UTC, datetime
from pathlib import Path

from fastapi import APIRouter, Request
from jinja2 import Environment, FileSystemLoader, StrictUndefined
from starlette.responses import HTMLResponse, Response

_PAGES = Path(__file__).with_name("pages")

TOKENS = (_PAGES / "tokens.css").read_bytes()
"""Sizes, spaces and colours: the portal's stylesheet begins with them as well."""

_STYLE = TOKENS + (_PAGES / "style.css").read_bytes()

STYLE = f"/assets/style-{hashlib.sha256(_STYLE).hexdigest()[:16]}.css"
"""Where the stylesheet lies: another one has another address, so that it may be kept for good."""

_BROWSERS = (
    ("Edg/", "Edge"), ("OPR/", "Opera"), ("Firefox/", "Firefox"), ("FxiOS/", "Firefox"), ("CriOS/", "Chrome"),
    ("Chrome/", "Chrome"), ("Safari/", "Safari"), ("curl/", "curl"),
)  # fmt: skip
_SYSTEMS = (
    ("Android", "Android"), ("iPhone", "iOS"), ("iPad", "iPadOS"), ("Windows", "Windows"), ("Mac OS X", "macOS"),
    ("CrOS", "ChromeOS"), ("Linux", "Linux"),
)  # fmt: skip

_ENVIRONMENT = Environment(
    loader=FileSystemLoader(_PAGES), autoescape=True, undefined=StrictUndefined, trim_blocks=True, lstrip_blocks=True
)


def _moment(at: datetime) -> str:
    return f"{at.astimezone(UTC):%Y-%m-%d %H:%M} UTC"


def browser(agent: str) -> str:
    """Say in a few words how a browser names itself: many name others first, themselves last."""
    name = next((shown for mark, shown in _BROWSERS if mark in agent), agent[:60] or "Unknown browser")
    system = next((shown for mark, shown in _SYSTEMS if mark in agent), "")
    return f"{name} on {system}" if system else name


_ENVIRONMENT.filters["moment"] = _moment
_ENVIRONMENT.filters["browser"] = browser
_ENVIRONMENT.globals["style"] = STYLE

router = APIRouter(include_in_schema=False)


@router.get(STYLE)
async def style() -> Response:
    """Give the stylesheet."""
    headers = {"Cache-Control": "public, max-age=31536000, immutable", "X-Content-Type-Options": "nosniff"}
    return Response(_STYLE, media_type="text/css", headers=headers)


def render(
    request: Request, template: str, values: dict[str, object], *, status: int, targets: Iterable[str]
) -> Response:
    """Render a template of `pages`.

    Args:
        targets: origins besides our own that a form may lead to.
    """
    text = _ENVIRONMENT.get_template(template).render(**values, host=request.url.netloc)
    return HTMLResponse(text, status_code=status, headers=headers(targets))


def headers(targets: Iterable[str] = (), *, scripts: bool = False) -> dict[str, str]:
    """Give what keeps a page to itself. Browsers hold a form's redirects to `form-action` as well.

    Args:
        targets: origins besides our own that a form may lead to.
        scripts: the page may run scripts of ours, and they may call us.
    """
    policy = {
        "default-src": "'none'",
        **({"script-src": "'self'", "connect-src": "'self'"} if scripts else {}),
        "style-src": "'self'",
        "img-src": "'self' data:",
        "form-action": " ".join(["'self'", *targets]),
        "frame-ancestors": "'none'",
        "base-uri": "'none'",
    }
    return {
        "Content-Security-Policy": "; ".join(f"{name} {value}" for name, value in policy.items()),
        "Cache-Control": "no-store",
        "Pragma": "no-cache",
        "Referrer-Policy": "same-origin",
        "Strict-Transport-Security": "max-age=31536000",
        "X-Content-Type-Options": "nosniff",
        "X-Frame-Options": "DENY",
    }
