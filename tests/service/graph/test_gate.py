"""Forms of addresses, headers, refusals: what every Graph request has in common."""

import re
from datetime import timedelta
from uuid import UUID

import pytest

from dirbridge.contract.errors import ConfigurationError, DirbridgeError, EntryError, TransientError
from dirbridge.service.graph import errors
from dirbridge.service.graph.gate import normalise
from dirbridge.store.database import Database
from tests.service.graph.conftest import BASE, World, code, message


@pytest.mark.parametrize(
    ("path", "wanted"),
    [
        ("/users/", "/users"),
        ("/Users('a''b@c')", "/users/a'b@c"),
        ("/users(userPrincipalName='a@b')/memberof/", "/users/userPrincipalName=a@b/memberOf"),
        ("/users/delta()", "/users/delta"),
        ("/serviceprincipals(appId='x')/synchronization/JOBS", "/servicePrincipals/appId=x/synchronization/jobs"),
        ("/directory/deleteditems/microsoft.graph.user", "/directory/deletedItems/graph.user"),
        ("/groups/1/members/Microsoft.Graph.Group/$COUNT", "/groups/1/members/graph.group/$count"),
        ("/CONTACTS/1/memberOf/", "/contacts/1/memberOf"),
        ("/groups/1/members/microsoft.graph.orgcontact", "/groups/1/members/graph.orgContact"),
        ("/users/a(b)@c", "/users/a(b)@c"),
        ("/users('')", "/users/"),
        ("", ""),
    ],
)
def test_one_form_of_a_path(path: str, wanted: str) -> None:
    """Keys become segments, known names get Graph's spelling, empty parentheses go."""
    assert normalise(path) == wanted


async def test_headers_come_once(world: World) -> None:
    """Graph's headers are on every answer, each once; the client's request id is echoed."""
    answer = await world.client.get("users", headers={"client-request-id": "my-id"})
    names = [name.lower() for name, _ in answer.headers.multi_items()]
    assert len(names) == len(set(names))
    assert answer.headers["content-type"] == (
        "application/json;odata.metadata=minimal;odata.streaming=true;IEEE754Compatible=false;charset=utf-8"
    )
    assert answer.headers["odata-version"] == "4.0"
    assert answer.headers["client-request-id"] == "my-id"
    assert UUID(answer.headers["request-id"])
    assert answer.headers["cache-control"] == "no-cache"
    assert "ServerInfo" in answer.headers["x-ms-ags-diagnostic"]


