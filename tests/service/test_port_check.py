"""The page that a browser on an agent's host opens to see that the port is open."""

import httpx2

from dirbridge.service.setup import Identity
from tests.service.conftest import BASE_URL

BROWSER = {"Accept": "text/html,application/xhtml+xml;q=0.9"}


async def test_page_says_that_the_service_is_reached(client: httpx2.AsyncClient, identity: Identity) -> None:
    """Without a token or a script; with the fingerprint that enrolment codes carry, as browsers write it."""
    page = await client.get("/port-check", headers=BROWSER)
    assert page.status_code == 200
    assert page.headers["content-type"].startswith("text/html")
    assert "default-src 'none'" in page.headers["content-security-policy"]
    assert "<script" not in page.text
    assert "This port reaches dirbridge" in page.text
    assert f"<dt>Reached as</dt><dd>{BASE_URL}</dd>" in page.text
    assert identity.authority.fingerprint.upper()[:4] in page.text.replace(":", "")


async def test_other_name_than_agents_use_is_told(client: httpx2.AsyncClient) -> None:
    """So is a proxy that lies between; nothing of a request gets into the page as markup."""
    page = await client.get("/port-check", headers={**BROWSER, "Host": "10.0.0.1:8443", "Via": "1.1 squid<b>"})
    assert f"Agents of this service use <strong>{BASE_URL}</strong>" in page.text
    assert "through the proxy 1.1 squid&lt;b&gt;" in page.text


async def test_programs_get_json(client: httpx2.AsyncClient, identity: Identity) -> None:
    """As `curl` asks."""
    found = (await client.get("/port-check", headers={"Accept": "*/*"})).json()
    assert found.pop("time").endswith("Z")
    assert found.pop("yourAddress")
    assert found == {
        "service": "dirbridge",
        "reachedAs": BASE_URL,
        "agentsUse": BASE_URL,
        "proxy": None,
        "caFingerprint": identity.authority.fingerprint,
    }
