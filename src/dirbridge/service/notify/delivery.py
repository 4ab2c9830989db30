"""The courier: takes what there is to tell from the outbox to people and programs.

A task of the worker; any number of processes may run one. Every few seconds it routes what is new, sends what is due,
and now and then looks for jobs that are late. A message is tried with growing pauses for a day and then given up. It
keeps its id in every attempt: should this process die between a server's word and its note of it, the receiver can
tell the repetition.
"""

from __future__ import annotations

import asyncio
import contextlib
import logging
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from urllib.parse import urlsplit
from uuid import UUID

from dirbridge.contract.errors import ConfigurationError, DirbridgeError
from dirbridge.service import configuration
from dirbridge.service.auth.sealing import Sealing
from dirbridge.service.notify import mail, ways, webhook, wording
from dirbridge.service.notify.faults import NotDelivered
from dirbridge.service.notify.ways import Recipients, Ways
from dirbridge.service.notify.webhook import Hook
from dirbridge.service.notify.wording import News
from dirbridge.service.settings import Settings
from dirbridge.service.setup import Identity
from dirbridge.store import identity as tenants
from dirbridge.store import notifications
from dirbridge.store.database import Connection, Database
from dirbridge.store.identifiers import new_id
from dirbridge.store.identity import Tenant
from dirbridge.store.notifications import Message, Route, Told

logger = logging.getLogger(__name__)

TICK = 2.0
"""Seconds between two looks at the outbox."""
WATCH = timedelta(seconds=15)
"""How often late jobs are looked for."""
SETTLING_IN = timedelta(minutes=2)
"""How long after its start a process looks for no late jobs: while no process ran, all of them were, and are about to
run now."""
GATHER = timedelta(seconds=30)
"""How long a mail waits for more to tell."""
MOST_AN_HOUR = 12
"""Mails to one mailbox; what comes beyond is gathered."""
FIRST_PAUSE, LONGEST_PAUSE = timedelta(seconds=30), timedelta(hours=1)
GIVE_UP = timedelta(hours=24)
"""How long a message is tried."""
AT_ONCE = 10
"""Messages that are sent at the same time."""
AT_A_TIME = 500
"""Notices that are routed together."""

NO_MAIL_SERVER = "No mail server is set: see DIRBRIDGE_SMTP_SERVER."


