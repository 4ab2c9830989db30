"""Changing the schema document of a test's job."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import msgspec

from dirbridge.contract.schema import Schema
from dirbridge.store import jobs
from tests.engine.world import World

Document = dict[str, Any]


async def reshape(world: World, change: Callable[[Document], None]) -> None:
    """Change the job's schema document."""
    job = await world.state()
    document = copied(msgspec.to_builtins(job.document()))
    change(document)
    async with world.database.transaction() as conn:
        await jobs.set_schema(conn, world.tenant, world.job, msgspec.convert(document, Schema))


def copied(value: Document) -> Document:
    """A document, or a part of one, with lists that can be changed."""
    made: Document = msgspec.json.decode(msgspec.json.encode(value))
    return made


def mapping(document: Document, at: int = 0, rule: int = 0) -> Document:
    """An object mapping; the first is that of users."""
    found: Document = document["synchronizationRules"][rule]["objectMappings"][at]
    return found


def row(one: Document, target: str) -> Document:
    """The attribute mapping of a target attribute."""
    found: Document = next(r for r in one["attributeMappings"] if r["targetAttributeName"] == target)
    return found


def definition(document: Document, name: str, *, directory: int = 1, kind: int = 0) -> Document:
    """The definition of an attribute; by default of a user at the target."""
    objects = document["directories"][directory]["objects"]
    found: Document = next(a for a in objects[kind]["attributes"] if a["name"] == name)
    return found


def constant(text: str) -> Document:
    """A source that is a fixed text."""
    return {"type": "Constant", "name": text, "expression": f'"{text}"'}
