"""From a change of state to a mailbox and a webhook: the outbox, a real mail server, a real receiver."""

import asyncio
import json
import logging
import re
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any
from uuid import UUID, uuid4

import click
import pytest

from dirbridge.cli import main
from dirbridge.contract.errors import TransientError
from dirbridge.service import configuration
from dirbridge.service.auth.sealing import Sealing
from dirbridge.service.notify import delivery, wording
from dirbridge.service.notify.delivery import GATHER, GIVE_UP, Courier
from dirbridge.service.notify.ways import Ways
from dirbridge.service.notify.webhook import Hook
from dirbridge.service.notify.wording import News
from dirbridge.store import identity, jobs, notifications
from dirbridge.store.database import Database
from dirbridge.store.identifiers import new_id
from dirbridge.store.notifications import Kind, Message, Notice
from tests.engine.world import default_schema
from tests.service import registered
from tests.service.notify.parts import Certificates, Mailbox, Receiver, mail_server, receiver, server_at, way

OPS, BOSS = "ops@contoso.test", "boss@contoso.test"
OWN, THEIRS = "own-secret-own-secret-own-secret", "their-secret-their-secret-their-secret"
BASE = "https://sync.contoso.test"
CLEAR = "dirbridge jobs clear-quarantine"


class Clock:
    def __init__(self) -> None:
        self.now = datetime(2026, 3, 1, 12, tzinfo=UTC)

    def __call__(self) -> datetime:
        return self.now

    def forward(self, by: timedelta) -> None:
        self.now += by


class Office:
    """A tenant whose jobs are told of."""

    def __init__(self, database: Database, box: Mailbox, got: Receiver, certificates: Certificates) -> None:
        self.database = database
        self.box = box
        self.got = got
        self.clock = Clock()
        self.tenant = uuid4()
        self.sealing = Sealing([bytes(32)])
        self.principals: dict[str, UUID] = {}
        trust = certificates.trusted()
        ways = Ways(server_at(box.port, trust), way(trust), None)
        self.courier = Courier(database, self.sealing, ways, self.clock, new_id)

    async def found(self) -> None:
        async with self.database.transaction() as conn:
            await identity.create_tenant(
                conn, self.tenant, name="Contoso", initial_domain="contoso.dirbridge.local", base_url=BASE
            )

    async def configure(self, domain: str, *recipients: str, **secrets: str) -> str:
        """Make a configuration with an active job; who is told stands in its secrets."""
        principal, job = uuid4(), f"AD2AADProvisioning.{domain}"
        self.principals[domain] = principal
        async with self.database.transaction() as conn:
            await registered.add(conn, self.tenant, principal, app_id=uuid4(), display_name=domain)
            await jobs.create(
                conn,
                self.tenant,
                job,
                service_principal=principal,
                template_id="AD2AADProvisioning",
                domain=domain,
                schema=default_schema(job),
                settings={},
            )
            await jobs.start(conn, self.tenant, job)
        await self.secrets(domain, *recipients, **secrets)
        return job

    async def secrets(self, domain: str, *recipients: str, enabled: bool = True, **secrets: str) -> None:
        wish = json.dumps({"Enabled": enabled, "Recipients": ", ".join(recipients)})
        values = {**({"SyncNotificationSettings": wish} if recipients else {}), **secrets}
        async with self.database.transaction() as conn:
            await configuration.replace(conn, self.sealing, self.tenant, self.principals[domain], domain, values)

    async def end_cycle(
        self, job: str, code: str | None = None, message: str = "It failed.", action: str = "", **more: Any
    ) -> None:
        """End a cycle of a job, well or in quarantine."""
        error = {"code": code, "message": message}
        after = (
            {"reason": "EncounteredQuarantineException", "error": error, "recommendedAction": action} if code else None
        )
        async with self.database.transaction() as conn:
            await notifications.note(
                conn,
                self.tenant,
                job,
                after=after,
                succeeded=code is None,
                now=self.clock(),
                id=new_id(),
                **more,
            )

    async def deliver(self, after: timedelta = GATHER) -> None:
        """Let the courier route, wait, and send."""
        await self.courier.step()
        self.clock.forward(after)
        await self.courier.step()

    async def messages(self) -> list[Message]:
        async with self.database.connection() as conn:
            return await notifications.latest(conn, self.tenant, 100)

    def subjects(self) -> list[str]:
        return [str(mail["Subject"]).strip() for _, _, mail in self.box.mails]

    def recipients(self) -> list[str]:
        return sorted(mail["To"] for _, _, mail in self.box.mails)

    def hear(self) -> None:
        """Give the service its own webhook."""
        ways = replace(self.courier.ways, hook=Hook(self.got.url, OWN))
        self.courier = replace(self.courier, ways=ways)

    def move(self, **mail: Any) -> None:
        """Change how the mail server is reached."""
        server = self.courier.ways.mail
        assert server is not None
        self.courier = replace(self.courier, ways=replace(self.courier.ways, mail=replace(server, **mail)))


