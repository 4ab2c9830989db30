"""A device waits with a code until a person has answered for it."""

import asyncio
from typing import Literal

import httpx2
import pytest

from dirbridge.service.auth.oauth import device_codes
from dirbridge.store import device_codes as store
from dirbridge.store import people
from tests.service.auth.doors import SCOPE, Door, refused

State = Literal["approved", "declined"]


async def begin(door: Door, **changed: str) -> dict[str, str]:
    answer = await door.post("devicecode", **{"scope": SCOPE, **changed})
    assert answer.status_code == 200, answer.text
    found: dict[str, str] = answer.json()
    return found


async def poll(door: Door, device_code: str, **changed: str) -> httpx2.Response:
    """As msal does it: the code under two names."""
    form = {"grant_type": device_codes.GRANT_TYPE, "device_code": device_code, "code": device_code, "client_info": "1"}
    return await door.post("token", **{**form, **changed})


async def respond(door: Door, user_code: str, state: State = "approved") -> bool:
    """What the page does once a person has entered the code."""
    async with door.database.transaction() as conn:
        return await store.answer(
            conn, door.tenant, device_codes.folded(user_code), state, administrator=door.person.id, methods=["pwd"],
            signed_in_at=door.at, at=door.at,
        )  # fmt: skip


async def test_device_gets_its_tokens_once_a_person_approved(door: Door) -> None:
    """Not before, and once."""
    begun = await begin(door)
    code = begun.pop("device_code")
    user_code = begun.pop("user_code")
    page = f"{door.identity.tenant.base_url}/device"
    assert begun == {
        "verification_uri": page, "expires_in": 900, "interval": 5,
        "message": f"To sign in, use a web browser to open the page {page} and enter the code {user_code} to "
        "authenticate.",
    }  # fmt: skip
    assert refused(await poll(door, code)) == (400, 70016, "authorization_pending")
    assert await respond(door, user_code)
    given = (await poll(door, code)).json()
    assert given["scope"] == "Synchronization.ReadWrite.All User.Read openid profile"
    assert {"access_token", "refresh_token", "id_token", "client_info"} <= given.keys()
    assert (await door.asks(given["access_token"])).status_code != 401
    assert (await door.refresh(given["refresh_token"])).status_code == 200
    assert refused(await poll(door, code)) == (400, 54005, "invalid_grant")


async def test_scope_is_told_as_the_device_spelled_it_in_the_beginning(door: Door) -> None:
    """It does not repeat it when it polls, and looks its tokens up by it."""
    begun = await begin(door, scope="https://dirbridge.example/.default")
    await respond(door, begun["user_code"])
    told = (await poll(door, begun["device_code"])).json()["scope"].split()
    assert "https://dirbridge.example/.default" in told
    assert "User.Read" in told


async def test_user_code_is_read_as_people_type_it(door: Door) -> None:
    """Eight consonants; case, hyphens and spaces do not count."""
    user_code = (await begin(door))["user_code"]
    assert len(user_code) == 9
    assert set(user_code) <= set("BCDFGHJKLMNPQRSTVWXZ-")
    assert device_codes.folded(f" {user_code.lower().replace('-', ' - ')} ") == user_code.replace("-", "")
    assert await respond(door, user_code.lower())


async def test_device_that_asks_too_often_is_told_so(door: Door) -> None:
    """Five seconds are expected, four are enough; one that was approved need not wait."""
    begun = await begin(door)
    code = begun["device_code"]
    assert refused(await poll(door, code))[2] == "authorization_pending"
    door.wait(seconds=3)
    assert refused(await poll(door, code))[2] == "slow_down"
    door.wait(seconds=4)
    assert refused(await poll(door, code))[2] == "authorization_pending"
    await respond(door, begun["user_code"])
    assert (await poll(door, code)).status_code == 200


async def test_person_declines(door: Door) -> None:
    """For good: nobody approves it afterwards."""
    begun = await begin(door)
    assert await respond(door, begun["user_code"], "declined")
    assert refused(await poll(door, begun["device_code"])) == (400, 65004, "authorization_declined")
    assert not await respond(door, begun["user_code"])


async def test_device_code_expires(door: Door) -> None:
    """A quarter of an hour, also for who approves it."""
    begun = await begin(door)
    door.wait(minutes=15)
    assert not await respond(door, begun["user_code"])
    assert refused(await poll(door, begun["device_code"])) == (400, 70020, "expired_token")


async def test_device_code_of_another_client_is_refused(door: Door) -> None:
    """And one that was never given."""
    begun = await begin(door)
    await respond(door, begun["user_code"])
    another = await door.register()
    refusal = refused(await poll(door, begun["device_code"], client_id=str(another)))
    assert refusal == (400, 70018, "bad_verification_code")
    assert refused(await poll(door, "none-of-ours")) == refusal
    assert (await poll(door, begun["device_code"])).status_code == 200


async def test_of_parallel_polls_one_gets_the_tokens(door: Door) -> None:
    """However many ask at once."""
    begun = await begin(door)
    await respond(door, begun["user_code"])
    answers = await asyncio.gather(*(poll(door, begun["device_code"]) for _ in range(8)))
    assert sorted(answer.status_code for answer in answers) == [200] + [400] * 7
    assert await door.run("select count(*) from grants") == [(1,)]


async def test_approval_ends_with_what_its_person_granted(door: Door) -> None:
    """A password that was replaced between approval and poll."""
    begun = await begin(door)
    await respond(door, begun["user_code"])
    async with door.database.transaction() as conn:
        await people.refuse_tokens(conn, door.tenant, door.person.id, door.at)
    assert refused(await poll(door, begun["device_code"])) == (400, 65004, "authorization_declined")


@pytest.mark.parametrize(
    ("form", "refusal"),
    [
        ({}, (400, 900144, "invalid_request")),
        ({"scope": "Mail.Read"}, (400, 70011, "invalid_scope")),
        ({"scope": "https://elsewhere.example/.default"}, (400, 500011, "invalid_resource")),
        ({"scope": "OrgContact.Read.All"}, (400, 650057, "invalid_scope")),
        ({"scope": "User.Read", "client_id": "none"}, (400, 700016, "unauthorized_client")),
    ],
)
async def test_device_gets_no_code(door: Door, form: dict[str, str], refusal: tuple[int, int, str]) -> None:
    """Each fault with its number."""
    assert refused(await door.post("devicecode", **form)) == refusal


async def test_application_with_a_secret_proves_itself(door: Door) -> None:
    """Only public clients go without."""
    another = await door.register(is_public=False)
    answer = await door.post("devicecode", scope="User.Read", client_id=str(another))
    assert refused(answer) == (401, 7000218, "invalid_client")


async def test_waiting_devices_are_bounded(door: Door, monkeypatch: pytest.MonkeyPatch) -> None:
    """Anybody can ask for a code; those that were answered or have expired do not count."""
    monkeypatch.setattr(device_codes, "MOST_WAITING", 2)
    first = await begin(door)
    door.wait(minutes=10)
    await begin(door)
    assert refused(await door.post("devicecode", scope=SCOPE)) == (429, 90055, "temporarily_unavailable")
    await respond(door, first["user_code"])
    await begin(door)
    assert refused(await door.post("devicecode", scope=SCOPE))[1] == 90055
    door.wait(minutes=15)
    await begin(door)
