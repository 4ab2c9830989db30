"""What a job will not remove without a person's word: read it one by one, allow or reject all of it or some.

Graph has no word for these, so they lie under /beta/dirbridge, in Graph's conventions.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Collection
from datetime import UTC, datetime
from typing import Annotated, Any
from uuid import UUID

import msgspec
from fastapi import APIRouter, Depends, Request
from starlette.responses import Response

from dirbridge.contract.entry import text_fault
from dirbridge.service.auth.access import Caller, require
from dirbridge.service.auth.permissions import OBSERVERS, SYNCHRONIZERS
from dirbridge.service.graph import odata
from dirbridge.service.graph.context import body, context, database
from dirbridge.service.graph.errors import GraphError, bad_request, not_found
from dirbridge.service.graph.responses import GraphResponse, moment
from dirbridge.store import audits, jobs, staged
from dirbridge.store.conditions import Comparison, Operator
from dirbridge.store.directory_queries import Conn
from dirbridge.store.staged import After, Decided, Staged

router = APIRouter(prefix="/beta/dirbridge")

Reader = Annotated[
    Caller, Depends(require("Synchronization.Read.All", "Synchronization.ReadWrite.All", roles=OBSERVERS))
]
Writer = Annotated[Caller, Depends(require("Synchronization.ReadWrite.All", roles=SYNCHRONIZERS))]

STAGED = "/jobs/{job}/stagedRemovals"
STATES = ("staged", "rejected")
AUDITED = 100
"""So many ids of a decision are kept in its audit row."""


Act = Callable[[Conn, UUID, str, Collection[str] | None], Awaitable[Decided]]
"""A word on removals of a tenant's job: those named, or all."""


class Word(msgspec.Struct, forbid_unknown_fields=True):
    """What a decision is about: everything that is staged, said so, or the named ones. Nothing is meant silently.

    Attributes:
        count: how many removals are meant. Where it is another number by now, nothing is decided.
    """

    all: bool = False
    ids: list[str] | None = None
    count: int | None = None


@router.get(STAGED)
async def list_staged(request: Request, job: str, caller: Reader) -> Response:
    """List what waits for a person; with `$filter=state eq 'rejected'`, what a person rejected."""
    query = odata.read(request, frozenset({"filter", "top", "skiptoken", "count", "format"}))
    state = _state(query)
    after = odata.position(query, After)
    async with database(request).connection() as conn:
        await _check(conn, caller, job)
        rows = await staged.page(conn, caller.tenant, job, state=state, after=after, limit=query.top + 1)
        total = await staged.count(conn, caller.tenant, job, state) if query.count and after is None else None
    return GraphResponse(
        odata.page(
            request,
            query,
            rows,
            fragment="dirbridge/stagedRemovals",
            render=_show,
            key=After.of,
            total=total,
        )
    )


@router.get(STAGED + "/summary")
async def summarize(request: Request, job: str, caller: Reader) -> Response:
    """Count what waits for a person, and what one rejected, by action and type of entry."""
    odata.read(request, frozenset({"format"}))
    async with database(request).connection() as conn:
        await _check(conn, caller, job)
        found = await staged.summary(conn, caller.tenant, job)
    kinds = [msgspec.to_builtins(each) for each in found]
    return GraphResponse({"@odata.context": context(request, "dirbridge/stagedRemovals/summary"), "value": kinds})


@router.post(STAGED + "/allow")
async def allow(request: Request, job: str, caller: Writer) -> Response:
    """Let removals go: the job's next cycle, which is due now, carries them out."""
    return await _decide(request, job, caller, "Allow staged deletes", staged.allow)


@router.post(STAGED + "/reject")
async def reject(request: Request, job: str, caller: Writer) -> Response:
    """Keep at the target what was to be removed. It is not staged again until the source shows something else."""
    now = datetime.now(UTC)

    async def decide(conn: Conn, tenant: UUID, of: str, ids: Collection[str] | None) -> Decided:
        return await staged.reject(conn, tenant, of, ids, now)

    return await _decide(request, job, caller, "Reject staged deletes", decide)


async def _decide(
    request: Request,
    job: str,
    caller: Caller,
    activity: str,
    act: Act,
) -> Response:
    word = await body(request, Word)
    if word.all == bool(word.ids):
        raise bad_request('The body expects either "all": true, or "ids" with the ids of staged removals.')
    faults = [fault for id in word.ids or () if (fault := text_fault(id)) is not None]
    if faults:
        raise bad_request(f"An id {faults[0]}.")
    async with database(request).transaction() as conn:
        await _check(conn, caller, job)
        done = await act(conn, caller.tenant, job, word.ids)
        if word.count is not None and word.count != done.count:
            raise GraphError(
                409,
                "Conflict",
                f"The word is about {word.count:,} removals, and {done.count:,} wait by now. Read them.",
            )
        missing = sorted(set(word.ids or ()) - done.ids)
        if done.count:
            detail = {"count": done.count, **({"all": True} if word.all else {"ids": sorted(done.ids)[:AUDITED]})}
            await audits.record(conn, caller.tenant, actor=caller.actor, activity=activity, target=job, detail=detail)
            await jobs.nudge(conn, caller.tenant, job)
    return GraphResponse({"count": done.count, "missing": missing})


def _state(query: odata.Query) -> str:
    match query.filter:
        case None:
            return "staged"
        case Comparison(name="state", operator=Operator.EQ, values=(literal,)) if literal.value in STATES:
            return str(literal.value)
    raise bad_request("$filter expects state eq 'staged' or state eq 'rejected'.", code="Request_UnsupportedQuery")


async def _check(conn: Conn, caller: Caller, job: str) -> None:
    if await jobs.get(conn, caller.tenant, job) is None:
        raise not_found("synchronization job", job)


def _show(row: Staged) -> dict[str, Any]:
    return {
        "id": row.id,
        "action": row.action,
        "evidence": row.evidence,
        "state": row.state,
        "sinceDateTime": moment(row.since),
        "sourceIdentity": {"id": row.source_id, "displayName": row.source_name, "identityType": row.source_type},
        "targetIdentity": {"id": str(row.target_id or ""), "displayName": row.target_name},
        "group": {"id": row.group_id, "displayName": row.group_name} if row.group_id else None,
    }
