"""One entry, now: read afresh and taken through the steps of a cycle, each of them shown.

The API calls it for a person who wants to see what becomes of somebody. It waits for the page that a cycle of the job
may be writing just then, no longer; it moves no watermark, and what it did is what a cycle would have done.
"""

from __future__ import annotations

import asyncio
import base64
from datetime import datetime
from functools import partial
from uuid import UUID

import msgspec

from dirbridge.contract.entry import ChangePage, Container, Entry, Value
from dirbridge.contract.errors import EntryError
from dirbridge.contract.event import Event, Status, Step, StepType
from dirbridge.engine import batches, log, looking, membership, plan, policies, provision, scoping
from dirbridge.engine.cycle import macros
from dirbridge.engine.provision import Inside, Outside
from dirbridge.engine.run import Context, Counts, Run, environment
from dirbridge.engine.work import Manner, Work
from dirbridge.store import arrivals, events, jobs, links, removals
from dirbridge.store.database import Connection
from dirbridge.store.links import Link
from dirbridge.store.removals import Removal

SHOWN_VALUES = 5
"""Values of an attribute that are shown; of more, their number is told."""


class Wish(msgspec.Struct, frozen=True):
    """What to provision.

    Attributes:
        name: distinguished name, sign-in name, account name or anchor.
        object_type: the source object type that it must be of; empty takes any.
        regardless_of_scope: provision it although it is not in scope.
    """

    name: str
    object_type: str = ""
    regardless_of_scope: bool = False


class Shown(msgspec.Struct, frozen=True):
    """What became of the entry.

    Attributes:
        event: the row of the log; here its steps tell what each of them saw.
        remark: what the log does not say, a sentence; empty where there is nothing.
    """

    event: Event
    began: datetime
    ended: datetime
    remark: str = ""


async def provision_one(context: Context, tenant: UUID, job_id: str, wish: Wish) -> Shown | None:
    """Provision one entry.

    Returns:
        None where there is no such job.

    Raises:
        ConfigurationError, TransientError: the source cannot be read, or not in time, or the target takes nothing from
            us; nothing was written.
        EntryError: the name stands for nothing that can be provisioned.
    """
    async with context.database.connection() as conn:
        job = await jobs.get(conn, tenant, job_id)
    if job is None:
        return None
    compiled = plan.compile_schema(job.document(), macros(job), await environment(context, tenant))
    policy = policies.of(job.settings)
    run = Run(context, job, compiled, context.new_id(), context.clock(), Counts(), policy=policy)
    try:
        async with asyncio.timeout(looking.PATIENCE):
            async with context.database.transaction() as conn:
                await context.target.authenticate(run.unit(conn, run.began))
            located = await looking.locate(context, job, wish.name, wish.object_type, sorted(run.plan.rules))
            return await _provision(run, wish, located.anchor)
    except TimeoutError as error:
        raise looking.too_late(wish.name) from error


async def _provision(run: Run, wish: Wish, anchor: str) -> Shown:
    """Read the entry and carry out each page of the answer; the one that holds the entry is shown."""
    manner = Manner(
        trust_digest=False, may_disable=True, retry=True, on_demand=True, regardless_of_scope=wish.regardless_of_scope
    )
    told: list[Shown] = []
    async with run.context.database.transaction() as conn:
        await jobs.hold(conn, run.tenant, run.job.id)
        await membership.begin(run, conn)
        run.siblings = tuple(await arrivals.siblings(conn, run.tenant, run.job.id))
    async for answer in run.context.source(run.job).read(run.plan.selection, [anchor]):
        began = run.context.clock()
        async with run.context.database.connection() as conn:
            link = (await links.get(conn, run.tenant, run.job.id, [anchor])).get(anchor)
        entry = next((entry for entry in answer.entries if entry.anchor == anchor), None)
        if entry is not None and run.plan.containers:
            await _read_containers(run, entry, manner)
        tell = partial(_tell, run, entry=entry, link=link, manner=manner, began=began, told=told)
        await batches.carry_out(run, answer, manner, tell)
    if not told:
        raise EntryError(
            f"'{wish.name}' was deleted in {run.job.domain} just now, or hidden from the agent.",
            code="EntryNotFound",
            recommended_action="The next cycle tells what became of it.",
        )
    return told[0]


async def _read_containers(run: Run, entry: Entry, manner: Manner) -> None:
    """Read all containers above an entry: no cycle may have done so yet, or some have moved since."""
    waiting = set(filter(None, [entry.container]))
    seen = set(waiting)
    while waiting:
        found: list[Container] = []
        async for answer in run.context.source(run.job).read(run.plan.selection, sorted(waiting)):
            found += answer.containers
        await batches.carry_out(run, ChangePage(containers=tuple(found)), manner)
        waiting = {container.parent for container in found if container.parent and not container.deleted} - seen
        seen |= waiting


