"""Users through the API, on a real database."""

import asyncio
from typing import Any

import pytest

from dirbridge.service.graph import filters, searches
from dirbridge.store import directory_properties, directory_queries, links
from dirbridge.store.conditions import Where, compile_condition
from tests.service.graph.conftest import BASE, TENANT, World, add_job, code, message

DEFAULT = {
    "businessPhones",
    "displayName",
    "givenName",
    "id",
    "jobTitle",
    "mail",
    "mobilePhone",
    "officeLocation",
    "preferredLanguage",
    "surname",
    "userPrincipalName",
}


async def test_get_shows_the_default_set(world: World) -> None:
    """A user without $select has exactly Graph's default properties; absent ones are null, collections empty."""
    id = await world.user("Ada Lovelace", givenName="Ada", jobTitle="Analyst", department="Engines")
    answer = await world.get(f"users/{id}")
    assert answer.json() == {
        "@odata.context": f"{BASE}/v1.0/$metadata#users/$entity",
        "businessPhones": [],
        "displayName": "Ada Lovelace",
        "givenName": "Ada",
        "id": str(id),
        "jobTitle": "Analyst",
        "mail": None,
        "mobilePhone": None,
        "officeLocation": None,
        "preferredLanguage": None,
        "surname": None,
        "userPrincipalName": "ada.lovelace@contoso.test",
    }


@pytest.mark.parametrize(
    "path",
    [
        "users/{upn}",
        "users/ADA.LOVELACE@CONTOSO.TEST",
        "users('{upn}')",
        "users('{id}')",
        "users(userPrincipalName='{upn}')",
        "USERS/{id}/",
        "users/{id}?%24select=id",
    ],
)
async def test_get_understands_every_form_of_address(world: World, path: str) -> None:
    """Key as segment or in parentheses, id or UPN in any case, trailing slash, any case of the segment."""
    id = await world.user("Ada Lovelace")
    answer = await world.client.get(path.format(id=id, upn="ada.lovelace@contoso.test"))
    assert answer.status_code == 200, answer.text
    assert answer.json()["id"] == str(id)


async def test_a_quote_in_the_key_is_doubled(world: World) -> None:
    """O'Brien is found in both forms."""
    id = await world.user("Pat", userPrincipalName="pat.o'brien@contoso.test")
    for path in ("users('pat.o''brien@contoso.test')", "users/pat.o'brien@contoso.test"):
        assert (await world.get(path)).json()["id"] == str(id)


async def test_select_names_what_is_shown(world: World) -> None:
    """$select takes names in any case, answers in Graph's spelling, and names them in the context."""
    id = await world.user("Ada", onPremisesSyncEnabled=True, proxyAddresses=["SMTP:ada@contoso.test"])
    asked = "ID,onpremisessyncenabled,proxyAddresses,createdDateTime"
    answer = await world.get(f"users/{id}", select=asked)
    shown = answer.json()
    created = shown.pop("createdDateTime")
    assert created.endswith("Z")
    assert shown == {
        "@odata.context": f"{BASE}/v1.0/$metadata#users({asked})/$entity",
        "id": str(id),
        "onPremisesSyncEnabled": True,
        "proxyAddresses": ["SMTP:ada@contoso.test"],
    }


async def test_beta_shows_more(world: World) -> None:
    """The beta's default set is larger than that of v1.0."""
    id = await world.user("Ada", department="Engines")
    shown = (await world.client.get(f"{BASE}/beta/users/{id}")).json()
    assert set(shown) > DEFAULT
    assert shown["department"] == "Engines"
    assert shown["@odata.context"] == f"{BASE}/beta/$metadata#users/$entity"


async def test_list_holds_live_users_only(world: World) -> None:
    """Neither groups nor deleted users are among the users."""
    await world.user("Ada")
    await world.put("user", "Gone", deleted=True)
    await world.put("group", "Engineers")
    assert await world.names("users") == ["Ada"]


