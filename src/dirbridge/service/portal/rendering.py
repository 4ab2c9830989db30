"""Templates into pages of the portal, under a policy that lets only our own scripts run; and what was done just now."""

from __future__ import annotations

import json
from base64 import urlsafe_b64decode, urlsafe_b64encode
from collections.abc import Mapping
from enum import StrEnum
from pathlib import Path

from fastapi import Request
from jinja2 import Environment, FileSystemLoader, StrictUndefined
from starlette.responses import HTMLResponse, RedirectResponse, Response

from dirbridge.service.auth import rendering
from dirbridge.service.auth.sign_in import browser
from dirbridge.service.auth.sign_in.browser import SignedIn
from dirbridge.service.portal import words
from dirbridge.service.portal.assets import ADDRESSES, LIBRARIES, MODULES

NOTICE = "__Host-dirbridge-notice"
"""Cookie with what the next page says first; it is shown once."""
_LONGEST_NOTICE = 1000
"""Bytes; browsers drop a cookie of more than 4096."""

_ENVIRONMENT = Environment(
    loader=FileSystemLoader(Path(__file__).with_name("templates")),
    autoescape=True,
    undefined=StrictUndefined,
    trim_blocks=True,
    lstrip_blocks=True,
)
_ENVIRONMENT.filters |= {
    "when": words.when,
    "span": words.span,
    "number": words.number,
    "words": words.words,
    "interval": words.interval,
    "key": words.key,
}
_ENVIRONMENT.globals |= {"assets": ADDRESSES, "libraries": LIBRARIES, "modules": MODULES}

NAVIGATION = (
    ("/portal", "Overview"),
    ("/portal/configurations", "Configurations"),
    ("/portal/agents", "Agents"),
    ("/portal/logs", "Provisioning logs"),
    ("/portal/users", "Users"),
    ("/portal/groups", "Groups"),
    ("/portal/insights", "Insights"),
    ("/portal/audit", "Audit"),
    ("/portal/settings", "Settings"),
)


class Level(StrEnum):
    """How a notice is meant."""

    GOOD = "good"
    WARN = "warn"
    BAD = "bad"


def page(request: Request, who: SignedIn, template: str, *, status: int = 200, **values: object) -> Response:
    """Show a whole page, with the frame around it."""
    notice = _notice(request.cookies.get(NOTICE))
    text = part(template, **frame(request, who), notice=notice, **values)
    answer = HTMLResponse(text, status_code=status, headers=rendering.headers(scripts=True))
    if NOTICE in request.cookies:
        browser.drop_cookie(answer, NOTICE)
    return answer


def piece(request: Request, who: SignedIn, template: str, *, status: int = 200, **values: object) -> Response:
    """Show a piece of a page that a script asked for, with the values that a frame has."""
    text = part(template, **frame(request, who), **values)
    return HTMLResponse(text, status_code=status, headers=rendering.headers(scripts=True))


def part(template: str, **values: object) -> str:
    """Render a template by itself: a piece of a page that is sent again."""
    return _ENVIRONMENT.get_template(template).render(**values)


def frame(request: Request, who: SignedIn) -> dict[str, object]:
    """Give what every page has: who looks, where, and the token of its forms as `csrf`."""
    return {
        "who": who.administrator,
        "host": request.url.netloc,
        "path": request.url.path,
        "navigation": NAVIGATION,
        "csrf": browser.form_token(request),
    }


def done(request: Request, message: str, back: str, level: Level = Level.GOOD) -> Response:
    """Say that something was done: in place where a script sent the form, else on the page that is shown next.

    Args:
        request: that did it.
        message: one or two sentences.
        back: path of the page that is shown next.
        level: whether it is good.
    """
    if is_piece(request):
        return _in_place({"text": message, "level": level})
    answer = RedirectResponse(back, status_code=303)
    text = message.encode()[:_LONGEST_NOTICE].decode(errors="ignore")
    said = json.dumps({"text": text, "level": level}, ensure_ascii=False)
    browser.set_cookie(answer, NOTICE, urlsafe_b64encode(said.encode()).decode().rstrip("="), seconds=60)
    return answer


def told(message: str, status: int) -> Response:
    """Say above the page that a script asked from why it does not get what it asked for."""
    return _in_place({"text": message, "level": Level.BAD}, status)


def is_piece(request: Request) -> bool:
    """Tell whether a script asks, which puts what it gets into the page that is shown."""
    return request.headers.get("HX-Request") == "true"


def _in_place(notice: Mapping[str, str], status: int = 200) -> Response:
    headers = {**rendering.headers(scripts=True), "HX-Retarget": "#notices", "HX-Reswap": "innerHTML"}
    return HTMLResponse(part("notice.html", notice=notice), status_code=status, headers=headers)


def _notice(carried: str | None) -> Mapping[str, str] | None:
    try:
        said = json.loads(urlsafe_b64decode((carried or "") + "=" * (-len(carried or "") % 4)))
        return {"text": str(said["text"]), "level": Level(said["level"])}
    except (ValueError, KeyError, TypeError):
        return None