@pytest.fixture
async def office(database: Database, certificates: Certificates) -> AsyncIterator[Office]:
    async with mail_server(certificates.shown()) as box, receiver(certificates.shown()) as got:
        made = Office(database, box, got, certificates)
        await made.found()
        yield made


def text(box: Mailbox, number: int = 0) -> str:
    body = box.mails[number][2].get_body(("plain",))
    assert body is not None
    found = body.get_content()
    assert isinstance(found, str)
    return found.replace("\r\n", "\n")


async def test_a_quarantine_is_told_by_mail(office: Office) -> None:
    """What happened, why, what to do, and where to look; once, to everybody who is named."""
    job = await office.configure("contoso.test", OPS, BOSS)
    await office.end_cycle(job, "InvalidCredentials", "dc1.contoso.test refused the account.", "Enable the account.")
    await office.deliver()
    await office.end_cycle(job, "InvalidCredentials", "dc1.contoso.test refused the account.")
    await office.deliver()
    assert office.recipients() == [BOSS, OPS]
    assert set(office.subjects()) == {"[dirbridge] contoso.test is in quarantine"}
    link = f"{BASE}/v1.0/servicePrincipals/{office.principals['contoso.test']}/synchronization/jobs/{job}"
    assert text(office.box) == (
        "contoso.test is in quarantine.\n"
        f"2026-03-01 12:00:00 UTC, job {job}\n"
        "\n"
        "Its synchronization cannot go on as it should. It is tried again at growing intervals, up to a day.\n"
        "\n"
        "Why: dc1.contoso.test refused the account. (InvalidCredentials)\n"
        "\n"
        "What to do:\n"
        "- Enable the account.\n"
        "- Repair the cause. It is tried again by itself; at once by: dirbridge jobs clear-quarantine contoso.test\n"
        "- See how the job stands: dirbridge jobs show contoso.test\n"
        "\n"
        f"{link}\n"
        "\n"
        "-- \n"
        "Sent by dirbridge for Contoso. Who is told stands in the secrets of each configuration.\n"
    )
    assert {message.state for message in await office.messages()} == {"sent"}
    assert {message.answer for message in await office.messages()} == {"queued as 42"}


async def test_recovery_and_another_reason_are_told(office: Office) -> None:
    """Each in its own words."""
    job = await office.configure("contoso.test", OPS)
    for code in ("HybridIdentityServiceNoActiveAgents", "InvalidCredentials", None):
        await office.end_cycle(job, code)
        await office.deliver()
    assert office.subjects() == [
        "[dirbridge] contoso.test is in quarantine",
        "[dirbridge] contoso.test is in quarantine for another reason",
        "[dirbridge] contoso.test works again",
    ]


async def test_jobs_that_fail_together_are_told_in_one_mail(office: Office) -> None:
    """One agent is gone, twenty domains fail: one mail for each mailbox, which tells all of them."""
    for number in range(20):
        job = await office.configure(f"d{number}.test", OPS, *([BOSS] if number == 7 else []))
        await office.end_cycle(job, "HybridIdentityServiceNoActiveAgents")
    await office.deliver()
    assert office.recipients() == [BOSS, OPS]
    told = {
        mail["To"]: (mail["Subject"], text(office.box, place)) for place, (_, _, mail) in enumerate(office.box.mails)
    }
    assert told[BOSS][0] == "[dirbridge] d7.test is in quarantine"
    assert told[OPS][0] == "[dirbridge] 20 messages about d0.test, d1.test, d2.test and 17 more"
    assert [f"d{number}.test is in quarantine.\n" in told[OPS][1] for number in range(20)] == [True] * 20


