"""A browser comes with what an application wants, and goes back with a code, once a person allows it."""

import re
from html import unescape
from typing import Any
from urllib.parse import parse_qsl, urlencode, urlsplit

import httpx2
import pytest

from dirbridge.service.auth.oauth import redirects
from dirbridge.service.setup import SIGN_IN_CLIENT
from dirbridge.store import identity
from tests.service import registered
from tests.service.auth.doors import CHALLENGE, REDIRECT, VERIFIER
from tests.service.browsers import ADA, PASSWORD, Browser, Entrance

AUTHORIZE = "/common/oauth2/v2.0/authorize"
TOKEN = "/common/oauth2/v2.0/token"


def wish(**changed: str | None) -> dict[str, str]:
    wanted: dict[str, str | None] = {
        "client_id": str(SIGN_IN_CLIENT), "response_type": "code", "redirect_uri": REDIRECT, "state": "s-1&x=<b>",
        "scope": "User.Read openid profile offline_access", "nonce": "n-0S6", "code_challenge": CHALLENGE,
        "code_challenge_method": "S256", **changed,
    }  # fmt: skip
    return {name: value for name, value in wanted.items() if value is not None}


async def go(browser: Browser, **changed: str | None) -> httpx2.Response:
    return await browser.get(f"{AUTHORIZE}?{urlencode(wish(**changed))}")


async def onward(browser: Browser, answer: httpx2.Response, name: str = ADA) -> httpx2.Response:
    """Sign in where a page asks for it, and follow on to the authorization endpoint."""
    assert answer.status_code == 303, answer.text
    assert answer.headers["location"].startswith("/sign-in?"), answer.headers["location"]
    await browser.get(answer.headers["location"])
    goes_to = dict(parse_qsl(urlsplit(answer.headers["location"]).query))["continue"]
    assert (await browser.post("/sign-in", name=name, password=PASSWORD, **{"continue": goes_to})).status_code == 303
    return await browser.get(goes_to)


async def decide(browser: Browser, decision: str = "allow") -> httpx2.Response:
    """Press a button of the page that is shown."""
    fields = dict(re.findall(r'<input type="hidden" name="([^"]+)" value="([^"]*)">', browser.page))
    action = re.search(r'<form method="post" action="([^"]+)"', browser.page)
    assert action
    values = {name: unescape(value) for name, value in fields.items() if name != "csrf"}
    return await browser.post(unescape(action[1]), **values, decision=decision)


def told(answer: httpx2.Response, part: str = "query") -> dict[str, str]:
    """What the application is told at its redirect address."""
    assert answer.status_code == 303, answer.text
    where = urlsplit(answer.headers["location"])
    assert f"{where.scheme}://{where.netloc}" == REDIRECT
    return dict(parse_qsl(getattr(where, part)))


def refusal(answer: httpx2.Response) -> tuple[str, str]:
    """OAuth's word and the number, with the state beside them."""
    found = told(answer)
    assert found["state"] == "s-1&x=<b>"
    return found["error"], found["error_description"].partition(":")[0]


async def redeem(entrance: Entrance, code: str, **changed: str) -> httpx2.Response:
    form = {
        "grant_type": "authorization_code", "client_id": str(SIGN_IN_CLIENT), "code": code, "redirect_uri": REDIRECT,
        "code_verifier": VERIFIER, **changed,
    }  # fmt: skip
    return await entrance.browser().client.post(TOKEN, data=form)


async def test_person_signs_in_and_allows_and_the_application_gets_its_tokens(entrance: Entrance) -> None:
    """The whole way; the second time nobody is asked."""
    browser = entrance.browser()
    page = await onward(browser, await go(browser))
    assert page.status_code == 200
    assert "User.Read" in browser.text
    assert page.headers["content-security-policy"].count(f"form-action 'self' {REDIRECT};") == 1
    answer = told(await decide(browser))
    assert answer.keys() == {"code", "state"}
    assert answer["state"] == "s-1&x=<b>"
    given = await redeem(entrance, answer["code"])
    assert given.status_code == 200, given.text
    assert {"access_token", "refresh_token", "id_token"} <= given.json().keys()
    again = told(await go(browser, redirect_uri=f"{REDIRECT}/", prompt="none"))
    assert (await redeem(entrance, again["code"], redirect_uri=f"{REDIRECT}/")).status_code == 200
    trail = await entrance.run("select actor, activity, detail -> 'scopes' from audits where activity ~ 'Consent'")
    assert trail == [(ADA, "Consent to application", ["User.Read", "offline_access", "openid", "profile"])]


