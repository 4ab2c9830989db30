"""The mapping language through the API: which functions there are, and an expression tried on given values.

Source: Graph attributeMappingFunctionSchema; synchronizationSchema parseExpression, expressionInputObject and
parseExpressionResponse.
"""

from __future__ import annotations

import asyncio
import base64
import binascii
from collections.abc import Mapping
from datetime import UTC, datetime
from random import SystemRandom
from typing import Any

import msgspec
from fastapi import APIRouter, Request
from starlette.responses import Response

from dirbridge.contract.entry import Values, check_texts
from dirbridge.contract.errors import DirbridgeError
from dirbridge.contract.schema import AttributeDefinition, Source
from dirbridge.engine import conversion, cycle, expressions
from dirbridge.engine.expressions import Environment, Evaluation
from dirbridge.engine.functions import FAMILIES, FUNCTIONS
from dirbridge.engine.functions.signature import Function, Parameter
from dirbridge.engine.functions.values import boolean_text
from dirbridge.service import templates
from dirbridge.service.auth.access import Caller
from dirbridge.service.graph import odata
from dirbridge.service.graph.context import body, context, database
from dirbridge.service.graph.errors import bad_request, not_found
from dirbridge.service.graph.job_templates import SCHEMA as TEMPLATE
from dirbridge.service.graph.job_templates import find_template
from dirbridge.service.graph.responses import GraphResponse
from dirbridge.service.graph.schema import SCHEMA
from dirbridge.service.graph.synchronization import Writer, find_job
from dirbridge.store import identity
from dirbridge.store.directory_queries import Conn

router = APIRouter()
tree = APIRouter()
help_router = APIRouter(prefix="/beta/dirbridge")

# Functions ------------------------------------------------------------------------------------------------------------


@router.get("/functions")
async def list_functions(request: Request, _caller: Writer) -> Response:
    """List the functions of the mapping language; they are the same for every job and template."""
    odata.read(request, frozenset({"format"}))
    return _functions(request)


@router.get("/functions/{name}")
async def get_function(request: Request, name: str, _caller: Writer) -> Response:
    """Give one function."""
    odata.read(request, frozenset({"format"}))
    function = FUNCTIONS.get(name)
    if function is None:
        raise not_found("function", name)
    return GraphResponse({"@odata.context": context(request, "functions/$entity"), **_shown(function)})


@tree.get(SCHEMA + "/functions")
async def job_functions(request: Request, sp: str, job: str, caller: Writer) -> Response:
    """List the functions that a job's mapping may use."""
    odata.read(request, frozenset({"format"}))
    async with database(request).connection() as conn:
        await find_job(conn, caller, sp, job)
    return _functions(request)


@tree.get(TEMPLATE + "/functions")
async def template_functions(request: Request, sp: str, template: str, caller: Writer) -> Response:
    """List the functions that the mapping of a template's jobs may use."""
    odata.read(request, frozenset({"format"}))
    async with database(request).connection() as conn:
        await find_template(conn, caller, sp, template)
    return _functions(request)


def _functions(request: Request) -> Response:
    shown = [_shown(function) for function in FUNCTIONS.values()]
    return GraphResponse({"@odata.context": context(request, "functions"), "value": shown})


def _shown(function: Function) -> dict[str, Any]:
    """Show a function as Graph does, its name both as `id` and as `name`: clients read either."""
    return {
        "id": function.name,
        "name": function.name,
        "parameters": [
            {
                "allowMultipleOccurrences": each.repeats,
                "name": each.name,
                "required": each.required,
                "type": each.type,
            }
            for each in function.parameters
        ],
    }


@help_router.get("/functions")
async def explain_functions(request: Request, _caller: Writer) -> Response:
    """Explain the functions of the mapping language, by what they are about."""
    odata.read(request, frozenset({"format"}))
    shown = [
        {
            **_shown(function),
            "category": family,
            "signature": f"{function.name}({', '.join(map(_place, function.parameters))})",
            "description": function.summary,
            "example": function.example,
            "result": function.result,
        }
        for family, functions in FAMILIES.items()
        for function in functions
    ]
    return GraphResponse({"@odata.context": context(request, "dirbridge/functions"), "value": shown})


def _place(parameter: Parameter) -> str:
    """Write a parameter as docs/expressions.md does."""
    return parameter.name + ("…" if parameter.repeats else "" if parameter.required else "?")


# Trying an expression -------------------------------------------------------------------------------------------------


class Pair(msgspec.Struct):
    """A property of the test object. A value that is null is absent."""

    key: str
    value: str | bool | int | float | list[str | bool | int | float] | None = None


class InputObject(msgspec.Struct):
    """The object that an expression is tried on, with the definition of its type."""

    definition: dict[str, Any] | None = None
    properties: list[Pair] | None = None


class Attempt(msgspec.Struct, rename="camel"):
    """An expression to read, and to work out where there is an object to try it on."""

    expression: str
    test_input_object: InputObject | None = None
    target_attribute_definition: dict[str, Any] | None = None


