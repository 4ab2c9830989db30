"""Which part of the source a job takes: containers and groups that the schema document names, by anchor.

`page` calls `arrive` before it judges a page's entries, `places` for the judging, and `depart` once the page's
references are stored; `removing` calls `places` when it reviews. An entry is taken if it lies in a chosen container, at
any depth, or belongs to a chosen group, at any depth; a rule that names neither takes everything.

What cannot be told is not taken for "outside": an entry whose container is not known waits, and a group that was
deleted or cannot be read keeps whom it had (decision 0015).
"""

from __future__ import annotations

from collections.abc import Collection, Sequence
from datetime import datetime, timedelta
from functools import partial

import msgspec

from dirbridge.contract.entry import ChangePage, Entry, Selection
from dirbridge.contract.errors import EntryError
from dirbridge.contract.event import Event
from dirbridge.contract.export import Fault
from dirbridge.engine import log
from dirbridge.engine.attributes import MEMBER, PRIMARY_GROUP
from dirbridge.engine.plan import ObjectRule, Plan
from dirbridge.engine.provision import EVERYWHERE, Place
from dirbridge.engine.reading import read_in_pages, transaction
from dirbridge.engine.run import Run
from dirbridge.store import containers, due, jobs, scope
from dirbridge.store.database import Connection
from dirbridge.store.due import Due
from dirbridge.store.scope import Group

ASKED_AGAIN = timedelta(hours=6)
"""When a scoping group that cannot be read is read again."""

NOT_READABLE = "MembersNotReadable"


def survey(plan: Plan) -> Selection | None:
    """Say what is read ahead of a full read: the containers, and the groups' members where groups are chosen.

    None where the job takes everything. Nobody is then judged before it is known where they belong.
    """
    if plan.groups:
        types = [kind for kind, names in plan.selection.memberships.items() if MEMBER in names]
        return Selection(dict.fromkeys(types, ()), memberships=dict.fromkeys(types, (MEMBER,)))
    return Selection({}) if plan.containers else None


async def begin(run: Run, conn: Connection) -> None:
    """Make the plan's groups the job's scoping groups; writes nothing where they are. The job is under lock."""
    await scope.choose(conn, run.tenant, run.job.id, run.plan.groups)


# Where an entry belongs -----------------------------------------------------------------------------------------------


class Places(msgspec.Struct, frozen=True):
    """What is known of the places of some entries.

    Attributes:
        lies: by what a rule chooses, whether a container lies in that; None where it cannot be told.
        members: anchors that a chosen group lets in.
        provisioned: anchors that are at the target.
        unread: the name of a chosen group whose members have never been known; empty where there is none.
    """

    lies: dict[tuple[str, ...], dict[str, bool | None]]
    members: set[str]
    provisioned: Collection[str]
    unread: str

    def of(self, entry: Entry, rule: ObjectRule) -> Place:
        """Say whether an entry is taken by what a rule chooses."""
        if not rule.containers and not rule.groups:
            return EVERYWHERE
        lies: bool | None = False
        if rule.containers:
            lies = self.lies[rule.containers].get(entry.container or "")
        if lies or (rule.groups and entry.anchor in self.members):
            return EVERYWHERE
        if lies is None:
            return Place(error=_unknown_container(entry))
        if rule.groups and self.unread:
            if entry.anchor in self.provisioned:
                return EVERYWHERE
            return Place(clause=f"whether it belongs to the chosen group {self.unread} cannot be told")
        return Place(clause=_outside(rule))


async def places(run: Run, conn: Connection, entries: Sequence[Entry], provisioned: Collection[str]) -> Places:
    """Look up where entries belong.

    Args:
        provisioned: anchors of those that are at the target.
    """
    plan, key = run.plan, (conn, run.tenant, run.job.id)
    lies: dict[tuple[str, ...], dict[str, bool | None]] = {}
    if plan.containers:
        where = {entry.container for entry in entries if entry.container is not None}
        for chosen in {rule.containers for rules in plan.rules.values() for rule in rules if rule.containers}:
            lies[chosen] = await containers.lie_in(*key, where, chosen)
    members: set[str] = set()
    unread = ""
    if plan.groups:
        members = await scope.among(*key, [entry.anchor for entry in entries])
        groups = await scope.groups(*key)
        unread = next((group.name or group.anchor for group in groups.values() if not group.is_read), "")
    return Places(lies, members, provisioned, unread)


def _outside(rule: ObjectRule) -> str:
    parts = []
    if rule.containers:
        parts.append("lies in no chosen container")
    if rule.groups:
        parts.append("belongs to no chosen group")
    return f"it {' and '.join(parts)}"


def _unknown_container(entry: Entry) -> EntryError:
    return EntryError(
        f"Whether '{entry.name}' is in scope depends on where it lies, and its container {entry.container}, or one "
        "above it, is not shown.",
        code=due.CONTAINER,
        recommended_action="Let the account, and the agent's exclude_containers, read every container above it.",
        details={"container": entry.container or ""},
    )


async def confirm(run: Run, entries: Sequence[Entry]) -> None:
    """Read afresh all containers above entries that are to be removed for where they lie."""
    if not run.plan.containers or not entries:
        return
    where = {entry.container for entry in entries if entry.container is not None}
    async with run.context.database.connection() as conn:
        anchors = await containers.above(conn, run.tenant, run.job.id, where)

    async def put(conn: Connection, page: ChangePage) -> None:
        await jobs.fence(conn, run.tenant, run.job.id, run.generation)
        await containers.put(conn, run.tenant, run.job.id, page.containers)

    async for page in read_in_pages(run, anchors):
        if page.containers:
            await transaction(run, partial(put, page=page))


# What a page changes --------------------------------------------------------------------------------------------------


