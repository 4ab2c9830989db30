"""What is told of who signed in: userinfo, `/me`, the metadata, and that each door it names is there."""

import httpx2
import pytest

from tests.service import registered
from tests.service.auth.doors import Door
from tests.service.conftest import BASE_URL


async def asks(door: Door, path: str, token: str) -> httpx2.Response:
    return await door.client.get(path, headers={"Authorization": f"Bearer {token}"})


async def test_userinfo_tells_who_signed_in(door: Door) -> None:
    """As much as the scopes stand for, by either method."""
    token = (await door.tokens())["access_token"]
    name = door.person.user_name
    expected = {"sub": str(door.person.id), "name": door.person.display_name or name, "preferred_username": name}
    assert (await asks(door, "/oidc/userinfo", token)).json() == expected
    answer = await door.client.post("/oidc/userinfo", headers={"Authorization": f"Bearer {token}"})
    assert (answer.status_code, answer.headers["cache-control"]) == (200, "no-store")
    bare = (await door.tokens(scopes=["openid"], asked="openid"))["access_token"]
    assert (await asks(door, "/oidc/userinfo", bare)).json() == {"sub": str(door.person.id)}


async def test_userinfo_needs_somebody_who_signed_in(door: Door) -> None:
    """Not an application, and not without the scope."""
    token = (await door.tokens(scopes=["User.Read"], asked="User.Read"))["access_token"]
    answer = await asks(door, "/oidc/userinfo", token)
    assert (answer.status_code, 'error="insufficient_scope"' in answer.headers["www-authenticate"]) == (403, True)
    headers = registered.bearer(door.identity.tokens, "User.Read.All")
    assert (await door.client.get("/oidc/userinfo", headers=headers)).status_code == 403
    assert (await door.client.get("/oidc/userinfo")).status_code == 401


@pytest.mark.parametrize("version", ["v1.0", "beta"])
async def test_me_is_the_person_as_a_user(door: Door, version: str) -> None:
    """In Graph's shape, with $select."""
    token = (await door.tokens())["access_token"]
    shown = (await asks(door, f"/{version}/me", token)).json()
    assert (shown["id"], shown["userPrincipalName"]) == (str(door.person.id), door.person.user_name)
    assert shown["@odata.context"] == f"{BASE_URL}/{version}/$metadata#users/$entity"
    shown = (await asks(door, f"/{version}/ME?$select=id,accountEnabled,createdDateTime", token)).json()
    assert shown.keys() == {"@odata.context", "id", "accountEnabled", "createdDateTime"}
    assert shown["accountEnabled"] is True


async def test_me_is_nobody_for_an_application(door: Door) -> None:
    """400 as Graph says it; 403 without any permission."""
    headers = registered.bearer(door.identity.tokens, "User.Read.All")
    answer = await door.client.get("/v1.0/me", headers=headers)
    assert answer.status_code == 400
    assert answer.json()["error"]["message"] == "/me request is only valid with delegated authentication flow."
    token = (await door.tokens(scopes=["Synchronization.ReadWrite.All"], asked=""))["access_token"]
    assert (await asks(door, "/v1.0/me", token)).status_code == 403


async def test_every_door_of_the_metadata_is_there(door: Door) -> None:
    """Each address answers something else than that there is none."""
    found = (await door.client.get(f"/{door.tenant}/v2.0/.well-known/openid-configuration")).json()
    doors = {name: address for name, address in found.items() if name.endswith(("_endpoint", "_uri"))}
    assert len(doors) == 6
    for name, address in doors.items():
        method = "POST" if name in {"token_endpoint", "device_authorization_endpoint"} else "GET"
        answer = await door.client.request(method, address)
        assert answer.status_code not in {404, 405, 500}, (name, answer.status_code)
    assert found["response_types_supported"] == ["code"]


async def test_instance_is_this_host(door: Door) -> None:
    """As msal asks for it; another host is none."""
    path = (
        f"/common/discovery/instance?api-version=1.1&authorization_endpoint={BASE_URL}/{door.tenant}/oauth2/authorize"
    )
    found = (await door.client.get(path)).json()
    assert found["tenant_discovery_endpoint"] == f"{BASE_URL}/{door.tenant}/v2.0/.well-known/openid-configuration"
    assert found["metadata"][0]["aliases"] == ["dirbridge.example:8443"]
    answer = await door.client.get("/common/discovery/instance?authorization_endpoint=https://[elsewhere")
    assert (answer.status_code, answer.json()["error"]) == (400, "invalid_instance")
