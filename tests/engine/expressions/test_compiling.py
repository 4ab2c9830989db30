"""Compiling a mapping's source tree."""

from __future__ import annotations

import pytest
from hypothesis import given

from dirbridge.contract.entry import Values
from dirbridge.contract.errors import ConfigurationError, EntryError
from dirbridge.contract.schema import Parameter, Source
from dirbridge.engine.expressions import attributes_of, compile_source, constant_text, needs, parse, redacts
from dirbridge.engine.functions.values import Computed, Fixed, NoFlow
from tests.engine.expressions.trees import TREES
from tests.engine.functions.running import environment


def function(name: str, *parameters: tuple[str, Source]) -> Source:
    return Source("Function", name, parameters=tuple(Parameter(key, value) for key, value in parameters))


A, ONE = Source("Attribute", "a"), Source("Constant", "1", '"1"')


def test_attribute_gives_one_value_plain_and_several_together() -> None:
    """Absent ones give nothing."""
    compiled = compile_source(A, {}, "here")
    assert compiled({"a": ("x",)}) == "x"
    assert compiled({"a": ("x", "y")}) == ("x", "y")
    assert compiled({"b": ("x",)}) is None


@pytest.mark.parametrize(
    ("source", "text"),
    [
        (Source("Constant", "True", '"True"'), "True"),
        (Source("Constant", None, '"a \\"quoted\\" \\\\ word"'), 'a "quoted" \\ word'),
        (Source("Constant", "", '""'), ""),
        (Source("Constant", None, "2"), "2"),
    ],
)
def test_constant_text(source: Source, text: str) -> None:
    """The name, or the expression without its quotes and escapes."""
    assert constant_text(source) == text


def test_macros_are_replaced_where_they_stand_alone() -> None:
    """`%DomainFQDN%` is the job's domain; an unknown one stays."""
    macros = {"DomainFQDN": "contoso.test"}
    assert compile_source(Source("Constant", "%DomainFQDN%"), macros, "here")({}) == "contoso.test"
    assert compile_source(Source("Constant", "%Other%"), macros, "here")({}) == "%Other%"
    assert compile_source(Source("Constant", "100%"), macros, "here")({}) == "100%"


@pytest.mark.parametrize(
    ("source", "said"),
    [
        (Source("Attribute"), "no name"),
        (Source("Attribute", ""), "no name"),
        (function("Explode"), "'Explode' is no function"),
        (function("trim", ("source", A)), "'trim' is no function"),
        (function("Trim"), "lacks its parameter 'source'"),
        (function("Left", ("source", A)), "lacks its parameter 'length'"),
        (function("Trim", ("source", A), ("what", A)), "no parameter 'what'"),
        (function("Left", ("source", A), ("length", ONE), ("length", ONE)), "'length' 2 times"),
        (function("Trim", ("source", function("Explode"))), "'Explode'"),
    ],
)
def test_faults_are_found_when_compiling(source: Source, said: str) -> None:
    """Each names the place in the document."""
    with pytest.raises(ConfigurationError, match=said) as caught:
        compile_source(source, {}, "rules[0].mappings[3]")
    assert caught.value.reason.startswith("rules[0].mappings[3]")
    assert caught.value.code == "InvalidSchema"


def test_last_parameter_of_join_repeats() -> None:
    """All of its sources count, in order."""
    joined = function("Join", ("separator", ONE), ("source", A), ("source", ONE), ("source", A))
    assert compile_source(joined, {}, "here")({"a": ("x",)}) == "x111x"


def test_attributes_of_a_tree() -> None:
    """All attributes that are read, in any branch."""
    tree = function("IIF", ("one", A), ("four", Source("Attribute", "b")), ("five", function("Trim", ("source", A))))
    assert attributes_of(tree) == {"a", "b"}


@pytest.mark.parametrize(
    ("source", "name"),
    [
        (A, "a"),
        (function("Trim", ("source", A)), "a"),
        (function("Left", ("source", function("Trim", ("source", A))), ("length", ONE)), "a"),
        (function("IsPresent", ("source", A)), None),
        (ONE, None),
    ],
)
def test_needs(source: Source, name: str | None) -> None:
    """Rows that say nothing without their one attribute are known as such; others are always evaluated."""
    assert needs(source) == name


def compiled(text: str) -> Computed:
    return compile_source(parse(text), {"DomainFQDN": "contoso.test"}, "here")


