"""Functions of the mapping language, and expressions tried, through the API."""

from __future__ import annotations

import base64
from typing import Any
from uuid import uuid4

import pytest

from dirbridge.engine.functions import FUNCTIONS
from tests.service.graph.conftest import BASE, World, add_job, code, message

JOB = "AD2AADProvisioning.test"


@pytest.fixture
async def schema(world: World) -> str:
    """The address of a job's schema."""
    principal = await add_job(world, JOB)
    return f"servicePrincipals/{principal}/synchronization/jobs/{JOB}/schema"


def given(**properties: Any) -> dict[str, Any]:
    return {"properties": [{"key": name, "value": value} for name, value in properties.items()]}


async def tried(world: World, schema: str, expression: str, **more: Any) -> dict[str, Any]:
    answer = await world.client.post(f"{schema}/parseExpression", json={"expression": expression, **more})
    assert answer.status_code == 200, answer.text
    found: dict[str, Any] = answer.json()
    return found


async def test_published_example(world: World, schema: str) -> None:
    """Graph's own example: result, tree, and the text in its one form."""
    found = await tried(
        world,
        schema,
        'Replace([preferredLanguage],"-",,,"_",,)',
        testInputObject={
            "definition": None,
            "properties": [
                {"key": "displayName", "value": "John Doe"},
                {"key": "preferredLanguage", "value": "EN-US"},
                {"key": "otherMobile", "value@odata.type": "#Collection(String)", "value": ["1", "2"]},
            ],
        },
        targetAttributeDefinition=None,
    )
    assert found == {
        "@odata.context": f"{BASE}/v1.0/$metadata#microsoft.graph.parseExpressionResponse",
        "error": None,
        "evaluationSucceeded": True,
        "evaluationResult": ["EN_US"],
        "parsingSucceeded": True,
        "parsedExpression": {
            "expression": 'Replace([preferredLanguage], "-", , , "_", , )',
            "name": "Replace",
            "type": "Function",
            "parameters": [
                {
                    "key": "source",
                    "value": {
                        "expression": "[preferredLanguage]",
                        "name": "preferredLanguage",
                        "parameters": [],
                        "type": "Attribute",
                    },
                },
                {"key": "Find", "value": {"expression": '"-"', "name": "-", "parameters": [], "type": "Constant"}},
                {
                    "key": "Replacement",
                    "value": {"expression": '"_"', "name": "_", "parameters": [], "type": "Constant"},
                },
            ],
        },
    }


@pytest.mark.parametrize(
    ("expression", "properties", "result"),
    [
        ("[a]", {"a": ["1", "2"]}, ["1", "2"]),
        ("[a]", {"a": None}, []),
        ("[a]", {"a": []}, []),
        ("[a]", {"a": True}, ["True"]),
        ("BitAnd([a], 2)", {"a": 514}, ["2"]),
        ("%DomainFQDN%", {}, ["contoso.test"]),
        ('Join("@", [a], DefaultDomain())', {"a": "ann"}, ["ann@contoso.test"]),
        ("IgnoreFlowIfNullOrEmpty([a])", {}, []),
        ('SelectUniqueValue([a], "b")', {"a": "x"}, ["x"]),
        ("Redact([a])", {"a": "x"}, ["x"]),
        ("CDate([a])", {"a": "2024-05-01+02:00"}, ["4/30/2024 10:00:00 PM"]),
        ('CGuid("{00112233-4455-6677-8899-aabbccddeeff}")', {}, ["MyIRAFVEd2aImaq7zN3u/w=="]),
    ],
)
async def test_results(
    world: World, schema: str, expression: str, properties: dict[str, Any], result: list[str]
) -> None:
    """Several values are several texts, none is none, bytes are base64, and job and tenant are known."""
    found = await tried(world, schema, expression, testInputObject=given(**properties))
    assert (found["error"], found["evaluationSucceeded"], found["evaluationResult"]) == (None, True, result)


