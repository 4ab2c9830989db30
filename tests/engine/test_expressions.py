"""Compiling a mapping's source tree."""

from __future__ import annotations

import pytest

from dirbridge.contract.errors import ConfigurationError
from dirbridge.contract.schema import Parameter, Source
from dirbridge.engine.expressions import attributes_of, compile_source, constant_text, needs


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
