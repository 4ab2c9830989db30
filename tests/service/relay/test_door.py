"""The agents' door: who gets in, and what becomes of every page."""

import asyncio
import base64
import hashlib
import time
from collections.abc import AsyncIterator
from datetime import UTC, datetime
from pathlib import Path
from uuid import UUID, uuid4

import httpx2
import msgspec
import pytest
from joserfc import jwt
from joserfc.jwk import ECKey

from dirbridge.agent import enrol as enrolling
from dirbridge.agent import state
from dirbridge.agent.client import ASSERTION_TYPE, Advice, Busy, Gone, ServiceClient, csr, http, tls
from dirbridge.agent.settings import Common
from dirbridge.agent.state import State
from dirbridge.contract import wire
from dirbridge.contract.entry import ChangePage
from dirbridge.contract.errors import CredentialError, TransientError
from dirbridge.service.relay import administration
from dirbridge.store import agents, requests
from tests.service import registered
from tests.service.relay.harness import DOMAIN, QUICK, SELECTION, Service

pytestmark = pytest.mark.service

PAGE = wire.encode(wire.Changes(ChangePage()))


@pytest.fixture
async def enrolled(relay: Service, tmp_path: Path) -> State:
    """The state of an agent that is not running."""
    await enrolling.enrol(relay.url, await relay.code(), tmp_path / "state")
    return state.load(tmp_path / "state")


@pytest.fixture
async def client(enrolled: State) -> AsyncIterator[ServiceClient]:
    """That agent's client."""
    async with ServiceClient(enrolled, Common()) as opened:
        yield opened


@pytest.fixture
async def raw(enrolled: State) -> AsyncIterator[httpx2.AsyncClient]:
    """A client that says only what it is told to say."""
    async with http(enrolled.identity.service, Common(), tls(str(enrolled.trust_file))) as opened:
        yield opened


def assertion(enrolled: State, key: object = None, **changed: object) -> str:
    """An assertion as the agent makes it, but for what is changed."""
    at = int(time.time())
    agent = enrolled.identity.agent
    claims = {
        "iss": agent,
        "sub": agent,
        "aud": enrolled.identity.issuer,
        "jti": uuid4().hex,
        "iat": at,
        "exp": at + 60,
        **changed,
    }
    signing = key or enrolled.key
    return jwt.encode({"alg": "ES256"}, claims, ECKey.import_key(_pem(signing)), algorithms=["ES256"])


def _pem(key: object) -> bytes:
    from cryptography.hazmat.primitives import serialization

    return key.private_bytes(  # type: ignore[attr-defined,no-any-return]
        serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption()
    )


async def ask_token(raw: httpx2.AsyncClient, text: str) -> httpx2.Response:
    form = {"grant_type": "client_credentials", "client_assertion_type": ASSERTION_TYPE, "client_assertion": text}
    return await raw.post("/agents/v1/token", data=form)


async def test_token(raw: httpx2.AsyncClient, enrolled: State, relay: Service) -> None:
    """An assertion gets a token for the agents' door, and for nothing else."""
    response = await ask_token(raw, assertion(enrolled))
    answer = response.json()
    assert answer["token_type"] == "Bearer"
    assert relay.identity.tokens.verify_agent(answer["access_token"]) == UUID(enrolled.identity.agent)
    graph = await raw.get("/v1.0/users", headers={"Authorization": f"Bearer {answer['access_token']}"})
    assert graph.status_code == 401


@pytest.mark.parametrize(
    ("changed", "code"),
    [
        ({"aud": "https://other.test/"}, "AssertionAudience"),
        ({"aud": None}, "AssertionAudience"),
        ({"iat": 1, "exp": 61}, "AssertionTime"),
        ({"iat": 2**32, "exp": 2**32 + 60}, "AssertionTime"),
        ({"exp": 2**32}, "AssertionInvalid"),
        ({"exp": "soon"}, "AssertionInvalid"),
        ({"jti": ""}, "AssertionInvalid"),
        ({"jti": "\0" * 16}, "AssertionInvalid"),
        ({"sub": "somebody"}, "AssertionInvalid"),
        (
            {"iss": "00000000-0000-0000-0000-000000000000", "sub": "00000000-0000-0000-0000-000000000000"},
            "AgentUnknown",
        ),
    ],
)
async def test_wrong_assertion(raw: httpx2.AsyncClient, enrolled: State, changed: dict[str, object], code: str) -> None:
    """Each claim is checked, and each refusal has its own word."""
    response = await ask_token(raw, assertion(enrolled, **changed))
    assert response.status_code == 401
    assert (response.json()["error"], response.json()["code"]) == ("invalid_client", code)


