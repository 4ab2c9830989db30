"""A page carried out in one transaction, or, where the target stands outside, in batches with one each.

Called by `cycle` and `removing` for whatever a source told. A batch takes the job under lock first, so that nobody else
exports meanwhile, and commits what became of its exports. The page's tombstones, references and watermark come last,
when each of its entries has an outcome.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable

import msgspec

from dirbridge.contract.entry import ChangePage
from dirbridge.contract.errors import Throttled
from dirbridge.engine import exporting, page
from dirbridge.engine.patience import Patience
from dirbridge.engine.reading import transaction
from dirbridge.engine.run import Run
from dirbridge.engine.work import Manner, Work
from dirbridge.store.database import Connection

_AHEAD = {False: ("containers",), True: ("containers", "references", "back_references")}
"""What must be known before an entry is judged, by whether groups are chosen."""

Also = Callable[[Connection, Work], Awaitable[None]]
"""What else belongs into the transaction."""


async def carry_out(run: Run, answer: ChangePage, manner: Manner, also: Also | None = None) -> None:
    """Carry out a page.

    Raises:
        DirbridgeError: the target as a whole can not be written now. What it had done before is recorded.
    """
    if run.context.target.capabilities.joins_transaction:
        await _apply(run, answer, manner, also)
        return
    replace = msgspec.structs.replace
    ahead = [name for name in _AHEAD[bool(run.plan.groups)] if getattr(answer, name)]
    if ahead and answer.entries:
        await _apply(run, ChangePage(**{name: getattr(answer, name) for name in ahead}), manner, also)
        answer = replace(answer, **dict.fromkeys(ahead, ()))
    left = list({entry.anchor: entry for entry in answer.entries}.values())
    patience = Patience(run)
    while left:
        batch = ChangePage(entries=tuple(left[: exporting.MOST]), estimate=answer.estimate)
        try:
            work = await _apply(run, batch, manner, also)
        except Throttled as error:
            await patience.wait(error)
            continue
        left = [*work.left, *left[exporting.MOST :]]
        if work.halted is not None:
            await patience.wait(work.halted, got_on=len(work.left) < len(batch.entries))
    while True:
        # What went may have left an object that must be looked for.
        try:
            await _apply(run, replace(answer, entries=()), manner, also)
            return
        except Throttled as error:
            await patience.wait(error)


async def _apply(run: Run, answer: ChangePage, manner: Manner, also: Also | None) -> Work:
    done: list[Work] = []

    async def apply(conn: Connection) -> None:
        work = await page.apply(run, conn, answer, manner)
        if also is not None:
            await also(conn, work)
        done.append(work)

    await transaction(run, apply)
    return done[-1]
