"""From an expression's text to its source tree.

The grammar knows calls, attributes, constants and comparisons; what a function takes is looked up as each call is
closed, so every fault has its place in the text. Lark's parser keeps a stack of its own: deep text is refused, and
never ends in a RecursionError.

Source: the published page on expressions for attribute mappings; Graph attributeMappingSource.
"""

from __future__ import annotations

import re
from collections.abc import Collection
from typing import Any, NamedTuple, cast

from lark import Lark, Token, Transformer, UnexpectedInput
from lark.exceptions import UnexpectedCharacters, UnexpectedToken

from dirbridge.contract.schema import Parameter as Argument
from dirbridge.contract.schema import Source
from dirbridge.engine.expressions import faults, text
from dirbridge.engine.expressions.faults import DEEPEST, MOST_CHARACTERS, InvalidExpression
from dirbridge.engine.functions import FUNCTIONS
from dirbridge.engine.functions.signature import Complaint, Function

GRAMMAR = r"""
start: _value
_value: call | attribute | string | number | macro | word

call: NAME "(" slot ("," slot)* ")"
slot: (_value | comparison)?
comparison: _value OPERATOR _value
attribute: ATTRIBUTE
string: STRING
number: NUMBER
macro: MACRO
word: NAME

NAME: /[A-Za-z_][A-Za-z0-9_]*/
ATTRIBUTE: /\[(?:[^\[\]]|\[[^\[\]]*\])+\]/
STRING: /"(?:[^"\\]|\\.)*"/s
NUMBER: /&[Hh][0-9A-Fa-f]+|-?[0-9]+(?:\.[0-9]+)?/
MACRO: /%[A-Za-z][A-Za-z0-9]*%/
OPERATOR: /<>|>=|<=|=|>|</

%ignore /\s+/
"""

_WORDS = {
    "NAME": "a function",
    "ATTRIBUTE": "an attribute such as [mail]",
    "STRING": 'a text such as "x"',
    "NUMBER": "a number",
    "MACRO": "a macro such as %DomainFQDN%",
    "OPERATOR": "a comparison",
    "LPAR": "'('",
    "RPAR": "')'",
    "COMMA": "','",
    "$END": "the end",
}

_ESCAPE = re.compile(r"\\(.)", re.DOTALL)


class _Node(NamedTuple):
    """A part of the tree, where it stands in the text, and how deep it is."""

    source: Source
    at: int
    depth: int


class _Comparison(NamedTuple):
    left: _Node
    operator: str
    right: _Node
    at: int


class _Word(NamedTuple):
    """A name that stands alone: only some parameters take one."""

    name: str
    at: int


_Slot = _Node | _Comparison | _Word | None


class _Wrong(Exception):
    """A fault and its place, before it is known in which text."""

    def __init__(self, at: int, complaint: Complaint) -> None:
        super().__init__(complaint.what)
        self.at = at
        self.complaint = complaint


def parse(
    expression: str, *, attributes: Collection[str] | None = None, macros: Collection[str] | None = None
) -> Source:
    """Read an expression.

    Args:
        attributes: the source attributes that there are; None takes any.
        macros: the names that may stand between percent signs; None takes any.

    Raises:
        InvalidExpression: names the place, what stands there, what was expected and what to do.
    """
    if len(expression) > MOST_CHARACTERS:
        raise InvalidExpression(
            expression,
            MOST_CHARACTERS,
            f"it has {len(expression):,} characters, and {MOST_CHARACTERS:,} are accepted.",
            "Shorten it, or work out a part of it in the directory.",
        )
    try:
        node = cast("_Node", _parser.parse(expression))
    except UnexpectedInput as error:
        raise _syntax(expression, error) from None
    except _Wrong as wrong:
        raise InvalidExpression(expression, wrong.at, wrong.complaint.what, wrong.complaint.remedy) from None
    _check_names(expression, attributes, macros)
    return node.source


# Building the tree ----------------------------------------------------------------------------------------------------


