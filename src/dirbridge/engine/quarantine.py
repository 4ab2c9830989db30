"""Whether a job is in quarantine after a cycle: a function of what the cycle found and what was before.

Called by `finishing`; reads and writes nothing, and is handed the time. `docs/quarantine.md` tells administrators the
same rules.
"""

from __future__ import annotations

from datetime import datetime, timedelta
from enum import StrEnum
from typing import Any

import msgspec

from dirbridge.engine.disposition import Trouble
from dirbridge.engine.policies import Policy

LONGEST_WAIT = timedelta(hours=24)
"""The longest time between two cycles of a job in quarantine."""

LONGEST_SERIES = timedelta(days=28)
"""A job that is in quarantine for so long without a break is disabled."""


class Reason(StrEnum):
    """Graph's quarantineReason."""

    EXCEPTION = "EncounteredQuarantineException"
    PROPORTION = "EncounteredEscrowProportionThreshold"
    BASE = "EncounteredBaseEscrowThreshold"
    TOTAL = "EncounteredTotalEscrowThreshold"
    TOO_MANY_DELETES = "TooManyDeletes"
    ON_DEMAND = "QuarantinedOnDemand"
    INTERRUPTED = "IngestionInterrupted"
    UNKNOWN = "Unknown"


LIMITS = frozenset({Reason.PROPORTION, Reason.BASE, Reason.TOTAL})
"""Reasons that come from counting failed entries."""


class Findings(msgspec.Struct, frozen=True, kw_only=True, rename="camel"):
    """What a cycle came to, in numbers.

    Attributes:
        first_exports, first_failures: entries exported that were not set aside before, and those that failed of them.
        exports, failures: the same with those that were set aside before.
        escrowed: entries that are set aside now.
        waiting_references: references that lack their other end because it failed.
        staged: deletes and disables that wait for a person.
        failed_cycles: cycles that failed as a whole one after the other, this one among them.
    """

    first_exports: int = 0
    first_failures: int = 0
    exports: int = 0
    failures: int = 0
    escrowed: int = 0
    waiting_references: int = 0
    staged: int = 0
    failed_cycles: int = 0


class Fault(msgspec.Struct, frozen=True, rename="camel"):
    """Graph's synchronizationError."""

    code: str
    message: str
    tenant_actionable: bool = True


class Quarantine(msgspec.Struct, frozen=True, kw_only=True, rename="camel"):
    """Graph's synchronizationQuarantine, with what is to be done and the numbers that led to it.

    Attributes:
        current_began: when it was imposed last. series_began: when it was imposed first in this unbroken series.
        series_count: how often it was imposed in this series.
        next_attempt: when the next cycle is due; None where none is, as the job is disabled.
    """

    reason: Reason
    error: Fault
    current_began: datetime
    next_attempt: datetime | None
    series_began: datetime
    series_count: int
    recommended_action: str = ""
    counts: Findings = msgspec.field(default_factory=Findings)


class Decision(msgspec.Struct, frozen=True):
    """What is stored at the end of a cycle.

    Attributes:
        wait: until the next cycle; None keeps to the job's interval.
        disables: the series has lasted too long; only a person starts the job again.
    """

    quarantine: Quarantine | None
    wait: timedelta | None = None
    disables: bool = False


class _Cause(msgspec.Struct, frozen=True):
    reason: Reason
    error: Fault
    action: str


def read(stored: dict[str, Any] | None) -> Quarantine | None:
    """Give a stored record its types."""
    return None if stored is None else msgspec.convert(stored, Quarantine)


def written(record: Quarantine | None) -> dict[str, Any] | None:
    """Give a record the form in which it is stored and shown."""
    return None if record is None else msgspec.to_builtins(record)


def decide(
    found: Findings,
    before: Quarantine | None,
    policy: Policy,
    interval: timedelta,
    now: datetime,
    trouble: Trouble | None = None,
) -> Decision:
    """Say whether a job is in quarantine after a cycle, why, and when it runs next.

    Args:
        before: the record as it is now; a person may have put or lifted it while the cycle ran.
        trouble: what ended the cycle as a whole; None where it went through.
    """
    cause = _cause(found, before, policy, trouble)
    retries = max(found.failed_cycles - 1, 0)
    patience = min(trouble.patience, LONGEST_WAIT) if trouble else timedelta()
    if cause is None:
        return Decision(None, wait=max(_doubled(interval, retries), patience) if trouble else None)
    began = before.series_began if before else now
    count = before.series_count + 1 if before else 1
    held = cause.reason is Reason.TOO_MANY_DELETES
    wait = max(_doubled(interval, retries if held else max(retries, count)), patience)
    disables = not held and now - began >= LONGEST_SERIES
    record = Quarantine(
        reason=cause.reason,
        error=cause.error,
        current_began=now,
        next_attempt=None if disables else now + wait,
        series_began=began,
        series_count=count,
        recommended_action=cause.action,
        counts=found,
    )
    return Decision(record, wait, disables)


