"""One row of a mapping: what its form says, as the API takes it, and what the API has against it, field by field."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from dirbridge.engine.expressions import text
from dirbridge.service.portal import api
from dirbridge.service.portal.api import Api
from dirbridge.service.portal.configurations.documents import Document, Place, Row
from dirbridge.service.portal.configurations.trying import Result
from dirbridge.service.portal.forms import Form

Faults = dict[str, str]
"""What is wrong, by the field of the form; under the empty name what is wrong beside the row."""

_FIELDS = {
    "targetAttributeName": "target",
    "defaultValue": "default",
    "flowType": "flow",
    "flowBehavior": "behaviour",
    "matchingPriority": "match",
}
_SOURCES = {"Attribute": "attribute", "Constant": "constant", "Function": "expression", "": "kind"}
"""The field that holds a source, by its type."""


def fields(row: Row | None, target: str) -> dict[str, str]:
    """Give what stands in the form of a row; of a new one where there is none."""
    source = (row or {}).get("source") or {}
    kind = source.get("type", "" if row else "Attribute")
    name = str(source.get("name") or "")
    return {
        "target": target,
        "kind": kind,
        "attribute": name if kind == "Attribute" else "",
        "constant": name if kind == "Constant" else "",
        "default": str((row or {}).get("defaultValue") or ""),
        "flow": str((row or {}).get("flowType", "Always")),
        "behaviour": str((row or {}).get("flowBehavior", "FlowWhenChanged")),
        "match": str((row or {}).get("matchingPriority", 0)),
    }


def typed(form: Form) -> dict[str, str]:
    """Give what somebody typed into the form."""
    return {name: form.one(name) for name in fields(None, "")}


def of_form(form: Form, before: Row | None, result: Result) -> tuple[Row, Faults]:
    """Make a row of what was typed.

    Args:
        form: of the row.
        before: the row that it takes the place of; what the form does not show stays.
        result: of its expression.
    """
    faults: Faults = {}
    kind = form.one("kind")
    match = form.one("match") or "0"
    if not form.one("target"):
        faults["target"] = "Choose the attribute that is written."
    if not (match.isascii() and match.isdecimal() and len(match) < 7):
        faults["match"] = "Give a number: 0 for an attribute that is not matched by, else 1, 2 and so on."
    if kind == "Function" and result.tree is None:
        faults["expression"] = result.fault or "Write an expression."
    if kind == "Attribute" and not form.one("attribute"):
        faults["attribute"] = "Choose the attribute that is read."
    row = {
        "targetAttributeName": form.one("target"),
        "source": _kept((before or {}).get("source"), _source(form, result)),
        "defaultValue": form.one("default") or None,
        "exportMissingReferences": bool((before or {}).get("exportMissingReferences")),
        "flowBehavior": form.one("behaviour", "FlowWhenChanged"),
        "flowType": form.one("flow", "Always"),
        "matchingPriority": 0 if "match" in faults else int(match),
    }
    return row, faults


def _kept(before: Row | None, source: Row | None) -> Row | None:
    """Keep a source that says the same: a constant may have been written in another way."""
    if before and source and source["type"] != "Function":
        same = all(before.get(member) == source[member] for member in ("type", "name"))
        return before if same else source
    return source


def _source(form: Form, result: Result) -> Row | None:
    match form.one("kind"):
        case "Attribute":
            name = form.one("attribute")
            return {"type": "Attribute", "name": name, "expression": f"[{name}]", "parameters": []}
        case "Constant":
            name = form.one("constant")
            return {"type": "Constant", "name": name, "expression": text.quoted(name), "parameters": []}
        case "Function":
            return result.tree
    return None


async def check(ours: Api, job: Mapping[str, Any], document: Document) -> list[dict[str, str]]:
    """Have the API say what is wrong with a document; nothing is stored."""
    address = f"/beta/dirbridge/servicePrincipals/{job['servicePrincipalId']}/synchronization/jobs"
    answer = await ours.post(
        f"{address}/{api.key(job['id'])}/schema/validate",
        {name: document[name] for name in ("synchronizationRules", "directories")},
    )
    found: list[dict[str, str]] = answer["defects"]
    return found


def by_field(defects: Sequence[Mapping[str, str]], place: Place, row: Row) -> Faults:
    """Put what the API says of a document to the fields of one row's form."""
    number = next(n for n, each in enumerate(place.rows) if each is row or each == row)
    beginning = f"{place.path}.attributeMappings[{number}]"
    faults: Faults = {}
    for defect in defects:
        target = defect["target"]
        rest = target.removeprefix(beginning) if target.startswith((f"{beginning}.", f"{beginning}/")) else None
        name = _field(rest.lstrip("./"), row) if rest is not None else ""
        said = defect["message"] if rest is not None else f"{target}: {defect['message']}"
        faults[name] = f"{faults[name]} {said}" if name in faults else said
    return faults


def _field(rest: str, row: Row) -> str:
    member = rest.partition(".")[0].partition("/")[0].partition("[")[0]
    if member == "source":
        return _SOURCES[(row["source"] or {}).get("type", "")]
    return _FIELDS.get(member, "")
