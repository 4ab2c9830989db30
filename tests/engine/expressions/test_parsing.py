"""From text to tree: what is read, and what is said of text that cannot be."""

from __future__ import annotations

import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from dirbridge.contract.schema import Parameter, Source
from dirbridge.engine.expressions import InvalidExpression, compile_source, parse
from dirbridge.engine.expressions.faults import DEEPEST, MOST_CHARACTERS
from dirbridge.engine.functions import FUNCTIONS


def attribute(name: str) -> Source:
    return Source("Attribute", name, f"[{name}]")


def constant(value: str, expression: str | None = None) -> Source:
    return Source("Constant", value, expression or f'"{value}"')


def keys(expression: str) -> list[str]:
    return [parameter.key for parameter in parse(expression).parameters]


@pytest.mark.parametrize(
    ("expression", "tree"),
    [
        ("[mail]", attribute("mail")),
        ("[mS-DS-ConsistencyGuid]", attribute("mS-DS-ConsistencyGuid")),
        ("[urn:ietf:params:scim:2.0:User:x]", attribute("urn:ietf:params:scim:2.0:User:x")),
        ('[emails[type eq "work"].value]', attribute('emails[type eq "work"].value')),
        ('"text"', constant("text")),
        ('""', constant("")),
        (r'"a \"quoted\" \\ word"', constant('a "quoted" \\ word', r'"a \"quoted\" \\ word"')),
        ('"two\nlines"', constant("two\nlines")),
        ("3", constant("3")),
        ("-17", constant("-17")),
        ("1.5", constant("1.5")),
        ("&HF7", constant("&HF7")),
        ("%DomainFQDN%", Source("Constant", "%DomainFQDN%")),
        (" \t\n [mail] ", attribute("mail")),
        ("[mail]\u00a0", attribute("mail")),
    ],
)
def test_leaves(expression: str, tree: Source) -> None:
    """Attributes, texts with their escapes, numbers, macros; white space around does not matter."""
    assert parse(expression) == tree


@pytest.mark.parametrize(
    ("expression", "expected"),
    [
        # Section 3.2: keys by function, absent ones left out
        ("Now()", []),
        ("Now( )", []),
        ("Trim([a])", ["source"]),
        ('Append([a], "x")', ["source", "suffix"]),
        ('Prepend("x", [a])', ["prefix", "source"]),
        ("Mid([a], 1, 2)", ["source", "start", "length"]),
        ("Left([a], 2)", ["source", "length"]),
        ("Item([a], 1)", ["source", "index"]),
        ("BitAnd([a], 2)", ["left", "right"]),
        ('Split([a], ",")', ["source", "delimiter"]),
        ('Join("-", [a], [b], [c])', ["separator", "source", "source", "source"]),
        ('Error("x")', ["message"]),
        ("IIF([a], [b], [c])", ["one", "four", "five"]),
        ("IIF([a], [b])", ["one", "four"]),
        ("IIF([a], [b], )", ["one", "four"]),
        ("IIF([a], , [c])", ["one", "five"]),
        ('IIF([a]="x", [b], [c])', ["one", "two", "three", "four", "five"]),
        ("CBool([a])", ["source"]),
        ("CBool([a]<>[b])", ["one", "two", "three"]),
        ('Switch([a], "d", "k", "v")', ["source", "defaultValue", "switchValue", "switchValue"]),
        ('Switch([a], , "k", "v")', ["source", "switchValue", "switchValue"]),
        ('Replace([a], "-", , , "_", , )', ["source", "Find", "Replacement"]),
        ('Replace([a], , "x", "", "y")', None),
        ('FormatDateTime([a], "yy", "yyyy")', ["source", "inputFormat", "outputFormat"]),
        ('FormatDateTime([a], , "yyyy")', ["source", "outputFormat"]),
        ('FormatDateTime([a], , "yy", "yyyy")', ["source", "inputFormat", "outputFormat"]),
        ('FormatDateTime([a], "None", "yy", "yyyy")', ["source", "dateTimeStyles", "inputFormat", "outputFormat"]),
        ("ToLower([a], )", ["source"]),
        ("ToLower([a], , )", ["source"]),
        ('InStr([a], "x", , vbTextCompare)', ["value1", "value2", "compareType"]),
    ],
)
def test_keys_of_parameters(expression: str, expected: list[str] | None) -> None:
    """Arguments stand under the names that the stored tree gives them."""
    if expected is None:
        with pytest.raises(InvalidExpression):
            parse(expression)
    else:
        assert keys(expression) == expected


