"""Sources of attribute mappings: trees that hold together, and agree with their text."""

from __future__ import annotations

from collections.abc import Mapping

import msgspec

from dirbridge.contract.errors import ConfigurationError
from dirbridge.contract.schema import AttributeDefinition, Parameter, Source
from dirbridge.engine import expressions
from dirbridge.engine.expressions import InvalidExpression, text, tree
from dirbridge.engine.expressions.faults import DEEPEST, MOST_CHARACTERS
from dirbridge.engine.validation.defects import Defect, Defects, unknown


def check(
    source: Source, known: Mapping[str, AttributeDefinition], kind: str, macros: Mapping[str, str], path: str
) -> Defects:
    """Check a source.

    Args:
        known: attributes of the source object. kind: its name.
    """
    if source.type == "Function" and not source.name and source.expression:
        remedy = "POST …/schema/parseExpression makes it of the text."
        yield Defect(f"{path}.name", "The text stands alone: its tree, which counts, is missing.", remedy)
        return
    try:
        expressions.compile_source(source, macros, path)
    except ConfigurationError as error:
        place, _, what = error.reason.partition(": ")
        yield Defect(place, what[:1].upper() + what[1:], error.recommended_action)
        return
    found = list(_parts(source, path))
    for place, each in found:
        yield from _part(each, place)
    for place, each in found:
        if each.type == "Attribute" and each.name:
            yield from _attribute(each.name, known, kind, place)
    if source.type == "Function" and source.expression:
        yield from _text(source, source.expression, path)


def _parts(source: Source, path: str) -> list[tuple[str, Source]]:
    found = [(path, source)]
    for place, each in found:
        found += [(f"{place}.parameters[{n}].value", parameter.value) for n, parameter in enumerate(each.parameters)]
    return found


def _part(source: Source, path: str) -> Defects:
    if source.type != "Function" and source.parameters:
        remedy = "Leave the parameters out, or make the type Function."
        yield Defect(f"{path}.parameters", f"A source of type {source.type} has no parameters.", remedy)
    if source.type == "Attribute" and source.expression not in (None, "", f"[{source.name}]"):
        yield _disagrees(path, source, f"[{source.name}]")
    if source.type == "Constant" and source.expression not in _texts(source):
        yield _disagrees(path, source, text.quoted(source.name or ""))


def _texts(source: Source) -> tuple[str | None, ...]:
    """The texts that a constant may have."""
    if source.name is None:
        return (source.expression,)
    return (None, "", source.name, text.quoted(source.name), f'"{source.name}"')


def _disagrees(path: str, source: Source, told: str) -> Defect:
    what = f"The text says {source.expression:.100} and the rest says {told:.100}."
    return Defect(f"{path}.expression", what, "Let both say the same, or leave the expression out: the rest counts.")


def _attribute(name: str, known: Mapping[str, AttributeDefinition], kind: str, path: str) -> Defects:
    definition = known.get(name)
    if definition is None:
        yield unknown(f"{path}.name", f"The source object '{kind}' has no attribute", name, known)
    elif definition.mutability == "WriteOnly":
        yield Defect(f"{path}.name", f"'{name}' cannot be read: it is WriteOnly.", "Map another attribute.")


def _text(source: Source, written: str, path: str) -> Defects:
    """Compare a call with its text, which may lack macros: they vanish from the text that Graph writes."""
    if len(written) > MOST_CHARACTERS or any(depth > DEEPEST for _, depth in tree.parts(source)):
        return
    place = f"{path}.expression"
    try:
        read = expressions.parse(written)
    except InvalidExpression as error:
        yield Defect(place, error.reason, f"{error.recommended_action} Or leave it out: the rest counts.".lstrip())
        return
    if _bare(read) not in (_bare(source), _bare(_without_macros(source))):
        yield _disagrees(path, source, text.of(source))


def _bare(source: Source) -> Source:
    """A tree without its texts, and without arguments that are empty."""
    parameters = tuple(Parameter(each.key, _bare(each.value)) for each in source.parameters)
    name = expressions.constant_text(source) if source.type == "Constant" else source.name
    return Source(type=source.type, name=name, parameters=parameters)


def _without_macros(source: Source) -> Source:
    kept = tuple(
        Parameter(each.key, _without_macros(each.value)) for each in source.parameters if not _is_macro(each.value)
    )
    return msgspec.structs.replace(source, parameters=kept)


def _is_macro(source: Source) -> bool:
    name = source.name or ""
    return source.type == "Constant" and len(name) > 2 and name[0] == name[-1] == "%"