async def test_more_than_was_allowed_is_asked_for_again(entrance: Entrance) -> None:
    """Consent is to scopes, not to an application; with prompt=consent it is asked for anyway."""
    browser = entrance.browser()
    await onward(browser, await go(browser))
    told(await decide(browser))
    told(await go(browser, scope="User.Read"))
    assert (await go(browser, scope="User.Read Group.ReadWrite.All")).status_code == 200
    assert refusal(await go(browser, scope="Group.ReadWrite.All", prompt="none")) == ("consent_required", "AADSTS65001")
    assert (await go(browser, prompt="consent")).status_code == 200
    assert "code" in told(await decide(browser))


async def test_person_declines(entrance: Entrance) -> None:
    """The application is told, and asked for again next time."""
    browser = entrance.browser()
    await onward(browser, await go(browser))
    assert refusal(await decide(browser, "decline")) == ("access_denied", "AADSTS65004")
    assert (await go(browser)).status_code == 200


async def test_consent_needs_the_page_of_this_browser(entrance: Entrance) -> None:
    """A form of a foreign page is refused, and gives no code."""
    browser = entrance.browser()
    await onward(browser, await go(browser))
    answer = await browser.client.post(
        "/common/oauth2/v2.0/consent", data={"request": urlencode(wish()), "decision": "allow", "csrf": "x"}
    )
    assert (answer.status_code, "FormExpired" in answer.text) == (403, True)
    assert await entrance.run("select count(*) from authorization_codes") == [(0,)]


async def test_consent_form_is_checked_like_the_request(entrance: Entrance) -> None:
    """What the browser sends back is looked at as if it came anew."""
    browser = entrance.browser()
    await onward(browser, await go(browser))
    bare = urlencode(wish(code_challenge=None))
    answer = await browser.post("/common/oauth2/v2.0/consent", request=bare, decision="allow")
    assert refusal(answer)[1] == "AADSTS9002325"


@pytest.mark.parametrize("for_everybody", [False, True])
async def test_what_was_not_shown_is_not_allowed(entrance: Entrance, for_everybody: bool) -> None:
    """An application that asks for more while somebody reads the page has the page shown again."""
    await may(entrance, "User.Read")
    browser = entrance.browser()
    await onward(browser, await go(browser, scope="https://graph.microsoft.com/.default"))
    if for_everybody:
        await browser.get(f"/common/adminconsent?{urlencode(wish())}")
    await may(entrance, "User.Read", "RoleManagement.ReadWrite.Directory")
    again = await decide(browser)
    assert (again.status_code, "RoleManagement.ReadWrite.Directory" in browser.text) == (200, True)
    assert await entrance.run("select from consents") == []
    assert ("admin_consent" if for_everybody else "code") in told(await decide(browser))


async def test_what_belongs_to_sign_in_is_given_beside_the_permissions_of_a_registration(entrance: Entrance) -> None:
    """A registration may name `openid` or not; msal asks for refresh tokens in any case."""
    await may(entrance, "User.Read", "openid")
    browser = entrance.browser()
    await onward(browser, await go(browser))
    given = await redeem(entrance, told(await decide(browser))["code"])
    assert {"refresh_token", "id_token"} <= given.json().keys()


async def may(entrance: Entrance, *permissions: str) -> None:
    """Have the application registered with these permissions for people."""
    update = "update service_principals set delegated_permissions = %s where app_id = %s"
    await entrance.run(update, [list(permissions), SIGN_IN_CLIENT])


