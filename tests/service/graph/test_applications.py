"""Applications and service principals: registered, found, changed, removed."""

from __future__ import annotations

from typing import Any
from uuid import UUID, uuid4

import httpx2
import pytest

from dirbridge.service.auth.applications import graph_resource
from dirbridge.service.auth.permissions import BEYOND_APPLICATIONS, PERMISSIONS, ROLES
from tests.service import registered
from tests.service.graph.conftest import BASE, TENANT, World, add_job, code, message

WRITE = "Application.ReadWrite.All"
GRAPH = "00000003-0000-0000-c000-000000000000"


async def register(world: World, name: str = "Reports", **more: Any) -> dict[str, Any]:
    answer = await world.client.post("applications", json={"displayName": name, **more}, headers=world.bearer(WRITE))
    assert answer.status_code == 201, answer.text
    made: dict[str, Any] = answer.json()
    return made


async def principal(world: World, name: str = "Reports", **more: Any) -> dict[str, Any]:
    """An application with a service principal, which is given back."""
    made = await register(world, name)
    answer = await world.client.post(
        "servicePrincipals", json={"appId": made["appId"], **more}, headers=world.bearer(WRITE)
    )
    assert answer.status_code == 201, answer.text
    found: dict[str, Any] = answer.json()
    return found


async def person(world: World, *roles: str, scopes: tuple[str, ...] = (WRITE,)) -> dict[str, str]:
    """What an application presents that acts for an administrator with these roles."""
    id, name = uuid4(), f"p{uuid4().hex[:8]}@contoso.test"
    await world.run(
        "insert into administrators (tenant, id, user_name, password_hash, roles) values (%s, %s, %s, '', %s)",
        (TENANT, id, name, list(roles)),
    )
    token = world.tokens.issue_person(
        app_id=registered.CLIENT, person=id, user_name=name, display_name="",
        roles=[ROLES[each] for each in roles], scopes=scopes,
    )  # fmt: skip
    return {"Authorization": f"Bearer {token}"}


async def test_an_application_is_registered_before_it_can_act(world: World) -> None:
    """It is shown with what was asked, owned by the caller, and is no service principal until one is made."""
    made = await register(
        world, "Reports", description="Counts", tags=["a", "b"], signInAudience="AzureADMyOrg",
        web={"redirectUris": ["https://app.test/back"]},
        requiredResourceAccess=[
            {"resourceAppId": GRAPH, "resourceAccess": [{"id": "df021288-bdef-4463-88db-98f22de89214", "type": "Role"}]}
        ],
    )  # fmt: skip
    assert made["id"] == made["appId"]
    assert made["@odata.context"] == f"{BASE}/v1.0/$metadata#applications/$entity"
    found = (await world.get(f"applications/{made['id']}")).json()
    assert {**found, "@odata.context": ""} == {**made, "@odata.context": ""}
    assert (found["description"], found["tags"], found["isFallbackPublicClient"]) == ("Counts", ["a", "b"], False)
    assert found["web"]["redirectUris"] == ["https://app.test/back"]
    assert found["requiredResourceAccess"][0]["resourceAccess"][0]["type"] == "Role"
    assert (await world.get(f"servicePrincipals(appId='{made['appId']}')")).status_code == 404
    answer = await world.client.post(
        "servicePrincipals", json={"appId": made["appId"], "tags": ["x"]}, headers=world.bearer(WRITE)
    )
    assert answer.status_code == 201
    shown = answer.json()
    assert (shown["appId"], shown["tags"], shown["accountEnabled"]) == (made["appId"], ["x"], True)
    for address in (f"servicePrincipals/{shown['id']}", f"servicePrincipals(appId='{made['appId']}')"):
        assert (await world.get(address)).json()["id"] == shown["id"]
    again = await world.client.post("servicePrincipals", json={"appId": made["appId"]}, headers=world.bearer(WRITE))
    assert (again.status_code, code(again)) == (409, "Request_MultipleObjectsWithSameKeyValue")
    owners = (await world.get(f"applications/{made['id']}/owners")).json()["value"]
    assert [each["id"] for each in owners] == [str(registered.PRINCIPAL)]