@pytest.mark.parametrize(
    "text",
    [
        'IIF([c]="x", Left([a], IsPresent("")), "fine")',
        'IIF([c]="x", BitAnd([a], Trim("z")), "fine")',
        'IIF([c]="x", Item([a], Append("0", "x")), "fine")',
        'IIF([c]="x", FormatDateTime([a], , Left("Q", 1)), "fine")',
        'IIF([c]="x", Replace([a], , Trim("("), , "", , ), "fine")',
        'IIF([c]="x", Item(Split("a", ","), 2), "fine")',
    ],
)
def test_constants_that_fail_do_so_where_they_are_evaluated(text: str) -> None:
    """A branch that is not taken raises nothing, though all in it is constant."""
    assert compiled(text)({"a": ("1",)}) == "fine"
    with pytest.raises(EntryError):
        compiled(text)({"a": ("1",), "c": ("x",)})


def test_calls_of_constants_are_worked_out_once() -> None:
    """What is the same for every entry is made when compiling; what is not, is not."""
    assert isinstance(compiled('Join("-", ToUpper("a"), Trim(" b "))'), Fixed)
    assert not isinstance(compiled("Guid()"), Fixed)
    assert not isinstance(compiled('Append("a", [b])'), Fixed)


def test_moments_leave_as_text() -> None:
    """A date function's result is text outside, whatever passes it on."""
    for text in (
        'CDate("2024-05-01")',
        'IIF([x], [y], CDate("2024-05-01"))',
        'Redact(Coalesce([x], CDate("2024-05-01")))',
    ):
        assert compiled(text)({}) == "5/1/2024 12:00:00 AM"


def test_depth_of_a_tree_is_limited() -> None:
    """A tree of a document may be as deep as 100 calls, and deeper ones are refused without a RecursionError."""
    tree = A
    for _ in range(100):
        tree = function("Trim", ("source", tree))
    assert compile_source(tree, {}, "here")({"a": (" x",)}) == "x"
    for _ in range(50_000):
        tree = function("Trim", ("source", tree))
    with pytest.raises(ConfigurationError, match="more than 100 calls deep"):
        compile_source(tree, {}, "here")
    assert (attributes_of(tree), needs(tree), redacts(tree)) == ({"a"}, "a", False)
    while tree.parameters:  # taken apart from above: freeing it as a whole would go too deep
        tree = tree.parameters[0].value


@pytest.mark.parametrize(
    ("text", "name"),
    [
        ("Left(Trim([a]), 448)", "a"),
        ("ToLower(NormalizeDiacritics([a]), )", "a"),
        ("Mid([a], 1, 2)", "a"),
        ('Split([a], ",")', "a"),
        ("DateFromNum([a])", "a"),
        ('FormatDateTime(DateFromNum([a]), , "yyyy")', "a"),
        ("IIF(IsPresent([a]), Item([b], 1), )", "a"),
        ('IIF(IsPresent([a]), Item([b], 1), "")', "a"),
        ('IIF(IsPresent([a]), [b], "c")', None),
        ("IIF(IsPresent([a]), [b], [c])", None),
        ("IIF(IsPresent(Trim([a])), [b], )", None),
        ('IIF([a]="x", [b], )', None),
        ("Redact(Trim([a]))", "a"),
        ("IgnoreFlowIfNullOrEmpty([a])", None),
        ('Append([a], "x")', None),
        ('Join("-", [a])', None),
        ("Count([a])", None),
        ("Coalesce([a], [b])", None),
        ('Replace([a], "x", , , "y", , )', None),
        ("Guid()", None),
    ],
)
def test_rows_that_need_one_attribute(text: str, name: str | None) -> None:
    """Where a source is said to need an attribute, nothing comes of it without."""
    assert needs(parse(text)) == name
    if name is not None:
        assert not compiled(text)({})


@given(TREES)
def test_nothing_comes_of_what_lacks_its_attribute(tree: Source) -> None:
    """True of any tree: what `needs` names is needed, whatever else the entry has."""
    name = needs(tree)
    if name is None or "SelectUniqueValue" in str(tree):
        return
    others = dict.fromkeys(attributes_of(tree) - {name}, ("1",))
    assert not _result(compile_source(tree, {}, "here", environment()), others)


def _result(compute: Computed, attributes: dict[str, Values]) -> object:
    """An entry that fails has no value either: the mapping of a present attribute would have failed as well."""
    try:
        return compute(attributes)
    except (EntryError, NoFlow):
        return None


@pytest.mark.parametrize(
    ("text", "redacted"),
    [("Redact([a])", True), ('Join("", [b], Redact([a]))', True), ('Trim("Redact([a])")', False), ("[Redact]", False)],
)
def test_redacts(text: str, redacted: bool) -> None:
    """Anywhere in the tree, as a call."""
    assert redacts(parse(text)) is redacted
