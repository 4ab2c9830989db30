"""The settings as the portal shows and changes them, by the API's own rules."""

import re
from datetime import UTC, datetime, timedelta

from tests.service.browsers import ADA
from tests.service.portal.conftest import Portal

SETTINGS = "/portal/settings"
ADMINISTRATORS = f"{SETTINGS}/administrators"


async def make(portal: Portal, name: str = "eve@contoso.test") -> tuple[str, str]:
    """Make an administrator by the page; gives the path of their page and the password."""
    await portal.browser.get(f"{ADMINISTRATORS}/new")
    answer = await portal.browser.post(f"{ADMINISTRATORS}/new", name=name, display="<i>Eve</i>", roles="Global Reader")
    assert answer.status_code == 200, portal.browser.text
    password = re.search(r'class="secret">([^<]+)<', portal.browser.page)
    back = re.search(rf'href="({ADMINISTRATORS}/[^"]+)">Done', portal.browser.page)
    assert password
    assert back
    return back[1], password[1]


async def test_an_administrator_is_made_and_signs_in(portal: Portal) -> None:
    """With the password that was shown once; a name that is none is refused at its field."""
    await portal.browser.get(f"{ADMINISTRATORS}/new")
    answer = await portal.browser.post(f"{ADMINISTRATORS}/new", name="eve", roles="Global Reader")
    assert answer.status_code == 400
    assert 'id="fault-name"' in portal.browser.page
    await portal.browser.post(f"{ADMINISTRATORS}/new", name="eve@contoso.test")
    assert 'id="fault-roles"' in portal.browser.page
    page, password = await make(portal)
    other = portal.entrance.browser("192.0.2.9")
    assert (await other.sign_in("eve@contoso.test", password)).status_code == 303
    await portal.browser.get(page)
    assert "<i>Eve</i>" in portal.browser.text
    assert "<i>" not in portal.browser.page
    assert "192.0.2.9" in portal.browser.text
    await portal.browser.get(ADMINISTRATORS)
    assert "eve@contoso.test" in portal.browser.text
    assert password not in portal.browser.page


async def test_what_is_done_with_an_account_is_asked_before(portal: Portal) -> None:
    """In numbers; then it is done, and ends the sessions that were counted."""
    page, password = await make(portal)
    other = portal.entrance.browser("192.0.2.9")
    await other.sign_in("eve@contoso.test", password)
    await portal.browser.get(f"{page}/password")
    assert "1 session ends" in portal.browser.text
    await portal.browser.post(f"{page}/password")
    found = re.search(r'class="secret">([^<]+)<', portal.browser.page)
    assert found
    assert found[1] != password
    assert await other.who() is None
    portal.entrance.later(minutes=5)
    assert (await other.sign_in("eve@contoso.test", found[1])).status_code == 303, other.text
    await portal.browser.get(page)
    session = re.search(r'action="([^"]+/end)"', portal.browser.page)
    assert session
    await portal.browser.post(session[1])
    assert await other.who() is None
    for act, said in (("disable", "Disabled"), ("enable", "Enabled"), ("unlock", "Enabled")):
        await portal.browser.get(f"{page}/{act}")
        assert (await portal.browser.post(f"{page}/{act}")).headers["location"] == page
        await portal.browser.get(page)
        assert said in portal.browser.text
    await portal.browser.get(f"{page}/remove")
    assert (await portal.browser.post(f"{page}/remove")).headers["location"] == ADMINISTRATORS
    assert (await portal.browser.get(page)).status_code == 404
    assert (await portal.browser.get(f"{page}/explode")).status_code == 404


