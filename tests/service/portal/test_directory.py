"""Users and groups as the portal shows them: found, looked at with the way back, restored."""

from datetime import UTC, datetime
from uuid import UUID, uuid4

import pytest

from dirbridge.store import directory, unique
from dirbridge.store.directory import ObjectRow
from dirbridge.tenant import administration, rules
from tests.service.portal.conftest import Portal


async def put(portal: Portal, object_type: str, name: str, *, job: str | None = None, **properties: object) -> UUID:
    """Store an object as a cycle would."""
    id = uuid4()
    document = {"displayName": name, **properties}
    async with portal.entrance.database.transaction() as conn:
        row = ObjectRow(id, object_type, None, job, document, {})
        await directory.insert(conn, portal.entrance.tenant, [row], datetime.now(UTC))
        await unique.claim(conn, portal.entrance.tenant, {(key, id) for key in rules.claims(object_type, document)})
    return id


async def user(portal: Portal, name: str, *, job: str | None = None, **properties: object) -> UUID:
    upn = f"{name.lower().replace(' ', '.')}@contoso.test"
    return await put(portal, "user", name, job=job, **{"userPrincipalName": upn, "accountEnabled": True, **properties})


async def delete(portal: Portal, id: UUID) -> None:
    async with portal.entrance.database.transaction() as conn:
        await administration.delete_object(conn, portal.entrance.tenant, id, None, datetime.now(UTC))


async def test_an_empty_tenant_says_where_objects_come_from(portal: Portal) -> None:
    """And so does an empty recycle bin."""
    await portal.browser.get("/portal/groups")
    assert "They come with the first cycle of a configuration" in portal.browser.text
    for path in ("/portal/users/deleted", "/portal/groups/deleted"):
        await portal.browser.get(path)
        assert "Nothing was deleted within the last 30 days" in portal.browser.text


@pytest.mark.parametrize("asked", ["love", "LOVELACE ada", "al@", "ada.lovelace@", "adal"])
async def test_a_user_is_found_by_how_it_begins(portal: Portal, asked: str) -> None:
    """By the words of the name, sign-in name, mail address or account name; by the id; and nobody else is."""
    ada = await user(portal, "Ada Lovelace", mail="al@contoso.test", onPremisesSamAccountName="ADALOVE")
    await user(portal, "Bob")
    for text in (asked, str(ada)):
        await portal.browser.get("/portal/users", params={"q": text})
        assert "Ada Lovelace" in portal.browser.text
        assert "Bob" not in portal.browser.text


@pytest.mark.parametrize("asked", ['"', "\\", '" OR "mail:b', "displayName:b", "***", "%", "x" * 5000, "ﬀ\u0301"])
async def test_nothing_that_is_typed_is_taken_for_a_query(portal: Portal, asked: str) -> None:
    """What finds nothing leads on to the log."""
    await user(portal, "Bob")
    answer = await portal.browser.get("/portal/users", params={"q": asked})
    assert answer.status_code == 200
    assert "Bob" not in portal.browser.text
    assert "/portal/logs?span=all&amp;source=" in portal.browser.page


async def test_a_list_goes_on_page_by_page(portal: Portal) -> None:
    """By name; each is there once, and the last page leads back to the first."""
    for number in range(120):
        await user(portal, f"Person {number:03}")
    seen: list[str] = []
    path = "/portal/users"
    while path:
        await portal.browser.get(path)
        seen += [word for word in portal.browser.text.split() if word.isdigit() and len(word) == 3]
        found = portal.browser.page.partition('rel="next"')[0].rpartition('href="')[2].partition('"')[0]
        path = found.replace("&amp;", "&") if 'rel="next"' in portal.browser.page else ""
    assert seen == [f"{number:03}" for number in range(120)]
    assert "First page" in portal.browser.text


async def test_a_user_shows_the_way_back(portal: Portal) -> None:
    """The entry, the configuration, what it waits for and who has it; and how to go on from there."""
    ada = await user(portal, "Ada", job=portal.job, jobTitle="<b>Countess</b>", onPremisesSyncEnabled=True)
    bob = await user(portal, "Bob")
    await portal.entrance.run(
        "insert into links (tenant, job, anchor, object_type, name, target, state, reason, digest)"
        " select id, %s, 'a b', 'user', 'Ada', %s, 'provisioned', '', 'x' from tenants",
        (portal.job, ada),
    )
    await portal.entrance.run(
        "insert into due (tenant, job, anchor, reason, at, attempt, since, waits_for) select id, %s, 'a b',"
        " 'UniqueValueTaken', now(), 2, now(), 'userPrincipalName:bob@contoso.test' from tenants",
        [portal.job],
    )
    await portal.browser.get(f"/portal/users/{ada}")
    for said in ("Set aside", "contoso.test", "2 failed attempts", "userPrincipalName “bob@contoso.test”", "<b>Coun"):
        assert said in portal.browser.text
    assert "<b>" not in portal.browser.page
    assert f"/portal/configurations/{portal.job}/on-demand?dn=a+b" in portal.browser.page.replace("%20", "+")
    assert "source=a+b" in portal.browser.page.replace("%20", "+")
    answer = await portal.browser.get(f"/portal/objects/{bob}")
    assert answer.headers["location"] == f"/portal/users/{bob}"
    await portal.browser.get(f"/portal/users/{bob}")
    assert "It was made here" in portal.browser.text


