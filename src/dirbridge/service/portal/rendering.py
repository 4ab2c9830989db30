"""Templates into pages of the portal, under a policy that lets only our own scripts run."""

from __future__ import annotations

from pathlib import Path

from fastapi import Request
from jinja2 import Environment, FileSystemLoader, StrictUndefined
from starlette.responses import HTMLResponse, Response

from dirbridge.service.auth import rendering
from dirbridge.service.auth.sign_in import browser
from dirbridge.service.auth.sign_in.browser import SignedIn
from dirbridge.service.portal import words
from dirbridge.service.portal.assets import ADDRESSES

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
}
_ENVIRONMENT.globals["assets"] = ADDRESSES


def page(request: Request, who: SignedIn, template: str, *, status: int = 200, **values: object) -> Response:
    """Show a whole page, with the frame around it."""
    frame = {
        "who": who.administrator,
        "host": request.url.netloc,
        "path": request.url.path,
        "csrf": browser.form_token(request),
    }
    text = part(template, **frame, **values)
    return HTMLResponse(text, status_code=status, headers=rendering.headers(scripts=True))


def part(template: str, **values: object) -> str:
    """Render a template by itself: a piece of a page that is sent again."""
    return _ENVIRONMENT.get_template(template).render(**values)
