"""Administrators over the API: made, changed, shut out at once, and never the last one."""

from __future__ import annotations

import asyncio
from typing import Any
from uuid import UUID

import httpx2
import pytest

from dirbridge.service.auth import secrets
from dirbridge.service.auth.permissions import ROLES
from tests.service import registered
from tests.service.graph.conftest import BASE, World, code, message

WHERE = f"{BASE}/beta/dirbridge/administrators"
GLOBAL = "Global Administrator"


async def make(world: World, name: str, *roles: str, **more: Any) -> httpx2.Response:
    wish = {"userName": f"{name}@contoso.test", "roles": list(roles), **more}
    return await world.client.post(WHERE, json=wish, headers=world.bearer("RoleManagement.ReadWrite.Directory"))


@pytest.fixture
async def office(world: World) -> World:
    """A tenant with one Global Administrator, Ada."""
    world.client.headers.update(world.bearer("RoleManagement.ReadWrite.Directory"))
    assert (await make(world, "ada", GLOBAL)).status_code == 201
    return world


def person(world: World, id: str, *roles: str, scopes: tuple[str, ...] = ()) -> dict[str, str]:
    """What an application presents that acts for somebody."""
    token = world.tokens.issue_person(
        app_id=registered.CLIENT, person=UUID(id), user_name="somebody", display_name="",
        roles=[ROLES[each] for each in roles],
        scopes=scopes or ("RoleManagement.ReadWrite.Directory",),
    )  # fmt: skip
    return {"Authorization": f"Bearer {token}"}


async def test_made_with_a_password_that_is_shown_once(office: World) -> None:
    """The hash fits the password of the answer, which no later answer has."""
    answer = await make(office, "grace", "Reports Reader", displayName="Grace")
    assert answer.status_code == 201, answer.text
    made = answer.json()
    ((hashed,),) = await office.run("select password_hash from administrators where id = %s", [made["id"]])
    assert hashed.startswith("$argon2id$")
    assert await secrets.matches(hashed, made.pop("password"))
    assert (await office.client.get(f"{WHERE}/GRACE@contoso.test")).json() == made
    assert (made["displayName"], made["roles"], made["accountEnabled"]) == ("Grace", ["Reports Reader"], True)


@pytest.mark.parametrize(
    ("wish", "expected"),
    [
        ({"userName": "ADA@contoso.test"}, "AdministratorExists"),
        ({"userName": "ada"}, "InvalidUserName"),
        ({"userName": "bob@elsewhere.test"}, "InvalidUserName"),
        ({"userName": "b ob@contoso.test"}, "InvalidUserName"),
        ({"roles": ["Emperor"]}, "UnknownRole"),
        ({"roles": []}, "UnknownRole"),
        ({"password": "short"}, "PasswordTooWeak"),
        ({"password": "bob-bob-2026-tree"}, "PasswordTooWeak"),
        ({"password": "aaaaaaaaaaaaaaaa"}, "PasswordTooWeak"),
        ({"displayName": "x" * 257}, "InvalidDisplayName"),
        ({"displayName": "a\nb"}, "InvalidDisplayName"),
        ({"userName": 5}, "BadRequest"),
        ({"isAdmin": True}, "BadRequest"),
    ],
)
async def test_a_wish_that_does_not_fit_is_refused(office: World, wish: dict[str, Any], expected: str) -> None:
    """With a code of its own, and nobody is made."""
    answer = await office.client.post(WHERE, json={"userName": "bob@contoso.test", "roles": [GLOBAL], **wish})
    assert (answer.status_code, code(answer)) == (400, expected), answer.text
    assert "bob-bob-2026-tree" not in answer.text
    assert await office.run("select count(*) from administrators") == [(1,)]


