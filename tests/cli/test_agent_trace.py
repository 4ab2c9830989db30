"""`dirbridge agent trace`: of an agent elsewhere through the service, and of this host's without one."""

import json
from pathlib import Path
from typing import Any
from uuid import uuid4

import pytest

from dirbridge.cli import main
from tests.cli.conftest import Command

pytestmark = pytest.mark.service


@pytest.fixture
def agent(command: Command, tmp_path: Path) -> tuple[str, Path]:
    """An agent that is enrolled and does not run: its id, and its state folder."""
    url = json.loads(command("agent", "code", "--domain", "made-up.test", "--json"))
    settings = tmp_path / "agent.toml"
    settings.write_text('[[domain]]\nkind = "generated"\nname = "made-up.test"\n')
    place = ("--settings", str(settings), "--state", str(tmp_path / "state"))
    profile = Path(command.environment["HOME"]) / ".config" / "dirbridge" / "profile.json"
    service = json.loads(profile.read_text())["url"]
    made: dict[str, Any] = command.json("agent", "enrol", "--service", service, "--code", url["code"], *place)
    return made["agentId"], tmp_path / "state"


def test_trace_of_an_agent_elsewhere(command: Command, agent: tuple[str, Path]) -> None:
    """What is wanted is told beside what the agent last said; taken back it is wanted no more."""
    agent_id, _ = agent
    began = command.json("agent", "trace", "start", "--agent", agent_id, "--minutes", "5", "--values")
    assert (began["wanted"]["values"], began["reported"]) == (True, None)
    said = command("agent", "trace", "status", "--agent", agent_id)
    assert said.startswith("Wanted: on until 20")
    assert "The agent last said: no verbose trace." in said
    assert command.json("agent", "trace", "stop", "--agent", agent_id) == {"wanted": None, "reported": None}
    assert "There is no agent" in command("agent", "trace", "start", "--agent", str(uuid4()), code=main.FAILED)


def test_logs_that_are_not_brought_in_time(command: Command, agent: tuple[str, Path], tmp_path: Path) -> None:
    """An agent that does not run brings nothing; no file is left."""
    file = tmp_path / "logs.zip"
    words = ("agent", "trace", "collect", "--agent", agent[0], "--output", str(file), "--timeout", "1", "--json")
    refused = json.loads(command(*words, code=main.NOT_REACHABLE))
    assert refused["error"]["code"] == "CollectionLate"
    assert not file.exists()


def test_host_needs_no_service(command: Command, agent: tuple[str, Path], tmp_path: Path) -> None:
    """Nor a profile that leads to one."""

    def run(*words: str) -> str:
        done = command.run("agent", "trace", *words, "--state", str(agent[1]), HOME=str(tmp_path))
        assert done.returncode == 0, done.stderr
        return done.stdout

    assert "The agent does not run; the trace begins when it is started." in run("start")
    assert json.loads(run("status", "--json"))["verbose"] is True
    assert run("stop") == "Verbose trace: off.\n"
