"""Sign-in by way of an outside provider, a real one on loopback: who gets in, and what is told when it fails."""

from __future__ import annotations

import dataclasses
import ssl
from collections.abc import AsyncIterator
from datetime import timedelta
from pathlib import Path
from typing import Any, Literal
from urllib.parse import urlencode

import httpx2
import pytest
from joserfc.jwk import ECKey, RSAKey

from dirbridge.contract.errors import ConfigurationError
from dirbridge.service.auth.sign_in import rules as sign_in_rules
from dirbridge.service.auth.sign_in.external_provider import Provider, Registration
from dirbridge.service.auth.sign_in.rules import SignInRules
from dirbridge.service.https import Way
from dirbridge.service.outgoing import Outgoing
from dirbridge.service.settings import load
from tests.service.auth.sign_in import issuer as providers
from tests.service.auth.sign_in.issuer import CLIENT, SECRET, Issuer
from tests.service.browsers import ADA, Browser, Entrance, code
from tests.service.notify.parts import LOOPBACK, Certificates

GOOD = {"email": ADA, "email_verified": True}


@pytest.fixture
async def issuer(entrance: Entrance, tmp_path: Path) -> AsyncIterator[Issuer]:
    """A provider that knows Ada, and the service set to it."""
    certificates = Certificates(tmp_path)
    async with providers.running(certificates, lambda: entrance.now) as made:
        made.claims.update(GOOD)
        register(entrance, made, Way(certificates.trusted(), timedelta(seconds=5), LOOPBACK))
        yield made


def register(
    entrance: Entrance,
    issuer: Issuer,
    way: Way,
    secret: str | None = SECRET,
    name: Literal["email", "preferred_username"] = "email",
) -> None:
    def clock() -> Any:
        return entrance.now

    provider = Provider(Registration(issuer.url, CLIENT, secret, "Contoso", way, name), clock)
    entrance.application.state.sign_in = SignInRules(clock=clock, provider=provider)


def way(entrance: Entrance) -> Way:
    found: Way = entrance.application.state.sign_in.provider.registration.way
    return found


async def through(visitor: Browser, issuer: Issuer, continue_to: str = "/wanted") -> httpx2.Response:
    """Go there and back."""
    there = await visitor.get(f"/sign-in/external?{urlencode({'continue': continue_to})}")
    assert there.status_code == 303, there.text
    back = issuer.consent(there.headers["location"])
    return await visitor.get(f"/sign-in/external/callback?{urlencode(back)}")


async def test_a_person_of_the_provider_signs_in(entrance: Entrance, issuer: Issuer) -> None:
    """By name the first time, by issuer and subject from then on, whatever they are called by then."""
    visitor = entrance.browser()
    await visitor.get("/sign-in?continue=/wanted")
    assert 'href="/sign-in/external?continue=%2Fwanted">Sign in with Contoso<' in visitor.page
    answer = await through(visitor, issuer)
    assert answer.headers["location"] == "/sign-in?continue=%2Fwanted", answer.text
    assert await visitor.who() == ADA
    bound = await entrance.run("select external_subject from administrators where user_name = %s", [ADA])
    assert bound == [(f"{issuer.url} 7",)]
    issuer.claims.update({"email": "married@contoso.test", "amr": ["pwd", "mfa", "<b>", "x" * 99]})
    second = entrance.browser()
    await through(second, issuer)
    assert await second.who() == ADA
    assert await entrance.run("select methods from sessions order by signed_in_at, cardinality(methods)") == [
        ([],), (["pwd", "mfa"],),
    ]  # fmt: skip
    assert sorted(await entrance.trail()) == [(ADA, "Link administrator"), (ADA, "Sign in"), (ADA, "Sign in")]
    assert issuer.asked.count("configuration") == 1


@pytest.mark.parametrize(
    ("claims", "gets_in"),
    [
        ({"email": ADA.upper()}, True),
        ({"email_verified": "true"}, True),
        ({"email": None, "email_verified": None, "preferred_username": ADA}, False),
        ({"email_verified": False, "preferred_username": ADA}, False),
        ({"email_verified": False}, False),
        ({"email_verified": None}, False),
        ({"email": "stranger@contoso.test"}, False),
        ({"email": "a\x00@contoso.test"}, False),
        ({"email": None, "preferred_username": "%"}, False),
        ({"sub": "x" * 600}, False),
        ({"sub": "a\nb"}, False),
    ],
)
async def test_nobody_becomes_an_administrator(
    entrance: Entrance, issuer: Issuer, claims: dict[str, Any], gets_in: bool
) -> None:
    """Only who is one by a verified address: a name there anybody may have chosen."""
    issuer.claims.update(claims)
    visitor = entrance.browser()
    answer = await through(visitor, issuer)
    assert (await visitor.who() is not None) == gets_in
    if not gets_in:
        assert (answer.status_code, visitor.code) == (403, "PersonUnknown")
        assert await entrance.run("select count(*) from administrators") == [(2,)]
        assert await entrance.trail() == [("nobody", "Refuse sign-in")]