def test_tree_of_a_condition() -> None:
    """The operator is a constant of its own."""
    tree = parse('IIF(BitAnd([uac], 2) = "0", "True", "False")')
    assert tree.parameters[1] == Parameter("two", constant("="))
    assert tree.parameters[0].value.name == "BitAnd"
    assert tree.expression == 'IIF(BitAnd([uac], 2)="0", "True", "False")'


def test_bare_words_are_constants() -> None:
    """Where a parameter has words of its own."""
    assert parse("ConvertFromBase64([a], UTF8)").parameters[1].value == constant("UTF8")


VALUE = 'a function, a macro such as %DomainFQDN%, a number, a text such as "x" or an attribute such as [mail]'


@pytest.mark.parametrize(
    ("expression", "line", "column", "met", "expected"),
    [
        ("", 1, 1, "the end", VALUE),
        ("  ", 1, 3, "the end", VALUE),
        ("Trim(", 1, 6, "the end", f"')', ',', {VALUE}"),
        ("Trim([a]", 1, 9, "the end", "')', ',' or a comparison"),
        ("Trim([a]))", 1, 10, "')'", "the end"),
        ("Trim([a]) [b]", 1, 11, "'[b]'", "the end"),
        ('Join("a" "b")', 1, 10, "'\"b\"'", "')', ',' or a comparison"),
        ('[a]="b"', 1, 4, "'='", "the end"),
        ('"abc', 1, 1, "a text that is never closed", VALUE),
        ("[abc", 1, 1, "a name that is never closed", VALUE),
        ("Trim(\n  [a],\n  ;)", 3, 3, "';'", f"')', ',', {VALUE}"),
        ("Trim(“a”)", 1, 6, "'“'", f"')', ',', {VALUE}"),
        ("Left([a], 2x)", 1, 12, "'x'", "')', ',' or a comparison"),
        ("IIF([a]==1, [b])", 1, 9, "'='", VALUE),
    ],
)
def test_syntax_errors_have_their_place(expression: str, line: int, column: int, met: str, expected: str) -> None:
    """Line and column, what stands there and what could."""
    with pytest.raises(InvalidExpression) as caught:
        parse(expression)
    error = caught.value
    assert (error.line, error.column, error.met, error.expected) == (line, column, met, expected)
    lines = expression[: error.offset].split("\n")
    assert (len(lines), len(lines[-1]) + 1) == (line, column)
    assert error.details == {
        "line": str(line), "column": str(column), "offset": str(error.offset), "met": met, "expected": expected,
    }  # fmt: skip
    assert error.reason.startswith(f"The expression is wrong at line {line}, column {column}: found {met}, expected")


@pytest.mark.parametrize(
    ("expression", "column", "said"),
    [
        ("trim([a])", 1, "'trim' is no function. Did you mean Trim? Names are case-sensitive."),
        ("Trim(NormaliseDiacritics([a]))", 6, "Did you mean NormalizeDiacritics?"),
        ("Frobnicate([a])", 1, "docs/expressions.md lists them all."),
        ("Left([a])", 1, "Left lacks its parameter 'length'."),
        ("Trim(Left(, 2))", 6, "Left lacks its parameter 'source'."),
        ('Left([a], "x")', 11, "'length' of Left is a whole number, and 'x' is none."),
        ("Left([a], 1.5)", 11, "'1.5' is none."),
        ('ToLower([a], , "b")', 16, "ToLower takes 2 arguments and has 3."),
        ("Now([a])", 5, "Now takes 0 arguments and has 1."),
        ('Trim([a]="b")', 6, "a comparison stands here."),
        ('IIF([a], [b]="c", [d])', 10, "Compare only in the first place of IIF or CBool"),
        ('IIF([a]="b" AND [c]="d", "x", "y")', 13, "Nest one IIF in another"),
        ("IIF([a] OR [b], [c], [d])", 9, "Nest one IIF in another"),
        ("IIF([a])", 1, "IIF has no value to give."),
        ('CBool([a], "b")', 12, "CBool takes 1 arguments and has 2."),
        ('Switch([a], "d", "k")', 18, "1 keys and values, and they come in pairs"),
        ('Switch([a], "d")', 1, "lacks its parameter 'switchValue'"),
        ('Switch([a], "d", "k", )', 1, "an empty place among its keys and values"),
        (r'Trim("\d")', 7, r"'\d' means nothing within quotes."),
        ('"a" & [b]', 5, "Texts are put together by Join or Append."),
        ("'a'", 1, "straight double quotes"),
        ("IIF([a]!=1, [b])", 8, "Unequal is written <>."),
        ("foo", 1, 'Write "foo" for the text, [foo] for the attribute, foo(…) for the function.'),
        ("Trim(mail)", 6, "[mail] for the attribute"),
        ("IIF(a=1, [b])", 5, "'a' is neither a text"),
        ("ConvertFromBase64([a], UTF9)", 24, "Use one of Unicode, ASCII, UTF8."),
        ("Trim(True)", 6, "'True' is neither a text"),
        ('Trim("a\x00b")', 6, "NUL"),
        ("SelectUniqueValue([a])", 1, "two rules or more"),
    ],
)
def test_faults_have_their_place_and_remedy(expression: str, column: int, said: str) -> None:
    """What is no matter of syntax points to the argument that it is about, else to the call."""
    with pytest.raises(InvalidExpression) as caught:
        parse(expression)
    error = caught.value
    assert said in str(error)
    assert (error.line, error.column, error.code) == (1, column, "InvalidExpression")
    assert error.recommended_action


