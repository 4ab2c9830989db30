"""The faces that every outside system shows: `Source` is read, `Target` is written.

The engine knows these and nothing of what stands behind them; it asks `Capabilities`, never the kind.
"""

from __future__ import annotations

from collections.abc import AsyncGenerator, AsyncIterator, Mapping, Sequence
from typing import Protocol, TypeVar, runtime_checkable

import msgspec

from dirbridge.contract.entry import ChangePage, Selection, Watermark
from dirbridge.contract.export import Export, Match, Outcome, Reference, ReferenceFault, TargetValue
from dirbridge.contract.schema import ObjectDefinition
from dirbridge.contract.wire import CheckReport, Listing, Located

Unit = TypeVar("Unit", contravariant=True)


class Capabilities(msgspec.Struct, frozen=True):
    """What a target can do, as data.

    Attributes:
        joins_transaction: its writes commit together with links and log, so each happens exactly once.
        soft_deletes: the object types of which a deleted object can be restored with the same id. Of others nothing is
            left: what comes back is another object.
        most_references: how many references one call of `refer` may carry; None where any number.
        is_guarded: the tenant's guard against deletes by accident holds for what is deleted there.
    """

    joins_transaction: bool = False
    soft_deletes: frozenset[str] = frozenset()
    most_references: int | None = None
    is_guarded: bool = False


class Source(Protocol):
    """A directory that is read.

    Every method raises `CredentialError` or `ConfigurationError` where somebody must act, `TransientError` where
    waiting helps, and never returns less than was asked without an error: a cap, a referral or a time-out is a failed
    read.
    """

    def changes(self, selection: Selection, since: Watermark | None) -> AsyncIterator[ChangePage]:
        """Stream what changed since a watermark, or everything.

        The last page has `last` set; a stream without one was cut and raises. A page's watermark is set only when
        everything before it has been handed out.

        Raises:
            WatermarkExpired: the position is no longer accepted; a full read is the only way on.
        """
        ...

    def read(self, selection: Selection, anchors: Sequence[str]) -> AsyncIterator[ChangePage]:
        """Read anchors afresh: each comes back as entry, tombstone or not visible, memberships whole."""
        ...

    async def locate(self, names: Sequence[str]) -> Sequence[Located]:
        """Find what names stand for, in their order. A name that stands for several things is none."""
        ...

    async def schema(self, object_types: Sequence[str]) -> Sequence[ObjectDefinition]:
        """Tell which attributes entries of these types may have; a type that the directory does not know is missing."""
        ...

    async def check(self) -> CheckReport:
        """Prove that the directory can be read, deleted objects included."""
        ...


@runtime_checkable
class Replicated(Protocol):
    """A source whose directory has several copies, which do not hold the same at the same moment."""

    def read_at(self, replica: str, selection: Selection, anchors: Sequence[str]) -> AsyncIterator[ChangePage]:
        """Read anchors afresh, as `Source.read` does, in the copy that a watermark is of."""
        ...


@runtime_checkable
class Browsed(Protocol):
    """A source in which people look around, to choose what a job takes."""

    async def browse(self, below: str | None) -> Listing:
        """List the containers directly in one; the head of the directory where it is None."""
        ...

    async def search(self, text: str, object_types: Sequence[str], most: int) -> Listing:
        """Find entries of these types, or containers, by a part of their name."""
        ...


@runtime_checkable
class Watched(Protocol):
    """A source whose directory can say by itself that something changed."""

    def watch(self) -> AsyncGenerator[None, None]:
        """Listen on a connection of its own: gives one item once listening has begun, and one after each change.

        What changed it does not tell: changes are read from the watermark as ever, so nothing is lost where one item
        stands for many changes or none. It never ends by itself.

        Raises:
            ConfigurationError: `NotificationUnsupported` where this directory cannot.
            TransientError, CredentialError: as when reading.
        """
        ...


class Target(Protocol[Unit]):
    """A directory that is written.

    Every method raises for the target as a whole: `CredentialError` or `ConfigurationError` where somebody must act,
    `Throttled` where it asks for patience, `TransientError` where it cannot be reached. What concerns one object only
    is in that object's outcome.
    """

    @property
    def capabilities(self) -> Capabilities:
        """What this target can do."""
        ...

    async def authenticate(self, unit: Unit) -> None:
        """Prove at the beginning of a cycle that who we are is accepted, and that the target answers."""
        ...

    async def find(
        self,
        unit: Unit,
        object_type: str,
        wanted: Sequence[tuple[str, Mapping[str, TargetValue]]],
        attributes: Sequence[str] = (),
    ) -> dict[str, Match]:
        """Match new entries with objects that exist, whoever has them.

        Args:
            wanted: source anchors and mapped values.
            attributes: target attributes by whose values objects are looked for, one after the other, before the
                target's own rules; the first that finds anything decides. Case does not count.

        Returns:
            By source anchor; what matches nothing is missing.
        """
        ...

    async def read(self, unit: Unit, targets: Sequence[str]) -> dict[str, Mapping[str, TargetValue]]:
        """Give the present values of objects, as the engine last could have written them. Absent ones are missing."""
        ...

    async def export(self, unit: Unit, batch: Sequence[Export]) -> list[Outcome]:
        """Write a batch, or as much of it as one request carries; one that fails does not stop the others.

        Returns:
            An outcome for every export that was begun, at least one. What has none was not begun and is handed in
            again; a target that joins our transaction leaves none out. An object is deleted also where it was gone.

        Raises:
            TransientError, CredentialError: nothing of this call was begun.
        """
        ...

    async def refer(
        self, unit: Unit, added: Sequence[Reference], removed: Sequence[Reference]
    ) -> Sequence[ReferenceFault]:
        """Take away and add references between objects that both exist; what is so already is no fault.

        Args:
            added, removed: of one owner where the target does not join our transaction, no more than
                `capabilities.most_references` together, the old and the new value of a single one in one call.
        """
        ...
