"""The door that agents knock at: enrolment, tokens, requests out and pages in.

Agents only ever call; nothing calls them. Whatever they may do is decided here at every request: the token, and that
the agent has not been revoked since. Requests and pages wait in the database, so any replica serves any agent.
"""

from __future__ import annotations

import asyncio
import base64
import hashlib
import logging
import urllib.parse
from collections.abc import Callable
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import Annotated, TypeVar
from uuid import UUID

from fastapi import APIRouter, Depends, Header, Path, Query, Request, Response
from fastapi.responses import JSONResponse
from pydantic import BaseModel, Field, ValidationError

from dirbridge.contract import wire
from dirbridge.contract.errors import CredentialError
from dirbridge.service.auth import tokens as service_tokens
from dirbridge.service.auth.authority import Authority
from dirbridge.service.auth.tokens import Tokens
from dirbridge.service.relay import assertions, enrolment
from dirbridge.service.relay.refusals import DoorRoute, OAuthRefusal, Refusal
from dirbridge.service.relay.settings import RelaySettings
from dirbridge.store import agents, jobs, requests
from dirbridge.store import assertions as used_assertions
from dirbridge.store.database import Database
from dirbridge.store.listener import Bell, Listener
from dirbridge.store.requests import PageState

logger = logging.getLogger(__name__)

PATH = "/agents/v1"
MAX_MESSAGE = 64 * 1024
"""Bytes of a body that is not a page."""

Message = TypeVar("Message", bound=BaseModel)


@dataclass(frozen=True, slots=True)
class Door:
    """What the door works with. `database` and `listener` are opened and closed by who wires the service."""

    database: Database
    listener: Listener
    authority: Authority
    tokens: Tokens
    settings: RelaySettings = field(default_factory=RelaySettings)
    now: Callable[[], datetime] = lambda: datetime.now(UTC)

    @property
    def tenant(self) -> UUID:
        return self.authority.tenant

    def advice(self) -> dict[str, float]:
        """Tell an agent how often to call."""
        return {
            "wait": self.settings.poll_wait.total_seconds(),
            "renewEvery": self.settings.renew_every.total_seconds(),
            "heartbeatEvery": self.settings.heartbeat_every.total_seconds(),
        }


class CertificateRequest(BaseModel):
    """What an agent sends to have its certificate renewed."""

    csr: str = Field(max_length=8192)


router = APIRouter(prefix=PATH, route_class=DoorRoute, include_in_schema=False)
"""The routes. They find the `Door` in the application's state, as `app.state.door`."""


def _door(request: Request) -> Door:
    door: Door = request.app.state.door
    return door


async def _known(request: Request) -> agents.Agent:
    return await _authenticate(_door(request), request)


TheDoor = Annotated[Door, Depends(_door)]
Known = Annotated[agents.Agent, Depends(_known)]
Number = Annotated[int, Path(ge=0, le=2**31 - 1)]
"""What the database takes for one."""


@router.get("/ca")
async def give_ca(door: TheDoor) -> Response:
    """Give the certificate of the tenant's authority; who enrols knows its fingerprint from the code."""
    return Response(door.authority.certificate, media_type="application/x-pem-file")


@router.post("/enrol")
async def enrol(door: TheDoor, request: Request) -> JSONResponse:
    """Take a new agent in."""
    agent = await enrolment.enrol(
        door.database,
        door.authority,
        await message(request, enrolment.Application),
        address=address(request),
        days=door.settings.certificate_days,
    )
    logger.info(
        "Agent %s on %s enrolled for %s.",
        agent.id,
        agent.machine_name,
        ", ".join(agent.domains),
        extra={"event": "agent_enrolled", "agent": str(agent.id)},
    )
    return JSONResponse(
        {
            "agentId": str(agent.id),
            "tenantId": str(door.tenant),
            "certificate": agent.certificate.decode(),
            "issuer": door.tokens.issuer,
            "domains": agent.domains,
            "poll": door.advice(),
        },
        201,
    )


@router.post("/token")
async def token(door: TheDoor, request: Request) -> JSONResponse:
    """Exchange an assertion for an access token."""
    form = urllib.parse.parse_qs((await _body(request, MAX_MESSAGE)).decode("utf-8", "replace"))
    return await _issue_token(door, {name: values[0] for name, values in form.items()})


@router.post("/certificate")
async def certificate(door: TheDoor, request: Request, agent: Known) -> JSONResponse:
    """Renew an agent's certificate."""
    wanted = await message(request, CertificateRequest)
    renewed = await enrolment.renew(
        door.database, door.authority, agent, wanted.csr, days=door.settings.certificate_days
    )
    return JSONResponse({"certificate": renewed.decode()})