def test_known_attributes_and_macros() -> None:
    """Unknown ones are found where the caller says which there are, and alike ones are named."""
    known = {"mail", "cn"}
    assert parse("Trim([mail])", attributes=known, macros=["DomainFQDN"]) == parse("Trim([mail])")
    with pytest.raises(InvalidExpression, match=r"no attribute \[Mail\]\. Did you mean mail") as caught:
        parse('Join("[x]", [cn], [Mail])', attributes=known)
    assert caught.value.column == 19
    with pytest.raises(InvalidExpression, match=r"no macro %DomainFqdn%\. Did you mean DomainFQDN") as caught:
        parse('Join("%x%", %DomainFqdn%)', macros=["DomainFQDN"])
    assert caught.value.column == 13
    assert parse("[anything]").name == "anything"


def test_length_is_limited() -> None:
    """To 10,000 characters, and no more."""
    longest = f'"{"x" * (MOST_CHARACTERS - 2)}"'
    assert parse(longest).name == "x" * (MOST_CHARACTERS - 2)
    with pytest.raises(InvalidExpression, match="10,001 characters"):
        parse(longest + " ")


def nested(depth: int, inner: str = "[a]") -> str:
    return "Trim(" * depth + inner + ")" * depth


def test_depth_is_limited() -> None:
    """To 100 calls within one another, without a RecursionError on the way, and the deepest can be worked out."""
    tree = parse(nested(DEEPEST))
    assert compile_source(tree, {}, "here")({"a": (" x ",)}) == "x"
    with pytest.raises(InvalidExpression, match="more than 100 calls deep") as caught:
        parse(nested(DEEPEST + 1))
    assert caught.value.column == 1


@pytest.mark.parametrize(
    "text",
    ["Trim(" * 1999, nested(1600, "1"), "IIF(" * 2400, "[" * 9999, '"' * 9999, "(" * 9999, ")" * 9999, "-" * 9999],
)
def test_deep_text_is_refused_plainly(text: str) -> None:
    """However it is nested, closed or not."""
    with pytest.raises(InvalidExpression):
        parse(text)


def test_chain_of_conditions_as_long_as_administrators_write() -> None:
    """Ninety countries by nested IIF."""
    chain = '"none"'
    for number in range(90):
        chain = f'IIF([c]="{number}", "{number * 2}", {chain})'
    compiled = compile_source(parse(chain), {}, "here")
    assert [compiled({"c": (value,)}) for value in ("0", "89", "x")] == ["0", "178", "none"]


_PIECES = st.sampled_from(
    [
        *FUNCTIONS,
        "(",
        ")",
        "[",
        "]",
        '"',
        ",",
        "=",
        "<>",
        " ",
        "\n",
        "%",
        "&H",
        "-",
        "1",
        "\\",
        "mail",
        "AND",
        "Ω",
        "\ud800",
    ]
)


@settings(max_examples=300)
@given(st.one_of(st.text(max_size=80), st.lists(_PIECES, max_size=30).map("".join)))
@example("[a]\x85")
@example('"\ud800"')
def test_nothing_but_its_own_error_comes_of_any_text(text: str) -> None:
    """Any text is read, or refused with a place that lies in it."""
    found = _read(text)
    if isinstance(found, InvalidExpression):
        assert 0 <= found.offset <= len(text)
        assert found.line >= 1 <= found.column
    else:
        assert found.type in {"Attribute", "Constant", "Function"}


def _read(text: str) -> Source | InvalidExpression:
    try:
        return parse(text)
    except InvalidExpression as error:
        return error