async def _tell(
    run: Run,
    conn: Connection,
    work: Work,
    entry: Entry | None,
    link: Link | None,
    manner: Manner,
    began: datetime,
    told: list[Shown],
) -> None:
    """Say what became of the entry, where this part of the answer had to do with it."""
    if entry is None or entry.anchor not in work.settled | work.events.keys():
        return
    anchor = entry.anchor
    if anchor in work.disabled:
        # It counts against the threshold like any other.
        disabled = Removal(anchor, entry.object_type, "disable", "Disabled")
        await removals.record(conn, run.tenant, run.job.id, [disabled], work.unit.now)
    at_target = {anchor} if link is not None and link.state == "provisioned" else set()
    places = await membership.places(run, conn, [entry], at_target)
    judgement = provision.judge(run.plan, entry, link, work.unit.now, placed=places.of, trust_digest=False)
    event = work.events.get(anchor)
    if event is None:
        event = _nothing(run, judgement, began, work.unit.now)
        await events.write(conn, run.tenant, [event])
    leaves = any(removal.anchor == anchor for removal in work.removals)
    told[:] = [
        Shown(
            event=_in_full(event, entry, link, judgement),
            began=began,
            ended=run.context.clock(),
            remark=_remark(judgement, manner, leaves=leaves),
        )
    ]


def _nothing(run: Run, judgement: provision.Judgement | None, began: datetime, now: datetime) -> Event:
    """Say that nothing was to be done: a cycle writes no row for that, a person who asked is answered."""
    if isinstance(judgement, Outside):
        return log.skipped(run, judgement, now, began)
    assert isinstance(judgement, Inside)
    return log.redundant(run, judgement, now, began)


def _remark(judgement: provision.Judgement | None, manner: Manner, *, leaves: bool) -> str:
    if not isinstance(judgement, Outside):
        return ""
    if leaves:
        return "It was in scope before: the next cycle removes it from the target, unless too many go at once."
    if manner.regardless_of_scope:
        return "It is not in scope: it stays at the target until a cycle reads it again, and is removed then."
    return ""


# The steps in full ----------------------------------------------------------------------------------------------------


def _in_full(event: Event, entry: Entry, link: Link | None, judgement: provision.Judgement | None) -> Event:
    """Tell in each step what it saw: all attributes that were read, and every clause of the scope."""
    steps = [_imported(entry, link), _scoped(entry, judgement)]
    steps += [step for step in event.detail.steps if step.type not in {StepType.IMPORT, StepType.SCOPING}]
    return msgspec.structs.replace(event, detail=msgspec.structs.replace(event.detail, steps=tuple(steps)))


def _imported(entry: Entry, link: Link | None) -> Step:
    values = {name: _text(list(found)) for name, found in sorted(entry.attributes.items())}
    values |= entry.faults
    values |= dict.fromkeys(entry.unknown, "(may not be read)")
    code = "EntryImportAdd" if link is None else "EntryImport"
    return Step(code, StepType.IMPORT, Status.SUCCESS, {"type": entry.object_type, "name": entry.name, **values})


def _text(values: list[Value]) -> str:
    """Write values as Graph does: bytes as base64, of many values the first and how many there are."""
    shown = [base64.b64encode(value).decode() if isinstance(value, bytes) else str(value) for value in values]
    if len(shown) <= SHOWN_VALUES:
        return ", ".join(shown)
    return f"{', '.join(shown[:SHOWN_VALUES])}, ... ({len(shown)})"


def _scoped(entry: Entry, judgement: provision.Judgement | None) -> Step:
    passed = not isinstance(judgement, Outside)
    details = {"type": entry.object_type, "passed": str(passed), "Scoping filter evaluation passed": str(passed)}
    if isinstance(judgement, Outside):
        details["clause"] = judgement.clause
    if isinstance(judgement, Inside) and judgement.rule.enabled is not None:
        details["Active in the source system"] = str(judgement.mapped.values.get(judgement.rule.enabled) is not False)
    if judgement is not None:
        details |= _clauses(judgement, entry)
    status = Status.SUCCESS if passed else Status.SKIPPED
    return Step("EntrySynchronizationScoping", StepType.SCOPING, status, details)


def _clauses(judgement: provision.Judgement, entry: Entry) -> dict[str, str]:
    """Say what each clause of the scope answers, by its text; of one that does not hold, what it met."""
    if not isinstance(judgement, Inside | Outside):
        return {}
    said = {}
    for clause in scoping.explain(judgement.rule.scope, entry):
        text = " ".join(part for part in (clause.group, clause.attribute, clause.operator, clause.operand) if part)
        met = clause.note or f"found {', '.join(clause.met) if clause.met else 'nothing'}"
        said[text] = "True" if clause.passed else f"False: {met}"
    return said
