"""The outbox: each change of state is told once, a mail gathers, a message is sent by one at a time, nothing grows."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Sequence
from datetime import UTC, datetime, timedelta
from typing import Any
from uuid import UUID

import pytest

from dirbridge.store import jobs, notifications
from dirbridge.store.identifiers import new_id
from dirbridge.store.notifications import Kind, Message, Notice, Route
from tests.engine.world import World

NOW = datetime(2026, 3, 1, 12, tzinfo=UTC)
OPS, BOSS = "ops@contoso.test", "boss@contoso.test"
WINDOW = timedelta(seconds=30)
LEASE = timedelta(minutes=2)

Step = tuple[str | None, str, bool, list[tuple[str, str, str]]]


def quarantine(reason: str, code: str) -> dict[str, Any]:
    return {"reason": reason, "error": {"code": code, "message": f"{code} happened."}}


async def note(world: World, state: str | None, *, succeeded: bool, disabled: bool = False) -> None:
    """End a cycle: `state` is the quarantine's reason and code."""
    after = quarantine(*state.split("/")) if state else None
    async with world.database.transaction() as conn:
        await notifications.note(
            conn,
            world.tenant,
            world.job,
            after=after,
            succeeded=succeeded,
            now=world.clock(),
            id=new_id(),
            disabled=disabled,
        )


async def told(world: World) -> list[tuple[str, str, str]]:
    return [(r[0], r[1], r[2]) for r in await world.rows(
        "select kind, reason, code from notices where tenant = %s order by at, id"
    )]  # fmt: skip


SYSTEM, DELETES = "EncounteredQuarantineException", "TooManyDeletes"
AGENT, BIND = f"{SYSTEM}/HybridIdentityServiceNoActiveAgents", f"{SYSTEM}/InvalidCredentials"
HELD = f"{DELETES}/TooManyDeletes"


@pytest.mark.parametrize(
    ("states", "kinds"),
    [
        pytest.param([None, None], [], id="a healthy job says nothing"),
        pytest.param([AGENT], ["quarantined"], id="entering is told"),
        pytest.param([AGENT, AGENT, AGENT], ["quarantined"], id="staying is not told again"),
        pytest.param([AGENT, BIND], ["quarantined", "quarantineChanged"], id="another code is told"),
        pytest.param([AGENT, HELD], ["quarantined", "deletesHeld"], id="another reason is told"),
        pytest.param([HELD, HELD], ["deletesHeld"], id="a threshold is told once"),
        pytest.param([HELD, AGENT], ["deletesHeld", "quarantineChanged"], id="a fault behind a threshold is told"),
        pytest.param(
            [AGENT, BIND, AGENT, BIND], ["quarantined", "quarantineChanged"], id="errors that take turns are told once"
        ),
        pytest.param([AGENT, None], ["quarantined", "recovered"], id="recovery is told"),
        pytest.param([AGENT, None, None], ["quarantined", "recovered"], id="recovery is told once"),
        pytest.param([AGENT, None, AGENT], ["quarantined", "recovered", "quarantined"], id="a new series is told anew"),
        pytest.param([AGENT, "failed"], ["quarantined"], id="lifted by hand and failing is no recovery"),
        pytest.param([AGENT, "failed", AGENT], ["quarantined"], id="lifted by hand and the same again is not told"),
        pytest.param([AGENT, "failed", None], ["quarantined", "recovered"], id="recovery after being lifted by hand"),
        pytest.param([AGENT, "disabled", "disabled"], ["quarantined", "disabled"], id="switched off is told once"),
    ],
)
async def test_each_state_is_told_once(world: World, states: Sequence[str | None], kinds: list[str]) -> None:
    """Whatever comes between; what was told is remembered until a cycle succeeds."""
    for state in states:
        if state == "failed":
            await note(world, None, succeeded=False)
        elif state == "disabled":
            await note(world, AGENT, succeeded=False, disabled=True)
        else:
            await note(world, state, succeeded=state is None)
    assert [kind for kind, *_ in await told(world)] == kinds


async def test_a_notice_carries_reason_code_and_message(world: World) -> None:
    """As the quarantine has them."""
    await note(world, BIND, succeeded=False)
    rows = await world.rows("select job, reason, code, message, routed_at from notices where tenant = %s")
    assert rows == [(world.job, SYSTEM, "InvalidCredentials", "InvalidCredentials happened.", None)]