async def test_two_who_change_one_at_once_are_told(portal: Portal) -> None:
    """The second one changes nothing and sees what the first one did."""
    page, _ = await make(portal)
    await portal.browser.get(page)
    was = re.search(r'name="was" value="([^"]+)"', portal.browser.page)
    assert was
    mark = was[1].replace("&#34;", '"').replace("&lt;", "<").replace("&gt;", ">")
    answer = await portal.browser.post(page, was=mark, display="First", roles="User Administrator")
    assert answer.status_code == 303, portal.browser.text
    await portal.browser.get(page)
    answer = await portal.browser.post(page, was=mark, display="Second", roles="Global Administrator")
    assert answer.status_code == 409
    assert "Somebody else has changed it meanwhile" in portal.browser.text
    rows = await portal.entrance.run("select display_name, roles from administrators where user_name like 'eve%%'")
    assert rows == [("First", ["User Administrator"])]


async def test_the_last_global_administrator_stays(portal: Portal) -> None:
    """Whatever is tried, and the page says why; a reader does nothing at all."""
    await portal.entrance.run("delete from administrators where user_name <> %s", [ADA])
    ((id,),) = await portal.entrance.run("select id::text from administrators where user_name = %s", [ADA])
    page = f"{ADMINISTRATORS}/{id}"
    for act in ("disable", "remove"):
        await portal.browser.get(f"{page}/{act}")
        assert "This is you" in portal.browser.text
        assert (await portal.browser.post(f"{page}/{act}")).status_code == 400
        assert "is the last Global Administrator" in portal.browser.text
    reader = await portal.as_role("Global Reader")
    await reader.get(f"{page}/password")
    assert (await reader.post(f"{page}/password")).status_code == 403
    assert "needs one of these roles" in reader.text


async def test_an_application_gets_permissions_and_a_secret(portal: Portal) -> None:
    """The secret is shown once and brings a token; what is taken away is gone; so is the application at the end."""
    browser = portal.browser
    await browser.get(f"{SETTINGS}/applications/new")
    page = (await browser.post(f"{SETTINGS}/applications/new", name="<u>Report</u>")).headers["location"]
    await browser.get(page)
    assert "It holds none" in browser.text
    await browser.post(f"{page}/permissions", permission="User.Read.All")
    await browser.get(page)
    taken = re.search(r'action="([^"]+/permissions/[^"]+/remove)"', browser.page)
    assert taken
    assert (await browser.post(f"{page}/permissions", permission="Everything")).status_code == 400
    await browser.get(page)
    await browser.post(f"{page}/secrets", name="nightly", months="3")
    secret = re.search(r'class="secret">([^<]+)<', browser.page)
    client = re.search(r"Client id</dt><dd><code>([^<]+)<", browser.page)
    assert secret
    assert client
    fields = {
        "grant_type": "client_credentials", "client_id": client[1], "client_secret": secret[1],
        "scope": "https://graph.microsoft.com/.default",
    }  # fmt: skip
    answer = await browser.client.post(f"/{portal.entrance.tenant}/oauth2/v2.0/token", data=fields)
    assert answer.status_code == 200, answer.text
    await browser.get(page)
    assert "nightly" in browser.text
    assert secret[1] not in browser.page
    remove = re.search(r'href="([^"]+/secrets/[^"]+/remove)"', browser.page)
    assert remove
    await browser.post(taken[1])
    await browser.get(remove[1])
    assert "0 other credentials stay" in browser.text
    await browser.post(remove[1])
    await browser.get(page)
    assert ("It holds none" in browser.text, "cannot sign in" in browser.text) == (True, True)
    await browser.get(f"{page}/remove")
    assert "with 0 permissions, 0 secrets, 0 certificates" in browser.text
    await browser.post(f"{page}/remove")
    assert (await browser.get(page)).status_code == 404
    await browser.get(f"{SETTINGS}/applications", params={"q": "CONTOSO"})
    assert "Configuration" in browser.text
    await browser.get(f"{SETTINGS}/applications", params={"q": '"'})
    assert "No application begins with" in browser.text


