"""What one page's transaction gathers on its way through the steps."""

from __future__ import annotations

from datetime import datetime

import msgspec

from dirbridge.contract.entry import Entry
from dirbridge.contract.errors import DirbridgeError
from dirbridge.contract.event import Event
from dirbridge.contract.export import TargetValue
from dirbridge.engine.disposition import Failure
from dirbridge.store.due import Due
from dirbridge.store.links import Link
from dirbridge.store.removals import Removal
from dirbridge.store.unit import Unit


class Manner(msgspec.Struct, frozen=True):
    """How a page is to be taken.

    Attributes:
        stream: it comes from the change stream, not from a read of single anchors.
        trust_digest: what was last written counts as what the target has.
        may_disable: disables have been reviewed and may happen.
        retry: what collides here has collided before: it fails now.
        on_demand: a person asked for it; no cycle holds the job.
        regardless_of_scope: what is not in scope is provisioned all the same.
    """

    stream: bool = False
    trust_digest: bool = True
    may_disable: bool = False
    retry: bool = False
    on_demand: bool = False
    regardless_of_scope: bool = False


class Work(msgspec.Struct):
    """What one page's transaction gathers on its way.

    Attributes:
        rejected: of the disables that may happen, those that a person has rejected meanwhile.
        written: what target objects have now, by anchor.
        left: entries that the target had no time for; they are the page's next batch.
        halted: what the target as a whole answered instead of going on.
        failures: entries that are to be set aside.
        exported: entries of which something was written.
        certain: entries of which it is known whether the target has an object of theirs.
        settled: entries that have an outcome, good or bad: nothing of what was due for them before is due any more.
    """

    unit: Unit
    began: datetime
    known: dict[str, Link]
    links: dict[str, Link] = {}
    events: dict[str, Event] = {}
    due: list[Due] = []
    failures: dict[str, Failure] = {}
    exported: set[str] = set()
    removals: list[Removal] = []
    appeared: set[str] = set()
    revived: set[str] = set()
    freed: set[str] = set()
    certain: set[str] = set()
    settled: set[str] = set()
    disabled: set[str] = set()
    rejected: set[str] = set()
    written: dict[str, dict[str, TargetValue]] = {}
    left: list[Entry] = []
    halted: DirbridgeError | None = None
