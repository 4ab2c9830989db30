"""The scope of a configuration: looked for in the live directory, reviewed in numbers, saved by GUID."""

from __future__ import annotations

from typing import Any

import pytest

from dirbridge.connectors.memory.directory import ROOT, anchor_of
from dirbridge.contract.errors import TransientError
from dirbridge.contract.wire import Listing, Located
from dirbridge.engine import cycle
from tests.service.portal.office import TEAM, Office
from tests.service.portal.test_on_demand import office

__all__ = ["office"]

UNIT, INNER, OTHER = (anchor_of(number) for number in (50, 51, 52))
HOSTILE = "<img src=x onerror=alert(1)>"


class Chooser:
    """Somebody who chooses what a job takes."""

    def __init__(self, office: Office) -> None:
        self.office = office
        self.browser = office.browser
        self.page = f"{office.portal.address}/scope"
        office.directory.create(UNIT, "container", "North")
        office.directory.create(INNER, "container", HOSTILE, UNIT)
        office.directory.create(OTHER, "container", "South")

    async def send(self, page: str = "", **fields: str | list[str]) -> int:
        """Send the form of the page that is shown, as it would be without a script; gives the answer's status."""
        answer = await self.browser.client.post(page or self.page, data={"csrf": self.browser.csrf, **fields})
        self.browser.page = answer.text
        return answer.status_code

    async def stored(self) -> dict[str, Any]:
        """The rule of the document that is stored."""
        ((schema,),) = await self.office.entrance.run("select schema from jobs where id = %s", [self.office.portal.job])
        rule: dict[str, Any] = schema["synchronizationRules"][0]
        return rule

    async def chosen(self) -> tuple[list[str], list[str]]:
        rule = await self.stored()
        return rule["containerFilter"]["includedContainers"], rule["groupFilter"]["includedGroups"]

    async def cycle(self) -> None:
        """Enable the job, and run a cycle."""
        await self.office.portal.set_job(state="Active")
        entrance = self.office.entrance
        await cycle.run(entrance.application.state.engine, entrance.tenant, self.office.portal.job)

    def circular(self) -> list[object]:
        """Let the agent say that a container lies in itself; gives what it is asked."""
        asked: list[object] = []

        class Circular:
            async def browse(self, below: object) -> Listing:
                asked.append(below)
                return Listing((Located("North", UNIT, "container", "OU=North"),))

            async def search(self, *_: object) -> object: ...

        state = self.office.entrance.application.state
        old = state.engine
        state.engine = type(old)(old.database, lambda _: Circular(), old.target, old.clock, old.new_id)
        return asked

    def gone(self, code: str = "HybridIdentityServiceNoActiveAgents") -> None:
        """Let no agent answer any more."""

        class Gone:
            async def browse(self, below: object) -> object:
                raise TransientError("No agent is there.", code=code)

            async def search(self, *_: object) -> object:
                raise TransientError("No agent is there.", code=code)

            async def locate(self, names: object) -> object:
                raise TransientError("No agent is there.", code=code)

        state = self.office.entrance.application.state
        old = state.engine
        state.engine = type(old)(old.database, lambda _: Gone(), old.target, old.clock, old.new_id)


@pytest.fixture
async def chooser(office: Office) -> Chooser:
    return Chooser(office)


async def test_the_page_waits_for_no_agent(chooser: Chooser) -> None:
    """It shows what is stored; the tree is asked for by itself, or by its button."""
    chooser.gone()
    assert (await chooser.browser.get(chooser.page)).status_code == 200
    assert "Everybody in contoso.test" in chooser.browser.text
    assert f'hx-get="{chooser.page}/tree"' in chooser.browser.page.replace("%7C", "|")
    assert await chooser.send(act="browse", taken="chosen") == 200
    assert "No agent is there." in chooser.browser.text


async def test_a_tree_that_no_agent_shows_yet_is_tried_again(chooser: Chooser) -> None:
    """By itself, until it is there; not one level of it, which would close the others, and not what stays refused."""
    again = "It is tried again every 5 seconds."
    tree = f"{chooser.page}/tree"
    other = await chooser.office.portal.as_role("Global Reader")
    await other.get(tree)
    assert "needs one of these roles" in other.text
    assert again not in other.text
    await chooser.browser.get(tree)
    assert again not in chooser.browser.text
    chooser.gone()
    await chooser.browser.get(tree)
    assert "No agent is there." in chooser.browser.text
    assert again in chooser.browser.text
    assert f'hx-get="{tree}" hx-trigger="every 5s"' in chooser.browser.page.replace("%7C", "|")
    await chooser.browser.get(f"{tree}?below={UNIT}")
    assert "No agent is there." in chooser.browser.text
    assert again not in chooser.browser.text


