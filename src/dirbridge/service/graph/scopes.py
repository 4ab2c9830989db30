"""Which containers and groups a job takes: chosen by name, kept by anchor, shown by their present names.

Graph's schema document has the containers and groups; that names are looked up when they are stored, and what has
become of them since, lies under /beta/dirbridge.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Annotated, Any

import msgspec
from fastapi import APIRouter, Depends, Request
from starlette.responses import Response

from dirbridge.contract.entry import text_fault
from dirbridge.contract.errors import ConfigurationError
from dirbridge.contract.schema import ContainerFilter, GroupFilter, Rule, Schema
from dirbridge.contract.wire import Located
from dirbridge.engine import validation
from dirbridge.engine.attributes import MEMBER
from dirbridge.engine.run import Context
from dirbridge.engine.validation import Defect
from dirbridge.service.auth.access import Caller, require
from dirbridge.service.auth.permissions import OBSERVERS
from dirbridge.service.graph import odata
from dirbridge.service.graph.context import context, database
from dirbridge.service.graph.errors import not_found
from dirbridge.service.graph.responses import GraphResponse, moment
from dirbridge.store import containers, jobs, scope
from dirbridge.store.directory_queries import Conn
from dirbridge.store.jobs import Job
from dirbridge.store.scope import Group

router = APIRouter(prefix="/beta/dirbridge")

Reader = Annotated[
    Caller, Depends(require("Synchronization.Read.All", "Synchronization.ReadWrite.All", roles=OBSERVERS))
]

CONTAINER = "container"
"""What a source calls a container that it located."""

Anchors = Mapping[str, str]
"""Anchor by the name that stands in a document."""


# Choosing -------------------------------------------------------------------------------------------------------------


async def resolve(request: Request, job: Job, schema: Schema) -> Anchors:
    """Look up every container and group of a document that the job does not have yet, where the directory is read.

    Raises:
        ConfigurationError: names each one that is not there, or is something else.
        TransientError: no agent answers; without one it cannot be told what a name stands for.
    """
    known = _stored(job)
    new = [one for one in _chosen(schema) if (one.is_container, one.name) not in known]
    if not new:
        return {}
    names = sorted({one.name for one in new if text_fault(one.name) is None})
    engine: Context = request.app.state.engine
    found = {one.name: one for one in await engine.source(job).locate(names)} if names else {}
    defects = [defect for one in new if (defect := _defect(one, found.get(one.name), job.domain)) is not None]
    if defects:
        raise validation.error(defects)
    return {name: one.anchor for name, one in found.items()}


def by_anchor(schema: Schema, anchors: Anchors) -> Schema:
    """Put anchors in the place of names; each once."""

    def kept(names: Sequence[str]) -> tuple[str, ...]:
        return tuple(dict.fromkeys(anchors.get(name, name) for name in names))

    replace = msgspec.structs.replace
    rules = tuple(
        replace(
            rule,
            container_filter=ContainerFilter(kept(rule.container_filter.included_containers)),
            group_filter=GroupFilter(kept(rule.group_filter.included_groups)),
        )
        for rule in schema.synchronization_rules
    )
    return replace(schema, synchronization_rules=rules)


class _Chosen(msgspec.Struct, frozen=True):
    """A container or group that a document names.

    Attributes:
        path: where in the document.
        types: object types that it may be of.
    """

    path: str
    name: str
    is_container: bool
    types: frozenset[str]


def _chosen(schema: Schema) -> list[_Chosen]:
    found = []
    for at, rule in enumerate(schema.synchronization_rules):
        path = f"synchronizationRules[{at}]"
        for number, name in enumerate(rule.container_filter.included_containers):
            place = f"{path}.containerFilter.includedContainers[{number}]"
            found.append(_Chosen(place, name, is_container=True, types=frozenset({CONTAINER})))
        for number, name in enumerate(rule.group_filter.included_groups):
            place = f"{path}.groupFilter.includedGroups[{number}]"
            found.append(_Chosen(place, name, is_container=False, types=_groups_of(schema, rule)))
    return found


def _stored(job: Job) -> set[tuple[bool, str]]:
    """What the job has already; nothing where its document cannot be read."""
    try:
        return {(one.is_container, one.name) for one in _chosen(job.document())}
    except ConfigurationError:
        return set()


def _groups_of(schema: Schema, rule: Rule) -> frozenset[str]:
    """The source's object types that have members."""
    return frozenset(
        definition.name
        for directory in schema.directories
        if directory.name == rule.source_directory_name
        for definition in directory.objects
        if any(attribute.name == MEMBER for attribute in definition.attributes)
    )


