"""Conditions on rows: what a filter asks, turned into parametrised SQL over a table of known properties.

A filter's text is parsed elsewhere (`service/graph/filters`); here its tree meets the properties that a collection has.
No text of the asker becomes SQL: names are looked up, values are parameters.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime
from enum import StrEnum
from typing import Any, LiteralString
from uuid import UUID

from psycopg import sql

from dirbridge.contract.errors import ConfigurationError

MAX_DEPTH = 50
"""How deep a filter may nest; deeper ones are refused before they exhaust anything."""


class Kind(StrEnum):
    """What a property holds, which decides how it is compared."""

    TEXT = "text"  # case does not count
    EXACT = "exact text"  # case counts
    BOOLEAN = "Boolean"
    NUMBER = "number"
    TIME = "time"
    GUID = "GUID"
    TEXTS = "collection of texts"
    OBJECTS = "collection of objects"


class Operator(StrEnum):
    """Comparisons by OData's names."""

    EQ = "eq"
    NE = "ne"
    GT = "gt"
    GE = "ge"
    LT = "lt"
    LE = "le"
    IN = "in"
    STARTS_WITH = "startsWith"
    ENDS_WITH = "endsWith"
    CONTAINS = "contains"


EVERY = frozenset(Operator)
_ORDER: dict[Operator, LiteralString] = {Operator.GT: ">", Operator.GE: ">=", Operator.LT: "<", Operator.LE: "<="}
_TEXT_ONLY = frozenset({Operator.STARTS_WITH, Operator.ENDS_WITH, Operator.CONTAINS})
_LAST_LETTER = sql.SQL("chr(1114111)")
"""The last code point, a noncharacter: in the order of bytes a text with a prefix lies below the prefix and this."""
BEGINNING = 250
"""Letters of a text in an index on its beginning: PostgreSQL refuses more than 2,700 bytes in a row of one."""
_COUNT = "/$count"


@dataclass(frozen=True, slots=True)
class Literal:
    """A value as written: `text` in quotes, or bare `number`, `boolean`, `null`, `time` or `GUID`."""

    kind: str
    value: str | bool | int | float | None
    position: int

    def __str__(self) -> str:
        return f"'{self.value}'" if self.kind == "text" else str(self.value)


@dataclass(frozen=True, slots=True)
class Comparison:
    """A property compared with one value, or for `in` with several."""

    name: str
    operator: Operator
    values: tuple[Literal, ...]
    position: int


@dataclass(frozen=True, slots=True)
class AnyOf:
    """A collection of which one element fulfils a condition; in it the element's name is `variable`."""

    name: str
    variable: str
    condition: Condition | None
    position: int


@dataclass(frozen=True, slots=True)
class Search:
    """A property whose words begin with those of a text; one without words begins with the text itself."""

    name: str
    text: str
    position: int


@dataclass(frozen=True, slots=True)
class Not:
    """What does not hold."""

    condition: Condition
    position: int


@dataclass(frozen=True, slots=True)
class All:
    """Conditions that hold together."""

    conditions: tuple[Condition, ...]


@dataclass(frozen=True, slots=True)
class Either:
    """Conditions of which one holds."""

    conditions: tuple[Condition, ...]


Condition = Comparison | AnyOf | Search | Not | All | Either


