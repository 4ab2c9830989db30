"""The attribute mapping: changes gather in the address, are reviewed with their numbers, and are saved together."""

from __future__ import annotations

import re
from html import unescape
from typing import Any
from urllib.parse import parse_qs, urlsplit

import pytest

from dirbridge.service.portal.configurations import drafts
from tests.service.portal.conftest import Portal
from tests.service.portal.stored import schema

ROW = {
    "of": "0.0", "kind": "Function", "flow": "Always", "behaviour": "FlowWhenChanged", "match": "0", "act": "keep",
}  # fmt: skip


def _draft(place: str) -> str:
    return parse_qs(urlsplit(place).query).get("draft", [""])[0]


def _tag(portal: Portal) -> str:
    """The version of the document that the page was about."""
    found = re.search(r'name="tag" value="([^"]+)"', portal.browser.page)
    assert found
    return unescape(found[1])


async def _keep(portal: Portal, draft: str = "", **fields: str) -> str:
    """Send the form of a row; gives the draft afterwards."""
    await portal.browser.get(f"{portal.address}/mapping/row?of=0.0&draft={draft}")
    answer = await portal.browser.post(f"{portal.address}/mapping/row", **(ROW | {"draft": draft} | fields))
    assert answer.status_code == 303, portal.browser.text
    return _draft(answer.headers["location"])


def _row(document: dict[str, Any], target: str, mapping: int = 0) -> dict[str, Any] | None:
    rows = document["synchronizationRules"][0]["objectMappings"][mapping]["attributeMappings"]
    return next((row for row in rows if row["targetAttributeName"] == target), None)


async def test_rows_by_object_type(portal: Portal) -> None:
    """Each type has its rows, with source, type and when they apply; the search narrows them."""
    await portal.browser.get(f"{portal.address}/mapping")
    for said in ("user to User", "group to Group", "136 attributes", "CommonName", "Direct"):
        assert said in portal.browser.text
    await portal.browser.get(f"{portal.address}/mapping?of=0.2&q=mailnick")
    assert "63 attributes" not in portal.browser.text
    assert re.search(r"\b[12] attributes with", portal.browser.text)
    await portal.browser.get(f"{portal.address}/mapping?q=nothing-has-this")
    assert "No attribute mapping has that." in portal.browser.text
    assert (await portal.browser.get(f"{portal.address}/mapping?of=7.7")).status_code == 404


async def test_changes_are_reviewed_and_saved_together(portal: Portal) -> None:
    """An expression, a constant and a row taken away: one save, with all of them in it and nothing else."""
    before = await schema(portal)
    draft = await _keep(portal, target="DisplayName", was="DisplayName", expression='Join(" ", [sn], [givenName])')
    draft = await _keep(portal, draft, target="Company", was="Company", kind="Constant", constant="Contoso ")
    await portal.browser.get(f"{portal.address}/mapping?draft={draft}")
    assert "2 changes are not saved yet" in portal.browser.text
    form = {"of": "0.0", "target": "Title", "draft": draft}
    answer = await portal.browser.post(f"{portal.address}/mapping/change/remove", **form)
    draft = _draft(answer.headers["location"])
    assert await schema(portal) == before
    await portal.set_job(state="Active")
    await portal.browser.get(f"{portal.address}/mapping/save?draft={draft}")
    for said in ("re-evaluates 0 objects", 'Join(" ", [sn], [givenName])', "Title", "removed", '"Contoso "'):
        assert said in portal.browser.text
    answer = await portal.browser.post(f"{portal.address}/mapping/save", draft=draft)
    assert answer.status_code == 303
    await portal.browser.get(answer.headers["location"])
    assert "The next cycle begins now and re-evaluates 0 objects" in portal.browser.text
    after = await schema(portal)
    joined, company = _row(after, "DisplayName"), _row(after, "Company")
    assert joined is not None
    assert company is not None
    assert (joined["source"]["name"], company["source"]["name"]) == ("Join", "Contoso ")
    assert _row(after, "Title") is None
    for document in (before, after):
        rows = document["synchronizationRules"][0]["objectMappings"][0]["attributeMappings"]
        rows[:] = [r for r in rows if r["targetAttributeName"] not in {"DisplayName", "Company", "Title"}]
        del document["version"]
    assert after == before