class _Tree(Transformer[Token, _Node]):
    def start(self, children: list[_Slot]) -> _Node:
        found = children[0]
        if isinstance(found, _Word):
            raise _Wrong(found.at, _bare(found.name))
        return cast("_Node", found)

    def slot(self, children: list[_Slot]) -> _Slot:
        return children[0] if children else None

    def attribute(self, children: list[Token]) -> _Node:
        token = children[0]
        return _Node(Source("Attribute", token[1:-1], str(token)), _at(token), 0)

    def string(self, children: list[Token]) -> _Node:
        token = children[0]
        for escape in _ESCAPE.finditer(token):
            if escape[1] not in '"\\':
                what = f"'{escape[0]}' means nothing within quotes."
                raise _Wrong(
                    _at(token) + escape.start(), Complaint(what, r"Write \\ for a backslash and \" for a quote.")
                )
        return _constant(_ESCAPE.sub(r"\1", token[1:-1]), _at(token))

    def number(self, children: list[Token]) -> _Node:
        return _constant(str(children[0]), _at(children[0]))

    def macro(self, children: list[Token]) -> _Node:
        return _Node(Source("Constant", str(children[0])), _at(children[0]), 0)

    def word(self, children: list[Token]) -> _Word:
        return _Word(str(children[0]), _at(children[0]))

    def comparison(self, children: list[Any]) -> _Comparison:
        left, operator, right = children
        for side in (left, right):
            if isinstance(side, _Word):
                raise _Wrong(side.at, _bare(side.name))
        return _Comparison(left, str(operator), right, left.at)

    def call(self, children: list[Any]) -> _Node:
        name, *slots = children
        function = FUNCTIONS.get(name)
        if function is None:
            raise _Wrong(_at(name), faults.unknown_function(name))
        return _called(function, _at(name), [] if slots == [None] else slots)


def _at(token: Token) -> int:
    return token.start_pos or 0


def _constant(value: str, at: int) -> _Node:
    complaint = faults.of_constant(value)
    if complaint is not None:
        raise _Wrong(at, complaint)
    return _Node(Source("Constant", value, text.quoted(value)), at, 0)


def _bare(name: str) -> Complaint:
    if name.upper() in {"AND", "OR", "NOT"}:
        return Complaint(f"there is no '{name}' between conditions.", _NEST)
    return Complaint(
        f"'{name}' is neither a text, nor an attribute, nor a call.",
        f'Write "{name}" for the text, [{name}] for the attribute, {name}(…) for the function.',
    )


def _no_word(name: str, words: Collection[str]) -> Complaint:
    return Complaint(f"'{name}' is not known here.", f"Use one of {', '.join(words)}.")


_NEST = "Nest one IIF in another: in the place of the true value for AND, of the false value for OR."


def _called(function: Function, at: int, slots: list[_Slot]) -> _Node:
    """Put a call's arguments into its parameters, and judge it."""
    arguments: list[Argument] = []
    positions: dict[str, int] = {}
    deepest = 0
    for key, node in _placed(function, at, slots):
        arguments.append(Argument(key, node.source))
        positions.setdefault(key, node.at)
        deepest = max(deepest, node.depth)
    complaint = faults.of_call(function, arguments)
    if complaint is None and deepest >= DEEPEST:
        complaint = Complaint(f"it stands more than {DEEPEST} calls deep.", "Use Switch in the place of nested IIFs.")
    if complaint is not None:
        raise _Wrong(positions.get(complaint.parameter or "", at), complaint)
    given = tuple(arguments)
    return _Node(Source("Function", function.name, text.call(function.name, given), given), at, deepest + 1)


def _placed(function: Function, at: int, slots: list[_Slot]) -> list[tuple[str, _Node]]:
    """Tell which parameter each argument belongs to."""
    form = next((each for each in function.forms if len(each) >= len(slots)), function.forms[-1])
    found: list[tuple[str, _Node]] = []
    for index, slot in enumerate(slots):
        parameter = function.parameter(form[min(index, len(form) - 1)]) if form else None
        repeats = parameter is not None and parameter.repeats
        if slot is None:
            if repeats and function.name == "Switch":
                raise _Wrong(at, Complaint("Switch has an empty place among its keys and values.", 'Write "" there.'))
            continue
        if parameter is None or (index >= len(form) and not repeats):
            what = f"{function.name} takes {len(function.forms[-1])} arguments and has {len(slots)}."
            raise _Wrong(slot.at, Complaint(what, "Take this one out."))
        found += _given(function, parameter.name, index, slot)
    return found