async def test_the_tree_opens_level_by_level(chooser: Chooser) -> None:
    """By pieces with a script, and by the form without; names stay text, and what is ticked comes back ticked."""
    await chooser.browser.get(f"{chooser.page}/tree")
    assert all(name in chooser.browser.text for name in ("contoso.test", "North", "South"))
    await chooser.browser.get(f"{chooser.page}/tree?below={UNIT}")
    assert HOSTILE in chooser.browser.text
    assert HOSTILE not in chooser.browser.page
    await chooser.browser.get(f"{chooser.page}/tree?below={INNER}")
    assert "No container lies in it." in chooser.browser.text
    await chooser.browser.get(f"{chooser.page}/tree?below={anchor_of(404)}")
    assert "It is not there any more." in chooser.browser.text
    await chooser.browser.get(chooser.page)
    south = f"{OTHER} OU=South,DC=contoso,DC=test"
    assert await chooser.send(taken="chosen", container=south, open=UNIT) == 200
    assert f'name="opened" value="{UNIT}"' in chooser.browser.page
    assert f'name="container" value="{south}" checked' in chooser.browser.page
    assert HOSTILE in chooser.browser.text
    assert await chooser.chosen() == ([], [])


async def test_groups_are_found_by_name(chooser: Chooser) -> None:
    """As a piece, and by the form; what was found before stays ticked; nobody is told by what is not there."""
    await chooser.browser.get(f"{chooser.page}/found?kind=group&group-text=tea")
    assert "CN=Team,DC=contoso,DC=test" in chooser.browser.text
    await chooser.browser.get(f"{chooser.page}/found?kind=group&group-text=<b>")
    assert "No group has “<b>” in its name." in chooser.browser.text
    assert "<b>" not in chooser.browser.page
    await chooser.browser.get(f"{chooser.page}/found?kind=group&group-text=")
    assert chooser.browser.page.strip() == ""
    assert (await chooser.browser.get(f"{chooser.page}/found?kind=computer&computer-text=a")).status_code == 404
    await chooser.browser.get(chooser.page)
    fields: dict[str, str | list[str]] = {"taken": "chosen", "container": f"{UNIT} North", "group-text": "Team"}
    assert await chooser.send(act="find-group", **fields) == 200
    assert f'name="group" value="{TEAM} CN=Team,DC=contoso,DC=test"' in chooser.browser.page
    assert f'name="container" value="{UNIT} North" checked' in chooser.browser.page


async def test_a_scope_is_reviewed_in_numbers_and_saved(chooser: Chooser) -> None:
    """What is added, how many objects it concerns, what becomes of who leaves; then it is stored by GUID."""
    await chooser.cycle()
    await chooser.browser.get(chooser.page)
    assert "Users 2" in chooser.browser.text
    choice: dict[str, str | list[str]] = {
        "taken": "chosen",
        "container": [f"{UNIT} OU=North", f"{UNIT} OU=North", f"{INNER} {HOSTILE}"],
        "group": f"{TEAM} CN=Team",
    }
    assert await chooser.send(act="review", **choice) == 200
    said = chooser.browser.text
    assert "re-evaluates 3 objects" in said
    assert "More than 500 in 24 hours wait for a person's word" in said
    assert all(name in said for name in ("Chosen OU=North", f"Chosen {HOSTILE}", "Chosen CN=Team"))
    assert HOSTILE not in chooser.browser.page
    assert await chooser.chosen() == ([], [])
    assert await chooser.send(act="save", **choice) == 303
    assert await chooser.chosen() == ([UNIT, INNER], [TEAM])
    await chooser.browser.get(chooser.page)
    assert "The scope is saved. The next cycle begins now and re-evaluates 3 objects." in chooser.browser.text
    assert await chooser.send(act="review", **choice) == 200
    assert "Nothing differs from what is saved." in chooser.browser.text
    assert await chooser.send(act="review", taken="everything") == 200
    assert "From then on everybody in contoso.test is taken" in chooser.browser.text
    assert await chooser.send(act="save", taken="everything") == 303
    assert await chooser.chosen() == ([], [])


