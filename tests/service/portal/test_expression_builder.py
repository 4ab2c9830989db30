"""The expression builder: results on a real object, faults at their place, functions with help."""

from __future__ import annotations

import re
from html import unescape
from urllib.parse import quote

import httpx2

from dirbridge.connectors.memory.source import MemorySource
from dirbridge.contract.errors import TransientError
from tests.service.portal.conftest import Portal
from tests.service.portal.office import ANN, Office


async def _try(portal: Portal, expression: str, **fields: str) -> str:
    """Have an expression tried in place; gives the piece as text."""
    form = {"of": "0.0", "expression": expression, **fields}
    answer = await portal.browser.post(f"{portal.address}/expression/try", **form)
    assert answer.status_code == 200, portal.browser.text
    found = portal.browser.text.strip()
    await portal.browser.get(f"{portal.address}/expression")
    return found


async def _read(portal: Portal, name: str) -> httpx2.Response:
    return await portal.browser.post(f"{portal.address}/expression/entry", of="0.0", name=name)


async def test_functions_come_with_their_help(portal: Portal) -> None:
    """By what they are about, with signature, example and what it gives; attributes beside them."""
    await portal.browser.get(f"{portal.address}/expression?of=0.0&target=DisplayName&expression=[cn]")
    for said in ("Conditions", "Join(separator, source…)", "Replace(", "Several values"):
        assert said in portal.browser.text
    assert 'data-insert="Trim()"' in portal.browser.page
    assert 'data-insert="[sAMAccountName]"' in portal.browser.page
    assert 'data-insert="[objectGUID]"' in portal.browser.page


async def test_a_real_object_is_read_and_tried(portal: Portal) -> None:
    """Through the agent, blanks included; what its attributes say stays text; values can be altered then."""
    office = Office(portal)
    office.directory.nodes[ANN].attributes["displayName"] = (" Ann <b>Lee</b> ",)
    await portal.browser.get(f"{portal.address}/expression")
    answer = await _read(portal, "ann@contoso.test")
    assert answer.headers["hx-trigger-after-swap"] == "entry-read"
    assert "CN=Ann" in portal.browser.text
    assert "\n Ann <b>Lee</b> </textarea>" in portal.browser.page.replace("&lt;", "<").replace("&gt;", ">")
    assert "<b>" not in portal.browser.page
    await portal.browser.get(f"{portal.address}/expression")
    values = {"value.displayName": " Ann <b>Lee</b> ", "value.sAMAccountName": "ann", "shown": "CN=Ann"}
    said = await _try(portal, 'Join("|", Trim([displayName]), ToUpper([sAMAccountName]))', **values)
    assert said == "Result for CN=Ann Ann <b>Lee</b>|ANN"
    assert "Result Ann" in await _try(portal, "[displayName]", **{"value.displayName": "Ann"})
    said = await _try(portal, "Count([proxyAddresses])", **{"value.proxyAddresses": "a\r\nb\r\n"})
    assert said == "Result 2"
    assert "No value" in await _try(portal, "[mail]")


async def test_faults_stand_at_their_place(portal: Portal) -> None:
    """What is wrong is marked in the text; what fails while it is worked out is said."""
    await portal.browser.get(f"{portal.address}/expression")
    form = {"of": "0.0", "expression": 'Join(" ", trim([cn]))'}
    await portal.browser.post(f"{portal.address}/expression/try", **form)
    page = unescape(portal.browser.page)
    assert 'data-offset="10" data-length="4">Join(" ", <mark>trim</mark>([cn]))' in page
    assert "'trim' is no function. Did you mean Trim" in page
    await portal.browser.get(f"{portal.address}/expression")
    assert "is wrong at line 1, column 1" in await _try(portal, "[noSuchThing]")
    assert "column 6" in await _try(portal, "Trim(")
    said = await _try(portal, 'Error("no <mail>")')
    assert said == "no <mail>"
    said = await _try(portal, "[cn]", target="AccountEnabled", **{"value.cn": "perhaps"})
    assert "perhaps" in said
    assert "Result" not in said


async def test_objects_that_cannot_be_read(portal: Portal) -> None:
    """No such object, an agent that is away: the page says so where the name stands."""
    office = Office(portal)
    await portal.browser.get(f"{portal.address}/expression")
    await _read(portal, "nobody")
    assert "'nobody' is not to be found in contoso.test" in portal.browser.text
    await portal.browser.get(f"{portal.address}/expression")
    await _read(portal, "")
    assert "Say which object" in portal.browser.text

    class Away(MemorySource):
        async def locate(self, names: object) -> list[object]:  # type: ignore[override]
            raise TransientError("None of the 1 agents enrolled has been heard from.", code="NoActiveAgents")

    state = portal.entrance.application.state
    state.engine = type(state.engine)(**{
        name: getattr(state.engine, name) for name in ("database", "target", "clock", "new_id")
    }, source=lambda _: Away(office.directory))  # fmt: skip
    await portal.browser.get(f"{portal.address}/expression")
    await _read(portal, "ann")
    assert "has been heard from" in portal.browser.text


async def test_objects_are_suggested(portal: Portal) -> None:
    """By a part of their name, of the mapping's type only; one letter is too little."""
    Office(portal)
    for text, said in (("an", ["CN=Ann,DC=contoso,DC=test"]), ("tea", []), ("a", []), ("CN=An", [])):
        await portal.browser.get(f"{portal.address}/expression")
        answer = await portal.browser.post(f"{portal.address}/expression/names", of="0.0", name=text)
        assert answer.status_code == 200
        assert re.findall(r'<option value="([^"]*)"', portal.browser.page) == said


async def test_without_a_script(portal: Portal) -> None:
    """The same buttons send the whole page, which keeps what was typed; a name in the address is read at once."""
    Office(portal)
    await portal.browser.get(f"{portal.address}/expression")
    form = {"of": "0.0", "expression": "ToUpper([sAMAccountName])", "name": "ann", "act": "read"}
    await portal.browser.post(f"{portal.address}/expression", **form)
    assert "ANN" in portal.browser.text
    await portal.browser.post(f"{portal.address}/expression", **(form | {"act": "try", "value.sAMAccountName": "x"}))
    assert "Result X" in portal.browser.text
    await portal.browser.get(f"{portal.address}/expression?expression={quote('[cn]')}&name=ann")
    assert "Result for CN=Ann" in portal.browser.text
    answer = await portal.browser.post(f"{portal.address}/expression", **(form | {"act": "map", "target": "Alias"}))
    await portal.browser.get(answer.headers["location"])
    assert "Edit Alias" in portal.browser.text
    assert "ToUpper([sAMAccountName])" in portal.browser.text