async def test_text_that_cannot_be_read(world: World, schema: str) -> None:
    """The answer is 200 all the same, and says where, what, and what to do."""
    found = await tried(world, schema, "Join([a],\n  trim([b]))", testInputObject=given(a="x"))
    assert (found["parsingSucceeded"], found["evaluationSucceeded"], found["parsedExpression"]) == (False, False, None)
    assert found["error"]["code"] == "InvalidExpression"
    assert "line 2, column 3: 'trim' is no function. Did you mean Trim?" in found["error"]["message"]
    assert {each["code"]: each["message"] for each in found["error"]["details"]} == {
        "line": "2", "column": "3", "offset": "12",
    }  # fmt: skip


async def test_expression_that_fails(world: World, schema: str) -> None:
    """It was read, so the tree is there, and the error is that of the entry."""
    found = await tried(world, schema, "Item([a], 2)", testInputObject=given(a="x"))
    assert (found["parsingSucceeded"], found["evaluationSucceeded"]) == (True, False)
    assert found["parsedExpression"]["name"] == "Item"
    assert found["error"]["code"] == "ExpressionFailed"
    found = await tried(world, schema, 'Error("no mail")', testInputObject=given())
    assert (found["error"]["code"], found["error"]["message"]) == ("ExpressionError", "no mail")


async def test_without_an_object_it_is_only_read(world: World, schema: str) -> None:
    """Nothing was evaluated, and nothing is wrong."""
    found = await tried(world, schema, "Item([a], 2)")
    assert (found["parsingSucceeded"], found["evaluationSucceeded"], found["error"]) == (True, False, None)


async def test_target_attribute_decides_what_fits(world: World, schema: str) -> None:
    """Its type and whether it takes several values, as in a cycle."""
    one = {"name": "Title", "type": "String", "multivalued": False, "defaultValue": None}
    found = await tried(world, schema, "[a]", testInputObject=given(a=["1", "2"]), targetAttributeDefinition=one)
    assert found["error"]["code"] == "SchemaPropertyCanOnlyAcceptValue"
    flag = {"name": "AccountEnabled", "type": "Boolean"}
    found = await tried(world, schema, "[a]", testInputObject=given(a="TRUE"), targetAttributeDefinition=flag)
    assert found["evaluationResult"] == ["True"]
    found = await tried(world, schema, "[a]", testInputObject=given(a="maybe"), targetAttributeDefinition=flag)
    assert found["error"]["code"] == "InvalidAttributeValue"


async def test_definition_names_the_attributes(world: World, schema: str) -> None:
    """Others are unknown, and binary ones come as base64."""
    attributes = [{"name": "mail", "type": "String"}, {"name": "objectSid", "type": "Binary", "metadata": None}]
    sid = bytes.fromhex("010100000000000512000000")
    here = {
        "definition": {"name": "user", "attributes": attributes},
        **given(objectSid=base64.b64encode(sid).decode()),
    }
    found = await tried(world, schema, "StringFromSid([objectSid])", testInputObject=here)
    assert found["evaluationResult"] == ["S-1-5-18"]
    found = await tried(world, schema, "Trim([Mail])", testInputObject=here)
    assert "there is no attribute [Mail]. Did you mean mail?" in found["error"]["message"]


@pytest.mark.parametrize(
    ("body", "said"),
    [
        ({}, "expression"),
        ({"expression": 1}, "expression"),
        ({"expression": "[a]", "testInputObject": {"properties": [{"value": "x"}]}}, "key"),
        ({"expression": "[a]", "testInputObject": {"properties": [{"key": "a", "value": {}}]}}, "properties"),
        ({"expression": "[a]", "testInputObject": given(a="x\0y")}, "NUL"),
        ({"expression": "[a]", "testInputObject": {"definition": {"attributes": [1]}}}, "attributes[0]"),
        ({"expression": "[a]", "testInputObject": {"definition": {"attributes": {}}}}, "expects a list"),
        (
            {
                "expression": "[a]",
                "testInputObject": {"definition": {"attributes": [{"name": "a", "type": "Binary"}]}, **given(a="?")},
            },
            "base64",
        ),
        ({"expression": "[a]", "targetAttributeDefinition": {"name": "a", "type": "Odd"}}, "targetAttributeDefinition"),
    ],
)
async def test_bodies_that_do_not_fit(world: World, schema: str, body: dict[str, Any], said: str) -> None:
    """Refused with the place of what is wrong."""
    answer = await world.client.post(f"{schema}/parseExpression", json=body)
    assert answer.status_code == 400
    assert said in message(answer)


