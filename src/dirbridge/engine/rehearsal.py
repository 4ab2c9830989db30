"""A target outside the transaction as a preview sees it: asked as ever, told nothing.

Called by `preview`, whose copy holds the tenant's rows and no other target's objects. What would be written counts as
written, so that the cycle goes on as it would.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from uuid import UUID

from dirbridge.connectors.protocol import Target
from dirbridge.contract.export import Export, Match, Outcome, Reference, ReferenceFault, TargetValue
from dirbridge.store import links
from dirbridge.store.unit import Unit


class Rehearsal:
    """Stands before a target and lets questions through.

    Args:
        new_id: makes the ids of objects that would be created.
    """

    def __init__(self, target: Target[Unit], new_id: Callable[[], UUID]) -> None:
        self.capabilities = target.capabilities
        self._target = target
        self._new_id = new_id
        self._made: set[str] = set()

    async def authenticate(self, unit: Unit) -> None:
        """Prove that the target takes anything from us."""
        await self._target.authenticate(unit)

    async def find(
        self,
        unit: Unit,
        object_type: str,
        wanted: Sequence[tuple[str, Mapping[str, TargetValue]]],
        attributes: Sequence[str] = (),
    ) -> dict[str, Match]:
        """Match new entries with objects that exist."""
        return await self._target.find(unit, object_type, wanted, attributes)

    async def read(self, unit: Unit, targets: Sequence[str]) -> dict[str, Mapping[str, TargetValue]]:
        """Give present values; of what would have been made, the values that it would have."""
        made = [target for target in targets if target in self._made]
        kept = await links.written_there(unit.conn, unit.tenant, unit.job, [UUID(target) for target in made])
        there = [target for target in targets if target not in self._made]
        return {**kept, **(await self._target.read(unit, there) if there else {})}

    async def export(self, unit: Unit, batch: Sequence[Export]) -> list[Outcome]:
        """Take everything for done."""
        del unit
        outcomes = [Outcome(export.anchor, export.target or str(self._new_id())) for export in batch]
        self._made |= {str(o.target) for o, export in zip(outcomes, batch, strict=True) if export.target is None}
        return outcomes

    async def refer(
        self, unit: Unit, added: Sequence[Reference], removed: Sequence[Reference]
    ) -> Sequence[ReferenceFault]:
        """Take everything for done."""
        del unit, added, removed
        return ()
