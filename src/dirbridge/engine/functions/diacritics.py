"""Letters without their accents, for names of accounts and mail addresses."""

from __future__ import annotations

import unicodedata

from dirbridge.engine.functions.signature import Function, of_text
from dirbridge.engine.functions.values import Result, each

_BASES = frozenset("acdegilnorstuyzACDEGILNORSTUYZ")
"""Letters whose accents go. Those of others (ŵ, ķ) stay."""

_MARKS = frozenset(
    "\u0300\u0301\u0302\u0303\u0304\u0306\u0307\u0308\u030a\u030b\u030c"  # grave … caron
    "\u0323\u0324\u0326\u0327\u0328\u0331"  # below: dot, diaeresis, comma, cedilla, ogonek, line
)
_SPECIAL = {
    "æ": "ae", "Æ": "AE", "ø": "oe", "Ø": "OE", "œ": "oe", "Œ": "OE", "ß": "ss", "ı": "i", "ł": "l", "Ł": "L",
}  # fmt: skip


def fold(value: str) -> str:
    """Give text with accented letters as plain ones; what has no plain letter stays."""
    if value.isascii():
        return value
    return "".join(_folded(cluster) for cluster in _clusters(unicodedata.normalize("NFC", value)))


def _clusters(value: str) -> list[str]:
    """Part text into letters with the marks that follow each."""
    found: list[str] = []
    for character in value:
        if found and unicodedata.combining(character):
            found[-1] += character
        else:
            found.append(character)
    return found


def _folded(cluster: str) -> str:
    apart = unicodedata.normalize("NFD", cluster)
    base, marks = apart[0], apart[1:]
    if base in _SPECIAL and _MARKS.issuperset(marks):
        return _SPECIAL[base]
    return base if base in _BASES and _MARKS.issuperset(marks) else cluster


def _normalize_diacritics(source: Result) -> Result:
    return each(source, fold)


FUNCTIONS = (
    Function(
        "NormalizeDiacritics",
        (of_text(),),
        "With plain letters for accented ones, case kept, each of several values: ö becomes o, ø oe, ß ss. "
        "Letters such as đ and þ stay.",
        'NormalizeDiacritics("Zoë")',
        "Zoe",
        _normalize_diacritics,
        strict=True,
    ),
)
