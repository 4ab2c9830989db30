"""The forms of answers, as types: what clients may rely on in each resource that a route shows.

Routes put their answers together as they need; the tests hold every answer against its form here. Users, groups and
contacts are not among them: their forms follow from the tables that render them, in `directory_objects`.

Source: the Graph resource types of the same names.
"""

from __future__ import annotations

import msgspec

Text = str | None


class Shape(msgspec.Struct, rename="camel", kw_only=True):
    """A JSON object; a property with a default may be missing."""


class Entity(Shape, kw_only=True):
    """A resource with an address of its own."""

    context: str | msgspec.UnsetType = msgspec.field(name="@odata.context", default=msgspec.UNSET)


class Selectable(Entity, kw_only=True):
    """A resource that `$select` cuts down, so that any property may be missing."""