async def test_assertion_of_another_key(raw: httpx2.AsyncClient, enrolled: State) -> None:
    """Who has not the agent's key is not the agent, whatever the assertion says; nor is one without signature."""
    other = await ask_token(raw, assertion(enrolled, key=state.new_key()))
    assert other.json()["code"] == "AssertionInvalid"
    head = base64.urlsafe_b64encode(b'{"alg":"none"}').rstrip(b"=").decode()
    unsigned = f"{head}.{assertion(enrolled).split('.')[1]}."
    assert (await ask_token(raw, unsigned)).json()["code"] == "AssertionInvalid"
    deep = base64.urlsafe_b64encode(b"[" * 20_000).rstrip(b"=").decode()
    for nonsense in ("", "x", "a.b.c", "a." + "=" * 9 + ".c", f"a.{deep}.c"):
        assert (await ask_token(raw, nonsense)).json()["code"] == "AssertionInvalid"


async def test_assertion_is_good_once(raw: httpx2.AsyncClient, enrolled: State) -> None:
    """An assertion that was overheard is worth nothing."""
    text = assertion(enrolled)
    assert (await ask_token(raw, text)).status_code == 200
    assert (await ask_token(raw, text)).json()["code"] == "AssertionReused"


async def test_clock_that_is_wrong_only_warns(enrolled: State) -> None:
    """An agent whose clock is fifty minutes ahead learns the time from the service."""
    async with ServiceClient(enrolled, Common(), now=lambda: time.time() + 3000) as client:
        await client.sign_in()


async def test_graph_token_is_no_agents_token(raw: httpx2.AsyncClient, relay: Service) -> None:
    """A token for Graph opens nothing here."""
    headers = registered.bearer(relay.identity.tokens, "Synchronization.ReadWrite.All")
    response = await raw.get("/agents/v1/requests", headers=headers)
    assert (response.status_code, response.json()["error"]["code"]) == (401, "TokenInvalid")
    assert (await raw.get("/agents/v1/requests")).json()["error"]["code"] == "TokenMissing"


async def test_revocation_is_seen_at_every_request(relay: Service, client: ServiceClient) -> None:
    """A token that is still good does not help who was revoked."""
    assignment = await _assigned(relay, client)
    (agent,) = await administration.list_agents(relay.door)
    await administration.revoke(relay.door, agent.id, "test")
    for call in (
        client.next_request([DOMAIN]),
        client.renew(assignment),
        client.post_page(assignment, 0, PAGE, is_last=True),
        client.heartbeat({}),
        client.renew_certificate(),
        client.sign_in(),
    ):
        with pytest.raises(CredentialError) as raised:
            await call
        assert raised.value.code == "AgentRevoked"


async def _failing_job(relay: Service) -> None:
    """A job of the agent's domain in quarantine, that would wait for an hour."""
    async with relay.database.transaction() as conn:
        await conn.execute("delete from jobs")
        await conn.execute(
            """insert into jobs
                 (tenant, id, service_principal, template_id, domain, schema, state, quarantine, next_run)
               select tenant, 'job', id, '', %s, '{}', 'Active', '{"reason": "Unknown"}', now() + interval '1 hour'
               from service_principals limit 1""",
            (DOMAIN,),
        )


async def _is_due(relay: Service) -> bool:
    async with relay.database.connection() as conn:
        row = await (await conn.execute("select next_run <= now() from jobs")).fetchone()
    assert row is not None
    return bool(row[0])


