"""Application roles that are assigned to somebody.

Each value of the attribute is a role: its value as plain text, or a JSON object with `id`, `value` and `displayName`.
"""

from __future__ import annotations

from collections.abc import Sequence

import msgspec

from dirbridge.engine.functions.signature import Function, of_text
from dirbridge.engine.functions.values import Result, failed, several


class Role(msgspec.Struct, frozen=True, rename="camel"):
    """A role that an application defines."""

    id: str | None = None
    value: str | None = None
    display_name: str | None = None


class Assigned(msgspec.Struct, frozen=True, rename="camel", omit_defaults=False):
    """A role in the complex form that an application gets."""

    id: str | None
    value: str | None
    display_name: str | None
    primary: bool = False


def _roles(source: Result) -> Sequence[Role]:
    return [_role(item) for item in several(source)]


def _role(item: object) -> Role:
    if not isinstance(item, str):
        raise failed("A role is text, or a JSON object with id, value and displayName.")
    if not item.lstrip().startswith("{"):
        return Role(value=item)
    try:
        return msgspec.json.decode(item, type=Role)
    except msgspec.DecodeError as error:
        raise failed(f"A role's JSON object cannot be read: {error}.") from error


def _name(role: Role) -> str:
    return role.value or role.display_name or role.id or ""


def _single(source: Result) -> Result:
    return next((name for role in _roles(source) if (name := _name(role))), None)


def _names(source: Result) -> Result:
    return tuple(name for role in _roles(source) if (name := _name(role))) or None


def _complex(source: Result) -> Result:
    shown = [Assigned(role.id, role.value, role.display_name) for role in _roles(source)]
    return tuple(msgspec.json.encode(one).decode() for one in shown) or None


_ASSIGNMENTS = (of_text(),)

FUNCTIONS = (
    Function(
        "SingleAppRoleAssignment",
        _ASSIGNMENTS,
        "The value of one assigned role, the first.",
        "SingleAppRoleAssignment([appRoleAssignments])",
        call=_single,
        strict=True,
    ),
    Function(
        "AppRoleAssignments",
        _ASSIGNMENTS,
        "The values of all assigned roles, as texts.",
        "AppRoleAssignments([appRoleAssignments])",
        call=_names,
        strict=True,
    ),
    Function(
        "AppRoleAssignmentsComplex",
        _ASSIGNMENTS,
        "All assigned roles as JSON objects with `id`, `value`, `displayName` and `primary`, to be added to those that "
        "the target has.",
        "AppRoleAssignmentsComplex([appRoleAssignments])",
        call=_complex,
        strict=True,
    ),
    Function(
        "AssertiveAppRoleAssignmentsComplex",
        _ASSIGNMENTS,
        "The same, to take the place of those that the target has.",
        "AssertiveAppRoleAssignmentsComplex([appRoleAssignments])",
        call=_complex,
        strict=True,
    ),
)
