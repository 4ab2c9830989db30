"""A person's own page: sessions, password, second factor."""

from __future__ import annotations

import asyncio
import base64
import re
from datetime import UTC, datetime
from urllib.parse import unquote

import pytest

from dirbridge.service.auth import people
from dirbridge.service.auth.sign_in import second_factor
from dirbridge.service.auth.sign_in.browser import SESSION
from tests.service.browsers import ADA, PASSWORD, Browser, Entrance, code

NEW = "an entirely new password"


async def at_home(entrance: Entrance, **headers: str) -> Browser:
    visitor = entrance.browser(**headers)
    assert (await visitor.sign_in()).status_code == 303
    assert (await visitor.get("/account")).status_code == 200
    return visitor


async def test_the_page_asks_who_is_not_signed_in(entrance: Entrance) -> None:
    """And leads back."""
    answer = await entrance.browser().get("/account")
    assert (answer.status_code, answer.headers["location"]) == (303, "/sign-in?continue=%2Faccount")


async def test_sessions_are_listed_and_ended(entrance: Entrance) -> None:
    """Each with browser and address; one, or all others, at once."""
    mine, phone, third = [await at_home(entrance, **{"User-Agent": f"Browser {n} <b>"}) for n in "123"]
    await mine.get("/account")
    assert [f"Browser {n} <b>" in mine.text for n in "123"] == [True] * 3
    assert "192.0.2.1" in mine.text
    assert mine.page.count("this browser") == 1
    ids = re.findall(r'name="id" value="([^"]+)"', mine.page)
    assert len(ids) == 2
    answer = await mine.post("/account/sessions/end", id=ids[0])
    assert answer.headers["location"] == "/account?done=session"
    assert sorted([await phone.who() is None, await third.who() is None]) == [False, True]
    await mine.get("/account?done=session")
    assert "The session was ended." in mine.text
    await mine.post("/account/sessions/end-others")
    assert [await each.who() for each in (mine, phone, third)] == [ADA, None, None]
    assert [activity for _, activity in await entrance.trail()][-2:] == ["End session", "End sessions"]


async def test_nobody_ends_the_sessions_of_others(entrance: Entrance) -> None:
    """An id that is another's ends nothing; one that is none is refused."""
    await entrance.person("grace@contoso.test")
    hers, mine = entrance.browser(), await at_home(entrance)
    await hers.sign_in("grace@contoso.test")
    ((id,),) = await entrance.run("select s.id from sessions s join administrators a on a.id = s.administrator"
                                  " where a.user_name like 'grace%%'")  # fmt: skip
    await mine.post("/account/sessions/end", id=str(id))
    assert await hers.who() == "grace@contoso.test"
    await mine.get("/account")
    assert (await mine.post("/account/sessions/end", id="x")).status_code == 400


@pytest.mark.parametrize(
    ("fields", "refusal"),
    [
        ({"password": "wrong", "new": NEW, "again": NEW}, "PasswordWrong"),
        ({"password": PASSWORD, "new": NEW, "again": NEW + "x"}, "PasswordsDiffer"),
        ({"password": PASSWORD, "new": "short", "again": "short"}, "PasswordTooWeak"),
        ({"password": PASSWORD, "new": "", "again": ""}, "PasswordTooWeak"),
        ({}, "PasswordWrong"),
    ],
)
async def test_a_password_is_not_changed_lightly(entrance: Entrance, fields: dict[str, str], refusal: str) -> None:
    """The old one is asked for, the new one twice, and it must be good."""
    visitor = await at_home(entrance)
    answer = await visitor.post("/account/password", **fields)
    assert (answer.status_code, visitor.code) == (400, refusal)
    assert (await entrance.browser().sign_in()).status_code == 303


async def test_a_new_password_ends_all_other_sessions(entrance: Entrance) -> None:
    """This browser goes on with a new session; the old password is good no more."""
    mine, other = await at_home(entrance), await at_home(entrance)
    value = mine.client.cookies[SESSION]
    entrance.later(seconds=1)
    await mine.get("/account")
    answer = await mine.post("/account/password", password=PASSWORD, new=NEW, again=NEW)
    assert answer.headers["location"] == "/account?done=password"
    assert mine.client.cookies[SESSION] != value
    assert [await mine.who(), await other.who()] == [ADA, None]
    assert (await other.sign_in()).status_code == 400
    assert (await other.sign_in(ADA, NEW)).status_code == 303
    assert [row[0] for row in await entrance.run("select activity from audits order by at, id")][-4:] == [
        "Change own password", "Renew session", "Refuse sign-in", "Sign in",
    ]  # fmt: skip