async def test_webhooks_are_told_signed_each_by_its_own_key(office: Office) -> None:
    """The service's own hears of all jobs, a configuration's of its own; the id is the same in every attempt."""
    office.hear()
    mine = f"https://localhost:{office.got.port}/configuration"
    job = await office.configure("contoso.test", WebhookUrl=mine, WebhookSecret=THEIRS)
    other = await office.configure("fabrikam.test")
    office.got.status = "500 Internal Server Error"
    await office.end_cycle(job, "InvalidCredentials", "dc1 refused.")
    await office.end_cycle(other, "InvalidCredentials", "dc2 refused.")
    await office.deliver(timedelta(minutes=1))
    office.got.status = "200 OK"
    await office.deliver(timedelta(minutes=1))
    calls = {(call.path, call.headers["webhook-id"]): call for call in office.got.calls}
    assert (len(office.got.calls), len(calls)) == (9, 3)
    paths = [(path, call.document["data"]["domain"]) for (path, _), call in calls.items()]
    assert sorted(paths) == [
        ("/configuration", "contoso.test"),
        ("/hook?tenant=1", "contoso.test"),
        ("/hook?tenant=1", "fabrikam.test"),
    ]
    for (path, _), call in calls.items():
        assert call.is_signed_by((THEIRS if path == "/configuration" else OWN).encode())
    document = next(call.document for (path, _), call in calls.items() if path == "/configuration")
    assert document.pop("timestamp") == "2026-03-01T12:00:00Z"
    assert UUID(document["data"].pop("id"))
    assert document == {
        "type": "job.quarantined",
        "data": {
            "tenantId": str(office.tenant),
            "servicePrincipalId": str(office.principals["contoso.test"]),
            "jobId": job,
            "domain": "contoso.test",
            "summary": "contoso.test is in quarantine.",
            "reason": "EncounteredQuarantineException",
            "code": "InvalidCredentials",
            "message": "dc1 refused.",
            "recommendedActions": [
                f"Repair the cause. It is tried again by itself; at once by: {CLEAR} contoso.test",
                "See how the job stands: dirbridge jobs show contoso.test",
            ],
            "link": f"{BASE}/v1.0/servicePrincipals/{office.principals['contoso.test']}/synchronization/jobs/{job}",
        },
    }


async def test_a_late_job_is_told_and_its_success_too(office: Office) -> None:
    """No success in three intervals, although no cycle ended that could have said so."""
    job = await office.configure("contoso.test", OPS)
    await office.courier.watch()
    office.clock.forward(timedelta(minutes=7))
    await office.courier.watch()
    await office.deliver()
    await office.end_cycle(job)
    await office.deliver()
    assert office.subjects() == [
        "[dirbridge] contoso.test has had no successful cycle for three intervals",
        "[dirbridge] contoso.test works again",
    ]


@pytest.mark.parametrize("enabled", [True, False])
async def test_who_is_not_to_be_told_is_not(office: Office, enabled: bool) -> None:
    """Mails of a configuration are switched on and off by its settings, at any time before they are sent."""
    job = await office.configure("contoso.test", OPS)
    await office.secrets("contoso.test", OPS, enabled=enabled)
    await office.end_cycle(job, "InvalidCredentials")
    await office.deliver()
    assert office.recipients() == ([OPS] if enabled else [])


def _warnings(caplog: pytest.LogCaptureFixture) -> list[Any]:
    return [each for each in caplog.records if each.levelno >= logging.WARNING and each.name.startswith("dirbridge.")]


# Faults ---------------------------------------------------------------------------------------------------------------


async def test_a_mail_waits_for_a_server_that_is_gone_and_is_sent_once(office: Office) -> None:
    """With growing pauses; when the server is back it gets each mail once."""
    job = await office.configure("contoso.test", OPS)
    port = office.box.port
    office.move(port=1)
    await office.end_cycle(job, "InvalidCredentials")
    await office.deliver()
    pauses = []
    for _ in range(9):
        (message,) = await office.messages()
        assert (message.state, "cannot be reached" in message.answer) == ("waiting", True)
        pauses.append(message.due - office.clock())
        office.clock.forward(message.due - office.clock())
        await office.courier.step()
    minutes = [pause / timedelta(minutes=1) for pause in pauses]
    assert minutes == [0.5, 1, 2, 4, 8, 16, 32, 60, 60]
    office.move(port=port)
    await office.deliver(timedelta(hours=1))
    await office.deliver(timedelta(hours=1))
    (message,) = await office.messages()
    assert (message.state, len(office.box.mails)) == ("sent", 1)
    assert office.box.mails[0][2]["Message-ID"] == f"<{message.id}@sync.contoso.test>"


async def test_a_message_is_given_up_after_a_day(office: Office, caplog: pytest.LogCaptureFixture) -> None:
    """With a line in the log, and not before."""
    job = await office.configure("contoso.test", OPS)
    office.move(port=1)
    await office.end_cycle(job, "InvalidCredentials")
    began = office.clock()
    await office.courier.step()
    while (await office.messages())[0].settled_at is None:
        office.clock.forward(timedelta(minutes=10))
        await office.courier.step()
    (message,) = await office.messages()
    assert GIVE_UP - timedelta(hours=1) <= office.clock() - began <= GIVE_UP
    assert (message.state, message.attempts > 20) == ("failed", True)
    (line,) = _warnings(caplog)
    assert (line.event, line.code) == ("notification.given_up", "HostUnreachable")
    assert OPS in line.getMessage()


