"""What the engine asks of a target, and what became of it."""

from __future__ import annotations

from enum import StrEnum

import msgspec

from dirbridge.contract.entry import Value

TargetValue = str | bool | int | bytes | tuple[Value, ...] | None
"""A mapped value: text, Boolean, number, bytes, or several. None clears the attribute."""


class Action(StrEnum):
    """Graph's provisioningAction."""

    CREATE = "create"
    UPDATE = "update"
    DISABLE = "disable"
    DELETE = "delete"
    STAGED_DELETE = "stagedDelete"
    OTHER = "other"


class Export(msgspec.Struct, frozen=True, gc=False):
    """One write to a target object.

    Attributes:
        anchor: the source anchor, for the link and the log.
        object_type: the target object's name in the schema document, for instance `User`.
        target: the target anchor; None for a create that matched nothing.
        wanted: for create the whole entry; for update only what changes. Keyed by target attribute name.
        restore: the object lies in the recycle bin and comes back with this export.
    """

    anchor: str
    object_type: str
    action: Action
    target: str | None
    wanted: dict[str, TargetValue]
    restore: bool = False


class Fault(msgspec.Struct, frozen=True, gc=False):
    """Why one entry failed: the four parts of every error."""

    code: str
    reason: str
    recommended_action: str = ""
    details: dict[str, str] = {}


class Outcome(msgspec.Struct, frozen=True, gc=False):
    """What became of one export.

    Attributes:
        target: the target anchor, also of what was just created.
        error: None on success.
        collision: the unique value that is held by another, as `kind:folded value`; retried when it is freed.
        notes: what the target did otherwise than asked, each a sentence (a UPN in an unverified domain).
        transient: the error may be gone when it is tried again soon (busy, timed out). What the target has is unknown.
        freed: unique values that this gave up, as `kind:folded value`.
        stale: what was known of the target object does not hold: it is there already, or no more. It is looked up
            afresh and exported once more.
        kept: code of why the target leaves the object as it is: no error, nothing was written, and nothing is tried
            again until the entry changes.
    """

    anchor: str
    target: str | None
    error: Fault | None = None
    collision: str | None = None
    notes: tuple[str, ...] = ()
    freed: tuple[str, ...] = ()
    transient: bool = False
    stale: bool = False
    kept: str = ""


class Match(msgspec.Struct, frozen=True, gc=False):
    """Target objects that an entry could be.

    Attributes:
        attribute: the target attribute by whose value they were found.
        targets: their anchors, at least one; several where the value does not tell them apart.
        soft: found by a name that may have changed hands: an object that another entry has is not this entry's.
    """

    attribute: str
    targets: tuple[str, ...]
    soft: bool = False


class Reference(msgspec.Struct, frozen=True, gc=False):
    """A reference between two target objects: target anchors, target attribute name."""

    owner: str
    attribute: str
    referenced: str


class ReferenceFault(msgspec.Struct, frozen=True, gc=False):
    """Why references of one owner were not written.

    Attributes:
        owner: its target anchor; none of its references of this call were written, or it is unknown which.
        transient: it may go well when it is tried again soon.
        gone: target anchor of the object that is not there any more, the owner or one that it was to refer to.
    """

    owner: str
    fault: Fault
    transient: bool = False
    gone: str | None = None