async def arrive(run: Run, conn: Connection, page: ChangePage, entries: Sequence[Entry]) -> None:
    """Take in whom this page's memberships let in, before anybody on it is judged."""
    if not run.plan.groups:
        return
    key, at = (conn, run.tenant, run.job.id), _at(run)
    told = [(one.owner, anchor) for one in page.references if one.attribute == MEMBER for anchor in one.added]
    backs = [back for back in page.back_references if back.attribute == MEMBER]
    told += [(group, back.referenced) for back in backs for group in back.owners]
    told += [(group, entry.anchor) for entry in entries for group in entry.references.get(PRIMARY_GROUP, ())]
    live = {entry.anchor for entry in entries} | {one.owner for one in page.references}
    opened = await scope.revive(*key, sorted(live)) if live else []
    await scope.enter(*key, told, opened, at=at)


async def depart(run: Run, conn: Connection, page: ChangePage, entries: Sequence[Entry]) -> None:
    """Let go whom no membership lets in any more, now that this page's references are stored."""
    if not run.plan.groups:
        return
    key = (conn, run.tenant, run.job.id)
    lists = [one for one in page.references if one.attribute == MEMBER]
    members = {anchor for one in lists for anchor in one.removed}
    members |= {back.referenced for back in page.back_references if back.attribute == MEMBER}
    members |= {entry.anchor for entry in entries if PRIMARY_GROUP in entry.references}
    owners = {one.owner for one in lists if one.whole and one.end}
    gone = sorted({tombstone.anchor for tombstone in page.deleted} - set(run.plan.groups))
    if gone:
        await scope.bury(*key, gone)
        owners |= set(gone)
    if members or owners:
        await scope.leave(*key, members=sorted(members), owners=sorted(owners), at=_at(run))


# The scoping groups themselves ----------------------------------------------------------------------------------------


async def watch(run: Run, conn: Connection, page: ChangePage) -> list[Event]:
    """Keep what a page tells of the scoping groups; gives an event for each that was lost by it."""
    chosen = set(run.plan.groups)
    live = {entry.anchor: entry for entry in page.entries if entry.anchor in chosen}
    whole = {one.owner for one in page.references if one.whole and one.end and one.attribute == MEMBER} & chosen
    lost = dict.fromkeys(chosen.intersection(page.not_visible), due.NOT_VISIBLE)
    lost |= dict.fromkeys(chosen & {tombstone.anchor for tombstone in page.deleted}, scope.DELETED)
    if not (live or whole or lost):
        return []
    key = (conn, run.tenant, run.job.id)
    found: list[Event] = []
    known = await scope.groups(*key)
    for anchor in sorted(live.keys() | whole | lost.keys()):
        before = known[anchor]
        is_read = before.is_read or anchor in whole
        reason = lost.get(anchor, _reason(before, is_read=is_read))
        entry = live.get(anchor)
        after = msgspec.structs.replace(
            before,
            name=entry.name if entry is not None else before.name,
            container=entry.container if entry is not None else before.container,
            reason=reason,
            is_read=is_read,
        )
        found += await _note(run, conn, before, after)
        if run.surveying:
            continue
        if is_read and not before.is_read:
            await scope.doubt_strangers(*key, run.context.clock())
        elif not is_read and anchor in live:
            await due.put(*key, [Due(anchor, due.NOT_VISIBLE, run.context.clock() + ASKED_AGAIN)])
    return found


def _reason(before: Group, *, is_read: bool) -> str:
    """Why a group that is live holds its scope all the same."""
    if is_read:
        return ""
    return before.reason if before.reason == NOT_READABLE else scope.NOT_READ_YET


async def conclude(run: Run, conn: Connection) -> list[Event]:
    """After a survey: a chosen group whose members it could not tell keeps its scope, and is read again later."""
    key = (conn, run.tenant, run.job.id)
    found: list[Event] = []
    for group in (await scope.groups(*key)).values():
        if group.is_read:
            continue
        reason = NOT_READABLE if group.reason == scope.NOT_READ_YET else group.reason
        found += await _note(run, conn, group, msgspec.structs.replace(group, reason=reason))
        await due.put(*key, [Due(group.anchor, due.NOT_VISIBLE, run.context.clock() + ASKED_AGAIN)])
    return found


async def unread(run: Run, conn: Connection) -> list[str]:
    """Give the chosen groups whose members have never been known."""
    groups = await scope.groups(conn, run.tenant, run.job.id)
    return [group.anchor for group in groups.values() if not group.is_read]


async def _note(run: Run, conn: Connection, before: Group, after: Group) -> list[Event]:
    if after == before:
        return []
    await scope.note(
        conn,
        run.tenant,
        run.job.id,
        after.anchor,
        name=after.name,
        container=after.container,
        reason=after.reason,
        is_read=after.is_read,
    )
    if after.reason in ("", scope.NOT_READ_YET, before.reason):
        return []
    return [log.scope_held(run, after, _missing(after), run.context.clock())]


_WHY = {
    scope.DELETED: "was deleted at the source",
    due.NOT_VISIBLE: "is not shown by the source, neither live nor deleted",
    NOT_READABLE: "does not show its members",
}


def _missing(group: Group) -> Fault:
    return Fault(
        "ScopingGroupMissing",
        f"The group '{group.name or group.anchor}', by which the job is scoped, {_WHY[group.reason]}. Nobody leaves "
        "scope because of it.",
        "Restore the group or the account's right to read it, or choose another group in the job's scope.",
        {"group": group.anchor, "reason": group.reason},
    )


def _at(run: Run) -> datetime | None:
    """When who enters or leaves is due: now, unless everything is about to be read."""
    return None if run.surveying else run.context.clock()