@pytest.mark.parametrize("order", [None, "displayName", "displayName desc"])
async def test_pages_end_complete_under_concurrent_inserts(world: World, order: str | None) -> None:
    """Every user that was there at the start comes exactly once, whatever is inserted while the pages are read."""
    before = {str(await world.user(f"Person {number:02}")) for number in range(23)}
    before.add(str(await world.put("user", None, userPrincipalName="nameless@contoso.test")))
    seen: list[str] = []
    options = {"top": "5", **({"orderby": order} if order else {})}
    number = 0
    async for page in world.pages("users", **options):
        seen += [each["id"] for each in page]
        for _ in range(3):
            number += 1
            await world.user(f"Person {number % 30:02} late {number}")
        assert number < 200
    assert len(seen) == len(set(seen))
    assert before <= set(seen)


async def test_names_sort_without_regard_to_case(world: World) -> None:
    """$orderby=displayName goes by letters, not by case, and can be turned round."""
    for name in ("bert", "Ada", "ärger", "Carl"):
        await world.user(name)
    answer = await world.get("users", orderby="displayName", select="displayName")
    assert [each["displayName"] for each in answer.json()["value"]] == ["Ada", "bert", "Carl", "ärger"]
    answer = await world.get("users", orderby="displayName desc", top="2")
    assert [each["displayName"] for each in answer.json()["value"]] == ["ärger", "Carl"]
    assert answer.json()["@odata.nextLink"].startswith(
        f"{BASE}/v1.0/users?$orderby=displayName%20desc&$top=2&$skiptoken="
    )


async def test_count_comes_with_the_header_only(world: World) -> None:
    """$count=true counts everything, on the first page only, and only in an advanced query."""
    for number in range(3):
        await world.user(f"Person {number}")
    assert "@odata.count" not in (await world.get("users", count="true")).json()
    first = (await world.get("users", advanced=True, top="2")).json()
    assert first["@odata.count"] == 3
    answer = await world.client.get(first["@odata.nextLink"], headers={"ConsistencyLevel": "eventual"})
    assert "@odata.count" not in answer.json()
    assert len(answer.json()["value"]) == 1


async def test_count_segment(world: World) -> None:
    """/$count is a bare number, with the header; without it a refusal."""
    await world.user("Ada")
    answer = await world.get("users/$count", advanced=True)
    assert (answer.status_code, answer.text, answer.headers["content-type"]) == (200, "1", "text/plain; charset=utf-8")
    answer = await world.get("users/$count", advanced=True, filter="displayName eq 'nobody'")
    assert answer.text == "0"
    refused = await world.get("users/$count")
    assert (refused.status_code, code(refused)) == (400, "Request_BadRequest")