@pytest.mark.parametrize(("name", "gets_in"), [(ADA, True), ("%", False), (None, False)])
async def test_names_of_a_provider_that_gives_them(
    entrance: Entrance, issuer: Issuer, name: str | None, gets_in: bool
) -> None:
    """Where the settings say so the name counts, and no address."""
    register(entrance, issuer, way(entrance), name="preferred_username")
    issuer.claims.update({"preferred_username": name})
    visitor = entrance.browser()
    await through(visitor, issuer)
    assert (await visitor.who() is not None) == gets_in


async def test_a_name_is_believed_once(entrance: Entrance, issuer: Issuer) -> None:
    """Somebody else there who takes the name later is nobody here; a disabled administrator stays out."""
    await through(entrance.browser(), issuer)
    issuer.claims["sub"] = "8"
    visitor = entrance.browser()
    assert (await through(visitor, issuer)).status_code == 403
    reasons = await entrance.run("select detail->>'reason' from audits where activity = 'Refuse sign-in'")
    assert reasons == [(f"another person there is {ADA}",)]
    issuer.claims["sub"] = "7"
    await entrance.run("update administrators set is_disabled = true where user_name = %s", [ADA])
    assert (await through(visitor, issuer)).status_code == 403


async def test_ones_own_second_factor_is_asked_for_as_well(entrance: Entrance, issuer: Issuer) -> None:
    """Whatever the provider asked for."""
    ((ada,),) = await entrance.run("select id from administrators where user_name = %s", [ADA])
    secret = await entrance.with_second_factor(ada)
    visitor = entrance.browser()
    assert (await through(visitor, issuer)).headers["location"] == "/sign-in/code"
    assert await visitor.who() is None
    await visitor.get("/sign-in/code")
    answer = await visitor.post("/sign-in/code", code=code(secret, entrance.now))
    assert answer.headers["location"] == "/sign-in?continue=%2Fwanted"
    assert await visitor.who() == ADA


@pytest.mark.parametrize(
    "claims",
    [
        {"iss": "https://other.example"}, {"iss": None}, {"aud": "another client"}, {"aud": None}, {"nonce": "other"},
        {"nonce": None}, {"exp": 1}, {"exp": None}, {"iat": 99999999999}, {"sub": None}, {"sub": 7},
        {"aud": [CLIENT, "other"]}, {"azp": "other"}, {"aud": [CLIENT, "other"], "azp": "other"},
    ],
    ids=str,
)  # fmt: skip
async def test_a_token_that_is_not_ours_is_refused(entrance: Entrance, issuer: Issuer, claims: dict[str, Any]) -> None:
    """Issuer, audience, nonce, times and subject must all be right."""
    issuer.claims.update(claims)
    visitor = entrance.browser()
    assert (await through(visitor, issuer)).status_code == 400
    assert visitor.code == "ProviderTokenRefused"
    assert await visitor.who() is None


async def test_several_audiences_need_a_party(entrance: Entrance, issuer: Issuer) -> None:
    """Ours is good."""
    issuer.claims.update({"aud": [CLIENT, "other"], "azp": CLIENT})
    visitor = entrance.browser()
    await through(visitor, issuer)
    assert await visitor.who() == ADA


@pytest.mark.parametrize("forgery", ["none", "HS256", "foreign key", "unknown key", "key of the same name"])
async def test_a_forged_token_is_refused(entrance: Entrance, issuer: Issuer, forgery: str) -> None:
    """No signature, one by the public key as a shared secret, one by another's key."""
    name = "one" if forgery == "key of the same name" else "two"
    issuer.signs_with = {
        "none": (b"", "none"), "HS256": (issuer.keys[0].as_pem(private=False), "HS256"),
    }.get(forgery, (RSAKey.generate_key(2048, {"kid": name}), "RS256"))  # fmt: skip
    visitor = entrance.browser()
    assert (await through(visitor, issuer)).status_code == 400
    assert visitor.code == "ProviderTokenRefused"