@dataclass(frozen=True, slots=True)
class Courier:
    """Routes and sends."""

    database: Database
    sealing: Sealing
    ways: Ways
    clock: Callable[[], datetime]
    new_id: Callable[[], UUID]

    async def run(self, stop: asyncio.Event) -> None:
        """Go on until told to stop; what is being sent then is finished first."""
        look_after = self.clock() + SETTLING_IN
        while not stop.is_set():
            try:
                if self.clock() >= look_after:
                    look_after = self.clock() + WATCH
                    await self.watch()
                await self.step()
            except DirbridgeError as error:
                logger.warning("Notifications are put off: %s", error, extra={"event": "notification.put_off"})
            except Exception:  # cycles must not end because nobody can be told of them
                logger.exception("Notifications failed.", extra={"event": "notification.put_off"})
            with contextlib.suppress(TimeoutError):
                await asyncio.wait_for(stop.wait(), TICK)

    async def watch(self) -> None:
        """Look for jobs that are late."""
        async with self.database.transaction() as conn:
            await notifications.watch(conn, self.clock(), self.new_id)

    async def step(self) -> None:
        """Route what is new, and send what is due."""
        async with self.database.transaction() as conn:
            for tenant, told in (await notifications.unrouted(conn, AT_A_TIME)).items():
                await self._route(conn, tenant, told)
        async with self.database.transaction() as conn:
            claimed = await notifications.claim(conn, self.clock(), self._lease(), AT_ONCE)
        if claimed:
            async with asyncio.TaskGroup() as sending:
                for message in claimed:
                    sending.create_task(self._attempt(message))

    def _lease(self) -> timedelta:
        """How long an attempt may take: longer than every time limit within."""
        limits = [self.ways.webhooks.timeout, *([self.ways.mail.timeout] if self.ways.mail else [])]
        return 2 * max(limits) + timedelta(minutes=1)

    # To whom ----------------------------------------------------------------------------------------------------------

    async def _route(self, conn: Connection, tenant: UUID, told: Sequence[Told]) -> None:
        known: dict[UUID, Recipients] = {}
        routes: list[Route] = []
        for each in told:
            principal = each.service_principal
            if principal not in known:
                known[principal] = await self.recipients(conn, tenant, principal)
            routes += self._routes(each.notice.id, principal, known[principal])
        await notifications.route(
            conn,
            tenant,
            [each.notice.id for each in told],
            routes,
            now=self.clock(),
            window=GATHER,
            most_an_hour=MOST_AN_HOUR,
            new_id=self.new_id,
        )

    def _routes(self, notice: UUID, principal: UUID, recipients: Recipients) -> list[Route]:
        unable = "" if self.ways.mail else NO_MAIL_SERVER
        routes = [Route(notice, "mail", mailbox, unable=unable) for mailbox in recipients.mailboxes]
        if self.ways.hook is not None:
            routes.append(Route(notice, "webhook", self.ways.hook.url))
        if recipients.hook is not None:
            routes.append(Route(notice, "webhook", recipients.hook.url, principal))
        return routes

    async def recipients(self, conn: Connection, tenant: UUID, principal: UUID) -> Recipients:
        """Read who is told; secrets that cannot be read name nobody, which is logged."""
        try:
            values = await configuration.read(conn, self.sealing, tenant, principal)
            wish = configuration.notification_settings(values)
        except ConfigurationError as error:
            logger.warning(
                "Nobody is told of the jobs of configuration %s: %s",
                principal,
                error,
                extra={"event": "notification.unreadable", "service_principal": str(principal)},
            )
            return Recipients()
        hook = Hook(values["WebhookUrl"].strip(), values["WebhookSecret"]) if "WebhookUrl" in values else None
        return Recipients(wish.mailboxes() if wish.enabled else (), hook)

    # Sending ----------------------------------------------------------------------------------------------------------

    async def _attempt(self, message: Message) -> None:
        """Send one message and note what became of it; where that cannot be noted, it is due when its lease ends."""
        try:
            try:
                answer = await self._send(message)
            except NotDelivered as error:
                await self._put_off(message, error, final=error.final, wait=error.wait)
            except DirbridgeError as error:
                await self._put_off(message, error, final=False, wait=None)
            else:
                await self._settle(message, "sent", answer)
                whom = shown(message.channel, message.recipient)
                logger.info("%s was told.", whom, extra=_extra("notification.sent", message))
        except Exception:
            logger.exception("Message %s failed.", message.id, extra=_extra("notification.fault", message))

    async def _send(self, message: Message) -> str:
        async with self.database.connection() as conn:
            tenant = await tenants.get_tenant(conn, message.tenant)
            told = (await notifications.contents(conn, message.tenant, [message.id]))[message.id]
            hook = await self._hook(conn, message)
        if not told:
            raise NotDelivered("Its jobs were deleted, so there is nothing left to tell.", final=True)
        news = [_news(each, tenant) for each in told]
        if message.channel == "mail":
            return await self.mail(message.recipient, message.id, news, tenant, message.created_at)
        if hook is None or hook.url != message.recipient:
            raise NotDelivered("The webhook's address was changed or taken away.", final=True)
        return await self.call(hook, message.id, news[0], tenant)

    async def _hook(self, conn: Connection, message: Message) -> Hook | None:
        if message.channel != "webhook" or message.service_principal is None:
            return self.ways.hook
        return (await self.recipients(conn, message.tenant, message.service_principal)).hook

    async def mail(self, recipient: str, id: UUID, news: Sequence[News], tenant: Tenant, at: datetime) -> str:
        """Send a mail; gives what the server said."""
        server = self.ways.mail
        if server is None:
            raise NotDelivered(NO_MAIL_SERVER)
        return await mail.send(
            server, recipient, mail.compose(server, id, recipient, wording.mail(news, tenant.name), at)
        )

    async def call(self, hook: Hook, id: UUID, news: News, tenant: Tenant) -> str:
        """Call a webhook; gives what it answered."""
        return await webhook.post(self.ways.webhooks, hook, id, wording.document(news, str(tenant.id)), self.clock())

    async def _put_off(self, message: Message, error: DirbridgeError, *, final: bool, wait: timedelta | None) -> None:
        now = self.clock()
        pause = min(FIRST_PAUSE * 2 ** min(message.attempts - 1, 20), LONGEST_PAUSE)
        due = now + max(pause, wait or pause)
        if final or due > message.created_at + GIVE_UP:
            await self._settle(message, "failed", str(error))
            logger.warning(
                "%s was not told, and will not be: %s",
                shown(message.channel, message.recipient),
                error,
                extra={**_extra("notification.given_up", message), "code": error.code},
            )
            return
        await self._settle(message, "waiting", str(error), due)
        logger.info(
            "%s was not told yet: %s",
            shown(message.channel, message.recipient),
            error,
            extra={**_extra("notification.put_off", message), "code": error.code},
        )

    async def _settle(self, message: Message, state: str, answer: str, due: datetime | None = None) -> None:
        async with self.database.transaction() as conn:
            await notifications.settle(conn, message, state=state, answer=answer, now=self.clock(), due=due)


def courier(database: Database, identity: Identity, settings: Settings) -> Courier:
    """Wire the courier of a process.

    Raises:
        ConfigurationError: a file of certificates that the settings name cannot be used.
    """
    host = urlsplit(identity.tenant.base_url).hostname or "localhost"
    return Courier(database, identity.sealing, ways.build(settings, host), lambda: datetime.now(UTC), new_id)


def _news(told: Told, tenant: Tenant) -> News:
    """Add to a notice where its job can be looked at."""
    path = f"servicePrincipals/{told.service_principal}/synchronization/jobs/{told.notice.job}"
    return News(told.notice, told.domain, str(told.service_principal), f"{tenant.base_url}/v1.0/{path}")


def shown(channel: str, recipient: str) -> str:
    """Name a recipient: of a webhook the host alone, as its path may be what keeps others out."""
    return recipient if channel == "mail" else f"{urlsplit(recipient).scheme}://{urlsplit(recipient).netloc}"


def _extra(event: str, message: Message) -> dict[str, object]:
    return {
        "event": event,
        "message_id": str(message.id),
        "channel": message.channel,
        "attempt": message.attempts,
        "tenant": str(message.tenant),
    }
