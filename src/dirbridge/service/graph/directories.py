"""The directories of a job's schema document, and what an agent tells of the live one.

Source: Graph directoryDefinition: discover.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import UTC, datetime
from typing import Annotated, Any
from uuid import uuid4

import msgspec
from fastapi import APIRouter, Depends, Request
from starlette.responses import Response

from dirbridge.contract.schema import (
    AttributeDefinition,
    DirectoryDefinition,
    ObjectDefinition,
    ReferencedObject,
    Schema,
)
from dirbridge.engine import expressions, scoping
from dirbridge.engine.run import Context
from dirbridge.service.auth.access import Caller, require
from dirbridge.service.auth.permissions import SYNCHRONIZERS
from dirbridge.service.graph import odata
from dirbridge.service.graph.context import database
from dirbridge.service.graph.errors import bad_request, not_found
from dirbridge.service.graph.responses import GraphResponse, TextResponse, moment
from dirbridge.service.graph.schema import SCHEMA
from dirbridge.service.graph.schema_documents import new_version
from dirbridge.service.graph.synchronization import OWNED, Reader, address, audit, find_job
from dirbridge.store import jobs
from dirbridge.store.jobs import Job

tree = APIRouter()

Discoverer = Annotated[Caller, Depends(require("Directory.ReadWrite.All", OWNED, roles=SYNCHRONIZERS))]

DIRECTORIES = SCHEMA + "/directories"


@tree.get(DIRECTORIES)
async def list_directories(request: Request, sp: str, job: str, caller: Reader) -> Response:
    """List the two ends of a job's rules."""
    odata.read(request, frozenset({"format", "top"}))
    async with database(request).connection() as conn:
        found = await find_job(conn, caller, sp, job)
    return GraphResponse({"@odata.context": _address(request, found), "value": found.schema["directories"]})


@tree.get(DIRECTORIES + "/$count")
async def count_directories(request: Request, sp: str, job: str, caller: Reader) -> Response:
    """Count them."""
    odata.read(request, frozenset())
    async with database(request).connection() as conn:
        found = await find_job(conn, caller, sp, job)
    return TextResponse(str(len(found.schema["directories"])))


@tree.get(DIRECTORIES + "/{directory}")
async def get_directory(request: Request, sp: str, job: str, directory: str, caller: Reader) -> Response:
    """Give one of them."""
    odata.read(request, frozenset({"format"}))
    async with database(request).connection() as conn:
        found = await find_job(conn, caller, sp, job)
    shown = next((each for each in found.schema["directories"] if each["id"] == directory), None)
    if shown is None:
        raise not_found("directory", directory)
    return GraphResponse({"@odata.context": _address(request, found) + "/$entity", **shown})


@tree.post(DIRECTORIES + "/{directory}/discover")
async def discover(request: Request, sp: str, job: str, directory: str, caller: Discoverer) -> Response:
    """Have an agent read which attributes entries may have, and keep them in the document.

    The answer has what is there now. The document keeps, beside that, what its mappings name.
    """
    async with database(request).connection() as conn:
        found = await find_job(conn, caller, sp, job)
    wanted = _readable(found, directory)
    engine: Context = request.app.state.engine
    live = await engine.source(found).schema([one.name for one in wanted.objects])
    if not live:
        raise bad_request(f"The directory of {found.domain} knows none of the objects of '{wanted.name}'.")
    async with database(request).transaction() as conn:
        found = await find_job(conn, caller, sp, job, lock=True)
        stored = _readable(found, directory)
        seen = msgspec.structs.replace(
            stored, version=str(uuid4()), discovery_date_time=moment(datetime.now(UTC)), objects=_seen(stored, live)
        )
        await jobs.set_definitions(conn, caller.tenant, job, _with(found.document(), seen))
        await audit(conn, caller, "Discover directory schema", job, {"directory": stored.name})
    shown: dict[str, Any] = msgspec.to_builtins(seen)
    return GraphResponse({"@odata.context": _address(request, found) + "/$entity", **shown})


def _address(request: Request, job: Job) -> str:
    return address(request, job.service_principal, f"jobs('{job.id}')/schema/directories")


def _readable(job: Job, directory: str) -> DirectoryDefinition:
    """Give a directory that an agent can be asked about."""
    schema = job.document()
    found = next((one for one in schema.directories if one.id == directory), None)
    if found is None:
        raise not_found("directory", directory)
    if found.name not in {rule.source_directory_name for rule in schema.synchronization_rules}:
        raise bad_request(f"The schema of '{found.name}' is fixed; only one that is read is discovered.")
    return found


def _seen(stored: DirectoryDefinition, live: Sequence[ObjectDefinition]) -> tuple[ObjectDefinition, ...]:
    """Say what there is now, with what is known of it already, and with what no server has but a source makes."""
    known = {one.name: one for one in live}
    types = tuple(ReferencedObject(one.name) for one in stored.objects)
    return tuple(_object(one, known[one.name], types) for one in stored.objects if one.name in known)


def _object(stored: ObjectDefinition, live: ObjectDefinition, types: tuple[ReferencedObject, ...]) -> ObjectDefinition:
    there = {one.name.lower(): one for one in live.attributes}
    kept = {
        one.name.lower(): one
        for one in stored.attributes
        if one.anchor or one.mutability == "ReadOnly" or one.name.lower() in there
    }
    new = {
        name: msgspec.structs.replace(one, referenced_objects=types) if one.type == "Reference" else one
        for name, one in there.items()
        if name not in kept
    }
    return msgspec.structs.replace(stored, attributes=_in_order(kept | new))


def _in_order(attributes: Mapping[str, AttributeDefinition]) -> tuple[AttributeDefinition, ...]:
    return tuple(one for _, one in sorted(attributes.items()))


def _with(schema: Schema, seen: DirectoryDefinition) -> Schema:
    """Put what was seen into a document, without taking away what its mappings name."""
    used = _used(schema, seen.name)
    directories = []
    for one in schema.directories:
        if one.id != seen.id:
            directories.append(one)
            continue
        there = {definition.name: definition for definition in seen.objects}
        objects = tuple(_kept(each, there.get(each.name), used.get(each.name, set())) for each in one.objects)
        directories.append(msgspec.structs.replace(seen, objects=objects))
    return msgspec.structs.replace(schema, directories=tuple(directories), version=new_version())


def _kept(stored: ObjectDefinition, seen: ObjectDefinition | None, used: set[str]) -> ObjectDefinition:
    if seen is None:
        return stored
    needed = {one.name.lower(): one for one in stored.attributes if one.name in used}
    return msgspec.structs.replace(
        seen, attributes=_in_order(needed | {one.name.lower(): one for one in seen.attributes})
    )


def _used(schema: Schema, directory: str) -> dict[str, set[str]]:
    """Name the attributes that rules read from a directory, by object."""
    found: dict[str, set[str]] = {}
    for rule in schema.synchronization_rules:
        for mapping in rule.object_mappings if rule.source_directory_name == directory else ():
            names = found.setdefault(mapping.source_object_name, set())
            names |= scoping.attributes_of(mapping.scope)
            for row in mapping.attribute_mappings:
                names |= set() if row.source is None else set(expressions.attributes_of(row.source))
    return found
