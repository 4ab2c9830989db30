"""A row of the provisioning log.

Flat fields are what people filter by; `Detail` holds the rest and is stored as one compressed value. Steps are codes
with parameters, put into words when they are read, so that a million rows stay small.
"""

from __future__ import annotations

from datetime import datetime
from enum import StrEnum
from uuid import UUID

import msgspec

from dirbridge.contract.export import Action, Fault


class Status(StrEnum):
    """Graph's provisioningResult."""

    SUCCESS = "success"
    FAILURE = "failure"
    SKIPPED = "skipped"
    WARNING = "warning"


class StepType(StrEnum):
    """Graph's provisioningStepType."""

    IMPORT = "import"
    SCOPING = "scoping"
    MATCHING = "matching"
    PROCESSING = "processing"
    REFERENCE_RESOLUTION = "referenceResolution"
    EXPORT = "export"


class Step(msgspec.Struct, frozen=True, gc=False, array_like=True):
    """One step that ran. `code` is Graph's step name, such as `EntryExportAdd`; `details` fill its sentence."""

    code: str
    type: StepType
    status: Status
    details: dict[str, str] = {}


class ModifiedProperty(msgspec.Struct, frozen=True, gc=False, array_like=True):
    """A target attribute with its value before and after, as text."""

    name: str
    old: str | None
    new: str | None


class Detail(msgspec.Struct, frozen=True, gc=False):
    """The part of an event that nobody filters by."""

    steps: tuple[Step, ...] = ()
    modified: tuple[ModifiedProperty, ...] = ()
    fault: Fault | None = None


class Event(msgspec.Struct, frozen=True, gc=False):
    """What happened to one entry, once.

    Attributes:
        id: GUID of the row. change: GUID of the change, the join key across exports.
        reason: code of the skip or error, empty on success.
        duration: milliseconds from import to outcome.
    """

    id: UUID
    at: datetime
    job: str
    cycle: UUID
    change: UUID
    action: Action
    status: Status
    reason: str
    source_id: str
    source_type: str
    source_name: str
    target_id: str
    target_type: str
    target_name: str
    duration: int
    detail: Detail
