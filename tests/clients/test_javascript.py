"""npm's @microsoft/microsoft-graph-client: scripts run by Node, whose results are looked at here."""

from __future__ import annotations

import asyncio
import json
import os
from pathlib import Path
from typing import Any

from tests.clients import page
from tests.clients.cloud import MARKS, Cloud
from tests.clients.conftest import GROUPS, USERS
from tests.e2e import made_up

pytestmark = MARKS

FOLDER = Path(__file__).parent / "node"


async def scenario(cloud: Cloud, name: str) -> Any:
    """Run a scenario and give what it printed."""
    assert (FOLDER / "node_modules").is_dir(), "npm's packages are missing: run `make setup`"
    environment = {
        "PATH": os.environ["PATH"],
        "NODE_EXTRA_CA_CERTS": cloud.values["CA_FILE"],
        "DOMAIN": made_up.DOMAIN,
        "CONFIGURATION": cloud.configuration,
        **{each: cloud.values[each] for each in ("URL", "TENANT", "CLIENT_ID", "CLIENT_SECRET")},
    }
    node = await asyncio.create_subprocess_exec(
        *("node", "scenario.cjs", name),
        cwd=FOLDER,
        env=environment,
        stdout=asyncio.subprocess.PIPE,
        stderr=asyncio.subprocess.PIPE,
    )
    output, complaint = await asyncio.wait_for(node.communicate(), 90)
    assert node.returncode == 0, complaint.decode()
    return json.loads(output)


async def test_the_example_is_the_one_that_runs() -> None:
    """docs/clients.md shows the client as it is used here."""
    assert page.example("@microsoft/microsoft-graph-client", "javascript") == (FOLDER / "client.cjs").read_text()


async def test_users_are_listed_to_the_end(cloud: Cloud) -> None:
    """By the client's PageIterator, only with what is selected."""
    result = await scenario(cloud, "list")
    assert (result["first"], result["complete"]) == (7, True)
    assert len({each["id"] for each in result["found"]}) == len(result["found"]) == USERS
    assert {tuple(each) for each in result["found"]} == {("id", "userPrincipalName")}


async def test_advanced_query_is_counted_and_sorted(cloud: Cloud) -> None:
    """With the header that it needs."""
    result = await scenario(cloud, "advanced")
    assert result["@odata.count"] == len(range(0, USERS, 8))
    names = [each["displayName"] for each in result["value"]]
    assert names == sorted(names, key=str.casefold, reverse=True)


async def test_the_log_is_read_in_order(cloud: Cloud) -> None:
    """Each row once, over several pages."""
    rows = await scenario(cloud, "log")
    assert len({row["id"] for row in rows}) == len(rows) == USERS + GROUPS
    assert [row["activityDateTime"] for row in rows] == sorted(row["activityDateTime"] for row in rows)


async def test_a_user_lives_and_goes(cloud: Cloud) -> None:
    """Made, changed, deleted; what is gone is told by an error object with its parts."""
    result = await scenario(cloud, "life")
    name = result["wanted"]["userPrincipalName"]
    assert result["made"]["userPrincipalName"] == name
    assert (result["changed"]["jobTitle"], result["changed"]["userPrincipalName"]) == ("Script", name)
    gone = result["gone"]
    assert (gone["name"], gone["statusCode"], gone["code"]) == ("GraphError", 404, "Request_ResourceNotFound")


async def test_changes_are_followed(cloud: Cloud) -> None:
    """By the delta link that the iterator ends with."""
    result = await scenario(cloud, "delta")
    made = result["made"]
    assert result["first"] >= USERS
    assert [(each["id"], each["displayName"]) for each in result["second"]] == [(made["id"], made["displayName"])]
    assert [(each["id"], each["@removed"]) for each in result["third"]] == [(made["id"], {"reason": "changed"})]


async def test_a_batch_is_answered_in_parts(cloud: Cloud) -> None:
    """One after the other, each with status and body."""
    result = await scenario(cloud, "batch")
    shown = result["shown"]
    assert {id: each["status"] for id, each in shown.items()} == {"make": 201, "list": 200, "nobody": 404}
    assert shown["make"]["body"]["userPrincipalName"] == result["wanted"]["userPrincipalName"]
    assert [set(each) for each in shown["list"]["body"]["value"]] == [{"id"}] * 2
    assert shown["nobody"]["body"]["error"]["code"] == "Request_ResourceNotFound"


async def test_schema_comes_back_as_it_was(cloud: Cloud) -> None:
    """Read and put back as JSON: nothing changes, not even its version."""
    result = await scenario(cloud, "jobs")
    assert result["status"] == "Active"
    assert result["again"] == result["schema"]


async def test_refusal_is_an_error_object(cloud: Cloud) -> None:
    """With status, code, message and the request's id, as GraphError has them."""
    error = await scenario(cloud, "refused")
    assert (error["name"], error["statusCode"], error["code"]) == ("GraphError", 400, "Request_UnsupportedQuery")
    assert "ConsistencyLevel" in error["message"]
    assert error["requestId"] == error["body"]["innerError"]["request-id"]