async def test_undone_changes_leave_nothing(portal: Portal) -> None:
    """Nor does a change that says what is saved already."""
    draft = await _keep(portal, target="Company", was="Company", kind="Constant", constant="x")
    await portal.browser.get(f"{portal.address}/mapping?draft={draft}")
    form = {"of": "0.0", "target": "Company", "draft": draft}
    answer = await portal.browser.post(f"{portal.address}/mapping/change/undo", **form)
    assert _draft(answer.headers["location"]) == ""
    assert await _keep(portal, target="Alias", was="Alias", kind="Attribute", attribute="mailNickname") == ""
    await portal.browser.get(f"{portal.address}/mapping/save")
    assert "Nothing differs from what is saved." in portal.browser.text


@pytest.mark.parametrize(
    ("fields", "said"),
    [
        ({"target": "DisplayName", "expression": "Trim([cn]"}, "line 1, column 10"),
        ({"target": "DisplayName", "expression": "Trim([nothing])"}, "nothing"),
        ({"target": "DisplayName"}, "Write an expression."),
        ({"target": "", "expression": "[cn]"}, "Choose the attribute that is written."),
        ({"target": "EmployeeNumber", "kind": "Attribute"}, "Choose the attribute that is read."),
        ({"target": "DisplayName", "was": "", "expression": "[cn]"}, "DisplayName is mapped already."),
        ({"target": "DisplayName", "expression": "[cn]", "match": "first"}, "Give a number"),
        ({"target": "AccountEnabled", "was": "AccountEnabled", "kind": "Constant", "constant": "perhaps"}, "perhaps"),
        ({"target": "ProxyAddresses", "was": "ProxyAddresses", "expression": "[cn]", "match": "2"}, "cannot be match"),
        ({"target": "Nothing", "kind": "None"}, "no attribute"),
    ],
)
async def test_what_is_wrong_with_a_row(portal: Portal, fields: dict[str, str], said: str) -> None:
    """Stands at its field; nothing is added, and what was typed is there still."""
    await portal.browser.get(f"{portal.address}/mapping/row?of=0.0")
    was = {"was": fields["target"]} if "was" not in fields else {}
    answer = await portal.browser.post(f"{portal.address}/mapping/row", **(ROW | was | fields))
    assert answer.status_code == 400
    assert said in portal.browser.text
    if "expression" in fields:
        assert fields["expression"] in portal.browser.text


async def test_what_somebody_else_saved_meanwhile_is_said(portal: Portal) -> None:
    """Another row's change is kept; the same row's is told of before mine takes its place."""
    mine = await _keep(portal, target="DisplayName", was="DisplayName", expression="[cn]")
    await portal.browser.get(f"{portal.address}/mapping/save?draft={mine}")
    tag = _tag(portal)
    theirs = await _keep(portal, target="DisplayName", was="DisplayName", expression="[sn]")
    theirs = await _keep(portal, theirs, target="Company", was="Company", kind="Constant", constant="Theirs")
    await portal.browser.get(f"{portal.address}/mapping/save?draft={theirs}")
    assert (await portal.browser.post(f"{portal.address}/mapping/save", draft=theirs)).status_code == 303
    await portal.browser.get(f"{portal.address}/mapping")
    answer = await portal.browser.post(f"{portal.address}/mapping/save", draft=mine, tag=tag)
    assert answer.status_code == 409
    assert "Somebody else changed the schema meanwhile" in portal.browser.text
    assert "Provision Active Directory users: DisplayName" in portal.browser.text
    assert (await portal.browser.post(f"{portal.address}/mapping/save", draft=mine)).status_code == 303
    after = await schema(portal)
    shown, company = _row(after, "DisplayName"), _row(after, "Company")
    assert shown is not None
    assert company is not None
    assert (shown["source"]["name"], company["source"]["name"]) == ("cn", "Theirs")