async def test_a_notice_is_undone_with_the_state_that_it_tells(world: World) -> None:
    """One transaction: a cycle that is fenced or fails to commit has told nothing."""

    async def undone() -> None:
        async with world.database.transaction() as conn:
            await notifications.note(
                conn,
                world.tenant,
                world.job,
                after=quarantine(SYSTEM, "X"),
                succeeded=False,
                now=NOW,
                id=new_id(),
            )
            raise RuntimeError("the commit failed")

    with pytest.raises(RuntimeError):
        await undone()
    assert await told(world) == []
    await note(world, f"{SYSTEM}/X", succeeded=False)
    assert [kind for kind, *_ in await told(world)] == ["quarantined"]


# No success in three intervals ----------------------------------------------------------------------------------------


async def watch(world: World, at: datetime) -> int:
    async with world.database.transaction() as conn:
        return await notifications.watch(conn, at, new_id)


async def change(world: World, assignments: str, *values: Any) -> None:
    async with world.database.transaction() as conn:
        await conn.execute(f"update jobs set {assignments} where tenant = %s".encode(), (*values, world.tenant))


async def succeed(world: World, at: datetime) -> None:
    await change(world, "last_success = jsonb_build_object('timeEnded', %s::text)", at.isoformat())


@pytest.mark.parametrize(
    ("interval", "patience"),
    [(timedelta(minutes=2), timedelta(minutes=6)), (timedelta(hours=1), timedelta(hours=3)),
     (timedelta(seconds=1), timedelta(minutes=5))],
)  # fmt: skip
async def test_no_success_in_three_intervals_is_told_once(
    world: World, interval: timedelta, patience: timedelta
) -> None:
    """Just below is not, just above is; very short intervals get five minutes. Success is told, and a new silence."""
    await change(world, "interval = %s", interval)
    assert await watch(world, NOW) == 0
    await succeed(world, NOW)
    second = timedelta(seconds=1)
    assert [await watch(world, NOW + patience + each) for each in (-second, second, 2 * second)] == [0, 1, 0]
    assert [kind for kind, *_ in await told(world)] == ["late"]
    await succeed(world, NOW + timedelta(days=1))
    world.clock.forward(days=1)
    await note(world, None, succeeded=True)
    assert [await watch(world, NOW + timedelta(days=1) + patience + each) for each in (-second, second)] == [0, 1]
    assert [kind for kind, *_ in await told(world)] == ["late", "recovered", "late"]


async def test_a_job_that_never_succeeded_counts_from_when_it_was_seen(world: World) -> None:
    """The time before its start, or a long pause, is not held against it."""
    assert await watch(world, NOW) == 0
    assert await watch(world, NOW + timedelta(minutes=7)) == 1
    await change(world, "state = 'Paused', last_success = null")
    await note(world, None, succeeded=True)
    assert await watch(world, NOW + timedelta(days=7)) == 0
    await change(world, "state = 'Active'")
    back = NOW + timedelta(days=8)
    assert [await watch(world, back + timedelta(minutes=each)) for each in (0, 5, 7)] == [0, 0, 1]


async def test_a_long_cycle_that_gets_on_is_not_late(world: World) -> None:
    """An initial cycle may take hours; one that stands still is late."""
    await watch(world, NOW)
    seen = NOW + timedelta(hours=2)
    await change(world, "progress = jsonb_build_object('progressObservationDateTime', %s::text)", seen.isoformat())
    assert await watch(world, seen + timedelta(minutes=5)) == 0
    assert await watch(world, seen + timedelta(minutes=7)) == 1


async def test_a_job_in_quarantine_is_not_told_late_too(world: World) -> None:
    """It was told of already."""
    await watch(world, NOW)
    await note(world, AGENT, succeeded=False)
    await change(world, "quarantine = '{}'")
    assert await watch(world, NOW + timedelta(days=1)) == 0
    assert [kind for kind, *_ in await told(world)] == ["quarantined"]


async def test_a_look_that_finds_nothing_writes_nothing(world: World) -> None:
    """However often it is made."""
    await watch(world, NOW)
    before = await world.rows("select ctid::text, xmin::text from notification_states where tenant = %s")
    await watch(world, NOW + timedelta(minutes=1))
    assert await world.rows("select ctid::text, xmin::text from notification_states where tenant = %s") == before


