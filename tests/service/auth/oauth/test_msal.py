"""The stock client signs people in, unmodified: it is only told to reach the application without a network."""

import asyncio
from collections.abc import Callable, Mapping
from typing import Any
from urllib.parse import parse_qsl, urlsplit

import httpx2
import msal
import pytest

from dirbridge.service.setup import SIGN_IN_CLIENT
from tests.service.auth.doors import REDIRECT
from tests.service.auth.oauth.test_authorize import decide, onward
from tests.service.auth.oauth.test_device_page import at_the_page, enter
from tests.service.browsers import Entrance
from tests.service.conftest import BASE_URL

SCOPES = ["https://graph.microsoft.com/User.Read"]


class _Answer:
    """What msal reads of an answer."""

    def __init__(self, answer: httpx2.Response) -> None:
        self.status_code, self.text, self.headers = answer.status_code, answer.text, answer.headers

    def raise_for_status(self) -> None:
        assert self.status_code < 400, self.text


class _Wire:
    """What msal sends by, in its own thread: the test's loop answers."""

    def __init__(self, client: httpx2.AsyncClient) -> None:
        self._client = client
        self._loop = asyncio.get_running_loop()

    def get(self, url: str, **more: Any) -> _Answer:
        return self._send("GET", url, more)

    def post(self, url: str, **more: Any) -> _Answer:
        return self._send("POST", url, more)

    def close(self) -> None:
        """Nothing is held."""

    def _send(self, method: str, url: str, more: Mapping[str, Any]) -> _Answer:
        kept = {name: more[name] for name in ("params", "data", "headers") if more.get(name)}
        sending = asyncio.run_coroutine_threadsafe(self._client.request(method, url, **kept), self._loop)
        return _Answer(sending.result(timeout=30))


@pytest.fixture
async def stock(entrance: Entrance) -> Callable[[msal.TokenCache], msal.PublicClientApplication]:
    """Give msal's public client, with a cache that outlives it."""
    wire = _Wire(entrance.browser().client)

    def make(cache: msal.TokenCache) -> msal.PublicClientApplication:
        return msal.PublicClientApplication(
            str(SIGN_IN_CLIENT), authority=f"{BASE_URL}/{entrance.tenant}", instance_discovery=False,
            http_client=wire, token_cache=cache,
        )  # fmt: skip

    return make


async def test_authorization_code(
    entrance: Entrance, stock: Callable[[msal.TokenCache], msal.PublicClientApplication]
) -> None:
    """With PKCE, state and nonce of its own; afterwards silently, from the cache and by refresh token."""
    cache = msal.TokenCache()
    application = await asyncio.to_thread(stock, cache)
    with pytest.warns(UserWarning, match="form_post"):
        flow = await asyncio.to_thread(application.initiate_auth_code_flow, SCOPES, redirect_uri=REDIRECT)
    browser = entrance.browser()
    await onward(browser, await browser.get(flow["auth_uri"].removeprefix(BASE_URL)))
    back = (await decide(browser)).headers["location"]
    found = await asyncio.to_thread(
        application.acquire_token_by_auth_code_flow, flow, dict(parse_qsl(urlsplit(back).query))
    )
    assert found.get("id_token_claims", {}).get("oid"), found
    await _goes_on_silently(application, found)
    again = await asyncio.to_thread(stock, cache)
    await _goes_on_silently(again, found)


async def test_device_code(
    entrance: Entrance, stock: Callable[[msal.TokenCache], msal.PublicClientApplication]
) -> None:
    """It waits, a person approves, it has its tokens."""
    application = await asyncio.to_thread(stock, msal.TokenCache())
    flow = await asyncio.to_thread(application.initiate_device_flow, SCOPES)
    assert flow["user_code"] in flow["message"]

    def poll() -> dict[str, Any]:
        answer: dict[str, Any] = application.acquire_token_by_device_flow(flow, exit_condition=lambda _: True)
        return answer

    assert (await asyncio.to_thread(poll))["error"] == "authorization_pending"
    browser = await at_the_page(entrance)
    await enter(browser, flow["user_code"])
    await enter(browser, flow["user_code"], decision="approve")
    with pytest.warns(UserWarning, match="Attempted too soon"):
        found = await asyncio.to_thread(poll)
    assert "access_token" in found, found
    await _goes_on_silently(application, found)


async def _goes_on_silently(application: msal.PublicClientApplication, found: Mapping[str, Any]) -> None:
    (account,) = await asyncio.to_thread(application.get_accounts)
    silent = application.acquire_token_silent_with_error
    kept = await asyncio.to_thread(silent, SCOPES, account)
    assert kept["access_token"] == found["access_token"] or kept["token_source"] == "cache"
    refreshed = await asyncio.to_thread(silent, SCOPES, account, force_refresh=True)
    assert refreshed["token_source"] == "identity_provider", refreshed
    assert refreshed["access_token"] != kept["access_token"]