async def test_what_is_not_there_any_more_is_shown(chooser: Chooser) -> None:
    """A container and a group that were deleted, with what that means; they can be taken out without an agent."""
    await chooser.browser.get(chooser.page)
    choice: dict[str, str | list[str]] = {
        "taken": "chosen", "container": [f"{INNER} x", f"{UNIT} y"], "group": f"{TEAM} z",
    }  # fmt: skip
    assert await chooser.send(act="save", **choice) == 303
    await chooser.browser.get(chooser.page)
    assert "Not read yet" in chooser.browser.text
    await chooser.cycle()
    chooser.office.directory.delete(INNER)
    chooser.office.directory.delete(TEAM)
    await chooser.cycle()
    await chooser.browser.get(chooser.page)
    assert chooser.browser.text.count("Not there any more") == 2
    assert "Nobody leaves because of it until it is taken out here." in chooser.browser.text
    chooser.gone()
    assert await chooser.send(act="save", taken="chosen", container=f"{UNIT} y") == 303
    assert await chooser.chosen() == ([UNIT], [])


async def test_nothing_chosen_is_said(chooser: Chooser) -> None:
    """To choose, and choose nothing, would take nobody or everybody: it is asked again."""
    await chooser.browser.get(chooser.page)
    assert await chooser.send(act="review", taken="chosen") == 400
    assert "Nothing is chosen. Choose a container or a group, or take everybody." in chooser.browser.text
    assert 'value="chosen" checked' in chooser.browser.page


async def test_what_the_directory_has_no_more_is_refused_at_the_form(chooser: Chooser) -> None:
    """A container that was deleted between its listing and saving; the choice stays as it was made."""
    await chooser.browser.get(chooser.page)
    gone = anchor_of(404)
    assert await chooser.send(act="save", taken="chosen", container=[f"{gone} OU=Gone", f"{UNIT} OU=North"]) == 400
    assert f"contoso.test shows its agent no container '{gone}'" in chooser.browser.text
    assert f'value="{UNIT} OU=North" checked' in chooser.browser.page
    assert await chooser.chosen() == ([], [])


async def test_two_who_edit_at_once_are_told(chooser: Chooser) -> None:
    """The second one sees what saving would change now, and may save then."""
    await chooser.browser.get(chooser.page)
    tag = chooser.browser.page.partition('name="tag" value="')[2].partition('"')[0].replace("&#34;", '"')
    assert tag
    north = f"{UNIT} OU=North"
    assert await chooser.send(act="save", taken="chosen", container=f"{OTHER} OU=South", tag=tag) == 303
    await chooser.browser.get(chooser.page)
    assert await chooser.send(act="save", taken="chosen", container=north, tag=tag) == 409
    assert "Somebody else changed the schema meanwhile" in chooser.browser.text
    assert all(said in chooser.browser.text for said in ("Added OU=North", "Taken out"))
    assert await chooser.chosen() == ([OTHER], [])


async def test_a_scope_is_previewed_before_it_is_saved(chooser: Chooser) -> None:
    """The preview has the new scope; the job keeps the old one."""
    await chooser.browser.get(chooser.page)
    assert await chooser.send(act="preview", taken="chosen", container=f"{UNIT} OU=North") == 303
    ((schema,),) = await chooser.office.entrance.run("select schema from previews")
    assert schema["synchronizationRules"][0]["containerFilter"] == {"includedContainers": [UNIT]}
    assert await chooser.chosen() == ([], [])


async def test_who_may_only_read_sees_and_changes_nothing(chooser: Chooser) -> None:
    """The page is there; the tree and saving are refused in its place, by the API's word."""
    other = await chooser.office.portal.as_role("Global Reader")
    assert (await other.get(chooser.page)).status_code == 200
    chooser.browser = other
    assert await chooser.send(act="browse", taken="chosen") == 200
    assert "needs one of these roles" in other.text
    assert await chooser.send(act="save", taken="chosen", container=f"{UNIT} x") == 403
    assert await chooser.chosen() == ([], [])
    assert ROOT not in other.page


# Attribute filters ----------------------------------------------------------------------------------------------------


def clause(number: str, attribute: str, operator: str, value: str = "") -> dict[str, str]:
    return {f"attribute.{number}": attribute, f"operator.{number}": operator, f"value.{number}": value}


async def filters_of(chooser: Chooser) -> list[Any]:
    scope = (await chooser.stored())["objectMappings"][0].get("scope") or {}
    return [
        [
            (one["sourceOperandName"], one["operatorName"], (one.get("targetOperand") or {}).get("values"))
            for one in each["clauses"]
        ]
        for each in scope.get("groups") or ()
    ]


