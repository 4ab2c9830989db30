"""Codes and refresh tokens are exchanged once, by whom they were given to."""

import asyncio
import base64
import json
from dataclasses import replace
from datetime import timedelta
from uuid import UUID

import msgspec
import pytest
from joserfc import jwt
from joserfc.jwk import RSAKey

from dirbridge.service.auth import people as acts
from dirbridge.service.auth.applications import registrations
from dirbridge.service.auth.oauth import grants
from dirbridge.service.auth.people import Act
from dirbridge.service.setup import SIGN_IN_CLIENT
from dirbridge.store import applications, housekeeping, people
from tests.service.auth.doors import CHALLENGE, SCOPE, VERIFIER, Door, refused


def claims(token: str) -> dict[str, object]:
    middle = token.split(".")[1]
    found: dict[str, object] = json.loads(base64.urlsafe_b64decode(middle + "=" * (-len(middle) % 4)))
    return found


async def test_code_gives_everything_that_was_asked_for(door: Door) -> None:
    """Access token, id token, refresh token and whose account it is, as stock clients read them."""
    answer = await door.redeem(await door.code(), client_info="1")
    assert answer.status_code == 200
    assert answer.headers["cache-control"] == "no-store"
    body = answer.json()
    access, told = claims(body.pop("access_token")), body.pop("id_token")
    info = body.pop("client_info")
    assert json.loads(base64.urlsafe_b64decode(info + "=" * (-len(info) % 4))) == {
        "uid": str(door.person.id), "utid": str(door.tenant),
    }  # fmt: skip
    assert len(body.pop("refresh_token")) >= 43
    assert body == {
        "token_type": "Bearer", "expires_in": 3599, "ext_expires_in": 3599,
        "scope": "Synchronization.ReadWrite.All User.Read openid profile",
    }  # fmt: skip
    ((grant, methods),) = await door.run("select id, methods from grants")
    assert access["scp"] == "Synchronization.ReadWrite.All User.Read openid profile"
    assert (access["sid"], access["appid"], access["appidacr"]) == (str(grant), str(SIGN_IN_CLIENT), "0")
    (key,) = (await door.client.get(f"/{door.tenant}/discovery/v2.0/keys")).json()["keys"]
    decoded = jwt.decode(told, RSAKey.import_key(key), algorithms=["RS256"]).claims
    told_of = ("aud", "nonce", "sub", "oid", "tid", "preferred_username", "amr", "sid")
    assert {name: decoded[name] for name in told_of} == {
        "aud": str(SIGN_IN_CLIENT), "nonce": "n-0S6", "sub": str(door.person.id), "oid": str(door.person.id),
        "tid": str(door.tenant), "preferred_username": door.person.user_name, "amr": methods, "sid": str(grant),
    }  # fmt: skip
    assert decoded["auth_time"] == int((door.at - timedelta(minutes=3)).timestamp())


async def test_access_token_opens_the_api_and_the_id_token_does_not(door: Door) -> None:
    """The audience of an id token is the application."""
    given = await door.tokens()
    assert (await door.asks(given["access_token"])).status_code != 401
    assert (await door.asks(given["id_token"])).status_code == 401


async def test_what_was_not_asked_for_is_not_given(door: Door) -> None:
    """No refresh token without offline_access, no id token without openid, no name without profile."""
    given = await door.tokens(scopes=["User.Read"], asked="User.Read")
    assert given.keys() == {"token_type", "scope", "expires_in", "ext_expires_in", "access_token"}
    given = await door.tokens(scopes=["User.Read", "openid"], asked="openid User.Read")
    assert "name" not in claims(given["id_token"])


async def test_grant_is_not_widened_by_what_belongs_to_sign_in(door: Door) -> None:
    """Where nothing of sign-in was granted, a client does not get it by asking for it later."""
    code = await door.code(scopes=["User.Read"], asked="User.Read")
    given = (await door.redeem(code, scope="User.Read openid profile")).json()
    assert (given["scope"], claims(given["access_token"])["scp"]) == ("User.Read", "User.Read")


async def test_clients_find_their_tokens_by_the_names_that_they_used(door: Door) -> None:
    """The answer's scope has the client's spelling beside ours."""
    asked = "https://graph.microsoft.com/.default offline_access"
    given = await door.tokens(scopes=SCOPE.split(), asked=asked)
    assert given["scope"] == "Synchronization.ReadWrite.All User.Read https://graph.microsoft.com/.default"
    answer = await door.refresh(given["refresh_token"], scope="https://dirbridge.example/User.Read openid")
    assert answer.json()["scope"] == "User.Read https://dirbridge.example/User.Read openid"
    assert claims(answer.json()["access_token"])["scp"] == "User.Read openid"


