"""What an administrator does with notifications: see what became of them, and try whether they arrive.

Graph has no words for these, so they lie under /beta/dirbridge, in Graph's conventions.
"""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Sequence
from dataclasses import dataclass
from typing import Annotated, Any

import msgspec
from fastapi import APIRouter, Depends, Query, Request
from fastapi.responses import JSONResponse
from pydantic import BaseModel, ConfigDict, Field

from dirbridge.contract.errors import ConfigurationError, DirbridgeError
from dirbridge.service.auth.access import Caller, require
from dirbridge.service.auth.permissions import OBSERVERS, SYNCHRONIZERS
from dirbridge.service.graph.responses import moment
from dirbridge.service.notify.delivery import Courier, shown
from dirbridge.service.notify.webhook import Hook
from dirbridge.service.notify.wording import News
from dirbridge.service.settings import MAILBOX
from dirbridge.store import audits, identity, notifications
from dirbridge.store.identity import Tenant
from dirbridge.store.notifications import Kind, Message, Notice, Told

READ = require("Synchronization.Read.All", "Synchronization.ReadWrite.All", roles=OBSERVERS)
WRITE = require("Synchronization.ReadWrite.All", roles=SYNCHRONIZERS)


AT_ONCE = 50
"""Tests that are sent at the same time: who asked for them waits."""


class TestWish(BaseModel):
    """To whom a test goes; to all that would be told if nobody is named."""

    model_config = ConfigDict(extra="forbid")

    recipient: str | None = Field(default=None, max_length=320)


class Trial(msgspec.Struct, frozen=True, rename="camel"):
    """What became of a test: what the other side answered, or why it did not."""

    channel: str
    recipient: str
    delivered: bool
    answer: str
    code: str | None = None
    recommended_action: str | None = None


@dataclass(frozen=True, slots=True)
class _Everybody:
    """Whom the tenant's notifications go to, once each."""

    tenant: Tenant
    mailboxes: Sequence[str]
    hooks: Sequence[Hook]


async def test(courier: Courier, caller: Caller, recipient: str | None) -> list[Trial]:
    """Send a message now, past the outbox.

    Args:
        recipient: a mailbox; None for everybody.

    Raises:
        ConfigurationError: nobody would be told.
    """
    everybody = await _everybody(courier, caller)
    mailboxes, hooks = ([recipient], []) if recipient else (everybody.mailboxes, everybody.hooks)
    if not mailboxes and not hooks:
        raise ConfigurationError(
            "Nobody is told of anything: no configuration names recipients or a webhook, nor do the settings.",
            code="NoRecipients",
            recommended_action="Put them into the configuration's secrets, or set DIRBRIDGE_WEBHOOK_URL.",
        )
    turn = asyncio.Semaphore(AT_ONCE)
    tenant = everybody.tenant
    now, id = courier.clock(), courier.new_id()
    news = News(Notice(id, "", Kind.TEST, now), tenant.name, "", tenant.base_url)
    trials = [_try(turn, "mail", one, courier.mail(one, courier.new_id(), [news], tenant, now)) for one in mailboxes]
    trials += [_try(turn, "webhook", one.url, courier.call(one, id, news, tenant)) for one in hooks]
    return list(await asyncio.gather(*trials))


async def _everybody(courier: Courier, caller: Caller) -> _Everybody:
    async with courier.database.transaction() as conn:
        tenant = await identity.get_tenant(conn, caller.tenant)
        principals = await identity.service_principals(conn, caller.tenant)
        found = [await courier.recipients(conn, caller.tenant, each.id) for each in principals]
        await audits.record(conn, caller.tenant, actor=caller.actor, activity="Send test notification")
    hooks = [*([courier.ways.hook] if courier.ways.hook else []), *(each.hook for each in found if each.hook)]
    return _Everybody(
        tenant,
        list(dict.fromkeys(mailbox for each in found for mailbox in each.mailboxes)),
        list({(hook.url, hook.secret): hook for hook in hooks}.values()),
    )


async def _try(turn: asyncio.Semaphore, channel: str, recipient: str, sending: Awaitable[str]) -> Trial:
    async with turn:
        try:
            answer = await sending
        except DirbridgeError as error:
            action = error.recommended_action or None
            return Trial(channel, shown(channel, recipient), False, error.reason, error.code, action)
        return Trial(channel, shown(channel, recipient), True, answer)


router = APIRouter(prefix="/beta/dirbridge", tags=["notifications"])


def _courier(request: Request) -> Courier:
    courier: Courier = request.app.state.courier
    return courier


TheCourier = Annotated[Courier, Depends(_courier)]


@router.post("/notifications/test")
async def post_test(courier: TheCourier, caller: Annotated[Caller, Depends(WRITE)], wish: TestWish) -> JSONResponse:
    """Send a test message, and tell what the other side answered."""
    if wish.recipient is not None and not MAILBOX.fullmatch(wish.recipient):
        raise ConfigurationError(
            f"'{wish.recipient}' is no mailbox.",
            code="InvalidRecipient",
            recommended_action="Write it as name@contoso.example.",
        )
    trials = await test(courier, caller, wish.recipient)
    return JSONResponse({"value": [msgspec.to_builtins(each) for each in trials]})


@router.get("/notifications")
async def get_messages(
    courier: TheCourier,
    caller: Annotated[Caller, Depends(READ)],
    top: Annotated[int, Query(alias="$top", ge=1, le=1000)] = 100,
) -> JSONResponse:
    """List the newest messages with what became of them, the last one first."""
    async with courier.database.connection() as conn:
        found = await notifications.latest(conn, caller.tenant, top)
        told = await notifications.contents(conn, caller.tenant, [each.id for each in found])
    return JSONResponse({"value": [_shown(each, told[each.id]) for each in found]})


@router.get("/notificationWays")
async def get_ways(courier: TheCourier, _caller: Annotated[Caller, Depends(READ)]) -> JSONResponse:
    """Say how messages are sent, as the service's settings have it; no secret is among it."""
    mail, hook = courier.ways.mail, courier.ways.hook
    security = None if mail is None else "tls" if mail.implicit_tls else "starttls"
    return JSONResponse({
        "mailServer": None if mail is None else f"{mail.host}:{mail.port}",
        "mailSecurity": security,
        "mailFrom": None if mail is None else mail.sender,
        "webhook": None if hook is None else shown("webhook", hook.url),
    })  # fmt: skip


def _shown(message: Message, told: Sequence[Told]) -> dict[str, Any]:
    waits = message.state in {"gathering", "waiting"}
    return {
        "id": str(message.id),
        "channel": message.channel,
        "recipient": shown(message.channel, message.recipient),
        "servicePrincipalId": str(message.service_principal) if message.service_principal else None,
        "state": message.state,
        "attempts": message.attempts,
        "answer": message.answer or None,
        "createdDateTime": moment(message.created_at),
        "nextAttemptDateTime": moment(message.due) if waits else None,
        "settledDateTime": moment(message.settled_at),
        "notices": [
            {
                "id": str(each.notice.id),
                "kind": each.notice.kind.value,
                "dateTime": moment(each.notice.at),
                "jobId": each.notice.job,
                "domain": each.domain,
                "reason": each.notice.reason or None,
                "code": each.notice.code or None,
                "message": each.notice.message or None,
                "recommendedAction": each.notice.recommended_action or None,
            }
            for each in told
        ],
    }
