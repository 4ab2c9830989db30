"""The state machine of quarantine, over time: each way in just below and just above, and each way out."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from dirbridge.contract.errors import ConfigurationError, CredentialError, DirbridgeError, Throttled, TransientError
from dirbridge.engine import disposition, quarantine
from dirbridge.engine.policies import Policy
from dirbridge.engine.quarantine import Decision, Findings, Quarantine, Reason

NOW = datetime(2026, 3, 1, 12, tzinfo=UTC)
INTERVAL = timedelta(minutes=2)
DAY = timedelta(days=1)
POLICY = Policy()

REFUSED = CredentialError("The bind was refused.", code="InvalidCredentials", recommended_action="Correct it.")
WRONG = ConfigurationError("The schema is wrong.", code="InvalidSchema")
AWAY = TransientError("No agent answers.", code="HybridIdentityServiceNoActiveAgents")
CUT = TransientError("The answer was cut.", code="IncompleteRead")
OURS = TransientError("It met an unexpected KeyError.", code="InternalError")


class Job:
    """A job's quarantine, driven cycle by cycle as `finishing` does, with time handed in."""

    def __init__(self, policy: Policy = POLICY, interval: timedelta = INTERVAL) -> None:
        self.policy, self.interval = policy, interval
        self.record: Quarantine | None = None
        self.failed = 0
        self.now = NOW

    def cycle(self, error: DirbridgeError | None = None, **found: Any) -> Decision:
        """End a cycle, and let time pass until the next."""
        self.failed = self.failed + 1 if error else 0
        decision = quarantine.decide(
            Findings(failed_cycles=self.failed, **found),
            self.record,
            self.policy,
            self.interval,
            self.now,
            disposition.of_error(error) if error else None,
        )
        self.record = decision.quarantine
        self.now += decision.wait or self.interval
        return decision

    def lift(self) -> None:
        """What start, clear and restart with QuarantineState have in common."""
        self.record, self.failed = None, 0

    @property
    def reason(self) -> str | None:
        return None if self.record is None else str(self.record.reason)


def failing(failures: int, exports: int, **more: Any) -> dict[str, Any]:
    """A cycle that exported entries for the first time, some in vain."""
    return {
        "first_exports": exports, "first_failures": failures, "exports": exports, "failures": failures,
        "escrowed": failures, **more,
    }  # fmt: skip


@pytest.mark.parametrize(
    ("found", "reason"),
    [
        (failing(0, 0), None),
        (failing(0, 100_000), None),
        (failing(9, 9), None),
        (failing(10, 10), Reason.PROPORTION),
        (failing(10, 25), None),
        (failing(10, 24), Reason.PROPORTION),
        (failing(400, 1000), None),
        (failing(401, 1000), Reason.PROPORTION),
        (failing(20_000, 120_000), None),
        (failing(30_000, 35_000), Reason.PROPORTION),
        ({"escrowed": 40_000}, None),
        ({"escrowed": 40_001}, Reason.BASE),
        ({"escrowed": 40_000, "waiting_references": 20_000}, None),
        ({"escrowed": 40_000, "waiting_references": 20_001}, Reason.TOTAL),
        ({"escrowed": 40_001, "waiting_references": 20_000}, Reason.TOTAL),
        ({"escrowed": 0, "waiting_references": 60_001}, Reason.TOTAL),
        ({"staged": 0}, None),
        ({"staged": 1}, Reason.TOO_MANY_DELETES),
        (failing(10, 10, staged=1), Reason.PROPORTION),
        # Failures of entries that were set aside before are not first exports.
        ({"exports": 5000, "failures": 5000, "escrowed": 5000}, None),
    ],
)
def test_each_limit_just_below_and_just_above(found: dict[str, Any], reason: Reason | None) -> None:
    """What a cycle that went through may find without and with a quarantine."""
    job = Job()
    decision = job.cycle(**found)
    assert job.reason == reason
    if decision.quarantine is None:
        assert decision == Decision(None)
    else:
        assert (decision.quarantine.series_count, decision.quarantine.series_began) == (1, NOW)
        assert decision.quarantine.counts == Findings(**found)
        assert decision.quarantine.error.message.endswith(decision.quarantine.recommended_action)
        assert decision.quarantine.error.tenant_actionable