async def test_the_servers_last_word_ends_it_at_once(office: Office) -> None:
    """A mailbox that does not exist is not asked for again; others are not held up by it."""
    job = await office.configure("contoso.test", OPS)
    office.box.rcpt_answer = "550 no such user"
    await office.end_cycle(job, "InvalidCredentials")
    await office.deliver()
    (message,) = await office.messages()
    assert (message.state, message.attempts, "550 no such user" in message.answer) == ("failed", 1, True)


async def test_a_receiver_says_when_to_come_again(office: Office) -> None:
    """Retry-After counts where it is longer than our own pause."""
    office.hear()
    job = await office.configure("contoso.test")
    office.got.status, office.got.headers = "429 Too Many Requests", ["Retry-After: 1200"]
    await office.end_cycle(job, "InvalidCredentials")
    await office.courier.step()
    (message,) = await office.messages()
    assert message.due == office.clock() + timedelta(minutes=20)


async def test_nothing_goes_to_a_webhook_that_was_taken_away(office: Office) -> None:
    """What waits for an old address is given up."""
    url = f"https://localhost:{office.got.port}/old"
    job = await office.configure("contoso.test", WebhookUrl=url, WebhookSecret=THEIRS)
    office.got.status = "500 Internal Server Error"
    await office.end_cycle(job, "InvalidCredentials")
    await office.courier.step()
    await office.secrets("contoso.test")
    office.got.status = "200 OK"
    await office.deliver(timedelta(minutes=5))
    (message,) = await office.messages()
    assert (message.state, len(office.got.calls)) == ("failed", 1)


async def test_mail_without_a_mail_server_is_shown_as_failed(office: Office) -> None:
    """Who wonders why no mail comes finds the setting that is missing."""
    job = await office.configure("contoso.test", OPS)
    office.courier = replace(office.courier, ways=replace(office.courier.ways, mail=None))
    await office.end_cycle(job, "InvalidCredentials")
    await office.deliver()
    (message,) = await office.messages()
    assert (message.state, message.answer) == ("failed", delivery.NO_MAIL_SERVER)


async def test_secrets_that_cannot_be_opened_stop_nobody_else(office: Office, caplog: pytest.LogCaptureFixture) -> None:
    """One configuration's are damaged: the others' jobs are told, and the log names the one."""
    broken, fine = await office.configure("broken.test", OPS), await office.configure("fine.test", OPS)
    async with office.database.transaction() as conn:
        await conn.execute(
            "update configuration_secrets set sealed = '\\x0102' where service_principal = %s",
            (office.principals["broken.test"],),
        )
    await office.end_cycle(broken, "InvalidCredentials")
    await office.end_cycle(fine, "InvalidCredentials")
    await office.deliver()
    assert office.subjects() == ["[dirbridge] fine.test is in quarantine"]
    (line,) = _warnings(caplog)
    assert str(office.principals["broken.test"]) in line.getMessage()


async def test_a_sender_that_dies_after_the_servers_word_repeats_under_the_same_id(office: Office) -> None:
    """At least once is all that mail can give; the Message-ID lets a mailbox tell."""
    job = await office.configure("contoso.test", OPS)
    await office.end_cycle(job, "InvalidCredentials")
    dying = replace(office.courier, database=_Dying(office.database))  # type: ignore[arg-type]
    await dying.step()
    office.clock.forward(GATHER)
    await dying.step()
    assert (len(office.box.mails), (await office.messages())[0].state) == (1, "waiting")
    await office.deliver(timedelta(minutes=10))
    first, second = (mail["Message-ID"] for _, _, mail in office.box.mails)
    assert (first == second, (await office.messages())[0].state) == (True, "sent")


class _Dying:
    """A database that is gone as soon as a message was sent: the third transaction of a step."""

    def __init__(self, database: Database) -> None:
        self._database = database
        self._left = 4

    @asynccontextmanager
    async def transaction(self) -> AsyncIterator[Any]:
        if not self._left:
            raise TransientError("The database is gone.")
        self._left -= 1
        async with self._database.transaction() as conn:
            yield conn

    def connection(self) -> Any:
        return self._database.connection()


