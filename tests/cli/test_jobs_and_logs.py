"""`dirbridge jobs` and `dirbridge logs` against a service that runs, over HTTPS."""

import json
import signal
import socket
import subprocess
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any
from uuid import uuid4

import pytest
from psycopg.types.json import Jsonb

from dirbridge.contract.event import Detail, ModifiedProperty, Status, Step, StepType
from dirbridge.contract.export import Fault
from dirbridge.store.events import pack
from tests.cli.conftest import Command

pytestmark = pytest.mark.service


def test_the_life_of_a_job(command: Command, job: dict[str, Any]) -> None:
    """Create, list, show, start, pause, restart: by id, beginning of the id, domain, or nothing where it is alone."""
    assert (job["domain"], job["status"]["code"], job["templateId"]) == ("contoso.test", "Paused", "AD2AADProvisioning")
    assert [each["id"] for each in command.json("jobs", "list")] == [job["id"]]
    assert command.json("jobs", "show") == job
    assert command.json("jobs", "show", "CONTOSO.test")["id"] == job["id"]
    assert command.json("jobs", "start", job["id"][:30])["schedule"]["state"] == "Active"
    assert command.json("jobs", "pause", job["id"])["schedule"]["state"] == "Paused"
    restarted = command.json("jobs", "restart", "--reset-scope", "watermark", "--reset-scope", "Escrows")
    assert restarted["schedule"]["state"] == "Active"
    table = command("jobs", "list")
    assert "contoso.test" in table
    assert job["id"] in table
    assert job["id"] in command("jobs", "show")


def test_settings_of_a_job(command: Command, job: dict[str, Any]) -> None:
    """Shown with their defaults, changed by name, taken back; a wrong one is refused with the service's sentence."""
    assert "QuarantineFailureShare" in command("jobs", "settings")
    shown = command.json("jobs", "settings", job["id"], "--set", "DeleteThresholdValue=50")
    assert {"name": "DeleteThresholdValue", "value": "50"} in shown
    assert {"name": "DeleteThresholdValue", "value": "500"} in command.json(
        "jobs", "settings", "--unset", "DeleteThresholdValue"
    )
    assert "found 'many'" in command("jobs", "settings", "--set", "DeleteThresholdValue=many", code=1)
    assert "NAME=VALUE" in command("jobs", "settings", "--set", "DeleteThresholdValue", code=2)


def test_quarantine_by_a_persons_word(command: Command, job: dict[str, Any]) -> None:
    """Imposed with a reason, shown with it, cleared; run brings the next cycle forward. One that is off refuses."""
    assert "start it first" in command("jobs", "run", code=1)
    assert "is disabled" in command("jobs", "quarantine", job["id"], code=1)
    command("jobs", "start")
    imposed = command.json("jobs", "quarantine", "--reason", "The directory is moved.")
    assert imposed["status"]["code"] == "Quarantine"
    assert imposed["status"]["quarantine"]["reason"] == "QuarantinedOnDemand"
    assert "The directory is moved." in command("jobs", "show")
    assert "is due now" in command("jobs", "run", "contoso.test")
    assert command.json("jobs", "show")["status"]["quarantine"] == imposed["status"]["quarantine"]
    assert command.json("jobs", "clear-quarantine")["status"]["quarantine"] is None


def test_repair_of_the_account(command: Command, job: dict[str, Any]) -> None:
    """What was broken is named, each job has a new credential, and those in quarantine are due."""
    quarantine = Jsonb({"seriesCount": 1})
    command.sql("update jobs set state = 'Active', quarantine = %s, next_run = 'infinity'", quarantine)
    command.sql("update directory_objects set properties = properties || '{\"accountEnabled\": false}'")
    said = command("jobs", "repair-account", "--expires-in", "30")
    assert "was repaired.\n  It was disabled and is enabled.\n" in said
    assert f"Job {job['id']} is in quarantine and runs now." in said
    again = command.json("jobs", "repair-account")
    assert (again["repaired"], again["error"], again["jobsGivenCredentials"]) == (["credential"], None, [job["id"]])
    command("jobs", "repair-account", "--expires-in", "0", code=2)


def test_wrong_use_is_refused_with_its_code(command: Command, job: dict[str, Any]) -> None:
    """A second job for a domain, an unknown job, domain or scope: a sentence and an exit code each."""
    assert job["id"] in command("jobs", "create", "--domain", "Contoso.test", code=1)
    assert "'nothing'" in command("jobs", "show", "nothing", code=1)
    assert "localhost" in command("jobs", "create", "--domain", "localhost", code=1)
    assert "'watermark'" in command("jobs", "restart", "--reset-scope", "everything", code=2)
    assert "is no time" in command("logs", "--since", "yesterday", code=2)