async def test_filters_are_put_together_clause_by_clause(chooser: Chooser) -> None:
    """Buttons add and take away; nothing that is filled in is lost, and nothing is stored on the way."""
    page = f"{chooser.page}/filters"
    await chooser.browser.get(page)
    assert "Every object of this mapping that is chosen is in scope." in chooser.browser.text
    assert "isCriticalSystemObject" in chooser.browser.text
    assert await chooser.send(page, of="0.0", act="add-group") == 200
    assert 'name="attribute.0.0"' in chooser.browser.page
    one, two = clause("0.0", "department", "EQUALS", HOSTILE), clause("0.1", "title", "IS NOT NULL")
    assert await chooser.send(page, of="0.0", act="add-clause:0", **one) == 200
    assert 'name="attribute.0.1"' in chooser.browser.page
    assert await chooser.send(page, of="0.0", act="remove:0.0", **one, **two) == 200
    assert 'value="title"' in chooser.browser.page
    assert HOSTILE not in chooser.browser.text
    assert await chooser.send(page, of="0.0", act="add-group", **one, **two) == 200
    assert 'name="attribute.1.0"' in chooser.browser.page
    assert HOSTILE in chooser.browser.text or "&lt;img" in chooser.browser.page
    assert await filters_of(chooser) == []


async def test_filters_are_reviewed_and_saved(chooser: Chooser) -> None:
    """Said in words, before and after; the mapping's other parts stay."""
    page = f"{chooser.page}/filters"
    before = (await chooser.stored())["objectMappings"][0]["scope"]["inputFilterGroups"]
    await chooser.browser.get(page)
    wanted = {
        **clause("0.0", "department", "EQUALS", "Sales"), **clause("0.1", "title", "IS NOT NULL", "left over"),
        **clause("3.0", "department", "EQUALS", "Legal"),
    }  # fmt: skip
    assert await chooser.send(page, of="0.0", act="review", **wanted) == 200
    assert "No filter" in chooser.browser.text
    assert "department EQUALS Sales and title IS NOT NULL" in chooser.browser.text
    assert "re-evaluates 0 objects" in chooser.browser.text
    assert await chooser.send(page, of="0.0", act="save", **wanted) == 303
    assert await filters_of(chooser) == [
        [("department", "EQUALS", ["Sales"]), ("title", "IS NOT NULL", None)], [("department", "EQUALS", ["Legal"])],
    ]  # fmt: skip
    assert (await chooser.stored())["objectMappings"][0]["scope"]["inputFilterGroups"] == before
    await chooser.browser.get(page)
    assert 'value="Legal"' in chooser.browser.page
    await chooser.browser.get(chooser.page)
    assert "1 object mapping has filters of its own" in chooser.browser.text
    assert await chooser.send(page, of="0.0", act="save") == 303
    assert await filters_of(chooser) == []


async def test_what_a_clause_cannot_ask_is_said_at_the_clause(chooser: Chooser) -> None:
    """Each fault at its own clause; nothing is stored."""
    page = f"{chooser.page}/filters"
    await chooser.browser.get(page)
    wrong = {
        **clause("0.0", "department", "EQUALS", "Sales"), **clause("0.1", "noSuchThing", "EQUALS", "x"),
        **clause("1.0", "department", "REGEX MATCH", "("),
    }  # fmt: skip
    assert await chooser.send(page, of="0.0", act="save", **wrong) == 400
    shown = chooser.browser.page
    assert shown.count('aria-invalid="true"') == 2
    assert 'id="fault.0.1"' in shown
    assert 'id="fault.1.0"' in shown
    assert "noSuchThing" in shown.partition('id="fault.0.1"')[2][:600]
    assert await filters_of(chooser) == []


async def test_filters_of_no_mapping(chooser: Chooser) -> None:
    """An address that leads nowhere says so."""
    assert (await chooser.browser.get(f"{chooser.page}/filters?of=9.9")).status_code == 404
    assert "no such object mapping" in chooser.browser.text


async def test_an_agent_that_goes_in_circles_is_asked_no_more_than_once_a_container(chooser: Chooser) -> None:
    """What it says of its directory is its word; a page has an end."""
    asked = chooser.circular()
    await chooser.browser.get(chooser.page)
    assert (await chooser.browser.get(f"{chooser.page}/tree")).status_code == 200
    assert asked == [None, UNIT]
