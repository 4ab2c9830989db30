"""A cloud application in memory: what stands behind `MemoryTarget`, with what such applications do to their callers.

It speaks in HTTP's status codes. It makes ids, keeps some attributes unique, puts what is deleted into a recycle bin,
and takes only so many references a request. Troubles come as they are laid down beforehand, or by chance.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from email.utils import format_datetime
from enum import StrEnum
from uuid import UUID

from dirbridge.contract.export import TargetValue

MOST_REFERENCES = 20
"""References that one request may carry."""

MOST_IN_BATCH = 20
"""Requests that one batch may carry, as in Graph's $batch."""

UNIQUE = ("SourceAnchor", "UserPrincipalName")
"""Attributes that only one live object of a kind may have the same value of; case does not count."""

KEPT = frozenset({"User", "Group"})
"""Kinds of which what is deleted lies in the bin; of others nothing is left."""

_NAMES = ("DisplayName", "SourceAnchor", "UserPrincipalName")

SINGLE = ("Manager",)
"""References of which an object has one."""


class Operation(StrEnum):
    """What can be asked."""

    CREATE = "create"
    UPDATE = "update"
    DELETE = "delete"
    READ = "read"
    FIND = "find"
    REFER = "refer"
    BATCH = "batch"


@dataclass(slots=True)
class Record:
    """One object. `references` are ids by attribute; what lies in the bin has none."""

    id: str
    kind: str
    values: dict[str, TargetValue]
    references: dict[str, list[str]] = field(default_factory=dict)
    deleted: bool = False


@dataclass(frozen=True, slots=True)
class Request:
    """One request: `about` is every name that the object in question has, to lay troubles for it."""

    operation: Operation
    about: frozenset[str] = frozenset()


@dataclass(slots=True)
class Trouble:
    """What goes wrong, once or several times.

    Attributes:
        status: what is answered; 0 answers nothing, so the caller waits in vain.
        done: the share of the request that is carried out all the same: 0 nothing, 1 all of it.
        retry_after: for 429 and 503: seconds to be left alone, told as a number or as a date; None tells nothing.
        as_date: tell it as a date.
        operations: which requests it befalls; none named is all.
        about: a name of the object that it befalls; empty befalls any.
        times: how often.
    """

    status: int
    done: float = 0.0
    retry_after: float | None = None
    as_date: bool = False
    operations: frozenset[Operation] = frozenset()
    about: str = ""
    times: int = 1

    def befalls(self, request: Request) -> bool:
        """Tell whether this request meets it."""
        return (
            self.times > 0
            and (not self.operations or request.operation in self.operations)
            and (not self.about or self.about in request.about)
        )


@dataclass(frozen=True, slots=True)
class Answer:
    """What comes back.

    Attributes:
        id: of the object that was made.
        said: the application's own words.
        parts: of a batch, an answer for each of its requests.
    """

    status: int
    id: str = ""
    said: str = ""
    retry_after: str | None = None
    parts: tuple[Answer, ...] = ()


class NoAnswer(Exception):
    """The caller waited in vain. Whether anything was done, it cannot know."""


class Unreachable(Exception):
    """There is nobody to ask."""


Work = Callable[[], Answer]