@pytest.mark.parametrize(
    ("policy", "found", "below"),
    [
        (Policy(least_failures=3), failing(3, 3), failing(2, 2)),
        (Policy(failure_share=0.1), failing(11, 100), failing(10, 100)),
        (Policy(failure_share=0.29), failing(30, 100), failing(29, 100)),
        (Policy(most_failures=7), {"escrowed": 8}, {"escrowed": 7}),
        (Policy(most_failures_with_references=7), {"waiting_references": 8}, {"waiting_references": 7}),
    ],
)
def test_each_limit_is_the_jobs_own(policy: Policy, found: dict[str, Any], below: dict[str, Any]) -> None:
    """The settings move the limits."""
    job = Job(policy)
    job.cycle(**below)
    assert job.reason is None
    job.cycle(**found)
    assert job.reason is not None


@pytest.mark.parametrize(
    ("error", "cycles", "reason"),
    [
        (REFUSED, 1, Reason.EXCEPTION),
        (WRONG, 1, Reason.EXCEPTION),
        (AWAY, 3, Reason.EXCEPTION),
        (CUT, 3, Reason.INTERRUPTED),
        (OURS, 3, Reason.UNKNOWN),
    ],
)
def test_failing_cycles(error: DirbridgeError, cycles: int, reason: Reason) -> None:
    """A refused credential needs one cycle, all else three one after the other; the record says what failed."""
    job = Job()
    for _ in range(cycles - 1):
        assert job.cycle(error).quarantine is None
    record = job.cycle(error).quarantine
    assert record is not None
    assert (record.reason, record.error.code, record.error.message) == (reason, error.code, str(error))
    assert record.recommended_action == error.recommended_action
    assert record.counts.failed_cycles == cycles


def test_how_many_failing_cycles_is_the_jobs_own() -> None:
    """Just below and just above a setting of five."""
    job = Job(Policy(failed_cycles=5))
    for _ in range(4):
        job.cycle(AWAY)
    assert job.reason is None
    job.cycle(AWAY)
    assert job.reason == Reason.EXCEPTION


def test_a_cycle_that_goes_through_begins_the_count_anew() -> None:
    """Two failures, a success, two failures: no quarantine."""
    job = Job()
    for error in (AWAY, AWAY, None, AWAY, AWAY):
        job.cycle(error)
        assert job.reason is None


def test_failing_cycles_come_at_doubling_intervals() -> None:
    """From the job's own, before and in quarantine, up to a day; then the first that goes through ends it."""
    job = Job()
    waits = [job.cycle(AWAY).wait for _ in range(12)]
    minutes = [2, 4, 8, 16, 32, 64, 128, 256, 512, 1024, 1440, 1440]
    assert waits == [timedelta(minutes=each) for each in minutes]
    assert job.record is not None
    assert (job.record.series_count, job.record.series_began) == (10, NOW + timedelta(minutes=6))
    assert job.record.next_attempt == job.record.current_began + DAY == job.now
    assert job.cycle() == Decision(None)


def test_a_target_that_asks_for_patience_gets_it() -> None:
    """The next cycle comes when it said, not earlier; never later than in a day."""
    for asked, wait in ((timedelta(seconds=30), INTERVAL), (timedelta(hours=3), timedelta(hours=3)), (9 * DAY, DAY)):
        job = Job()
        assert job.cycle(Throttled("Too many.", wait=asked)).wait == wait
    assert Job().cycle(Throttled("Too many.")).wait == INTERVAL


def test_a_slow_job_is_not_made_faster() -> None:
    """One that runs once a day already goes on to."""
    job = Job(interval=timedelta(days=1))
    assert [job.cycle(REFUSED).wait for _ in range(2)] == [DAY, DAY]


def test_too_many_deletes_keep_to_the_interval() -> None:
    """Creates and updates go on as always, until nothing is staged any more; a month of it disables nothing."""
    job = Job()
    first = job.cycle(staged=600)
    assert (first.wait, job.reason) == (INTERVAL, Reason.TOO_MANY_DELETES)
    assert first.quarantine is not None
    assert "600" in first.quarantine.error.message
    job.now += 40 * DAY
    later = job.cycle(staged=1, exports=50, first_exports=50)
    assert (later.wait, later.disables, job.reason) == (INTERVAL, False, Reason.TOO_MANY_DELETES)
    assert job.cycle(staged=0).quarantine is None


