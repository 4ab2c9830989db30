"""The schemas of bodies and answers, derived from the types that routes decode and from `shapes`."""

from __future__ import annotations

import inspect
import re
from collections.abc import Iterable, Sequence
from typing import Any

import msgspec
from pydantic import BaseModel

from dirbridge.service.openapi import directory_objects
from dirbridge.service.openapi.operations import Body, Form, Operation, Options
from dirbridge.service.openapi.refusals import ERROR
from dirbridge.service.openapi.shapes import Selectable
from dirbridge.service.openapi.shapes.identity import TokenRefusal

Schema = dict[str, Any]

_PREFIX = "#/components/schemas/"
_FIXED: Schema = {
    "Archive": {"type": "string", "format": "binary"},
    "Count": {"type": "integer", "minimum": 0},
    "Csv": {"type": "string"},
    "Error": ERROR,
    "Id": {"type": "string", "format": "uuid"},
}
"""Components that no type stands for."""


class Components:
    """The schemas that some operations need, by name."""

    def __init__(self, wanted: Sequence[Operation]) -> None:
        forms = {TokenRefusal, *(form for each in wanted for form in _forms(each) if isinstance(form, type))}
        ordered = sorted(forms, key=lambda form: (form.__module__, form.__qualname__))
        types = [form for form in ordered if not issubclass(form, BaseModel)]
        references, found = msgspec.json.schema_components(types, ref_template=_PREFIX + "{name}")
        self._names = {form: _short(schema["$ref"]) for form, schema in zip(types, references, strict=True)}
        self.schemas: Schema = {_rename(name): _tidied(schema) for name, schema in found.items()}
        self.schemas |= directory_objects.components() | _FIXED
        for form in ordered:
            if issubclass(form, Selectable):
                self.schemas[self._names[form]].pop("required", None)
            if issubclass(form, BaseModel):
                self._names[form] = form.__name__
                self.schemas[form.__name__] = _tidied(form.model_json_schema())
        for each in wanted:
            self._add(each)
        self.schemas = dict(sorted(self.schemas.items()))

    def _add(self, operation: Operation) -> None:
        """Add what is made of other components: collections, and bodies that need more than their form."""
        if operation.many and operation.answer is not None:
            name = self._name(operation.answer)
            self.schemas[f"{name}Collection"] = _collection(name)
        if operation.options is not None and operation.options.select is not None:
            self.schemas[self._property(operation)] = _property_names(operation.options)
        body = operation.body
        if body is not None and body.required is not None:
            whole = self.schemas[self._name(body.form)]
            self.schemas[body.name] = {**whole, "title": body.name, "required": list(body.required)}

    def of_select(self, operation: Operation) -> Schema | None:
        """Give the schema of what `$select` may name; None for any text."""
        if operation.options is None or operation.options.select is None:
            return None
        return {"$ref": _PREFIX + self._property(operation)}

    def of_body(self, body: Body) -> Schema:
        """Give the schema of a request's body."""
        return {"$ref": _PREFIX + (body.name or self._name(body.form))}

    def of_answer(self, form: Form, *, many: bool) -> Schema:
        """Give the schema of an answer."""
        return {"$ref": _PREFIX + self._name(form) + ("Collection" if many else "")}

    def _property(self, operation: Operation) -> str:
        assert operation.answer is not None
        return f"{self._name(operation.answer)}Property"

    def _name(self, form: Form) -> str:
        return form if isinstance(form, str) else self._names[form]


def _forms(operation: Operation) -> Iterable[Form]:
    yield from (form for form in operation.otherwise.values() if form is not None)
    if operation.answer is not None:
        yield operation.answer
    if operation.body is not None:
        yield operation.body.form


def _property_names(options: Options) -> Schema:
    names: Schema = {"enum": sorted(options.select or ())}
    if not options.extensible:
        return names
    return {"anyOf": [names, {"type": "string", "pattern": "^extension_[A-Za-z0-9_]+$"}]}


def _collection(name: str) -> Schema:
    return {
        "type": "object",
        "description": "A page of a collection.",
        "properties": {
            "@odata.context": {"type": "string"},
            "@odata.count": {"type": "integer", "description": "How many there are in all."},
            "@odata.nextLink": {"type": "string", "description": "The page that follows."},
            "@odata.deltaLink": {"type": "string", "description": "Where the next round of changes begins."},
            "value": {"type": "array", "items": {"$ref": _PREFIX + name}},
        },
        "required": ["value"],
    }


def _short(reference: str) -> str:
    return _rename(reference.removeprefix(_PREFIX))


def _rename(name: str) -> str:
    """Shorten the name of a type that shares it with others: `….updater.Change` is `UpdaterChange`."""
    module, _, plain = name.rpartition(".")
    return "".join(word.capitalize() for word in module.rpartition(".")[2].split("_")) + plain


def _tidied(schema: Any) -> Any:
    """Shorten names, and keep of a docstring what speaks to clients."""
    if isinstance(schema, dict):
        found = {name: _tidied(value) for name, value in schema.items()}
        if isinstance(schema.get("$ref"), str):
            found["$ref"] = _PREFIX + _short(schema["$ref"])
        if isinstance(schema.get("description"), str):
            text = inspect.cleandoc(schema["description"])
            found["description"] = " ".join(re.split(r"\n\s*\n(?=\w+:)", text)[0].split())
        return found
    return [_tidied(each) for each in schema] if isinstance(schema, list) else schema
