"""Every error code that the source can show, found in its syntax."""

import ast
import re
from collections.abc import Iterator
from pathlib import Path

SOURCE = Path(__file__).parents[2] / "src" / "dirbridge"

_CODE = re.compile(r"[A-Za-z]+(?:_[A-Za-z]+)?")
_STEP = re.compile(r"Entry(?:Import|Export|Synchronization(?!Skipped$)|StagedDelete)\w*")
"""Codes of steps in the log: names of what ran, not of what failed. One code of a skip begins like them."""

_POSITION = {
    "Fault": 0, "BindRefusal": 0, "GraphError": 1, "Refusal": 1, "OAuthRefusal": 1, "PageRefusal": 1,
    "Finding": 4, "_Complaint": 2,
}  # fmt: skip
"""Where these take a code."""

_HOLDERS = {"_BY_STATUS", "_CODES", "Failure", "Reason"}
"""Tables and enumerations whose values are codes."""

_NO_CODES = {"Other"}
"""What the enumeration calls that which gets no code."""


def in_source() -> dict[str, set[str]]:
    """Give every code, with the files that use it."""
    found: dict[str, set[str]] = {}
    trees = {file: ast.parse(file.read_text("utf-8")) for file in sorted(SOURCE.rglob("*.py"))}
    elsewhere = {f"{file.stem}.{name}": value for file, tree in trees.items() for name, value in _constants(tree)}
    for file, tree in trees.items():
        constants = {**elsewhere, **dict(_constants(tree))}
        for node in ast.walk(tree):
            for value in _places(node):
                for code in _texts(value, constants):
                    found.setdefault(code, set()).add(str(file.relative_to(SOURCE)))
    return found


def _constants(tree: ast.Module) -> Iterator[tuple[str, ast.expr]]:
    for statement in tree.body:
        if isinstance(statement, ast.Assign):
            yield from ((target.id, statement.value) for target in statement.targets if isinstance(target, ast.Name))


def _places(node: ast.AST) -> Iterator[ast.expr]:
    """Give the expressions in which a node would hold a code."""
    match node:
        case ast.Call(func=ast.Name(id="TokenError"), args=[ast.Constant(value=int(number)), *_]):
            yield ast.Constant(f"AADSTS{number}")
        case ast.Call(func=function, args=arguments, keywords=keywords):
            yield from (keyword.value for keyword in keywords if keyword.arg in {"code", "reason", "silence"})
            name = function.attr if isinstance(function, ast.Attribute) else getattr(function, "id", "")
            if name in _POSITION and len(arguments) > _POSITION[name]:
                yield arguments[_POSITION[name]]
        case ast.ClassDef(name=name, body=body):
            for statement in body:
                if isinstance(statement, ast.Assign):
                    named = name in _HOLDERS or getattr(statement.targets[0], "id", "") == "code"
                    yield from [statement.value] if named else []
        case ast.Assign(targets=[ast.Name(id="code")], value=value):
            yield value
        case ast.Assign(targets=[ast.Tuple(elts=[ast.Name(id="code"), *_])], value=ast.Tuple(elts=[first, *_])):
            yield first
        case ast.Assign(targets=[ast.Name(id=name)], value=ast.Dict(values=values)) if name in _HOLDERS:
            yield from values
        case ast.Return(value=ast.Tuple(elts=[first, _, _])):
            yield first
        case ast.arguments(kwonlyargs=names, kw_defaults=defaults):
            yield from (value for name, value in zip(names, defaults, strict=True) if name.arg == "code" and value)


def _texts(value: ast.expr, constants: dict[str, ast.expr]) -> Iterator[str]:
    """Give the codes that an expression can have."""
    match value:
        case ast.Constant(value=str(text)) if re.fullmatch(r"AADSTS\d+", text):
            yield text
        case ast.Constant(value=str(text)):
            if _CODE.fullmatch(text) and not _STEP.fullmatch(text) and text not in _NO_CODES:
                yield text
        case ast.IfExp(body=body, orelse=orelse):
            yield from _texts(body, constants)
            yield from _texts(orelse, constants)
        case ast.BoolOp(values=values):
            for each in values:
                yield from _texts(each, constants)
        case ast.Name(id=name) if name in constants:
            yield from _texts(constants[name], {})
        case ast.Attribute(value=ast.Name(id=module), attr=name) if f"{module}.{name}" in constants:
            yield from _texts(constants[f"{module}.{name}"], {})
