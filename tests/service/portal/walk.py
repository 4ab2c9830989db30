"""A walk over every route of the portal that the application has: what is added later is walked as well."""

from __future__ import annotations

import asyncio
import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from html.parser import HTMLParser
from typing import Any
from urllib.parse import quote, urlencode, urlsplit
from uuid import UUID

from fastapi import FastAPI
from fastapi.routing import iter_route_contexts

from dirbridge.service.portal import assets

NOBODY = str(UUID(int=7))
"""An id of nothing that is there."""

PATIENCE = 30
"""Seconds after which a page counts as stuck."""

_FOREIGN = re.compile(r"[a-z][a-z0-9+.-]*:|//", re.IGNORECASE)
_LEADING = frozenset({"href", "src", "action", "formaction", "hx-get", "hx-post", "sse-connect", "srcset", "data-open"})


def routes(application: FastAPI, method: str) -> list[str]:
    """Give the paths of all pages and acts, with their parameters in braces."""
    found = [
        route.path
        for route in iter_route_contexts(application.routes)
        if method in (route.methods or ()) and (route.path or "").startswith("/portal")
    ]
    return sorted({path for path in found if path and not path.startswith(assets.PATH)})


def filled(path: str, known: Mapping[str, str]) -> str:
    """Put values in for parameters.

    Args:
        path: with parameters in braces.
        known: values by the part of the path before them, such as `agents`; all others are ids of nothing.
    """
    parts = path.split("/")
    for number, part in enumerate(parts):
        if part.startswith("{"):
            parts[number] = quote(known.get(parts[number - 1], NOBODY), safe="")
    return "/".join(parts)


@dataclass
class Answer:
    """What came back; of a stream its beginning."""

    status: int
    headers: dict[str, str]
    body: bytes

    @property
    def is_page(self) -> bool:
        return self.headers.get("content-type", "").startswith("text/html")

    @property
    def text(self) -> str:
        return self.body.decode()


async def ask(
    application: FastAPI,
    method: str,
    path: str,
    cookies: Mapping[str, str],
    fields: Mapping[str, str] | None = None,
) -> Answer:
    """Ask for a path and leave at the first word: streams end then."""
    body = urlencode(fields or {}).encode()
    headers = {
        "host": "dirbridge.example:8443",
        "cookie": "; ".join(f"{name}={value}" for name, value in cookies.items()),
        **({"content-type": "application/x-www-form-urlencoded", "content-length": str(len(body))} if fields else {}),
    }
    where = urlsplit(path)
    scope = {
        "type": "http", "asgi": {"version": "3.0", "spec_version": "2.3"}, "http_version": "1.1", "method": method,
        "scheme": "https", "path": where.path.replace("%2F", "/"), "raw_path": where.path.encode(),
        "query_string": where.query.encode(), "root_path": "", "client": ("192.0.2.1", 1234),
        "server": ("dirbridge.example", 8443), "state": {},
        "headers": [(name.encode(), value.encode()) for name, value in headers.items()],
    }  # fmt: skip
    answer = Answer(0, {}, b"")
    said, spoken = asyncio.Event(), asyncio.Event()

    async def receive() -> dict[str, Any]:
        if not said.is_set():
            said.set()
            return {"type": "http.request", "body": body, "more_body": False}
        await spoken.wait()
        return {"type": "http.disconnect"}

    async def send(message: Any) -> None:
        if message["type"] == "http.response.start":
            answer.status = message["status"]
            answer.headers = {name.decode().lower(): value.decode() for name, value in message["headers"]}
        elif message["type"] == "http.response.body":
            answer.body += message.get("body", b"")
            spoken.set()

    async with asyncio.timeout(PATIENCE):
        await application(scope, receive, send)
    return answer


@dataclass
class Markup(HTMLParser):
    """What is in a page: its texts, and everything that runs, or could be made to run, without being ours."""

    faults: list[str] = field(default_factory=list)
    texts: list[str] = field(default_factory=list)
    forms: list[dict[str, bool]] = field(default_factory=list)

    def __post_init__(self) -> None:
        super().__init__(convert_charrefs=True)
        self._inside: list[str] = []

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self._inside.append(tag)
        given = {name: value or "" for name, value in attrs}
        self.faults += [f"<{tag}> {fault}" for fault in self._tag(tag, given)]
        if tag == "form":
            self.forms.append({"posts": given.get("method", "get").lower() == "post", "csrf": False})
        if tag == "input" and given.get("name") == "csrf" and given.get("value") and self.forms:
            self.forms[-1]["csrf"] = True

    def handle_startendtag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.handle_starttag(tag, attrs)
        self._inside.pop()

    def handle_endtag(self, tag: str) -> None:
        if tag in self._inside:
            while self._inside.pop() != tag:
                pass

    def handle_data(self, data: str) -> None:
        if self._inside and self._inside[-1] in {"script", "style"} and data.strip():
            self.faults.append(f"<{self._inside[-1]}> has a text of its own: {data[:60]}")
        self.texts.append(data)

    def _tag(self, tag: str, given: Mapping[str, str]) -> Iterator[str]:
        if tag in {"iframe", "object", "embed", "base", "style", "applet", "frame"}:
            yield "has no place here"
        if tag == "script" and not given.get("src", "").startswith(f"{assets.PATH}/"):
            yield f"comes from '{given.get('src')}'"
        if "hostile" in given.values() or "hostile" in given:
            yield "was made of a value"
        for name, value in given.items():
            if name.startswith(("on", "hx-on", "hx-vals", "hx-vars")) and not (name == "hx-vals" and value[:1] == "{"):
                yield f"has {name}={value[:60]}"
            if name == "style":
                yield f"has style={value[:60]}"
            if name in _LEADING and _FOREIGN.match(value.strip()) and value != "data:,":
                yield f"leads to {name}={value[:60]}"


def read(page: str) -> Markup:
    """Read a page; a form that posts and has no token is a fault."""
    found = Markup()
    found.feed(page)
    found.close()
    found.faults += ["a form posts without a token" for form in found.forms if form["posts"] and not form["csrf"]]
    return found
