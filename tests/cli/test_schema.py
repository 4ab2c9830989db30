"""`dirbridge schema`, `provision` and `preview` against a service that runs, over HTTPS."""

import json
from pathlib import Path
from typing import Any
from uuid import uuid4

import pytest

from tests.cli.conftest import Command

pytestmark = pytest.mark.service


def test_schema_goes_out_and_comes_back(command: Command, job: dict[str, Any], tmp_path: Path) -> None:
    """What `get` writes, `put` takes; a change is there afterwards, and `reset` takes it away."""
    file = tmp_path / "schema.json"
    assert str(file) in command("schema", "get", "--output", str(file))
    document = json.loads(file.read_text())
    assert document["id"] == job["id"]
    before = command.json("schema", "get")
    command("schema", "put", str(file))
    assert command.json("schema", "get")["synchronizationRules"] == before["synchronizationRules"]
    document["synchronizationRules"][0]["objectMappings"][0]["enabled"] = False
    file.write_text(json.dumps(document))
    assert "its next cycle reads everything" in command("schema", "put", str(file))
    assert command.json("schema", "get")["synchronizationRules"][0]["objectMappings"][0]["enabled"] is False
    command("schema", "reset", "--yes")
    assert command.json("schema", "get")["synchronizationRules"] == before["synchronizationRules"]


def test_schema_that_does_not_fit_is_refused_with_its_path(
    command: Command, job: dict[str, Any], tmp_path: Path
) -> None:
    """The place and the remedy; the stored document stays."""
    document = command.json("schema", "get", job["id"])
    wrong = document["synchronizationRules"][0]["objectMappings"][0]["attributeMappings"][0]
    wrong["targetAttributeName"] = "Nonsense"
    file = tmp_path / "schema.json"
    file.write_text(json.dumps(document))
    said = command("schema", "put", str(file), code=1)
    assert "attributeMappings[0]" in said
    assert "Nonsense" in said
    file.write_text("{")
    assert "is no JSON document" in command("schema", "put", str(file), code=3)
    assert "cannot be read" in command("schema", "put", str(tmp_path / "none"), code=3)
    assert "Nonsense" not in command("schema", "get")


@pytest.mark.usefixtures("job")
def test_scope_is_chosen_shown_and_lifted(command: Command) -> None:
    """What was chosen is shown with what is known of it; what is new cannot be chosen while no agent can look it up."""
    assert "the whole domain" in command("schema", "scope")
    unit, team = str(uuid4()), str(uuid4())
    assert "No agent is enrolled for contoso.test" in command("schema", "scope", "--container", unit, code=5)
    job = command.json("jobs", "list")[0]["id"]
    command.sql(
        """update jobs set schema = jsonb_set(jsonb_set(schema,
             '{synchronizationRules,0,containerFilter}', jsonb_build_object('includedContainers', array[%s])),
             '{synchronizationRules,0,groupFilter}', jsonb_build_object('includedGroups', array[%s])) where id = %s""",
        unit,
        team,
        job,
    )
    command.sql(
        "insert into scope_groups (tenant, job, anchor, name, reason) values (%s, %s, %s, 'Sales', 'Deleted')",
        command.tenant,
        job,
        team,
    )
    said = command("schema", "scope")
    assert f"OU    {unit}  (not read yet)" in said
    assert f"group {team}  Sales (missing: Deleted)" in said
    (rule,) = command.json("schema", "scope")["rules"]
    assert [each["id"] for each in (*rule["containers"], *rule["groups"])] == [unit, team]
    assert "the whole domain" in command("schema", "scope", "--everything")
    command("schema", "scope", "--everything", "--group", team, code=2)


@pytest.mark.usefixtures("job")
def test_expression_is_tried(command: Command) -> None:
    """Its value, or where it cannot be read; the functions are listed."""
    assert command("schema", "expression", "ToLower([mail])", "--with", "mail=Ann@Contoso.test") == "ann@contoso.test\n"
    several = ("schema", "expression", 'Join(";", [mail])', "--with", "mail=a", "--with", "mail=b")
    assert command.json(*several)["evaluationResult"] == ["a;b"]
    assert "line 1, column 15" in command("schema", "expression", "ToLower([mail]", code=1)
    command("schema", "expression", "1", "--with", "mail", code=2)
    assert "SelectUniqueValue" in command("schema", "functions")


@pytest.mark.usefixtures("job")
def test_provision_without_an_agent_says_so(command: Command) -> None:
    """Nobody can read the domain: the reason, and how to mend it."""
    said = command("provision", "CN=Ann,DC=contoso,DC=test", code=5)
    assert "No agent is enrolled for contoso.test" in said


@pytest.mark.usefixtures("job")
def test_preview_that_no_worker_takes_up(command: Command) -> None:
    """It waits, and the command says so when its patience ends; what cannot be tried is refused at once."""
    assert "still waiting" in command("preview", "--timeout", "1", code=5)
    assert "no setting 'Colour'" in command("preview", "--set", "Colour=red", code=1)
    command("preview", "--set", "Colour", code=2)
