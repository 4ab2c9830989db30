"""Source trees of any shape that the language has, for properties that hold for all of them."""

from __future__ import annotations

from hypothesis import strategies as st

from dirbridge.contract.schema import Parameter as Argument
from dirbridge.contract.schema import Source
from dirbridge.engine.expressions import text
from dirbridge.engine.functions import FUNCTIONS
from dirbridge.engine.functions.conditions import COMPARISONS
from dirbridge.engine.functions.replacing import _WAYS
from dirbridge.engine.functions.signature import Function, Parameter

NAME = st.from_regex(r"[A-Za-z][A-Za-z0-9-]{0,8}", fullmatch=True)
TEXT = st.text(st.characters(blacklist_categories=["Cs"], blacklist_characters="\x00"), max_size=12)


def constant(value: str) -> Source:
    return Source("Constant", value, text.quoted(value))


def call(name: str, *arguments: Argument) -> Source:
    return Source("Function", name, text.call(name, arguments), arguments)


_LEAF = st.one_of(
    NAME.map(lambda name: Source("Attribute", name, f"[{name}]")),
    TEXT.map(constant),
    st.sampled_from(["%DomainFQDN%", "%DomainNetBios%"]).map(lambda name: Source("Constant", name)),
)
_WORDS = {
    "interval": ["d", "yyyy", "ww"],
    "delimiter": [",", " "],
    "culture": ["tr-TR", "en"],
    "encoding": ["UTF8"],
    "compareType": ["vbTextCompare"],
    "inputFormat": ["yyyyMMdd"],
    "outputFormat": ["yyyy-MM-dd", "d 'de' MMM"],
    "dateTimeStyles": ["AllowWhiteSpaces"],
}


def _argument(parameter: Parameter, inner: st.SearchStrategy[Source]) -> st.SearchStrategy[Source]:
    """Anything that the parameter takes."""
    if parameter.name in _WORDS:
        return st.sampled_from(_WORDS[parameter.name]).map(constant)
    if parameter.type == "Integer":
        number = st.integers(1, 50).map(lambda number: constant(str(number)))
        return st.one_of(number, inner.filter(lambda source: source.type != "Constant"))
    return inner


@st.composite
def _plain(draw: st.DrawFn, function: Function, inner: st.SearchStrategy[Source]) -> Source:
    """A call whose parameters have no rules among them."""
    arguments = []
    for parameter in function.parameters:
        if not parameter.required and draw(st.booleans()):
            continue
        count = draw(st.integers(2, 4)) if parameter.repeats else 1
        arguments += [Argument(parameter.name, draw(_argument(parameter, inner))) for _ in range(count)]
    return call(function.name, *arguments)


@st.composite
def _conditional(draw: st.DrawFn, name: str, inner: st.SearchStrategy[Source]) -> Source:
    """IIF or CBool, of one part or three."""
    if draw(st.booleans()):
        operator = draw(st.sampled_from([*COMPARISONS]))
        keys = [Argument("one", draw(inner)), Argument("two", constant(operator)), Argument("three", draw(inner))]
    else:
        keys = [Argument("one" if name == "IIF" else "source", draw(inner))]
    if name == "IIF":
        present = draw(st.sampled_from([("four",), ("five",), ("four", "five")]))
        keys += [Argument(key, draw(inner)) for key in present]
    return call(name, *keys)


@st.composite
def _switch(draw: st.DrawFn, inner: st.SearchStrategy[Source]) -> Source:
    default = [Argument("defaultValue", draw(inner))] if draw(st.booleans()) else []
    pairs = [Argument("switchValue", draw(inner)) for _ in range(2 * draw(st.integers(1, 3)))]
    return call("Switch", Argument("source", draw(inner)), *default, *pairs)


@st.composite
def _replace(draw: st.DrawFn, inner: st.SearchStrategy[Source]) -> Source:
    given = {"source": draw(inner)}
    for key in sorted(draw(st.sampled_from(sorted(_WAYS, key=sorted)))):
        if key == "RegularExpression":
            given[key] = constant(r"(?<n>\d+)")
        elif key == "RegularExpressionGroupName":
            given[key] = constant("n")
        else:
            given[key] = draw(inner.filter(lambda source: source.name != ""))
    order = [parameter.name for parameter in FUNCTIONS["Replace"].parameters]
    return call("Replace", *(Argument(key, given[key]) for key in order if key in given))


def _calls(inner: st.SearchStrategy[Source]) -> st.SearchStrategy[Source]:
    special = {"IIF", "CBool", "Switch", "Replace", "RandomString"}
    plain = [_plain(function, inner) for name, function in FUNCTIONS.items() if name not in special]
    return st.one_of(_conditional("IIF", inner), _conditional("CBool", inner), _switch(inner), _replace(inner), *plain)


TREES = st.recursive(_LEAF, _calls, max_leaves=12)
"""Trees of every function but RandomString, as deep as chance has it."""