async def test_settings_of_a_mapping_and_the_way_back(portal: Portal) -> None:
    """What it does with objects; the default mappings again, without touching the scope."""
    await portal.browser.get(f"{portal.address}/mapping?of=0.2")
    answer = await portal.browser.post(f"{portal.address}/mapping/change/settings", of="0.2", Add="1", Update="1")
    draft = _draft(answer.headers["location"])
    draft = await _keep(portal, draft, target="Company", was="Company", kind="Constant", constant="x")
    await portal.browser.get(f"{portal.address}/mapping/save?draft={draft}")
    assert (await portal.browser.post(f"{portal.address}/mapping/save", draft=draft)).status_code == 303
    group = (await schema(portal))["synchronizationRules"][0]["objectMappings"][2]
    assert (group["enabled"], group["flowTypes"]) == (False, "Add,Update")
    await portal.browser.get(f"{portal.address}/mapping")
    answer = await portal.browser.post(f"{portal.address}/mapping/defaults", of="0.0")
    await portal.browser.get(answer.headers["location"])
    assert "2 changes lead back to the default mapping" in portal.browser.text
    assert {(each.at, each.target) for each in drafts.read(_draft(answer.headers["location"]))} == {
        ("0.0", "Company"),
        ("0.2", ""),
    }


async def test_a_draft_is_previewed(portal: Portal) -> None:
    """What is not saved yet can be tried on everybody, and is not saved by that."""
    draft = await _keep(portal, target="Company", was="Company", kind="Constant", constant="Tried")
    before = await schema(portal)
    await portal.browser.get(f"{portal.address}/mapping/save?draft={draft}")
    proposal = re.search(r'name="schema" value="([^"]+)"', portal.browser.page)
    assert proposal
    answer = await portal.browser.post(f"{portal.address}/preview", schema=unescape(proposal[1]))
    assert answer.status_code == 303
    ((asked,),) = await portal.entrance.run("select schema from previews")
    company = _row(asked, "Company")
    assert company is not None
    assert company["source"]["name"] == "Tried"
    assert await schema(portal) == before


async def test_a_damaged_address_is_refused(portal: Portal) -> None:
    """It is text of whoever wrote it."""
    for text in ("x", "AAAA", "eJyrVkrLz1eyUkpKLFKqBQAgGAQz", "%00"):
        assert (await portal.browser.get(f"{portal.address}/mapping?draft={text}")).status_code == 400
        assert "are damaged" in portal.browser.text


@pytest.mark.parametrize(
    ("target", "row"),
    [
        ("", {"enabled": True, "flowTypes": "Add", "scope": {"groups": []}}),
        ("", {"enabled": True, "flowTypes": "Add", "targetObjectName": "Group"}),
        ("", None),
        ("Company", {"targetAttributeName": "UserPrincipalName", "source": None}),
        ("Company", {"source": None}),
        ("Company", {"targetAttributeName": "Company", "source": "[mail]"}),
    ],
)
async def test_an_address_changes_nothing_that_it_does_not_say(
    portal: Portal, target: str, row: dict[str, Any] | None
) -> None:
    """Somebody else may have written it, for an administrator to save."""
    text = drafts.write((drafts.Change("0.0", target, "", row),))
    assert (await portal.browser.get(f"{portal.address}/mapping/save?draft={text}")).status_code == 400
    assert "are damaged" in portal.browser.text


async def test_who_may_only_read_saves_nothing(portal: Portal) -> None:
    """The page is there; the API refuses the change."""
    draft = await _keep(portal, target="Company", was="Company", kind="Constant", constant="x")
    before = await schema(portal)
    other = await portal.as_role("Global Reader")
    assert (await other.get(f"{portal.address}/mapping?draft={draft}")).status_code == 200
    assert (await other.post(f"{portal.address}/mapping/save", draft=draft)).status_code == 403
    assert await schema(portal) == before