async def test_pattern_without_end_holds_nobody_up(world: World, schema: str) -> None:
    """It is stopped, and the answer says so."""
    found = await tried(world, schema, 'Replace([a], , "(x+x+)+y", , "", , )', testInputObject=given(a="x" * 5000))
    assert found["error"]["code"] == "PatternTooSlow"


@pytest.mark.parametrize("call", ["functions", "functions()", "Functions"])
async def test_functions_of_a_job(world: World, schema: str, call: str) -> None:
    """All of them, in Graph's shape, the name both as id and as name."""
    answer = await world.get(f"{schema}/{call}")
    assert answer.status_code == 200
    assert answer.json()["@odata.context"] == f"{BASE}/v1.0/$metadata#functions"
    shown = {each["name"]: each for each in answer.json()["value"]}
    assert list(shown) == list(FUNCTIONS)
    assert shown["Append"] == {
        "id": "Append",
        "name": "Append",
        "parameters": [
            {"allowMultipleOccurrences": False, "name": "source", "required": True, "type": "String"},
            {"allowMultipleOccurrences": False, "name": "suffix", "required": True, "type": "String"},
        ],
    }
    assert shown["DefaultDomain"]["parameters"] == []
    assert [each["allowMultipleOccurrences"] for each in shown["Join"]["parameters"]] == [False, True]


async def test_functions_of_a_template_and_of_none(world: World, schema: str) -> None:
    """The same under a template, and at the top with one each."""
    principal = schema.split("/")[1]
    at = f"servicePrincipals/{principal}/synchronization/templates/AD2AADProvisioning/schema"
    everywhere = [(await world.get(path)).json() for path in (f"{schema}/functions", f"{at}/functions", "functions")]
    assert everywhere[0] == everywhere[1] == everywhere[2]
    one = (await world.get("functions/Trim")).json()
    assert one["@odata.context"].endswith("$metadata#functions/$entity")
    assert one["parameters"][0]["name"] == "source"
    found = await tried(world, at, "%DomainNetBios%", testInputObject=given())
    assert found["evaluationResult"] == ["CONTOSO"]


async def test_what_is_not_there(world: World, schema: str) -> None:
    """Other jobs, templates, applications and functions."""
    principal = schema.split("/")[1]
    here = f"servicePrincipals/{principal}/synchronization"
    for path in (
        f"{here}/jobs/other/schema/functions",
        f"{here}/templates/other/schema/functions",
        f"servicePrincipals/{uuid4()}/synchronization/templates/AD2AADProvisioning/schema/functions",
        "functions/trim",
    ):
        assert (await world.get(path)).status_code == 404, path
    answer = await world.client.post(f"{here}/jobs/other/schema/parseExpression", json={"expression": "[a]"})
    assert answer.status_code == 404


@pytest.mark.parametrize("role", ["Synchronization.Read.All", "User.Read.All"])
async def test_right_to_change_mappings_is_needed(world: World, schema: str, role: str) -> None:
    """Reading jobs is not enough."""
    headers = world.bearer(role)
    for answer in (
        await world.client.get(f"{schema}/functions", headers=headers),
        await world.client.get("functions", headers=headers),
        await world.client.post(f"{schema}/parseExpression", json={"expression": "[a]"}, headers=headers),
    ):
        assert (answer.status_code, code(answer)) == (403, "Authorization_RequestDenied")