async def test_an_agent_that_returns_wakes_its_jobs(relay: Service, client: ServiceClient) -> None:
    """Heard for the first time, or after a silence, or begun afresh: what failed without it is due. Else it is not."""
    beat = {"state": "running", "version": "1", "host": "h", "uptime": 1, "queue": 0, "domains": [DOMAIN]}
    await _failing_job(relay)
    await client.heartbeat(beat)
    assert await _is_due(relay)
    await _failing_job(relay)
    await client.heartbeat(beat)
    assert not await _is_due(relay)
    async with relay.database.transaction() as conn:
        await conn.execute("update agents set last_heard = now() - interval '91 seconds'")
    await client.heartbeat(beat)
    assert await _is_due(relay)
    await _failing_job(relay)
    await client.heartbeat({**beat, "state": "stopping"})
    assert not await _is_due(relay)
    await client.heartbeat({**beat, "state": "starting", "domains": ["other.test"]})
    assert not await _is_due(relay)
    await client.heartbeat({**beat, "state": "starting"})
    assert await _is_due(relay)


async def test_nobody_wakes_the_jobs_of_others(relay: Service, client: ServiceClient) -> None:
    """An agent that says it serves a domain that it was not enrolled for changes nothing there."""
    beat = {"version": "1", "host": "h", "uptime": 1, "queue": 0, "domains": [DOMAIN, "other.test"]}
    await client.heartbeat({**beat, "state": "running"})
    await _failing_job(relay)
    async with relay.database.transaction() as conn:
        await conn.execute("update jobs set domain = 'other.test'")
    await client.heartbeat({**beat, "state": "starting"})
    assert not await _is_due(relay)


@pytest.mark.parametrize("path", ["heartbeat", "nudges", "enrol", "token"])
async def test_agent_that_hangs_up_in_the_middle(
    relay: Service, enrolled: State, client: ServiceClient, path: str, caplog: pytest.LogCaptureFixture
) -> None:
    """Of its body: no fault of the service, so no stack in its log."""
    await client.sign_in()
    await _hang_up(relay, enrolled, f"POST /agents/v1/{path}", f"Bearer {client._token}")
    assert [record for record in caplog.records if record.levelname == "ERROR"] == []


async def test_administrator_who_hangs_up_in_the_middle(
    relay: Service, enrolled: State, caplog: pytest.LogCaptureFixture
) -> None:
    """Of an archive of some megabytes that goes to the service."""
    bearer = registered.bearer(relay.identity.tokens, "Synchronization.ReadWrite.All")["Authorization"]
    await _hang_up(relay, enrolled, f"PUT /beta/dirbridge/releases/archives/{'a' * 64}", bearer)
    assert [record for record in caplog.records if record.levelname == "ERROR"] == []


async def _hang_up(relay: Service, enrolled: State, what: str, authorization: str) -> None:
    _, writing = await asyncio.open_connection("127.0.0.1", relay.port, ssl=tls(str(enrolled.trust_file)))
    head = f"{what} HTTP/1.1\r\nHost: x\r\nAuthorization: {authorization}\r\n"
    writing.write(f"{head}Content-Length: 100\r\n\r\n{{".encode())
    await writing.drain()
    await asyncio.sleep(0.3)
    writing.transport.abort()
    await asyncio.sleep(0.5)


async def _assigned(relay: Service, client: ServiceClient) -> wire.Assignment:
    """A request that the client has."""
    async with relay.database.transaction() as conn:
        body = wire.encode(wire.ChangesRequest(DOMAIN, SELECTION))
        await requests.create(conn, relay.identity.tenant.id, uuid4(), domain=DOMAIN, replica=None, body=body)
    assignment = await client.next_request([DOMAIN])
    assert assignment is not None
    assert assignment.body == wire.ChangesRequest(DOMAIN, SELECTION)
    return assignment


async def test_page_states(relay: Service, client: ServiceClient, raw: httpx2.AsyncClient) -> None:
    """Stored once, accepted again, held back when the reader is behind, refused when it belongs to no one."""
    assignment = await _assigned(relay, client)
    window = QUICK.leases.window
    for number in (1, 0, 0, 1, *range(2, window)):
        await client.post_page(assignment, number, PAGE, is_last=False)
    with pytest.raises(Busy):
        await client.post_page(assignment, window, PAGE, is_last=False)
    async with relay.database.connection() as conn:
        tenant = relay.identity.tenant.id
        progress = await requests.advance(conn, tenant, UUID(assignment.request), 1, QUICK.leases)
    assert progress is not None
    assert progress.body == PAGE
    await client.post_page(assignment, window, PAGE, is_last=True)
    await client.post_page(assignment, 0, PAGE, is_last=False)
    with pytest.raises(Gone):
        await client.post_page(assignment, window + 1, PAGE, is_last=True)
    for other in (
        msgspec.structs.replace(assignment, attempt=2),
        msgspec.structs.replace(assignment, request=str(uuid4())),
    ):
        with pytest.raises(Gone):
            await client.post_page(other, 2, PAGE, is_last=False)
        with pytest.raises(Gone):
            await client.renew(other)