def _doubled(interval: timedelta, times: int) -> timedelta:
    factor: int = 2 ** min(times, 20)
    return max(interval, min(interval * factor, LONGEST_WAIT))


def _cause(found: Findings, before: Quarantine | None, policy: Policy, trouble: Trouble | None) -> _Cause | None:
    """Give what puts or keeps the job in quarantine; the weightiest where there are several."""
    if before is not None and before.reason is Reason.ON_DEMAND:
        return _kept(before)
    if trouble is not None:
        return _of_trouble(found, before, policy, trouble)
    reason = _limit(found, policy)
    if reason is None and before is not None and before.reason is Reason.PROPORTION and not _recovered(found, policy):
        return _kept(before)
    if reason is None and found.staged:
        reason = Reason.TOO_MANY_DELETES
    return None if reason is None else _described(reason, found, policy)


def _kept(before: Quarantine) -> _Cause:
    return _Cause(before.reason, before.error, before.recommended_action)


def _of_trouble(found: Findings, before: Quarantine | None, policy: Policy, trouble: Trouble) -> _Cause | None:
    """A cycle that failed says nothing of the entries: what held before holds on."""
    enough = trouble.at_once or found.failed_cycles >= policy.failed_cycles
    same = before is not None and before.reason not in LIMITS and before.reason is not Reason.TOO_MANY_DELETES
    if enough or same:
        error = Fault(trouble.code, trouble.message, trouble.tenant_actionable)
        return _Cause(Reason(trouble.reason), error, trouble.recommended_action)
    return _kept(before) if before else None


def _limit(found: Findings, policy: Policy) -> Reason | None:
    """Give the limit that the failed entries exceed."""
    if found.escrowed + found.waiting_references > policy.most_failures_with_references:
        return Reason.TOTAL
    if found.escrowed > policy.most_failures:
        return Reason.BASE
    if _too_large(found.first_failures, found.first_exports, policy):
        return Reason.PROPORTION
    return None


def _too_large(failures: int, exports: int, policy: Policy) -> bool:
    # Rounded: 29 % of 100 are 29, not a hair less.
    return failures >= policy.least_failures and failures > round(policy.failure_share * exports, 6)


def _recovered(found: Findings, policy: Policy) -> bool:
    """Tell whether exports go well again: too few entries are set aside to matter, or some were written just now.

    A cycle that wrote nothing proves nothing, and lifts nothing.
    """
    if found.escrowed < policy.least_failures:
        return True
    return found.failures < found.exports and not _too_large(found.failures, found.exports, policy)


def _described(reason: Reason, found: Findings, policy: Policy) -> _Cause:
    match reason:
        case Reason.PROPORTION:
            share = found.first_failures / found.first_exports
            message = (
                f"{found.first_failures:,} of the {found.first_exports:,} entries that the cycle exported for the "
                f"first time failed: {share:.0%}, where {policy.failure_share:.0%} are allowed."
            )
            action = _LOG
        case Reason.BASE:
            message = f"{found.escrowed:,} entries are set aside, where {policy.most_failures:,} are allowed."
            action = _LOG
        case Reason.TOTAL:
            message = (
                f"{found.escrowed:,} entries are set aside and {found.waiting_references:,} references wait for them: "
                f"together more than the {policy.most_failures_with_references:,} that are allowed."
            )
            action = _LOG
        case _:
            message = (
                f"{found.staged:,} deletes, disables or lost members are more than may go without a person's word; "
                "creates and updates go on."
            )
            action = (
                "See them by `dirbridge jobs staged`; let them go by `dirbridge jobs allow-deletes` if they are meant, "
                "keep them by `dirbridge jobs reject-deletes` if not."
            )
    return _Cause(reason, Fault(str(reason), f"{message} {action}"), action)


_LOG = (
    "See the failures by `dirbridge logs --status failure`, mend what they have in common, then clear the quarantine: "
    "all of them are tried again at once."
)


def on_demand(before: Quarantine | None, why: str, interval: timedelta, now: datetime) -> Quarantine:
    """Give the record of a quarantine that a person imposes; only a person lifts it."""
    message = f"A person put the job into quarantine{': ' + why if why else '.'}"
    action = "Start the job, or clear its quarantine, when it may go on."
    count = before.series_count + 1 if before else 1
    return Quarantine(
        reason=Reason.ON_DEMAND,
        error=Fault(str(Reason.ON_DEMAND), message),
        current_began=now,
        next_attempt=now + _doubled(interval, count),
        series_began=before.series_began if before else now,
        series_count=count,
        recommended_action=action,
    )