def test_who_may_not_and_what_is_not_there(command: Command) -> None:
    """Wrong secret 4, unknown CA 3, nobody there 5, nothing configured 3; with --json the error is JSON."""
    profile = json.loads((Path(command.environment["HOME"]) / ".config/dirbridge/profile.json").read_text())
    wrong = command.run("jobs", "list", DIRBRIDGE_CLIENT_SECRET="wrong")
    assert (wrong.returncode, "refuses the client" in wrong.stderr) == (4, True)
    assert "wrong" not in wrong.stderr.replace("wrong usage", "")
    known = {
        "DIRBRIDGE_CLIENT_ID": profile["clientId"],
        "DIRBRIDGE_CLIENT_SECRET": profile["clientSecret"],
    }
    with socket.create_server(("127.0.0.1", 0)) as free:
        port = free.getsockname()[1]
    gone = command.run("jobs", "list", "--json", **known, DIRBRIDGE_URL=f"https://127.0.0.1:{port}")
    assert (gone.returncode, json.loads(gone.stderr)["error"]["code"]) == (5, "NotReachable")
    other = command.run("jobs", "list", **known, DIRBRIDGE_URL=profile["url"].replace("127.0.0.1", "localhost"))
    assert (other.returncode, "not trusted" in other.stderr) == (3, True)
    nothing = command.run("jobs", "list", HOME="/nonexistent")
    assert (nothing.returncode, "DIRBRIDGE_URL" in nothing.stderr) == (3, True)


def add_staged(command: Command, job: str, *anchors: str) -> None:
    """Let deletes of users wait in a job."""
    for anchor in anchors:
        command.sql(
            """insert into removals (tenant, job, anchor, object_type, action, evidence, state, staged_at)
               values (%s, %s, %s, 'user', 'delete', 'Tombstone', 'staged', now())""",
            command.tenant,
            job,
            anchor,
        )


def test_staged_deletes_and_a_persons_word(command: Command, job: dict[str, Any]) -> None:
    """They are listed, allowed and rejected, some or all, after a question; what does not wait leaves with 1."""
    assert "Nothing waits" in command("jobs", "staged")
    assert "Nothing waits" in command("jobs", "allow-deletes")
    add_staged(command, job["id"], *"abcd")
    assert [row["id"] for row in command.json("jobs", "staged")] == list("abcd")
    assert [row["id"] for row in command.json("jobs", "staged", "--limit", "2")] == ["a", "b"]
    assert "2 more" in command("jobs", "staged", "--limit", "2")
    assert "Tombstone" in command("jobs", "staged", "contoso.test")
    asked = command.run("jobs", "allow-deletes")
    assert (asked.returncode, "Remove 4 objects or members of contoso.test?" in asked.stderr) == (130, True)
    assert len(command.json("jobs", "staged")) == 4
    said = command.json("jobs", "allow-deletes", "--only", "a", "--yes")
    assert said == {"id": job["id"], "count": 1, "missing": []}
    assert "x does not wait" in command("jobs", "reject-deletes", "--only", "b", "--only", "x", "--yes", code=1)
    assert [row["id"] for row in command.json("jobs", "staged", "--rejected")] == ["b"]
    assert "2 will stay." in command("jobs", "reject-deletes", "--yes")
    assert "1 will be removed now." in command("jobs", "allow-deletes", "--only", "c", "--yes")
    assert command.json("jobs", "staged") == []
    assert "Nothing was rejected" not in command("jobs", "staged", "--rejected")


EXECUTION = {
    "activityIdentifier": "cycle-1",
    "countImported": 340,
    "countExported": 12,
    "countEscrowed": 1,
    "state": "EntryLevelErrors",
    "timeBegan": "2026-01-31T08:00:00Z",
    "timeEnded": "2026-01-31T08:00:04.5Z",
}


