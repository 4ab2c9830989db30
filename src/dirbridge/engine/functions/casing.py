"""Upper and lower case.

One character becomes one character, as in the invariant culture of .NET: `ß` stays in upper case, and `İ` and `ı` stay
as they are. Turkish and Azerbaijani pair I with ı and İ with i; Lithuanian keeps the dot of i and j under accents.

Source: Unicode SpecialCasing.txt; RFC 4646 for names of cultures; .NET TextInfo.ToTitleCase.
"""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Callable, Mapping

from dirbridge.engine.functions.signature import Complaint, Function, Given, Parameter, constant, of_text
from dirbridge.engine.functions.values import Result, each, excerpt, failed, text

_CULTURE = re.compile(r"[A-Za-z]{2,8}(?:-[A-Za-z0-9]{1,8})*")
_ABOVE = 230
"""Canonical combining class of marks above a letter."""

_DOT = "\u0307"
_SOFT_DOTTED = frozenset("ijį")
_LITHUANIAN = {"Ì": f"i{_DOT}\u0300", "Í": f"i{_DOT}\u0301", "Ĩ": f"i{_DOT}\u0303"}


def lowered(value: str) -> str:
    """Give text in lower case, character by character."""
    return value.lower() if value.isascii() else "".join(map(_lower, value))


def raised(value: str) -> str:
    """Give text in upper case, character by character."""
    return value.upper() if value.isascii() else "".join(map(_upper, value))


def _lower(character: str) -> str:
    changed = character.lower()
    return changed if len(changed) == 1 else character


def _upper(character: str) -> str:
    changed = character.upper()
    return changed if len(changed) == 1 and character != "ı" else character


def _turkish_lower(value: str) -> str:
    return lowered(value.replace("I", "ı").replace("İ", "i"))


def _turkish_upper(value: str) -> str:
    return raised(value.replace("i", "İ")).replace("ı", "I")


def _accented(value: str, at: int) -> bool:
    """Tell whether a letter has a mark above it: one follows with no other letter between."""
    for mark in value[at + 1 :]:
        place = unicodedata.combining(mark)
        if place in {0, _ABOVE}:
            return place == _ABOVE
    return False


def _lithuanian_lower(value: str) -> str:
    parts = []
    for at, character in enumerate(value):
        kept = _LITHUANIAN.get(character)
        if kept is None:
            kept = _lower(character)
            if character in "IJĮ" and _accented(value, at):
                kept += _DOT
        parts.append(kept)
    return "".join(parts)


def _lithuanian_upper(value: str) -> str:
    kept = []
    dotted = False
    for character in value:
        if character == _DOT and dotted:
            dotted = False
            continue
        place = unicodedata.combining(character)
        dotted = character in _SOFT_DOTTED if place == 0 else dotted and place != _ABOVE
        kept.append(_upper(character))
    return "".join(kept)


_LOWER: Mapping[str, Callable[[str], str]] = {
    "tr": _turkish_lower,
    "az": _turkish_lower,
    "lt": _lithuanian_lower,
}
_UPPER: Mapping[str, Callable[[str], str]] = {
    "tr": _turkish_upper,
    "az": _turkish_upper,
    "lt": _lithuanian_upper,
}


def _language(culture: Result, where: str) -> str:
    name = text(culture, where) or ""
    if name and not _CULTURE.fullmatch(name):
        raise failed(f"{where} takes the name of a culture such as tr-TR and was given {excerpt(name)}.")
    return name.partition("-")[0].lower()


def _to_lower(source: Result, culture: Result) -> Result:
    return each(source, _LOWER.get(_language(culture, "ToLower"), lowered))


def _to_upper(source: Result, culture: Result) -> Result:
    return each(source, _UPPER.get(_language(culture, "ToUpper"), raised))


def _check_culture(given: Given) -> Complaint | None:
    name = constant(given, "culture")
    if name and not _CULTURE.fullmatch(name):
        return Complaint(f"'{name}' is no culture.", "Name it as RFC 4646 does, such as tr-TR.", "culture")
    return None


def _separates(character: str) -> bool:
    """Tell whether a word ends here: at space, control and format characters, punctuation and symbols.

    The apostrophe is the one exception, as in .NET.
    """
    kind = unicodedata.category(character)
    return character != "'" and (kind[0] in "ZPS" or kind in {"Cc", "Cf"})


def _p_case(source: Result, word_separators: Result) -> Result:
    """Raise the first letter of each word, lower the rest. Characters before a word's first letter begin no word."""
    marks = text(word_separators, "PCase")
    ends: Callable[[str], bool] = _separates if not marks else marks.__contains__

    def change(value: str) -> str:
        parts = []
        begun = False
        for character in lowered(value):
            if ends(character):
                begun = False
            elif not begun and character.isalpha():
                begun = True
                first = character.title()
                character = first if len(first) == 1 else character
            parts.append(character)
        return "".join(parts)

    return each(source, change)


_SOURCE = of_text()
_CULTURE_PARAMETER = Parameter("culture", required=False)

FUNCTIONS = (
    Function(
        "ToLower",
        (_SOURCE, _CULTURE_PARAMETER),
        "In lower case, each of several values; by the rules of a culture such as `tr-TR` where one is named.",
        'ToLower("ABC", "en-US")',
        "abc",
        _to_lower,
        check=_check_culture,
        strict=True,
    ),
    Function(
        "ToUpper",
        (_SOURCE, _CULTURE_PARAMETER),
        "In upper case, each of several values; by the rules of a culture such as `tr-TR` where one is named.",
        'ToUpper("abc")',
        "ABC",
        _to_upper,
        check=_check_culture,
        strict=True,
    ),
    Function(
        "PCase",
        (_SOURCE, Parameter("wordSeparators", required=False)),
        "The first letter of each word in upper case, the rest in lower. Words end at spaces, punctuation and symbols, "
        "but not at an apostrophe; or at exactly the characters given.",
        'PCase("ann-marie lee")',
        "Ann-Marie Lee",
        _p_case,
        strict=True,
    ),
)