@pytest.mark.parametrize("change", [{"roles": ["Reports Reader"]}, {"accountEnabled": False}, None])
async def test_the_last_global_administrator_stays(office: World, change: dict[str, Any] | None) -> None:
    """Whatever is tried; a disabled second one does not count."""
    other = (await make(office, "grace", GLOBAL)).json()["id"]
    assert (await office.client.patch(f"{WHERE}/{other}", json={"accountEnabled": False})).status_code == 204
    where = f"{WHERE}/ada@contoso.test"
    answer = await (office.client.patch(where, json=change) if change else office.client.delete(where))
    assert (answer.status_code, code(answer)) == (400, "LastGlobalAdministrator")
    assert "ada@contoso.test" in message(answer)
    ada = (await office.client.get(where)).json()
    assert (ada["roles"], ada["accountEnabled"]) == ([GLOBAL], True)


async def test_two_who_disable_each_other_leave_one(office: World) -> None:
    """At the same time: one of them is refused."""
    await make(office, "grace", GLOBAL)
    answers = await asyncio.gather(
        *(
            office.client.patch(f"{WHERE}/{each}@contoso.test", json={"accountEnabled": False})
            for each in ("ada", "grace")
        )
    )
    assert sorted(answer.status_code for answer in answers) == [204, 400]


@pytest.mark.parametrize("act", ["role", "password", "disable", "delete"])
async def test_tokens_end_with_what_they_were_issued_for(office: World, act: str) -> None:
    """Other roles, another password, disabled, removed: the very next request is refused."""
    id = (await make(office, "grace", GLOBAL)).json()["id"]
    headers = person(office, id, GLOBAL)
    assert (await office.client.get(WHERE, headers=headers)).status_code == 200
    where = f"{WHERE}/{id}"
    done = await {
        "role": lambda: office.client.patch(where, json={"roles": [GLOBAL, "Reports Reader"]}),
        "password": lambda: office.client.post(f"{where}/resetPassword"),
        "disable": lambda: office.client.patch(where, json={"accountEnabled": False}),
        "delete": lambda: office.client.delete(where),
    }[act]()
    assert done.is_success, done.text
    answer = await office.client.get(WHERE, headers=headers)
    assert (answer.status_code, code(answer)) == (401, "InvalidAuthenticationToken")
    assert "revoked" in message(answer)


async def test_roles_in_a_token_are_not_believed(office: World) -> None:
    """A token that claims a role which the account does not have opens nothing."""
    id = (await make(office, "grace", "Reports Reader")).json()["id"]
    assert (await office.client.get(WHERE, headers=person(office, id, GLOBAL))).status_code == 401
    assert (await office.client.get(WHERE, headers=person(office, id, "Reports Reader"))).status_code == 403


async def test_other_administrators_change_nobody(office: World) -> None:
    """A Global Reader looks; making one takes a Global Administrator."""
    id = (await make(office, "grace", "Global Reader")).json()["id"]
    headers = person(office, id, "Global Reader")
    assert (await office.client.get(WHERE, headers=headers)).status_code == 200
    wish = {"userName": "bob@contoso.test", "roles": [GLOBAL]}
    answer = await office.client.post(WHERE, json=wish, headers=headers)
    assert (answer.status_code, code(answer)) == (403, "Authorization_RequestDenied")


async def test_every_act_leaves_an_audit_row_without_a_secret(office: World) -> None:
    """Who did what to whom."""
    where = f"{WHERE}/grace@contoso.test"
    password = "river-stone-lamp-42"
    await make(office, "grace", "Reports Reader", password=password)
    for changes in ({"roles": ["Global Reader"]}, {"accountEnabled": False}, {"accountEnabled": True}):
        assert (await office.client.patch(where, json=changes)).status_code == 204
    answer = await office.client.post(f"{where}/resetPassword", json={"password": password + "x"})
    assert "password" not in answer.json()
    assert (await office.client.delete(where)).status_code == 204
    assert (await office.client.get(where)).status_code == 404
    rows = await office.run("select activity from audits where target = 'grace@contoso.test' order by at, id")
    assert sorted(activity for (activity,) in rows) == [
        "Add administrator", "Change roles of administrator", "Delete administrator", "Disable administrator",
        "Enable administrator", "Reset password of administrator",
    ]  # fmt: skip
    assert await office.run("select count(*) from audits where audits::text like %s", [f"%{password}%"]) == [(0,)]