@dataclass(frozen=True, slots=True)
class Property:
    """A property that can be asked for.

    Attributes:
        value: its value in the row, of the SQL type that `kind` is compared as.
        folded: for TEXT, the value as it is compared, in the order of bytes; for TEXTS, an array of its elements as
            they are compared. An index may stand on exactly this.
        plain: operators that need no advanced query. Others need one where the collection tells them apart.
        allowed: operators that can be asked at all.
        words: its words as an index has them, where it is searched by word.
        codes: for TEXT, the only values that it has; they are found by equality as they are spelled in the row, so that
            an index on the bare column serves, and the planner knows how frequent each is.
        elements: for OBJECTS, the properties of each by name in lower case; `value` is the table that has them.
        beginning: for EXACT, the first `BEGINNING` letters in lower case and in the order of bytes: where it is given,
            case does not count for startsWith(), and an index may stand on it. A whole name may be too long for one.
    """

    name: str
    kind: Kind
    value: sql.Composable
    folded: sql.Composable | None = None
    plain: frozenset[Operator] = EVERY
    allowed: frozenset[Operator] = EVERY
    words: sql.Composable | None = None
    codes: tuple[str, ...] = ()
    elements: Mapping[str, Property] = field(default_factory=dict)
    beginning: sql.Composable | None = None

    def coded(self) -> Property:
        """Give it as it is compared with one of its codes."""
        return replace(self, kind=Kind.EXACT) if self.codes else self

    def compared(self) -> sql.Composable:
        """Give the value as it is compared.

        Always in the order of bytes where case does not count, so that one index serves equality, ranges and prefixes.
        """
        if self.kind is not Kind.TEXT:
            return self.value
        return self.folded if self.folded is not None else sql.SQL('lower({}) collate "C"').format(self.value)

    def ordered(self) -> sql.Composable:
        """Give the value as it is put in order."""
        if self.kind is Kind.EXACT:
            return sql.SQL('{} collate "C"').format(self.value)
        return self.compared()


class UnsupportedCondition(ConfigurationError):
    """A filter asks for what its collection cannot answer.

    Args:
        position: where in the filter's text, from 0.
    """

    code = "BadRequest"

    def __init__(self, reason: str, position: int, *, code: str | None = None, recommended_action: str = "") -> None:
        super().__init__(reason, code=code, recommended_action=recommended_action)
        self.position = position


@dataclass(slots=True)
class Where:
    """A condition as SQL: the text with named placeholders, and their values."""

    text: sql.Composable
    parameters: dict[str, Any] = field(default_factory=dict)

    def __and__(self, other: Where) -> Where:
        """Give the condition that both hold; their parameters have names of their own."""
        return Where(sql.SQL("({} and {})").format(self.text, other.text), self.parameters | other.parameters)


EVERYTHING = Where(sql.SQL("true"))


def compile_condition(
    condition: Condition,
    properties: Mapping[str, Property],
    *,
    type_name: str,
    advanced: bool = True,
    prefix: str = "p",
) -> Where:
    """Turn a condition into SQL.

    Args:
        properties: by name in lower case.
        type_name: Graph's name of the type, for messages.
        advanced: the request is an advanced query, so that every operator is at hand.
        prefix: what the names of the parameters begin with; two conditions of one statement need two.

    Raises:
        UnsupportedCondition: an unknown property, an operator or a value that does not fit it.
    """
    compiler = _Compiler(properties, type_name, advanced, prefix)
    text = compiler.compile(condition, 0)
    return Where(text, compiler.parameters)