async def test_two_couriers_send_everything_once(office: Office) -> None:
    """Two processes work at one outbox."""
    office.hear()
    names = [f"d{number}.test" for number in range(8)]
    for job in [await office.configure(name, f"{name[:2]}@contoso.test") for name in names]:
        await office.end_cycle(job, "InvalidCredentials")
    for _ in range(4):
        await asyncio.gather(office.courier.step(), office.courier.step())
        office.clock.forward(GATHER)
    ids = [call.headers["webhook-id"] for call in office.got.calls]
    assert (len(ids), len(set(ids)), office.recipients()) == (8, 8, [f"{name[:2]}@contoso.test" for name in names])


async def test_it_runs_until_told_to_stop(office: Office, monkeypatch: pytest.MonkeyPatch) -> None:
    """Through faults of the database, and it finishes what it is sending."""
    monkeypatch.setattr(delivery, "TICK", 0.01)
    monkeypatch.setattr(delivery, "GATHER", timedelta(0))
    job = await office.configure("contoso.test", OPS)
    await office.end_cycle(job, "InvalidCredentials")
    stop = asyncio.Event()
    flaky = replace(office.courier, database=_Flaky(office.database))  # type: ignore[arg-type]
    async with asyncio.timeout(20), asyncio.TaskGroup() as tasks:
        tasks.create_task(flaky.run(stop))
        while not office.box.mails:
            await asyncio.sleep(0.01)
        stop.set()
    assert [message.state for message in await office.messages()] == ["sent"]


class _Flaky:
    """A database whose every other transaction fails."""

    def __init__(self, database: Database) -> None:
        self._database = database
        self._turn = 0

    @asynccontextmanager
    async def transaction(self) -> AsyncIterator[Any]:
        self._turn += 1
        if self._turn in {1, 3}:
            raise TransientError("The database is busy.")
        async with self._database.transaction() as conn:
            yield conn

    def connection(self) -> Any:
        return self._database.connection()


async def test_values_of_a_message_do_nothing_in_html(office: Office) -> None:
    """What a directory names itself is text, in a subject of one line."""
    job = await office.configure("contoso.test", OPS)
    await office.end_cycle(job, "X", '<script>alert("&")</script>\nBcc: evil@example.test')
    await office.deliver()
    ((_, recipients, mail),) = office.box.mails
    html = mail.get_body(("html",))
    assert html is not None
    assert ("<script>" in html.get_content(), "&lt;script&gt;" in html.get_content()) == (False, True)
    assert (recipients, mail["Bcc"]) == ([OPS], None)


def test_pauses_are_in_the_documented_order() -> None:
    """The constants that the page names."""
    found: Sequence[timedelta] = (delivery.FIRST_PAUSE, delivery.LONGEST_PAUSE, delivery.GIVE_UP, delivery.GATHER)
    assert [each / timedelta(seconds=1) for each in found] == [30, 3600, 86400, 30]


def test_every_command_that_a_message_names_exists() -> None:
    """Who follows it at night finds what it says."""
    text = Path(wording.__file__).read_text("utf-8")
    commands = set(re.findall(r'"dirbridge ([a-z -]+?)(?: \{domain\})?"', text))
    assert len(commands) >= 6
    for command in commands:
        found: click.Command | None = main.cli
        for word in command.split():
            assert isinstance(found, click.Group)
            found = found.get_command(click.Context(found), word)
        assert found is not None, command


def test_every_kind_is_told_in_both_forms() -> None:
    """With what happened and where to look, and a line for programs."""
    for kind in Kind:
        notice = Notice(new_id(), "job", kind, datetime(2026, 3, 1, tzinfo=UTC), "R", "C", "It <failed>.", "Do it.")
        news = News(notice, "contoso.test", "sp", "https://sync.test/job")
        mail = wording.mail([news], "Contoso")
        assert "contoso.test" in mail.subject
        assert "https://sync.test/job" in mail.plain
        assert "It &lt;failed&gt;. (C)" in mail.html
        assert ("Do it." in mail.plain) == (kind is not Kind.DELETES_HELD)
        document = wording.document(news, "tenant")
        assert document["type"] == ("test" if kind is Kind.TEST else f"job.{kind.value}")
        assert document["data"]["summary"].startswith("contoso.test")


def test_a_mail_tells_so_many_and_counts_the_rest() -> None:
    """It stays readable when everything fails at once."""
    at = datetime(2026, 3, 1, tzinfo=UTC)
    news = [
        News(Notice(new_id(), f"job{number}", Kind.QUARANTINED, at), f"d{number}.test", "sp", "https://sync.test/")
        for number in range(wording.MOST_TOLD + 7)
    ]
    mail = wording.mail(news, "Contoso")
    assert (mail.plain.count("is in quarantine."), "And 7 more." in mail.plain, "And 7 more." in mail.html) == (
        wording.MOST_TOLD,
        True,
        True,
    )
