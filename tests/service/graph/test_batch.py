"""Several requests in one."""

import base64
import json
from typing import Any

import httpx2
import pytest

from dirbridge.service.graph import collections
from tests.service.graph.conftest import World, message

PERSON = {
    "accountEnabled": True, "displayName": "Ann", "mailNickname": "ann", "userPrincipalName": "ann@contoso.test",
    "passwordProfile": {"password": "x"},
}  # fmt: skip
JSON = {"Content-Type": "application/json"}


async def send(world: World, *items: dict[str, Any]) -> httpx2.Response:
    whole = [{"id": str(number), "method": "GET", **item} for number, item in enumerate(items)]
    return await world.client.post("$batch", json={"requests": whole})


async def answers(world: World, *items: dict[str, Any]) -> list[dict[str, Any]]:
    answer = await send(world, *items)
    assert answer.status_code == 200, answer.text
    found: list[dict[str, Any]] = answer.json()["responses"]
    return found


async def test_each_has_a_status_and_a_request_id_of_its_own(world: World) -> None:
    """Requests are answered one by one, whatever becomes of the others."""
    ann = await world.user("Ann")
    one, two, three = await answers(
        world,
        {"url": "/users?$select=id"},
        {"url": f"groups/{ann}"},
        {"url": "/users/$count", "headers": {"ConsistencyLevel": "eventual"}},
    )
    assert (one["status"], one["body"]["value"]) == (200, [{"id": str(ann)}])
    assert (two["status"], two["body"]["error"]["code"]) == (404, "Request_ResourceNotFound")
    assert (three["status"], three["body"]) == (200, "1")
    assert len({each["headers"]["request-id"] for each in (one, two, three)}) == 3


async def test_headers_are_spelled_as_graph_spells_them(world: World) -> None:
    """Microsoft's JavaScript client reads a body only under `Content-Type`, to the letter."""
    made, refused = await answers(
        world, {"method": "POST", "url": "/users", "headers": JSON, "body": PERSON}, {"url": "/users/nobody"}
    )
    assert {"Content-Type", "Location", "OData-Version", "request-id", "client-request-id"} <= set(made["headers"])
    assert refused["headers"]["Content-Type"].startswith("application/json;")


@pytest.mark.parametrize("name", ["dependsOn", "depends_on"])
async def test_order_and_failed_dependencies(world: World, name: str) -> None:
    """What depends on another waits for it, and is not tried where that fails."""
    read, made, orphan, lost = await answers(
        world,
        {"url": "/users/ann@contoso.test", name: ["1"]},
        {"method": "POST", "url": "/users", "headers": JSON, "body": PERSON},
        {"url": "/users", name: ["3"]},
        {"url": "/users/nobody"},
    )
    assert (made["status"], read["status"], lost["status"], orphan["status"]) == (201, 200, 404, 424)
    assert read["body"]["displayName"] == "Ann"


async def test_absolute_addresses_and_bodies_in_base64(world: World) -> None:
    """Stock clients write whole addresses, and bodies in base64."""
    text = base64.urlsafe_b64encode(json.dumps(PERSON).encode()).decode()
    (made,) = await answers(
        world, {"method": "POST", "url": "https://dirbridge.test/v1.0/users", "headers": JSON, "body": text}
    )
    assert made["status"] == 201, made
    (foreign,) = await answers(world, {"url": "https://elsewhere.test/v1.0/users"})
    assert foreign["status"] == 400


@pytest.mark.parametrize(
    "item",
    [
        {"url": "/$batch", "method": "POST", "headers": JSON, "body": {"requests": []}},
        {"url": "/%24BATCH/", "method": "POST"},
        {"url": "/users", "method": "POST", "body": PERSON},
        {"url": "https://[dirbridge.test/v1.0/users"},
        {"url": f"/users?$filter={' ' * 65_536}"},
        {"url": "/users", "headers": {"x": "a\nb"}},
        {"url": "/users", "method": "POST", "headers": {"Content-Type": "image/png"}, "body": "no base64"},
    ],
)
async def test_requests_that_cannot_be_sent(world: World, item: dict[str, Any]) -> None:
    """A request that is none is refused by itself."""
    bad, good = await answers(world, item, {"url": "/users"})
    assert (bad["status"], good["status"]) == (400, 200)


@pytest.mark.parametrize(
    ("items", "told"),
    [
        ([], "length"),
        ([{"url": "/users"}] * 21, "length"),
        ([{"id": "a", "url": "/users"}, {"id": "A", "url": "/users"}], "id of its own"),
        ([{"url": "/users", "dependsOn": ["9"]}], "not in the batch"),
        ([{"url": "/users", "dependsOn": ["1"]}, {"url": "/users", "dependsOn": ["0"]}], "circle"),
        ([{"url": "/users", "dependsOn": ["0"]}], "circle"),
    ],
)
async def test_batches_that_are_none(world: World, items: list[dict[str, Any]], told: str) -> None:
    """A batch whose requests cannot be told apart or ordered is refused whole."""
    answer = await send(world, *items)
    assert answer.status_code == 400
    assert told in message(answer)


async def test_a_fault_in_one_request(world: World, monkeypatch: pytest.MonkeyPatch) -> None:
    """A request that meets a fault of ours is a 500 of its own."""

    async def fail(*_: object, **__: object) -> None:
        raise RuntimeError("broken")

    monkeypatch.setattr(collections, "listing", fail)
    bad, good = await answers(world, {"url": "/users"}, {"url": "/organization"})
    assert (bad["status"], good["status"]) == (500, 200)


async def test_the_callers_token_counts(world: World) -> None:
    """A request acts for who sent the batch, whatever its own headers say."""
    stronger = world.bearer("Directory.ReadWrite.All")
    world.client.headers.update(world.bearer("Group.Read.All"))
    refused, _ = await answers(world, {"url": "/users", "headers": stronger}, {"url": "/groups"})
    assert refused["status"] == 403
    world.client.headers.pop("Authorization")
    assert (await send(world, {"url": "/users"})).status_code == 401