# What is told on a page -----------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("changed", "code"),
    [
        ({"client_id": None}, "AADSTS900144"),
        ({"client_id": "7b9c3f7e-0000-4000-8000-000000000000"}, "AADSTS700016"),
        ({"client_id": "no id"}, "AADSTS700016"),
        ({"redirect_uri": None}, "AADSTS900144"),
        ({"redirect_uri": "https://evil.example/"}, "AADSTS50011"),
        ({"redirect_uri": "http://localhost.evil.example:8400"}, "AADSTS50011"),
        ({"redirect_uri": "http://localhost:8400@evil.example/"}, "AADSTS50011"),
        ({"redirect_uri": "http://localhost:8400/elsewhere"}, "AADSTS50011"),
        ({"redirect_uri": "http://127.0.0.1:8400"}, "AADSTS50011"),
        ({"redirect_uri": "https://localhost:8400"}, "AADSTS50011"),
        ({"redirect_uri": "javascript:alert(1)"}, "AADSTS50011"),
        ({"redirect_uri": "http://localhost:99999999"}, "AADSTS50011"),
        ({"response_mode": "web_message"}, "AADSTS90100"),
    ],
)
async def test_untrusted_address_gets_nothing(entrance: Entrance, changed: dict[str, str | None], code: str) -> None:
    """A page of ours says what is wrong; nobody is sent anywhere."""
    browser = entrance.browser()
    answer = await go(browser, **changed)
    assert (answer.status_code, browser.code) == (400, code)
    assert "location" not in answer.headers


async def test_page_escapes_what_the_address_says(entrance: Entrance) -> None:
    """Nothing of a request becomes markup."""
    browser = entrance.browser()
    answer = await go(browser, client_id="<script>alert(1)</script>")
    assert "<script>" not in answer.text
    assert "&lt;script&gt;" in answer.text


async def test_disabled_application_and_other_tenants_are_told_on_a_page(entrance: Entrance) -> None:
    """As is a parameter that is given twice."""
    browser = entrance.browser()
    await browser.get(f"/elsewhere.example/oauth2/v2.0/authorize?{urlencode(wish())}")
    assert browser.code == "AADSTS90002"
    await browser.get(f"{AUTHORIZE}?{urlencode(wish())}&redirect_uri=https%3A%2F%2Fevil.example")
    assert browser.code == "AADSTS90100"
    await entrance.run("update service_principals set is_enabled = false")
    await go(browser)
    assert browser.code == "AADSTS7000112"


# What is told to the application --------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("changed", "error", "number"),
    [
        ({"response_type": None}, "invalid_request", "AADSTS900144"),
        ({"response_type": "id_token"}, "unsupported_response_type", "AADSTS70005"),
        ({"response_type": "code id_token"}, "unsupported_response_type", "AADSTS70005"),
        ({"code_challenge": None}, "invalid_request", "AADSTS9002325"),
        ({"code_challenge": "short"}, "invalid_request", "AADSTS501491"),
        ({"code_challenge_method": "S512"}, "invalid_request", "AADSTS501491"),
        ({"scope": None}, "invalid_request", "AADSTS900144"),
        ({"scope": "Mail.Read"}, "invalid_scope", "AADSTS70011"),
        ({"scope": "OrgContact.Read.All"}, "invalid_scope", "AADSTS650057"),
        ({"scope": "https://elsewhere.example/.default"}, "invalid_resource", "AADSTS500011"),
        ({"prompt": "none login"}, "invalid_request", "AADSTS90100"),
        ({"prompt": "whatever"}, "invalid_request", "AADSTS90100"),
        ({"prompt": "none"}, "login_required", "AADSTS50058"),
        ({"max_age": "soon"}, "invalid_request", "AADSTS90100"),
        ({"nonce": "n" * 1025}, "invalid_request", "AADSTS90100"),
        ({"request": "e30."}, "request_not_supported", "AADSTS90100"),
        ({"request_uri": "https://x.example"}, "request_uri_not_supported", "AADSTS90100"),
        ({"state": "s-1&x=<b>", "domain_hint": "x" * 9000}, "invalid_request", "AADSTS90100"),
    ],
)
async def test_application_is_told_what_is_wrong(
    entrance: Entrance, changed: dict[str, str | None], error: str, number: str
) -> None:
    """With its state, by its redirect address."""
    assert refusal(await go(entrance.browser(), **changed)) == (error, number)


