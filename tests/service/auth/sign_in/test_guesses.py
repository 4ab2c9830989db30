"""Guessing does not pay: waits that grow, by name and by address, however many try at once."""

from __future__ import annotations

import asyncio
import re
from datetime import timedelta

import pytest

from dirbridge.service.auth.sign_in import guesses as sign_in_guesses
from dirbridge.service.outgoing import networks
from dirbridge.store import guesses, housekeeping
from tests.service.browsers import ADA, PASSWORD, Browser, Entrance

LOCKED = (429, "SignInLocked")


async def attempt(visitor: Browser, name: str, password: str = "wrong") -> tuple[int, str]:
    answer = await visitor.sign_in(name, password)
    return answer.status_code, visitor.code


@pytest.mark.parametrize("name", [ADA, "nobody@contoso.test"])
async def test_five_failures_bring_a_wait(entrance: Entrance, name: str) -> None:
    """Whether the name is somebody's or not, in any case; the page says how long, and the right password waits too."""
    visitor = entrance.browser()
    assert [await attempt(visitor, name) for _ in range(5)] == [(400, "SignInRefused")] * 5
    answer = await visitor.sign_in(name.upper(), PASSWORD)
    assert (answer.status_code, visitor.code) == LOCKED
    assert answer.headers["retry-after"] == "30"
    assert "Wait 30 seconds" in visitor.text
    assert name in visitor.page.lower()  # stays filled in
    whom = name if name == ADA else "nobody"
    assert sorted(await entrance.trail()) == [(whom, "Lock out"), *[(whom, "Refuse sign-in")] * 5]


async def test_a_name_is_not_to_be_had_under_letters_that_count_apart(entrance: Entrance) -> None:
    """For the database U+0130 is an i in lower case, for the counting it is another letter."""
    await entrance.person("irina@contoso.test")
    assert (await entrance.browser().sign_in("IRINA@contoso.test", PASSWORD)).status_code == 303
    assert await attempt(entrance.browser(), "\u0130rina@contoso.test", PASSWORD) == (400, "SignInRefused")


async def test_waits_double_up_to_a_quarter_of_an_hour(entrance: Entrance) -> None:
    """Each is over when it is over, and forgotten after a day without a try."""
    visitor = entrance.browser()
    for _ in range(5):
        await attempt(visitor, ADA)
    waits = []
    for _ in range(7):
        answer = await visitor.sign_in(ADA, "wrong")
        assert answer.status_code == 429
        waits.append(int(answer.headers["retry-after"]))
        entrance.later(seconds=waits[-1])
        assert (await attempt(visitor, ADA))[0] == 400
    assert waits == [30, 60, 120, 240, 480, 900, 900]
    entrance.later(days=1, seconds=1)
    assert [(await attempt(visitor, ADA))[0] for _ in range(5)] == [400] * 5


async def test_a_sign_in_clears_the_name(entrance: Entrance) -> None:
    """Four slips of the finger are forgotten by the fifth attempt, the good one."""
    visitor = entrance.browser()
    for _ in range(3):
        for _ in range(4):
            assert (await attempt(visitor, ADA))[0] == 400
        assert (await visitor.sign_in()).status_code == 303
        visitor.client.cookies.clear()


async def test_many_at_once_are_no_more_than_one_after_the_other(entrance: Entrance) -> None:
    """Of forty parallel guesses from as many addresses, five are looked at."""
    visitors = [entrance.browser(f"192.0.2.{number}") for number in range(40)]
    for each in visitors:
        await each.get("/sign-in")
    answers = await asyncio.gather(*(each.post("/sign-in", name=ADA, password="wrong") for each in visitors))
    assert sorted(answer.status_code for answer in answers) == [400] * 5 + [429] * 35


async def test_an_address_is_locked_out_whatever_names_it_tries(entrance: Entrance) -> None:
    """Thirty failures; others go on, a good sign-in between does not help."""
    visitor = entrance.browser("198.51.100.7")
    for number in range(29):
        assert (await attempt(visitor, f"n{number}@contoso.test"))[0] == 400
    assert (await visitor.sign_in()).status_code == 303
    visitor.client.cookies.clear()
    assert (await attempt(visitor, "n29@contoso.test"))[0] == 400
    assert await attempt(visitor, ADA, PASSWORD) == LOCKED
    assert (await entrance.browser("198.51.100.8").sign_in()).status_code == 303
    assert ("nobody", "Lock out") in await entrance.trail()