BAD = [
    ({"top": "0"}, "BadRequest", "Invalid page size specified: '0'"),
    ({"top": "-1"}, "BadRequest", "'-1'"),
    ({"top": "ten"}, "BadRequest", "'ten'"),
    ({"top": "²"}, "BadRequest", "'²'"),
    (
        {"select": "id,shoeSize"},
        "BadRequest",
        "Could not find a property named 'shoeSize' on type 'microsoft.graph.user'",
    ),
    ({"select": "id,,mail"}, "BadRequest", "$select expects names"),
    ({"select": ""}, "BadRequest", "$select expects names"),
    ({"filter": ""}, "BadRequest", "Invalid filter clause: it is empty"),
    ({"filter": "displayName eq"}, "BadRequest", "position 15"),
    ({"filter": "shoeSize eq 'x'"}, "BadRequest", "'shoeSize'"),
    ({"filter": "displayName eq true"}, "BadRequest", "a text in quotes, found True"),
    ({"filter": "accountEnabled eq 'true'"}, "BadRequest", "true or false, found 'true'"),
    ({"filter": "id eq 'x'"}, "BadRequest", "a GUID, found 'x'"),
    ({"filter": "proxyAddresses eq 'x'"}, "BadRequest", "is a collection"),
    ({"filter": "displayName/any(x:x eq 'a')"}, "BadRequest", "no collection"),
    ({"filter": "displayName ne 'x'"}, "Request_UnsupportedQuery", "ConsistencyLevel: eventual"),
    ({"filter": "endsWith(mail,'x')"}, "Request_UnsupportedQuery", "ConsistencyLevel: eventual"),
    ({"filter": "not startsWith(mail,'x')"}, "Request_UnsupportedQuery", "ConsistencyLevel: eventual"),
    ({"filter": "mail eq 'x'", "orderby": "displayName"}, "Request_UnsupportedQuery", "$orderby"),
    ({"orderby": "shoeSize"}, "Request_UnsupportedQuery", "'shoeSize'"),
    ({"orderby": "displayName sideways"}, "BadRequest", "$orderby expects"),
    ({"orderby": "displayName,mail"}, "BadRequest", "$orderby expects"),
    ({"orderby": ""}, "BadRequest", "$orderby expects"),
    ({"count": "maybe"}, "BadRequest", "$count expects true or false"),
    ({"skip": "10"}, "Request_UnsupportedQuery", "'$skip' is not supported"),
    ({"search": '"displayName:a"'}, "Request_UnsupportedQuery", "ConsistencyLevel: eventual"),
    ({"expand": "members"}, "ExpandNotSupported", "Expanding 'members' is not supported"),
    ({"expand": "manager,memberOf"}, "Request_UnsupportedQuery", "one relation"),
    ({"expand": "manager($levels=max)"}, "Request_UnsupportedQuery", "one relation"),
    ({"expand": "manager($select=nothing)"}, "BadRequest", "'nothing'"),
    ({"expand": "*"}, "Request_UnsupportedQuery", "one relation"),
    ({"shoe": "1"}, "BadRequest", "'$shoe' is not known"),
    ({"skiptoken": "garbage!"}, "BadRequest", "$skiptoken cannot be read"),
    ({"skiptoken": "ÿ"}, "BadRequest", "$skiptoken cannot be read"),
    ({"skiptoken": "gqFhoWI"}, "BadRequest", "$skiptoken cannot be read"),
    ({"skiptoken": ""}, "BadRequest", "$skiptoken cannot be read"),
]


@pytest.mark.parametrize(("options", "wanted", "part"), BAD, ids=[str(options) for options, *_ in BAD])
async def test_bad_options_get_a_plain_refusal(world: World, options: dict[str, str], wanted: str, part: str) -> None:
    """What cannot be answered is a 400 that names the option, the value and what is expected."""
    await world.user("Ada")
    answer = await world.get("users", **options)
    assert (answer.status_code, code(answer)) == (400, wanted), answer.text
    assert part in message(answer)


async def test_options_work_without_the_dollar_and_in_any_case(world: World) -> None:
    """Names of options are taken as clients write them."""
    await world.user("Ada")
    answer = await world.client.get("users?TOP=1&Select=displayName")
    assert answer.json()["value"] == [{"displayName": "Ada"}]


async def test_a_repeated_option_is_refused(world: World) -> None:
    """An option given twice is a mistake, not a choice."""
    answer = await world.client.get("users?$top=1&top=2")
    assert answer.status_code == 400


async def test_a_token_of_another_query_is_refused(world: World) -> None:
    """The end of a page by name leads nowhere in a list by id."""
    for number in range(3):
        await world.user(f"Person {number}")
    link = (await world.get("users", top="1", orderby="displayName")).json()["@odata.nextLink"]
    token = link.partition("skiptoken=")[2]
    refused = await world.get("users", top="1", skiptoken=token)
    assert (refused.status_code, "other options" in message(refused)) == (400, True)


@pytest.mark.parametrize(
    "key", ["0f0f0f0f-0000-4000-8000-000000000000", "nobody@contoso.test", "x' or '1'='1", "a" * 5000, "%F0%9F%98%80@x"]
)
async def test_unknown_users_are_404(world: World, key: str) -> None:
    """A key that names nobody is 404 with the code that scripts look for."""
    await world.user("Ada")
    answer = await world.client.get(f"users/{key}")
    assert (answer.status_code, code(answer)) == (404, "Request_ResourceNotFound")


