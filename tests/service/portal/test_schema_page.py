"""The schema document as JSON: downloaded, brought back, refused with the path of each fault."""

from __future__ import annotations

import json
import re
from html import unescape
from typing import Any

import httpx2

from tests.service.portal.conftest import Portal
from tests.service.portal.stored import schema


async def _bring(portal: Portal, text: str, **fields: str) -> httpx2.Response:
    await portal.browser.get(f"{portal.address}/schema")
    answer = await portal.browser.client.post(
        f"{portal.address}/schema",
        data={"csrf": portal.browser.csrf, "act": "check", **fields},
        files={"file": ("schema.json", text.encode(), "application/json")},
    )
    portal.browser.page = answer.text
    return answer


async def _downloaded(portal: Portal) -> dict[str, Any]:
    answer = await portal.browser.get(f"{portal.address}/schema/download")
    assert answer.headers["content-disposition"] == "attachment; filename*=UTF-8''contoso.test-schema.json"
    found: dict[str, Any] = answer.json()
    return found


async def test_what_was_downloaded_changes_nothing(portal: Portal) -> None:
    """The page shows the same text."""
    document = await _downloaded(portal)
    await portal.browser.get(f"{portal.address}/schema")
    assert '"sourceObjectName": "inetOrgPerson"' in unescape(portal.browser.page)
    answer = await _bring(portal, json.dumps(document))
    assert answer.status_code == 200
    assert "says what is saved already" in portal.browser.text


async def test_a_document_is_reviewed_then_saved(portal: Portal) -> None:
    """What it changes is listed, members left out are no change, and nothing is stored before the second word."""
    document = await _downloaded(portal)
    mapping = document["synchronizationRules"][0]["objectMappings"][0]
    mapping["attributeMappings"] = [r for r in mapping["attributeMappings"] if r["targetAttributeName"] != "Title"]
    for row in mapping["attributeMappings"]:
        row.pop("flowBehavior", None)
    mapping["scope"] = None
    before = await schema(portal)
    await _bring(portal, "\ufeff" + json.dumps(document))
    shown = re.findall(r'<th scope="row">(.*?)</th>', portal.browser.page)
    assert [unescape(each) for each in shown] == ["Attribute filters", "Title"]
    assert await schema(portal) == before
    tag = re.findall(r'name="tag" value="([^"]+)"', portal.browser.page)[0]
    text = re.findall(r'name="text" value="([^"]*)"', portal.browser.page)[0]
    fields = {"text": unescape(text), "tag": unescape(tag), "act": "save"}
    answer = await portal.browser.post(f"{portal.address}/schema", **fields)
    assert answer.status_code == 303
    rows = (await schema(portal))["synchronizationRules"][0]["objectMappings"][0]["attributeMappings"]
    assert "Title" not in {row["targetAttributeName"] for row in rows}
    await portal.browser.get(f"{portal.address}/schema")
    answer = await portal.browser.post(f"{portal.address}/schema", **(fields | {"text": json.dumps(before)}))
    assert (answer.status_code, "Somebody else changed the schema" in portal.browser.text) == (409, True)


async def test_what_concerns_no_row_is_a_change_as_well(portal: Portal) -> None:
    """Another type of object, or a rule of another name, is not passed over as nothing."""
    document = await _downloaded(portal)
    rule = document["synchronizationRules"][0]
    rule["name"] = "Renamed"
    rule["objectMappings"][0]["metadata"] = [{"key": "Owner", "value": "Ada"}]
    await _bring(portal, json.dumps(document))
    shown = re.findall(r'<th scope="row">(.*?)</th>', portal.browser.page)
    assert shown == ["Metadata", "Rules"]
    assert "Renamed" in portal.browser.text


async def test_faults_are_named_by_their_path(portal: Portal) -> None:
    """All of them, beside the text as it was brought; what is no JSON says where."""
    document = await _downloaded(portal)
    mapping = document["synchronizationRules"][0]["objectMappings"][0]
    mapping["flowTypes"] = "Sometimes"
    mapping["attributeMappings"][0]["source"] = {"type": "Function", "name": "<Nothing>"}
    answer = await _bring(portal, json.dumps(document))
    assert answer.status_code == 400
    assert "2 things are wrong with it" in portal.browser.text
    path = "synchronizationRules[0].objectMappings[0]"
    assert f"{path}.flowTypes" in portal.browser.text
    assert "<Nothing>" not in portal.browser.page
    for text, said in (
        ("{", "This is no JSON object"),
        ("[]", "This is no JSON object"),
        ("", "This is no JSON object"),
        ('{"directories": []}', "synchronizationRules It is missing"),
        ('{"directories": [], "synchronizationRules": []}', "There is no synchronization rule"),
        ('{"directories": [], "synchronizationRules": ' + "[" * 3000, "This is no JSON object"),
    ):
        assert (await _bring(portal, text)).status_code == 400
        assert said in portal.browser.text


async def test_the_default_document_comes_back(portal: Portal) -> None:
    """The page says what that changes, and asks."""
    await portal.browser.get(f"{portal.address}/schema/reset")
    assert "The schema is the default one already." in portal.browser.text
    document = await _downloaded(portal)
    document["synchronizationRules"][0]["objectMappings"][0]["enabled"] = False
    default = await schema(portal)
    await _bring(portal, json.dumps(document))
    tag = unescape(re.findall(r'name="tag" value="([^"]+)"', portal.browser.page)[0])
    saved = {"text": json.dumps(document), "tag": tag, "act": "save"}
    assert (await portal.browser.post(f"{portal.address}/schema", **saved)).status_code == 303
    assert await schema(portal) != default
    await portal.browser.get(f"{portal.address}/schema/reset")
    assert "Enabled false true" in portal.browser.text
    assert (await portal.browser.post(f"{portal.address}/schema/reset")).status_code == 303
    after = await schema(portal)
    assert after["synchronizationRules"] == default["synchronizationRules"]