def test_watch_waits_for_the_end_of_a_cycle(command: Command, job: dict[str, Any]) -> None:
    """Watching ends with the cycle, with its result; a failed cycle, a pause and a time-out leave with 1."""
    assert "Paused" in command("jobs", "watch", code=1)
    command("jobs", "start")
    assert "No cycle" in command("jobs", "watch", "--timeout", "0.5", code=1)
    for state, code in (("EntryLevelErrors", 0), ("Failed", 1)):
        watching = command.start("jobs", "watch", "--timeout", "30", "--json")
        command.sql("update jobs set progress = %s", Jsonb({"completedUnits": 5, "totalUnits": 10, "units": "objects"}))
        while True:  # which cycle it sees first is not known from here: one after the other ends, until it leaves
            execution = {**EXECUTION, "activityIdentifier": str(uuid4()), "state": state}
            command.sql("update jobs set progress = null, last_execution = %s", Jsonb(execution))
            try:
                out, err = watching.communicate(timeout=3)
                break
            except subprocess.TimeoutExpired:
                continue
        assert watching.returncode == code, (out, err)
        assert json.loads(out)["status"]["lastExecution"] == execution
    shown = command("jobs", "show")
    assert "340 read, 12 written, 1 failed" in shown


def add_event(
    command: Command, job: str, *, age: float = 0, status: Status = Status.SUCCESS, name: str = "Ada", code: str = ""
) -> str:
    """Store an event; gives its source id."""
    source = str(uuid4())
    fault = Fault("Taken", "It belongs to 'Bert'.", "Change it.") if status is Status.FAILURE else None
    step = Step("EntryExportUpdate", StepType.EXPORT, status)
    command.sql(
        """insert into events (tenant, id, at, job, cycle, change, action, status, reason, source_id, source_type,
             source_name, target_id, target_type, target_name, duration, detail)
           values (%s, %s, %s, %s, %s, %s, 'update', %s, %s, %s, 'user', %s, '', 'User', %s, 3, %s)""",
        command.tenant, uuid4(), datetime.now(UTC) - timedelta(seconds=age), job, uuid4(), uuid4(), status.value,
        fault.code if fault else code, source, name, name,
        pack(Detail((step,), (ModifiedProperty("Title", "a", "b"),), fault)),
    )  # fmt: skip
    return source


def test_logs_filter_and_say_what_happened(command: Command, job: dict[str, Any]) -> None:
    """The newest come last; each filter narrows; a failure shows its reason; names cannot break the table."""
    old = add_event(command, job["id"], age=7200, name="Old")
    failed = add_event(command, job["id"], age=60, status=Status.FAILURE, name="O'Neill [red]\x1b[31m")
    new = add_event(command, "other", name="New")

    def sources(*options: str) -> list[str]:
        return [row["sourceIdentity"]["id"] for row in command.json("logs", *options)]

    assert sources() == [old, failed, new]
    assert sources("--limit", "2") == [failed, new]
    assert sources("--job", job["id"]) == [old, failed]
    assert sources("--status", "FAILURE") == [failed]
    assert sources("--action", "stageddelete") == []
    assert sources("--code", "Taken") == [failed]
    assert sources("--code", "NotInScope") == []
    assert sources("--since", "1h") == [failed, new]
    assert sources("--since", (datetime.now(UTC) - timedelta(seconds=30)).isoformat()) == [new]
    assert sources("--source-id", old) == [old]
    assert sources("--source-id", "' or 1 eq 1") == []
    table = command("logs")
    assert "O'Neill [red]" in table
    assert "\x1b" not in table
    assert "Taken: It belongs to 'Bert'. Change it." in table
    assert "Changed: Title." in table
    skipped = add_event(command, "other", status=Status.SKIPPED, name="Left", code="NotInScope")
    assert sources("--code", "NotInScope") == [skipped]
    assert "NotInScope: " in command("logs", "--status", "skipped")
    assert "No event fits" in command("logs", "--job", "nothing")


def test_follow_shows_each_event_once(command: Command, job: dict[str, Any]) -> None:
    """New events come as they are stored, late ones with an earlier date too, each once, one JSON document a line."""
    wanted = [add_event(command, job["id"], age=5)]
    following = command.start("logs", "--follow", "--json", "--job", job["id"])
    assert following.stdout is not None
    try:
        seen = [json.loads(following.stdout.readline())["sourceIdentity"]["id"]]
        for age in (0, 20, 0):
            wanted.append(add_event(command, job["id"], age=age))
            seen.append(json.loads(following.stdout.readline())["sourceIdentity"]["id"])
    finally:
        following.send_signal(signal.SIGINT)
        rest, err = following.communicate(timeout=30)
    assert seen == wanted
    assert (rest, err.strip()) == ("", "")
    assert following.returncode == 130