async def test_a_password_that_was_reset_meanwhile_stays(entrance: Entrance, monkeypatch: pytest.MonkeyPatch) -> None:
    """Somebody is shut out by a reset: what they had sent just before does not give them the account back."""
    browser = await at_home(entrance)

    async def reset(password: str) -> str:
        await entrance.run("delete from sessions")
        await entrance.run("update administrators set password_hash = 'reset'")
        return password

    monkeypatch.setattr(people, "hashed", reset)
    answer = await browser.post("/account/password", password=PASSWORD, new=NEW, again=NEW)
    assert (answer.status_code, answer.headers["location"]) == (303, "/sign-in")
    assert await entrance.run("select distinct password_hash from administrators") == [("reset",)]
    assert await browser.who() is None


async def test_the_old_password_cannot_be_guessed_from_a_session(entrance: Entrance) -> None:
    """Whoever finds a browser open has five tries, not more."""
    visitor = await at_home(entrance)
    for _ in range(5):
        await visitor.post("/account/password", password="wrong", new=NEW, again=NEW)
        await visitor.get("/account")
    answer = await visitor.post("/account/password", password=PASSWORD, new=NEW, again=NEW)
    assert (answer.status_code, visitor.code) == (429, "SignInLocked")


async def begin(entrance: Entrance, visitor: Browser) -> bytes:
    await visitor.get("/account")
    assert (await visitor.post("/account/second-factor", password=PASSWORD)).status_code == 200
    found = re.search(r'<p class="secret">([A-Z2-7 ]+)</p>', visitor.page)
    assert found
    return base64.b32decode(found[1].replace(" ", ""))


async def test_a_second_factor_counts_once_it_is_confirmed(entrance: Entrance) -> None:
    """Shown as an image and in letters; sign-in asks for it from the first good code on."""
    mine = await at_home(entrance)
    secret = await begin(entrance, mine)
    assert len(secret) == 20
    image = re.search(r'<img class="qr" src="(data:image/svg\+xml[^"]+)"', mine.page)
    assert image
    assert "<svg" in unquote(image[1])
    assert (await entrance.browser().sign_in()).headers["location"].startswith("/sign-in?")  # not yet
    answer = await mine.post("/account/second-factor/confirm", code="000000")
    assert (answer.status_code, mine.code) == (400, "CodeRefused")
    answer = await mine.post("/account/second-factor/confirm", code=code(secret, entrance.now))
    assert answer.headers["location"] == "/account?done=on"
    assert (await entrance.browser().sign_in()).headers["location"] == "/sign-in/code"
    ((stored,),) = await entrance.run("select totp_secret from administrators where user_name = %s", [ADA])
    assert secret not in bytes(stored)
    assert (ADA, "Turn on second factor") in await entrance.trail()


async def test_a_code_signs_in_once(entrance: Entrance) -> None:
    """Used before, by the same or another browser, it is refused; the next one is good."""
    ((ada,),) = await entrance.run("select id from administrators where user_name = %s", [ADA])
    secret = await entrance.with_second_factor(ada)
    visitors = [entrance.browser(), entrance.browser()]
    shown = code(secret, entrance.now)
    for each in visitors:
        assert (await each.sign_in(continue_to="/wanted")).headers["location"] == "/sign-in/code"
        assert await each.who() is None
        await each.get("/sign-in/code")
    answers = await asyncio.gather(*(each.post("/sign-in/code", code=shown) for each in visitors))
    assert sorted(answer.status_code for answer in answers) == [303, 400]
    assert {answer.headers.get("location") for answer in answers} == {"/sign-in?continue=%2Fwanted", None}
    late = visitors[[answer.status_code for answer in answers].index(400)]
    assert late.code == "CodeRefused"
    entrance.later(seconds=30)
    assert (await late.post("/sign-in/code", code=code(secret, entrance.now))).status_code == 303
    methods = await entrance.run("select methods from sessions")
    assert methods == [(["pwd", "otp", "mfa"],)] * 2


