"""Is an entry in scope? Filters of the schema document, evaluated on the whole entry.

`input_filter_groups` hold the default exclusions, where an absent attribute passes every negative test; `groups` are
written by administrators, where an absent attribute fails every test but IS NULL. Categories are asked like the former:
two of which one says `EQUALS` and the other `NOT EQUALS` leave nobody out.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence

import msgspec

from dirbridge.contract.entry import Entry, Values
from dirbridge.contract.errors import ConfigurationError, EntryError
from dirbridge.contract.schema import Filter, FilterClause, FilterGroup
from dirbridge.engine import operators
from dirbridge.engine.attributes import DISTINGUISHED_NAME
from dirbridge.engine.operators import Operator


class Verdict(msgspec.Struct, frozen=True, gc=False):
    """Whether an entry is in scope; if not, the clause that it failed."""

    passed: bool
    clause: str = ""


PASSED = Verdict(True)


class Clause(msgspec.Struct, frozen=True):
    """A compiled clause: what it asks of the values of an attribute, and its answer where there are none."""

    attribute: str
    operator: Operator
    operand: str
    test: Callable[[Values], bool]
    when_absent: bool

    @property
    def text(self) -> str:
        """The clause as people write it."""
        return " ".join(filter(None, [self.attribute, self.operator.name, self.operand]))

    def holds(self, entry: Entry) -> bool:
        """Ask an entry."""
        values = entry.attributes.get(self.attribute)
        return self.test(values) if values else self.when_absent


class Group(msgspec.Struct, frozen=True):
    """Clauses that must all hold."""

    name: str
    clauses: tuple[Clause, ...]


class Collection(msgspec.Struct, frozen=True):
    """Groups of which one must hold; without any, everything is let in."""

    name: str
    groups: tuple[Group, ...]


class Scope(msgspec.Struct, frozen=True):
    """Collections that must all let an entry in."""

    collections: tuple[Collection, ...] = ()

    def __call__(self, entry: Entry) -> Verdict:
        """Judge an entry.

        Raises:
            EntryError: an attribute that cannot be read or carried could let the entry in: it is no evidence that the
                entry left scope. Or a pattern works too long.
        """
        for collection in self.collections:
            verdict = _any(collection.groups, entry)
            if not verdict.passed:
                return verdict
        return PASSED


EVERYTHING = Scope()


class Explained(msgspec.Struct, frozen=True):
    """What one clause said of an entry.

    Attributes:
        collection: member of Graph's filter that holds it.
        group: its group's name, or number from 1.
        met: the attribute's values; none where it is absent.
        note: why a clause failed that could not be asked.
    """

    collection: str
    group: str
    attribute: str
    operator: str
    operand: str
    met: tuple[str, ...]
    passed: bool
    note: str = ""


def compile_filter(scope: Filter, path: str) -> Scope:
    """Compile a mapping's scope.

    Raises:
        ConfigurationError: an unknown operator, a missing or wrong operand, a bad pattern; names the path.
    """
    return _scope(
        _collection("inputFilterGroups", scope.input_filter_groups, path, lenient=True),
        _collection("groups", scope.groups, path, lenient=False),
    )


def compile_category(scope: Filter, path: str) -> Scope:
    """Compile which entries a mapping is for.

    Raises:
        ConfigurationError: as `compile_filter`.
    """
    return _scope(_collection("categoryFilterGroups", scope.category_filter_groups, path, lenient=True))


def _scope(*collections: Collection) -> Scope:
    return Scope(tuple(collection for collection in collections if collection.groups))


def _collection(name: str, groups: Sequence[FilterGroup], path: str, *, lenient: bool) -> Collection:
    return Collection(
        name,
        tuple(
            Group(
                group.name or str(at + 1),
                tuple(
                    compile_clause(clause, f"{path}.{name}[{at}].clauses[{number}]", lenient=lenient)
                    for number, clause in enumerate(group.clauses)
                ),
            )
            for at, group in enumerate(groups)
        ),
    )


def compile_clause(clause: FilterClause, path: str, *, lenient: bool) -> Clause:
    """Compile one clause.

    Args:
        lenient: an absent attribute passes negative tests.

    Raises:
        ConfigurationError: as `compile_filter`.
    """
    operands = clause.target_operand.values if clause.target_operand else ()
    operator = operators.find(clause.operator_name)
    if operator is None:
        what = f"'{clause.operator_name}' is no operator of this kind of job."
        raise _fault(f"{path}.operatorName", what, operators.remedy(clause.operator_name))
    if operator.unary and operands:
        what = f"{operator.name} takes no operand and has {len(operands)}."
        raise _fault(f"{path}.targetOperand", what, "Leave targetOperand out.")
    if not operator.unary and len(operands) != 1:
        what = f"{operator.name} takes one operand and has {len(operands)}."
        raise _fault(f"{path}.targetOperand", what, "Give exactly one value in targetOperand.values.")
    operand = operands[0] if operands else ""
    try:
        test = _test(clause.source_operand_name, operator, operand)
    except ValueError as error:
        what = f"The operand '{operand}' of {operator.name} is not valid: {error}."
        raise _fault(f"{path}.targetOperand.values[0]", what, "Correct the operand.") from error
    absent = operator.name == "IS NULL" or (lenient and operator.negative)
    return Clause(clause.source_operand_name, operator, operand, test, absent)


def _fault(path: str, what: str, remedy: str) -> ConfigurationError:
    return ConfigurationError(
        f"{path}: {what}", code="InvalidSchema", recommended_action=remedy, details={"path": path, "fault": what}
    )


def _test(attribute: str, operator: Operator, operand: str) -> Callable[[Values], bool]:
    if operator.name == "IS NOT NULL":
        return lambda _values: True
    if operator.name == "ENDS_WITH" and attribute == DISTINGUISHED_NAME:
        return msgspec.structs.replace(operator, make=operators.below).test(operand)
    return operator.test(operand)


def attributes_of(scope: Filter) -> set[str]:
    """List the source attributes that a scope looks at."""
    groups = (*scope.groups, *scope.input_filter_groups, *scope.category_filter_groups)
    return {clause.source_operand_name for group in groups for clause in group.clauses}


# Judging --------------------------------------------------------------------------------------------------------------


def _any(groups: Sequence[Group], entry: Entry) -> Verdict:
    """One group must hold; the clause of the last one that failed tells why none did."""
    failed = ""
    open_question = ""
    for group in groups:
        clause = next((c for c in group.clauses if not c.holds(entry)), None)
        if clause is None:
            return PASSED
        failed = clause.text
        if (entry.unknown or entry.faults) and not open_question:
            open_question = _undecided(group, entry)
    if open_question:
        raise _undecidable(entry, open_question)
    return Verdict(False, failed)


def _undecided(group: Group, entry: Entry) -> str:
    """Name the attribute for want of which a group that fails might hold; empty where it fails in any case."""
    missing = ""
    for clause in group.clauses:
        if not clause.holds(entry):
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


# Explaining -----------------------------------------------------------------------------------------------------------


def explain(scope: Scope, entry: Entry) -> tuple[Explained, ...]:
    """Say what every clause of every group answers, in the order in which they are asked."""
    return tuple(
        _explained(collection, group, clause, entry)
        for collection in scope.collections
        for group in collection.groups
        for clause in group.clauses
    )


def _explained(collection: Collection, group: Group, clause: Clause, entry: Entry) -> Explained:
    values = entry.attributes.get(clause.attribute, ())
    note = _note(clause, values, entry)
    try:
        passed = clause.holds(entry)
    except EntryError as error:
        passed, note = False, error.reason
    return Explained(
        collection.name,
        group.name,
        clause.attribute,
        clause.operator.name,
        clause.operand,
        tuple(value if isinstance(value, str) else f"{len(value)} bytes" for value in values),
        passed,
        "" if passed else note,
    )


def _note(clause: Clause, values: Values, entry: Entry) -> str:
    """Say why a clause cannot be asked; empty where it can."""
    if clause.attribute in entry.faults:
        return f"the attribute {entry.faults[clause.attribute]}"
    if clause.attribute in entry.unknown:
        return "the attribute may not be read"
    if clause.operator.name == "IS NULL":
        return ""
    if not values:
        return "the attribute has no value"
    for value in values:
        why = clause.operator.malformed(value) if isinstance(value, str) else "the value is binary"
        if why:
            return why
    return ""