class _Compiler:
    def __init__(self, properties: Mapping[str, Property], type_name: str, advanced: bool, prefix: str) -> None:
        self.properties = properties
        self.type_name = type_name
        self.advanced = advanced
        self.prefix = prefix
        self.parameters: dict[str, Any] = {}

    def compile(self, condition: Condition, depth: int) -> sql.Composable:
        if depth > MAX_DEPTH:
            raise UnsupportedCondition(f"The filter nests deeper than {MAX_DEPTH} levels.", 0)
        match condition:
            case All(conditions):
                return self._join(" and ", conditions, depth)
            case Either(conditions):
                return self._join(" or ", conditions, depth)
            case Not(inner, position):
                self._need_advanced("not", position)
                # What is unknown counts as false, so its negation is true: OData knows two values, SQL three.
                return sql.SQL("({}) is not true").format(self.compile(inner, depth + 1))
            case AnyOf():
                return self._any(condition, depth)
            case Search():
                return self._search(condition)
            case Comparison():
                return self._compare(self._property(condition), condition)

    def _join(self, word: LiteralString, conditions: tuple[Condition, ...], depth: int) -> sql.Composable:
        parts = [self.compile(each, depth + 1) for each in conditions]
        return sql.SQL("({})").format(sql.SQL(word).join(parts))

    def _search(self, condition: Search) -> sql.Composable:
        subject = self._property(condition)
        if subject.words is not None:
            value = self._parameter(condition.text)
            return sql.SQL("{} @@ beginnings_of({}::text)").format(subject.words, value)
        literal = Literal("text", condition.text, condition.position)
        if subject.kind is Kind.TEXTS:
            element = Property("element", Kind.TEXT, sql.Identifier("element"))
            elements = sql.SQL("jsonb_array_elements_text({})").format(_array(subject))
            part = self._part(element, Operator.STARTS_WITH, literal)
            return sql.SQL("exists (select from {} as element where {})").format(elements, part)
        if subject.kind not in {Kind.TEXT, Kind.EXACT, Kind.GUID}:
            raise UnsupportedCondition(f"'{subject.name}' is a {subject.kind}, no text.", condition.position)
        return self._part(subject, Operator.STARTS_WITH, literal)

    def _property(self, condition: Comparison | AnyOf | Search) -> Property:
        name = condition.name.lower()
        found = self.properties.get(name.removesuffix(_COUNT))
        if found is not None and name.endswith(_COUNT):
            found = _size(found) if found.kind is Kind.TEXTS else None
        if found is None:
            raise UnsupportedCondition(
                f"Could not find a property named '{condition.name}' on type '{self.type_name}' that can be filtered.",
                condition.position,
            )
        return found

    def _need_advanced(self, what: str, position: int) -> None:
        if not self.advanced:
            raise UnsupportedCondition(
                f"'{what}' is an advanced query.",
                position,
                code="Request_UnsupportedQuery",
                recommended_action="Send the header 'ConsistencyLevel: eventual' and the option $count=true with it.",
            )

    def _any(self, condition: AnyOf, depth: int) -> sql.Composable:
        collection = self._property(condition)
        if collection.kind is Kind.OBJECTS:
            return self._any_object(collection, condition, depth)
        if collection.kind is not Kind.TEXTS:
            raise UnsupportedCondition(
                f"'{collection.name}' is no collection, so any() cannot be asked of it.", condition.position
            )
        elements = sql.SQL("jsonb_array_elements_text({})").format(_array(collection))
        if condition.condition is None:
            self._need_advanced(f"{collection.name}/any()", condition.position)
            return sql.SQL("exists (select from {})").format(elements)
        element = Property(
            condition.variable, Kind.TEXT, sql.Identifier("element"),
            plain=collection.plain, allowed=collection.allowed,
        )  # fmt: skip
        whole = self._whole(collection, element, condition.condition)
        if whole is not None:
            return whole
        inner = _Compiler({condition.variable.lower(): element}, "Edm.String", self.advanced, self.prefix)
        inner.parameters = self.parameters
        text = inner.compile(condition.condition, depth + 1)
        return sql.SQL("exists (select from {} as element where {})").format(elements, text)

    def _any_object(self, collection: Property, condition: AnyOf, depth: int) -> sql.Composable:
        if condition.condition is None:
            return sql.SQL("exists (select from {})").format(collection.value)
        elements = {f"{condition.variable.lower()}/{name}": each for name, each in collection.elements.items()}
        inner = _Compiler(elements, f"an element of {collection.name}", self.advanced, self.prefix)
        inner.parameters = self.parameters
        text = inner.compile(condition.condition, depth + 1)
        return sql.SQL("exists (select from {} where {})").format(collection.value, text)

    def _whole(self, collection: Property, element: Property, condition: Condition) -> sql.Composable | None:
        """Ask for an element with one of some values by the index on the collection, where there is one."""
        match condition:
            case Comparison(name, Operator.EQ | Operator.IN as operator, values) if (
                collection.folded is not None
                and name.lower() == element.name.lower()
                and operator in collection.plain
                and all(literal.kind == "text" for literal in values)
            ):
                asked = [self._bind(element, literal) for literal in values]
                return sql.SQL("{} && array[{}]").format(collection.folded, sql.SQL(", ").join(asked))
            case _:
                return None

    def _compare(self, subject: Property, condition: Comparison) -> sql.Composable:
        operator = condition.operator
        if subject.kind is Kind.OBJECTS:
            raise UnsupportedCondition(
                f"'{subject.name}' is a collection: ask {subject.name}/any(x:x/property eq 'value').",
                condition.position,
            )
        if subject.kind is Kind.TEXTS:
            raise UnsupportedCondition(
                f"'{subject.name}' is a collection: ask {subject.name}/any(x:x eq 'value').", condition.position
            )
        if operator in _TEXT_ONLY and subject.kind not in {Kind.TEXT, Kind.EXACT, Kind.GUID}:
            raise UnsupportedCondition(
                f"{operator}() compares text, and '{subject.name}' is a {subject.kind}.", condition.position
            )
        if operator in _ORDER and subject.kind in {Kind.BOOLEAN, Kind.GUID}:
            raise UnsupportedCondition(
                f"'{subject.name}' is a {subject.kind}, which has no order for '{operator}'.", condition.position
            )
        if operator not in subject.allowed:
            raise UnsupportedCondition(
                f"'{operator}' is not supported for the property '{subject.name}'.",
                condition.position,
                code="Request_UnsupportedQuery",
            )
        if operator not in subject.plain:
            self._need_advanced(f"{operator} on {subject.name}", condition.position)
        if operator is Operator.IN:
            return self._membership(subject, condition)
        literal = condition.values[0]
        if literal.kind == "null":
            return _null(subject, operator, literal)
        if operator in _TEXT_ONLY:
            return self._part(subject, operator, literal)
        if operator in {Operator.EQ, Operator.NE}:
            subject = subject.coded()
        value = self._bind(subject, literal)
        if operator is Operator.EQ:
            return sql.SQL("{} = {}").format(subject.compared(), value)
        if operator is Operator.NE:
            return sql.SQL("{} is distinct from {}").format(subject.compared(), value)
        return sql.SQL("{} {} {}").format(subject.ordered(), sql.SQL(_ORDER[operator]), value)

    def _membership(self, subject: Property, condition: Comparison) -> sql.Composable:
        subject = subject.coded()
        parts: list[sql.Composable] = []
        values: list[sql.Composable] = []
        for literal in condition.values:
            if literal.kind == "null":
                parts.append(_null(subject, Operator.EQ, literal))
            else:
                values.append(self._bind(subject, literal))
        if values:
            parts.append(sql.SQL("{} in ({})").format(subject.compared(), sql.SQL(", ").join(values)))
        return sql.SQL("({})").format(sql.SQL(" or ").join(parts))

    def _part(self, subject: Property, operator: Operator, literal: Literal) -> sql.Composable:
        if literal.kind != "text":
            raise UnsupportedCondition(f"{operator}() expects a text in quotes, found {literal}.", literal.position)
        compared = subject.ordered()
        if subject.kind is Kind.GUID:
            compared = sql.SQL('{}::text collate "C"').format(compared)
        exact = subject.kind is Kind.EXACT
        if operator is Operator.STARTS_WITH and subject.beginning is not None:
            return self._beginning(subject.value, subject.beginning, literal)
        value = sql.SQL("{}::text" if exact else "lower({}::text)").format(self._parameter(literal.value))
        match operator:
            case Operator.STARTS_WITH:
                # A range, because no index serves starts_with() before PostgreSQL 15, nor where a plan is kept.
                return sql.SQL("({0} >= {1} and {0} < {1} || {2})").format(compared, value, _LAST_LETTER)
            case Operator.ENDS_WITH:
                return sql.SQL("right({0}, length({1})) = {1}").format(compared, value)
            case _:
                return sql.SQL("position({} in ({})) > 0").format(value, compared)

    def _beginning(self, whole: sql.Composable, indexed: sql.Composable, literal: Literal) -> sql.Composable:
        """Compare what an index has of a text, and then the text."""
        value = sql.SQL("lower({}::text)").format(self._parameter(literal.value))
        return sql.SQL(
            "({0} >= left({1}, {2}) and {0} < left({1}, {2}) || {3} and starts_with(lower({4}), {1}))"
        ).format(indexed, value, sql.Literal(BEGINNING), _LAST_LETTER, whole)

    def _bind(self, subject: Property, literal: Literal) -> sql.Composable:
        value = self._parameter(_READERS[subject.kind](subject, literal))
        match subject.kind:
            case Kind.TEXT:
                return sql.SQL("lower({}::text)").format(value)
            case Kind.EXACT:
                return sql.SQL("{}::text").format(value)
            case Kind.BOOLEAN:
                return sql.SQL("to_jsonb({}::boolean)").format(value)
            case _:
                return value

    def _parameter(self, value: Any) -> sql.Composable:
        name = f"{self.prefix}{len(self.parameters)}"
        self.parameters[name] = value
        return sql.Placeholder(name)


