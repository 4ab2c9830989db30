"""Sign-in in a browser: who gets a session, with what cookies, and everybody else who does not."""

from __future__ import annotations

import asyncio
from http.cookies import SimpleCookie

import pytest
from argon2 import PasswordHasher

from dirbridge.contract.errors import TransientError
from dirbridge.service.auth import rendering
from dirbridge.service.auth.sign_in import browser
from dirbridge.service.auth.sign_in.browser import SESSION, VISITOR
from dirbridge.store import people, sessions
from dirbridge.store.sessions import Session
from tests.service.browsers import ADA, PASSWORD, Entrance, code


async def test_a_name_and_its_password_open_a_session(entrance: Entrance) -> None:
    """The browser goes on where it wanted to, without a redirect; the name is taken in any case."""
    visitor = entrance.browser()
    answer = await visitor.sign_in(ADA.upper(), continue_to="/wanted?a=1&b=2")
    assert (answer.status_code, answer.headers["location"]) == (303, "/sign-in?continue=%2Fwanted%3Fa%3D1%26b%3D2")
    onward = await visitor.get(answer.headers["location"])
    assert onward.status_code == 200
    assert '<meta http-equiv="refresh" content="0;url=/wanted?a=1&amp;b=2">' in onward.text
    assert await visitor.who() == ADA
    assert await entrance.trail() == [(ADA, "Sign in")]
    ((last,),) = await entrance.run("select last_sign_in from administrators where user_name = %s", [ADA])
    assert last == entrance.now


async def test_sign_ins_at_once_wait_for_one_another(entrance: Entrance) -> None:
    """Each writes the account's row after it looked at it: two that share it would each wait for the other to end."""
    await entrance.browser().sign_in()
    async with entrance.database.transaction() as conn:
        ((ada, _),) = await entrance.run("select id, user_name from administrators where user_name = %s", [ADA])
        session = Session(
            digest=b"1", id=ada, administrator=ada, signed_in_at=entrance.now, last_seen_at=entrance.now,
            expires_at=entrance.now, methods=[], address="", browser="",
        )  # fmt: skip
        assert await sessions.add(conn, entrance.tenant, session, entrance.now)
        with pytest.raises(TransientError):
            await entrance.run("select from administrators for share nowait")


async def test_the_cookie_is_for_this_host_only(entrance: Entrance) -> None:
    """Secure, HttpOnly, Lax, every path, no domain; what lies in the store is no use to a browser."""
    visitor = entrance.browser()
    answer = await visitor.sign_in()
    carried = [SimpleCookie(each) for each in answer.headers.get_list("set-cookie")]
    session = next(each[SESSION] for each in carried if SESSION in each)
    assert {name: session[name] for name in ("path", "secure", "httponly", "samesite", "domain", "max-age")} == {
        "path": "/", "secure": True, "httponly": True, "samesite": "lax", "domain": "", "max-age": "",
    }  # fmt: skip
    assert len(session.value) == 43
    assert await entrance.run("select digest from sessions") == [(browser.digest_of(session.value),)]


async def test_pages_are_kept_to_themselves(entrance: Entrance) -> None:
    """A strict policy, nothing kept, no script; the stylesheet may be kept for good."""
    visitor = entrance.browser()
    answer = await visitor.get("/sign-in")
    assert answer.headers["content-security-policy"] == (
        "default-src 'none'; style-src 'self'; img-src 'self' data:; form-action 'self'; frame-ancestors 'none'; "
        "base-uri 'none'"
    )
    assert answer.headers["cache-control"] == "no-store"
    assert "<script" not in answer.text
    assert "style=" not in answer.text
    assert rendering.STYLE in answer.text
    style = await visitor.get(rendering.STYLE)
    assert (style.status_code, style.headers["content-type"]) == (200, "text/css; charset=utf-8")
    assert "immutable" in style.headers["cache-control"]


