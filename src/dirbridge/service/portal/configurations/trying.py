"""What stands behind the expression builder: an expression, and the values of an object that it is tried on.

The values are fields of the form: read from the directory into them, or typed, or read and then altered.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from dirbridge.service.portal import api
from dirbridge.service.portal.api import Api, ApiRefusal
from dirbridge.service.portal.configurations import documents, jobs
from dirbridge.service.portal.configurations.documents import Place, Row
from dirbridge.service.portal.forms import Form

VALUE = "value."
"""How the names of fields begin that hold the values of an attribute."""

MOST_VALUES = 50
"""Values of an attribute that are put into its field."""


@dataclass(frozen=True, slots=True)
class Box:
    """An attribute that an expression may use, with the value that it is tried with.

    Attributes:
        note: what is to be known of the value.
    """

    name: str
    type: str
    multivalued: bool
    text: str = ""
    note: str = ""


@dataclass(slots=True)
class Entry:
    """What somebody tries an expression on.

    Attributes:
        asked: the name that was typed.
        shown: what was read last: the object's distinguished name; empty where values were typed only.
        fault: why nothing was read.
    """

    asked: str = ""
    shown: str = ""
    texts: dict[str, str] = field(default_factory=dict)
    notes: dict[str, str] = field(default_factory=dict)
    fault: str = ""


@dataclass(frozen=True, slots=True)
class Result:
    """What came of an expression.

    Attributes:
        values: None where nothing was worked out.
        tree: its parsed form; None where it could not be read.
        before, wrong, after: the text around the place of a fault; `wrong` is empty where it has none.
        offset: of that place; -1 where there is none.
    """

    values: list[str] | None = None
    tree: Row | None = None
    fault: str = ""
    before: str = ""
    wrong: str = ""
    after: str = ""
    offset: int = -1


def of_form(form: Form) -> Entry:
    """Give the values that a form holds."""
    texts = {name.removeprefix(VALUE): text for name, text in form.fields if name.startswith(VALUE) and text}
    return Entry(asked=form.one("name"), shown=form.one("shown"), texts=texts)


async def read(ours: Api, job: Mapping[str, Any], place: Place, name: str) -> Entry:
    """Have an object read by its name; says why where it cannot be."""
    if not name:
        return Entry(fault="Say which object: its sign-in name, account name or distinguished name.")
    body = {"name": name, "objectTypeName": place.mapping["sourceObjectName"]}
    try:
        found = await ours.post(f"{jobs.OURS}/{api.key(job['id'])}/readEntry", body)
    except ApiRefusal as refusal:
        return Entry(asked=name, fault=str(refusal))
    entry = Entry(asked=name, shown=found["distinguishedName"])
    for one in found["properties"]:
        values = one["value"]
        entry.texts[one["key"]] = "\n".join(values[:MOST_VALUES])
        if len(values) > MOST_VALUES:
            entry.notes[one["key"]] = f"The first {MOST_VALUES} of {len(values):,} values."
    entry.notes |= {one["key"]: f"It {one['value']}." for one in found["unreadable"]}
    return entry


async def attempt(
    ours: Api, job: Mapping[str, Any], document: Row, place: Place, expression: str, entry: Entry, target: str = ""
) -> Result:
    """Have an expression worked out as the job would, for a target attribute where one is named."""
    if not expression.strip():
        return Result()
    source = definitions(document, place)
    properties = [
        {"key": each["name"], "value": _values(entry.texts[each["name"]], multivalued=each["multivalued"])}
        for each in source
        if entry.texts.get(each["name"])
    ]
    body: Row = {
        "expression": expression,
        "testInputObject": {"definition": {"attributes": source}, "properties": properties},
        "targetAttributeDefinition": target_definition(document, place, target),
    }
    return _result(expression, await ours.post(jobs.in_api(job, "schema/parseExpression"), body))


def definitions(document: Row, place: Place) -> list[Row]:
    """Give the attributes that the objects of a mapping have at the source, as far as expressions can ask for them."""
    found = documents.definitions(document, place.source_directory, place.mapping["sourceObjectName"])
    return [
        each
        for each in found
        if each["mutability"] != "WriteOnly" and not (each["type"] == "Reference" and each["multivalued"])
    ]


def target_definition(document: Row, place: Place, target: str) -> Row | None:
    """Give the definition of a target attribute; None where there is no such attribute."""
    found = documents.definitions(document, place.target_directory, place.mapping["targetObjectName"])
    return next((each for each in found if each["name"] == target), None)


def boxes(document: Row, place: Place, entry: Entry) -> tuple[list[Box], list[Box]]:
    """Give a box for each attribute: those with a value or something to say of it, and the others."""
    every = [
        Box(
            name, each["type"], each["multivalued"], text=entry.texts.get(name, ""), note=entry.notes.get(name, "")
        )
        for each in definitions(document, place)
        for name in (each["name"],)
    ]  # fmt: skip
    return [each for each in every if each.text or each.note], [each for each in every if not (each.text or each.note)]


def _values(text: str, *, multivalued: bool) -> list[str]:
    """Give the values that stand in a box: of an attribute that may have several, one a line."""
    if not multivalued:
        return [text]
    return [line for line in text.replace("\r\n", "\n").split("\n") if line]


def _result(expression: str, answer: Row) -> Result:
    tree = answer["parsedExpression"]
    error = answer["error"]
    if error is None:
        return Result(values=answer["evaluationResult"], tree=tree)
    details = {each["code"]: each["message"] for each in error["details"]}
    if "offset" not in details:
        return Result(tree=tree, fault=error["message"])
    offset = int(details["offset"])
    length = max(1, len(details.get("met", "")) if expression.startswith(details.get("met", ""), offset) else 1)
    length = max(length, _word(expression, offset))
    end = offset + length
    return Result(
        tree=tree, fault=error["message"], offset=offset,
        before=expression[:offset], wrong=expression[offset:end] or " ", after=expression[end:],
    )  # fmt: skip


def _word(text: str, offset: int) -> int:
    """How long the name is that begins at a place."""
    end = offset
    while end < len(text) and (text[end].isalnum() or text[end] in "_%"):
        end += 1
    return end - offset
