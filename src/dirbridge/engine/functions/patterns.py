r"""Regular expressions of administrators, written for .NET, run in bounded time and to bounded length.

What differs is rewritten before compiling: `(?'name'…)`, `\z` and `\Z`, and subtraction of character classes.
Balancing groups have no counterpart and are refused.

Source: .NET's quick reference of regular expressions and of substitutions.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from functools import lru_cache

import regex

from dirbridge.contract.errors import EntryError
from dirbridge.engine.functions.values import LONGEST, excerpt, failed, too_long

SECONDS = 0.1
"""How long a pattern may work on one value."""

LONGEST_WAY, MOST_STEPS = 1_000, 20_000
"""Characters that a pattern may ask for in a row, and in all, its repetitions written out.

To prepare a pattern takes memory with the second, and with the first the third power of time, and nothing stops it.
"""

Pattern = regex.Pattern[str]
Match = regex.Match[str]

_QUOTED_GROUP = regex.compile(r"\(\?'(?<name>\w+)'")
_ENDS = {"z": r"\Z", "Z": r"(?=\n?\Z)"}


class BadPattern(ValueError):
    """A pattern that cannot be compiled."""


@lru_cache(maxsize=512)
def compiled(pattern: str) -> Pattern:
    """Compile a pattern as .NET would read it.

    Raises:
        BadPattern: says what is wrong, and where.
    """
    text, subtracts = _translated(pattern)
    try:
        _check_extent(text)
        return regex.compile(text, flags=regex.V1 if subtracts else regex.V0)
    except (regex.error, ValueError, OverflowError, RecursionError) as error:
        raise BadPattern(str(error) or type(error).__name__) from error


def _translated(pattern: str) -> tuple[str, bool]:
    """Rewrite what only .NET writes so; tells also whether a character class is subtracted from another."""
    parts: list[str] = []
    at, depth, subtracts = 0, 0, False
    while at < len(pattern):
        character, rest = pattern[at], pattern[at : at + 2]
        quoted = _QUOTED_GROUP.match(pattern, at) if depth == 0 and character == "(" else None
        if character == "\\":
            parts.append(_ENDS.get(rest[1:], rest) if depth == 0 else rest)
            at += 2
        elif quoted is not None:
            parts.append(f"(?<{quoted['name']}>")
            at = quoted.end()
        elif depth and rest == "-[":
            parts.append("--[")
            depth, subtracts, at = depth + 1, True, at + 2
        elif character == "[" and depth == 0:
            opening = regex.compile(r"\[\^?\]?").match(pattern, at)
            opened = opening.group() if opening else character
            parts.append(opened)
            depth, at = 1, at + len(opened)
        else:
            parts.append(character)
            depth -= character == "]" and depth > 0
            at += 1
    return "".join(parts), subtracts


_PIECE = regex.compile(
    r"(?P<open>\()|(?P<close>\))|(?P<bar>\|)|\{(?P<least>\d+)(?:,\d*)?\}|(?P<nothing>[*+?^$])"
    r"|\\.|\[\^?\]?(?:\\.|[^\]\\])*+\]|.",
    regex.DOTALL,
)


class _Branches:
    """What stands between two brackets.

    Attributes:
        way: characters that the present branch asks for. longest: the most of any branch before it.
        steps: characters of all branches.
        last: way and steps of the piece that a repetition would repeat.
    """

    def __init__(self) -> None:
        self.way = self.longest = self.steps = 0
        self.last = (0, 0)

    def add(self, way: int, steps: int) -> None:
        self.way, self.steps, self.last = self.way + way, self.steps + steps, (way, steps)

    def repeat(self, times: int) -> None:
        way, steps = self.last
        self.way, self.steps = self.way + way * (times - 1), self.steps + steps * (times - 1)

    def end(self) -> None:
        self.way, self.longest, self.last = 0, max(self.longest, self.way), (0, 0)


def _check_extent(pattern: str) -> None:
    """Make sure that a pattern can be prepared in bounded time and memory.

    Raises:
        BadPattern: it is too long, with its repetitions written out.
    """
    open_ones = [_Branches()]
    for piece in _PIECE.finditer(pattern):
        here = open_ones[-1]
        if piece["open"]:
            open_ones.append(_Branches())
        elif piece["close"] and len(open_ones) > 1:
            open_ones.pop()
            here.end()
            open_ones[-1].add(here.longest, here.steps)
        elif piece["bar"]:
            here.end()
        elif piece["least"]:
            here.repeat(max(1, int(piece["least"])))
        elif not piece["nothing"]:
            here.add(1, 1)
        if here.way > LONGEST_WAY or here.longest > LONGEST_WAY or open_ones[-1].steps > MOST_STEPS:
            raise BadPattern(
                f"it asks for more than {LONGEST_WAY:,} characters in a row, or {MOST_STEPS:,} in all, with its "
                "repetitions written out"
            )


def of_value(pattern: str) -> Pattern:
    """Compile a pattern that came from an entry.

    Raises:
        EntryError: it is none.
    """
    try:
        return compiled(pattern)
    except BadPattern as error:
        raise failed(f"Replace was given the pattern {excerpt(pattern)}, which is not valid: {error}.") from error


def replace(pattern: Pattern, value: str, make: Callable[[Match], str]) -> str:
    """Replace every match.

    Raises:
        EntryError: the pattern works too long on the value, or the result would be too long.
    """
    parts: list[str] = []
    end = size = 0
    for match in matches(pattern, value):
        made = make(match)
        parts += (value[end : match.start()], made)
        end = match.end()
        size += len(made)
        if size > LONGEST:
            raise too_long("The text")
    return "".join((*parts, value[end:]))


def matches(pattern: Pattern, value: str) -> Iterator[Match]:
    """Find one match after the other.

    Raises:
        EntryError: the pattern works too long on the value.
    """
    try:
        yield from pattern.finditer(value, timeout=SECONDS, concurrent=True)
    except TimeoutError as error:
        raise EntryError(
            f"The pattern '{pattern.pattern:.100}' worked longer than {SECONDS} s on one value.",
            code="PatternTooSlow",
            recommended_action="Simplify the pattern.",
        ) from error


_SUBSTITUTION = regex.compile(r"\$(?:(?<digits>\d+)|\{(?<name>\w+)\}|(?<mark>[$&`'+_]))")

Piece = str | Callable[[Match], str]


def template(pattern: Pattern, replacement: str) -> Callable[[Match], str]:
    """Read a replacement: `$1`, `${name}`, `$$`, `$&`, `` $` ``, `$'`, `$+`, `$_`. What names no group stays."""
    pieces: list[Piece] = []
    end = 0
    for found in _SUBSTITUTION.finditer(replacement):
        piece = _piece(pattern, found)
        if piece is None:
            continue
        pieces += (replacement[end : found.start()], piece)
        end = found.end()
    pieces.append(replacement[end:])
    if len(pieces) == 1:
        return lambda _match: replacement
    return lambda match: "".join(piece if isinstance(piece, str) else piece(match) for piece in pieces)


def _piece(pattern: Pattern, found: Match) -> Piece | None:
    digits, name, mark = found["digits"], found["name"], found["mark"]
    if mark is not None:
        return _MARKS[mark]
    group: int | str = int(digits or name) if (digits or name).isdecimal() else name
    known = group <= pattern.groups if isinstance(group, int) else group in pattern.groupindex
    return (lambda match: match[group] or "") if known else None


def _last_group(match: Match) -> str:
    groups = [group for group in match.groups() if group is not None]
    return groups[-1] if groups else ""


_MARKS: dict[str, Piece] = {
    "$": "$",
    "&": lambda match: match[0],
    "`": lambda match: match.string[: match.start()],
    "'": lambda match: match.string[match.end() :],
    "+": _last_group,
    "_": lambda match: match.string,
}