async def test_answer_goes_where_the_mode_says(entrance: Entrance) -> None:
    """In the query, in the fragment, or by a form with a button, as no page runs a script."""
    browser = entrance.browser()
    await onward(browser, await go(browser))
    await decide(browser)
    assert "code" in told(await go(browser, response_mode="fragment"), "fragment")
    answer = await go(browser, response_mode="form_post")
    assert answer.status_code == 200
    assert f'<form method="post" action="{REDIRECT}">' in answer.text
    assert '<input type="hidden" name="state" value="s-1&amp;x=&lt;b&gt;">' in answer.text
    assert f"form-action 'self' {REDIRECT};" in answer.headers["content-security-policy"]
    assert "script" not in answer.headers["content-security-policy"]


async def test_request_by_form_is_asked_again_by_its_address(entrance: Entrance) -> None:
    """A foreign page's form does not bring our cookies along."""
    browser = entrance.browser()
    answer = await browser.client.post(AUTHORIZE, data=wish())
    assert answer.status_code == 303
    assert dict(parse_qsl(urlsplit(answer.headers["location"]).query)) == wish()


# Whom is asked, and when ----------------------------------------------------------------------------------------------


async def allowed(entrance: Entrance) -> Browser:
    """A browser whose person has allowed everything."""
    browser = entrance.browser()
    await onward(browser, await go(browser))
    assert "code" in told(await decide(browser))
    return browser


@pytest.mark.parametrize("prompt", ["login", "select_account"])
async def test_person_signs_in_anew_where_the_application_wants_it(entrance: Entrance, prompt: str) -> None:
    """However recently they did; the way back does not ask a second time."""
    browser = await allowed(entrance)
    entrance.later(seconds=2)
    answer = await go(browser, prompt=prompt)
    where = dict(parse_qsl(urlsplit(answer.headers["location"]).query))
    assert where["reauthenticate"] == "1"
    back = await browser.get(where["continue"])
    assert back.headers["location"].startswith("/sign-in?")  # going on without signing in leads nowhere
    assert "code" in told(await onward(browser, answer))


async def test_session_that_is_too_old_for_the_application(entrance: Entrance) -> None:
    """By max_age; the id token says when the person signed in."""
    browser = await allowed(entrance)
    entrance.later(minutes=10)
    assert "code" in told(await go(browser, max_age="600"))
    entrance.later(seconds=1)
    assert refusal(await go(browser, max_age="600", prompt="none")) == ("login_required", "AADSTS50058")
    assert "code" in told(await onward(browser, await go(browser, max_age="600")))


async def test_application_expects_somebody_else(entrance: Entrance) -> None:
    """By login_hint: that person's name stands in the form."""
    await entrance.person("bob@contoso.test")
    browser = await allowed(entrance)
    answer = await go(browser, login_hint="bob@contoso.test")
    assert dict(parse_qsl(urlsplit(answer.headers["location"]).query))["login_hint"] == "bob@contoso.test"
    assert (await onward(browser, answer, "bob@contoso.test")).status_code == 200
    assert "bob@contoso.test" in browser.text
    told(await decide(browser))
    assert "code" in told(await go(browser, login_hint="BOB@contoso.test"))


async def test_code_is_not_given_to_a_session_that_was_ended(entrance: Entrance) -> None:
    """The session is looked at once more in the transaction that gives the code."""
    browser = entrance.browser()
    await onward(browser, await go(browser))
    await entrance.run("delete from sessions")
    answer = await decide(browser)
    assert answer.headers["location"].startswith("/sign-in?")


# For everybody --------------------------------------------------------------------------------------------------------


async def test_administrator_consents_for_everybody(entrance: Entrance) -> None:
    """Then nobody else is asked; the application is told as Microsoft's does."""
    browser = entrance.browser()
    wanted = {"client_id": str(SIGN_IN_CLIENT), "redirect_uri": REDIRECT, "state": "7"}
    path = f"/common/adminconsent?{urlencode(wanted)}"
    await onward(browser, await browser.get(path))
    assert "for every administrator" in browser.text
    found = told(await decide(browser))
    assert found == {"tenant": str(entrance.tenant), "admin_consent": "True", "state": "7"}
    await entrance.person("bob@contoso.test", PASSWORD, "Global Reader")
    other = entrance.browser()
    assert "code" in told(await onward(other, await go(other), "bob@contoso.test"))
    assert (await other.get(path)).status_code == 403
    assert "bob@contoso.test cannot allow this for everybody" in other.text
    await browser.get(path)
    assert told(await decide(browser, "decline"))["error"] == "permission_denied"