async def test_nul_in_the_address_is_refused(world: World) -> None:
    """A NUL never reaches the database."""
    for address in ("users/a%00b", "users?$filter=displayName%20eq%20'a%00b'"):
        answer = await world.client.get(address)
        assert (answer.status_code, code(answer)) == (400, "BadRequest")


async def test_manager_and_reports(world: World) -> None:
    """A manager is one object with its type; reports are a list; neither shows deleted users."""
    boss, ada, bert = await world.user("Boss"), await world.user("Ada"), await world.user("Bert")
    await world.refer(ada, "manager", boss)
    await world.refer(bert, "manager", boss)
    shown = (await world.get(f"users/{ada}/manager")).json()
    assert (shown["@odata.type"], shown["id"]) == ("#microsoft.graph.user", str(boss))
    assert shown["@odata.context"] == f"{BASE}/v1.0/$metadata#directoryObjects/$entity"
    reference = (await world.get(f"users/{ada}/manager/$ref")).json()
    assert reference["@odata.id"] == f"{BASE}/v1.0/directoryObjects/{boss}"
    assert await world.names(f"users/{boss}/directReports") == ["Ada", "Bert"]
    assert (await world.get(f"users/{boss}/manager")).status_code == 404
    await world.client.delete(f"users/{boss}")
    assert (await world.get(f"users/{ada}/manager")).status_code == 404


async def test_member_of_direct_and_transitive(world: World) -> None:
    """memberOf shows the groups one step away, transitiveMemberOf all of them, circles included, each once."""
    ada = await world.user("Ada")
    inner, outer, ring = [await world.put("group", name) for name in ("Inner", "Outer", "Ring")]
    await world.refer(inner, "members", ada)
    await world.refer(outer, "members", inner)
    await world.refer(ring, "members", outer)
    await world.refer(inner, "members", ring)
    assert await world.names(f"users/{ada}/memberOf") == ["Inner"]
    assert await world.names(f"users/{ada}/transitiveMemberOf") == ["Inner", "Outer", "Ring"]
    assert await world.names(f"users/{ada}/transitiveMemberOf/microsoft.graph.group", top="999") == [
        "Inner",
        "Outer",
        "Ring",
    ]
    pages = [page async for page in world.pages(f"users/{ada}/transitiveMemberOf", top="1")]
    assert [len(page) for page in pages] == [1, 1, 1]


# Writing --------------------------------------------------------------------------------------------------------------

NEW: dict[str, Any] = {
    "accountEnabled": True,
    "displayName": "Grace Hopper",
    "mailNickname": "grace",
    "userPrincipalName": "grace@contoso.test",
    "passwordProfile": {"password": "not kept"},
}


async def test_create_a_cloud_user(world: World) -> None:
    """POST makes a user, shows it with its address, keeps no password, and takes its sign-in name."""
    answer = await world.client.post("users", json={"@odata.type": "#microsoft.graph.user", **NEW})
    assert answer.status_code == 201, answer.text
    shown = answer.json()
    assert answer.headers["location"] == f"{BASE}/v1.0/users/{shown['id']}"
    assert (shown["displayName"], shown["userPrincipalName"]) == ("Grace Hopper", "grace@contoso.test")
    stored = await world.run("select properties from directory_objects where id = %s", [shown["id"]])
    assert "password" not in str(stored)
    assert await world.run("select kind, value from unique_values") == [("userPrincipalName", "grace@contoso.test")]
    again = await world.client.post("users", json={**NEW, "userPrincipalName": "GRACE@contoso.test"})
    assert (again.status_code, code(again)) == (409, "Request_MultipleObjectsWithSameKeyValue")
    assert "grace@contoso.test" in message(again)


