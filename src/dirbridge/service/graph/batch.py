"""Several requests in one: `$batch`. Each goes through the whole application by itself, with the caller's token.

Source: Graph's guide to JSON batching; OData JSON Format 4.01 section 19.
"""

from __future__ import annotations

import asyncio
import base64
import binascii
import logging
import string
from dataclasses import dataclass, field
from typing import Annotated, Any
from urllib.parse import quote, unquote, urlsplit

import msgspec
from fastapi import APIRouter, Depends, Request
from starlette.datastructures import Headers
from starlette.responses import Response
from starlette.types import Message

from dirbridge.service.auth.access import Caller, require
from dirbridge.service.graph import gate
from dirbridge.service.graph.context import body, root, version
from dirbridge.service.graph.errors import GraphError, bad_request, envelope
from dirbridge.service.graph.responses import GraphResponse

router = APIRouter()
logger = logging.getLogger(__name__)

MOST = 20
"""Requests in a batch, as Graph allows."""
AT_ONCE = 4
"""Requests of a batch that run at the same time, so that one client does not take all connections to the database."""
LONGEST = 65_536
"""Characters of an address, as in a request by itself."""

_INHERITED = ("authorization", "host", "user-agent")
_REFUSED = frozenset({*_INHERITED, "connection", "content-length", "cookie", "transfer-encoding"})


class Item(msgspec.Struct):
    """One request. Stock clients write `depends_on` as well as `dependsOn`."""

    id: str
    method: str
    url: str
    headers: dict[str, str] | None = None
    body: Any = None
    dependsOn: list[str] | None = None  # noqa: N815
    depends_on: list[str] | None = None

    @property
    def key(self) -> str:
        """Its id, whose case does not count."""
        return self.id.lower()

    @property
    def after(self) -> list[str]:
        """The ids of those that must have succeeded before."""
        return [each.lower() for each in (*(self.dependsOn or ()), *(self.depends_on or ()))]


class Batch(msgspec.Struct):
    """What a client sends."""

    requests: Annotated[list[Item], msgspec.Meta(min_length=1, max_length=MOST)]


@dataclass(slots=True)
class Answer:
    """What one request was answered."""

    status: int = 500
    headers: Headers = field(default_factory=lambda: Headers({}))
    body: bytearray = field(default_factory=bytearray)

    async def send(self, message: Message) -> None:
        """Take what the application sends."""
        if message["type"] == "http.response.start":
            self.status = message["status"]
            self.headers = Headers(raw=message.get("headers", []))
        else:
            self.body += message.get("body", b"")


@router.post("/$batch")
async def batch(request: Request, _caller: Annotated[Caller, Depends(require())]) -> Response:
    """Answer several requests, each with a status of its own."""
    items = (await body(request, Batch)).requests
    _check(items)
    room = asyncio.Semaphore(AT_ONCE)
    tasks: dict[str, asyncio.Task[Answer]] = {}
    async with asyncio.TaskGroup() as group:
        for item in items:
            tasks[item.key] = group.create_task(_in_turn(request, item, tasks, room))
    return GraphResponse({"responses": [_show(item, tasks[item.key].result()) for item in items]})


def _check(items: list[Item]) -> None:
    """Refuse a batch as a whole whose requests cannot be told apart or put in an order.

    Raises:
        GraphError: 400.
    """
    known = {item.key: item for item in items}
    if len(known) < len(items):
        raise bad_request("Each request in a batch needs an id of its own; case does not count.")
    for item in items:
        missing = sorted(set(item.after) - known.keys())
        if missing:
            raise bad_request(f"Request '{item.id}' depends on '{missing[0]}', which is not in the batch.")
    waiting, done = dict(known), set[str]()
    while ready := [key for key, item in waiting.items() if done.issuperset(item.after)]:
        done.update(ready)
        waiting = {key: item for key, item in waiting.items() if key not in done}
    if waiting:
        raise bad_request(f"The requests {', '.join(sorted(waiting))} depend on each other in a circle.")


async def _in_turn(
    request: Request, item: Item, tasks: dict[str, asyncio.Task[Answer]], room: asyncio.Semaphore
) -> Answer:
    """Answer one request once those that it depends on have succeeded."""
    for each in item.after:
        earlier = await tasks[each]
        if earlier.status >= 400:
            message = f"Request '{each}', which this one depends on, failed with status {earlier.status}."
            return await _refusal(request, GraphError(424, "FailedDependency", message))
    async with room:
        try:
            return await _run(request, item)
        except GraphError as error:
            return await _refusal(request, error)
        except Exception:  # a fault in one request is that request's answer
            logger.exception("A request in a batch failed by a fault.", extra={"event": "request_failed"})
            return await _refusal(
                request, GraphError(500, "generalException", f"{item.method} {item.url} failed. See the service's log.")
            )