async def test_only_a_global_administrator_allows_everybody_what_reaches_beyond_applications(
    entrance: Entrance,
) -> None:
    """Else an application's maker could have it act for a Global Administrator who was never asked."""
    await entrance.person("bob@contoso.test", PASSWORD, "Application Administrator")
    browser = entrance.browser()
    path = f"/common/adminconsent?{urlencode({'client_id': str(SIGN_IN_CLIENT), 'redirect_uri': REDIRECT})}"
    await may(entrance, "User.Read")
    page = await onward(browser, await browser.get(path), "bob@contoso.test")
    assert page.status_code == 200
    for permission in ("RoleManagement.ReadWrite.Directory", "Application.ReadWrite.All"):
        await may(entrance, "User.Read", permission)
        assert (await decide(browser)).status_code == 403
        assert permission in browser.text
        await may(entrance, "User.Read")
        assert (await browser.get(path)).status_code == 200
    assert told(await decide(browser))["admin_consent"] == "True"


# Signing out ----------------------------------------------------------------------------------------------------------


async def test_application_sends_people_to_sign_out(entrance: Entrance) -> None:
    """They are asked, and sent back to an address that is registered."""
    async with entrance.database.transaction() as conn:
        await registered.add(
            conn, entrance.tenant, SIGN_IN_CLIENT, app_id=entrance.tenant, display_name="portal",
            redirect_uris=["https://app.example/out?x=1"],
        )  # fmt: skip
    browser = entrance.browser()
    await browser.sign_in()
    path = "/common/oauth2/v2.0/logout"
    back = {"post_logout_redirect_uri": "https://app.example/out?x=1", "state": "7"}
    assert (await browser.get(f"{path}?{urlencode(back)}")).status_code == 200
    assert await browser.who() == ADA
    await browser.get(f"{path}?{urlencode(back)}")
    answer = await decide(browser)
    assert answer.headers["location"] == "https://app.example/out?x=1&state=7"
    assert await browser.who() is None
    elsewhere = {"post_logout_redirect_uri": "https://evil.example/"}
    assert (await browser.get(f"{path}?{urlencode(elsewhere)}")).headers["location"] == "/sign-in?signed_out=1"
    odd = await browser.get(f"{path}?post_logout_redirect_uri=https://app.example/%00")
    assert (odd.status_code, browser.code) == (400, "AADSTS90100")
    answer = await browser.client.post(path, data=back)
    assert answer.headers["location"] == f"{path}?{urlencode(back)}"


def test_addresses_that_are_good_for_any_port() -> None:
    """Of native applications only, and as registered in all but the port."""

    def fits(registered: str, given: str, *, is_public: bool = True) -> bool:
        values: dict[str, Any] = dict.fromkeys(identity.ServicePrincipal.__struct_fields__)
        return redirects.is_registered(
            identity.ServicePrincipal(**{**values, "is_public": is_public, "redirect_uris": [registered]}), given
        )

    assert fits("http://localhost", "http://localhost:5000")
    assert fits("http://localhost", "http://localhost:5000/")
    assert fits("http://127.0.0.1/cb", "http://127.0.0.1:5000/cb")
    assert fits("http://[::1]/cb", "http://[::1]:5000/cb")
    assert fits("https://app.example/cb", "https://app.example/cb")
    assert fits("msauth.example://auth", "msauth.example://auth")
    assert not fits("http://localhost", "http://localhost:5000", is_public=False)
    assert not fits("https://app.example/cb", "https://app.example:444/cb")
    assert not fits("https://app.example/cb", "https://app.example/cb/")
    assert not fits("https://app.example/cb", "https://app.example/cb#x")
    assert not fits("http://localhost/cb", "http://localhost:5000/cb?x=1")
    assert not fits("http://localhost", "http://user@localhost:5000")
    assert not fits("javascript:alert(1)", "javascript:alert(1)")