async def test_a_shorter_retention_says_what_goes(portal: Portal) -> None:
    """And does nothing before somebody says yes; who comes second is told."""
    where = f"{SETTINGS}/retention"
    for days in (1, 10, 20):
        await portal.entrance.run(
            "insert into events (tenant, id, at, job, cycle, change, action, status, reason, source_id, source_type,"
            " source_name, target_id, target_type, target_name, duration, detail)"
            " select id, gen_random_uuid(), %s, 'j', gen_random_uuid(), gen_random_uuid(), 'update', 'success', '', '',"
            " '', '', '', '', '', 1, '' from tenants",
            [datetime.now(UTC) - timedelta(days=days)],
        )
    browser = portal.browser
    await browser.get(where)
    for typed in ("0", "soon", "99999", "-1", "", "000001" + "0" * 5000):
        assert (await browser.post(where, was="30", days=typed)).status_code == 400
        assert 'id="fault"' in browser.page
    assert (await browser.post(where, was="30", days="7")).status_code == 200
    assert "2 events older than 7 days go for good" in browser.text
    assert (await browser.post(where, was="30", days="7", sure="1")).status_code == 303
    await browser.get(where)
    assert "The log is kept for 7 days." in browser.text
    assert (await browser.post(where, was="30", days="60")).status_code == 409
    assert (await browser.post(where, was="7", days="60")).status_code == 303
    await browser.get(where)
    await browser.post(where, was="60", reset="1", days="60")
    assert "older than 30 days" in browser.text
    assert (await browser.post(where, was="60", reset="1", days="30", sure="1")).status_code == 303
    await browser.get(where)
    assert "as the service is set up" in browser.text


async def test_notifications_are_shown_and_tested(portal: Portal) -> None:
    """Where nobody would be told, that is said; so is a mailbox that is none, at its field."""
    where = f"{SETTINGS}/notifications"
    await portal.browser.get(where)
    assert "none: no mail is sent" in portal.browser.text
    assert "Nobody was told of anything yet" in portal.browser.text
    assert (await portal.browser.post(f"{where}/test")).status_code == 400
    assert "Nobody is told of anything" in portal.browser.text
    assert (await portal.browser.post(f"{where}/test", recipient="nobody")).status_code == 400
    assert "'nobody' is no mailbox" in portal.browser.text
    await portal.browser.post(f"{where}/test", recipient="ops@contoso.test")
    assert "Not delivered" in portal.browser.text


async def test_domains_and_keys_are_looked_after(portal: Portal) -> None:
    """A domain is added once; a key is made, and removed after a question; who may not see keys is told."""
    where = f"{SETTINGS}/tenant"
    await portal.browser.get(where)
    assert (await portal.browser.post(f"{where}/domains", name="not a domain")).status_code == 400
    assert 'id="fault"' in portal.browser.page
    assert (await portal.browser.post(f"{where}/domains", name="new.test")).status_code == 303
    await portal.browser.get(f"{where}/keys/rotate")
    await portal.browser.post(f"{where}/keys/rotate")
    await portal.browser.get(where)
    assert "new.test" in portal.browser.text
    assert "Waiting" in portal.browser.text
    key = re.search(r'href="([^"]+/keys/[^"]+/remove)"', portal.browser.page)
    assert key
    await portal.browser.get(key[1])
    assert "Of 2 keys this one goes" in portal.browser.text
    assert (await portal.browser.post(key[1])).status_code == 303
    await portal.browser.get(where)
    assert "Waiting" not in portal.browser.text
    await portal.browser.get(f"{where}/account/repair")
    assert (await portal.browser.post(f"{where}/account/repair")).status_code == 303
    other = await portal.as_role("User Administrator")
    await other.get(where)
    assert other.text.count("needs one of these roles") == 2


async def test_the_settings_lead_to_their_pages(portal: Portal) -> None:
    """Each with a sentence."""
    await portal.browser.get(SETTINGS)
    for name in ("administrators", "applications", "notifications", "retention", "tenant"):
        assert f'href="{SETTINGS}/{name}"' in portal.browser.page
