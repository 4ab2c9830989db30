"""What a source reports: entries, containers, memberships and deletes, page by page.

The first room of the walk: `connectors/*/source` makes these, the agent carries them, `engine/cycle` consumes them.
Nothing here knows a directory's kind. All values are immutable once made.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

import msgspec

if TYPE_CHECKING:
    Value = str | bytes
else:
    # msgspec decodes no union of text and bytes, though msgpack tells them apart; `check_texts` refuses the rest.
    Value = Any
"""One value of an attribute: text, or bytes where the directory's schema says binary. Numbers and Booleans are text."""

Values = tuple[Value, ...]
"""All values of an attribute, in the source's order. Never empty: an absent attribute has no key."""


class Entry(msgspec.Struct, frozen=True, gc=False, omit_defaults=True):
    """A person or group as the source has it now: whole, but for memberships.

    Attributes:
        anchor: its unchanging id in the source. For Active Directory the objectGUID in lower case with dashes.
        object_type: the source object's name in the schema document, for instance `user`.
        name: the value of its own naming attribute (cn), unescaped.
        container: anchor of the container it lies in; None where the source has no tree.
        attributes: by the schema document's spelling; an absent attribute has no key.
        references: short references (manager) as anchors. Memberships come as `ReferenceDelta`.
        unknown: attributes that exist but could not be read; they flow nowhere and clear nothing.
        faults: attributes whose value cannot be carried, with the reason (bad UTF-8, NUL).
    """

    anchor: str
    object_type: str
    name: str
    container: str | None = None
    attributes: dict[str, Values] = {}
    references: dict[str, tuple[str, ...]] = {}
    unknown: tuple[str, ...] = ()
    faults: dict[str, str] = {}

    def first(self, attribute: str) -> Value | None:
        """Give the first value of an attribute, or None where it is absent."""
        values = self.attributes.get(attribute)
        return values[0] if values else None


class Tombstone(msgspec.Struct, frozen=True, gc=False, omit_defaults=True):
    """Positive evidence that an entry was deleted."""

    anchor: str
    name: str = ""
    object_type: str = ""


class Container(msgspec.Struct, frozen=True, gc=False, omit_defaults=True):
    """A node of the source's tree. Entries name it by its anchor, so a rename changes one row."""

    anchor: str
    parent: str | None
    name: str
    deleted: bool = False


class ReferenceDelta(msgspec.Struct, frozen=True, gc=False, omit_defaults=True):
    """Values of a reference attribute that came and went, cut into parts however many there are.

    Attributes:
        owner: the entry that holds the attribute.
        attribute: source attribute, for instance `member`.
        added, removed: anchors at the other end.
        whole: the parts together are the complete present list; what no part named is gone.
        part: number of this part, from 0; a part 0 starts the list afresh.
        end: this is the last part. Only then is anything removed because it was not named.
    """

    owner: str
    attribute: str
    added: tuple[str, ...] = ()
    removed: tuple[str, ...] = ()
    whole: bool = False
    part: int = 0
    end: bool = True


class BackReferences(msgspec.Struct, frozen=True, gc=False, omit_defaults=True):
    """All owners that refer to one entry, read for an entry that was reanimated.

    A directory deletes references to a deleted entry silently and may or may not bring them back with it. This is the
    complete truth for one `referenced` and one `attribute`.
    """

    referenced: str
    attribute: str
    owners: tuple[str, ...] = ()


class Watermark(msgspec.Struct, frozen=True):
    """How far a source was read. `position` is opaque outside its connector.

    Attributes:
        replica: which copy of the directory it belongs to (host and invocation id of a domain controller).
    """

    replica: str
    position: bytes


class ChangePage(msgspec.Struct, frozen=True, omit_defaults=True):
    """One page of an answer, of a change stream as of a read by anchors.

    Attributes:
        not_visible: anchors asked for that are neither live nor tombstone. No evidence of anything.
        watermark: set where everything up to it has been handed out; None in the middle.
        idle: the watermark differs from the one given only in form; nothing moved.
        last: the stream is complete. A stream that ends without such a page was cut off.
        estimate: how many entries the whole stream is expected to have; None where unknown.
    """

    entries: tuple[Entry, ...] = ()
    deleted: tuple[Tombstone, ...] = ()
    containers: tuple[Container, ...] = ()
    references: tuple[ReferenceDelta, ...] = ()
    back_references: tuple[BackReferences, ...] = ()
    not_visible: tuple[str, ...] = ()
    watermark: Watermark | None = None
    idle: bool = False
    last: bool = False
    estimate: int | None = None


class Selection(msgspec.Struct, frozen=True):
    """What a job wants to know: source object types and, for each, attributes and reference attributes.

    Attributes:
        attributes: by object type, plain attributes, schema spelling.
        references: by object type, short reference attributes carried in the entry (manager).
        memberships: by object type, reference attributes that travel as `ReferenceDelta` (member).
        binary: attributes whose values are bytes.
    """

    attributes: dict[str, tuple[str, ...]]
    references: dict[str, tuple[str, ...]] = {}
    memberships: dict[str, tuple[str, ...]] = {}
    binary: tuple[str, ...] = ()

    @property
    def object_types(self) -> tuple[str, ...]:
        return tuple(self.attributes)


def text_fault(value: str) -> str | None:
    """Say why a text cannot be kept, or None where it can.

    PostgreSQL keeps no NUL and UTF-8 has no lone surrogates; both would fail a whole page far from their cause.
    """
    if "\x00" in value:
        return f"holds a NUL character at position {value.index(chr(0)) + 1}"
    if value.isascii():
        return None
    try:
        value.encode("utf-8")
    except UnicodeEncodeError as error:
        return f"holds half of a surrogate pair at position {error.start + 1}"
    return None


def storable(name: str) -> str:
    """Give a name in a form that can be kept, with a mark in place of what cannot."""
    return name if text_fault(name) is None else name.encode("utf-8", "replace").decode().replace("\x00", "\ufffd")


def kind_fault(value: object) -> str | None:
    """Say why a value that is no text cannot be kept."""
    return None if isinstance(value, bytes) else f"is of type {type(value).__name__}, neither text nor bytes"


def check_texts(
    attributes: Mapping[str, Values], faults: Mapping[str, str]
) -> tuple[dict[str, Values], dict[str, str]]:
    """Part the attributes that can be carried from those that cannot.

    Returns:
        The sound attributes, and the faults with those found here added.
    """
    found = dict(faults)
    for name, values in attributes.items():
        for value in values:
            fault = text_fault(value) if isinstance(value, str) else kind_fault(value)
            if fault is not None:
                found[name] = fault
                break
    if len(found) == len(faults):
        return dict(attributes), found
    return {name: values for name, values in attributes.items() if name not in found}, found