async def test_the_provider_may_change_its_keys(entrance: Entrance, issuer: Issuer) -> None:
    """A new key is found at once, though not asked for by every forger."""
    await through(entrance.browser(), issuer)
    entrance.later(minutes=2)
    new = ECKey.generate_key("P-256", {"kid": "new"})
    issuer.keys, issuer.signs_with = [new], (new, "ES256")
    visitor = entrance.browser()
    await through(visitor, issuer)
    assert await visitor.who() == ADA
    issuer.signs_with = RSAKey.generate_key(2048, {"kid": "forged"}), "RS256"
    for _ in range(3):
        assert (await through(entrance.browser(), issuer)).status_code == 400
    assert issuer.asked.count("keys") == 2


@pytest.mark.parametrize(
    ("refusal", "status", "expected"),
    [
        ((400, {"error": "invalid_grant"}), 400, "ProviderRefused"),
        ((401, "nonsense"), 400, "ProviderRefused"),
        ((302, {}), 400, "ProviderRefused"),
        ((503, {}), 503, "ProviderUnavailable"),
        ((200, {}), 400, "ProviderUnfit"),
        ((200, {"id_token": "a.b.c"}), 400, "ProviderTokenRefused"),
        ((200, {"id_token": "x" * 600_000}), 400, "ProviderUnfit"),
    ],
    ids=str,
)
async def test_whatever_the_provider_answers_is_told(
    entrance: Entrance, issuer: Issuer, refusal: tuple[int, Any], status: int, expected: str
) -> None:
    """On a page, never as a fault of ours."""
    issuer.refuses = refusal
    visitor = entrance.browser()
    assert (await through(visitor, issuer)).status_code == status
    assert visitor.code == expected


@pytest.mark.parametrize(
    "metadata",
    [
        {"issuer": "https://other.example"}, {"token_endpoint": "http://localhost/token"}, {"jwks_uri": None},
        {"authorization_endpoint": "javascript:alert(1)"},
    ],
    ids=str,
)  # fmt: skip
async def test_what_it_publishes_must_be_fit(entrance: Entrance, issuer: Issuer, metadata: dict[str, Any]) -> None:
    """Its own issuer, and everything by HTTPS."""
    issuer.metadata = metadata
    visitor = entrance.browser()
    answer = await visitor.get("/sign-in/external")
    assert (answer.status_code, visitor.code) == (400, "ProviderUnfit")


@pytest.mark.parametrize("query", ["error=access_denied", "error=<b>", "code=", ""])
async def test_a_refusal_there_is_told_here(entrance: Entrance, issuer: Issuer, query: str) -> None:
    """Only a word of OAuth's is repeated."""
    visitor = entrance.browser()
    there = await visitor.get("/sign-in/external")
    state = issuer.consent(there.headers["location"])["state"]
    answer = await visitor.get(f"/sign-in/external/callback?{query}&state={state}")
    assert (answer.status_code, visitor.code) == (400, "ProviderDenied")
    assert "Contoso did not let you in" in visitor.text
    assert "<b>" not in visitor.page
    assert ("access_denied" in visitor.page) == ("access_denied" in query)
    assert await entrance.trail() == [("nobody", "Refuse sign-in")]


async def test_an_answer_that_was_not_asked_for_is_refused(entrance: Entrance, issuer: Issuer) -> None:
    """Another browser's, another state, too late, another issuer, or one used before."""
    victim, stranger = entrance.browser(), entrance.browser()
    there = await stranger.get("/sign-in/external")
    back = issuer.consent(there.headers["location"])
    where = f"/sign-in/external/callback?{urlencode(back)}"
    for each in (victim, entrance.browser()):
        answer = await each.get(where)
        assert (answer.status_code, each.code) == (400, "SignInExpired")
        await each.get("/sign-in/external")
    assert (await victim.get(where)).status_code == 400
    assert (await stranger.get(where + "&iss=https://other.example")).status_code == 400
    assert stranger.code == "ProviderDenied"
    assert (await stranger.get(where.replace("state=", "state=%C3%A4"))).status_code == 400
    assert (await stranger.get(where + f"&iss={issuer.url}")).status_code == 303
    assert (await stranger.get(where)).status_code == 400
    late = entrance.browser()
    there = await late.get("/sign-in/external")
    entrance.later(minutes=10)
    back = issuer.consent(there.headers["location"])
    assert (await late.get(f"/sign-in/external/callback?{urlencode(back)}")).status_code == 400
    assert late.code == "SignInExpired"


