"""The OpenAPI document: sound, whole, true to the routes, and there for everybody."""

from __future__ import annotations

import inspect
import json
import re
from typing import Any

import httpx2
import jsonschema_rs
import pytest
from fastapi import APIRouter, FastAPI
from schemathesis.specs.openapi.definitions import OPENAPI_31_VALIDATOR
from starlette.responses import Response

from dirbridge.service.openapi import document, tables
from dirbridge.service.openapi.document import Document, Undescribed
from tests.service.conftest import BASE_URL
from tests.service.openapi.conftest import SmallWorld

_DECODED = re.compile(r"\bbody\(request, ([\w.]+)")
_NAMES = re.compile(r"\$([a-z]+)")


@pytest.fixture
def described(service: FastAPI) -> Document:
    return document.build(service, BASE_URL, "tenant")


def _references(value: Any) -> set[str]:
    if isinstance(value, dict):
        own = {value["$ref"]} if isinstance(value.get("$ref"), str) else set()
        return own.union(*map(_references, value.values()))
    return set().union(*map(_references, value)) if isinstance(value, list) else set()


def test_document_is_sound(described: Document) -> None:
    """It is OpenAPI 3.1, its schemas are JSON Schema, and every reference leads somewhere."""
    plain = json.loads(json.dumps(described))
    OPENAPI_31_VALIDATOR.validate(plain)
    for schema in plain["components"]["schemas"].values():
        jsonschema_rs.meta.validate({"$schema": "https://json-schema.org/draft/2020-12/schema", **schema})
    for reference in _references(plain):
        _, _, kind, name = reference.split("/")
        assert name in plain["components"][kind], reference
    ids = [each["operationId"] for item in plain["paths"].values() for each in item.values()]
    assert len(ids) == len(set(ids))


def test_every_entry_has_its_route(service: FastAPI) -> None:
    """What is said of a route that is not there any more is taken out."""
    routes = list(document.operations(service))
    used = {each.key for each in routes} | {
        f"{each.key}/{each.route.path_format.rpartition('/')[2]}" for each in routes
    }
    stale = {key for area in tables.AREAS for key in area.table} - used
    assert not stale, f"dirbridge/service/openapi/tables has entries for functions that answer no route: {stale}"


def test_bodies_are_those_that_routes_decode(service: FastAPI) -> None:
    """The type that a function reads its body as is the one that its entry names."""
    read = 0
    for each in document.operations(service):
        assert each.route.endpoint is not None
        for decoded in _DECODED.findall(inspect.getsource(each.route.endpoint)):
            body = each.operation.body
            assert body is not None, f"{each.key} reads a body, and its entry names none"
            name = decoded.rpartition(".")[2]
            assert name == "dict" or getattr(body.form, "__name__", body.form) == name, f"{each.key} reads {name}"
            read += 1
    assert read > 50


def test_route_without_an_entry_is_named() -> None:
    """With the key that its entry must have, and the place where."""
    app = FastAPI()

    @app.get("/v1.0/news")
    async def news() -> Response:
        return Response()

    with pytest.raises(
        Undescribed, match=r"no entry in dirbridge/service/openapi/tables(?s:.*)GET /v1\.0/news: '.*news'"
    ):
        document.build(app, BASE_URL, "tenant")


def test_route_for_browsers_is_left_out() -> None:
    """It says so itself."""
    app, pages = FastAPI(openapi_url=None), APIRouter(include_in_schema=False)

    @pages.get("/sign-in")
    async def page() -> Response:
        return Response()

    app.include_router(pages)
    assert document.build(app, BASE_URL, "tenant")["paths"] == {}


async def test_document_is_served_to_everybody(client: httpx2.AsyncClient, service: FastAPI) -> None:
    """Whole and by version, without a token, and the same again."""
    whole = (await client.get("/openapi.json")).json()
    assert whole == json.loads(json.dumps(document.build(service, BASE_URL, service.state.tenant)))
    for version, other in (("v1.0", "beta"), ("beta", "v1.0")):
        answer = await client.get(f"/{version}/openapi.json")
        assert answer.headers["content-type"] == "application/json"
        paths = answer.json()["paths"]
        assert paths.keys() == {path for path in whole["paths"] if not path.startswith(f"/{other}/")}
    again = await client.get("/openapi.json")
    assert again.json() == whole


def test_permissions_are_those_of_the_routes(described: Document) -> None:
    """As alternatives of one scope each, with the roles that a person needs; health and tokens ask for none."""
    create = described["paths"]["/v1.0/users"]["post"]
    assert create["x-permissions"] == ["User.ReadWrite.All", "Directory.ReadWrite.All"]
    assert create["security"] == [{"oauth2": [name]} for name in create["x-permissions"]]
    assert create["x-directory-roles"] == ["Global Administrator", "User Administrator"]
    assert described["paths"]["/healthz"]["get"]["security"] == []
    open_ones = {path for path, item in described["paths"].items() for each in item.values() if not each["security"]}
    assert not [path for path in open_ones if path.startswith(("/v1.0", "/beta"))]


def test_forms_follow_from_the_tables(described: Document) -> None:
    """What a create needs, what can be selected and sorted, what a delta tells."""
    schemas = described["components"]["schemas"]
    assert "passwordProfile" in schemas["NewUser"]["required"]
    assert schemas["User"]["properties"]["accountEnabled"] == {"type": ["boolean", "null"]}
    assert "onPremisesSyncEnabled" in schemas["UserProperty"]["anyOf"][0]["enum"]
    assert "members@delta" in schemas["GroupDelta"]["properties"]
    names = set(schemas["ProvisioningObjectSummary"]["properties"]) - {"@odata.context"}
    assert names == set(schemas["ProvisioningObjectSummaryProperty"]["enum"])
    names = set(schemas["DirectoryAudit"]["properties"]) - {"@odata.context"}
    assert names == set(schemas["DirectoryAuditProperty"]["enum"])


async def test_options_are_those_that_routes_take(small_world: SmallWorld, described: Document) -> None:
    """Each route that is asked for an option of OData that nobody supports names those that it does."""
    asked = 0
    for path, item in described["paths"].items():
        documented = {each["name"] for each in item.get("get", {}).get("parameters", ()) if each["in"] == "query"}
        if "get" not in item or not path.startswith(("/v1.0", "/beta")) or path.endswith("/delta"):
            continue
        headers = {"Authorization": small_world.bearer(path)}
        answer = await small_world.client.get(filled(small_world, path), params={"$apply": "x"}, headers=headers)
        message = answer.json()["error"]["message"] if answer.status_code == 400 else ""
        if "Supported: " in message:
            asked += 1
            told = {f"${name}" for name in _NAMES.findall(message.partition("Supported: ")[2])}
            assert documented == told, path
        elif "Known: " in message:
            # Parameters that are none of OData's.
            assert documented == set(message.partition("Known: ")[2].rstrip(".").split(", ")), path
        else:
            assert documented <= {"$top"}, (path, answer.text)
    assert asked > 200


def filled(world: SmallWorld, path: str) -> str:
    """Put what there is into the parameters of a path."""
    return re.sub(r"\{\w+\}", lambda found: world.key(path[: found.end()]), path)