@pytest.mark.parametrize(
    ("name", "password", "reason"),
    [
        (ADA, "wrong password 1", "wrong password"),
        (ADA, "", "wrong password"),
        (ADA, PASSWORD + "x" * 5000, "wrong password"),
        ("bob@contoso.test", PASSWORD, "unknown name"),
        ("", "", "unknown name"),
        ("a\x00b@contoso.test", PASSWORD, "unknown name"),
        ("eve@contoso.test", PASSWORD, "disabled"),
        ("\udcff".encode("utf-8", "surrogateescape").decode("latin-1"), PASSWORD, "unknown name"),
    ],
)
async def test_nobody_else_gets_in(entrance: Entrance, name: str, password: str, reason: str) -> None:
    """All are told the same; the trail knows why, and repeats no name that is nobody's."""
    await entrance.person("eve@contoso.test")
    await entrance.run("update administrators set is_disabled = true where user_name like 'eve%%'")
    visitor = entrance.browser()
    answer = await visitor.sign_in(name, password)
    assert (answer.status_code, visitor.code) == (400, "SignInRefused")
    assert "The name or the password is wrong." in visitor.text
    assert SESSION not in answer.headers.get("set-cookie", "")
    assert await visitor.who() is None
    rows = await entrance.run("select actor, target, detail->>'reason' from audits where activity = 'Refuse sign-in'")
    whom = name if reason != "unknown name" else "nobody"
    assert rows == [(whom, "" if whom == "nobody" else whom, reason)]


async def test_a_name_that_nobody_has_takes_as_long(entrance: Entrance, monkeypatch: pytest.MonkeyPatch) -> None:
    """One Argon2 of the same cost either way."""
    spent: list[str] = []
    for method in ("hash", "verify"):
        was = getattr(PasswordHasher, method)

        def counted(self: PasswordHasher, *given: str, method: str = method, was: object = was) -> object:
            spent.append(f"{method} {self.time_cost} {self.memory_cost}")
            return was(self, *given)  # type: ignore[operator]

        monkeypatch.setattr(PasswordHasher, method, counted)
    await entrance.browser().sign_in(ADA, "wrong")
    await entrance.browser().sign_in("bob@contoso.test", "wrong")
    assert spent == ["verify 3 65536", "hash 3 65536"]


async def test_an_outdated_hash_is_made_anew(entrance: Entrance) -> None:
    """At the first sign-in that shows the password; the password stays what it was."""
    weak = PasswordHasher(time_cost=1, memory_cost=8 * 1024, parallelism=1).hash(PASSWORD)
    await entrance.run("update administrators set password_hash = %s where user_name = %s", [weak, ADA])
    assert (await entrance.browser().sign_in(ADA, "wrong")).status_code == 400
    assert await entrance.run("select password_hash from administrators where user_name = %s", [ADA]) == [(weak,)]
    for _ in range(2):
        assert (await entrance.browser().sign_in()).status_code == 303
    ((hashed,),) = await entrance.run("select password_hash from administrators where user_name = %s", [ADA])
    assert hashed.startswith("$argon2id$v=19$m=65536,t=3,p=1$")


async def test_a_session_begins_with_a_value_of_its_own(entrance: Entrance) -> None:
    """What a browser brought along, a stranger's value or its own, opens nothing afterwards."""
    visitor, planted = entrance.browser(), "planted-by-somebody-else"
    visitor.client.cookies.set(SESSION, planted, domain="dirbridge.example")
    await visitor.sign_in()
    assert visitor.client.cookies.get(SESSION) != planted
    first = visitor.client.cookies[SESSION]
    visitor.page = (await visitor.get("/sign-in?reauthenticate=1")).text
    await visitor.post("/sign-in", name=ADA, password=PASSWORD)
    assert visitor.client.cookies[SESSION] != first
    for old in (planted, first):
        other = entrance.browser()
        other.client.cookies.set(SESSION, old, domain="dirbridge.example")
        assert await other.who() is None
    assert await entrance.run("select count(*) from sessions") == [(1,)]