@pytest.mark.parametrize(("late", "good"), [(-60, False), (-30, True), (0, True), (30, True), (60, False)])
def test_a_clock_may_be_one_step_off(late: int, good: bool) -> None:
    """RFC 6238's own vectors, of its eight digits the last six; blanks do not matter."""
    for seconds, shown in ((1111111109, "081804"), (2000000000, "279037"), (20000000000, "353130")):
        at = datetime.fromtimestamp(seconds - late, UTC)
        found = second_factor.step_of(b"12345678901234567890", f"{shown[:3]} {shown[3:]}", at, 0)
        assert found == (seconds // 30 if good else None)


def test_what_is_no_code_is_refused() -> None:
    """Anything that is not six plain digits."""
    at = datetime.fromtimestamp(59, UTC)
    for given in ("", "28708", "2870822", "28708a", "²87082", "٢٨٧٠٨٢", "\x00"):
        assert second_factor.step_of(b"12345678901234567890", given, at, 0) is None
    assert second_factor.step_of(b"12345678901234567890", "287082", at, 1) is None


async def test_codes_cannot_be_guessed(entrance: Entrance) -> None:
    """Five wrong ones bring a wait, whatever browser and whatever good password come in between."""
    ((ada,),) = await entrance.run("select id from administrators where user_name = %s", [ADA])
    secret = await entrance.with_second_factor(ada)
    for number in range(5):
        visitor = entrance.browser(f"192.0.2.{number}")
        await visitor.sign_in()
        await visitor.get("/sign-in/code")
        assert (await visitor.post("/sign-in/code", code="000000")).status_code == 400
    visitor = entrance.browser("192.0.2.77")
    await visitor.sign_in()
    await visitor.get("/sign-in/code")
    answer = await visitor.post("/sign-in/code", code=code(secret, entrance.now))
    assert (answer.status_code, visitor.code) == (429, "SignInLocked")


async def test_half_a_sign_in_is_good_for_ten_minutes(entrance: Entrance) -> None:
    """And is nothing at all in other hands or altered."""
    ((ada,),) = await entrance.run("select id from administrators where user_name = %s", [ADA])
    secret = await entrance.with_second_factor(ada)
    visitor = entrance.browser()
    assert (await visitor.get("/sign-in/code")).headers["location"] == "/sign-in"
    await visitor.sign_in()
    pending = "__Host-dirbridge-pending"
    value = visitor.client.cookies[pending]
    await visitor.get("/sign-in/code")
    visitor.client.cookies.set(pending, value[:-6] + "AAAAA=", domain="dirbridge.example")
    assert (await visitor.post("/sign-in/code", code=code(secret, entrance.now))).status_code == 400
    visitor.client.cookies.clear()
    await visitor.sign_in()
    await visitor.get("/sign-in/code")
    entrance.later(minutes=10)
    answer = await visitor.post("/sign-in/code", code=code(secret, entrance.now))
    assert (answer.status_code, visitor.code) == (400, "SignInExpired")


async def test_a_second_factor_is_turned_off_by_a_code(entrance: Entrance) -> None:
    """Not by a password, and never replaced while it is on."""
    ((ada,),) = await entrance.run("select id from administrators where user_name = %s", [ADA])
    mine = await at_home(entrance)
    secret = await entrance.with_second_factor(ada)
    await mine.get("/account")
    answer = await mine.post("/account/second-factor", password=PASSWORD)
    assert (answer.status_code, mine.code) == (400, "SecondFactorOn")
    await mine.get("/account")
    assert (await mine.post("/account/second-factor/confirm", code=code(secret, entrance.now))).status_code == 400
    await mine.get("/account")
    assert (await mine.post("/account/second-factor/off", code="000000")).status_code == 400
    answer = await mine.post("/account/second-factor/off", code=code(secret, entrance.now))
    assert answer.headers["location"] == "/account?done=off"
    assert (await entrance.browser().sign_in()).headers["location"].startswith("/sign-in?")
    assert (ADA, "Turn off second factor") in await entrance.trail()


async def test_a_second_factor_needs_the_password(entrance: Entrance) -> None:
    """Whoever finds a browser open cannot lock its owner out."""
    mine = await at_home(entrance)
    answer = await mine.post("/account/second-factor", password="wrong")
    assert (answer.status_code, mine.code) == (400, "PasswordWrong")
    await mine.get("/account")
    answer = await mine.post("/account/second-factor/confirm", code="000000")
    assert (answer.status_code, mine.code) == (400, "SecondFactorNotBegun")


async def test_a_form_of_an_ended_session_leads_to_sign_in(entrance: Entrance) -> None:
    """Nothing is done for whoever is out by now."""
    mine = await at_home(entrance)
    await entrance.run("delete from sessions")
    answer = await mine.post("/account/password", password=PASSWORD, new=NEW, again=NEW)
    assert (answer.status_code, answer.headers["location"]) == (303, "/sign-in")
