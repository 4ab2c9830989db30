"""Replace, whose parameters choose between five ways of working."""

from __future__ import annotations

from collections.abc import Callable, Sequence

from dirbridge.engine.functions import patterns
from dirbridge.engine.functions.environment import Environment
from dirbridge.engine.functions.patterns import BadPattern, Match, Pattern
from dirbridge.engine.functions.signature import Complaint, Function, Given, Parameter, constant, of_text
from dirbridge.engine.functions.values import (
    LONGEST,
    Argument,
    Attributes,
    Fixed,
    Result,
    direct,
    each,
    failed,
    first,
    text,
    too_long,
)

_WAYS = (
    frozenset({"Find", "Replacement"}),
    frozenset({"Find", "Template"}),
    frozenset({"RegularExpression", "Replacement"}),
    frozenset({"RegularExpression", "RegularExpressionGroupName", "Replacement"}),
    frozenset({"RegularExpression", "RegularExpressionGroupName", "ReplacementPropertyName"}),
)
_KEYS = (
    "source",
    "Find",
    "RegularExpression",
    "RegularExpressionGroupName",
    "Replacement",
    "ReplacementPropertyName",
    "Template",
)


def _check_replace(given: Given) -> Complaint | None:
    if given.keys() - {"source"} not in _WAYS:
        ways = ", or ".join(" and ".join(key for key in _KEYS if key in way) for way in _WAYS)
        return Complaint(
            f"Replace was given {' and '.join(key for key in _KEYS if key in given)}, which says no way of replacing.",
            f"Give {ways}; leave the places of the others empty.",
        )
    if constant(given, "Find") == "":
        return Complaint("Replace is to look for an empty text.", "Name the text to replace.", "Find")
    pattern, group = constant(given, "RegularExpression"), constant(given, "RegularExpressionGroupName")
    if pattern is None:
        return None
    try:
        groups = patterns.compiled(pattern).groupindex
    except BadPattern as error:
        return Complaint(
            f"the pattern '{pattern:.200}' is not valid: {error}.", "Correct the pattern.", "RegularExpression"
        )
    if group is not None and group not in groups:
        return Complaint(
            f"the pattern has no group '{group}'.",
            f"Name the group in the pattern: (?<{group}>…).",
            "RegularExpressionGroupName",
        )
    return None


def replaced(value: str, old: str, new: str) -> str:
    """Replace every occurrence of a text.

    Raises:
        EntryError: the result would be too long.
    """
    if not old:
        return value
    if len(value) + value.count(old) * len(new) > LONGEST:
        raise too_long("The text")
    return value.replace(old, new)


def _bind_replace(arguments: Sequence[Argument | None], _environment: Environment) -> Argument:
    source, find, pattern, group, replacement, attribute, shape = arguments
    value = direct(source or Fixed(None))
    if find is not None and replacement is not None:
        return _with_texts(value, find, replacement, replaced)
    if find is not None and shape is not None:
        return _with_texts(value, find, shape, lambda one, old, template: replaced(template, old, one))
    prepared = _prepared(pattern or Fixed(None))
    if attribute is not None:
        return _first_or_extracted(value, prepared, group or Fixed(None), attribute)
    if group is not None:
        return _group_only(value, prepared, group, replacement or Fixed(None))
    return _by_pattern(value, prepared, replacement or Fixed(None))


def _text(argument: Argument, at: Attributes) -> str:
    return text(argument(at), "Replace") or ""


def _with_texts(source: Argument, find: Argument, other: Argument, change: Callable[[str, str, str], str]) -> Argument:
    if isinstance(find, Fixed) and isinstance(other, Fixed):
        old, new = _text(find, {}), _text(other, {})
        return lambda at: each(source(at), lambda one: change(one, old, new))

    def make(at: Attributes) -> Result:
        old, new = _text(find, at), _text(other, at)
        return each(source(at), lambda one: change(one, old, new))

    return make


def _prepared(pattern: Argument) -> Callable[[Attributes], Pattern]:
    """Compile a constant pattern once."""
    if isinstance(pattern, Fixed):
        ready = patterns.of_value(_text(pattern, {}))
        return lambda _at: ready
    return lambda at: patterns.of_value(_text(pattern, at))


def _by_pattern(source: Argument, prepared: Callable[[Attributes], Pattern], replacement: Argument) -> Argument:
    def make(at: Attributes) -> Result:
        pattern = prepared(at)
        new = patterns.template(pattern, _text(replacement, at))
        return each(source(at), lambda one: patterns.replace(pattern, one, new))

    return make


def _known(pattern: Pattern, group: str) -> str:
    if group not in pattern.groupindex:
        raise failed(f"Replace was asked for the group '{group:.40}', which its pattern has not.")
    return group


def _group_only(
    source: Argument, prepared: Callable[[Attributes], Pattern], group: Argument, replacement: Argument
) -> Argument:
    """In each match, put the replacement in the place of one group; a group that took no part stays so."""

    def make(at: Attributes) -> Result:
        pattern, new = prepared(at), _text(replacement, at)
        name = _known(pattern, _text(group, at))

        def inside(match: Match) -> str:
            begin, end = match.span(name)
            if begin < 0:
                return match[0]
            return match.string[match.start() : begin] + new + match.string[end : match.end()]

        return each(source(at), lambda one: patterns.replace(pattern, one, inside))

    return make


def _first_or_extracted(
    source: Argument, prepared: Callable[[Attributes], Pattern], group: Argument, attribute: Argument
) -> Argument:
    """Give the source where it has a value, else what the group takes of the other attribute."""

    def make(at: Attributes) -> Result:
        value = source(at)
        if value:
            return value
        other = text(first(attribute(at)), "Replace")
        pattern = prepared(at)
        name = _known(pattern, _text(group, at))
        found = next(patterns.matches(pattern, other), None) if other else None
        return None if found is None else found[name]

    return make


FUNCTIONS = (
    Function(
        "Replace",
        (of_text(), *(Parameter(key, required=False) for key in _KEYS[1:])),
        "Replaces by text or by regular expression, each of several values. Which arguments are given tells how: a "
        "text (`Find`) by another; `Find` in a template by the source; all matches of a pattern, by `${name}` from its "
        "groups; one group of each match; or, where the source is empty, a group taken from another attribute.",
        'Replace("+1 (99) 8-7", , "[()\\\\s+-]+", , "", , )',
        "19987",
        bind=_bind_replace,
        check=_check_replace,
    ),
)
