"""`dirbridge notifications` against a service that runs, with a real mail server and a real receiver of webhooks."""

import asyncio
import json
import os
import shutil
import signal
import socket
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any
from uuid import UUID

import httpx2
import pytest

from dirbridge.store.embedded import EmbeddedServer
from dirbridge.store.identifiers import new_id
from tests.cli.conftest import Command, _wait
from tests.fixtures.postgres import _new_database, open_folder
from tests.service.notify.parts import (
    PASSWORD,
    SENDER,
    USER,
    Certificates,
    Mailbox,
    Receiver,
    mail_server,
    receiver,
)

pytestmark = pytest.mark.service

SECRET = "own-secret-own-secret-own-secret"


@dataclass
class Outside:
    """What the service sends to."""

    box: Mailbox
    got: Receiver


@contextmanager
def outside(certificates: Certificates) -> Iterator[Outside]:
    """Run both in a thread of their own, as the command is waited for in this one."""
    ready: list[Outside] = []
    began, loop, end = threading.Event(), asyncio.new_event_loop(), asyncio.Event()

    async def run() -> None:
        async with mail_server(certificates.shown()) as box, receiver(certificates.shown()) as got:
            ready.append(Outside(box, got))
            began.set()
            await end.wait()

    thread = threading.Thread(target=loop.run_until_complete, args=(run(),))
    thread.start()
    assert began.wait(10)
    try:
        yield ready[0]
    finally:
        loop.call_soon_threadsafe(end.set)
        thread.join(10)
        loop.close()


@dataclass
class Running:
    """A service that is set up to tell people."""

    command: Command
    outside: Outside
    base: str
    folder: Path

    def put_secrets(self, job: dict[str, Any], **values: Any) -> None:
        """Replace a configuration's secrets through the API."""
        profile = json.loads((self.folder / ".config/dirbridge/profile.json").read_text())
        with httpx2.Client(verify=_trust(profile["caFile"]), base_url=self.base) as client:
            form = {
                "grant_type": "client_credentials",
                "client_id": profile["clientId"],
                "client_secret": profile["clientSecret"],
                "scope": "https://graph.microsoft.com/.default",
            }
            token = client.post(f"/{profile['tenantId']}/oauth2/v2.0/token", data=form).json()["access_token"]
            answer = client.put(
                f"/v1.0/servicePrincipals/{job['servicePrincipalId']}/synchronization/secrets",
                headers={"Authorization": f"Bearer {token}"},
                json={
                    "value": [
                        {"key": key, "value": value if isinstance(value, str) else json.dumps(value)}
                        for key, value in values.items()
                    ]
                },
            )
        assert answer.status_code == 204, answer.text


def _trust(file: str) -> Any:
    import ssl

    return ssl.create_default_context(cafile=file)


