"""The two ends that a document describes: names that occur once, anchors, types, and what the real ends can do."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from dirbridge.contract.errors import EntryError
from dirbridge.contract.schema import AttributeDefinition, DirectoryDefinition, ObjectDefinition
from dirbridge.engine.conversion import converter
from dirbridge.engine.validation.defects import Defect, Defects, repeated, unknown


def check(directories: Sequence[DirectoryDefinition]) -> Defects:
    """Check each directory by itself."""
    for at, first in repeated([directory.name for directory in directories]):
        yield _twice(f"directories[{at}].name", directories[at].name, f"directories[{first}]")
    for at, directory in enumerate(directories):
        path = f"directories[{at}].objects"
        for index, first in repeated([definition.name for definition in directory.objects]):
            yield _twice(f"{path}[{index}].name", directory.objects[index].name, f"{path}[{first}]")
        names = {definition.name for definition in directory.objects}
        for index, definition in enumerate(directory.objects):
            yield from _object(definition, names, f"{path}[{index}]")


def _twice(path: str, name: str, other: str) -> Defect:
    return Defect(path, f"'{name}' stands at {other} already.", "Keep one of the two.")


def _object(definition: ObjectDefinition, objects: set[str], path: str) -> Defects:
    anchors = [attribute.name for attribute in definition.attributes if attribute.anchor]
    if len(anchors) != 1:
        found = f"{len(anchors)} ({', '.join(anchors)})" if anchors else "none"
        what = f"'{definition.name}' has exactly one anchor; found {found}."
        yield Defect(f"{path}.attributes", what, "Mark the attribute by which an object is known for good.")
    for at, first in repeated([attribute.name for attribute in definition.attributes]):
        yield _twice(f"{path}.attributes[{at}].name", definition.attributes[at].name, f"{path}.attributes[{first}]")
    for at, attribute in enumerate(definition.attributes):
        yield from _attribute(attribute, objects, f"{path}.attributes[{at}]")


def _attribute(attribute: AttributeDefinition, objects: set[str], path: str) -> Defects:
    for at, referenced in enumerate(attribute.referenced_objects):
        if referenced.referenced_object_name not in objects:
            place = f"{path}.referencedObjects[{at}].referencedObjectName"
            yield unknown(place, "The directory has no object", referenced.referenced_object_name, objects)
    if attribute.default_value is not None:
        yield from default(attribute, attribute.default_value, f"{path}.defaultValue")


def default(attribute: AttributeDefinition, value: str, path: str) -> Defects:
    """Check that a default value is of its attribute's type."""
    if attribute.type == "Reference":
        yield Defect(path, f"'{attribute.name}' is a reference, which has no default value.", "Leave it out.")
        return
    try:
        converter(attribute)(value)
    except EntryError as error:
        what = f"'{value:.40}' is no value of '{attribute.name}': {error.reason}"
        yield Defect(path, what, f"Give a value of the type {attribute.type}.")


def offered(
    directories: Sequence[DirectoryDefinition], real: Mapping[str, DirectoryDefinition], ends: tuple[str, str]
) -> Defects:
    """Check what the document says of the job's ends against what they can do.

    Args:
        real: by name; an end that is missing here is taken as the document has it.
        ends: names of source and target. A source may have attributes of its own; a target has just its own.
    """
    for at, directory in enumerate(directories):
        known = real.get(directory.name) if directory.name in ends else None
        objects = {} if known is None else {definition.name: definition for definition in known.objects}
        for index, definition in enumerate(directory.objects if known is not None else ()):
            path = f"directories[{at}].objects[{index}]"
            own = objects.get(definition.name)
            if own is None:
                yield unknown(f"{path}.name", f"'{directory.name}' has no object", definition.name, objects)
            elif directory.name == ends[1]:
                yield from _of_target(definition, own, path)


def _of_target(definition: ObjectDefinition, own: ObjectDefinition, path: str) -> Defects:
    known = {attribute.name: attribute for attribute in own.attributes}
    for at, attribute in enumerate(definition.attributes):
        place = f"{path}.attributes[{at}]"
        real = known.get(attribute.name)
        if real is None:
            yield unknown(f"{place}.name", f"A {definition.name} has no attribute", attribute.name, known)
            continue
        for member, told, is_so in (
            ("type", attribute.type, real.type),
            ("multivalued", attribute.multivalued, real.multivalued),
        ):
            if told != is_so:
                what = f"'{attribute.name}' has {member} {is_so} at the target, not {told}."
                yield Defect(f"{place}.{member}", what, f"Set it to {is_so}.")
