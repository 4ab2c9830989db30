"""Filters: every clause asks an attribute that there is what it can be asked."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from uuid import UUID

from dirbridge.contract.errors import ConfigurationError
from dirbridge.contract.schema import AttributeDefinition, Filter, FilterClause, Rule
from dirbridge.engine import operators, scoping
from dirbridge.engine.validation.defects import Defect, Defects, unknown

NOT_FILTERABLE = frozenset({"accountExpires", "appRoleAssignments", "userType"})
"""Attributes that no clause may ask. Source: published limits of scoping filters."""

_EXTENSION = re.compile(r"extension_[0-9a-f]{32}_\w+", re.IGNORECASE)

_NAME = re.compile(r"\s*[A-Za-z][A-Za-z0-9.-]*\s*=(?:[^,\\]|\\.)+(?:,\s*[A-Za-z][A-Za-z0-9.-]*\s*=(?:[^,\\]|\\.)+)*")
"""A distinguished name, as far as its form can be told. Source: RFC 4514 section 3."""


def check(scope: Filter, known: Mapping[str, AttributeDefinition], kind: str, path: str) -> Defects:
    """Check a mapping's filters.

    Args:
        known: attributes of the source object. kind: its name.
    """
    collections = {
        "inputFilterGroups": scope.input_filter_groups,
        "groups": scope.groups,
        "categoryFilterGroups": scope.category_filter_groups,
    }
    for name, groups in collections.items():
        for at, group in enumerate(groups):
            for number, clause in enumerate(group.clauses):
                yield from _clause(clause, known, kind, f"{path}.{name}[{at}].clauses[{number}]")


def _clause(clause: FilterClause, known: Mapping[str, AttributeDefinition], kind: str, path: str) -> Defects:
    try:
        scoping.compile_clause(clause, path, lenient=True)
    except ConfigurationError as error:
        yield Defect(error.details["path"], error.details["fault"], error.recommended_action)
    name = clause.source_operand_name
    definition = known.get(name)
    place = f"{path}.sourceOperandName"
    if definition is None:
        yield unknown(place, f"The source object '{kind}' has no attribute", name, known)
        return
    why = _why_not(definition)
    if why:
        yield Defect(place, f"'{name}' cannot be filtered by: {why}.", "Filter by another attribute.")
        return
    operator = operators.find(clause.operator_name)
    if operator is not None and definition.type not in operator.types:
        fitting = ", ".join(o.name for o in operators.OPERATORS if definition.type in o.types)
        what = f"{operator.name} is for {' and '.join(operator.types)}; '{name}' is of type {definition.type}."
        yield Defect(f"{path}.operatorName", what, f"Use one of {fitting}.")


def _why_not(definition: AttributeDefinition) -> str:
    if definition.type == "Reference":
        return "it points to other objects"
    if definition.type == "DateTime" or definition.name == "accountExpires":
        return "it is a date"
    if definition.name in NOT_FILTERABLE:
        return "filters do not know it"
    if definition.multivalued and _EXTENSION.fullmatch(definition.name):
        return "it is an extension of several values"
    return ""


def check_places(rule: Rule, path: str) -> Defects:
    """Check what the container and group filters name: GUIDs, or distinguished names."""
    named = {
        "containerFilter.includedContainers": rule.container_filter.included_containers,
        "groupFilter.includedGroups": rule.group_filter.included_groups,
    }
    for member, names in named.items():
        for at, name in enumerate(names):
            if not _is_guid(name) and not _NAME.fullmatch(name):
                what = f"'{name:.100}' is neither a GUID nor a distinguished name."
                yield Defect(
                    f"{path}.{member}[{at}]", what, "Write it as OU=Sales,DC=contoso,DC=com, or by objectGUID."
                )


def check_groups(rules: Sequence[Rule]) -> Defects:
    """Check that all rules which choose groups choose the same: a job knows one set of those that are let in."""
    first: tuple[int, frozenset[str]] | None = None
    for at, rule in enumerate(rules):
        chosen = frozenset(rule.group_filter.included_groups)
        if not chosen:
            continue
        first = first or (at, chosen)
        if chosen != first[1]:
            what = f"It names other groups than synchronizationRules[{first[0]}]'s."
            path = f"synchronizationRules[{at}].groupFilter"
            yield Defect(path, what, "Name the same groups in both, or make a job for each.")


def _is_guid(name: str) -> bool:
    try:
        UUID(name)
    except ValueError:
        return False
    return True
