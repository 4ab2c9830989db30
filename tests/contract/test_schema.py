"""The schema document in Graph's shape."""

from __future__ import annotations

import json

import msgspec
import pytest

from dirbridge.contract import schema
from dirbridge.contract.schema import Schema

SMALL = {
    "id": "job",
    "synchronizationRules": [
        {
            "id": "r", "name": "rule", "sourceDirectoryName": "AD", "targetDirectoryName": "Cloud",
            "objectMappings": [
                {
                    "name": "people", "sourceObjectName": "user", "targetObjectName": "User",
                    "attributeMappings": [
                        {
                            "targetAttributeName": "Title",
                            "source": {
                                "type": "Function", "name": "Trim", "expression": "Trim([title])",
                                "parameters": [{"key": "source", "value": {"type": "Attribute", "name": "title"}}],
                            },
                        }
                    ],
                }
            ],
        }
    ],
    "directories": [{"id": "d", "name": "AD", "objects": [{"name": "user", "attributes": [{"name": "title"}]}]}],
}  # fmt: skip


def test_what_is_left_out_has_graphs_defaults() -> None:
    """Flow always, on change, in all directions, for everybody."""
    parsed = schema.parse(json.dumps(SMALL))
    (rule,) = parsed.synchronization_rules
    (mapping,) = rule.object_mappings
    (row,) = mapping.attribute_mappings
    assert (mapping.enabled, mapping.flow_types, mapping.scope.groups) == (True, "Add,Update,Delete", ())
    assert (row.flow_type, row.flow_behavior, row.matching_priority, row.default_value) == (
        "Always", "FlowWhenChanged", 0, None,
    )  # fmt: skip
    assert row.source.parameters[0].value.name == "title"
    assert parsed.directories[0].objects[0].attributes[0].type == "String"


def test_rendered_and_parsed_again() -> None:
    """Names are camelCase, and nothing is lost."""
    parsed = schema.parse(json.dumps(SMALL))
    rendered = schema.render(parsed)
    assert schema.parse(rendered) == parsed
    assert set(json.loads(rendered)) == {"id", "version", "synchronizationRules", "directories"}
    assert msgspec.convert(msgspec.to_builtins(parsed), Schema) == parsed


@pytest.mark.parametrize(
    ("document", "place"),
    [
        ("{", "truncated"),
        ("[]", "Expected `object`"),
        ('{"id": "x", "synchronizationRules": []}', "directories"),
        ('{"id": "x", "synchronizationRules": 7, "directories": []}', r"\$\.synchronizationRules"),
        ('{"id": "x", "synchronizationRules": [], "directories": [{"id": "d"}]}', r"\$\.directories\[0\]"),
        (json.dumps(SMALL).replace('"Function"', '"Magic"'), r"attributeMappings\[0\]\.source\.type"),
        (
            json.dumps(SMALL).replace('{"name": "title"}]', '{"name": "title", "type": "Blob"}]'),
            r"attributes\[0\]\.type",
        ),
    ],
)
def test_fault_names_its_place(document: str, place: str) -> None:
    """As a path into the document."""
    with pytest.raises(msgspec.DecodeError, match=place):
        schema.parse(document)
