"""What moves: pieces of a page, rendered anew every second and sent when they say something else than before.

The browser keeps one stream open for a page. It ends with the session, the process, the roles of who looks, or after a
while, and is opened again by itself. Besides pieces it carries `trouble`, a sentence why nothing comes, `well` when
that is over, and `ended` when the session is.
"""

from __future__ import annotations

import asyncio
import hashlib
from collections.abc import AsyncIterator, Awaitable, Callable, Mapping
from datetime import timedelta

from fastapi import Request
from starlette.responses import StreamingResponse

from dirbridge.contract.errors import TransientError
from dirbridge.service.auth.sign_in import browser
from dirbridge.service.auth.sign_in.browser import SignedIn
from dirbridge.service.portal.api import ApiRefusal

EVERY = timedelta(seconds=1)
LONGEST = timedelta(minutes=10)
"""After this a stream ends; the browser opens another."""

Pieces = Callable[[], Awaitable[Mapping[str, str]]]
"""Renders what moves on a page: markup by the name of the event that carries it."""


def stream(request: Request, pieces: Pieces) -> StreamingResponse:
    """Send pieces for as long as somebody looks."""
    headers = {"Cache-Control": "no-store", "X-Accel-Buffering": "no", "X-Content-Type-Options": "nosniff"}
    return StreamingResponse(_events(request, pieces), media_type="text/event-stream", headers=headers)


def is_stream(request: Request) -> bool:
    """Tell whether a page asks for its stream, which it does again and again whether somebody looks or not.

    Source: HTML Living Standard, server-sent events: the header that a browser sets for them.
    """
    return request.headers.get("accept") == "text/event-stream"


async def _events(request: Request, pieces: Pieces) -> AsyncIterator[str]:
    sent: dict[str, bytes] = {}
    in_trouble = False
    began: SignedIn = request.state.viewer
    yield "retry: 2000\n\n"
    for _ in range(int(LONGEST / EVERY)):
        if await request.is_disconnected():
            return
        try:
            who = await browser.signed_in(request, seen=False)
            if who is None:
                yield _event("ended", "Nobody is signed in.")
                return
            if who.administrator.roles != began.administrator.roles:
                return
            shown = await pieces()
        except (ApiRefusal, TransientError) as error:
            if not in_trouble:
                yield _event("trouble", str(error))
            in_trouble, shown = True, {}
        else:
            if in_trouble:
                yield _event("well", "It goes on.")
            in_trouble = False
        for name, markup in shown.items():
            digest = hashlib.blake2b(markup.encode(), digest_size=16).digest()
            if sent.get(name) != digest:
                sent[name] = digest
                yield _event(name, markup)
        await asyncio.sleep(EVERY.total_seconds())


def _event(name: str, text: str) -> str:
    """Write an event. Source: HTML Living Standard, server-sent events."""
    return f"event: {name}\n" + "".join(f"data: {line}\n" for line in text.splitlines()) + "\n"