async def test_all_attributes_are_shown(portal: Portal) -> None:
    """What is empty is counted, what nests is named by its path."""
    ada = await user(
        portal, "Ada", proxyAddresses=["SMTP:a@contoso.test", "smtp:b@contoso.test"], accountEnabled=False,
        onPremisesExtensionAttributes={"extensionAttribute1": "<script>", "extensionAttribute2": None},
    )  # fmt: skip
    await portal.browser.get(f"/portal/users/{ada}/attributes")
    for said in (
        "accountEnabled No", "SMTP:a@contoso.test smtp:b@contoso.test",
        "onPremisesExtensionAttributes/extensionAttribute1 <script>", "other attributes are empty",
    ):  # fmt: skip
        assert said in portal.browser.text
    assert "extensionAttribute2" not in portal.browser.text
    assert "<script>" not in portal.browser.page


async def test_members_and_groups_lead_to_one_another(portal: Portal) -> None:
    """Direct ones, and those through groups; a manager is a link as well."""
    ada, eve = await user(portal, "Ada"), await user(portal, "Eve")
    inner, outer = await put(portal, "group", "Inner"), await put(portal, "group", "Outer")
    async with portal.entrance.database.transaction() as conn:
        triples = [(inner, "members", ada), (outer, "members", inner), (ada, "manager", eve)]
        await directory.refer(conn, portal.entrance.tenant, triples)
    browser = portal.browser
    assert (await browser.get(f"/portal/groups/{outer}")).status_code == 200
    assert "Outer" in browser.text
    await browser.get(f"/portal/groups/{outer}/members")
    assert ("Inner" in browser.text, "Ada" in browser.text) == (True, False)
    await browser.get(f"/portal/groups/{outer}/members?all=1")
    assert f"/portal/users/{ada}" in browser.page
    await browser.get(f"/portal/users/{ada}/memberships")
    assert f"/portal/groups/{inner}" in browser.page
    assert f"/portal/groups/{outer}" not in browser.page
    await browser.get(f"/portal/users/{ada}")
    assert f'<a href="/portal/users/{eve}">Eve</a>' in browser.page
    await browser.get(f"/portal/users/{eve}/reports")
    assert f"/portal/users/{ada}" in browser.page
    await browser.get(f"/portal/groups/{inner}/memberships")
    assert f"/portal/groups/{outer}" in browser.page


async def test_a_deleted_user_comes_back(portal: Portal) -> None:
    """A name that another has now is asked for where it can be changed; a second person finds it restored."""
    ada = await user(portal, "Ada")
    browser = portal.browser
    await delete(portal, ada)
    await browser.get("/portal/users/deleted")
    assert "1 deleted" in browser.text
    await browser.get(f"/portal/users/{ada}")
    assert "It can be restored until" in browser.text
    await user(portal, "Ada", mail="other@contoso.test")
    await browser.get(f"/portal/users/{ada}/restore")
    answer = await browser.post(f"/portal/users/{ada}/restore")
    assert answer.status_code == 409
    assert "ada@contoso.test" in browser.text
    answer = await browser.post(f"/portal/users/{ada}/restore", name="ada2@contoso.test")
    assert answer.headers["location"] == f"/portal/users/{ada}"
    await browser.get(f"/portal/users/{ada}")
    assert "'Ada' is back" in browser.text
    assert "ada2@contoso.test" in browser.text
    await browser.get(f"/portal/users/{ada}/restore")
    assert "It is not deleted any more" in browser.text


async def test_who_may_not_read_the_log_is_told(portal: Portal) -> None:
    """The rest of the page is there all the same; a restore is refused."""
    ada = await user(portal, "Ada")
    other = await portal.as_role("Groups Administrator")
    await other.get(f"/portal/users/{ada}")
    assert "It was made here" in other.text
    assert "needs one of these roles" in other.text
    await delete(portal, ada)
    await other.get(f"/portal/users/{ada}/restore")
    assert (await other.post(f"/portal/users/{ada}/restore")).status_code == 403
    assert "needs one of these roles" in other.text


@pytest.mark.parametrize("key", ["none", "nobody@contoso.test", "' or 1 eq 1", str(UUID(int=7))])
@pytest.mark.parametrize("page", ["", "/attributes", "/memberships", "/restore"])
async def test_what_is_not_there_is_said(portal: Portal, key: str, page: str) -> None:
    """Whatever stands in the address."""
    for path in (f"/portal/users/{key}{page}", f"/portal/groups/{key}{page}", f"/portal/objects/{key}"):
        answer = await portal.browser.get(path)
        assert answer.status_code in {400, 404}
        assert "This cannot be shown" in portal.browser.text