@pytest.mark.parametrize(
    "body",
    [
        {},
        {"displayName": ""},
        {"displayName": "x" * 257},
        {"displayName": "a\u0000b"},
        {"displayName": 5},
        {"displayName": "x", "signInAudience": "AzureADMultipleOrgs"},
        {"displayName": "x", "identifierUris": ["api://x"]},
        {"displayName": "x", "passwordCredentials": [{"displayName": "y"}]},
        {"displayName": "x", "web": {"redirectUris": ["http://app.test/back"]}},
        {"displayName": "x", "web": {"redirectUris": ["https://app.test/#x"]}},
        {"displayName": "x", "web": {"redirectUris": ["https://*.app.test/"]}},
        {"displayName": "x", "web": {"redirectUris": ["https://user@app.test/"]}},
        {"displayName": "x", "web": {"redirectUris": ["app.own://back"]}},
        {"displayName": "x", "web": {"redirectUris": ["https://[::1/"]}},
        {"displayName": "x", "web": {"redirectUris": "https://app.test"}},
        {"displayName": "x", "web": {"homePageUrl": "https://app.test"}},
        {"displayName": "x", "publicClient": {"redirectUris": ["javascript:alert(1)"]}},
        {"displayName": "x", "publicClient": {"redirectUris": ["data:text/html,x"]}},
        {"displayName": "x", "publicClient": {"redirectUris": [f"https://app.test/{n}" for n in range(257)]}},
        {"displayName": "x", "requiredResourceAccess": [{"resourceAppId": str(UUID(int=1)), "resourceAccess": []}]},
        {"displayName": "x", "requiredResourceAccess": [
            {"resourceAppId": GRAPH, "resourceAccess": [{"id": str(UUID(int=1)), "type": "Role"}]}]},
        {"displayName": "x", "tags": [""]},
        {"displayName": "x", "tags": [f"t{n}" for n in range(101)]},
        {"displayName": "x", "description": "x" * 1025},
        {"displayName": "x", "isFallbackPublicClient": "yes"},
        [],
        "x",
    ],
)  # fmt: skip
async def test_what_cannot_be_registered_is_refused(world: World, body: Any) -> None:
    """400 with a sentence, and nothing is stored."""
    answer = await world.client.post("applications", json=body, headers=world.bearer(WRITE))
    assert answer.status_code == 400, answer.text
    assert message(answer)
    assert await world.run("select count(*) from service_principals where built_in is null") == [(1,)]


async def test_properties_that_say_nothing_pass(world: World) -> None:
    """Stock clients send whole objects, with null, false and empty in most of them."""
    made = await register(
        world, "@odata", **{"@odata.type": "#microsoft.graph.application", "identifierUris": [], "info": None},
        web={"redirectUris": [], "implicitGrantSettings": {"enableIdTokenIssuance": False}}, spa={"redirectUris": []},
    )  # fmt: skip
    answer = await world.client.patch(f"applications/{made['id']}", json={**made, "displayName": "New"},
                                      headers=world.bearer(WRITE))  # fmt: skip
    assert (answer.status_code, "cannot be set here" in answer.text) == (400, True), "ids cannot be written"
    sound = {"displayName": "New", "appRoles": [], "web": made["web"]}
    answer = await world.client.patch(f"applications/{made['id']}", json=sound, headers=world.bearer(WRITE))
    assert answer.status_code == 204, answer.text
    assert (await world.get(f"applications/{made['id']}")).json()["displayName"] == "New"


