"""Writing a `Cloud`, as a target whose writes do not join our transaction.

Whatever is not certain is looked up: an answer that was lost, an object that is there already or no more.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from datetime import datetime
from typing import Any, ParamSpec, TypeVar

from dirbridge.connectors import answers
from dirbridge.connectors.memory.cloud import (
    KEPT,
    MOST_IN_BATCH,
    MOST_REFERENCES,
    Answer,
    Cloud,
    NoAnswer,
    Operation,
    Record,
    Unreachable,
    fold,
)
from dirbridge.connectors.protocol import Capabilities
from dirbridge.contract.errors import TransientError
from dirbridge.contract.export import Action, Export, Match, Outcome, Reference, ReferenceFault, TargetValue

P = ParamSpec("P")
R = TypeVar("R")

_OWN = ("SourceAnchor", "UserPrincipalName")

DELETED = "IsSoftDeleted"
"""Pseudo attribute of what lies in the recycle bin."""


class MemoryTarget:
    """A target over a `Cloud`.

    Args:
        clock: the caller's time, for Retry-After.
        in_batches: send many exports in one request.
    """

    capabilities = Capabilities(soft_deletes=KEPT, most_references=MOST_REFERENCES)

    def __init__(self, cloud: Cloud, clock: Callable[[], datetime], *, in_batches: bool = False) -> None:
        self.cloud = cloud
        self._clock = clock
        self._in_batches = in_batches

    async def authenticate(self, unit: Any) -> None:
        """Ask for nothing, which is refused to whom the application does not know."""
        await self.read(unit, [])

    async def find(
        self,
        unit: Any,
        object_type: str,
        wanted: Sequence[tuple[str, Mapping[str, TargetValue]]],
        attributes: Sequence[str] = (),
    ) -> dict[str, Match]:
        """Match as asked, then by source anchor, then by sign-in name among live objects that have no source anchor."""
        del unit
        found: dict[str, Match] = {}
        for attribute in (*attributes, *(own for own in _OWN if own not in attributes)):
            asked = [(fold(v[attribute]), anchor) for anchor, v in wanted if v.get(attribute) and anchor not in found]
            answer, records = self._ask(self.cloud.find, object_type, attribute, [value for value, _ in asked])
            self._check(answer)
            soft = attribute == "UserPrincipalName" and attribute not in attributes
            there: dict[str, list[Record]] = {}
            for record in records:
                if not (soft and record.values.get("SourceAnchor")):
                    there.setdefault(fold(record.values[attribute]), []).append(record)
            for value, anchor in asked:
                live = [record.id for record in there.get(value, ()) if not record.deleted]
                binned = [record.id for record in there.get(value, ()) if attribute == "SourceAnchor"]
                if live or binned:
                    found[anchor] = Match(attribute, tuple(live or binned[:1]), soft=soft)
        return found

    async def read(self, unit: Any, targets: Sequence[str]) -> dict[str, Mapping[str, TargetValue]]:
        """Give present values, with a mark on what lies in the bin."""
        del unit
        answer, records = self._ask(self.cloud.read, targets)
        self._check(answer)
        return {record.id: {**record.values, DELETED: True} if record.deleted else record.values for record in records}

    async def export(self, unit: Any, batch: Sequence[Export]) -> list[Outcome]:
        """Write the first export, or as many as one request carries."""
        del unit
        together = [export for export in batch if not export.restore][:MOST_IN_BATCH]
        if self._in_batches and len(together) > 1:
            return self._batch(together)
        export = batch[0]
        try:
            answer = self._ask(self._write, export)
        except _Silence:
            return [_unknown(export)]
        self._check(answer)
        return [_outcome(export, answer)]

    def _write(self, export: Export) -> Answer:
        if export.target is None:
            return self.cloud.create(export.object_type, export.wanted)
        if export.action is Action.DELETE:
            return self.cloud.delete(export.target)
        return self.cloud.update(export.target, export.wanted, restore=export.restore)

    def _batch(self, batch: Sequence[Export]) -> list[Outcome]:
        parts = [self.cloud.part(_operation(e), e.target or "", e.object_type, e.wanted) for e in batch]
        try:
            answer = self._ask(self.cloud.batch, parts)
        except _Silence:
            return [_unknown(export) for export in batch]
        self._check(answer)
        if answer.status != 200:
            return [_outcome(export, answer) for export in batch]
        whole = [answers.of_the_whole(part.status, part.retry_after, self._clock()) for part in answer.parts]
        if all(whole) and whole[0] is not None:
            raise whole[0]
        outcomes = zip(batch, answer.parts, whole, strict=True)
        return [_outcome(export, part) for export, part, throttled in outcomes if throttled is None]

    async def refer(
        self, unit: Any, added: Sequence[Reference], removed: Sequence[Reference]
    ) -> Sequence[ReferenceFault]:
        """Change the references of one owner, one attribute a request."""
        del unit
        for attribute in sorted({reference.attribute for reference in (*added, *removed)}):
            come = [r.referenced for r in added if r.attribute == attribute]
            go = [r.referenced for r in removed if r.attribute == attribute]
            owner = (*added, *removed)[0].owner
            try:
                answer = self._ask(self.cloud.refer, owner, attribute, come, go)
            except _Silence:
                return [ReferenceFault(owner, answers.silence(), transient=True)]
            self._check(answer)
            if answer.status >= 400:
                fault, transient = answers.fault(answer.status, answer.said), answers.is_transient(answer.status)
                return [ReferenceFault(owner, fault, transient=transient, gone=answer.id or None)]
        return []

    def _ask(self, request: Callable[P, R], *args: P.args, **kwargs: P.kwargs) -> R:
        try:
            return request(*args, **kwargs)
        except Unreachable as error:
            raise TransientError(
                "The target cannot be reached: the connection is refused.",
                code="TargetUnreachable",
                recommended_action="See that the target runs and that nothing on the way there refuses connections.",
            ) from error
        except NoAnswer as error:
            raise _Silence from error

    def _check(self, answer: Answer) -> None:
        """Raise what an answer means for the target as a whole."""
        error = answers.of_the_whole(answer.status, answer.retry_after, self._clock())
        if error is not None:
            raise error


class _Silence(TransientError):
    """No answer came in time: nothing is known of what was asked. Of a question, it is asked again another time."""

    code = answers.TIMEOUT

    def __init__(self) -> None:
        super().__init__(answers.silence().reason)


def _operation(export: Export) -> Operation:
    if export.target is None:
        return Operation.CREATE
    return Operation.DELETE if export.action is Action.DELETE else Operation.UPDATE


def _unknown(export: Export) -> Outcome:
    return Outcome(export.anchor, export.target, error=answers.silence(), transient=True)


def _outcome(export: Export, answer: Answer) -> Outcome:
    if answer.status < 400 or (answer.status == 404 and export.action is Action.DELETE):
        return Outcome(export.anchor, export.target or answer.id)
    return Outcome(
        export.anchor,
        export.target,
        error=answers.fault(answer.status, answer.said),
        transient=answers.is_transient(answer.status),
        stale=answer.status == (409 if export.target is None else 404),
    )
