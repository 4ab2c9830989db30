"""What every answer of the service has, also when something is wrong."""

import json
import logging
from collections.abc import AsyncIterator, Callable
from datetime import timedelta
from uuid import UUID, uuid4

import httpx2
import pytest
from fastapi import FastAPI

from dirbridge.contract.errors import ConfigurationError, TransientError
from dirbridge.service import app, logs
from dirbridge.service.notify import delivery
from dirbridge.service.settings import Settings
from dirbridge.service.setup import Identity
from dirbridge.store.database import Database
from dirbridge.store.listener import Listener
from tests.service import registered
from tests.service.conftest import BASE_URL


def bearer(identity: Identity, *roles: str) -> dict[str, str]:
    return registered.bearer(identity.tokens, *roles)


async def test_process_is_alive_and_ready(client: httpx2.AsyncClient) -> None:
    """Both without a token."""
    alive = await client.get("/healthz")
    assert (alive.status_code, alive.json()) == (200, {"status": "ok"})
    ready = await client.get("/readyz")
    assert (ready.status_code, ready.json()) == (
        200,
        {"status": "ready", "checks": {"database": "ok", "migrations": "ok"}},
    )


async def test_tables_of_another_release_are_not_ready(client: httpx2.AsyncClient, database: Database) -> None:
    """A load balancer keeps requests away until the right release runs."""
    async with database.connection() as conn:
        await conn.execute("update alembic_version set version_num = '9999'")
    answer = await client.get("/readyz")
    assert answer.status_code == 503
    assert answer.json()["checks"] == {"database": "ok", "migrations": "this release needs others"}


async def test_answers_of_the_api_carry_its_headers_once(client: httpx2.AsyncClient, identity: Identity) -> None:
    """Ids, version and media type; the client's own id is handed back."""
    mine = str(uuid4())
    for path, status in (("/v1.0/users", 200), ("/beta/users", 200), ("/v1.0/nothing", 400), ("/v1.0/users/x", 404)):
        answer = await client.get(path, headers={**bearer(identity, "User.Read.All"), "client-request-id": mine})
        assert answer.status_code == status, answer.text
        assert answer.headers["client-request-id"] == mine
        assert UUID(answer.headers["request-id"])
        assert answer.headers["odata-version"] == "4.0"
        assert answer.headers["content-type"].startswith("application/json;odata.metadata=minimal")
        names = [name.lower() for name, _ in answer.headers.multi_items()]
        assert len(names) == len(set(names))
        if status >= 400:
            inner = answer.json()["error"]["innerError"]
            assert inner["request-id"] == answer.headers["request-id"]
            assert inner["client-request-id"] == mine


async def test_doors_of_all_rooms_are_there(client: httpx2.AsyncClient, identity: Identity) -> None:
    """Graph, agents, enrolment and OAuth ask for credentials instead of being unknown."""
    for path in ("/v1.0/users", "/v1.0/groups", "/beta/dirbridge/agents", "/agents/v1/requests"):
        assert (await client.get(path)).status_code == 401, path
    made = await client.post(
        "/beta/dirbridge/enrolmentCodes",
        json={"domains": ["corp.contoso.test"]},
        headers=bearer(identity, "Synchronization.ReadWrite.All"),
    )
    assert made.status_code == 201
    assert (await client.get("/agents/v1/ca")).content == identity.authority.certificate


@pytest.fixture
async def failing(service: FastAPI) -> AsyncIterator[Callable[[Exception], "httpx2.AsyncClient"]]:
    """A client whose next request of /beta/fault raises what it is told."""
    told: list[Exception] = []

    @service.get("/beta/fault")
    async def fault() -> None:
        raise told.pop()

    transport = httpx2.ASGITransport(app=service)  # would hand on what the application lets out
    async with httpx2.AsyncClient(transport=transport, base_url=BASE_URL) as client:

        def prepared(error: Exception) -> httpx2.AsyncClient:
            told.append(error)
            return client

        yield prepared


@pytest.mark.parametrize(
    ("error", "status", "code"),
    [
        (TransientError("The database is not available.", code="DatabaseUnavailable"), 503, "serviceNotAvailable"),
        (ConfigurationError("There is no domain.", code="InvalidDomain"), 400, "InvalidDomain"),
    ],
)
async def test_errors_are_answered_by_what_happens_next(
    failing: Callable[[Exception], httpx2.AsyncClient], error: Exception, status: int, code: str
) -> None:
    """What passes is told with the time to come again."""
    answer = await failing(error).get("/beta/fault")
    assert (answer.status_code, answer.json()["error"]["code"]) == (status, code)
    assert ("retry-after" in answer.headers) == (status == 503)


async def test_fault_of_ours_is_an_id_to_the_client_and_a_stack_in_the_log(
    failing: Callable[[Exception], httpx2.AsyncClient], caplog: pytest.LogCaptureFixture
) -> None:
    """The client learns nothing of the inside, the operator finds everything by the id."""
    with caplog.at_level(logging.ERROR):
        answer = await failing(ZeroDivisionError("the inside")).get("/beta/fault")
    assert answer.status_code == 500
    body = answer.json()["error"]
    assert body["code"] == "generalException"
    assert "the inside" not in answer.text
    assert body["innerError"]["request-id"] == answer.headers["request-id"]
    (record,) = [each for each in caplog.records if each.name == "dirbridge.service.app"]
    assert record.exc_info
    assert record.exc_info[0] is ZeroDivisionError


async def test_lines_written_during_a_request_carry_its_id(service: FastAPI, identity: Identity) -> None:
    """In JSON, with the event's word and ids, and the stack of a fault."""
    lines: list[str] = []
    formatter = logs.JsonFormatter()

    class Keep(logging.Handler):
        def emit(self, record: logging.LogRecord) -> None:
            lines.append(formatter.format(record))

    logger = logging.getLogger("dirbridge.test_app")

    @service.get("/beta/speaking")
    async def speaking() -> None:
        logger.warning("Job %s did something.", "J1", extra={"event": "something", "job": "J1"})

    handler = Keep()
    logger.addHandler(handler)
    try:
        transport = httpx2.ASGITransport(app=service)
        async with httpx2.AsyncClient(transport=transport, base_url=BASE_URL) as client:
            answer = await client.get("/beta/speaking")
    finally:
        logger.removeHandler(handler)
    line = json.loads(lines[0])
    assert line.pop("at")
    assert line == {
        "level": "warning",
        "message": "Job J1 did something.",
        "logger": "dirbridge.test_app",
        "event": "something",
        "job": "J1",
        "request": answer.headers["request-id"],
    }


async def test_service_without_its_database_says_so_and_comes_back(
    identity: Identity, settings: Settings, database_url: str
) -> None:
    """503 while no connection is to be had, 200 as soon as one is."""
    async with (
        Database(database_url, most=1, patience=timedelta(seconds=0.2)) as starved,
        Listener(starved, app.CHANNELS) as listener,
        httpx2.AsyncClient(
            transport=httpx2.ASGITransport(
                app=app.build(starved, identity, listener, delivery.courier(starved, identity, settings))
            ),
            base_url=BASE_URL,
        ) as client,
    ):
        async with starved.connection():
            ready = await client.get("/readyz")
            users = await client.get("/v1.0/users", headers=bearer(identity, "User.Read.All"))
        assert (ready.status_code, ready.json()["checks"]["database"]) == (503, "unavailable")
        assert ready.headers["retry-after"] == "2"
        assert (users.status_code, users.json()["error"]["code"]) == (503, "serviceNotAvailable")
        assert (await client.get("/readyz")).status_code == 200