def _defect(one: _Chosen, found: Located | None, domain: str) -> Defect | None:
    what = "container" if one.is_container else "group"
    if found is None or not found.anchor:
        said = f"{domain} shows its agent no {what} '{one.name:.200}'."
        return Defect(one.path, said, f"Correct the name, or let the agent's account see that {what}.")
    if found.object_type not in one.types:
        return Defect(one.path, f"'{one.name}' is a {found.object_type}.", f"Name a {what}.")
    return None


# Showing --------------------------------------------------------------------------------------------------------------


@router.get("/jobs/{job}/scope")
async def show_scope(request: Request, job: str, caller: Reader) -> Response:
    """Say what each rule of a job takes, by present names, and what of it is missing."""
    odata.read(request, frozenset({"format"}))
    async with database(request).connection() as conn:
        found = await jobs.get(conn, caller.tenant, job)
        if found is None:
            raise not_found("synchronization job", job)
        rules = found.document().synchronization_rules
        groups = await scope.groups(conn, caller.tenant, job)
        paths = await _paths(conn, found, rules, groups)
    return GraphResponse(
        {
            "@odata.context": context(request, "dirbridge/scope"),
            "id": found.id,
            "rules": [
                {
                    "id": rule.id,
                    "name": rule.name,
                    "containers": [_container(one, paths) for one in rule.container_filter.included_containers],
                    "groups": [_group(one, groups.get(one), paths) for one in rule.group_filter.included_groups],
                }
                for rule in rules
            ],
        }
    )


async def _paths(
    conn: Conn, job: Job, rules: Sequence[Rule], groups: Mapping[str, Group]
) -> dict[str, list[str]] | None:
    """The names on the way to each container that is named or holds a group; None where no container was read yet."""
    wanted = {name for rule in rules for name in rule.container_filter.included_containers}
    wanted |= {group.container for group in groups.values() if group.container is not None}
    if not await containers.any_known(conn, job.tenant, job.id):
        return None
    return await containers.paths(conn, job.tenant, job.id, wanted)


def _container(anchor: str, paths: Mapping[str, list[str]] | None) -> dict[str, Any]:
    names = (paths or {}).get(anchor, [])
    return {
        "id": anchor,
        "displayName": names[-1] if names else None,
        "canonicalName": canonical(names),
        "state": "unknown" if paths is None else "present" if names else "missing",
    }


def _group(anchor: str, group: Group | None, paths: Mapping[str, list[str]] | None) -> dict[str, Any]:
    if group is None or group.reason == scope.NOT_READ_YET:
        return {"id": anchor, "displayName": None, "canonicalName": None, "state": "unknown"}
    above = (paths or {}).get(group.container or "", [])
    return {
        "id": anchor,
        "displayName": group.name or None,
        "canonicalName": canonical([*above, group.name]) if above and group.name else None,
        "state": "missing" if group.reason else "present",
        **({"reason": group.reason, "since": moment(group.changed_at)} if group.reason else {}),
    }


def canonical(names: Sequence[str]) -> str | None:
    """Write the names from the domain downwards as a canonical name, such as `contoso.test/Sales/Berlin`.

    Source: MS-ADTS 3.1.1.4.5.7, canonicalName: a slash inside a name stands behind a backslash.
    """
    return "/".join(name.replace("\\", "\\\\").replace("/", "\\/") for name in names) or None
