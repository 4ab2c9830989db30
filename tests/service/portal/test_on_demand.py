"""Provision on demand: the form, the four steps, and what can go wrong at each."""

from __future__ import annotations

import re
from html import unescape
from urllib.parse import quote

import msgspec
import pytest

from dirbridge.connectors.memory.directory import anchor_of
from dirbridge.connectors.memory.source import MemorySource
from dirbridge.contract.errors import TransientError
from tests.service.portal.conftest import Portal
from tests.service.portal.office import ANN, BOB, HOSTILE, Office


@pytest.fixture
async def office(portal: Portal) -> Office:
    """Two users and a group; the job was never started."""
    return Office(portal)


def page(office: Office) -> str:
    """The address of the page."""
    return f"{office.portal.address}/on-demand"


async def provision(office: Office, **fields: str) -> str:
    """Open the page and send its form; gives the page's text afterwards."""
    await office.browser.get(page(office))
    await office.browser.post(page(office), **fields)
    return office.page


async def test_a_link_fills_the_form_in_and_provisions_nobody(office: Office) -> None:
    """What stands in the address is shown, as text."""
    name = 'CN="><b>,DC=contoso,DC=test'
    await office.browser.get(f"{page(office)}?dn={quote(name)}&member=a&member=b&regardless=1")
    assert f'value="{name.replace("&", "&amp;")}"' in unescape(office.browser.page)
    assert "<b>" not in office.browser.page
    assert ">a\nb</textarea>" in office.browser.page
    assert 'name="regardless" value="1" checked' in office.browser.page
    assert await office.users() == []


async def test_four_steps_with_what_each_saw(office: Office) -> None:
    """A user that nothing matches is created; values of the directory stay text."""
    said = await provision(office, dn="ann")
    for caption in (
        "Import user Success", "Determine if user is in scope Success", "Match user between source and target Success",
        "Perform action Success",
    ):  # fmt: skip
        assert caption in said
    assert "Created" in said
    assert "userPrincipalName ann@contoso.test" in said
    assert "Scoping filter evaluation passed True" in said
    assert "Nothing in Azure Active Directory matches" in said
    assert "<script>alert" not in office.browser.page
    assert HOSTILE in said
    assert await office.users() == ["ann@contoso.test"]
    ((user,),) = await office.entrance.run("select id from directory_objects where user_principal_name like 'ann@%%'")
    assert f'href="/portal/users/{user}"' in office.browser.page
    (log,) = re.findall(r'href="([^"]+)">View in the provisioning log', office.browser.page)
    await office.browser.post(page(office), dn="bob")
    await office.browser.get(unescape(log))
    assert len(re.findall(r"<tr data-open=", office.browser.page)) == 1


async def test_an_update_shows_old_and_new(office: Office) -> None:
    """And the second time nothing is to be done."""
    await provision(office, dn="bob")
    office.directory.set(BOB, "department", "Sales")
    assert "Updated" in (said := await provision(office, dn="bob"))
    assert "Property Old value New value Department none Sales" in said
    assert "RedundantExport" in (said := await provision(office, dn="bob"))
    assert "Nothing was to be done" in said


async def test_out_of_scope_is_skipped_unless_wished(office: Office) -> None:
    """Steps behind the scope are not reached; with the switch it is written, with a warning."""
    office.directory.set(ANN, "adminDescription", "User_x")
    said = await provision(office, dn="ann")
    assert "Determine if user is in scope Skipped" in said
    assert "Match user between source and target Not reached" in said
    assert await office.users() == []
    said = await provision(office, dn="ann", regardless="1")
    assert "It is not in scope: it stays at the target until" in said
    assert await office.users() == ["ann@contoso.test"]


async def test_a_group_with_its_members(office: Office) -> None:
    """Each of them has its own steps; the group has them afterwards. More than five are refused at their field."""
    said = await provision(office, dn="Team", members="ann\r\n\r\nbob")
    assert "Members, provisioned first" in said
    assert said.count("Perform action Success") == 3
    assert await office.users() == ["ann@contoso.test", "bob@contoso.test"]
    said = await provision(office, dn="Team", members="\n".join("abcdef"))
    assert "members expects up to 5 members; found 6" in said
    assert ">a\nb\nc\nd\ne\nf</textarea>" in office.browser.page