@pytest.mark.parametrize(
    ("changed", "number", "error"),
    [
        ({"code": "none-of-ours"}, 70000, "invalid_grant"),
        ({"redirect_uri": "http://localhost:8401"}, 500112, "invalid_grant"),
        ({"redirect_uri": None}, 900144, "invalid_request"),
        ({"code_verifier": "w" * 64}, 501481, "invalid_grant"),
        ({"code_verifier": None}, 501481, "invalid_grant"),
        ({"code_verifier": CHALLENGE}, 501481, "invalid_grant"),
        ({"scope": "Mail.Read"}, 70011, "invalid_scope"),
        ({"scope": "https://elsewhere.example/.default"}, 500011, "invalid_resource"),
        ({"scope": "Group.Read.All"}, 650057, "invalid_scope"),
    ],
)
async def test_code_is_not_exchanged(door: Door, changed: dict[str, str | None], number: int, error: str) -> None:
    """Each fault with its number; the code stays good for whom it was given to."""
    code = await door.code()
    assert refused(await door.redeem(code, **changed)) == (400, number, error)
    assert (await door.redeem(code)).status_code == 200


async def test_code_of_another_client_is_not_exchanged(door: Door) -> None:
    """Whoever found it cannot use it, nor learn that it is one."""
    code = await door.code()
    another = await door.register()
    assert refused(await door.redeem(code, client_id=str(another))) == (400, 70000, "invalid_grant")
    assert (await door.redeem(code)).status_code == 200


async def test_code_expires(door: Door) -> None:
    """Ten minutes; then it is refused, and forgotten after another hour."""
    code = await door.code()
    door.wait(minutes=10)
    assert refused(await door.redeem(code)) == (400, 70008, "invalid_grant")
    await housekeeping.tidy(door.database, door.at)
    assert await door.run("select count(*) from authorization_codes") == [(1,)]
    door.wait(minutes=61)
    await housekeeping.tidy(door.database, door.at)
    assert await door.run("select count(*) from authorization_codes") == [(0,)]


async def test_plain_challenge_is_its_own_verifier(door: Door) -> None:
    """RFC 7636 section 4.2."""
    code = await door.code(challenge=VERIFIER, challenge_method="plain")
    assert refused(await door.redeem(code, code_verifier="w" * 64))[1] == 501481
    assert (await door.redeem(code)).status_code == 200


async def test_public_client_cannot_go_without_a_verifier(door: Door) -> None:
    """Not even where the code was given without a challenge, as when the application was made public since."""
    code = await door.code(challenge=None, challenge_method=None)
    assert refused(await door.redeem(code, code_verifier=None))[1] == 501481
    assert refused(await door.redeem(code))[1] == 501481


async def test_second_use_of_a_code_ends_what_the_first_one_gave(door: Door) -> None:
    """Two hold it, and nobody knows which is the thief: RFC 6749 section 4.1.2."""
    code = await door.code()
    given = (await door.redeem(code)).json()
    assert refused(await door.redeem(code)) == (400, 54005, "invalid_grant")
    assert refused(await door.refresh(given["refresh_token"])) == (400, 50173, "invalid_grant")
    refusal = await door.asks(given["access_token"])
    assert refusal.status_code == 401
    assert "the sign-in that it came from has ended: Its authorization code was presented twice." in refusal.text
    assert await door.run("select activity, detail ->> 'reason' from audits where activity = 'Revoke grant'") == [
        ("Revoke grant", "Its authorization code was presented twice.")
    ]


async def test_of_parallel_redemptions_one_succeeds(door: Door) -> None:
    """Ten at once; what the one got is ended, as for any second use."""
    code = await door.code()
    answers = await asyncio.gather(*(door.redeem(code) for _ in range(10)))
    assert sorted(answer.status_code for answer in answers) == [200] + [400] * 9
    assert {refused(answer)[1] for answer in answers if answer.status_code == 400} == {54005}
    assert await door.run("select count(*), count(ended_at) from grants") == [(1, 1)]


# Refresh tokens ------------------------------------------------------------------------------------------------------


