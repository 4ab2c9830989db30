"""The default mapping of users and groups, row for row against what is published.

The two tables hold target attribute, its type (`[]` for several values) and expression, one row a line; their source is
the published schema of a provisioning job, and for groups the published rules of the older on-premises engine.
"""

from __future__ import annotations

from pathlib import Path

import pytest

from dirbridge.connectors.ad import schema
from dirbridge.contract.schema import AttributeDefinition, AttributeMapping
from dirbridge.engine import expressions
from dirbridge.engine.expressions import text
from dirbridge.tenant import schema as tenant_schema

HERE = Path(__file__).parent
TARGETS = {one.name: {a.name: a for a in one.attributes} for one in tenant_schema.directory("id").objects}
EXPIRED = 'IIF([accountExpired]="True", "False", {})'
"""What we put around AccountEnabled: an account whose end has passed is disabled. See decision 0010."""


def published(name: str) -> dict[str, tuple[str, str]]:
    """Read a table: type and expression by target attribute."""
    lines = (HERE / f"{name}_mapping.txt").read_text("utf-8").splitlines()
    parts = [line.split(" | ") for line in lines]
    return {target: (kind, expression) for target, kind, expression in parts}


def rows(kind: str) -> dict[str, AttributeMapping]:
    (found,) = [one for one in schema.default_rule().object_mappings if one.source_object_name == kind]
    return {row.target_attribute_name: row for row in found.attribute_mappings}


def type_of(definition: AttributeDefinition) -> str:
    return definition.type + ("[]" if definition.multivalued else "")


@pytest.mark.parametrize(
    ("kind", "table", "target", "number"),
    [("user", "user", "User", 136), ("inetOrgPerson", "user", "User", 136), ("group", "group", "Group", 63)],
)
def test_every_row_is_the_published_one(kind: str, table: str, target: str, number: int) -> None:
    """Target attribute, type, expression: in the text, and in the tree, which is what counts."""
    wanted = published(table)
    assert len(wanted) == number
    if "AccountEnabled" in wanted:
        told, expression = wanted["AccountEnabled"]
        wanted["AccountEnabled"] = (told, EXPIRED.format(expression))
    found = {
        name: (type_of(TARGETS[target][name]), text.of(row.source))
        for name, row in rows(kind).items()
        if row.source is not None
    }
    assert found == wanted
    for name, row in rows(kind).items():
        assert row.source is not None
        written = row.source.expression
        assert written is None or text.of(expressions.parse(written)) == wanted[name][1], name
        assert (row.flow_type, row.flow_behavior, row.default_value) == ("Always", "FlowWhenChanged", None)
        assert not row.export_missing_references