@pytest.mark.parametrize(
    ("agent", "shown"),
    [
        ("Mozilla/5.0 (X11; Linux x86_64) AppleWebKit/537.36 (KHTML, like Gecko) Chrome/140.0 Safari/537.36",
         "Chrome on Linux"),
        ("Mozilla/5.0 (Windows NT 10.0; Win64; x64) AppleWebKit/537.36 Chrome/140.0 Safari/537.36 Edg/140.0",
         "Edge on Windows"),
        ("Mozilla/5.0 (iPhone; CPU iPhone OS 17_0 like Mac OS X) AppleWebKit/605 Version/17.0 Safari/604.1",
         "Safari on iOS"),
        ("Mozilla/5.0 (Android 14; Mobile; rv:140.0) Gecko/140.0 Firefox/140.0", "Firefox on Android"),
        ("lynx", "lynx"),
        ("", "Unknown browser"),
    ],
)  # fmt: skip
def test_a_browser_is_named_in_a_few_words(agent: str, shown: str) -> None:
    """As people call it."""
    assert rendering.browser(agent) == shown


@pytest.mark.parametrize("token", ["", "x", "stranger's"])
async def test_a_form_of_another_page_is_refused(entrance: Entrance, token: str) -> None:
    """Without the token, with another, or with that of another browser; before and after sign-in."""
    stranger, visitor = entrance.browser(), entrance.browser()
    await stranger.get("/sign-in")
    wrong = stranger.csrf if token == "stranger's" else token
    await visitor.get("/sign-in")
    for path in ("/sign-in", "/sign-in/code", "/sign-out"):
        answer = await visitor.post(path, name=ADA, password=PASSWORD, csrf=wrong)
        assert (answer.status_code, visitor.code) == (403, "FormExpired"), path
    await visitor.sign_in()
    for path in ("/sign-out", "/account/password", "/account/sessions/end-others", "/account/second-factor"):
        answer = await visitor.post(path, password=PASSWORD, new="x", csrf=wrong)
        assert (answer.status_code, visitor.code) == (403, "FormExpired"), path
    assert await visitor.who() == ADA


async def test_a_token_is_nothing_without_its_cookie(entrance: Entrance) -> None:
    """A form that comes without cookies, as from another site, is refused."""
    visitor = entrance.browser()
    await visitor.get("/sign-in")
    assert VISITOR in visitor.client.cookies
    token = visitor.csrf
    visitor.client.cookies.clear()
    answer = await visitor.post("/sign-in", name=ADA, password=PASSWORD, csrf=token)
    assert (answer.status_code, visitor.code) == (403, "FormExpired")


@pytest.mark.parametrize(
    "target",
    [
        "https://evil.example/", "//evil.example/", "/\\evil.example", "\\\\evil.example", "/\t/evil.example",
        "/%0d%0aSet-Cookie:x=1\r\nX: y", "javascript:alert(1)", "evil.example", "/a//evil.example", " /account",
        "/ evil", "/ä", "/" + "x" * 9000, "", "http:/account", "/\x00",
    ],
)  # fmt: skip
async def test_nobody_is_led_elsewhere(entrance: Entrance, target: str) -> None:
    """Only a path of ours is gone on to; everything else is the portal."""
    assert browser.local(target) is None
    visitor = entrance.browser()
    answer = await visitor.sign_in(continue_to=target)
    assert answer.headers["location"] == "/sign-in?continue=%2F"
    shown = await visitor.client.get("/sign-in", params={"continue": target})
    assert 'content="0;url=/"' in shown.text
    assert "evil" not in shown.text


def test_ones_own_paths_are_gone_on_to() -> None:
    """Also one whose query holds an address, as requests to authorize do."""
    wanted = "/t/oauth2/v2.0/authorize?redirect_uri=http://localhost:1/x&state=%2F"
    assert browser.local(wanted) == wanted


async def test_what_is_given_is_shown_as_text(entrance: Entrance) -> None:
    """Nothing of a request becomes markup."""
    visitor = entrance.browser()
    hostile = '"><img src=x onerror=alert(1)>'
    for path in (f"/sign-in?login_hint={hostile}", f"/sign-in?continue=/{hostile}"):
        assert "<img" not in (await visitor.get(path)).text
    await visitor.get("/sign-in")
    assert "<img" not in (await visitor.post("/sign-in", name=hostile, password="x")).text