@pytest.mark.parametrize("number", [-1, 2**31, 10**40])
async def test_numbers_that_are_none(relay: Service, client: ServiceClient, number: int) -> None:
    """Of pages and attempts: the agent's fault, and nothing for the database."""
    assignment = await _assigned(relay, client)
    with pytest.raises(TransientError) as raised:
        await client.post_page(assignment, number, PAGE, is_last=False)
    assert raised.value.code == "BadRequest"
    other = msgspec.structs.replace(assignment, attempt=number)
    for call in (client.renew(other), client.post_page(other, 0, PAGE, is_last=False)):
        with pytest.raises(TransientError) as raised:
            await call
        assert raised.value.code == "BadRequest"


async def test_heartbeat_with_odd_characters_arrives(relay: Service, client: ServiceClient) -> None:
    """Errors name files and entries: half a character, NUL, and texts that are long in any alphabet."""
    beat = {"state": "running", "version": "1", "host": "h", "uptime": 1, "queue": 0, "domains": [DOMAIN]}
    trouble = {"domain": DOMAIN, "code": "X", "message": "\udc80\0" + "界" * 998, "recommendedAction": "é" * 1000}
    await client.heartbeat({**beat, "lastError": "a file \udcff", "troubles": [trouble] * 12})
    (agent,) = await administration.list_agents(relay.door)
    assert agent.report["lastError"] == "a file ?"
    assert agent.report["troubles"][0]["message"] == "?" + "界" * 998


async def test_request_of_another_agent(relay: Service, client: ServiceClient, tmp_path: Path) -> None:
    """Who knows a request's number cannot answer it for its agent."""
    assignment = await _assigned(relay, client)
    await enrolling.enrol(relay.url, await relay.code(), tmp_path / "other")
    async with ServiceClient(state.load(tmp_path / "other"), Common()) as other:
        with pytest.raises(Gone):
            await other.post_page(assignment, 0, PAGE, is_last=True)


async def test_domains_are_those_of_the_code(relay: Service, client: ServiceClient, tmp_path: Path) -> None:
    """An agent gets no request for a domain it was not enrolled for, whatever it asks for."""
    await enrolling.enrol(relay.url, await relay.code("other.test"), tmp_path / "other")
    async with relay.database.transaction() as conn:
        body = wire.encode(wire.CheckRequest(DOMAIN))
        await requests.create(conn, relay.identity.tenant.id, uuid4(), domain=DOMAIN, replica=None, body=body)
    async with ServiceClient(state.load(tmp_path / "other"), Common()) as other:
        other.advice = Advice(wait=0.2)
        assert await other.next_request([DOMAIN]) is None
        assert await other.next_request([]) is None


async def test_assignment_that_got_lost_is_offered_again(relay: Service, client: ServiceClient) -> None:
    """An agent that never says that it has the request loses it within the offer's time, not the lease's."""
    first = await _assigned(relay, client)
    again = await client.next_request([DOMAIN])
    assert again is not None
    assert (again.request, again.attempt) == (first.request, 2)
    await client.renew(again)
    with pytest.raises(Gone):
        await client.renew(first)


async def _token(client: ServiceClient) -> dict[str, str]:
    return {"Authorization": f"Bearer {await client._signed_in()}"}