def _given(function: Function, key: str, index: int, slot: _Node | _Comparison | _Word) -> list[tuple[str, _Node]]:
    if isinstance(slot, _Node):
        return [(key, slot)]
    if isinstance(slot, _Word):
        parameter = function.parameter(key)
        words = parameter.words if parameter is not None else ()
        if slot.name not in words:
            raise _Wrong(slot.at, _no_word(slot.name, words) if words else _bare(slot.name))
        return [(key, _constant(slot.name, slot.at))]
    if not function.compares or index:
        raise _Wrong(slot.at, Complaint("a comparison stands here.", _ONLY_CONDITIONS))
    return [("one", slot.left), ("two", _constant(slot.operator, slot.at)), ("three", slot.right)]


_ONLY_CONDITIONS = "Compare only in the first place of IIF or CBool, such as CBool([a]=[b])."

# Faults ---------------------------------------------------------------------------------------------------------------

_REMEDIES = {
    '"': 'Close the text with a quote; a quote inside it is written \\".',
    "[": "Close the attribute's name with a bracket: [mail].",
    "&": "Texts are put together by Join or Append.",
    "%": "A macro is written %DomainFQDN%; a percent sign in a text stands within quotes.",
    "\\": "A backslash stands within quotes only, and twice.",
    "'": "Texts stand within straight double quotes.",
    "!": "Unequal is written <>.",
}
_REMEDIES |= dict.fromkeys("“”„«»‘’", "Texts stand within straight double quotes.")


def _syntax(expression: str, error: UnexpectedInput) -> InvalidExpression:
    if isinstance(error, UnexpectedToken):
        token = error.token
        ended = token.type == "$END"
        at = len(expression) if ended else _at(token)
        met = "the end" if ended else f"'{token:.40}'"
        names = error.accepts or error.expected
        remedy = _remedy(expression, token, names)
    else:
        at = cast("int", error.pos_in_stream)
        character = expression[at : at + 1]
        met = {'"': "a text that is never closed", "[": "a name that is never closed"}.get(character, f"'{character}'")
        names = (error.allowed or set()) if isinstance(error, UnexpectedCharacters) else set()
        remedy = _REMEDIES.get(character, "")
    expected = _expected(names)
    what = f"found {met}, expected {expected}."
    return InvalidExpression(expression, at, what, remedy, met=met, expected=expected)


def _remedy(expression: str, token: Token, expected: Collection[str]) -> str:
    if not expression.strip():
        return 'Write an attribute such as [mail], a text such as "x", or a call such as Trim([mail]).'
    if token.type == "$END":
        return "See that every bracket is closed."
    if token.type == "NAME" and token.upper() in {"AND", "OR"}:
        return _NEST
    if token.type == "OPERATOR":
        return "Equal is one =." if expression[: _at(token)].rstrip().endswith("=") else _ONLY_CONDITIONS
    if "$END" in expected:
        return "Take away what follows, or put the whole into a call such as Join."
    return "Part arguments by commas." if "COMMA" in expected else ""


def _expected(names: Collection[str]) -> str:
    words = sorted({_WORDS.get(name, name.lower()) for name in names})
    if len(words) < 2:
        return words[0] if words else "something else"
    return f"{', '.join(words[:-1])} or {words[-1]}"


_NAMED = re.compile(
    r'"(?:[^"\\]|\\.)*"|\[(?P<attribute>(?:[^\[\]]|\[[^\[\]]*\])+)\]|%(?P<macro>[A-Za-z0-9]+)%', re.DOTALL
)


def _check_names(expression: str, attributes: Collection[str] | None, macros: Collection[str] | None) -> None:
    """Make sure that attributes and macros exist, in a text that has been read without fault."""
    for found in _NAMED.finditer(expression):
        for kind, known, shown in (("attribute", attributes, "[{}]"), ("macro", macros, "%{}%")):
            name = found[kind]
            if name is None or known is None or name in known:
                continue
            alike = faults.near(name, known)
            remedy = f"Did you mean {alike}? Names are case-sensitive." if alike else "Name one that the source has."
            raise InvalidExpression(expression, found.start(), f"there is no {kind} {shown.format(name)}.", remedy)


_parser = Lark(GRAMMAR, parser="lalr", transformer=_Tree(), maybe_placeholders=False)