@tree.post(SCHEMA + "/parseExpression")
async def parse_for_job(request: Request, sp: str, job: str, caller: Writer) -> Response:
    """Try an expression as a job's mapping would work it out."""
    wanted = await body(request, Attempt)
    async with database(request).connection() as conn:
        found = await find_job(conn, caller, sp, job)
        environment = await _environment(conn, caller)
    return await _tried(request, wanted, cycle.macros(found), environment)


@tree.post(TEMPLATE + "/parseExpression")
async def parse_for_template(request: Request, sp: str, template: str, caller: Writer) -> Response:
    """Try an expression as the mapping of a template's job would work it out."""
    wanted = await body(request, Attempt)
    async with database(request).connection() as conn:
        principal = await find_template(conn, caller, sp, template)
        environment = await _environment(conn, caller)
    return await _tried(request, wanted, templates.macros(principal.display_name), environment)


async def _environment(conn: Conn, caller: Caller) -> Environment:
    """Give what functions take from outside. Every value counts as free: nothing is looked up, nothing is kept."""
    domains = await identity.domains(conn, caller.tenant)
    default = next((each.name for each in domains if each.is_default), "")
    return Environment(lambda: datetime.now(UTC), SystemRandom(), default, lambda _value: True)


async def _tried(request: Request, wanted: Attempt, macros: Mapping[str, str], environment: Environment) -> Response:
    target = _definition(wanted.target_attribute_definition, "targetAttributeDefinition")
    given = wanted.test_input_object
    types = _types(given)
    properties = None if given is None else _properties(given.properties or [], types)
    attributes = None if not types or properties is None else types.keys() | properties.keys()
    # In a thread: a pattern may take its time, and others wait for theirs.
    evaluation = await asyncio.to_thread(
        expressions.evaluate,
        wanted.expression,
        properties,
        environment,
        macros=macros,
        attributes=attributes,
        convert=None if target is None else conversion.converter(target),
    )
    address = context(request, "microsoft.graph.parseExpressionResponse")
    return GraphResponse({"@odata.context": address, **_answer(evaluation)})


def _definition(wanted: dict[str, Any] | None, where: str) -> AttributeDefinition | None:
    """Read an attribute's definition; what clients leave null has its default."""
    if wanted is None:
        return None
    plain = {name: value for name, value in wanted.items() if value is not None and "@odata." not in name}
    try:
        return msgspec.convert({"name": "", **plain}, AttributeDefinition)
    except msgspec.ValidationError as error:
        raise bad_request(f"{where} does not fit: {error}") from error


def _types(given: InputObject | None) -> dict[str, str]:
    """Give the types of the attributes that the test object's definition has."""
    listed = (given.definition or {}).get("attributes") if given is not None else None
    if listed is not None and not isinstance(listed, list):
        raise bad_request("testInputObject.definition.attributes expects a list.")
    found: dict[str, str] = {}
    for index, each in enumerate(listed or ()):
        where = f"testInputObject.definition.attributes[{index}]"
        if not isinstance(each, dict):
            raise bad_request(f"{where} expects an object.")
        definition = _definition(each, where)
        if definition is not None:
            found[definition.name] = definition.type
    return found


def _properties(pairs: list[Pair], types: Mapping[str, str]) -> dict[str, Values]:
    found: dict[str, Values] = {}
    for pair in pairs:
        if pair.value is None or pair.value == []:
            continue
        items = pair.value if isinstance(pair.value, list) else [pair.value]
        texts = [item if isinstance(item, str) else str(item) for item in items]
        match types.get(pair.key):
            case "Binary":
                found[pair.key] = tuple(_decoded(pair.key, text) for text in texts)
            case "Boolean":
                found[pair.key] = tuple(map(boolean_text, texts))
            case _:
                found[pair.key] = tuple(texts)
    faults = check_texts(found, {})[1]
    for name, fault in faults.items():
        raise bad_request(f"The property '{name}' {fault}.")
    return found


def _decoded(name: str, text: str) -> bytes:
    try:
        return base64.b64decode(text, validate=True)
    except (binascii.Error, ValueError) as error:
        raise bad_request(f"The property '{name}' is binary and expects base64.") from error


def _answer(evaluation: Evaluation) -> dict[str, Any]:
    return {
        "error": None if evaluation.error is None else _error(evaluation.error),
        "evaluationResult": list(evaluation.values or ()),
        "evaluationSucceeded": evaluation.values is not None,
        "parsedExpression": None if evaluation.tree is None else _tree(evaluation.tree),
        "parsingSucceeded": evaluation.tree is not None,
    }


def _tree(source: Source) -> dict[str, Any]:
    shown: dict[str, Any] = msgspec.to_builtins(source)
    return shown


def _error(error: DirbridgeError) -> dict[str, Any]:
    """Show an error as Graph's publicError; line and column are among its details."""
    return {
        "code": error.code,
        "message": str(error),
        "target": None,
        "details": [{"code": name, "message": said, "target": None} for name, said in error.details.items()],
        "innerError": None,
    }