async def test_damaged_page(relay: Service, client: ServiceClient, raw: httpx2.AsyncClient) -> None:
    """A page that was cut on the way is not taken for the page that was sent; one that is too large is refused."""
    assignment = await _assigned(relay, client)
    place = f"/agents/v1/requests/{assignment.request}/attempts/{assignment.attempt}/pages/0"
    digest = base64.b64encode(hashlib.sha256(PAGE).digest()).decode()
    headers = {**await _token(client), "Content-Digest": f"sha-256=:{digest}:"}
    cut = await raw.post(place, content=PAGE[:-1], headers=headers)
    assert (cut.status_code, cut.json()["error"]["code"]) == (400, "MessageDamaged")
    large = await raw.post(place, content=bytes(wire.MAX_BODY + 1), headers=headers)
    assert (large.status_code, large.json()["error"]["code"]) == (413, "MessageTooLarge")
    assert (await raw.post(place, content=PAGE, headers=headers)).status_code == 202
    assert (await raw.post(place, content=PAGE, headers=headers)).status_code == 200


async def test_heartbeats_are_answered_with_what_to_do_about_updates(
    client: ServiceClient, raw: httpx2.AsyncClient
) -> None:
    """Beside how often to call: the newest version, at once, where nobody said otherwise."""
    beat = {"state": "running", "version": "1", "host": "h", "uptime": 1, "queue": 0, "domains": [DOMAIN]}
    answer = await raw.post("/agents/v1/heartbeat", json=beat, headers=await _token(client))
    nothing = {"newest": None, "wanted": None, "deferUntil": None, "window": None}
    assert answer.json()["updater"] == {"channel": "stable", "api": 1, **nothing}


async def test_bodies_that_make_no_sense(client: ServiceClient, raw: httpx2.AsyncClient) -> None:
    """What cannot be read is refused with the place of the fault; without a token nothing large is read."""
    response = await raw.post("/agents/v1/heartbeat", content=b'{"state": "odd"}', headers=await _token(client))
    assert response.status_code == 400
    assert "state: " in response.json()["error"]["message"]
    assert (await raw.post("/agents/v1/enrol", content=b"[" * 100000)).status_code == 413
    assert (await raw.post("/agents/v1/enrol", content=b"[" * 1000)).status_code == 400
    assert (await raw.get("/agents/v1/requests?wait=never", headers=await _token(client))).status_code == 400


async def test_certificate_is_renewed_for_the_same_key(
    relay: Service, client: ServiceClient, raw: httpx2.AsyncClient, enrolled: State
) -> None:
    """Renewal gives a later certificate for the key that the agent has, and for no other."""
    (before,) = await administration.list_agents(relay.door)
    certificate = await client.renew_certificate()
    (after,) = await administration.list_agents(relay.door)
    assert after.certificate == certificate != before.certificate
    assert after.public_key == before.public_key
    other = await raw.post("/agents/v1/certificate", json={"csr": csr(state.new_key())}, headers=await _token(client))
    assert other.json()["error"]["code"] == "KeyChanged"


async def test_expired_certificate(relay: Service, raw: httpx2.AsyncClient, enrolled: State) -> None:
    """An agent that was away for longer than its certificate lives must enrol again."""
    async with relay.database.connection() as conn:
        await conn.execute("update agents set expires_at = now() - interval '1 second'")
    assert (await ask_token(raw, assertion(enrolled))).json()["code"] == "CertificateExpired"


async def test_administration_over_the_api(relay: Service, raw: httpx2.AsyncClient, enrolled: State) -> None:
    """Codes are made, agents listed and revoked by who holds the permission, and each act is in the audit trail."""

    def as_app(*roles: str) -> dict[str, str]:
        return registered.bearer(relay.identity.tokens, *roles)

    writer, reader = as_app("Synchronization.ReadWrite.All"), as_app("Synchronization.Read.All")
    codes, listed = "/beta/dirbridge/enrolmentCodes", "/beta/dirbridge/agents"
    assert (await raw.post(codes, json={"domains": [DOMAIN]}, headers=reader)).status_code == 403
    made = await raw.post(codes, json={"domains": ["B.test", "a.test."]}, headers=writer)
    assert made.status_code == 201, made.text
    assert made.json()["domains"] == ["a.test", "b.test"]
    odd = await raw.post(codes, json={"domains": ["not a name"]}, headers=writer)
    assert odd.status_code == 400
    assert "'not a name' is not the DNS name" in odd.json()["error"]["message"]
    (agent,) = (await raw.get(listed, headers=reader)).json()["value"]
    assert (agent["id"], agent["status"], agent["domains"]) == (enrolled.identity.agent, "inactive", [DOMAIN])
    assert (await raw.post(f"{listed}/{agent['id']}/revoke", headers=writer)).status_code == 204
    assert (await raw.post(f"{listed}/{uuid4()}/revoke", headers=writer)).status_code == 404
    (agent,) = (await raw.get(listed, headers=reader)).json()["value"]
    assert agent["status"] == "revoked"
    async with relay.database.connection() as conn:
        rows = await (await conn.execute("select activity from audits order by at")).fetchall()
    assert [row[0] for row in rows][-2:] == ["Create enrolment code", "Revoke agent"]


