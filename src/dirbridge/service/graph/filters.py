"""Reading `$filter`: OData text in, a tree of conditions out. Nothing is decided or looked up here.

Source: OData 4.01 URL Conventions section 5.1.1; Graph's query parameter guide for what a directory accepts.
"""

from __future__ import annotations

import re
from typing import Any, cast

from lark import Lark, Token, Transformer, UnexpectedInput
from lark.exceptions import UnexpectedCharacters, UnexpectedEOF, UnexpectedToken, VisitError

from dirbridge.service.graph.errors import GraphError, bad_request
from dirbridge.store.conditions import (
    All,
    AnyOf,
    Comparison,
    Condition,
    Either,
    Literal,
    Not,
    Operator,
    UnsupportedCondition,
)

MAX_LENGTH = 16_384

GRAMMAR = r"""
start: _or

_or: either
either: both (OR both)*
both: negated (AND negated)*
?negated: NOT negated -> negation
        | _primary
_primary: "(" either ")"
        | comparison
        | membership
        | call
        | any

comparison: PATH OPERATOR literal
membership: PATH IN "(" literal ("," literal)* ")"
call: FUNCTION PATH "," literal ")" (OPERATOR literal)?
any: ANY ")"
   | ANY PATH ":" either ")"
literal: STRING | GUID | TIME | NUMBER | BOOLEAN | NULL

OR.3: /or(?![\w\/(:.])|or(?=\()/i
AND.3: /and(?![\w\/(:.])|and(?=\()/i
NOT.3: /not(?![\w\/:.])/i
IN.3: /in(?![\w\/:.])/i
OPERATOR.3: /(eq|ne|gt|ge|lt|le)(?![\w\/:.(])/i
FUNCTION.4: /(startswith|endswith|contains)\s*\(/i
ANY.4: /[A-Za-z_][\w]*(\/[A-Za-z_][\w]*)*\/any\s*\(/i
BOOLEAN.3: /(true|false)(?![\w\/:.])/i
NULL.3: /null(?![\w\/:.])/i
GUID.5: /[0-9a-f]{8}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{12}(?![\w-])/i
TIME.4: /\d{4}-\d\d-\d\d(T\d\d:\d\d(:\d\d(\.\d+)?)?(Z|[+-]\d\d:\d\d)?)?(?![\w-])/i
NUMBER.2: /-?\d{1,18}(\.\d{1,18})?(?![\w-])/
STRING: /'(?:[^']|'')*'/
PATH: /[A-Za-z_]\w*(\/[A-Za-z_]\w*)*(\/\$count)?/

%ignore /[ \t\r\n]+/
"""

_WORDS = {
    "OR": "'or'",
    "AND": "'and'",
    "NOT": "'not'",
    "IN": "'in'",
    "OPERATOR": "an operator (eq, ne, gt, ge, lt, le)",
    "FUNCTION": "a function (startsWith, endsWith, contains)",
    "ANY": "a collection with any()",
    "STRING": "a text in quotes",
    "GUID": "a GUID",
    "TIME": "a time",
    "NUMBER": "a number",
    "BOOLEAN": "true or false",
    "NULL": "null",
    "PATH": "a property",
    "LPAR": "'('",
    "RPAR": "')'",
    "COMMA": "','",
    "COLON": "':'",
    "$END": "the end",
}
_OPERATORS = {operator.lower(): operator for operator in Operator}


def parse(text: str) -> Condition:
    """Read a filter.

    Raises:
        GraphError: 400, saying at which position what was expected.
    """
    if len(text) > MAX_LENGTH:
        raise bad_request(f"Invalid filter clause: it has {len(text):,} characters, and {MAX_LENGTH:,} are accepted.")
    if not text.strip():
        raise bad_request("Invalid filter clause: it is empty. Leave $filter out, or write one such as id eq 'value'.")
    try:
        tree: Condition = _parser.parse(text)  # type: ignore[assignment]
    except UnexpectedInput as error:
        raise _syntax(text, error) from error
    except VisitError as error:
        if isinstance(error.orig_exc, GraphError):
            raise error.orig_exc from None
        raise
    return tree


