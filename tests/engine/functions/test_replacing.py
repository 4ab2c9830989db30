"""Replace in its five ways, and the patterns of administrators."""

from __future__ import annotations

import pytest

from dirbridge.contract.errors import EntryError
from dirbridge.engine.expressions import InvalidExpression, parse
from dirbridge.engine.functions import patterns
from dirbridge.engine.functions.values import LONGEST
from tests.engine.functions.running import Case, Given, name, work_out

PHONE = r'"\\+(?<isdCode>\\d* )(?<phoneNumber>\\d{10})"'

CASES = [
    # Text by text
    Case("text: the whole source", 'Replace([t],"Product Developer", , , "Software Engineer", , )', "Software Engineer",
         {"t": "Product Developer"}),
    Case("text: a known domain goes", 'Replace([mail], "@contoso.com", , ,"", ,)', "john.doe",
         {"mail": "john.doe@contoso.com"}),
    Case("text: all occurrences", 'Replace("a-b-c", "-", , , "_", , )', "a_b_c"),
    Case("text: case-sensitive", 'Replace("aA", "a", , , "x", , )', "xA"),
    Case("text: absent source is nothing", 'Replace([a], "x", , , "y", , )', None),
    Case("text: absent old value changes nothing", 'Replace("ab", [b], , , "y", , )', "ab"),
    Case("text: absent replacement is empty", 'Replace("ab", "a", , , [b], , )', "b"),
    Case("text: each of several values", 'Replace([p], "smtp:", , , "", , )', ("x", "y"), {"p": ("smtp:x", "smtp:y")}),
    Case("text: dollar signs are plain", 'Replace("ab", "a", , , "$0", , )', "$0b"),
    Case("text: from an attribute", 'Replace([a], [old], , , [new], , )', "xbx", {"a": "aba", "old": "a", "new": "x"}),
    # The source into a template
    Case("template: published", 'Replace([id], "<username>", , , , , "<username>@contoso.com")', "jsmith@contoso.com",
         {"id": "jsmith"}),
    Case("template: every place", 'Replace("x", "%", , , , , "%-%")', "x-x"),
    Case("template: absent source is nothing", 'Replace([id], "%", , , , , "%@x")', None),
    # By a pattern
    Case("pattern: published, by groups", f'Replace([tel], , {PHONE}, , "${{phoneNumber}}", , )', "9998887777",
         {"tel": "+91 9998887777"}),
    Case("pattern: collapse to what the class leaves", r'Replace([m], , "[()\\s-]+", , "", , )', "+19998887777",
         {"m": "+1 (999) 888-7777"}),
    Case("pattern: published, remove letters", 'Replace([nick], , "[a-zA-Z_]*", , "", , )', "72",
         {"nick": "john_doe72"}),
    Case("pattern: numbered groups", r'Replace("a1b2", , "([a-z])(\\d)", , "$2$1", , )', "1a2b"),
    Case("pattern: the whole match", r'Replace("a1", , "\\d", , "<$&>", , )', "a<1>"),
    Case("pattern: before and after", 'Replace("abc", , "b", , "[$`|$\']", , )', "a[a|c]c"),
    Case("pattern: the whole input and the last group", 'Replace("ab", , "(a)", , "$_$+", , )', "abab"),
    Case("pattern: a dollar sign", r'Replace("5", , "\\d", , "$$$&", , )', "$5"),
    Case("pattern: an unknown group stays as written", 'Replace("a", , "a", , "${x}$7", , )', "${x}$7"),
    Case("pattern: a group that took no part is empty", 'Replace("b", , "(?<x>a)?b", , "<${x}>", , )', "<>"),
    Case("pattern: a group in quotes", r"""Replace("a1", , "(?'d'\\d)", , "<${d}>", , )""", "a<1>"),
    Case("pattern: case can be ignored within", 'Replace("ABC", , "(?i)b", , "-", , )', "A-C"),
    Case("pattern: classes can be subtracted", 'Replace("abcde", , "[a-e-[bd]]", , "-", , )', "-b-d-"),
    Case("pattern: end of the input", r'Replace("ab", , "b\\z", , "", , )', "a"),
    Case("pattern: end of the input or before its line break", r'Replace([a], , "b\\Z", , "", , )', "a\n",
         {"a": "ab\n"}),
    Case("pattern: a bracket in a class", 'Replace("a]b", , "[]]", , "-", , )', "a-b"),
    Case("pattern: Unicode classes", r'Replace("aÄ1", , "\\p{Lu}", , "-", , )', "a-1"),
    Case("pattern: each of several values", r'Replace([a], , "\\d", , "", , )', ("x", "y"), {"a": ("x1", "y2")}),
    Case("pattern: absent source is nothing", r'Replace([a], , "\\d", , "", , )', None),
    Case("pattern: from an attribute", 'Replace("a1", , [p], , "-", , )', "a-", {"p": r"\d"}),
    Case("pattern: as .NET replaces empty matches", 'Replace("ab", , "[a-z]*", , "x", , )', "xx"),
    # One group of each match
    Case("group: published, street number", r'Replace([a], ,"(?<streetNumber>^\\d*)","streetNumber", "888", , )',
         "888 Tremont Street", {"a": "545 Tremont Street"}),
    Case("group: published, suffix goes", 'Replace([u], , "(?<Suffix>@(.)*)", "Suffix", "", , )', "jsmith",
         {"u": "jsmith@contoso.com"}),
    Case("group: only that part of the match", r'Replace("id-7;id-8", , "id-(?<n>\\d)", "n", "0", , )', "id-0;id-0"),
    Case("group: one that took no part leaves the match", 'Replace("b", , "(?<x>a)?b", "x", "-", , )', "b"),
    # From another attribute
    Case("attribute: published, the source is empty", f'Replace([t], , {PHONE}, "phoneNumber" , , [mobile], )',
         "8887779999", {"mobile": "+91 8887779999"}),
    Case("attribute: the source has a value", f'Replace([t], , {PHONE}, "phoneNumber" , , [mobile], )', "+1 2",
         {"t": "+1 2", "mobile": "+91 8887779999"}),
    Case("attribute: no match gives nothing", f'Replace([t], , {PHONE}, "phoneNumber" , , [mobile], )', None,
         {"mobile": "none"}),
    Case("attribute: neither has a value", f'Replace([t], , {PHONE}, "phoneNumber" , , [mobile], )', None),
]  # fmt: skip


