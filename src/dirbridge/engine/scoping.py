"""Is an entry in scope? Filters of the schema document, evaluated on the whole entry.

`input_filter_groups` hold the default exclusions, where an absent attribute passes every negative test; `groups` are
written by administrators, where an absent attribute fails every test but IS NULL.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence

import msgspec
import regex

from dirbridge.contract.entry import Entry, Value, Values
from dirbridge.contract.errors import ConfigurationError, EntryError
from dirbridge.contract.schema import Filter, FilterClause, FilterGroup

REGEX_SECONDS = 0.1
"""How long a pattern may work on one value."""


class Verdict(msgspec.Struct, frozen=True, gc=False):
    """Whether an entry is in scope; if not, the clause that it failed."""

    passed: bool
    clause: str = ""


PASSED = Verdict(True)

_Test = Callable[[Values], bool]


class Clause(msgspec.Struct, frozen=True):
    """A compiled clause."""

    attribute: str
    test: _Test
    when_absent: bool
    text: str


Scope = Callable[[Entry], Verdict]


def compile_filter(scope: Filter, path: str) -> Scope:
    """Compile a mapping's scope.

    Raises:
        ConfigurationError: an unknown operator, a missing or wrong operand, a bad pattern; names the path.
    """
    collections = [
        [
            _group(group, lenient=True, path=f"{path}.inputFilterGroups[{i}]")
            for i, group in enumerate(scope.input_filter_groups)
        ],
        [_group(group, lenient=False, path=f"{path}.groups[{i}]") for i, group in enumerate(scope.groups)],
    ]

    def evaluate(entry: Entry) -> Verdict:
        for groups in collections:
            verdict = _any(groups, entry)
            if not verdict.passed:
                return verdict
        return PASSED

    return evaluate


def compile_category(scope: Filter, path: str) -> Scope:
    """Compile which entries a mapping is for.

    An absent attribute passes negative tests, as in the default exclusions: two categories of which one says `EQUALS`
    and the other `NOT EQUALS` leave nobody out.

    Raises:
        ConfigurationError: as `compile_filter`.
    """
    groups = [
        _group(group, lenient=True, path=f"{path}.categoryFilterGroups[{i}]")
        for i, group in enumerate(scope.category_filter_groups)
    ]
    return (lambda entry: _any(groups, entry)) if groups else everything


def everything(_entry: Entry) -> Verdict:
    """Let every entry in."""
    return PASSED


def attributes_of(scope: Filter) -> set[str]:
    """List the source attributes that a scope looks at."""
    groups = (*scope.groups, *scope.input_filter_groups, *scope.category_filter_groups)
    return {clause.source_operand_name for group in groups for clause in group.clauses}


def _any(groups: Sequence[Sequence[Clause]], entry: Entry) -> Verdict:
    """One group must hold; the clause of the last one that failed tells why none did.

    Raises:
        EntryError: an attribute that cannot be read or carried could let the entry in: it is no evidence that the entry
            left scope.
    """
    failed = ""
    open_question = ""
    for group in groups:
        clause = next((c for c in group if not _holds(c, entry)), None)
        if clause is None:
            return PASSED
        failed = clause.text
        if (entry.unknown or entry.faults) and not open_question:
            open_question = _undecided(group, entry)
    if open_question:
        raise _undecidable(entry, open_question)
    return Verdict(False, failed) if groups else PASSED


def _undecided(group: Sequence[Clause], entry: Entry) -> str:
    """Name the attribute for want of which a group that fails might hold; empty where it fails in any case."""
    missing = ""
    for clause in group:
        if not _holds(clause, entry):
            if clause.attribute not in entry.unknown and clause.attribute not in entry.faults:
                return ""
            missing = missing or clause.attribute
    return missing


def _undecidable(entry: Entry, attribute: str) -> EntryError:
    fault = entry.faults.get(attribute)
    if fault is not None:
        return EntryError(
            f"Whether '{entry.name}' is in scope depends on its attribute '{attribute}', which {fault}.",
            code="InvalidAttributeValue",
            recommended_action="Correct the value in the source directory.",
            details={attribute: fault},
        )
    return EntryError(
        f"Whether '{entry.name}' is in scope depends on its attribute '{attribute}', which may not be read.",
        code="AttributeNotReadable",
        recommended_action="Let the account, and the agent's list of attributes, read it.",
        details={"attribute": attribute},
    )


def _holds(clause: Clause, entry: Entry) -> bool:
    values = entry.attributes.get(clause.attribute)
    return clause.test(values) if values else clause.when_absent


def _group(group: FilterGroup, *, lenient: bool, path: str) -> list[Clause]:
    return [_clause(clause, lenient, f"{path}.clauses[{i}]") for i, clause in enumerate(group.clauses)]


def _clause(clause: FilterClause, lenient: bool, path: str) -> Clause:
    operands = clause.target_operand.values if clause.target_operand else ()
    name = clause.operator_name
    text = " ".join([clause.source_operand_name, name, *operands])
    maker = _OPERATORS.get(name)
    if maker is None:
        raise ConfigurationError(
            f"{path}: '{name}' is no operator.",
            code="InvalidSchema",
            recommended_action=f"Use one of {', '.join(_OPERATORS)}.",
        )
    if name not in _UNARY and len(operands) != 1:
        raise ConfigurationError(
            f"{path}: {name} takes one operand and has {len(operands)}.",
            code="InvalidSchema",
            recommended_action="Give exactly one value in targetOperand.",
        )
    try:
        test = maker(operands[0] if operands else "")
    except (regex.error, ValueError) as error:
        raise ConfigurationError(
            f"{path}: the operand '{operands[0]}' of {name} is not valid: {error}.",
            code="InvalidSchema",
            recommended_action="Correct the operand.",
        ) from error
    absent = name == "IS NULL" or (lenient and name in _NEGATIVE)
    return Clause(clause.source_operand_name, test, absent, text)


def _texts(values: Values) -> list[str]:
    return [value for value in values if isinstance(value, str)]


def _every(test: Callable[[str], bool]) -> _Test:
    def check(values: Values) -> bool:
        texts = _texts(values)
        return bool(texts) and all(test(text) for text in texts)

    return check


def _boolean(wanted: bool) -> _Test:
    def check(values: Values) -> bool:
        first: Value = values[0]
        return isinstance(first, str) and first.lower() == str(wanted).lower()

    return check


_BEGINNING = regex.compile(r"\^([A-Za-z0-9_]+)(?![*?{|\w])(?!.*\|)")
"""A pattern's literal beginning, where every match must have it: most values are dismissed by it at once."""

