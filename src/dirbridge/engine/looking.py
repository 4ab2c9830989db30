"""Finding one entry by a name, and looking at it: what the directory says of it now. Nothing is written.

`ondemand` finds here what it provisions; the API shows an entry to whom tries an expression on it.
"""

from __future__ import annotations

import asyncio
from collections.abc import Mapping, Sequence
from datetime import datetime

import msgspec

from dirbridge.contract.entry import Entry, Selection, Values
from dirbridge.contract.errors import EntryError, TransientError
from dirbridge.contract.schema import ObjectDefinition, Schema
from dirbridge.contract.wire import Located
from dirbridge.engine import mapping
from dirbridge.engine.attributes import EXPIRED, EXPIRES
from dirbridge.engine.run import Context
from dirbridge.store.jobs import Job

PATIENCE = 25.0
"""Seconds that finding an entry, reading it and, where it is provisioned, writing it may take together."""


class Seen(msgspec.Struct, frozen=True):
    """An entry as its directory has it.

    Attributes:
        shown: its present distinguished name.
        values: what a mapping is given of it: attributes, short references as anchors, and what the engine makes.
        definition: what the job's document says of its type.
    """

    entry: Entry
    shown: str
    values: Mapping[str, Values]
    definition: ObjectDefinition


async def look_at(context: Context, job: Job, name: str, object_type: str = "") -> Seen:
    """Read all that a job's document knows of one entry, but for references of which there may be thousands.

    Args:
        name: distinguished name, sign-in name, account name or anchor.
        object_type: that it must be of; empty takes any that the job maps.

    Raises:
        EntryError: the name stands for nothing that the job maps.
        ConfigurationError, TransientError: the directory cannot be read, or not in time.
    """
    definitions = _definitions(job.document())
    try:
        async with asyncio.timeout(PATIENCE):
            located = await locate(context, job, name, object_type, sorted(definitions))
            definition = definitions[located.object_type]
            async for page in context.source(job).read(_selection(definition), [located.anchor]):
                for entry in page.entries:
                    if entry.anchor == located.anchor:
                        return Seen(entry, located.shown, _values(entry, context.clock()), definition)
    except TimeoutError as error:
        raise too_late(name) from error
    raise EntryError(
        f"'{name}' was deleted in {job.domain} just now, or hidden from the agent.",
        code="EntryNotFound",
        recommended_action="Take another one.",
    )


async def locate(context: Context, job: Job, name: str, object_type: str, expected: Sequence[str]) -> Located:
    """Find what is meant.

    Args:
        object_type: that it must be of; empty takes any of the expected ones.
        expected: the types that the job maps.
    """
    found = (await context.source(job).locate([name]))[0]
    if not found.anchor:
        raise EntryError(
            f"'{name}' is not to be found in {job.domain}, or stands for several entries.",
            code="EntryNotFound",
            recommended_action="Give its distinguished name; the agent must be able to read it.",
        )
    if found.object_type not in expected or object_type not in {"", found.object_type}:
        raise EntryError(
            f"'{name}' is of type '{found.object_type}'; {object_type or ' or '.join(expected)} is expected.",
            code="EntryTypeUnexpected",
            recommended_action="Name an entry of that type, or let the job's schema map this one.",
        )
    return found


def too_late(name: str) -> TransientError:
    """Say that an entry was not read in time."""
    return TransientError(
        f"'{name}' could not be read within {PATIENCE:.0f} seconds.",
        code="TimeOut",
        recommended_action="See whether an agent of the domain runs, and what its log says.",
    )


def _definitions(schema: Schema) -> dict[str, ObjectDefinition]:
    """The source's object types that mappings name."""
    found: dict[str, ObjectDefinition] = {}
    for rule in schema.synchronization_rules:
        named = {each.source_object_name for each in rule.object_mappings}
        source = next((one for one in schema.directories if one.name == rule.source_directory_name), None)
        for definition in () if source is None else source.objects:
            if definition.name in named:
                found.setdefault(definition.name, definition)
    return found


def _values(entry: Entry, now: datetime) -> dict[str, Values]:
    expired = {EXPIRED: (str(mapping.is_expired(entry, now)),)} if EXPIRES in entry.attributes else {}
    return {**entry.attributes, **{name: found for name, found in entry.references.items() if found}, **expired}


def _selection(definition: ObjectDefinition) -> Selection:
    readable = [each for each in definition.attributes if each.mutability != "WriteOnly"]
    plain = tuple(sorted(each.name for each in readable if each.type != "Reference"))
    single = tuple(sorted(each.name for each in readable if each.type == "Reference" and not each.multivalued))
    binary = tuple(sorted(each.name for each in readable if each.type == "Binary"))
    return Selection({definition.name: plain}, {definition.name: single}, binary=binary)