def _array(collection: Property) -> sql.Composable:
    return sql.SQL("case jsonb_typeof({0}) when 'array' then {0} else '[]' end").format(collection.value)


def _size(collection: Property) -> Property:
    """The number of a collection's elements, which is always an advanced query."""
    return Property(
        collection.name + _COUNT,
        Kind.NUMBER,
        sql.SQL("jsonb_array_length({})").format(_array(collection)),
        plain=frozenset(),
    )


def _null(subject: Property, operator: Operator, literal: Literal) -> sql.Composable:
    if operator not in {Operator.EQ, Operator.NE}:
        raise UnsupportedCondition(f"null has no order for '{operator}'; only eq and ne fit it.", literal.position)
    # A JSON null in the document is as absent as no key at all.
    absent = sql.SQL("nullif({}, 'null'::jsonb)" if subject.kind is Kind.BOOLEAN else "{}").format(subject.value)
    return sql.SQL("{} is null" if operator is Operator.EQ else "{} is not null").format(absent)


def _misfit(subject: Property, literal: Literal, expected: str) -> UnsupportedCondition:
    return UnsupportedCondition(f"'{subject.name}' is compared with {expected}, found {literal}.", literal.position)


def _text(subject: Property, literal: Literal) -> str:
    if literal.kind != "text":
        raise _misfit(subject, literal, "a text in quotes")
    text = str(literal.value)
    return next((code for code in subject.codes if code.lower() == text.lower()), text)