_PREFIX = regex.compile(r"\^([A-Za-z0-9_]+)")


def _matches(pattern: str) -> Callable[[str], bool]:
    if (prefix := _PREFIX.fullmatch(pattern)) is not None:
        beginning = prefix.group(1)
        return lambda text: text.startswith(beginning)
    compiled = regex.compile(pattern)
    anchored = _BEGINNING.match(pattern)
    beginning = anchored.group(1) if anchored else ""

    def check(text: str) -> bool:
        if not text.startswith(beginning):
            return False
        try:
            return compiled.search(text, timeout=REGEX_SECONDS) is not None
        except TimeoutError as error:
            raise EntryError(
                f"The pattern '{pattern}' worked longer than {REGEX_SECONDS} s on one value.",
                code="PatternTooSlow",
                recommended_action="Simplify the pattern of the scoping filter.",
            ) from error

    return check


def _number(text: str) -> int | None:
    try:
        return int(text)
    except ValueError:
        return None


def _bits(mask: str, shared: bool) -> _Test:
    wanted = int(mask)

    def check(text: str) -> bool:
        found = _number(text)
        return found is not None and ((found & wanted) != 0) == shared

    return _every(check)


def _found(pattern: str) -> _Test:
    """One value suffices, so that NOT REGEX MATCH, which takes all, is its opposite."""
    matches = _matches(pattern)
    return lambda values: any(matches(text) for text in _texts(values))


def _negated(pattern: str) -> _Test:
    matches = _matches(pattern)
    return _every(lambda text: not matches(text))


_OPERATORS: Mapping[str, Callable[[str], _Test]] = {
    "EQUALS": lambda operand: _every(lambda text: text == operand),
    "NOT EQUALS": lambda operand: _every(lambda text: text != operand),
    "IS TRUE": lambda _operand: _boolean(True),
    "IS FALSE": lambda _operand: _boolean(False),
    "IS NULL": lambda _operand: lambda _values: False,
    "IS NOT NULL": lambda _operand: lambda _values: True,
    "REGEX MATCH": _found,
    "NOT REGEX MATCH": _negated,
    "&": lambda operand: _bits(operand, True),
    "!&": lambda operand: _bits(operand, False),
}
_UNARY = frozenset({"IS TRUE", "IS FALSE", "IS NULL", "IS NOT NULL"})
_NEGATIVE = frozenset({"IS FALSE", "NOT EQUALS", "NOT REGEX MATCH", "!&"})