async def test_a_network_of_ipv6_is_one_place(entrance: Entrance) -> None:
    """A host has a /64 to itself, and does not gain by using all of it."""
    for number in range(30):
        assert (await attempt(entrance.browser(f"2001:db8::{number:x}"), f"n{number}@contoso.test"))[0] == 400
    assert (await attempt(entrance.browser("2001:db8::ffff"), "x@contoso.test")) == LOCKED
    assert (await attempt(entrance.browser("2001:db8:0:1::1"), "x@contoso.test"))[0] == 400


async def seen_from(entrance: Entrance, peer: str, forwarded: str) -> str:
    await attempt(entrance.browser(peer, **{"X-Forwarded-For": forwarded}), ADA)
    ((address,),) = await entrance.run("select detail->>'address' from audits order by at desc limit 1")
    assert isinstance(address, str)
    await entrance.run("delete from guesses")
    return address


async def test_a_proxy_is_believed_where_the_settings_say_so(entrance: Entrance) -> None:
    """The last who is no proxy of ours counts; before it anybody may have written anything."""
    assert await seen_from(entrance, "192.0.2.9", "203.0.113.5") == "192.0.2.9"
    rules = entrance.application.state.sign_in
    entrance.application.state.sign_in = type(rules)(clock=rules.clock, proxies=networks("10.0.0.0/8"))
    assert await seen_from(entrance, "192.0.2.9", "203.0.113.5") == "192.0.2.9"
    assert await seen_from(entrance, "10.0.0.1", "203.0.113.5") == "203.0.113.5"
    assert await seen_from(entrance, "10.0.0.1", "1.1.1.1, 203.0.113.5, 10.0.0.2") == "203.0.113.5"
    assert await seen_from(entrance, "10.0.0.1", "not an address") == "10.0.0.1"
    assert await seen_from(entrance, "::ffff:10.0.0.1", "2001:db8::1") == "2001:db8::1"


async def test_the_trail_is_not_filled_during_a_wait(entrance: Entrance) -> None:
    """What is not looked at leaves no row."""
    visitor = entrance.browser()
    for _ in range(12):
        await attempt(visitor, ADA)
    assert len(await entrance.trail()) == 6


async def test_old_guesses_and_sessions_are_cleared_away(entrance: Entrance) -> None:
    """Housekeeping removes what no longer counts, and nothing else."""
    visitor = entrance.browser()
    await attempt(visitor, "nobody@contoso.test")
    await visitor.sign_in()
    await housekeeping.tidy(entrance.database, entrance.now + timedelta(hours=23))
    assert await entrance.run("select count(*) from sessions") == [(1,)]
    assert await entrance.run("select count(*) from guesses") == [(2,)]
    await housekeeping.tidy(entrance.database, entrance.now + timedelta(hours=24, seconds=1))
    assert await entrance.run("select count(*) from sessions") == [(0,)]
    assert await entrance.run("select count(*) from guesses") == [(0,)]


async def test_a_name_is_counted_however_it_is_written() -> None:
    """Case and blanks at its ends make no other name."""
    assert sign_in_guesses.of_name(" ADA@contoso.test ") == sign_in_guesses.of_name(ADA)


async def test_a_good_attempt_leaves_the_wait_of_another(entrance: Entrance) -> None:
    """Of one address, the attempt that was good is taken back; what a later one brought stays."""
    key, at = b"k" * 32, entrance.now
    async with entrance.database.connection() as conn:
        for second in range(3):
            moment = at + timedelta(seconds=second)
            assert await guesses.count(conn, entrance.tenant, key, 3, moment) is None
        until = await guesses.blocked_until(conn, entrance.tenant, key)
        await guesses.take_back(conn, entrance.tenant, key, at)
        assert await guesses.blocked_until(conn, entrance.tenant, key) == until == at + timedelta(seconds=32)
        await guesses.take_back(conn, entrance.tenant, key, at + timedelta(seconds=2))
        assert await guesses.blocked_until(conn, entrance.tenant, key) == at + timedelta(seconds=2)
    assert re.fullmatch(r"\d+", str((await entrance.run("select failures from guesses"))[0][0]))