async def test_addresses_of_devices_make_a_public_client(world: World) -> None:
    """Unless it is said otherwise; the web's addresses are kept apart."""
    made = await register(
        world, web={"redirectUris": ["https://app.test/back"]},
        publicClient={"redirectUris": ["http://localhost", "msal://auth", "https://app.test/native"]},
    )  # fmt: skip
    assert made["isFallbackPublicClient"] is True
    assert made["publicClient"]["redirectUris"] == ["http://localhost", "msal://auth", "https://app.test/native"]
    assert made["web"]["redirectUris"] == ["https://app.test/back"]
    where, headers = f"applications/{made['id']}", world.bearer(WRITE)
    assert (await world.client.patch(where, json={"isFallbackPublicClient": False}, headers=headers)).status_code == 204
    emptied = await world.client.patch(where, json={"web": {"redirectUris": []}}, headers=headers)
    assert emptied.status_code == 204
    now = (await world.get(where)).json()
    assert (now["isFallbackPublicClient"], now["web"]["redirectUris"]) == (False, [])
    assert now["publicClient"] == made["publicClient"]
    assert await world.run("select redirect_uris from service_principals where app_id = %s", [made["id"]]) == [
        (["http://localhost", "msal://auth", "https://app.test/native"],)
    ]


async def test_graph_is_known_with_its_permissions(world: World) -> None:
    """By the filter of every script; each permission under its published id; not among the applications."""
    answer = await world.get("servicePrincipals", filter=f"appId eq '{GRAPH}'")
    ((graph),) = answer.json()["value"]
    assert graph["displayName"] == "Microsoft Graph"
    roles = {each["value"]: each["id"] for each in graph["appRoles"]}
    assert roles.keys() == {name for name, each in PERMISSIONS.items() if each.application}
    assert roles["User.Read.All"] == "df021288-bdef-4463-88db-98f22de89214"
    assert roles["Synchronization.ReadWrite.All"] == "9b50c33d-700f-43b1-b2eb-87e89b703581"
    scopes = {each["value"]: each["id"] for each in graph["oauth2PermissionScopes"]}
    assert scopes.keys() == {name for name, each in PERMISSIONS.items() if each.delegated}
    assert scopes["User.Read"] == "e1fe6dd8-ba31-4d61-89e7-88639da4683d"
    ids = [*roles.values(), *scopes.values()]
    assert len(set(ids)) == len(ids)
    beta = await world.client.get(f"{BASE}/beta/servicePrincipals/{graph['id']}")
    assert {each["value"] for each in beta.json()["publishedPermissionScopes"]} == scopes.keys()
    assert GRAPH not in {each["appId"] for each in (await world.get("applications")).json()["value"]}
    assert (await world.get(f"applications/{GRAPH}")).status_code == 404
    assert await world.run("select id from service_principals where built_in = 'graph'") == [(UUID(graph["id"]),)]


def test_ids_are_the_published_ones_where_there_are() -> None:
    """All but three permissions have one; a misspelt name would show here."""
    assert graph_resource._PUBLISHED.keys() <= PERMISSIONS.keys()
    assert PERMISSIONS.keys() - graph_resource._PUBLISHED.keys() == {
        "Group.ReadBasic.All", "Policy.Read.HybridAuthentication", "Policy.ReadWrite.HybridAuthentication",
    }  # fmt: skip
    for name, (application, delegated) in graph_resource._PUBLISHED.items():
        assert (application is not None, delegated is not None) == (
            PERMISSIONS[name].application, PERMISSIONS[name].delegated,
        ), name  # fmt: skip


def test_every_permission_that_writes_is_of_one_kind() -> None:
    """One that is added later is not granted by application administrators by oversight."""
    within = {
        "Application.ReadWrite.All", "Application.ReadWrite.OwnedBy", "Synchronization.ReadWrite.All",
        "SynchronizationData-User.Upload", "SynchronizationData-User.Upload.OwnedBy",
        "email", "offline_access", "openid", "profile",
    }  # fmt: skip
    reading = {name for name in PERMISSIONS if ".Read." in name or ".ReadBasic." in name or name == "User.Read"}
    assert PERMISSIONS.keys() == within | reading | BEYOND_APPLICATIONS
    assert not BEYOND_APPLICATIONS & (within | reading)