@pytest.fixture(scope="module")
def running(
    postgres: EmbeddedServer, template_database: str, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[Running]:
    """A service with mail server and webhook, and a job."""
    certificates = Certificates(tmp_path_factory.mktemp("ca"))
    folder = open_folder("dirbridge-cli-")
    ca_file = str(certificates.ca_file())
    for url in _new_database(postgres, template_database):
        with outside(certificates) as parts, socket.create_server(("127.0.0.1", 0)) as free:
            port = free.getsockname()[1]
            free.close()
            environment = {
                **os.environ, "HOME": str(folder), "COLUMNS": "250",
                "DIRBRIDGE_SMTP_SERVER": f"localhost:{parts.box.port}", "DIRBRIDGE_SMTP_USER": USER,
                "DIRBRIDGE_SMTP_PASSWORD": PASSWORD, "DIRBRIDGE_SMTP_CA_FILE": ca_file, "DIRBRIDGE_MAIL_FROM": SENDER,
                "DIRBRIDGE_WEBHOOK_URL": parts.got.url, "DIRBRIDGE_WEBHOOK_SECRET": SECRET,
                "DIRBRIDGE_WEBHOOK_CA_FILE": ca_file, "DIRBRIDGE_OUTGOING_NETWORKS": "127.0.0.0/8",
            }  # fmt: skip
            common = ["--data", str(folder / "data"), "--database-url", url]
            base = f"https://127.0.0.1:{port}"
            run = Command(environment, url, UUID(int=0))
            made = json.loads(run("init", *common, "--base-url", base, "--domain", "contoso.test", "--write-profile"))
            run.tenant = UUID(made["tenantId"])
            server = run.start("serve", *common, "--listen", f"127.0.0.1:{port}")
            try:
                _wait(run, server)
                yield Running(run, parts, base, folder)
            finally:
                server.send_signal(signal.SIGTERM)
                server.communicate(timeout=30)
                shutil.rmtree(folder)


@pytest.fixture
def job(running: Running) -> Iterator[dict[str, Any]]:
    """A new job."""
    made = running.command.json("jobs", "create", "--domain", "contoso.test")
    running.outside.box.mails.clear()
    running.outside.got.calls.clear()
    running.outside.got.status = "204 No Content"
    yield made
    running.command("jobs", "delete", made["id"], "--yes")
    running.command.sql("delete from messages")
    running.command.sql("delete from configuration_secrets")


def notify(*recipients: str) -> dict[str, Any]:
    return {"Enabled": True, "Recipients": ";".join(recipients)}


def test_a_test_reaches_everybody_and_says_what_was_answered(running: Running, job: dict[str, Any]) -> None:
    """Mailboxes of all configurations and all webhooks, past the outbox."""
    running.put_secrets(job, SyncNotificationSettings=notify("ops@contoso.test", "boss@contoso.test"))
    said = running.command("notifications", "test")
    assert "taken    mail to ops@contoso.test: queued as 42" in said
    assert "taken    mail to boss@contoso.test: queued as 42" in said
    assert f"taken    webhook to https://localhost:{running.outside.got.port}: 204 No Content" in said
    assert sorted(mail["To"] for _, _, mail in running.outside.box.mails) == ["boss@contoso.test", "ops@contoso.test"]
    (call,) = running.outside.got.calls
    assert (call.document["type"], call.is_signed_by(SECRET.encode())) == ("test", True)


def test_a_test_to_one_mailbox_reaches_no_other(running: Running, job: dict[str, Any]) -> None:
    """Whoever is named in secrets; as JSON too."""
    running.put_secrets(job, SyncNotificationSettings=notify("ops@contoso.test"))
    trials = running.command.json("notifications", "test", "--recipient", "me@contoso.test")
    assert trials == [
        {"channel": "mail", "recipient": "me@contoso.test", "delivered": True, "answer": "queued as 42", "code": None,
         "recommendedAction": None}
    ]  # fmt: skip
    assert [mail["To"] for _, _, mail in running.outside.box.mails] == ["me@contoso.test"]
    assert running.outside.got.calls == []


def test_a_test_that_fails_says_why_and_leaves_with_1(running: Running, job: dict[str, Any]) -> None:
    """What the receiver answered, and what to do."""
    running.put_secrets(job, SyncNotificationSettings=notify("ops@contoso.test"))
    running.outside.got.status = "401 Unauthorized"
    said = running.command("notifications", "test", code=1)
    assert "taken    mail to ops@contoso.test" in said
    assert "NotDelivered: The webhook at localhost answered 401 Unauthorized." in said
    assert "Correct the webhook's address or the receiver." in said


def test_a_mailbox_that_is_none_is_refused(running: Running, job: dict[str, Any]) -> None:
    """Before anything is sent."""
    assert "InvalidRecipient" in running.command("notifications", "test", "--recipient", "nobody", "--json", code=1)
    assert running.outside.box.mails == []
    assert job["status"]["code"] == "Paused"


def test_a_notice_travels_through_the_worker_and_is_listed(running: Running, job: dict[str, Any]) -> None:
    """From the outbox to the receiver, and back to who asks what became of it."""
    assert running.command("notifications", "list") == "Nobody was told of anything yet.\n"
    running.put_secrets(job, SyncNotificationSettings=notify("ops@contoso.test"))
    running.command.sql(
        """insert into notices (tenant, id, job, kind, at, reason, code, message)
           values (%s, %s, %s, 'quarantined', now(), 'EncounteredQuarantineException', 'InvalidCredentials',
             'Refused.')""",
        running.command.tenant,
        new_id(),
        job["id"],
    )
    deadline = time.monotonic() + 30
    while not running.outside.got.calls:
        assert time.monotonic() < deadline
        time.sleep(0.1)
    found = running.command.json("notifications", "list")
    while {each["state"] for each in found} != {"sent", "gathering"}:  # the mail waits for more to tell
        assert time.monotonic() < deadline, found
        found = running.command.json("notifications", "list")
    by_channel = {each["channel"]: each for each in found}
    webhook, mail = by_channel["webhook"], by_channel["mail"]
    assert (webhook["answer"], webhook["attempts"], webhook["id"]) == (
        "204 No Content", 1, running.outside.got.calls[0].headers["webhook-id"],
    )  # fmt: skip
    assert (mail["recipient"], mail["settledDateTime"], bool(mail["nextAttemptDateTime"])) == (
        "ops@contoso.test", None, True,
    )  # fmt: skip
    assert [each["code"] for each in mail["notices"]] == ["InvalidCredentials"]
    table = running.command("notifications", "list", "--limit", "5")
    assert "contoso.test quarantined (InvalidCredentials)" in table
    assert "/hook" not in table