def _boolean(subject: Property, literal: Literal) -> bool:
    if not isinstance(literal.value, bool):
        raise _misfit(subject, literal, "true or false")
    return literal.value


def _number(subject: Property, literal: Literal) -> int | float:
    if isinstance(literal.value, bool) or not isinstance(literal.value, int | float):
        raise _misfit(subject, literal, "a number")
    return literal.value


def _time(subject: Property, literal: Literal) -> datetime:
    try:
        if literal.kind not in {"time", "text"}:
            raise ValueError
        moment = datetime.fromisoformat(str(literal.value).upper())
        # At the edges of the calendar a zone leads out of it.
        return moment.replace(tzinfo=UTC) if moment.tzinfo is None else moment.astimezone(UTC)
    except (ValueError, OverflowError) as error:
        raise _misfit(subject, literal, "a time such as 2026-01-31T08:00:00Z") from error


def _guid(subject: Property, literal: Literal) -> UUID:
    try:
        if literal.kind not in {"GUID", "text"}:
            raise ValueError
        return UUID(str(literal.value))
    except ValueError as error:
        raise _misfit(subject, literal, "a GUID") from error


_READERS: dict[Kind, Callable[[Property, Literal], Any]] = {
    Kind.TEXT: _text,
    Kind.EXACT: _text,
    Kind.BOOLEAN: _boolean,
    Kind.NUMBER: _number,
    Kind.TIME: _time,
    Kind.GUID: _guid,
}