async def test_nobody_changes_graph(world: World) -> None:
    """Whatever is tried."""
    graph = (await world.get(f"servicePrincipals(appId='{GRAPH}')")).json()["id"]
    headers = world.bearer(WRITE, "AppRoleAssignment.ReadWrite.All")
    where = f"servicePrincipals/{graph}"
    tried = [
        await world.client.patch(where, json={"accountEnabled": False}, headers=headers),
        await world.client.delete(where, headers=headers),
        await world.client.post(f"{where}/addPassword", json={}, headers=headers),
        await world.client.post(f"{where}/owners/$ref", headers=headers,
                                json={"@odata.id": f"{BASE}/v1.0/directoryObjects/{registered.PRINCIPAL}"}),
    ]  # fmt: skip
    assert [(each.status_code, code(each)) for each in tried] == [(400, "BuiltInApplication")] * 4


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("displayName eq 'alpha'", ["Alpha"]),
        ("startswith(displayName, 'al')", ["Alpha", "Alps"]),
        ("tags/any(t:t eq 'red')", ["Alps", "Beta"]),
        ("tags/any(t:startswith(t, 'gr'))", ["Alpha"]),
        ("displayName in ('Alpha', 'Beta')", ["Alpha", "Beta"]),
        ("servicePrincipalType eq 'Application' and startswith(displayName,'b')", ["Beta"]),
        ("accountEnabled eq false", []),
        ("description eq 'hill'", ["Alps"]),
        (f"appId eq {UUID(int=7)}", []),
        ("createdDateTime ge 2000-01-01 and startswith(displayName,'alp')", ["Alpha", "Alps"]),
    ],
)
async def test_lists_are_filtered(world: World, text: str, expected: list[str]) -> None:
    """In SQL, by what Graph's scripts ask for."""
    for name, more in {
        "Alpha": {"tags": ["green"]}, "Alps": {"tags": ["red"], "description": "Hill"}, "Beta": {"tags": ["Red"]},
    }.items():  # fmt: skip
        made = await register(world, name, **more)
        await world.client.post("servicePrincipals", json={"appId": made["appId"]}, headers=world.bearer(WRITE))
    assert await world.names("servicePrincipals", filter=text) == expected


async def test_lists_are_sorted_searched_selected_and_paged(world: World) -> None:
    """Pages go through all, each once; the count is of the whole list."""
    names = [f"App {n:02}" for n in range(7)]
    for name in names:
        await register(world, name)
    for order, expected in (("displayName", names), ("displayName desc", names[::-1]), ("createdDateTime", names)):
        found = [
            each["displayName"]
            async for page in world.pages(
                "applications", advanced=True, orderby=order, top="3", filter="startswith(displayName,'app')"
            )
            for each in page
        ]
        assert found == expected
    unsorted = [each["appId"] async for page in world.pages("applications", top="2") for each in page]
    assert len(unsorted) == len(set(unsorted)) == 8
    page = (await world.get("applications", advanced=True, search='"displayName:app"', select="displayName,id")).json()
    assert page["@odata.count"] == 7
    assert {frozenset(each) for each in page["value"]} == {frozenset({"displayName", "id"})}
    assert (await world.get("applications/$count", advanced=True)).text == "8"
    assert (await world.get("servicePrincipals/$count", advanced=True)).text == "2"


@pytest.mark.parametrize(
    ("path", "options"),
    [
        ("applications", {"filter": "nothing eq 1"}),
        ("applications", {"filter": "appId eq 'x'"}),
        ("applications", {"select": "nothing"}),
        ("applications", {"orderby": "appId"}),
        ("applications", {"expand": "owners"}),
        ("applications", {"skiptoken": "x"}),
        ("applications", {"orderby": "displayName", "filter": "startswith(displayName,'a')"}),
        ("servicePrincipals", {"filter": "endswith(displayName,'x')"}),
        ("servicePrincipals", {"filter": "displayName ne 'x'"}),
        ("servicePrincipals/$count", {}),
    ],
)
async def test_options_that_do_not_fit(world: World, path: str, options: dict[str, str]) -> None:
    """400 and a reason."""
    answer = await world.get(path, **options)
    assert answer.status_code == 400, answer.text