def refuse(error: UnsupportedCondition) -> GraphError:
    """Put what a collection cannot answer into Graph's words."""
    return bad_request(
        f"Invalid filter clause: {error.reason} At position {error.position + 1}. {error.recommended_action}".rstrip(),
        code=error.code,
    )


def _syntax(text: str, error: UnexpectedInput) -> GraphError:
    match error:
        case UnexpectedToken(token=token, accepts=accepts):
            found = "the end" if token.type == "$END" else f"'{token}'"
            position = len(text) if token.type == "$END" else token.start_pos or 0
            expected = accepts or error.expected
        case UnexpectedCharacters():
            position = cast("int", error.pos_in_stream)
            expected = set(error.allowed or ())
            found = "a text whose quote is never closed" if text[position] == "'" else f"'{text[position]}'"
        case UnexpectedEOF():
            position, found, expected = len(text), "the end", set(error.expected)
        case _:
            position, found, expected = 0, "something else", set()
    wanted = _expected(expected)
    return bad_request(
        f"Invalid filter clause: syntax error at position {position + 1} in '{_excerpt(text, position)}':"
        f" expected {wanted}, found {found}."
    )


def _excerpt(text: str, position: int) -> str:
    if len(text) <= 120:
        return text
    start = max(0, position - 40)
    return ("…" if start else "") + text[start : position + 40] + "…"


def _expected(names: Any) -> str:
    words = sorted({_WORDS.get(name, name.lower()) for name in names})
    if len(words) < 2:
        return words[0] if words else "something else"
    return f"{', '.join(words[:-1])} or {words[-1]}"


class _Tree(Transformer[Token, Condition]):
    def start(self, children: list[Condition]) -> Condition:
        return children[0]

    def either(self, children: list[Any]) -> Condition:
        parts = tuple(child for child in children if not isinstance(child, Token))
        return parts[0] if len(parts) == 1 else Either(parts)

    def both(self, children: list[Any]) -> Condition:
        parts = tuple(child for child in children if not isinstance(child, Token))
        return parts[0] if len(parts) == 1 else All(parts)

    def negation(self, children: list[Any]) -> Condition:
        return Not(children[1], _position(children[0]))

    def comparison(self, children: list[Any]) -> Condition:
        path, operator, literal = children
        return Comparison(str(path), _OPERATORS[operator.lower()], (literal,), _position(path))

    def membership(self, children: list[Any]) -> Condition:
        path = children[0]
        return Comparison(str(path), Operator.IN, tuple(children[2:]), _position(path))

    def call(self, children: list[Any]) -> Condition:
        function, path, literal = children[:3]
        operator = _OPERATORS[function.rstrip("( \t\r\n").lower()]
        found = Comparison(str(path), operator, (literal,), _position(function))
        return found if len(children) == 3 else _compared_call(found, *children[3:])

    def any(self, children: list[Any]) -> Condition:
        name = re.sub(r"/any\s*\($", "", children[0], flags=re.IGNORECASE)
        if len(children) == 1:
            return AnyOf(name, "", None, _position(children[0]))
        return AnyOf(name, str(children[1]), children[2], _position(children[0]))

    def literal(self, children: list[Any]) -> Literal:
        token = children[0]
        position = _position(token)
        match token.type:
            case "STRING":
                return Literal("text", token[1:-1].replace("''", "'"), position)
            case "NUMBER":
                return Literal("number", float(token) if "." in token else int(token), position)
            case "BOOLEAN":
                return Literal("boolean", token.lower() == "true", position)
            case "NULL":
                return Literal("null", None, position)
            case "TIME":
                return Literal("time", str(token), position)
            case _:
                return Literal("GUID", str(token), position)


def _compared_call(call: Comparison, operator: Token, literal: Literal) -> Condition:
    """`startsWith(…) eq true` says the same as the call alone, `eq false` its opposite."""
    if not isinstance(literal.value, bool) or operator.lower() not in {"eq", "ne"}:
        raise bad_request(
            f"Invalid filter clause: a function is compared with 'eq true' or 'eq false' at position"
            f" {_position(operator) + 1}, found '{operator} {literal}'."
        )
    return call if literal.value == (operator.lower() == "eq") else Not(call, call.position)


def _position(token: Token) -> int:
    return token.start_pos or 0


_parser = Lark(GRAMMAR, parser="lalr", transformer=_Tree(), maybe_placeholders=False)
