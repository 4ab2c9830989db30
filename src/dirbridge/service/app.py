"""The application: every room of the service, wired in one place.

`service.process` builds it for `dirbridge serve`, tests build it for themselves. Routes find what they share under
`app.state`: `database`, `base_url`, `tenant`, `tokens`, `sealing`, `sign_in`, `throttle`, `courier`, `door`.
"""

from __future__ import annotations

import asyncio
import logging
from datetime import timedelta
from uuid import uuid4

from fastapi import FastAPI
from starlette.datastructures import MutableHeaders
from starlette.requests import Request
from starlette.types import ASGIApp, Message, Receive, Scope, Send

import dirbridge
from dirbridge.service import contexts, graph, health, logs, openapi, port_check, portal
from dirbridge.service.auth import rendering
from dirbridge.service.auth.oauth import admin_consent, authorize, device_page, end_session, endpoints, userinfo
from dirbridge.service.auth.sign_in import account as sign_in_account
from dirbridge.service.auth.sign_in import external
from dirbridge.service.auth.sign_in import routes as sign_in
from dirbridge.service.auth.sign_in.rules import SignInRules
from dirbridge.service.graph import errors
from dirbridge.service.graph.errors import GraphError
from dirbridge.service.graph.gate import GraphGate
from dirbridge.service.graph.throttling import Throttle
from dirbridge.service.notify import administration as notifications
from dirbridge.service.notify.delivery import Courier
from dirbridge.service.relay import administration, agent_errors, door, heartbeats, log_collections, nudges, traces
from dirbridge.service.relay.door import Door
from dirbridge.service.releases import administration as releases
from dirbridge.service.releases import download, one_agent
from dirbridge.service.setup import Identity
from dirbridge.store import agents, events, jobs, requests
from dirbridge.store.database import Database
from dirbridge.store.listener import Listener

logger = logging.getLogger(__name__)

CHANNELS = (requests.REQUESTS, requests.PAGES, requests.ROOM, jobs.DUE, agents.CALLS)
"""What this process is woken by."""


def build(
    database: Database,
    identity: Identity,
    listener: Listener,
    courier: Courier,
    *,
    stopping: asyncio.Event | None = None,
    throttle: Throttle | None = None,
    rules: SignInRules | None = None,
    log_retention: timedelta = events.RETENTION,
) -> FastAPI:
    """Wire the service.

    Args:
        database: opened, with its tables.
        identity: who the service is.
        listener: entered, on `CHANNELS`.
        courier: tells people of jobs.
        stopping: set when the process begins to stop, so that requests which wait end at once.
        throttle: refuses applications that ask too much; None lets all pass.
        rules: of sign-in in a browser; the usual ones if not given.
        log_retention: how long the log is kept where the tenant says nothing else.
    """
    app = FastAPI(
        title="dirbridge",
        version=dirbridge.__version__,
        openapi_url=None,
        docs_url=None,
        redoc_url=None,
        redirect_slashes=False,
    )
    app.state.database = database
    app.state.base_url = identity.tenant.base_url
    app.state.tenant = identity.tenant.id
    app.state.tokens = identity.tokens
    app.state.sealing = identity.sealing
    app.state.throttle = throttle
    app.state.sign_in = rules or SignInRules()
    app.state.log_retention = log_retention
    stopping = stopping or asyncio.Event()
    app.state.engine = contexts.make(database, identity.sealing, listener, stopping, contexts.PROMPT)
    app.state.reach = contexts.reach(database, listener, stopping, contexts.PROMPT)
    app.state.courier = courier
    app.state.door = Door(database, listener, identity.authority, identity.tokens)
    app.router.routes.extend(graph.routes())
    app.include_router(health.router(database))
    app.include_router(port_check.router)
    app.include_router(rendering.router)
    app.include_router(sign_in.router)
    app.include_router(sign_in_account.router)
    app.include_router(authorize.router)
    app.include_router(admin_consent.router)
    app.include_router(device_page.router)
    app.include_router(end_session.router)
    app.include_router(userinfo.router)
    app.include_router(external.router)
    app.include_router(endpoints.router(database, identity.tokens))
    app.include_router(door.router)
    app.include_router(heartbeats.router)
    app.include_router(nudges.router)
    app.include_router(administration.router)
    app.include_router(releases.router)
    app.include_router(download.router)
    app.include_router(traces.router)
    app.include_router(agent_errors.router)
    app.include_router(one_agent.router)
    app.include_router(log_collections.administration)
    app.include_router(log_collections.carrying)
    app.include_router(notifications.router)
    app.include_router(openapi.router)
    portal.assets.tell_what_is_missing()
    for part in portal.routers():
        app.include_router(part)
    errors.register(app)
    app.add_middleware(Leave, stopping=stopping)
    app.add_middleware(LastResort)
    app.add_middleware(GraphGate)
    return app


class Leave:
    """Middleware that lets requests which wait for something end when the process stops.

    They are told that the client hung up, which a request that waits asks for again and again. Only requests without a
    body are told so: one that sends something is let finish.
    """

    def __init__(self, app: ASGIApp, stopping: asyncio.Event) -> None:
        self.app = app
        self._stopping = stopping

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        waits = scope["type"] == "http" and scope["method"] == "GET"

        async def hear() -> Message:
            if self._stopping.is_set():
                return {"type": "http.disconnect"}
            return await receive()

        await self.app(scope, hear if waits else receive, send)


class LastResort:
    """Middleware that turns a fault of ours into an answer with an id, and a stack in the log under the same id."""

    def __init__(self, app: ASGIApp) -> None:
        self.app = app

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http":
            await self.app(scope, receive, send)
            return
        current = scope.get("graph_ids", {}).get("request-id") or str(uuid4())
        before = logs.request_id.set(current)
        started = False

        async def answer(message: Message) -> None:
            nonlocal started
            if message["type"] == "http.response.start":
                started = True
                MutableHeaders(scope=message)["request-id"] = current
            await send(message)

        try:
            await self.app(scope, receive, answer)
        except Exception as error:
            logger.exception("A request failed by a fault of the service.", extra={"event": "request_failed"})
            if started:  # too late for an answer: cut the connection, so that nobody takes a part for the whole
                raise
            path = scope["path"]
            fault = GraphError(500, "generalException", f"{scope['method']} {path} failed. See the service's log.")
            fault.__cause__ = error
            request = Request({**scope, "graph_ids": {"request-id": current, **scope.get("graph_ids", {})}})
            await errors.envelope(request, fault)(scope, receive, answer)
        finally:
            logs.request_id.reset(before)