@pytest.mark.parametrize("key", ["nobody", str(UUID(int=3)), "appId=x", "(appId='x')", "application=x", "%F0%9F%94%91"])
async def test_what_is_not_there(world: World, key: str) -> None:
    """404 for every act."""
    headers = world.bearer(WRITE, "AppRoleAssignment.ReadWrite.All")
    for tree in ("applications", "servicePrincipals"):
        where = f"{tree}/{key}"
        tried: list[httpx2.Response] = [
            await world.client.get(where, headers=headers),
            await world.client.patch(where, json={}, headers=headers),
            await world.client.delete(where, headers=headers),
            await world.client.get(f"{where}/owners", headers=headers),
            await world.client.post(f"{where}/addPassword", json={}, headers=headers),
            await world.client.post(f"{where}/removePassword", json={"keyId": str(uuid4())}, headers=headers),
            await world.client.post(f"{where}/removeKey", json={"keyId": str(uuid4()), "proof": ""}, headers=headers),
        ]
        assert {each.status_code for each in tried} == {404}, [each.text for each in tried]
    assert (await world.client.get(f"servicePrincipals/{key}/appRoleAssignments", headers=headers)).status_code == 404


async def test_deleting_leaves_nothing(world: World) -> None:
    """The service principal first, then the application; permissions do not come back with another one."""
    shown = await principal(world)
    await world.run("update service_principals set app_roles = '{User.Read.All}' where id = %s", [shown["id"]])
    headers = world.bearer(WRITE)
    assert (await world.client.delete(f"servicePrincipals/{shown['id']}", headers=headers)).status_code == 204
    assert (await world.get(f"servicePrincipals/{shown['id']}")).status_code == 404
    assert (await world.get(f"applications/{shown['appId']}")).status_code == 200
    again = await world.client.post("servicePrincipals", json={"appId": shown["appId"]}, headers=headers)
    assert again.status_code == 201
    assert await world.run("select app_roles from service_principals where id = %s", [shown["id"]]) == [([],)]
    assert (await world.client.delete(f"applications(appId='{shown['appId']}')", headers=headers)).status_code == 204
    assert (await world.get(f"applications/{shown['appId']}")).status_code == 404
    none = await world.client.post("servicePrincipals", json={"appId": shown["appId"]}, headers=headers)
    assert (none.status_code, code(none)) == (400, "NoBackingApplicationObject")


async def test_an_application_with_jobs_stays(world: World) -> None:
    """Its jobs would be left without their home."""
    id = await add_job(world)
    answer = await world.client.delete(f"servicePrincipals/{id}", headers=world.bearer(WRITE))
    assert (answer.status_code, code(answer)) == (400, "ApplicationHasJobs")


async def test_nobody_locks_itself_out(world: World) -> None:
    """An application neither disables nor deletes itself."""
    where, headers = f"servicePrincipals/{registered.PRINCIPAL}", world.bearer(WRITE)
    tried = [
        await world.client.patch(where, json={"accountEnabled": False}, headers=headers),
        await world.client.delete(where, headers=headers),
        await world.client.delete(f"applications/{registered.CLIENT}", headers=headers),
    ]
    assert [(each.status_code, code(each)) for each in tried] == [(400, "OwnApplication")] * 3


async def test_disabling_ends_tokens_for_good(world: World) -> None:
    """What was issued before is not good again when the application is enabled."""
    shown = await principal(world)
    token = world.tokens.issue_app(
        app_id=UUID(shown["appId"]), object_id=UUID(shown["id"]), roles=["Application.Read.All"]
    )
    theirs, headers = {"Authorization": f"Bearer {token}"}, world.bearer(WRITE)
    where = f"servicePrincipals/{shown['id']}"
    assert (await world.client.get("applications", headers=theirs)).status_code == 200
    for enabled in (False, True):
        answer = await world.client.patch(where, json={"accountEnabled": enabled}, headers=headers)
        assert answer.status_code == 204
        assert (await world.client.get("applications", headers=theirs)).status_code == 401


