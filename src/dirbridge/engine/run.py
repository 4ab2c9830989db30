"""What belongs to one cycle while it runs: its job, its compiled schema, its counters."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from datetime import datetime, timedelta
from random import Random, SystemRandom
from typing import Any
from uuid import UUID

import msgspec

from dirbridge.connectors.protocol import Source, Target
from dirbridge.engine.functions.environment import Environment
from dirbridge.engine.plan import Plan
from dirbridge.engine.policies import Policy
from dirbridge.store import identity
from dirbridge.store.database import Connection, Database
from dirbridge.store.jobs import Job
from dirbridge.store.unit import Unit


class Context(msgspec.Struct, frozen=True):
    """What the engine is given from outside: where things are kept, read and written, and the time.

    Attributes:
        sleep: lets so many seconds pass.
        random: makes the random texts of the mapping, passwords among them.
    """

    database: Database
    source: Callable[[Job], Source]
    target: Target[Any]
    clock: Callable[[], datetime]
    new_id: Callable[[], UUID]
    sleep: Callable[[float], Awaitable[None]] = asyncio.sleep
    random: Random = msgspec.field(default_factory=SystemRandom)


async def environment(context: Context, tenant: UUID) -> Environment:
    """Give what the functions of a mapping take from outside. No target can be asked yet whether a value is free."""
    async with context.database.connection() as conn:
        domains = await identity.domains(conn, tenant)
    return Environment(context.clock, context.random, next((each.name for each in domains if each.is_default), ""))


class Counts(msgspec.Struct):
    """What a cycle has done so far, by the words of Graph's synchronizationTaskExecution.

    Attributes:
        entitled: entries found in scope. provisionable: those of them that could be mapped.
        exports: writes that were to be made. exported: those that were.
        escrowed: entries set aside because they failed. held: because the source shows them no more, nor a tombstone.
        tried, refused: entries handed to the target, and those that failed there. first_tried, first_refused: the same
            without those that had been set aside before. pruned: entries that are not tried again by themselves.
    """

    imported: int = 0
    reference_deltas: int = 0
    entitled: int = 0
    provisionable: int = 0
    exports: int = 0
    exported: int = 0
    escrowed: int = 0
    held: int = 0
    tried: int = 0
    refused: int = 0
    first_tried: int = 0
    first_refused: int = 0
    pruned: int = 0


class Run(msgspec.Struct):
    """One cycle.

    Attributes:
        generation: the job's, as this cycle took it; a higher one in the database ends the cycle.
        replica: the copy of the directory at which the reading of changes stands; empty before it is known.
        full_read: id of the full read that this cycle makes or goes on with; None in a delta.
        estimate: entries that the read is expected to have. resumed: those that an earlier cycle of it had read.
        siblings: the other jobs of the tenant, among whose entries the other ends of references may be.
        policy: the limits that the job's settings name.
        surveying: containers and groups are read ahead of everything; nobody becomes due by it.
        surveyed: memberships that were read so.
        looked_at: how many entries must have been read before the planner is to look at the tables again.
    """

    context: Context
    job: Job
    plan: Plan
    cycle: UUID
    began: datetime
    counts: Counts
    replica: str = ""
    full_read: UUID | None = None
    estimate: int | None = None
    resumed: int = 0
    surveying: bool = False
    surveyed: int = 0
    looked_at: int = 0
    policy: Policy = msgspec.field(default_factory=Policy)
    siblings: tuple[str, ...] = ()

    @property
    def tenant(self) -> UUID:
        return self.job.tenant

    @property
    def jobs(self) -> tuple[str, ...]:
        """Every job of the tenant."""
        return (self.job.id, *self.siblings)

    @property
    def generation(self) -> int:
        return self.job.generation

    def latency(self) -> timedelta | None:
        """How long ago this cycle's changes were first heard of; None in a full read, which shows what has any age."""
        noticed = self.job.noticed_at
        return None if noticed is None or self.full_read is not None else self.context.clock() - noticed

    def unit(self, conn: Connection, now: datetime) -> Unit:
        """Name the transaction that a write belongs to."""
        return Unit(conn, self.job.tenant, self.job.id, now)