@pytest.mark.parametrize("case", CASES, ids=name)
def test_replace(case: Case) -> None:
    """What the rule says comes out."""
    assert work_out(case.expression, case.attributes) == case.result


@pytest.mark.parametrize(
    ("expression", "said"),
    [
        ('Replace([a], "x")', "says no way of replacing"),
        ('Replace([a], "x", "y", , "z", , )', "says no way of replacing"),
        ('Replace([a], , "x", "g", , , "t")', "says no way of replacing"),
        ('Replace([a], "", , , "y", , )', "an empty text"),
        ('Replace([a], , "(", , "y", , )', r"pattern '\(' is not valid"),
        ('Replace([a], , "(?<a-b>x)", , "y", , )', "is not valid"),
        ('Replace([a], , "(?<n>x)", "m", "y", , )', "no group 'm'"),
    ],
)
def test_calls_that_cannot_work(expression: str, said: str) -> None:
    """They are found before any entry is seen."""
    with pytest.raises(InvalidExpression, match=said) as caught:
        parse(expression)
    assert caught.value.recommended_action


@pytest.mark.parametrize(
    ("expression", "attributes", "said"),
    [
        ('Replace("a", , [p], , "", , )', {"p": "("}, "not valid"),
        ('Replace("a", , "a", [g], "", , )', {"g": "x"}, "group 'x'"),
        ('Replace([b], , "a", , "", , )', {"b": ("x", b"\1")}, None),
        ('Replace([b], "x", , , "", , )', {"b": b"\1"}, None),
    ],
)
def test_values_that_do_not_do(expression: str, attributes: dict[str, Given], said: str | None) -> None:
    """A pattern or group of the entry fails it; bytes pass as they are."""
    if said is None:
        found = work_out(expression, attributes)
        assert b"\1" in (found if isinstance(found, tuple) else (found,))
        return
    with pytest.raises(EntryError, match=said):
        work_out(expression, attributes)


@pytest.mark.parametrize("pattern", [r"(x+x+)+y", r"^(x|xx|xxx)+y$", r"(?<n>(x+)+)z"])
def test_patterns_end_in_bounded_time(pattern: str) -> None:
    """One that would search for years is stopped, and named."""
    with pytest.raises(EntryError, match=r"worked longer than 0\.1 s") as caught:
        list(patterns.matches(patterns.compiled(pattern), "x" * 5000))
    assert caught.value.code == "PatternTooSlow"


@pytest.mark.parametrize(
    "pattern",
    [
        "(a{30000}){30000}",
        "a{1001}",
        "((a{50}){20}){2,}b?",
        "(x|" + "b" * 1001 + ")",
        "|".join(["[^]a]{999}"] * 21),
        "é" * 3000,
        "(" * 500 + ")" * 500,
        "a{" + "9" * 5000 + "}",
    ],
)
def test_patterns_are_prepared_in_bounded_time(pattern: str) -> None:
    """One that would take minutes, or all memory, before it looks at anything is refused."""
    with pytest.raises(patterns.BadPattern):
        patterns.compiled(pattern)


@pytest.mark.parametrize(
    ("pattern", "value"),
    [
        ("^a{1000}$", "a" * 1000),
        ("(a{0,1000}){0,1000}", "a"),
        (r"\{5000}", "{5000}"),
        ("[{5000}]", "5"),
        ("|".join(f"name{number}" for number in range(1500)), "name7"),
        (r"[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}", "00112233-4455-6677-8899-aabbccddeeff"),
    ],
)
def test_patterns_of_any_use_are_prepared(pattern: str, value: str) -> None:
    """What asks for little is let through, however it is written."""
    assert any(patterns.matches(patterns.compiled(pattern), value))


def test_results_end_in_bounded_length() -> None:
    """Replacements multiply, by text and by pattern, and calls nest."""
    value = {"a": "x" * 2000}
    for call in ('Replace([a], "x", , , [a], , )', 'Replace([a], , "x", , "$_", , )', 'Replace([a], "x", , , , , [a])'):
        with pytest.raises(EntryError, match=f"{LONGEST:,} characters"):
            work_out(call, value)
