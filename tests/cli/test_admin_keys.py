"""`dirbridge admin keys` against two processes of one service."""

import json
import signal
import socket
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.cli.conftest import Command

pytestmark = pytest.mark.service


@pytest.fixture
def second(command: Command) -> Iterator[str]:
    """Another process that answers requests on the same database and data folder; its address."""
    with socket.create_server(("127.0.0.1", 0)) as free:
        port = free.getsockname()[1]
    profile = json.loads((Path(command.environment["HOME"]) / ".config/dirbridge/profile.json").read_text())
    server = command.start(
        "serve", "--data", str(Path(profile["caFile"]).parent), "--database-url", command.database_url,
        "--base-url", profile["url"], "--listen", f"127.0.0.1:{port}", "--role", "api",
    )  # fmt: skip
    address = f"https://127.0.0.1:{port}"
    given = ["--url", address, "--ca-file", profile["caFile"], "--tenant", profile["tenantId"]]
    given += ["--client-id", profile["clientId"], "--client-secret", profile["clientSecret"]]
    try:
        deadline = time.monotonic() + 60
        while command.run("jobs", "list", *given).returncode != 0:
            assert server.poll() is None, server.communicate()
            assert time.monotonic() < deadline
            time.sleep(0.2)
        command.environment["SECOND"] = json.dumps(given)
        yield address
    finally:
        server.send_signal(signal.SIGTERM)
        server.communicate(timeout=30)


def test_keys_from_first_to_last(command: Command, second: str) -> None:
    """Rotated with a delay, at once, removed: both processes show the same keys and take each other's tokens."""
    given = json.loads(command.environment.pop("SECOND"))
    ((first),) = command.json("admin", "keys", "list")
    made = command.json("admin", "keys", "rotate", "--delay", "2")
    assert (first["state"], made["state"]) == ("signing", "waiting")
    assert command.json("admin", "keys", "list", *given) == command.json("admin", "keys", "list")
    refused = json.loads(command("admin", "keys", "rotate", "--json", code=1))
    assert refused["error"]["code"] == "KeyRotationPending"
    assert made["id"] in command("admin", "keys", "rotate", "--now")
    assert [each["state"] for each in command.json("admin", "keys", "list", *given)] == ["signing", "verifying"]
    command("admin", "keys", "remove", made["id"], "--yes")
    # Whatever either process still signs with the removed key it refuses itself; a client asks for another token.
    deadline = time.monotonic() + 30
    while (found := command.run("admin", "keys", "list", *given, "--json")).returncode != 0:
        assert time.monotonic() < deadline, found.stderr
    states = [each["state"] for each in json.loads(found.stdout)]
    assert states == ["signing", "verifying"]
    assert made["id"] not in found.stdout
    assert second not in found.stdout
    assert "signing" in command("admin", "keys", "list")