class Cloud:
    """The application.

    Args:
        clock: its own time.
        new_id: makes ids.

    Attributes:
        troubles: met by the first request that fits each.
        chance: asked for every request that no trouble befell.
        accepts: whether the caller's credential is good.
        reachable: whether anybody is there.
        impatient: requests that came although it had asked to be left alone.
        requests: how many of each kind were carried out.
    """

    def __init__(self, clock: Callable[[], datetime], new_id: Callable[[], UUID]) -> None:
        self.records: dict[str, Record] = {}
        self.troubles: list[Trouble] = []
        self.chance: Callable[[Request], Trouble | None] = lambda _request: None
        self.accepts = True
        self.reachable = True
        self.impatient = 0
        self.requests: dict[Operation, int] = dict.fromkeys(Operation, 0)
        self._clock = clock
        self._new_id = new_id
        self._closed_until: datetime | None = None

    # Requests -------------------------------------------------------------------------------------------------------

    def create(self, kind: str, values: Mapping[str, TargetValue]) -> Answer:
        """Make an object: 201 with its id, or 409."""
        return self._take(Request(Operation.CREATE, _names(values)), lambda: self._create(kind, values))

    def update(self, id: str, values: Mapping[str, TargetValue], *, restore: bool = False) -> Answer:
        """Change an object, None clearing an attribute; perhaps bring it back from the bin first."""
        about = self._about(id, values)
        return self._take(Request(Operation.UPDATE, about), lambda: self._update(id, values, restore=restore))

    def delete(self, id: str) -> Answer:
        """Delete an object, into the bin where its kind has one; its references, and those to it, go."""
        return self._take(Request(Operation.DELETE, self._about(id)), lambda: self._delete(id))

    def batch(self, parts: Sequence[tuple[Request, Work]]) -> Answer:
        """Carry out several requests, each with an answer of its own."""
        if len(parts) > MOST_IN_BATCH:
            return Answer(400, said=f"A batch has {MOST_IN_BATCH} requests at most, not {len(parts)}")

        def carry_out(share: float) -> Answer:
            answers = [self._alone(*part) for part in parts[: round(len(parts) * share)]]
            return Answer(200, parts=tuple(answers))

        return self._meet(Request(Operation.BATCH, frozenset().union(*(part[0].about for part in parts))), carry_out)

    def part(self, operation: Operation, id: str, kind: str, values: Mapping[str, TargetValue]) -> tuple[Request, Work]:
        """Make a request of a batch."""
        match operation:
            case Operation.CREATE:
                return Request(operation, _names(values)), lambda: self._create(kind, values)
            case Operation.DELETE:
                return Request(operation, self._about(id)), lambda: self._delete(id)
        return Request(operation, self._about(id, values)), lambda: self._update(id, values, restore=False)

    def read(self, ids: Iterable[str]) -> tuple[Answer, list[Record]]:
        """Give objects, those in the bin too."""
        found = [self.records[id] for id in ids if id in self.records]
        return self._take(Request(Operation.READ), lambda: Answer(200)), found

    def find(self, kind: str, attribute: str, values: Iterable[str]) -> tuple[Answer, list[Record]]:
        """Find objects by an attribute, those in the bin last; case does not count."""
        wanted = {fold(value) for value in values}
        found = [
            record
            for record in sorted(self.records.values(), key=lambda r: (r.deleted, r.id))
            if record.kind == kind and fold(record.values.get(attribute)) in wanted
        ]
        return self._take(Request(Operation.FIND), lambda: Answer(200)), found

    def refer(self, owner: str, attribute: str, added: Sequence[str], removed: Sequence[str]) -> Answer:
        """Change the references of an object: 204; 404 where it is gone; 400 naming an id that is nobody's."""
        about = self._about(owner).union(*(self._about(other) for other in (*added, *removed)))
        return self._take(Request(Operation.REFER, about), lambda: self._refer(owner, attribute, added, removed))

    # What befalls them ----------------------------------------------------------------------------------------------

    def _take(self, request: Request, work: Work) -> Answer:
        return self._meet(request, lambda share: work() if share >= 0.5 else Answer(200))

    def _meet(self, request: Request, work: Callable[[float], Answer]) -> Answer:
        if not self.reachable:
            raise Unreachable
        if not self.accepts:
            return Answer(401, said="The credential is not known")
        now = self._clock()
        if self._closed_until is not None and now < self._closed_until:
            self.impatient += 1
            return Answer(
                429, said="Too many requests", retry_after=self._told(self._closed_until - now, as_date=False)
            )
        trouble = self._trouble(request)
        if trouble is None:
            self.requests[request.operation] += 1
            return work(1.0)
        work(trouble.done)
        if trouble.status == 0:
            raise NoAnswer
        told = None
        if trouble.retry_after is not None:
            span = timedelta(seconds=trouble.retry_after)
            self._closed_until = now + span
            told = self._told(span, as_date=trouble.as_date)
        return Answer(trouble.status, said="Trouble", retry_after=told)

    def _alone(self, request: Request, work: Work) -> Answer:
        """One request of a batch: its troubles are its own."""
        trouble = self._trouble(request)
        if trouble is None:
            self.requests[request.operation] += 1
            return work()
        if trouble.done:
            work()
        return Answer(trouble.status or 504, said="Trouble")

    def _trouble(self, request: Request) -> Trouble | None:
        for trouble in self.troubles:
            if trouble.befalls(request):
                trouble.times -= 1
                return trouble
        return self.chance(request)

    def _told(self, span: timedelta, *, as_date: bool) -> str:
        if as_date:  # whole seconds, rounded up: who comes then is not too early
            return format_datetime((self._clock() + span + timedelta(seconds=1)).replace(microsecond=0), usegmt=True)
        return str(int(span.total_seconds()) + 1)

    # The objects ----------------------------------------------------------------------------------------------------

    def purge(self, id: str) -> None:
        """Remove an object for good, by hand."""
        self._delete(id)
        self.records.pop(id, None)

    def live(self, kind: str) -> list[Record]:
        """Give the objects of a kind that are not in the bin."""
        return [record for record in self.records.values() if record.kind == kind and not record.deleted]

    def _create(self, kind: str, values: Mapping[str, TargetValue]) -> Answer:
        taken = self._taken(kind, values, "")
        if taken:
            return taken
        made = Record(str(self._new_id()), kind, _without_none(values))
        self.records[made.id] = made
        return Answer(201, id=made.id)

    def _update(self, id: str, values: Mapping[str, TargetValue], *, restore: bool) -> Answer:
        record = self.records.get(id)
        if record is None or (record.deleted and not restore):
            return Answer(404, said=f"There is no object {id}")
        after = _without_none({**record.values, **values})
        taken = self._taken(record.kind, after, id)
        if taken:
            return taken
        record.values, record.deleted = after, False
        return Answer(204)

    def _delete(self, id: str) -> Answer:
        record = self.records.get(id)
        if record is None or record.deleted:
            return Answer(404, said=f"There is no object {id}")
        record.deleted, record.references = True, {}
        if record.kind not in KEPT:
            del self.records[id]
        for other in self.records.values():
            for ids in other.references.values():
                if id in ids:
                    ids.remove(id)
        return Answer(204)

    def _refer(self, owner: str, attribute: str, added: Sequence[str], removed: Sequence[str]) -> Answer:
        record = self.records.get(owner)
        if record is None or record.deleted:
            return Answer(404, id=owner, said=f"There is no object {owner}")
        if len(added) + len(removed) > MOST_REFERENCES:
            return Answer(400, said=f"A request has {MOST_REFERENCES} references at most")
        for other in added:
            if other not in self.records or self.records[other].deleted:
                return Answer(400, id=other, said=f"There is no object {other} to refer to")
        held = [id for id in record.references.get(attribute, []) if id not in removed]
        if attribute in SINGLE and added:
            held = []
        record.references[attribute] = held + [id for id in added if id not in held]
        return Answer(204)

    def _taken(self, kind: str, values: Mapping[str, TargetValue], id: str) -> Answer | None:
        for attribute in UNIQUE:
            wanted = fold(values.get(attribute))
            for other in self.live(kind) if wanted else ():
                if other.id != id and fold(other.values.get(attribute)) == wanted:
                    return Answer(409, said=f"Another object has the same value for property {attribute}")
        return None

    def _about(self, id: str, values: Mapping[str, TargetValue] | None = None) -> frozenset[str]:
        record = self.records.get(id)
        return frozenset({id}) | _names(record.values if record else {}) | _names(values or {})


def _names(values: Mapping[str, TargetValue]) -> frozenset[str]:
    return frozenset(
        str(values[name]) for name in ("DisplayName", "SourceAnchor", "UserPrincipalName") if name in values
    )


def _without_none(values: Mapping[str, TargetValue]) -> dict[str, TargetValue]:
    return {name: value for name, value in values.items() if value is not None}


def fold(value: TargetValue) -> str:
    """Bring a value into the form in which the application compares it."""
    return "" if value is None else str(value).casefold()
