"""A service that runs, over HTTPS, and the command pointed at it."""

import json
import os
import shutil
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any
from uuid import UUID

import psycopg
import pytest

from dirbridge.store.embedded import EmbeddedServer
from tests.fixtures.postgres import _new_database, open_folder


@dataclass
class Command:
    """The command, pointed at a running service."""

    environment: dict[str, str]
    database_url: str
    tenant: UUID

    def __call__(self, *arguments: str, code: int = 0) -> str:
        done = self.run(*arguments)
        assert done.returncode == code, (arguments, done.returncode, done.stdout, done.stderr)
        return done.stdout if code == 0 else done.stdout + done.stderr

    def run(self, *arguments: str, **environment: str) -> subprocess.CompletedProcess[str]:
        return subprocess.run(
            [sys.executable, "-c", "from dirbridge.cli.main import main; main()", *arguments],
            env={**self.environment, **environment},
            capture_output=True,
            text=True,
            timeout=60,
            check=False,
        )

    def start(self, *arguments: str) -> subprocess.Popen[str]:
        # Whoever runs the tests in the background may have Ctrl-C ignored, which children inherit.
        return subprocess.Popen(
            [
                "env",
                "--default-signal=INT",
                sys.executable,
                "-u",
                "-c",
                "from dirbridge.cli.main import main; main()",
                *arguments,
            ],
            env=self.environment,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
        )

    def json(self, *arguments: str) -> Any:
        return json.loads(self(*arguments, "--json"))

    def sql(self, statement: str, *parameters: Any) -> None:
        with psycopg.connect(self.database_url, autocommit=True) as connection:
            connection.execute(statement, parameters)


@pytest.fixture(scope="module")
def command(postgres: EmbeddedServer, template_database: str) -> Iterator[Command]:
    """A service of its own for this file: `dirbridge init`, then `dirbridge serve` on a free port."""
    folder = open_folder("dirbridge-cli-")
    for url in _new_database(postgres, template_database):
        with socket.create_server(("127.0.0.1", 0)) as free:
            port = free.getsockname()[1]
        environment = {**os.environ, "HOME": str(folder), "COLUMNS": "200"}
        common = ["--data", str(folder / "data"), "--database-url", url]
        base = f"https://127.0.0.1:{port}"
        run = Command(environment, url, UUID(int=0))
        made = json.loads(run("init", *common, "--base-url", base, "--domain", "contoso.test", "--write-profile"))
        run.tenant = UUID(made["tenantId"])
        server = run.start("serve", *common, "--listen", f"127.0.0.1:{port}", "--role", "api")
        try:
            _wait(run, server)
            yield run
        finally:
            server.send_signal(signal.SIGTERM)
            server.communicate(timeout=30)
            shutil.rmtree(folder)


def _wait(run: Command, server: subprocess.Popen[str]) -> None:
    deadline = time.monotonic() + 60
    while run.run("jobs", "list").returncode != 0:
        assert server.poll() is None, server.communicate()
        assert time.monotonic() < deadline, run.run("jobs", "list").stderr
        time.sleep(0.2)


@pytest.fixture
def job(command: Command) -> Iterator[dict[str, Any]]:
    """A new job, removed in the end."""
    made = command.json("jobs", "create", "--domain", "contoso.test")
    yield made
    command("jobs", "delete", made["id"], "--yes")
    command.sql("delete from events")