async def _run(request: Request, item: Item) -> Answer:
    path, query = _address(request, item.url)
    text, headers = _content(item), _headers(request, item)
    scope = {key: request.scope[key] for key in ("type", "asgi", "http_version", "scheme", "server", "client")}
    scope |= {
        "method": item.method.upper(),
        "path": path,
        "raw_path": quote(path).encode(),
        "query_string": query,
        "root_path": request.scope.get("root_path", ""),
        "headers": [*headers, (b"content-length", str(len(text)).encode())],
    }
    sent = False

    async def receive() -> Message:
        nonlocal sent
        if sent:
            await asyncio.Event().wait()  # nobody hangs up on a single request
        sent = True
        return {"type": "http.request", "body": text, "more_body": False}

    answer = Answer()
    await request.app(scope, receive, answer.send)
    return answer


def _address(request: Request, url: str) -> tuple[str, bytes]:
    """Give path and query of a request, whose address is relative to the version, or absolute and here.

    Raises:
        GraphError: 400 where it leads elsewhere, or to a batch, or is longer than the web server lets one be.
    """
    if len(url) > LONGEST:
        raise bad_request(f"The address has {len(url):,} characters, and {LONGEST:,} are accepted.")
    address, _, query = url.partition("#")[0].partition("?")
    if "://" in address:
        here = urlsplit(root(request))
        try:
            asked = urlsplit(address)
        except ValueError as error:
            raise bad_request(f"'{address:.200}' is no address.") from error
        prefix = f"/{version(request)}/"
        same = asked.netloc.lower() in {here.netloc.lower(), request.headers.get("host", "").lower()}
        if not same or not asked.path.lower().startswith(prefix):
            raise bad_request(f"The address '{url}' leads elsewhere. Addresses in a batch lie below {root(request)}/.")
        address = asked.path[len(prefix) :]
    path = f"/{version(request)}/" + unquote(address.lstrip("/"))
    if "$batch" in gate.normalise(path).split("/"):
        raise bad_request("A batch cannot hold a batch.")
    return path, quote(query, safe=string.punctuation).encode()


def _content(item: Item) -> bytes:
    """Give a request's body: JSON, or bytes that came as base64.

    Raises:
        GraphError: 400.
    """
    if item.body is None:
        return b""
    kind = Headers(item.headers or {}).get("content-type", "")
    if not kind:
        raise bad_request("A request in a batch that has a body needs the header Content-Type.")
    json = "json" in kind.lower()
    if isinstance(item.body, str):
        try:
            coded = item.body.replace("+", "-").replace("/", "_").rstrip("=")
            text = base64.b64decode(coded + "=" * (-len(coded) % 4), altchars=b"-_", validate=True)
            if json:
                msgspec.json.decode(text)
        except (binascii.Error, ValueError) as error:
            if not json:
                raise bad_request(f"A body of the type '{kind}' is expected in base64.") from error
        else:
            return text
    if not json:
        raise bad_request(f"A body of the type '{kind}' is expected in base64.")
    return msgspec.json.encode(item.body)


def _headers(request: Request, item: Item) -> list[tuple[bytes, bytes]]:
    """Give a request's headers: its own, and of the batch's who calls.

    Raises:
        GraphError: 400 where one cannot be sent.
    """
    told = [(name, request.headers[name]) for name in _INHERITED if name in request.headers]
    told += [(name, value) for name, value in (item.headers or {}).items() if name.lower() not in _REFUSED]
    if not all(text.isprintable() and text.isascii() for pair in told for text in pair):
        raise bad_request("A header in a batch has characters that a header cannot have.")
    return [(name.lower().encode(), value.encode()) for name, value in told]


async def _refusal(request: Request, error: GraphError) -> Answer:
    answer = Answer()
    await envelope(request, error)(request.scope, request.receive, answer.send)
    return answer


def _spelled(name: str) -> str:
    """Spell a header as Graph does in batches: Microsoft's JavaScript client looks for `Content-Type` to the letter."""
    if name == "odata-version":
        return "OData-Version"
    return name if name.startswith("x-") or name.endswith("request-id") else name.title()


def _show(item: Item, answer: Answer) -> dict[str, Any]:
    """Show an answer: JSON as it is, text as text, bytes as base64."""
    headers = {_spelled(name): value for name, value in answer.headers.items() if name != "content-length"}
    shown: dict[str, Any] = {"id": item.id, "status": answer.status, "headers": headers}
    kind = answer.headers.get("content-type", "").lower()
    if not answer.body:
        return shown
    if "json" in kind:
        return {**shown, "body": msgspec.Raw(bytes(answer.body))}
    if kind.startswith("text/"):
        return {**shown, "body": answer.body.decode("utf-8", "replace")}
    return {**shown, "body": base64.urlsafe_b64encode(answer.body).decode()}