@router.get("/requests")
async def next_request(
    door: TheDoor,
    request: Request,
    agent: Known,
    wait: Annotated[float, Query(ge=0, le=300)] = 0,
    domain: Annotated[list[str] | None, Query()] = None,
) -> Response:
    """Give an agent its next request, as soon as there is one."""
    domains = set(agent.domains) & {name.lower() for name in domain} if domain else set(agent.domains)
    wait = min(wait, door.settings.poll_wait.total_seconds())
    with door.listener.watch((agents.CALLS, str(agent.id))) as called:
        taken = await _next_request(door, request, agent, domains, wait, called)
        headers = {"Dirbridge-Heartbeat": "now"} if called.is_rung else {}
    if taken is None:
        return Response(status_code=204, headers=headers)
    body = wire.Assignment(str(taken.id), taken.attempt, wire.decode(taken.body, wire.Request))
    return Response(wire.encode(body), media_type=wire.MEDIA_TYPE, headers=headers)


@router.post("/requests/{request_id}/attempts/{attempt}/renew")
async def renew(door: TheDoor, agent: Known, request_id: UUID, attempt: Number) -> Response:
    """Keep a request for the agent that works at it."""
    async with door.database.connection() as conn:
        kept = await requests.renew(conn, door.tenant, request_id, attempt, agent.id, door.settings.leases)
    if not kept:
        raise _gone(request_id, attempt)
    return Response(status_code=204)


@router.post("/requests/{request_id}/attempts/{attempt}/pages/{number}")
async def page(
    door: TheDoor,
    request: Request,
    agent: Known,
    request_id: UUID,
    attempt: Number,
    number: Number,
    x_last: Annotated[bool, Header()] = False,
) -> Response:
    """Take one page of an answer in."""
    body = await verified_body(request, wire.MAX_BODY)
    state = await _store_page(door, agent, request_id, attempt, number, body, is_last=x_last)
    if state is PageState.GONE:
        raise _gone(request_id, attempt)
    if state is PageState.FULL:
        raise Refusal(429, "NoRoom", "The pages before this one wait to be read.", headers={"Retry-After": "1"})
    return Response(status_code=202 if state is PageState.STORED else 200)


async def _authenticate(door: Door, request: Request) -> agents.Agent:
    scheme, _, token = request.headers.get("Authorization", "").partition(" ")
    challenge = {"WWW-Authenticate": 'Bearer error="invalid_token"'}
    if scheme.lower() != "bearer":
        raise Refusal(
            401, "TokenMissing", "The request carries no bearer token.", headers={"WWW-Authenticate": "Bearer"}
        )
    await door.tokens.refresh(token)
    try:
        agent_id = door.tokens.verify_agent(token)
    except CredentialError as error:
        raise Refusal(401, "TokenInvalid", error.reason, error.recommended_action, headers=challenge) from error
    async with door.database.connection() as conn:
        agent = await agents.heard(conn, door.tenant, agent_id, address(request))
        if agent is not None and agent.revoked_at is None and not agent.is_connected:
            # It is back after a silence: jobs that failed meanwhile need not wait.
            await jobs.wake(conn, door.tenant, domains=agent.domains)
    if agent is None:
        raise Refusal(401, *_unknown(agent_id), headers=challenge)
    if agent.revoked_at is not None:
        raise Refusal(403, *_revoked(agent))
    return agent


async def _issue_token(door: Door, form: dict[str, str]) -> JSONResponse:
    if form.get("grant_type") != "client_credentials" or form.get("client_assertion_type") != assertions.TYPE:
        raise OAuthRefusal(
            400, "BadRequest", f"`grant_type` must be client_credentials, `client_assertion_type` {assertions.TYPE}."
        )
    assertion = form.get("client_assertion", "")
    agent_id = assertions.claimed_agent(assertion)
    async with door.database.connection() as conn:
        agent = await agents.get(conn, door.tenant, agent_id)
        if agent is None:
            raise OAuthRefusal(401, *_unknown(agent_id))
        jti = assertions.verify(assertion, agent.public_key, door.tokens.issuer, door.now())
        if agent.revoked_at is not None:
            raise OAuthRefusal(401, *_revoked(agent))
        if agent.is_expired:
            raise OAuthRefusal(
                401,
                "CertificateExpired",
                f"The certificate of agent {agent.id} expired at {agent.expires_at:%Y-%m-%d %H:%M:%S} UTC.",
                "An agent that is not run for so long cannot renew it: enrol it again with a new code.",
            )
        if not await used_assertions.use(conn, door.tenant, str(agent_id), jti, assertions.REMEMBER):
            raise OAuthRefusal(401, "AssertionReused", "The assertion was used before; each is good once.")
    await door.tokens.refresh()
    answer = {
        "access_token": door.tokens.issue_agent(agent_id),
        "token_type": "Bearer",
        "expires_in": int(service_tokens.LIFETIME.total_seconds()),
    }
    return JSONResponse(answer, headers={"Cache-Control": "no-store"})