async def test_refresh_tokens_follow_one_another(door: Door) -> None:
    """Each gives the next one, and a new access token of the same grant."""
    given = await door.tokens()
    token, sid = given["refresh_token"], claims(given["access_token"])["sid"]
    for _ in range(3):
        door.wait(hours=1)
        answer = (await door.refresh(token)).json()
        assert claims(answer["access_token"])["sid"] == sid
        assert "nonce" not in claims(answer["id_token"])
        assert answer["refresh_token"] != token
        token = answer["refresh_token"]


async def test_refresh_token_that_comes_back_ends_the_grant(door: Door) -> None:
    """For the thief and for the owner, whichever is which; the audit trail has it."""
    first = (await door.tokens())["refresh_token"]
    second = (await door.refresh(first)).json()
    door.wait(seconds=11)
    assert refused(await door.refresh(first)) == (400, 50173, "invalid_grant")
    assert refused(await door.refresh(second["refresh_token"])) == (400, 50173, "invalid_grant")
    assert (await door.asks(second["access_token"])).status_code == 401
    assert await door.run("select count(*) from audits where activity = 'Revoke grant'") == [(1,)]


async def test_client_that_did_not_hear_asks_again(door: Door) -> None:
    """Within ten seconds it gets another one; the one that it did not hear is void, and betrays who has it."""
    first = (await door.tokens())["refresh_token"]
    unheard = (await door.refresh(first)).json()["refresh_token"]
    door.wait(seconds=9)
    heard = (await door.refresh(first)).json()["refresh_token"]
    assert refused(await door.refresh(unheard)) == (400, 50173, "invalid_grant")
    assert refused(await door.refresh(heard)) == (400, 50173, "invalid_grant")


async def test_client_that_heard_does_not_ask_again(door: Door) -> None:
    """Once the next token was used, the one before is nobody's repeat, however soon."""
    first = (await door.tokens())["refresh_token"]
    second = (await door.refresh(first)).json()["refresh_token"]
    third = (await door.refresh(second)).json()["refresh_token"]
    assert refused(await door.refresh(first)) == (400, 50173, "invalid_grant")
    assert refused(await door.refresh(third)) == (400, 50173, "invalid_grant")


async def test_of_parallel_refreshes_one_token_stays(door: Door) -> None:
    """They are repeats of one another; all but the last answer's token are void."""
    first = (await door.tokens())["refresh_token"]
    answers = await asyncio.gather(*(door.refresh(first) for _ in range(8)))
    assert {answer.status_code for answer in answers} == {200}
    assert await door.run("select count(*) from refresh_tokens where used_at is null and not is_void") == [(1,)]


@pytest.mark.parametrize(
    ("changed", "number"),
    [
        ({"refresh_token": "none-of-ours"}, 70000),
        ({"scope": "Mail.Read"}, 70011),
        ({"scope": "Group.Read.All openid"}, 650057),
    ],
)
async def test_refresh_is_refused(door: Door, changed: dict[str, str], number: int) -> None:
    """Each fault with its number, and the token stays good."""
    token = (await door.tokens())["refresh_token"]
    assert refused(await door.refresh(token, **changed))[1] == number
    assert (await door.refresh(token)).status_code == 200


async def test_refresh_token_of_another_client_is_refused(door: Door) -> None:
    """It is bound to whom it was given to."""
    token = (await door.tokens())["refresh_token"]
    another = await door.register()
    assert refused(await door.refresh(token, client_id=str(another))) == (400, 70000, "invalid_grant")
    assert (await door.refresh(token)).status_code == 200


async def test_refresh_token_expires_when_it_is_left_alone(door: Door) -> None:
    """Two weeks after it was given, and its grant after 90 days whatever was done with it."""
    first = (await door.tokens())["refresh_token"]
    door.wait(days=13)
    second = (await door.refresh(first)).json()["refresh_token"]
    door.wait(days=14)
    assert refused(await door.refresh(second)) == (400, 700082, "invalid_grant")
    token = (await door.tokens())["refresh_token"]
    for _ in range(6):
        door.wait(days=13)
        token = (await door.refresh(token)).json()["refresh_token"]
    door.wait(days=12)
    assert refused(await door.refresh(token)) == (400, 700082, "invalid_grant")


async def test_housekeeping_forgets_grants_that_expired(door: Door) -> None:
    """With their refresh tokens; live ones stay."""
    await door.tokens()
    door.wait(days=60)
    await door.tokens()
    door.wait(days=31)
    await housekeeping.tidy(door.database, door.at)
    assert await door.run("select count(*) from grants") == [(1,)]
    assert await door.run("select count(*) from refresh_tokens") == [(0,)]