async def test_a_code_tells_who_made_it_whether_it_was_used(relay: Service, raw: httpx2.AsyncClient) -> None:
    """And by which agent; its text is in no answer but the first."""
    headers = registered.bearer(relay.identity.tokens, "Synchronization.ReadWrite.All")
    codes = "/beta/dirbridge/enrolmentCodes"
    made = (await raw.post(codes, json={"domains": [DOMAIN]}, headers=headers)).json()
    other = (await raw.post(codes, json={"domains": [DOMAIN]}, headers=headers)).json()
    at = f"{codes}/{made['id']}"
    waiting = (await raw.get(at, headers=headers)).json()
    assert (waiting["status"], waiting["agentId"], waiting["domains"]) == ("waiting", None, [DOMAIN])
    assert made["code"] not in str(waiting)
    agent = uuid4()
    async with relay.database.transaction() as conn:
        use = "update enrolment_codes set used_at = now(), used_by = %s where id = %s"
        await conn.execute(use, (agent, made["id"]))
        await conn.execute("update enrolment_codes set expires_at = now() where id = %s", (other["id"],))
    used = (await raw.get(at, headers=headers)).json()
    assert (used["status"], used["agentId"]) == ("used", str(agent))
    assert (await raw.get(f"{codes}/{other['id']}", headers=headers)).json()["status"] == "expired"
    assert (await raw.get(f"{codes}/{uuid4()}", headers=headers)).status_code == 404


async def test_agents_are_listed_in_pages(relay: Service, raw: httpx2.AsyncClient) -> None:
    """By name, those that were revoked last; by domain, by name and only those that are left."""
    headers = registered.bearer(relay.identity.tokens, "Synchronization.Read.All")
    async with relay.database.transaction() as conn:
        await conn.execute("delete from agents")
        for number in range(7):
            await agents.insert(
                conn, relay.identity.tenant.id, uuid4(), machine_name=f"{'Hh'[number % 2]}ost-{6 - number}",
                version="1.0", domains=["even.test" if number % 2 else "odd.test"], public_key=uuid4().bytes,
                certificate=b"", expires_at=datetime.now(UTC), address="",
            )  # fmt: skip
        await conn.execute("update agents set revoked_at = now() where lower(machine_name) = 'host-2'")

    async def names(**options: str) -> list[str]:
        found, where = [], "/beta/dirbridge/agents"
        asked: dict[str, str] | None = {f"${name}": value for name, value in options.items()}
        while where:
            answer = await raw.get(where, params=asked, headers=headers)
            assert answer.status_code == 200, answer.text
            found += [agent["machineName"].lower() for agent in answer.json()["value"]]
            where, asked = answer.json().get("@odata.nextLink", ""), None
        return found

    everyone = [f"host-{number}" for number in (0, 1, 3, 4, 5, 6, 2)]
    assert await names() == everyone
    assert await names(top="2") == everyone
    assert await names(filter="revokedDateTime eq null", top="3") == everyone[:-1]
    assert await names(filter="domains/any(each:each eq 'even.test')") == ["host-1", "host-3", "host-5"]
    assert await names(filter="startsWith(machineName, 'HOST-4')") == ["host-4"]
    counted = await raw.get("/beta/dirbridge/agents", params={"$count": "true", "$top": "1"}, headers=headers)
    assert counted.json()["@odata.count"] == 7
    assert (await raw.get("/beta/dirbridge/agents", params={"$filter": "x eq 1"}, headers=headers)).status_code == 400