async def _next_request(
    door: Door, request: Request, agent: agents.Agent, domains: set[str], wait: float, called: Bell
) -> requests.Taken | None:
    """Wait for a request to one of these domains. An agent that has hung up is given none.

    Args:
        called: rings where there is something else to tell the agent, which it then asks for by a heartbeat.

    Raises:
        Refusal: the agent was revoked while it waited.
    """
    now = asyncio.get_running_loop().time
    until = now() + wait
    topics = [*((requests.REQUESTS, domain) for domain in domains), (agents.CALLS, str(agent.id))]
    with door.listener.watch(*topics) as bell:
        while not await request.is_disconnected():
            async with door.database.connection() as conn:
                taken = await requests.take(conn, door.tenant, agent.id, domains, door.settings.leases)
            left = until - now()
            if taken is not None or left <= 0 or called.is_rung:
                return taken
            if await bell.wait(min(left, door.settings.look.total_seconds())):
                await _still_welcome(door, agent)
    return None


async def _still_welcome(door: Door, agent: agents.Agent) -> None:
    async with door.database.connection() as conn:
        known = await agents.get(conn, door.tenant, agent.id)
    if known is not None and known.revoked_at is not None:
        raise Refusal(403, *_revoked(known))


async def _store_page(
    door: Door, agent: agents.Agent, request_id: UUID, attempt: int, number: int, body: bytes, *, is_last: bool
) -> PageState:
    """Store a page; where the reader is far behind, hold it for a while in case room is made."""
    now = asyncio.get_running_loop().time
    until = now() + door.settings.hold.total_seconds()
    with door.listener.watch((requests.ROOM, str(request_id))) as bell:
        while True:
            async with door.database.connection() as conn:
                state = await requests.insert_page(
                    conn,
                    door.tenant,
                    request_id,
                    attempt,
                    agent.id,
                    number,
                    body=body,
                    is_last=is_last,
                    leases=door.settings.leases,
                )
            left = until - now()
            if state is not PageState.FULL or left <= 0:
                return state
            await bell.wait(min(left, door.settings.look.total_seconds()))


async def message(request: Request, kind: type[Message]) -> Message:
    """Read a small body of JSON."""
    try:
        return kind.model_validate_json(await _body(request, MAX_MESSAGE))
    except ValidationError as error:
        faults = "; ".join(f"{'.'.join(map(str, fault['loc']))}: {fault['msg']}" for fault in error.errors())
        raise Refusal(400, "BadRequest", f"The body cannot be read: {faults}.") from error


async def _body(request: Request, limit: int) -> bytes:
    """Read a body of limited size, without trusting what its header says of it."""
    parts, size = [], 0
    async for part in request.stream():
        size += len(part)
        if size > limit:
            raise Refusal(413, "MessageTooLarge", f"The body is larger than the {limit:,} bytes that are accepted.")
        parts.append(part)
    return b"".join(parts)


async def verified_body(request: Request, limit: int) -> bytes:
    """Read a body and see that it is what the agent sent: a proxy may have cut it and counted it anew.

    Source: RFC 9530 (Content-Digest).
    """
    body = await _body(request, limit)
    digest = base64.b64encode(hashlib.sha256(body).digest()).decode()
    if request.headers.get("Content-Digest") != f"sha-256=:{digest}:":
        raise Refusal(
            400,
            "MessageDamaged",
            f"The body of {len(body):,} bytes is not the one that was sent: its digest differs.",
            "It is sent again; where this goes on, see what lies between agent and service.",
        )
    return body


def address(request: Request) -> str:
    """Give where a request comes from; the outside of a proxy where there is one."""
    return request.client.host if request.client else ""


def _gone(request_id: UUID, attempt: int) -> Refusal:
    return Refusal(
        410, "RequestGone", f"Request {request_id} is no longer wanted, or not from this agent as attempt {attempt}."
    )


def _unknown(agent: UUID) -> tuple[str, str, str]:
    return "AgentUnknown", f"This service knows no agent {agent}.", "Enrol the agent again with a new code."


def _revoked(agent: agents.Agent) -> tuple[str, str, str]:
    assert agent.revoked_at is not None
    return (
        "AgentRevoked",
        f"Agent {agent.id} on {agent.machine_name} was revoked at {agent.revoked_at:%Y-%m-%d %H:%M:%S} UTC.",
        "Enrol it again with a new code if it is to come back.",
    )