@pytest.mark.parametrize(
    ("change", "part"),
    [
        ({"userPrincipalName": None}, "userPrincipalName"),
        ({"displayName": ""}, "displayName"),
        ({"displayName": 7}, "displayName"),
        ({"displayName": "a\x00b"}, "NUL"),
        ({"userPrincipalName": "grace@elsewhere.test"}, "not verified"),
        ({"userPrincipalName": "gr ace@contoso.test"}, "sign-in name"),
        ({"mailNickname": "x" * 65}, "mailNickname"),
        ({"businessPhones": ["1", "2"]}, "businessPhones"),
    ],
)
async def test_a_bad_new_user_is_refused(world: World, change: dict[str, Any], part: str) -> None:
    """A user that cannot be is a 400 that names the property, and nothing is stored."""
    answer = await world.client.post("users", json={**NEW, **change})
    assert answer.status_code == 400, answer.text
    assert part in message(answer)
    assert await world.run("select count(*) from directory_objects") == [(0,)]


@pytest.mark.parametrize(
    ("text", "part"),
    [
        ("", "Empty Payload"),
        ("{", "Unable to read JSON"),
        ("[]", "Expected `object`"),
        ('{"x":' + "[" * 5000, "Unable to read JSON"),
    ],
)
async def test_a_broken_body_is_refused(world: World, text: str, part: str) -> None:
    """What is no JSON object gets a 400 that says so."""
    answer = await world.client.post("users", content=text)
    assert (answer.status_code, code(answer)) == (400, "BadRequest")
    assert part in message(answer)


async def test_change_a_cloud_user(world: World) -> None:
    """PATCH changes what it names, clears by null, and moves the sign-in name in the list of unique values."""
    id = (await world.client.post("users", json={**NEW, "jobTitle": "Admiral"})).json()["id"]
    answer = await world.client.patch(
        f"users/{id}", json={"jobTitle": None, "surname": "Hopper", "userPrincipalName": "hopper@contoso.test"}
    )
    assert (answer.status_code, answer.content) == (204, b"")
    assert "content-type" not in answer.headers
    shown = (await world.get(f"users/{id}", select="jobTitle,surname,userPrincipalName,accountEnabled")).json()
    del shown["@odata.context"]
    assert shown == {
        "jobTitle": None,
        "surname": "Hopper",
        "userPrincipalName": "hopper@contoso.test",
        "accountEnabled": True,
    }
    assert await world.run("select value from unique_values") == [("hopper@contoso.test",)]


async def test_a_synchronized_user_belongs_to_its_source(world: World) -> None:
    """Synced properties are refused by name; those of the cloud go through."""
    await add_job(world)
    id = await world.user("Ada", job="AD2AADProvisioning.test")
    refused = await world.client.patch(f"users/{id}", json={"displayName": "Eve", "usageLocation": "DE"})
    assert (refused.status_code, code(refused)) == (400, "Request_BadRequest")
    assert "displayName" in message(refused)
    assert (await world.client.patch(f"users/{id}", json={"usageLocation": "DE"})).status_code == 204
    shown = (await world.get(f"users/{id}", select="displayName,usageLocation")).json()
    assert (shown["displayName"], shown["usageLocation"]) == ("Ada", "DE")


async def test_deleting_a_synchronized_user_makes_its_job_look_again(world: World) -> None:
    """In the same transaction: link without digest, references missing, anchor due, job due."""
    await add_job(world, "job")
    id = await world.user("Ada", job="job")
    await world.run("update jobs set state = 'Active', next_run = null")
    async with world.database.transaction() as conn:
        link = links.Link("anchor-1", "user", "Ada", None, id, "provisioned", "", b"digest")
        await links.put(conn, TENANT, "job", [link])
        await conn.execute(
            """insert into entry_references (tenant, job, owner, attribute, referenced, is_written)
               values (%s, 'job', 'group-1', 'member', 'anchor-1', true)""",
            [TENANT],
        )
    assert (await world.client.delete(f"users/{id}")).status_code == 204
    assert await world.run("select state, digest from links") == [("provisioned", b"")]
    assert await world.run("select anchor, reason from due") == [("anchor-1", "TargetChanged")]
    assert await world.run("select is_written from entry_references") == [(False,)]
    assert await world.run("select next_run <= now() from jobs") == [(True,)]
    assert await world.run("select count(*) from unique_values") == [(0,)]
    assert (await world.get(f"users/{id}")).status_code == 404