# Routing and sending --------------------------------------------------------------------------------------------------


async def put(world: World, count: int = 1, at: datetime = NOW, job: str | None = None) -> list[UUID]:
    notices = [Notice(new_id(), job or world.job, Kind.QUARANTINED, at) for _ in range(count)]
    async with world.database.transaction() as conn:
        await notifications.put(conn, [(world.tenant, notice) for notice in notices])
    return [notice.id for notice in notices]


async def route(world: World, *recipients: str, at: datetime = NOW, most_an_hour: int = 100) -> int:
    """Route all that is new to mailboxes and webhooks; gives how many notices there were."""
    async with world.database.transaction() as conn:
        found = (await notifications.unrouted(conn, 1000)).get(world.tenant, [])
        routes = [
            Route(each.notice.id, "webhook" if "//" in one else "mail", one) for each in found for one in recipients
        ]
        await notifications.route(
            conn,
            world.tenant,
            [each.notice.id for each in found],
            routes,
            now=at,
            window=WINDOW,
            most_an_hour=most_an_hour,
            new_id=new_id,
        )
    return len(found)


async def claim(world: World, at: datetime, limit: int = 10) -> list[Message]:
    async with world.database.transaction() as conn:
        return await notifications.claim(conn, at, LEASE, limit)


async def settle(world: World, message: Message, state: str, due: datetime | None = None) -> bool:
    async with world.database.transaction() as conn:
        return await notifications.settle(conn, message, state=state, answer="said", now=NOW, due=due)


async def contents(world: World, message: Message) -> list[UUID]:
    async with world.database.connection() as conn:
        found = await notifications.contents(conn, world.tenant, [message.id])
    return [each.notice.id for each in found[message.id]]


async def test_notices_within_the_window_become_one_mail_for_each_mailbox(world: World) -> None:
    """Five jobs that fail because one agent is gone are one mail, not five; a later one is another mail."""
    first = await put(world, 3)
    assert await route(world, OPS, BOSS) == 3
    second = await put(world, 2)
    assert await route(world, OPS, at=NOW + timedelta(seconds=20)) == 2
    assert await claim(world, NOW + timedelta(seconds=29)) == []
    sent = {message.recipient: message for message in await claim(world, NOW + WINDOW)}
    assert {one: await contents(world, message) for one, message in sent.items()} == {
        OPS: [*first, *second],
        BOSS: first,
    }
    late = await put(world, 1)
    await route(world, OPS, at=NOW + timedelta(seconds=31))
    (other,) = await claim(world, NOW + timedelta(seconds=61))
    assert (other.id != sent[OPS].id, await contents(world, other)) == (True, late)


async def test_a_mailbox_gets_so_many_mails_an_hour_and_the_rest_in_one(world: World) -> None:
    """A job that goes in and out of quarantine fills nobody's mailbox."""
    for minute in range(30):
        await put(world, 1)
        await route(world, OPS, at=NOW + timedelta(minutes=minute), most_an_hour=3)
        for message in await claim(world, NOW + timedelta(minutes=minute, seconds=30)):
            await settle(world, message, "sent")
    assert await world.rows("select count(*) from messages where tenant = %s and state = 'sent'") == [(3,)]
    assert await claim(world, NOW + timedelta(minutes=59)) == []
    (rest,) = await claim(world, NOW + timedelta(minutes=61))
    assert len(await contents(world, rest)) == 27


async def test_a_webhook_is_called_at_once_for_each_notice(world: World) -> None:
    """Programs do not mind being called often."""
    notices = await put(world, 2)
    await route(world, "https://hook.example/x")
    calls = await claim(world, NOW)
    assert sorted([await contents(world, call) for call in calls]) == sorted([[notice] for notice in notices])
    assert {(call.channel, call.recipient, call.attempts) for call in calls} == {
        ("webhook", "https://hook.example/x", 1)
    }


async def test_a_notice_for_nobody_is_done(world: World) -> None:
    """It is not looked at again, and kept for the list."""
    await put(world)
    assert (await route(world), await route(world)) == (1, 0)
    assert await claim(world, NOW + timedelta(days=1)) == []