async def test_permission_that_the_application_lost_is_not_refreshed(door: Door) -> None:
    """What it may now counts, not what it might when the person signed in."""
    token = (await door.tokens())["refresh_token"]
    await door.run(
        "update service_principals set delegated_permissions = '{User.Read}' where app_id = %s", SIGN_IN_CLIENT
    )
    answer = await door.refresh(token)
    assert claims(answer.json()["access_token"])["scp"] == "User.Read openid profile"


@pytest.mark.parametrize("how", ["roles", "password", "disabled", "everywhere"])
async def test_change_of_an_administrator_ends_their_grants(door: Door, how: str) -> None:
    """Refresh tokens, and codes that nobody exchanged yet."""
    given, code = await door.tokens(), await door.code()
    async with door.database.transaction() as conn:
        await people.add(
            conn, door.tenant, UUID(int=7), user_name="second@contoso.test", password_hash="", roles=door.person.roles
        )
        act = Act(conn, door.tenant, "test", door.at)
        match how:
            case "roles":
                await acts.change(act, door.person, roles=["Global Reader"])
            case "password":
                await acts.set_password(act, door.person, "x")
            case "disabled":
                await acts.change(act, door.person, is_disabled=True)
            case _:
                await people.refuse_tokens(conn, door.tenant, door.person.id, door.at)
    door.wait(seconds=1)
    assert refused(await door.refresh(given["refresh_token"])) == (400, 50173, "invalid_grant")
    assert refused(await door.redeem(code)) == (400, 70000, "invalid_grant")
    assert (await door.asks(given["access_token"])).status_code == 401


async def test_application_that_is_shut_out_keeps_no_grant(door: Door) -> None:
    """Disabled or removed, and made again: people sign in anew. Removed, they are asked for consent again."""
    given, code = await door.tokens(), await door.code()
    async with door.database.transaction() as conn:
        act = Act(conn, door.tenant, "test", door.at)
        found = await applications.find(conn, door.tenant, SIGN_IN_CLIENT, "app_id")
        assert found is not None
        await grants.store.consent(conn, door.tenant, found.id, door.person.id, ["User.Read"], door.at)
        await registrations.change(act, found, msgspec.structs.replace(found, is_enabled=False))
    assert refused(await door.refresh(given["refresh_token"]))[1] == 7000112
    async with door.database.transaction() as conn:
        disabled = msgspec.structs.replace(found, is_enabled=False)
        await registrations.change(replace(act, conn=conn), disabled, found)
    assert refused(await door.refresh(given["refresh_token"])) == (400, 50173, "invalid_grant")
    assert refused(await door.redeem(code)) == (400, 70000, "invalid_grant")
    given = await door.tokens()
    async with door.database.transaction() as conn:
        await registrations.remove_principal(replace(act, conn=conn), found)
    assert refused(await door.refresh(given["refresh_token"]))[1] == 7000229
    async with door.database.transaction() as conn:
        await registrations.add_principal(replace(act, conn=conn), found, found)
    assert refused(await door.refresh(given["refresh_token"])) == (400, 50173, "invalid_grant")
    assert await door.run("select count(*) from consents") == [(0,)]


async def test_code_is_not_exchanged_beside_the_change_that_ends_it(door: Door) -> None:
    """Who redeems while a password is replaced waits for it, and is refused."""
    code = await door.code()
    async with door.database.transaction() as conn:
        await people.refuse_tokens(conn, door.tenant, door.person.id, door.at)
        redeeming = asyncio.create_task(door.redeem(code))
        await asyncio.sleep(0.2)
        assert not redeeming.done()
    assert refused(await redeeming) == (400, 70000, "invalid_grant")
    assert await door.run("select count(*) from grants") == [(0,)]


async def test_grant_that_expired_is_told(door: Door) -> None:
    """An access token is good no longer than its grant."""
    token = (await door.tokens())["access_token"]
    await door.run("update grants set expires_at = now() - interval '1 second'")
    assert "has ended: it has expired." in (await door.asks(token)).text
    await door.run("delete from grants")
    assert "has ended: it was forgotten." in (await door.asks(token)).text


async def test_nothing_that_a_client_carries_is_stored(door: Door) -> None:
    """Digests only."""
    code = await door.code()
    given = (await door.redeem(code)).json()
    stored = await door.run("select digest from authorization_codes union all select digest from refresh_tokens")
    assert sorted(bytes(row[0]) for row in stored) == sorted(
        [grants.digest(code), grants.digest(given["refresh_token"])]
    )
