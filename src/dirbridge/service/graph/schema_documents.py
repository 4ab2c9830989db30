"""A schema document that a client sends, put together with the one that is stored, and checked; nothing is stored here.

Called for jobs by `schema` and `previews`, for templates by `job_templates`.

Source: Graph synchronizationSchema; its own client, which loses flags enumerations on the way.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Iterator, Mapping, Sequence
from datetime import UTC, datetime
from typing import Any
from uuid import uuid4

import msgspec

from dirbridge.contract.schema import DirectoryDefinition, Schema
from dirbridge.engine import validation
from dirbridge.engine.cycle import macros
from dirbridge.service import templates
from dirbridge.service.graph.errors import bad_request
from dirbridge.store.jobs import Job

_COLLECTIONS = ("synchronizationRules", "directories")
_TOLD = ("id", "version", "provisioningTaskIdentifier")
"""Members that are shown and that the service itself decides."""


class Basis(msgspec.Struct, frozen=True):
    """What a document that comes in is measured against.

    Attributes:
        id: of the job or template that it belongs to.
        stored: the document as it is, as JSON.
        macros: what `%Name%` constants stand for.
        offered: what the two ends can do.
    """

    id: str
    stored: dict[str, Any]
    macros: Mapping[str, str]
    offered: Sequence[DirectoryDefinition]

    def schema(self) -> Schema | None:
        """Give the document that there is; None where it cannot be read and is to be replaced."""
        try:
            return msgspec.convert(self.stored, Schema)
        except msgspec.ValidationError:
            return None


def of_job(job: Job) -> Basis:
    """Give what a job's document is measured against."""
    offered = templates.TEMPLATES[job.template_id](job.id, datetime.now(UTC)).directories
    return Basis(job.id, job.schema, macros(job), offered)


def proposed(wanted: dict[str, Any], basis: Basis, *, whole: bool) -> Schema:
    """Read a document that a job or template is to have.

    Args:
        whole: it has all its collections; otherwise what is missing stays as it is stored.

    Raises:
        GraphError, ConfigurationError: it cannot be used; says where, for every defect.
    """
    try:
        document = _completed(wanted, basis.stored, whole=whole)
        read = validation.read(document | {"id": basis.id, "version": new_version()})
        if not isinstance(read, Schema):
            raise validation.error(read)
        defects = validation.check(read, basis.macros, basis.offered)
    except RecursionError as error:
        raise bad_request("The schema document nests too deeply.") from error
    before = basis.schema()
    defects += [] if before is None else validation.uneditable(before, read)
    if defects:
        raise validation.error(defects)
    return read


def says_the_same(schema: Schema, basis: Basis) -> bool:
    """Tell whether a document says what is stored already, whatever its version."""
    before = basis.schema()
    return before is not None and msgspec.structs.replace(schema, id=before.id, version=before.version) == before


def new_version() -> str:
    """Name a state of a document, as Graph does."""
    return f"Date:{datetime.now(UTC):%Y-%m-%dT%H:%M:%S.%fZ}, ActivityId:{uuid4()}"


# What clients leave out -----------------------------------------------------------------------------------------------


def _completed(wanted: dict[str, Any], stored: dict[str, Any], *, whole: bool) -> dict[str, Any]:
    """Add what clients leave out although they mean to keep it.

    Graph's own client reads flags enumerations and does not write them back, so `flowTypes` and `discoverabilities`
    are taken from the mapping or directory of the same name that is stored.
    """
    unknown = [name for name in wanted if name not in (*_COLLECTIONS, *_TOLD) and "@odata." not in name]
    if unknown:
        raise bad_request(f"A schema document has no '{unknown[0][:80]}'.", target=unknown[0][:80])
    missing = [name for name in _COLLECTIONS if wanted.get(name) is None]
    if whole and missing:
        raise bad_request(f"The schema document is replaced as a whole and lacks {' and '.join(missing)}.")
    plain: dict[str, Any] = _without_nulls({name: wanted.get(name) for name in _COLLECTIONS})
    before = {name: _objects(stored.get(name)) for name in _COLLECTIONS}
    _fill("flowTypes", _mappings(plain.get("synchronizationRules")), _mappings(before["synchronizationRules"]))
    _fill("discoverabilities", _directories(plain.get("directories")), _directories(before["directories"]))
    return {name: stored[name] for name in _COLLECTIONS} | plain


def _objects(value: Any) -> list[dict[str, Any]]:
    """The objects of what should be a list of them; what is none is found later."""
    return [each for each in value if isinstance(each, dict)] if isinstance(value, list) else []


_Named = tuple[str, dict[str, Any]]
"""A part of a document under the name by which its stored counterpart is found."""


def _mappings(rules: Any) -> Iterator[_Named]:
    """Name mappings by their rule's id, their own name, and which of that name they are."""
    for rule in _objects(rules):
        seen: Counter[str] = Counter()
        for mapping in _objects(rule.get("objectMappings")):
            name = str(mapping.get("name"))
            seen[name] += 1
            yield f"{rule.get('id')}/{name}/{seen[name]}", mapping


def _directories(found: Any) -> Iterator[_Named]:
    for each in _objects(found):
        yield str(each.get("name")), each


def _fill(member: str, wanted: Iterable[_Named], stored: Iterable[_Named]) -> None:
    """Take a member that is left out from the stored part of the same name."""
    before = {name: each[member] for name, each in stored if each.get(member) is not None}
    for name, each in wanted:
        if name in before:
            each.setdefault(member, before[name])


def _without_nulls(value: Any) -> Any:
    """Leave out members that are null or annotations: an absent member has its default."""
    if isinstance(value, dict):
        return {
            name: _without_nulls(each) for name, each in value.items() if each is not None and "@odata." not in name
        }
    return [_without_nulls(each) for each in value] if isinstance(value, list) else value