async def test_two_creates_of_one_name_at_once(world: World) -> None:
    """Of two that want one sign-in name at the same moment one gets it, the other a plain refusal."""
    answers = await asyncio.gather(*(world.client.post("users", json=NEW) for _ in range(5)))
    assert sorted(answer.status_code for answer in answers) == [201, 409, 409, 409, 409]
    assert await world.run("select count(*) from directory_objects") == [(1,)]


# Plans ----------------------------------------------------------------------------------------------------------------


@pytest.fixture
async def crowd(world: World) -> World:
    """Twenty thousand users and some groups, with statistics."""
    await world.run(
        """insert into directory_objects (tenant, id, object_type, display_name, user_principal_name, mail, properties)
           select %s, gen_random_uuid(), case when n %% 20 = 0 then 'group' else 'user' end, 'Person ' || n,
                  'person' || n || '@contoso.test', 'person' || n || '@contoso.test',
                  jsonb_build_object('displayName', 'Person ' || n, 'surname', 'Name ' || n, 'givenName', 'G' || n,
                    'mailNickname', 'nick' || n, 'department', 'Room ' || n %% 900, 'jobTitle', 'Rank ' || n %% 900,
                    'employeeId', n::text, 'onPremisesSamAccountName', 'acc' || n,
                    'onPremisesSecurityIdentifier', 'S-1-5-' || n,
                    'onPremisesUserPrincipalName', 'source' || n || '@corp.test',
                    'proxyAddresses', jsonb_build_array('SMTP:person' || n || '@contoso.test', 'smtp:p' || n || '@x'),
                    'otherMails', jsonb_build_array('home' || n || '@x.test'))
           from generate_series(1, 20000) n""",
        [TENANT],
    )
    await world.run(
        """insert into directory_references (tenant, owner, attribute, referenced)
           select %s, g.id, 'members', u.id
           from (select id from directory_objects where object_type = 'group' limit 10) g,
                (select id from directory_objects where object_type = 'user' limit 2000) u""",
        [TENANT],
    )
    async with world.database.connection() as conn:
        await conn.execute("analyze directory_objects")
        await conn.execute("analyze directory_references")
    return world


async def _plan(world: World, statement: Any, parameters: dict[str, Any]) -> str:
    async with world.database.connection() as conn:
        cursor = await conn.execute("explain " + statement.as_string(conn), parameters)
        return "\n".join(row[0] for row in await cursor.fetchall())


FILTERED = {
    "directory_objects_display_name": ["displayName eq 'person 12'", "startsWith(displayName,'PERSON 1234')"],
    "directory_objects_user_principal_name": [
        "userPrincipalName eq 'PERSON77@contoso.test'",
        "startsWith(userPrincipalName,'person777')",
        "userPrincipalName in ('person1@contoso.test', 'person2@contoso.test')",
    ],
    "directory_objects_mail": ["mail eq 'person77@contoso.test'", "startsWith(mail,'Person777')"],
    "directory_objects_mail_nickname": ["mailNickname eq 'nick7'", "startsWith(mailNickname,'NICK777')"],
    "directory_objects_given_name": ["givenName eq 'g7'", "startsWith(givenName,'g777')"],
    "directory_objects_surname": ["surname eq 'name 7'", "startsWith(surname,'name 777')"],
    "directory_objects_department": ["department eq 'room 7'", "department in ('room 8', 'ROOM 9')"],
    "directory_objects_job_title": ["jobTitle eq 'rank 7'"],
    "directory_objects_employee_id": ["employeeId eq '7'", "startsWith(employeeId,'777')"],
    "directory_objects_account_name": ["onPremisesSamAccountName eq 'ACC7'"],
    "directory_objects_security_identifier": ["onPremisesSecurityIdentifier eq 'S-1-5-7'"],
    "directory_objects_source_name": [
        "onPremisesUserPrincipalName eq 'SOURCE7@corp.test'",
        "startsWith(onPremisesUserPrincipalName,'source777')",
    ],
    "directory_objects_addresses": [
        "proxyAddresses/any(p:p eq 'smtp:PERSON7@contoso.test')",
        "proxyAddresses/any(p:p in ('smtp:p8@x', 'smtp:p9@x'))",
    ],
    "directory_objects_other_mails": ["otherMails/any(m:m eq 'HOME7@x.test')"],
    "directory_objects_created": ["createdDateTime lt 2020-01-01"],
}