async def test_a_provider_that_is_down_is_told(entrance: Entrance, issuer: Issuer) -> None:
    """And not asked by everybody; the password still works."""
    gone = dataclasses.replace(entrance.application.state.sign_in.provider.registration, issuer="https://localhost:1")
    entrance.application.state.sign_in = SignInRules(
        clock=lambda: entrance.now, provider=Provider(gone, lambda: entrance.now)
    )
    visitor = entrance.browser()
    for _ in range(2):
        answer = await visitor.get("/sign-in/external")
        assert (answer.status_code, visitor.code) == (503, "HostUnreachable")
    assert (await visitor.sign_in()).status_code == 303


async def test_where_it_lies_is_judged(entrance: Entrance, issuer: Issuer) -> None:
    """Loopback and private addresses only where the settings allow; its certificate must be trusted."""
    visitor = entrance.browser()
    register(entrance, issuer, dataclasses.replace(way(entrance), outgoing=Outgoing()))
    assert (await visitor.get("/sign-in/external")).status_code == 400
    assert visitor.code == "AddressNotAllowed"
    register(entrance, issuer, Way(ssl.create_default_context(), timedelta(seconds=5), LOOPBACK))
    assert (await visitor.get("/sign-in/external")).status_code == 503
    assert visitor.code == "TlsFailed"


async def test_whoever_must_prove_themselves_again_does_so_there(entrance: Entrance, issuer: Issuer) -> None:
    """The provider is told, also after a wrong password."""
    visitor = entrance.browser()
    link = 'href="/sign-in/external?continue=%2Fwanted&amp;reauthenticate=1"'
    await visitor.get("/sign-in?continue=/wanted&reauthenticate=1")
    assert link in visitor.page
    assert '<input type="hidden" name="reauthenticate" value="1">' in visitor.page
    await visitor.post("/sign-in", name=ADA, password="wrong", reauthenticate="1", **{"continue": "/wanted"})
    assert link in visitor.page
    there = await visitor.get("/sign-in/external?reauthenticate=1")
    assert "&prompt=login" in there.headers["location"]
    assert "prompt" not in (await visitor.get("/sign-in/external")).headers["location"]


async def test_the_secret_is_sent_as_the_provider_takes_it(entrance: Entrance, issuer: Issuer) -> None:
    """In the form where only that is offered; a wrong one is refused there."""
    issuer.metadata = {"token_endpoint_auth_methods_supported": ["client_secret_post"]}
    visitor = entrance.browser()
    await through(visitor, issuer)
    assert await visitor.who() == ADA
    for secret in ("wrong", None):
        register(entrance, issuer, way(entrance), secret)
        other = entrance.browser()
        assert (await through(other, issuer)).status_code == 400
        assert other.code == "ProviderRefused"


async def test_without_a_provider_there_is_no_such_page(entrance: Entrance) -> None:
    """Nor a link to it."""
    visitor = entrance.browser()
    await visitor.get("/sign-in")
    assert "external" not in visitor.page
    for path in ("/sign-in/external", "/sign-in/external/callback?code=1&state=2"):
        assert (await visitor.get(path)).status_code == 404


def test_settings_make_the_provider(tmp_path: Path) -> None:
    """Issuer and id belong together; the secret is the file's text; a file that cannot be read is told."""
    given = {"data": str(tmp_path), "oidc_issuer": "https://idp.example/a", "oidc_client_id": "us"}
    file = tmp_path / "secret"
    file.write_text(" hush\n")
    provider = sign_in_rules.from_settings(load({**given, "oidc_client_secret_file": str(file)}, {})).provider
    assert provider is not None
    assert (provider.registration.issuer, provider.registration.secret) == ("https://idp.example/a", "hush")
    assert sign_in_rules.from_settings(load({"data": str(tmp_path)}, {})).provider is None
    for content in (b"", b"\xff", None):
        file.write_bytes(content) if content is not None else file.unlink()
        with pytest.raises(ConfigurationError) as caught:
            sign_in_rules.from_settings(load({**given, "oidc_client_secret_file": str(file)}, {}))
        assert caught.value.code == "ProviderSecretUnreadable"
    for wrong in ({"oidc_client_id": None}, {"oidc_issuer": "http://idp.example"}, {"oidc_issuer": "https://a?b=c"}):
        with pytest.raises(ConfigurationError):
            load({**given, **wrong}, {})
