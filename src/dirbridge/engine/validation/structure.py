"""From JSON to a schema document: every member that is missing, unknown or of a wrong type, not just the first."""

from __future__ import annotations

import functools
import re
import types
import typing
from collections.abc import Sequence
from itertools import islice
from typing import Any

import msgspec

from dirbridge.contract.schema import Schema
from dirbridge.engine.validation.defects import MOST, Defect, Defects

_PLACE = re.compile(r" - at `[^`]*`$")

_REMEDY = "Correct it; Graph's synchronizationSchema says what goes there."


def read(document: Any) -> Schema | Sequence[Defect]:
    """Read a document that came as JSON.

    Raises:
        RecursionError: it nests too deeply.
    """
    try:
        read = msgspec.convert(document, Schema)
    except msgspec.ValidationError:
        return list(islice(_defects(document, Schema, ""), MOST))
    return list(islice(_strangers(document, Schema, ""), MOST)) or read


def _defects(value: Any, kind: Any, path: str) -> Defects:
    try:
        msgspec.convert(value, kind)
    except msgspec.ValidationError as error:
        what = _PLACE.sub("", str(error))
    else:
        return
    origin = typing.get_origin(kind)
    if origin in (typing.Union, types.UnionType):
        (kind,) = [each for each in typing.get_args(kind) if each is not types.NoneType]
        yield from _defects(value, kind, path)
    elif _is_part(kind) and isinstance(value, dict):
        yield from _members(value, kind, path)
    elif origin is tuple and isinstance(value, list):
        for at, item in enumerate(value):
            yield from _defects(item, typing.get_args(kind)[0], f"{path}[{at}]")
    else:
        yield Defect(path or "schema", f"{what}.", _REMEDY)


def _members(value: dict[str, Any], kind: type[msgspec.Struct], path: str) -> Defects:
    for field in msgspec.structs.fields(kind):
        place = f"{path}.{field.encode_name}" if path else field.encode_name
        if field.encode_name in value:
            yield from _defects(value[field.encode_name], field.type, place)
        elif field.required:
            yield Defect(place, "It is missing.", "Add it.")


def _strangers(value: Any, kind: Any, path: str) -> Defects:
    """Find members that a part does not have: nothing that somebody wrote is lost without a word."""
    if isinstance(value, list | tuple):
        (inner, *_) = typing.get_args(kind)
        if typing.get_origin(kind) is tuple and _is_part(inner):
            for at, item in enumerate(value):
                yield from _strangers(item, inner, f"{path}[{at}]")
        return
    part = _part(kind)
    if part is None or not isinstance(value, dict):
        return
    types = _types(part)
    for name, item in value.items():
        place = f"{path}.{name}" if path else name
        if name not in types:
            yield Defect(place, "There is no such member.", f"Take it out, or use one of {', '.join(types)}.")
        else:
            yield from _strangers(item, types[name], place)


def _part(kind: Any) -> type[msgspec.Struct] | None:
    """Give the kind of part that a type stands for, also where null may take its place."""
    return next((each for each in (kind, *typing.get_args(kind)) if _is_part(each)), None)


def _is_part(kind: Any) -> bool:
    return isinstance(kind, type) and issubclass(kind, msgspec.Struct)


@functools.cache
def _types(part: type[msgspec.Struct]) -> dict[str, Any]:
    return {field.encode_name: field.type for field in msgspec.structs.fields(part)}