async def test_a_session_ends_when_nobody_uses_it(entrance: Entrance) -> None:
    """After eight hours alone; being used keeps it, for a day at most."""
    visitor, left_alone = entrance.browser(), entrance.browser()
    await visitor.sign_in()
    await left_alone.sign_in()
    for _ in range(3):
        entrance.later(hours=7)
        assert await visitor.who() == ADA
    assert await left_alone.who() is None
    entrance.later(hours=2, minutes=59)
    assert await visitor.who() == ADA
    entrance.later(minutes=1)
    assert await visitor.who() is None


async def test_sign_out_ends_the_session(entrance: Entrance) -> None:
    """For everybody who has its value; a link alone does not."""
    visitor = entrance.browser()
    await visitor.sign_in()
    value = visitor.client.cookies[SESSION]
    await visitor.get("/sign-out")
    assert await visitor.who() == ADA
    await visitor.get("/sign-out")
    answer = await visitor.post("/sign-out")
    assert (answer.status_code, answer.headers["location"]) == (303, "/sign-in?signed_out=1")
    assert SESSION not in visitor.client.cookies
    await visitor.get(answer.headers["location"])
    assert "You are signed out." in visitor.text
    visitor.client.cookies.set(SESSION, value, domain="dirbridge.example")
    assert await visitor.who() is None
    assert await entrance.trail() == [(ADA, "Sign in"), (ADA, "Sign out")]


@pytest.mark.parametrize(
    ("change", "parameters"),
    [
        ("update administrators set is_disabled = true where id = %s", ()),
        ("delete from administrators where id = %s", ()),
    ],
)
async def test_whoever_is_disabled_or_gone_is_out(entrance: Entrance, change: str, parameters: tuple[str, ...]) -> None:
    """At the next request."""
    grace = await entrance.person("grace@contoso.test")
    visitor = entrance.browser()
    await visitor.sign_in("grace@contoso.test")
    assert await visitor.who() == "grace@contoso.test"
    await entrance.run(change, [*parameters, grace])
    assert await visitor.who() is None


async def test_a_change_during_sign_in_ends_it(entrance: Entrance) -> None:
    """Whoever proved the old password gets no session once there is a new one."""
    ada = await entrance.person("grace@contoso.test")
    secret = await entrance.with_second_factor(ada)
    visitor = entrance.browser()
    assert (await visitor.sign_in("grace@contoso.test")).headers["location"] == "/sign-in/code"
    entrance.later(seconds=1)
    async with entrance.database.transaction() as conn:
        await people.refuse_tokens(conn, entrance.tenant, ada, entrance.now)
    await visitor.get("/sign-in/code")
    answer = await visitor.post("/sign-in/code", code=code(secret, entrance.now))
    assert (answer.status_code, visitor.code) == (400, "SignInOutdated")
    assert await visitor.who() is None


async def test_forms_are_read_with_care(entrance: Entrance) -> None:
    """Neither another type nor more than a form can be is an error of ours."""
    visitor = entrance.browser()
    await visitor.get("/sign-in")
    for content, kind in ((b"{}", "application/json"), (b"\xff=1", None), (b"a=1&a=2", None), (b"a" * 70_000, None)):
        answer = await visitor.client.post(
            "/sign-in", content=content, headers={"Content-Type": kind or "application/x-www-form-urlencoded"}
        )
        assert answer.status_code in {400, 413}
        assert "FormUnreadable" in answer.text


async def test_two_sign_ins_at_once_are_two_sessions(entrance: Entrance) -> None:
    """Each browser has its own."""
    visitors = [entrance.browser() for _ in range(3)]
    answers = await asyncio.gather(*(each.sign_in() for each in visitors))
    assert [answer.status_code for answer in answers] == [303] * 3
    assert len({each.client.cookies[SESSION] for each in visitors}) == 3