async def test_every_act_is_in_the_audit_trail(world: World) -> None:
    """By whom, of what."""
    shown = await principal(world)
    headers = world.bearer(WRITE)
    await world.client.patch(f"servicePrincipals/{shown['id']}", json={"accountEnabled": False}, headers=headers)
    await world.client.patch(f"servicePrincipals/{shown['id']}", json={"accountEnabled": False}, headers=headers)
    await world.client.delete(f"servicePrincipals/{shown['id']}", headers=headers)
    await world.client.delete(f"applications/{shown['appId']}", headers=headers)
    acts = await world.run("select activity from audits where actor = %s order by at", [
        f"application {registered.CLIENT}"
    ])  # fmt: skip
    assert [activity for (activity,) in acts] == [
        "Add application", "Add service principal", "Update service principal", "Remove service principal",
        "Delete application",
    ]  # fmt: skip


async def test_what_it_needs_for_people_is_what_they_can_allow_it(world: World) -> None:
    """Delegated permissions follow from requiredResourceAccess; with one that goes, the tokens go."""
    ids = {name: str(id) for id, name in graph_resource.scopes().items()}

    def needing(*names: str) -> list[dict[str, Any]]:
        return [{"resourceAppId": GRAPH, "resourceAccess": [{"id": ids[name], "type": "Scope"} for name in names]}]

    made = await register(world, requiredResourceAccess=needing("User.Read", "User.ReadWrite.All"))
    asked = "select delegated_permissions, tokens_not_before > 'epoch' from service_principals where app_id = %s"
    assert await world.run(asked, [made["id"]]) == [(["User.Read", "User.ReadWrite.All"], False)]
    where = f"applications/{made['id']}"
    moved = {"web": {"redirectUris": ["https://evil.test/"]}}
    refused = await world.client.patch(where, json=moved, headers=await person(world, "Application Administrator"))
    assert (refused.status_code, "User.ReadWrite.All" in message(refused)) == (403, True)
    fewer = {"requiredResourceAccess": needing("User.Read")}
    assert (await world.client.patch(where, json=fewer, headers=world.bearer(WRITE))).status_code == 204
    assert await world.run(asked, [made["id"]]) == [(["User.Read"], True)]
    free = await world.client.patch(where, json=moved, headers=await person(world, "Application Administrator"))
    assert free.status_code == 204


ACTS = [
    ("post", "applications", {"displayName": "x"}),
    ("patch", "applications/{app}", {"description": "x"}),
    ("patch", "servicePrincipals/{id}", {"description": "x"}),
    ("post", "servicePrincipals/{id}/addPassword", {}),
    ("delete", "applications/{app}", None),
]


@pytest.mark.parametrize(("method", "path", "body"), ACTS)
async def test_who_may_change(world: World, method: str, path: str, body: Any) -> None:
    """A permission to write applications; for a person a role besides."""
    shown = await principal(world)
    where = path.format(app=shown["appId"], id=shown["id"])

    async def tried(headers: dict[str, str]) -> int:
        return (await world.client.request(method, where, json=body, headers=headers)).status_code

    for permission in ("Application.Read.All", "Directory.ReadWrite.All", "Synchronization.ReadWrite.All"):
        assert await tried(world.bearer(permission)) == 403
    assert await tried(await person(world, "Hybrid Identity Administrator")) == 403
    assert await tried(await person(world, "Application Administrator", scopes=("Application.Read.All",))) == 403
    assert await tried(await person(world, "Application Administrator")) in {200, 201, 204}


