"""A new configuration from its domain to its first cycle; what is decided on the way is kept in a paused job."""

from __future__ import annotations

import re
from uuid import uuid4

import pytest

from dirbridge.connectors.memory.directory import anchor_of
from dirbridge.engine import cycle
from dirbridge.store import agents
from tests.service.portal.conftest import Portal
from tests.service.portal.office import TEAM, Office
from tests.service.portal.test_on_demand import office

__all__ = ["office"]

NEW = "/portal/configurations/new"
UNIT = anchor_of(50)


async def enrol(portal: Portal, *domains: str) -> None:
    """Let another agent serve domains."""
    entrance = portal.entrance
    async with entrance.database.transaction() as conn:
        await agents.insert(
            conn, entrance.tenant, uuid4(), machine_name="near", version="1.0", domains=list(domains),
            public_key=uuid4().bytes, certificate=b"", expires_at=entrance.now, address="192.0.2.8",
        )  # fmt: skip


async def state(portal: Portal, domain: str) -> list[str]:
    return [row[0] for row in await portal.entrance.run("select state from jobs where domain = %s", [domain])]


async def test_without_an_agent_it_leads_to_adding_one(portal: Portal) -> None:
    """There is nothing that could be read."""
    await portal.entrance.run("update agents set revoked_at = now()")
    await portal.browser.get(NEW)
    assert "No agent serves a domain yet." in portal.browser.text
    assert 'href="/portal/agents/new"' in portal.browser.page


async def test_a_domain_has_one_configuration(portal: Portal) -> None:
    """One that was begun is gone on with; one that runs is opened; neither is made twice."""
    await portal.browser.get(NEW)
    assert "Begun already." in portal.browser.text
    answer = await portal.browser.post(NEW, domain="contoso.test", template="AD2AADProvisioning")
    assert answer.status_code == 303
    assert answer.headers["location"].startswith(f"{NEW}/AD2AADProvisioning")
    assert answer.headers["location"].endswith("/scope")
    await portal.set_job(state="Active")
    await portal.browser.get(NEW)
    assert "Has a configuration." in portal.browser.text
    answer = await portal.browser.post(NEW, domain="contoso.test", template="AD2AADProvisioning")
    assert answer.status_code == 400
    assert "contoso.test has a configuration already." in portal.browser.text
    assert len(await state(portal, "contoso.test")) == 1


@pytest.mark.parametrize(
    ("fields", "said"),
    [
        ({"template": "AD2AADProvisioning"}, "Choose the domain that is read."),
        ({"domain": "new.test", "template": "AD2AADPasswordHash"}, "Choose what kind of directory it is."),
        (
            {"domain": "<b>no domain", "template": "AD2AADProvisioning"},
            "names the domain to synchronize by its DNS name",
        ),
    ],
)
async def test_what_is_missing_is_said(portal: Portal, fields: dict[str, str], said: str) -> None:
    """And nothing is made."""
    await portal.browser.get(NEW)
    assert (await portal.browser.post(NEW, **fields)).status_code == 400
    assert said in portal.browser.text
    assert "<b>no" not in portal.browser.page
    assert await portal.entrance.run("select count(*) from jobs") == [(1,)]


async def test_an_ldap_directory_has_a_template_of_its_own(portal: Portal) -> None:
    """The job begins with that template's mappings."""
    await enrol(portal, "ldap.test")
    await portal.browser.get(NEW)
    answer = await portal.browser.post(NEW, domain="ldap.test", template="LDAP2AADProvisioning")
    await portal.browser.get(answer.headers["location"].replace("/scope", "/mapping"))
    assert "groupOfNames" in portal.browser.text


async def test_from_the_domain_to_the_first_cycle(office: Office) -> None:
    """Each step is kept at once; a test provisions one user while the job is paused; enabling begins the rest."""
    portal, browser = office.portal, office.browser
    await portal.entrance.run("delete from jobs")
    office.directory.create(UNIT, "container", "North")
    office.directory.move(TEAM, UNIT)
    await browser.get(NEW)
    assert 'value="contoso.test" required checked' in browser.page
    answer = await browser.post(NEW, domain="contoso.test", template="AD2AADProvisioning")
    place = answer.headers["location"]
    assert await state(portal, "contoso.test") == ["Disabled"]
    await browser.get(place)
    assert (await browser.post(place, taken="chosen", act="review")).status_code == 400
    assert "Nothing is chosen." in browser.text
    answer = await browser.post(place, taken="chosen", group=f"{TEAM} CN=Team", act="review")
    assert answer.headers["location"] == place.replace("/scope", "/mapping")
    await browser.get(place)
    assert f'name="group" value="{TEAM} ' in browser.page
    await browser.get(answer.headers["location"])
    assert "user User" in browser.text
    (following,) = re.findall(r'class="button" href="([^"]+)"', browser.page)
    await browser.get(following)
    assert 'name="regardless" value="1" checked' in browser.page
    assert (await browser.post(following, dn=" ")).status_code == 400
    assert "Say who is to be provisioned." in browser.text
    await browser.post(following, dn="ann")
    assert await office.users() == []
    await browser.post(following, dn="ann", regardless="1")
    assert "Import user Success" in browser.text
    assert await office.users() == ["ann@contoso.test"]
    assert await state(portal, "contoso.test") == ["Disabled"]
    enable = place.replace("/scope", "/enable")
    await browser.get(enable)
    assert f"Who is in this container or group: {TEAM} Its name is known from the first cycle on." in browser.text
    assert "dc-near" in browser.text
    answer = await browser.post(enable)
    assert await state(portal, "contoso.test") == ["Active"]
    ((job,),) = await portal.entrance.run("select id from jobs")
    await cycle.run(portal.entrance.application.state.engine, portal.entrance.tenant, job)
    assert await office.users() == ["ann@contoso.test", "bob@contoso.test"]
    await browser.get(answer.headers["location"])
    assert "Its first cycle reads all of contoso.test." in browser.text
    await browser.get(enable)
    assert "This configuration is enabled already." in browser.text


async def test_who_may_only_read_makes_nothing(portal: Portal) -> None:
    """The API refuses, and says which role is missing."""
    await enrol(portal, "new.test")
    other = await portal.as_role("Global Reader")
    assert (await other.get(NEW)).status_code == 200
    assert (await other.post(NEW, domain="new.test", template="AD2AADProvisioning")).status_code == 403
    assert "needs one of these roles" in other.text
    assert await state(portal, "new.test") == []


async def test_a_step_of_nothing(portal: Portal) -> None:
    """A job that was deleted meanwhile."""
    for step in ("scope", "mapping", "test", "enable"):
        assert (await portal.browser.get(f"{NEW}/none/{step}")).status_code == 404
        assert "This cannot be shown" in portal.browser.text


async def test_a_configuration_that_runs_is_changed_where_its_consequences_are_said(portal: Portal) -> None:
    """A step that was left open in another tab does not take a scope from thousands without a word."""
    await portal.browser.get(NEW)
    answer = await portal.browser.post(NEW, domain="contoso.test", template="AD2AADProvisioning")
    place = answer.headers["location"]
    await portal.browser.get(place)
    await portal.set_job(state="Active")
    answer = await portal.browser.post(place, taken="chosen", group=f"{TEAM} CN=Team", act="review")
    assert (answer.status_code, answer.headers["location"]) == (303, f"{portal.address}/scope")
    assert (await portal.browser.get(place)).status_code == 303
    await portal.browser.get(f"{portal.address}/scope")
    assert "Nothing was saved." in portal.browser.text
    assert 'value="everything" checked' in portal.browser.page