def test_a_lifted_share_does_not_flap() -> None:
    """Failures, cycles with nothing to do, retries in vain, one that works again: in once, out once."""
    job = Job()
    job.cycle(**failing(50, 100))
    assert job.reason == Reason.PROPORTION
    # Nothing to do proves nothing.
    for _ in range(5):
        job.cycle(escrowed=50)
        assert job.reason == Reason.PROPORTION
    # All retries fail again.
    job.cycle(escrowed=50, exports=50, failures=50)
    assert job.reason == Reason.PROPORTION
    # Most of them still do.
    job.cycle(escrowed=29, exports=50, failures=29)
    assert job.reason == Reason.PROPORTION
    assert job.record is not None
    assert job.record.series_count == 8
    assert job.record.series_began == NOW
    # Most succeed: what is left would stop no healthy job.
    job.cycle(escrowed=11, exports=29, failures=11)
    assert job.reason is None
    # What still fails is retried, and retries do not count.
    for _ in range(3):
        job.cycle(escrowed=11, exports=11, failures=11)
        assert job.reason is None
        job.cycle(escrowed=11)
        assert job.reason is None


def test_a_share_is_lifted_by_one_clean_cycle() -> None:
    """A successful export, none failed beside it, is enough; so is that hardly anything is left to fail."""
    job = Job()
    job.cycle(**failing(50, 100))
    job.cycle(escrowed=49, exports=1)
    assert job.reason is None
    job.cycle(**failing(50, 100))
    # 41 of them were deleted at the source.
    job.cycle(escrowed=10)
    assert job.reason == Reason.PROPORTION
    job.cycle(escrowed=9)
    assert job.reason is None


def test_a_number_of_failures_is_lifted_when_it_falls() -> None:
    """Above the limit it stays, with work or without; at the limit it ends. The reason follows what is exceeded."""
    job = Job()
    job.cycle(escrowed=45_000, waiting_references=20_000)
    assert job.reason == Reason.TOTAL
    job.cycle(escrowed=45_000, waiting_references=100)
    assert job.reason == Reason.BASE
    assert job.record is not None
    assert (job.record.series_count, job.record.series_began) == (2, NOW)
    job.cycle(escrowed=45_000)
    assert job.reason == Reason.BASE
    job.cycle(escrowed=40_000, exports=5000)
    assert job.reason is None


def test_a_changed_reason_goes_on_with_the_series() -> None:
    """From deletes to a refused bind to deletes to nothing; then another begins afresh."""
    job = Job()
    job.cycle(staged=20)
    job.cycle(REFUSED)
    assert job.reason == Reason.EXCEPTION
    job.cycle(staged=20)
    assert job.record is not None
    assert (job.reason, job.record.series_count, job.record.series_began) == (Reason.TOO_MANY_DELETES, 3, NOW)
    job.cycle()
    began = job.now
    job.cycle(REFUSED)
    assert job.record is not None
    assert (job.record.series_count, job.record.series_began) == (1, began)


def test_a_cycle_that_failed_once_says_nothing_of_entries() -> None:
    """What was there for the sake of entries or deletes stays, under its own reason; three failures take over."""
    for found, reason in ((failing(50, 100), Reason.PROPORTION), ({"staged": 5}, Reason.TOO_MANY_DELETES)):
        job = Job()
        job.cycle(**found)
        before = job.record
        assert before is not None
        for _ in range(2):
            job.cycle(AWAY)
            assert job.record is not None
            assert (job.reason, job.record.error) == (reason, before.error)
        job.cycle(AWAY)
        assert job.record is not None
        assert (job.reason, job.record.error.code) == (Reason.EXCEPTION, AWAY.code)


def test_the_newest_error_is_shown() -> None:
    """In quarantine for an error, another error replaces it at once: that is what there is to mend now."""
    job = Job()
    job.cycle(REFUSED)
    job.cycle(AWAY)
    assert job.record is not None
    assert (job.record.error.code, job.record.series_count) == (AWAY.code, 2)


def test_by_a_persons_word_only_a_person_lifts_it() -> None:
    """Clean cycles and failing ones leave it as it is; they come at doubling intervals."""
    job = Job()
    job.record = quarantine.on_demand(None, "the directory is being moved", INTERVAL, NOW)
    assert job.record.next_attempt == NOW + 2 * INTERVAL
    assert "the directory is being moved" in job.record.error.message
    waits = []
    for error, found in ((None, {"exports": 5}), (REFUSED, {}), (None, {"staged": 9}), (None, failing(50, 100))):
        waits.append(job.cycle(error, **found).wait)
        assert job.reason == Reason.ON_DEMAND
    assert waits == [4 * INTERVAL, 8 * INTERVAL, 16 * INTERVAL, 32 * INTERVAL]
    job.lift()
    job.cycle()
    assert job.reason is None