async def test_refusals_come_in_the_envelope(world: World) -> None:
    """Code, message and inner error with time and ids, and the same headers."""
    answer = await world.client.get("users/nobody", headers={"client-request-id": "my-id"})
    body = answer.json()["error"]
    assert (answer.status_code, body["code"]) == (404, "Request_ResourceNotFound")
    assert re.fullmatch(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d", body["innerError"].pop("date"))
    assert body["innerError"] == {"request-id": answer.headers["request-id"], "client-request-id": "my-id"}
    assert answer.headers["odata-version"] == "4.0"


@pytest.mark.parametrize("forged", ["a\tb", "x" * 200, "ä", ""])
async def test_an_odd_request_id_is_replaced(world: World, forged: str) -> None:
    """What could not be a header again is not echoed."""
    answer = await world.client.get("users", headers={"client-request-id": forged.encode("utf-8")})
    assert answer.headers["client-request-id"] == answer.headers["request-id"]


async def test_without_a_token(world: World) -> None:
    """401 in the envelope, with the challenge that clients look for."""
    answer = await world.client.get("users", headers={"Authorization": ""})
    assert (answer.status_code, code(answer)) == (401, "InvalidAuthenticationToken")
    assert answer.headers["www-authenticate"].startswith("Bearer ")
    answer = await world.client.get("users", headers={"Authorization": "Bearer x.y.z"})
    assert (answer.status_code, code(answer)) == (401, "InvalidAuthenticationToken")


@pytest.mark.parametrize(
    ("method", "path", "roles", "status"),
    [
        ("GET", "users", ("User.Read.All",), 200),
        ("GET", "users", ("Group.Read.All",), 403),
        ("POST", "users", ("User.Read.All",), 403),
        ("DELETE", "users/x", ("User.Read.All",), 403),
        ("DELETE", "users/x", ("User.DeleteRestore.All",), 404),
        ("GET", "groups", ("GroupMember.Read.All",), 200),
        ("GET", "groups", ("User.Read.All",), 403),
        ("GET", "contacts", ("OrgContact.Read.All",), 200),
        ("GET", "contacts", ("User.Read.All", "Group.Read.All"), 403),
        ("GET", "servicePrincipals/x/synchronization/jobs", ("Synchronization.Read.All",), 404),
        ("POST", "servicePrincipals/x/synchronization/jobs/y/start", ("Synchronization.Read.All",), 403),
        ("PUT", "servicePrincipals/x/synchronization/jobs/y/schema", ("Synchronization.Read.All",), 403),
        ("GET", "auditLogs/provisioning", ("ProvisioningLog.Read.All",), 200),
        ("GET", "auditLogs/provisioning", ("User.Read.All",), 403),
        ("GET", "organization", ("Organization.Read.All",), 200),
        ("POST", "domains", ("Domain.Read.All",), 403),
    ],
)
async def test_permissions(world: World, method: str, path: str, roles: tuple[str, ...], status: int) -> None:
    """Each route asks for its own permission; a refusal names what is needed."""
    answer = await world.client.request(method, path, headers=world.bearer(*roles))
    assert answer.status_code == status, answer.text
    if status == 403:
        assert code(answer) == "Authorization_RequestDenied"


async def test_every_route_asks_who_calls(world: World) -> None:
    """No route of the API answers without a token."""
    paths = world.app.openapi()["paths"]
    routes = [(method.upper(), path) for path, methods in paths.items() for method in methods]
    assert len(routes) > 60
    for method, path in routes:
        address = BASE + re.sub(r"\{\w+\}", "x", path)
        answer = await world.client.request(method, address, headers={"Authorization": ""})
        assert answer.status_code == 401, (method, path)


@pytest.mark.parametrize(
    ("method", "path", "status", "wanted"),
    [
        ("GET", "shoes", 400, "BadRequest"),
        ("PUT", "users", 405, "Request_BadRequest"),
        ("DELETE", "groups/x/members/y", 405, "Request_BadRequest"),
    ],
)
async def test_unknown_addresses_and_methods(world: World, method: str, path: str, status: int, wanted: str) -> None:
    """An unknown segment is a bad request in Graph's words; a wrong method says so."""
    answer = await world.client.request(method, path)
    assert (answer.status_code, code(answer)) == (status, wanted)


@pytest.mark.parametrize(
    ("error", "status", "wanted"),
    [
        (TransientError("Wait."), 503, "serviceNotAvailable"),
        (ConfigurationError("Wrong.", code="InvalidSchema"), 400, "InvalidSchema"),
        (EntryError("Taken.", code="Taken"), 400, "Taken"),
        (DirbridgeError("Broken."), 500, "generalException"),
    ],
)
def test_our_errors_in_graphs_words(error: DirbridgeError, status: int, wanted: str) -> None:
    """What happens next decides the status."""
    found = errors.translate(error)
    assert (found.status, found.code, str(error) in found.message) == (status, wanted, True)


async def test_a_database_that_is_gone_is_said_plainly(world: World) -> None:
    """503 with Retry-After, not a stack."""
    async with Database("postgresql://nobody@127.0.0.1:1/none", patience=timedelta(seconds=0.2)) as gone:
        world.app.state.database = gone
        answer = await world.client.get("users")
    assert (answer.status_code, code(answer)) == (503, "serviceNotAvailable")
    assert answer.headers["retry-after"] == "5"
    assert "database" in message(answer)


async def test_organization_and_domains(world: World) -> None:
    """The tenant shows its name and verified domains; a domain can be added once, by a proper name."""
    (shown,) = (await world.get("organization")).json()["value"]
    assert (shown["displayName"], shown["onPremisesSyncEnabled"]) == ("Contoso", None)
    assert [each["name"] for each in shown["verifiedDomains"]] == ["contoso.onmicrosoft.test", "contoso.test"]
    assert (await world.get(f"organization/{shown['id']}")).json()["id"] == shown["id"]
    answer = await world.client.post("domains", json={"id": "Fabrikam.test"})
    assert (answer.status_code, answer.json()["id"], answer.json()["isVerified"]) == (201, "fabrikam.test", True)
    assert (await world.client.post("domains", json={"id": "fabrikam.test"})).status_code == 400
    for bad in ("x", "", "a b.c", "-a.b", "ä.test"):
        assert (await world.client.post("domains", json={"id": bad})).status_code == 400
    names = [each["id"] for each in (await world.get("domains")).json()["value"]]
    assert names == ["contoso.onmicrosoft.test", "contoso.test", "fabrikam.test"]
    assert (await world.get("domains/FABRIKAM.test")).json()["isDefault"] is False
    assert (await world.get("domains/nowhere.test")).status_code == 404
