"""From tree to text and back."""

from __future__ import annotations

import msgspec
import pytest
from hypothesis import given

from dirbridge.connectors.ad import schema as active_directory
from dirbridge.contract.schema import Parameter, Source
from dirbridge.engine.expressions import compile_source, parse, text
from dirbridge.engine.expressions.faults import MOST_CHARACTERS
from dirbridge.engine.functions import FUNCTIONS
from tests.engine.expressions.trees import TREES


@given(TREES)
def test_tree_to_text_to_tree(tree: Source) -> None:
    """The same tree comes back, whatever it is made of; and the text is its normal form."""
    written = text.of(tree)
    if len(written) <= MOST_CHARACTERS:
        again = parse(written)
        assert again == tree
        assert text.of(again) == written


@given(TREES)
def test_every_tree_of_the_language_can_be_compiled(tree: Source) -> None:
    """What parses compiles, unless SelectUniqueValue stands within another call."""
    inner = [name for parameter in tree.parameters for name in _names(parameter.value)]
    if "SelectUniqueValue" not in inner:
        compile_source(tree, {}, "here")


def _names(source: Source) -> list[str]:
    return [source.name or "", *(name for parameter in source.parameters for name in _names(parameter.value))]


@pytest.mark.parametrize(
    ("written", "normal"),
    [
        ('Replace([preferredLanguage],"-",,,"_",,)', 'Replace([preferredLanguage], "-", , , "_", , )'),
        ("ToLower( [a] )", "ToLower([a], )"),
        ("ToLower([a],)", "ToLower([a], )"),
        ('IIF( [a] = "x" , "y" )', 'IIF([a]="x", "y", )'),
        ("IIF([n]>5, [a], [b])", 'IIF([n]>"5", [a], [b])'),
        ('Left([a], "3")', "Left([a], 3)"),
        ("BitAnd([a], &HF)", "BitAnd([a], &HF)"),
        ('Join("-", 1000, [a])', 'Join("-", "1000", [a])'),
        ('FormatDateTime([a], , "yy", "yyyy")', 'FormatDateTime([a], "yy", "yyyy")'),
        ('ConvertFromBase64([a], "UTF8")', "ConvertFromBase64([a], UTF8)"),
        ("Trim(\n  [a]\n)", "Trim([a])"),
        ('Join("@", [a], %DomainFQDN%)', 'Join("@", [a], %DomainFQDN%)'),
        ("Guid( )", "Guid()"),
    ],
)
def test_normal_form(written: str, normal: str) -> None:
    """A place for each parameter, a comma and a space between, numbers bare where a number is expected."""
    assert parse(written).expression == normal
    assert parse(normal) == parse(written)


@pytest.mark.parametrize("function", FUNCTIONS.values(), ids=lambda function: function.name)
def test_examples_of_the_documentation_are_read_and_written(function: object) -> None:
    """The tree of each comes back from its text."""
    tree = parse(function.example)  # type: ignore[attr-defined]
    assert parse(text.of(tree)) == tree


def _default_sources() -> list[Source]:
    rule = active_directory.default_rule()
    found = {
        msgspec.json.encode(row.source): row.source
        for mapping in rule.object_mappings
        for row in mapping.attribute_mappings
        if row.source is not None
    }
    return list(found.values())


def test_default_mapping_is_in_its_normal_form() -> None:
    """Text and tree of every row agree: each is what the other gives."""
    sources = _default_sources()
    assert len(sources) > 100
    for source in sources:
        assert source.expression in {None, text.of(source)}
        assert parse(text.of(source)) == source


def test_tree_of_a_function_that_is_none_is_still_shown() -> None:
    """For a message about it."""
    tree = Source("Function", "Explode", parameters=(Parameter("what", Source("Attribute", "a")),))
    assert text.of(tree) == "Explode([a])"
