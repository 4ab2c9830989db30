"""Text: cutting, joining on, searching, case, diacritics."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from dirbridge.contract.errors import EntryError
from dirbridge.engine.expressions import InvalidExpression, parse
from dirbridge.engine.expressions.text import quoted
from dirbridge.engine.functions.diacritics import fold
from dirbridge.engine.functions.values import LONGEST
from tests.engine.functions.running import Case, name, work_out

CASES = [
    Case("Append puts the suffix behind", 'Append([upn], ".test")', "ann@contoso.test", {"upn": "ann@contoso"}),
    Case("Append of an absent source gives the suffix", 'Append([a], ".x")', ".x"),
    Case("Append of an absent suffix gives the source", 'Append("ann", [b])', "ann"),
    Case("Append works on each value", 'Append([a], "!")', ("x!", "y!"), {"a": ("x", "y")}),
    Case("Append published: parts of two names", "Append(Mid([given], 1, 3), Mid([sn], 1, 5))", "JohDoe",
         {"given": "John", "sn": "Doe"}),
    Case("Prepend puts the prefix before", 'Prepend("u-", "ann")', "u-ann"),
    Case("Prepend of an absent source gives the prefix", 'Prepend("u-", [a])', "u-"),
    Case("Prepend works on each value", 'Prepend("smtp:", [a])', ("smtp:x", "smtp:y"), {"a": ("x", "y")}),
    Case("Left published", 'Left("John Doe", 3)', "Joh"),
    Case("Left of 0 is empty", 'Left("abc", 0)', ""),
    Case("Left of a negative number is the whole", 'Left("abc", -1)', "abc"),
    Case("Left of nothing is empty", "Left([a], 2)", ""),
    Case("Left beyond the end is the whole", 'Left("abc", 9)', "abc"),
    Case("Left takes the first of several values", "Left([a], 1)", "x", {"a": ("xa", "yb")}),
    Case("Left by a number of the entry", "Left([a], [n])", "ab", {"a": "abc", "n": "2"}),
    Case("Left counts characters beyond the basic plane as one", "Left([a], 2)", "a\U0001f600", {"a": "a\U0001f600b"}),
    Case("Mid counts from 1", 'Mid("abcdef", 3, 2)', "cd"),
    Case("Mid overlong is clipped", 'Mid("abcdef", 5, 9)', "ef"),
    Case("Mid of length 0 is empty", 'Mid("abc", 2, 0)', ""),
    Case("Mid of negative length is the input", 'Mid("abc", 2, -1)', "abc"),
    Case("Mid from 0 is the input", 'Mid("abc", 0, 2)', "abc"),
    Case("Mid from beyond the end is the input", 'Mid("abc", 4, 2)', "abc"),
    Case("Mid from the last character", 'Mid("abc", 3, 5)', "c"),
    Case("Mid of nothing is empty", "Mid([a], 1, 2)", ""),
    Case("Len counts characters", 'Len("abc")', "3"),
    Case("Len of nothing is 0", "Len([a])", "0"),
    Case("Trim strips both ends", 'Trim("\t a b \n")', "a b"),
    Case("Trim strips each value", "Trim([a])", ("x", "y"), {"a": (" x", "y ")}),
    Case("Trim leaves bytes", "Trim([a])", b" x ", {"a": b" x "}),
    Case("Trim of nothing is nothing", "Trim([a])", None),
    Case("StripSpaces removes every space", 'StripSpaces(" a b  c ")', "abc"),
    Case("StripSpaces leaves other white space", 'StripSpaces("a\tb\u00a0c d")', "a\tb\u00a0cd"),
    Case("StripSpaces of nothing is nothing", "StripSpaces([a])", None),
    Case("InStr published", 'InStr("The quick brown fox", "quick")', "5"),
    Case("InStr published: start and comparison", 'InStr("repEated", "e", 3, vbBinaryCompare)', "7"),
    Case("InStr not there", 'InStr("contoso", "x")', "0"),
    Case("InStr is case-sensitive by default", 'InStr("contoso", "TO")', "0"),
    Case("InStr takes no heed of case by vbTextCompare", 'InStr("contoso", "TO", , vbTextCompare)', "4"),
    Case("InStr start counts from 1", 'InStr("aXbX", "X", 3)', "4"),
    Case("InStr in nothing", 'InStr([a], "x")', "0"),
    Case("InStr of nothing is found at the start", 'InStr("abc", [b])', "1"),
    Case("InStr start beyond the end", 'InStr("abc", "a", 9)', "0"),
    Case("Word published", 'Word("The quick brown fox", 3, " ")', "brown"),
    Case("Word published: several delimiters", 'Word("This,string!has&many separators", 3, ",!&#")', "has"),
    Case("Word runs of delimiters are one", 'Word("a,,;b", 2, ",;")', "b"),
    Case("Word number below 1 is empty", 'Word("a b", 0, " ")', ""),
    Case("Word of nothing is empty", 'Word([a], 1, " ")', ""),
    Case("Word too few words is empty", 'Word("a b", 3, " ")', ""),
    Case("Word without delimiters is the whole", 'Word("a b", 1, "")', "a b"),
    Case("ToLower", 'ToLower("ABC", "en-US")', "abc"),
    Case("ToLower default is invariant", 'ToLower("IİI")', "iİi"),
    Case("ToLower Turkish", 'ToLower("IİZ", "tr-TR")', "ıiz"),
    Case("ToLower Azerbaijani", 'ToLower("Iİ", "az")', "ıi"),
    Case("ToLower Lithuanian keeps the dot under an accent", 'ToLower("I\u0300J\u0301\u00cc", "lt-LT")',
         "i\u0307\u0300j\u0307\u0301i\u0307\u0300"),
    Case("ToLower Lithuanian without an accent", 'ToLower("IJ", "lt")', "ij"),
    Case("ToLower works on each value", "ToLower([a])", ("x", "y"), {"a": ("X", "Y")}),
    Case("ToLower of nothing is nothing", "ToLower([a])", None),
    Case("ToLower sigma stays a sigma", 'ToLower("ΟΔΟΣ")', "οδοσ"),
    Case("ToUpper", 'ToUpper("äbc")', "ÄBC"),
    Case("ToUpper one character stays one", 'ToUpper("straße")', "STRAßE"),
    Case("ToUpper dotless i stays invariant", 'ToUpper("ıi")', "ıI"),
    Case("ToUpper Turkish", 'ToUpper("ıiz", "tr-TR")', "IİZ"),
    Case("ToUpper Lithuanian drops the dot", 'ToUpper("i\u0307\u0300", "lt")', "I\u0300"),
    Case("PCase published: default separators", 'PCase("PABLO GONSALVES (SECOND)")', "Pablo Gonsalves (Second)"),
    Case("PCase published: separators given", """PCase("PINTO-DE'SILVA", " '-")""", "Pinto-De'Silva"),
    Case("PCase published: nested Join", 'PCase(Join(" ", [a], [b]))', "Gregory James", {"a": "GREGORY", "b": "JAMES"}),
    Case("PCase hyphen ends a word", 'PCase("ann-marie")', "Ann-Marie"),
    Case("PCase apostrophe does not by itself", """PCase("o'brien")""", "O'brien"),
    Case("PCase underscore and symbols end a word", 'PCase("a_b+c")', "A_B+C"),
    Case("PCase line break ends a word", 'PCase("a\nb")', "A\nB"),
    Case("PCase only the separators given", 'PCase("ann-marie lee", " ")', "Ann-marie Lee"),
    Case("PCase digits begin no word", 'PCase("1ST street")', "1St Street"),
    Case("PCase of nothing is nothing", "PCase([a])", None),
    Case("NormalizeDiacritics published", 'NormalizeDiacritics("Zo\u00eb")', "Zoe"),
    Case("NormalizeDiacritics keeps case", 'NormalizeDiacritics("ÅÉ åé")', "AE ae"),
    Case("NormalizeDiacritics of o with diaeresis is o", 'NormalizeDiacritics("Jörg Müller")', "Jorg Muller"),
    Case("NormalizeDiacritics ligatures", 'NormalizeDiacritics("æÆœŒ")', "aeAEoeOE"),
    Case("NormalizeDiacritics o with stroke", 'NormalizeDiacritics("Øø")', "OEoe"),
    Case("NormalizeDiacritics sharp s", 'NormalizeDiacritics("Strauß")', "Strauss"),
    Case("NormalizeDiacritics i without and with dot", 'NormalizeDiacritics("ıİ")', "iI"),
    Case("NormalizeDiacritics l with stroke", 'NormalizeDiacritics("Łódź")', "Lodz"),
    Case("NormalizeDiacritics Romanian commas", 'NormalizeDiacritics("șțȘȚ")', "stST"),
    Case("NormalizeDiacritics Hungarian", 'NormalizeDiacritics("őű")', "ou"),
    Case("NormalizeDiacritics two marks", 'NormalizeDiacritics("ǟḗǖ")', "aeu"),
    Case("NormalizeDiacritics marks that stand apart", 'NormalizeDiacritics("e\u0301n\u0303")', "en"),
    Case("NormalizeDiacritics others stay", 'NormalizeDiacritics("đþŵ日")', "đþŵ日"),
    Case("NormalizeDiacritics works on each value", "NormalizeDiacritics([a])", ("a", "b"), {"a": ("á", "b")}),
]  # fmt: skip


@pytest.mark.parametrize("case", CASES, ids=name)
def test_texts(case: Case) -> None:
    """What the rule says comes out."""
    assert work_out(case.expression, case.attributes) == case.result


@pytest.mark.parametrize(
    ("expression", "said"),
    [
        ('InStr([a], "x", 0)', "counts from 1"),
        ('InStr([a], "x", 1, [a])', "vbTextCompare"),
        ("Left([a], [a])", "whole number"),
        ("ToLower([a], [a])", "culture"),
        ("Mid([b], 1, 1)", "3 bytes"),
    ],
)
def test_values_that_do_not_do(expression: str, said: str) -> None:
    """The entry fails, and the message says why."""
    with pytest.raises(EntryError, match=said) as caught:
        work_out(expression, {"a": "abc?", "b": b"\xff\x00\x01"})
    assert caught.value.code == "ExpressionFailed"


@pytest.mark.parametrize(
    ("expression", "said"),
    [
        ('InStr([a], "x", 1, vbOther)', "vbTextCompare, vbBinaryCompare"),
        ('InStr([a], "x", 1, "vbOther")', "cannot compare"),
        ('ToUpper([a], "tr_TR")', "no culture"),
    ],
)
def test_constants_that_do_not_do(expression: str, said: str) -> None:
    """They are found before any entry is seen."""
    with pytest.raises(InvalidExpression, match=said):
        parse(expression)


def test_texts_do_not_grow_without_end() -> None:
    """A suffix longer than is allowed, and many values together."""
    with pytest.raises(EntryError, match="1,000,000 characters"):
        work_out("Append([a], [b])", {"a": "x", "b": "y" * LONGEST})
    with pytest.raises(EntryError, match="1,000,000 characters"):
        work_out("Append([a], [b])", {"a": ("x",) * 1001, "b": "y" * 1000})


TEXT = st.text(st.characters(blacklist_categories=["Cs"], blacklist_characters="\x00"), max_size=40)


@given(TEXT)
def test_trim_laws(value: str) -> None:
    """Once is enough, nothing but the ends goes, and other functions of case do not undo it."""
    once = work_out(f"Trim({quoted(value)})")
    assert isinstance(once, str)
    assert work_out(f"Trim({quoted(once)})") == once
    assert once in value
    assert once == once.strip()


@given(TEXT, st.integers(-3, 50))
def test_left_and_mid_laws(value: str, count: int) -> None:
    """Left and the rest of Mid make the whole; Left is a beginning of the right length."""
    left = work_out(f"Left({quoted(value)}, {count})")
    assert isinstance(left, str)
    assert value.startswith(left)
    assert len(left) == (len(value) if count < 0 else min(count, len(value)))
    if 0 <= count < len(value):
        assert f"{left}{work_out(f'Mid({quoted(value)}, {count + 1}, 1000)')}" == value
        assert work_out(f"Mid({quoted(value)}, 1, {count})") == left


@given(TEXT)
def test_case_laws(value: str) -> None:
    """Case changes no length, and doing it twice changes nothing more."""
    for function in ("ToLower", "ToUpper", "PCase"):
        once = work_out(f"{function}({quoted(value)})")
        assert isinstance(once, str)
        assert len(once) == len(value)
        assert work_out(f"{function}({quoted(once)})") == once


@given(TEXT, TEXT)
def test_in_str_law(value: str, wanted: str) -> None:
    """Where it is found, it stands."""
    found = int(str(work_out(f"InStr({quoted(value)}, {quoted(wanted)})")))
    assert (found > 0) == (wanted in value and bool(value))
    assert not found or value[found - 1 :].startswith(wanted)


@given(TEXT)
def test_fold_laws(value: str) -> None:
    """Folding twice changes nothing more, and ASCII stays."""
    assert fold(fold(value)) == fold(value)
    assert fold(value.encode("ascii", "ignore").decode()) == value.encode("ascii", "ignore").decode()