async def test_a_message_is_taken_by_one_sender_at_a_time(world: World) -> None:
    """Eight processes look at once: each message is claimed exactly once."""
    await put(world, 20)
    await route(world, "https://hook.example/x")
    taken = await asyncio.gather(*(claim(world, NOW, 5) for _ in range(8)))
    ids = [message.id for batch in taken for message in batch]
    assert (len(ids), len(set(ids))) == (20, 20)


async def test_routing_is_done_by_one_at_a_time(world: World) -> None:
    """Eight processes route at once: every notice reaches the mailbox in exactly one mail."""
    notices = await put(world, 40)
    await asyncio.gather(*(route(world, OPS) for _ in range(8)))
    (mail,) = await claim(world, NOW + WINDOW)
    assert await contents(world, mail) == notices


async def test_a_mail_that_is_being_sent_takes_nothing_more(world: World) -> None:
    """What is told under one Message-ID never changes, so that a repetition is one."""
    first = await put(world)
    await route(world, OPS)
    (mail,) = await claim(world, NOW + WINDOW)
    await put(world)
    await route(world, OPS, at=NOW + WINDOW)
    assert await contents(world, mail) == first
    assert await settle(world, mail, "waiting", NOW + timedelta(minutes=1))
    (again,) = [one for one in await claim(world, NOW + timedelta(hours=1)) if one.id == mail.id]
    assert (again.attempts, await contents(world, again)) == (2, first)


async def test_a_sender_that_died_is_replaced_when_its_lease_ends(world: World) -> None:
    """The message comes again under its id; what the dead one would have noted counts no more."""
    await put(world)
    await route(world, "https://hook.example/x")
    (first,) = await claim(world, NOW)
    assert await claim(world, NOW + LEASE - timedelta(seconds=1)) == []
    (second,) = await claim(world, NOW + LEASE)
    assert (second.id, second.attempts) == (first.id, 2)
    assert not await settle(world, first, "failed")
    assert await settle(world, second, "sent")
    assert await claim(world, NOW + timedelta(days=1)) == []


async def test_the_outbox_of_a_job_is_bounded(world: World, caplog: pytest.LogCaptureFixture) -> None:
    """When nothing can be sent the newest are kept, and the log says that others were dropped."""
    most = notifications.MOST_OF_A_JOB
    old = await put(world, 5, NOW - timedelta(hours=1))
    await route(world, "https://hook.example/x")
    with caplog.at_level(logging.WARNING):
        new = await put(world, most, NOW)
    kept = {row[0] for row in await world.rows("select id from notices where tenant = %s")}
    assert (kept, bool(kept & set(old))) == (set(new), False)
    assert [getattr(record, "event", "") for record in caplog.records] == ["notification.dropped"]
    assert all([await contents(world, message) == [] for message in await claim(world, NOW)])


async def test_dropping_what_was_told_long_ago_is_no_news(world: World, caplog: pytest.LogCaptureFixture) -> None:
    """Only what nobody was told of is worth a warning."""
    await put(world, 5, NOW - timedelta(hours=1))
    await route(world)
    await put(world, notifications.MOST_OF_A_JOB, NOW)
    assert caplog.records == []


async def test_a_job_takes_what_is_told_of_it_along(world: World) -> None:
    """Nothing of it is left behind; a message that is under way has nothing left to tell."""
    await put(world)
    await route(world, OPS)
    await note(world, AGENT, succeeded=False)
    async with world.database.transaction() as conn:
        assert await jobs.delete(conn, world.tenant, world.job)
    (mail,) = await claim(world, NOW + WINDOW)
    assert await contents(world, mail) == []
    for table in ("notices", "notification_states", "message_notices"):
        assert await world.rows(f"select * from {table} where tenant = %s") == []


async def test_what_is_old_is_forgotten(world: World) -> None:
    """Settled messages and their notices go; one that gathers for a notice of today stays."""
    await put(world, 1, NOW - timedelta(days=40))
    await route(world, OPS, at=NOW - timedelta(days=40))
    (old,) = await claim(world, NOW - timedelta(days=39))
    await settle(world, old, "sent")
    await put(world)
    await route(world, OPS)
    async with world.database.transaction() as conn:
        await notifications.forget(conn, world.tenant, NOW - timedelta(days=30))
    assert await world.rows("select state from messages where tenant = %s") == [("gathering",)]
    assert len(await world.rows("select id from notices where tenant = %s")) == 1