async def test_plans_use_the_indexes(crowd: World) -> None:
    """First page, deep page, page by name, look-up by UPN, mail and prefix, members and memberOf read by index."""
    (some,) = await crowd.run("select id from directory_objects order by id offset 15000 limit 1")
    (user,) = await crowd.run("select referenced from directory_references limit 1")
    (group,) = await crowd.run("select owner from directory_references limit 1")
    users = directory_queries.live(TENANT, "user")
    after = directory_queries.After(some[0], "person 7")

    def where(text: str) -> Where:
        return compile_condition(filters.parse(text), directory_properties.USER, type_name="user")

    order = directory_queries.Order
    late = directory_queries.After(some[0], "2026-01-31 08:00:00+00")
    wanted: dict[str, list[dict[str, Any]]] = {
        "directory_objects_display_name": [
            {"order": order.DISPLAY_NAME},
            {"order": order.DISPLAY_NAME, "after": after},
        ],
        "directory_objects_user_principal_name": [
            {"order": order.USER_PRINCIPAL_NAME},
            {"order": order.USER_PRINCIPAL_NAME, "after": after, "descending": True},
        ],
        "directory_objects_created": [
            {"order": order.CREATED, "descending": True},
            {"order": order.CREATED, "after": late},
        ],
    }
    for index, texts in FILTERED.items():
        wanted.setdefault(index, []).extend({"where": where(text)} for text in texts)
    words = compile_condition(searches.parse('"displayName:person 12345"'), directory_properties.USER, type_name="user")
    wanted["directory_objects_words"] = [{"where": words}]
    wanted["directory_objects_pkey"] = [{"where": where(f"id eq '{some[0]}'")}]
    for index, cases in wanted.items():
        for options in cases:
            statement, parameters = directory_queries.page_query(users, limit=101, **options)
            plan = await _plan(crowd, statement, parameters)
            assert index in plan, f"{options}\n{plan}"
            assert "Seq Scan" not in plan
            if "where" not in options:
                assert "Sort" not in plan, plan
    for collection, index in (
        (directory_queries.live(TENANT, "group"), "directory_objects_live"),
        (users, "directory_objects_"),
        (directory_queries.referring(TENANT, user[0], "members"), "directory_references_referenced"),
        (directory_queries.referenced(TENANT, group[0], "members"), "directory_references_pkey"),
    ):
        # With a position the planner may as well walk the primary key from there: few rows are left.
        position = None if index == "directory_references_referenced" else after
        statement, parameters = directory_queries.page_query(collection, after=position, limit=101)
        plan = await _plan(crowd, statement, parameters)
        assert index in plan, plan
        assert "Seq Scan" not in plan
        assert "Sort" not in plan or index == "directory_references_referenced", plan


async def test_page_has_the_size_that_is_preferred(world: World) -> None:
    """By the header, where `$top` says nothing; a size that is none is ignored."""
    for name in ("Ada", "Bob", "Cid"):
        await world.user(name)
    for prefer, options, expected in (
        ("odata.maxpagesize=2", {}, 2),
        ("return=minimal, odata.maxpagesize=2", {"$top": "1"}, 1),
        ("odata.maxpagesize=0", {}, 3),
        ("odata.maxpagesize=many", {}, 3),
    ):
        answer = await world.client.get("users", params=options, headers={"Prefer": prefer})
        assert (answer.status_code, len(answer.json()["value"])) == (200, expected)