def test_by_a_persons_word_joins_a_series() -> None:
    """Imposed on a job that is in quarantine already, it replaces the reason and nothing else."""
    job = Job()
    job.cycle(REFUSED)
    job.record = quarantine.on_demand(job.record, "", INTERVAL, job.now)
    assert (job.record.series_began, job.record.series_count, job.reason) == (NOW, 2, Reason.ON_DEMAND)
    assert job.record.error.message == "A person put the job into quarantine."


@pytest.mark.parametrize(
    ("error", "found"), [(REFUSED, {}), (AWAY, {}), (None, failing(50, 100)), (None, {"escrowed": 40_001})]
)
def test_lifted_by_hand_it_comes_back_where_the_cause_remains(error: Any, found: dict[str, Any]) -> None:
    """Start, clear and restart begin from nothing: the same cause leads to a new series, by the same steps."""
    job = Job()

    def until() -> int:
        cycles = 1
        while job.cycle(error, **found).quarantine is None:
            cycles += 1
        return cycles

    first = until()
    job.lift()
    began = job.now
    assert until() == first
    assert job.record is not None
    assert job.record.series_began >= began
    assert job.record.series_count == 1


@pytest.mark.parametrize(
    ("error", "found"), [(REFUSED, {}), (None, failing(50, 100)), (None, {"escrowed": 40_001}), (AWAY, {})]
)
def test_four_weeks_without_a_break_disable_the_job(error: Any, found: dict[str, Any]) -> None:
    """Just below 28 days it is tried on, then there is no next attempt; a break begins the time anew."""
    job = Job()
    while job.cycle(error, **found).quarantine is None:
        pass
    assert job.record is not None
    began = job.record.series_began
    job.now = began + 28 * DAY - timedelta(seconds=1)
    decision = job.cycle(error, **found)
    assert (decision.disables, decision.quarantine and decision.quarantine.next_attempt is not None) == (False, True)
    job.now = began + 28 * DAY
    decision = job.cycle(error, **found)
    assert (decision.disables, decision.quarantine and decision.quarantine.next_attempt) == (True, None)
    # A person starts it, and it fails once more: four weeks from then.
    job.lift()
    while job.cycle(error, **found).quarantine is None:
        pass
    assert not job.cycle(error, **found).disables


def test_a_break_begins_the_four_weeks_anew() -> None:
    """27 days in quarantine, one clean cycle, 27 days more: never disabled."""
    job = Job()
    for _ in range(2):
        job.cycle(REFUSED)
        job.now += 27 * DAY
        assert not job.cycle(REFUSED).disables
        job.cycle()
        assert job.reason is None


def test_by_a_persons_word_for_four_weeks() -> None:
    """A quarantine that somebody imposed and forgot disables the job too."""
    job = Job()
    job.record = quarantine.on_demand(None, "", INTERVAL, NOW)
    job.now = NOW + 28 * DAY
    assert job.cycle().disables


def test_record_has_graphs_shape() -> None:
    """Stored and read again it is the same; names and times are Graph's, with what is to be done and the numbers."""
    job = Job()
    job.cycle(REFUSED, escrowed=3)
    stored = quarantine.written(job.record)
    assert stored == {
        "reason": "EncounteredQuarantineException",
        "error": {
            "code": "InvalidCredentials",
            "message": "The bind was refused. Correct it.",
            "tenantActionable": True,
        },
        "currentBegan": "2026-03-01T12:00:00Z",
        "nextAttempt": "2026-03-01T12:04:00Z",
        "seriesBegan": "2026-03-01T12:00:00Z",
        "seriesCount": 1,
        "recommendedAction": "Correct it.",
        "counts": {
            "firstExports": 0,
            "firstFailures": 0,
            "exports": 0,
            "failures": 0,
            "escrowed": 3,
            "waitingReferences": 0,
            "staged": 0,
            "failedCycles": 1,
        },
    }
    assert quarantine.read(stored) == job.record
    assert quarantine.read(None) is None
    assert quarantine.written(None) is None