async def test_more_than_the_callers_own_is_out_of_reach(world: World) -> None:
    """Who may not do what an application may makes no credential for it, and does not own, delete or redirect it."""
    shown = await principal(world)
    await world.run("update service_principals set app_roles = '{User.ReadWrite.All}' where id = %s", [shown["id"]])
    where, app = f"servicePrincipals/{shown['id']}", f"applications/{shown['appId']}"
    owner = {"@odata.id": f"{BASE}/v1.0/servicePrincipals/{registered.PRINCIPAL}"}
    tries: list[tuple[str, str, Any]] = [
        ("post", f"{where}/addPassword", {}),
        ("post", f"{app}/addPassword", {}),
        ("post", f"{where}/owners/$ref", owner),
        ("patch", app, {"web": {"redirectUris": ["https://evil.test/"]}}),
        ("patch", app, {"isFallbackPublicClient": True}),
        ("patch", where, {"accountEnabled": False}),
        ("delete", where, None),
    ]
    weak = [world.bearer(WRITE), await person(world, "Application Administrator")]
    for method, address, body in tries:
        for headers in weak:
            answer = await world.client.request(method, address, json=body, headers=headers)
            assert (answer.status_code, "User.ReadWrite.All" in message(answer)) == (403, True), answer.text
    for headers in (
        world.bearer(WRITE, "User.ReadWrite.All"),
        world.bearer(WRITE, "AppRoleAssignment.ReadWrite.All"),
        await person(world, "Global Administrator"),
    ):
        assert (await world.client.post(f"{where}/addPassword", json={}, headers=headers)).status_code == 200


async def test_what_an_application_may_no_longer_people_are_asked_for_again(world: World) -> None:
    """Else it could be made small, moved to an address of one's own, and be as large as before without a question."""
    ids = {name: str(id) for id, name in graph_resource.scopes().items()}

    def needing(*names: str) -> dict[str, Any]:
        access = [{"id": ids[name], "type": "Scope"} for name in names]
        return {"requiredResourceAccess": [{"resourceAppId": GRAPH, "resourceAccess": access}]}

    made = await register(world, **needing("User.Read", "User.ReadWrite.All"))
    other = await register(world, "Other", **needing("User.ReadWrite.All"))
    ours = [TENANT, made["id"], other["id"]]
    await world.run(
        """insert into consents (tenant, service_principal, scopes, consented_at)
           select tenant, id, '{User.Read,User.ReadWrite.All,openid}', now() from service_principals
           where tenant = %s and app_id in (%s, %s)""",
        ours,
    )
    maker = await person(world, "Application Administrator")
    for wish in (needing("User.Read"), needing("User.Read", "User.ReadWrite.All")):
        answer = await world.client.patch(f"applications/{made['id']}", json=wish, headers=maker)
        assert answer.status_code == 204, answer.text
    asked = """select c.scopes from consents c join service_principals p on p.tenant = c.tenant
        and p.id = c.service_principal where c.tenant = %s and p.app_id in (%s, %s) order by cardinality(c.scopes)"""
    assert await world.run(asked, ours) == [
        (["User.Read", "openid"],), (["User.Read", "User.ReadWrite.All", "openid"],),
    ]  # fmt: skip


async def test_address_of_what_manages_applications_for_people_is_moved_by_global_administrators(world: World) -> None:
    """For one of them it makes credentials of any application, so its codes are theirs alone."""
    ids = {name: str(id) for id, name in graph_resource.scopes().items()}
    access = [{"id": ids[WRITE], "type": "Scope"}]
    needing = [{"resourceAppId": GRAPH, "resourceAccess": access}]
    made = await register(world, requiredResourceAccess=needing)
    where, moved = f"applications/{made['id']}", {"web": {"redirectUris": ["https://evil.test/"]}}
    refused = await world.client.patch(where, json=moved, headers=await person(world, "Application Administrator"))
    assert (refused.status_code, WRITE in message(refused)) == (403, True)
    done = await world.client.patch(where, json=moved, headers=await person(world, "Global Administrator"))
    assert done.status_code == 204