async def test_what_cannot_be_found_fails_at_the_first_step(office: Office) -> None:
    """With the name and what to do; an empty name is told at its field."""
    answer = await office.browser.get(page(office))
    answer = await office.browser.post(page(office), dn="nobody")
    assert answer.status_code == 400
    said = office.page
    assert "Import object Failure 'nobody' is not to be found in contoso.test" in said
    assert "EntryNotFound" in said
    assert "Determine if object is in scope Not reached" in said
    answer = await office.browser.post(page(office), dn=" ")
    assert (answer.status_code, "Say who is to be provisioned." in office.browser.text) == (400, True)


async def test_a_failure_says_what_to_do(office: Office) -> None:
    """The step that failed is open, with code and remedy."""
    await provision(office, dn="ann")
    office.directory.set(BOB, "userPrincipalName", "ann@contoso.test")
    said = await provision(office, dn="bob")
    assert "Perform action Failure" in said
    assert "AttributeValueMustBeUnique" in said


async def test_an_agent_that_is_away_fails_the_connection(office: Office) -> None:
    """A step before the four says so; none of them was reached."""

    class Away(MemorySource):
        async def locate(self, names: object) -> list[object]:  # type: ignore[override]
            raise TransientError("No agent answers.", code="AgentAway", recommended_action="Start one.")

    engine = office.entrance.application.state.engine
    office.entrance.application.state.engine = msgspec.structs.replace(engine, source=lambda _: Away(office.directory))
    await office.browser.get(page(office))
    answer = await office.browser.post(page(office), dn="ann")
    assert answer.status_code == 503
    said = office.page
    assert "Test connection and settings Failure No agent answers. Start one." in said
    assert said.count("Not reached") == 4


async def test_somebody_is_found_by_a_part_of_the_name(office: Office) -> None:
    """As it is typed, or by a button where there is no script; an exact name is not looked for."""
    office.directory.create(anchor_of(9), "container", "Annex")
    shown = await office.browser.client.get(f"{page(office)}/found?dn=an")
    assert 'data-value="CN=Ann,DC=contoso,DC=test">Ann</a>' in shown.text
    assert "dn=CN%3DAnn%2CDC%3Dcontoso%2CDC%3Dtest" in shown.text
    assert "Annex" not in shown.text
    for nothing in ("a", "CN=Ann,DC=contoso", ANN):
        assert (await office.browser.client.get(f"{page(office)}/found", params={"dn": nothing})).text.strip() == ""
    await office.browser.get(page(office))
    await office.browser.post(f"{page(office)}/find", dn="zz<b>", members="bob", regardless="1")
    assert "Nobody that this configuration provisions has “zz<b>” in the name." in office.page
    assert 'name="regardless" value="1" checked' in office.browser.page
    assert ">bob</textarea>" in office.browser.page
    assert await office.users() == []


async def test_a_script_gets_the_answer_alone(office: Office) -> None:
    """And the address of the page follows what was filled in."""
    await office.browser.get(page(office))
    answer = await office.browser.client.post(
        page(office), data={"csrf": office.browser.csrf, "dn": "ann"}, headers={"HX-Request": "true"}
    )
    assert "<main" not in answer.text
    assert 'data-said="Created: Ann"' in answer.text
    assert answer.headers["HX-Replace-Url"] == f"{page(office)}?dn=ann"


async def test_too_many_at_a_time_and_a_job_that_is_gone(office: Office) -> None:
    """The sixth within ten seconds waits; of a deleted configuration the page says so."""
    for _ in range(5):
        await provision(office, dn="ann")
    assert "were provisioned on demand within 10 seconds" in await provision(office, dn="ann")
    await office.browser.get(page(office))
    token = office.browser.csrf
    await office.entrance.run("delete from jobs where id = %s", [office.portal.job])
    answer = await office.browser.client.post(page(office), data={"csrf": token, "dn": "ann"})
    assert (answer.status_code, "This cannot be shown" in answer.text) == (404, True)


async def test_who_may_only_read_provisions_nobody(office: Office) -> None:
    """The form is shown; the API refuses, and the page says which role is missing."""
    other = await office.portal.as_role("Global Reader")
    assert (await other.get(page(office))).status_code == 200
    assert (await other.post(page(office), dn="ann")).status_code == 403
    assert "needs one of these roles" in other.text
    assert await office.users() == []
