"""Choosing: IIF, Switch, Coalesce, and what is asked of a value.

Branches are compiled arguments, and only the one that is taken is evaluated.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from datetime import datetime

from dirbridge.contract.errors import EntryError
from dirbridge.engine.functions import moments
from dirbridge.engine.functions.environment import Environment
from dirbridge.engine.functions.signature import Complaint, Function, Given, Parameter, constant, of_text
from dirbridge.engine.functions.values import (
    Argument,
    Attributes,
    Condition,
    Fixed,
    Read,
    Result,
    Single,
    decimal,
    direct,
    failed,
    first,
    moment_text,
    text,
    truth,
    whole_number,
)

Test = Callable[[Attributes], bool]

NOTHING = Fixed(None)

# Comparing ------------------------------------------------------------------------------------------------------------


def equal(left: Result, right: Result) -> bool:
    """Tell whether two values are the same; absent and empty are, case counts, and dates compare as such."""
    one, other = first(left), first(right)
    if one is None or other is None:
        return not one and not other
    if isinstance(one, datetime) or isinstance(other, datetime):
        dates = _dates(one, other)
        return dates is not None and dates[0] == dates[1]
    return one == other


def _dates(one: Single, other: Single) -> tuple[datetime, datetime] | None:
    found = [value if isinstance(value, datetime) else moments.read(value) if isinstance(value, str) else None
             for value in (one, other)]  # fmt: skip
    if found[0] is None or found[1] is None:
        return None
    return moments.utc(found[0]), moments.utc(found[1])


def order(left: Result, right: Result) -> int | None:
    """Say which comes first: below, at or above 0. None where one is absent, empty or binary: no order holds.

    Numbers compare as such where both are, dates where one of them was made by a date function, else text by character.
    """
    one, other = first(left), first(right)
    if not one or not other or isinstance(one, bytes) or isinstance(other, bytes):
        return None
    if isinstance(one, datetime) or isinstance(other, datetime):
        dates = _dates(one, other)
        return None if dates is None else (dates[0] > dates[1]) - (dates[0] < dates[1])
    numbers = whole_number(one), whole_number(other)
    if numbers[0] is not None and numbers[1] is not None:
        return (numbers[0] > numbers[1]) - (numbers[0] < numbers[1])
    exact = decimal(one), decimal(other)
    if exact[0] is not None and exact[1] is not None:
        return (exact[0] > exact[1]) - (exact[0] < exact[1])
    return (one > other) - (one < other)


def _ordered(left: Result, right: Result, holds: Callable[[int], bool]) -> bool:
    found = order(left, right)
    return found is not None and holds(found)


COMPARISONS: Mapping[str, Callable[[Result, Result], bool]] = {
    "=": equal,
    "<>": lambda left, right: not equal(left, right),
    ">": lambda left, right: _ordered(left, right, lambda found: found > 0),
    ">=": lambda left, right: _ordered(left, right, lambda found: found >= 0),
    "<": lambda left, right: _ordered(left, right, lambda found: found < 0),
    "<=": lambda left, right: _ordered(left, right, lambda found: found <= 0),
}


def _operator(name: str) -> Callable[[Result, Result], bool]:
    found = COMPARISONS.get(name)
    if found is None:
        raise failed(f"'{name}' is no comparison; use =, <>, >, >=, < or <=.")
    return found


def _comparison(left: Argument, operator: Argument, right: Argument) -> Test:
    if isinstance(operator, Fixed):
        name = text(operator.value, "The operator") or ""
        if name == "=" and isinstance(right, Fixed) and isinstance(right.value, str):
            return _is(left, right.value)
        compare = _operator(name)
        one, other = direct(left), direct(right)
        return lambda at: compare(one(at), other(at))
    return lambda at: _operator(text(operator(at), "The operator") or "")(left(at), right(at))


def _is(left: Argument, wanted: str) -> Test:
    """Compare with a constant, the common case."""
    if isinstance(left, Read):
        name = left.name

        def attribute_is(at: Attributes) -> bool:
            values = at.get(name)
            return values[0] == wanted if values else not wanted

        return attribute_is

    def value_is(at: Attributes) -> bool:
        value = left(at)
        return value == wanted if type(value) is str else equal(value, wanted)

    return value_is


def _test(one: Argument | None, two: Argument | None, three: Argument | None) -> Test:
    """Make the test of a condition of one part or three."""
    if one is not None and two is not None:
        return _comparison(one, two, three or NOTHING)
    if isinstance(one, Condition):
        return one.holds
    value = direct(one or NOTHING)
    return lambda at: truth(value(at))


def _check_comparison(given: Given) -> Complaint | None:
    """Of three parts, two and three come together, and two is an operator."""
    operator = constant(given, "two")
    if ("two" in given) != ("three" in given):
        return Complaint("a comparison lacks one of its sides.", "Write it as [attribute]=value.")
    if operator is not None and operator not in COMPARISONS:
        return Complaint(f"'{operator}' is no comparison.", f"Use one of {' '.join(COMPARISONS)}.", "two")
    return None


# Choosing -------------------------------------------------------------------------------------------------------------


def _iif(arguments: Sequence[Argument | None], _environment: Environment) -> Argument:
    one, two, three, four, five = arguments
    holds = _test(one, two, three)
    then, otherwise = direct(four or NOTHING), direct(five or NOTHING)
    return lambda at: then(at) if holds(at) else otherwise(at)


def _check_iif(given: Given) -> Complaint | None:
    if "four" not in given and "five" not in given:
        return Complaint("IIF has no value to give.", "Write IIF(condition, valueIfTrue, valueIfFalse).", "four")
    return _check_comparison(given)


def _c_bool(arguments: Sequence[Argument | None], _environment: Environment) -> Argument:
    source, one, two, three = arguments
    return Condition(_test(one, two, three) if source is None else _test(source, None, None))


def _check_c_bool(given: Given) -> Complaint | None:
    if ("source" in given) == ("one" in given):
        return Complaint("CBool takes one value or one comparison.", "Write CBool([a]) or CBool([a]=[b]).", "source")
    return None if "source" in given else _check_comparison(given)


def _switch(arguments: Sequence[Argument | None], _environment: Environment) -> Argument:
    source, default = direct(arguments[0] or NOTHING), direct(arguments[1] or NOTHING)
    pairs = [
        (key, direct(value))
        for key, value in zip(arguments[2::2], arguments[3::2], strict=True)
        if key is not None and value is not None
    ]
    fixed = {key.value: value for key, value in reversed(pairs) if isinstance(key, Fixed)}
    if len(fixed) == len(pairs) and all(isinstance(key, str) for key in fixed):
        return _by_key(source, default, fixed)

    def choose(at: Attributes) -> Result:
        found = source(at)
        chosen = next((value for key, value in pairs if equal(found, key(at))), default)
        return chosen(at)

    return choose


def _by_key(source: Argument, default: Argument, values: Mapping[Result, Argument]) -> Argument:
    """Switch where all keys are different constants."""

    def choose(at: Attributes) -> Result:
        found = first(source(at))
        key = moment_text(found) if isinstance(found, datetime) else "" if found is None else found
        return values.get(key, default)(at)

    return choose


def _check_switch(given: Given) -> Complaint | None:
    pairs = given.get("switchValue", ())
    if not pairs or len(pairs) % 2:
        return Complaint(
            f"Switch has {len(pairs)} keys and values, and they come in pairs.",
            'Write Switch(source, default, key1, value1, key2, value2); a value that is to be empty is "".',
            "switchValue",
        )
    return None


def _coalesce(arguments: Sequence[Argument | None], _environment: Environment) -> Argument:
    sources = [direct(argument) for argument in arguments if argument is not None]

    def choose(at: Attributes) -> Result:
        for source in sources:
            value = source(at)
            if value is not None:
                return value
        return None

    return choose


# Asking ---------------------------------------------------------------------------------------------------------------


def _asked(test: Callable[[Result], bool]) -> Callable[[Sequence[Argument | None], Environment], Argument]:
    def bind(arguments: Sequence[Argument | None], _environment: Environment) -> Argument:
        value = direct(arguments[0] or NOTHING)
        return Condition(lambda at: test(value(at)))

    return bind


def _is_present(arguments: Sequence[Argument | None], environment: Environment) -> Argument:
    """An empty text is no value; that of an attribute is asked for without making a value of it."""
    source = arguments[0]
    if not isinstance(source, Read):
        return _asked(bool)(arguments, environment)
    name = source.name

    def holds(at: Attributes) -> bool:
        values = at.get(name)
        if not values:
            return False
        return bool(values[0]) or len(values) > 1

    return Condition(holds)


def _not(arguments: Sequence[Argument | None], _environment: Environment) -> Argument:
    source = arguments[0]
    if isinstance(source, Condition):
        holds = source.holds
        return Condition(lambda at: not holds(at))
    value = direct(source or NOTHING)
    return Condition(lambda at: first(value(at)) != "True")


def _error(arguments: Sequence[Argument | None], _environment: Environment) -> Argument:
    message = arguments[0] or NOTHING

    def stop(at: Attributes) -> Result:
        said = text(message(at), "Error") or "The mapping raised an error."
        raise EntryError(said, code="ExpressionError", recommended_action="")

    return stop


def _is_text(value: Result) -> bool:
    return isinstance(value, str)


_ANY = Parameter("source")

FUNCTIONS = (
    Function(
        "IIF",
        (
            Parameter("one"),
            Parameter("two", required=False),
            Parameter("three", required=False),
            Parameter("four", required=False),
            Parameter("five", required=False),
        ),
        "One of two values: the first where the condition holds, else the second. The other is not evaluated. "
        "A condition is a value that is `True` or a number but 0, or a comparison by `=`, `<>`, `>`, `>=`, `<`, `<=`.",
        'IIF([c]="FR", "EU", "Other")',
        bind=_iif,
        check=_check_iif,
        places=(("one", "four", "five"),),
        compares=True,
    ),
    Function(
        "Switch",
        (Parameter("source"), Parameter("defaultValue", required=False), Parameter("switchValue", repeats=True)),
        'The value whose key equals the source, else the default. The key `""` stands for an absent source.',
        'Switch([st], "Other", "NY", "East", "CA", "West")',
        bind=_switch,
        check=_check_switch,
    ),
    Function(
        "Coalesce",
        (Parameter("source", repeats=True),),
        "The first value that there is. An empty text is one.",
        "Coalesce([mail], [userPrincipalName])",
        bind=_coalesce,
    ),
    Function(
        "IsPresent", (_ANY,), "Whether there is a value that is not empty.", "IsPresent([manager])", bind=_is_present
    ),
    Function(
        "IsNullOrEmpty",
        (_ANY,),
        "Whether there is no value, or an empty one.",
        "IsNullOrEmpty([mail])",
        bind=_asked(lambda value: not value),
    ),
    Function(
        "IsNull",
        (_ANY,),
        "Whether there is no value. An empty text is one.",
        "IsNull([displayName])",
        bind=_asked(lambda value: value is None),
    ),
    Function(
        "IsNothing",
        (_ANY,),
        "The older name of IsNull.",
        "IsNothing([displayName])",
        bind=_asked(lambda value: value is None),
    ),
    Function(
        "IsString",
        (_ANY,),
        "Whether the value is one text: not absent, not binary, not several.",
        "IsString([cn])",
        bind=_asked(_is_text),
    ),
    Function(
        "Not",
        (Parameter("source", "Boolean"),),
        "`False` for `True`, and `True` for everything else.",
        'Not("False")',
        "True",
        bind=_not,
    ),
    Function(
        "CBool",
        (
            Parameter("source", required=False),
            Parameter("one", required=False),
            Parameter("two", required=False),
            Parameter("three", required=False),
        ),
        "`True` for `True`, for any number but 0, and for a comparison that holds; else `False`.",
        "CBool([a]=[b])",
        bind=_c_bool,
        check=_check_c_bool,
        places=(("source",),),
        compares=True,
    ),
    Function(
        "Error",
        (of_text("message"),),
        "Fails the entry with this message: it is set aside and tried again.",
        'IIF(IsPresent([mail]), [mail], Error("mail is missing"))',
        bind=_error,
    ),
)
