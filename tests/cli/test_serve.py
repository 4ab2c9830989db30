"""`dirbridge serve` and `dirbridge init` as real processes: HTTPS, crashes, clean ends, plain errors."""

import contextlib
import json
import os
import shutil
import signal
import socket
import ssl
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any, ClassVar

import httpx2
import psycopg
import pytest
from psycopg import sql

from dirbridge.cli.demo.authority import Authority
from tests.fixtures.postgres import open_folder

COMMAND = [str(Path(sys.executable).with_name("dirbridge"))]
# A bundle of the machine's own, which must not matter.
ENVIRONMENT = {**os.environ, "SSL_CERT_FILE": "/nonexistent", "SSL_CERT_DIR": "/nonexistent"}


def wait_until(done: Callable[[], bool], what: str, seconds: float = 30.0) -> None:
    deadline = time.monotonic() + seconds
    while not done():
        assert time.monotonic() < deadline, f"{what} did not happen within {seconds} seconds"
        time.sleep(0.05)


def processes_of(data: Path) -> list[int]:
    """Processes that were started with the folder, or live in it."""
    found = []
    for entry in Path("/proc").iterdir():
        if entry.name.isdigit() and int(entry.name) != os.getpid():
            with contextlib.suppress(OSError):
                if str(data) in (entry / "cmdline").read_text("utf-8", "replace") or str(
                    (entry / "cwd").readlink()
                ).startswith(str(data)):
                    found.append(int(entry.name))
    return found


class Service:
    """A `dirbridge serve` that answers."""

    started: ClassVar[list[subprocess.Popen[bytes]]] = []

    def __init__(self, data: Path, *options: str) -> None:
        self.data = data
        self.log = data.parent / f"{data.name}.log"
        said = data.parent / f"{data.name}.{time.monotonic_ns()}.out"
        with self.log.open("ab") as log, said.open("wb") as out:
            command = [*COMMAND, "serve", "--json", "--data", str(data), *options]
            self.process = subprocess.Popen(command, stdout=out, stderr=log, env=ENVIRONMENT, stdin=subprocess.DEVNULL)
        self.started.append(self.process)
        wait_until(lambda: said.read_text().endswith("\n") or self.process.poll() is not None, "the start", 90)
        assert self.process.poll() is None, f"serve did not come up: {self.log.read_text()}"
        self.ready: dict[str, Any] = json.loads(said.read_text())
        self.url = self.ready["baseUrl"]

    def client(self, ca_file: Path | None = None) -> httpx2.Client:
        context = ssl.create_default_context(cafile=ca_file or self.data / "ca.pem")
        return httpx2.Client(base_url=self.url, verify=context, timeout=60, trust_env=False)

    def credentials(self) -> dict[str, Any]:
        found: dict[str, Any] = json.loads(Path(self.ready["credentialsFile"]).read_text())
        return found

    def postgres(self) -> int:
        return int((self.data / "postgres/postmaster.pid").read_text().split()[0])

    def end(self, by: signal.Signals = signal.SIGTERM) -> int:
        self.process.send_signal(by)
        return self.process.wait(30)


@pytest.fixture
def data() -> Iterator[Path]:
    """A data folder to be; nothing of it is left."""
    folder = open_folder()
    try:
        yield folder / "data"
    finally:
        for process in processes_of(folder):
            with contextlib.suppress(ProcessLookupError):
                os.kill(process, signal.SIGKILL)
        while Service.started:
            Service.started.pop().wait(10)
        wait_until(lambda: not processes_of(folder), "the end of all processes")
        shutil.rmtree(folder)


@pytest.fixture
def port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        found: int = probe.getsockname()[1]
        return found


def run(*arguments: str, code: int = 0, **environment: str) -> subprocess.CompletedProcess[str]:
    done = subprocess.run(
        [*COMMAND, *arguments],
        capture_output=True,
        text=True,
        check=False,
        timeout=60,
        env=ENVIRONMENT | environment,
        stdin=subprocess.DEVNULL,
    )
    assert done.returncode == code, f"{done.returncode}: {done.stdout}{done.stderr}"
    return done


def token(client: httpx2.Client, made: dict[str, Any], **changed: str) -> httpx2.Response:
    return client.post(
        f"/{made['tenantId']}/oauth2/v2.0/token",
        data={
            "grant_type": "client_credentials",
            "client_id": made["clientId"],
            "client_secret": made["clientSecret"],
            "scope": "https://graph.microsoft.com/.default",
            **changed,
        },
    )


def users(client: httpx2.Client, access_token: str) -> httpx2.Response:
    return client.get("/v1.0/users", headers={"Authorization": f"Bearer {access_token}"})


def test_first_start_makes_a_tenant_and_ends_without_a_trace(data: Path) -> None:
    """From an empty folder to the first answer of Graph, then SIGTERM."""
    service = Service(data, "--listen", "127.0.0.1:0")
    credentials = Path(service.ready["credentialsFile"])
    assert credentials.stat().st_mode & 0o777 == 0o600
    made = service.credentials()
    assert made["baseUrl"] == service.url
    with service.client() as client:
        assert client.get("/healthz").json() == {"status": "ok"}
        assert client.get("/readyz").json()["status"] == "ready"
        given = token(client, made)
        assert given.status_code == 200
        answer = users(client, given.json()["access_token"])
        found = [each["userPrincipalName"] for each in answer.json()["value"]]
        assert (answer.status_code, len(found)) == (200, 1)
        assert found[0].startswith("ADToAADSyncServiceAccount@")  # exports are made as it
        refused = token(client, made, client_secret="wrong")
        assert (refused.status_code, refused.json()["error_codes"]) == (401, [7000215])
    with pytest.raises(httpx2.ConnectError), httpx2.Client(verify=ssl.create_default_context()) as stranger:
        stranger.get(f"{service.url}/healthz")  # nobody but our own CA vouches for it
    left = processes_of(data)
    assert len(left) >= 2
    began = time.monotonic()
    assert service.end() == 0
    assert time.monotonic() - began < 10
    assert processes_of(data) == []
    for secret in (made["clientSecret"], made["adminPassword"], "PRIVATE KEY"):
        assert secret not in service.log.read_text()


def test_restart_keeps_every_identity(data: Path, port: int) -> None:
    """After kill -9, tenant, CA, tokens and secrets are the same, and PostgreSQL did not outlive its service."""
    service = Service(data, "--listen", f"127.0.0.1:{port}")
    made = service.credentials()
    ca = (data / "ca.pem").read_bytes()
    with service.client() as client:
        before = token(client, made).json()["access_token"]
    service.end(signal.SIGKILL)
    wait_until(lambda: processes_of(data) == [], "the end of PostgreSQL")
    again = Service(data, "--listen", f"127.0.0.1:{port}")
    assert again.ready["credentialsFile"] is None
    assert (data / "ca.pem").read_bytes() == ca
    with again.client() as client:
        assert users(client, before).status_code == 200
        assert token(client, made).status_code == 200
    assert again.end(signal.SIGINT) == 0
    assert processes_of(data) == []


def test_killed_database_comes_back_by_itself(data: Path) -> None:
    """/readyz goes to 503 while it cannot start, back to 200 once it can, and requests are answered again."""
    service = Service(data, "--listen", "127.0.0.1:0")
    made = service.credentials()
    with service.client() as client:
        assert client.get("/readyz").status_code == 200
        first = service.postgres()
        os.kill(first, signal.SIGKILL)
        away = (data / "postgres").rename(data / "away")
        wait_until(lambda: client.get("/readyz").status_code == 503, "the loss of the database")
        assert client.get("/healthz").status_code == 200
        away.rename(data / "postgres")
        wait_until(lambda: client.get("/readyz").status_code == 200, "the database's return", 60)
        assert service.postgres() != first
        assert users(client, token(client, made).json()["access_token"]).status_code == 200
    assert service.process.poll() is None
    assert service.end() == 0
    assert processes_of(data) == []


def test_init_again_keeps_the_tenant_and_the_profile(data: Path, tmp_path: Path) -> None:
    """The same answer without secrets; the profile is written where the secret is known."""
    home = {"HOME": str(tmp_path)}
    arguments = ["init", "--data", str(data), "--base-url", "https://127.0.0.1:18443", "--domain", "contoso.test"]
    first = json.loads(run(*arguments, "--write-profile", **home).stdout)
    assert first["adminPassword"]
    profile = tmp_path / ".config/dirbridge/profile.json"
    assert profile.stat().st_mode & 0o777 == 0o600
    assert json.loads(profile.read_text()) == {
        "url": "https://127.0.0.1:18443",
        "caFile": str(data / "ca.pem"),
        "tenantId": first["tenantId"],
        "clientId": first["clientId"],
        "clientSecret": first["clientSecret"],
    }
    again = json.loads(run(*arguments, "--write-profile", **home).stdout)
    assert again == {**first, "adminPassword": None, "clientSecret": None}
    assert json.loads(profile.read_text())["clientSecret"] == first["clientSecret"]
    unknown = run("init", "--data", str(data), "--write-profile", "--json", code=3, HOME=str(tmp_path / "other"))
    assert json.loads(unknown.stderr)["error"]["code"] == "SecretUnknown"
    assert processes_of(data) == []


def test_init_beside_a_running_service_uses_its_database(data: Path) -> None:
    """A domain and a secret are added without a restart."""
    service = Service(data, "--listen", "127.0.0.1:0")
    made = service.credentials()
    beside = json.loads(run("init", "--data", str(data), "--new-secret", "--domain", "fabrikam.test").stdout)
    assert {**beside, "clientSecret": None} == {**made, "clientSecret": None, "adminPassword": None}
    with service.client() as client:
        assert token(client, beside).status_code == 200
        assert token(client, {**made, "tenantId": "fabrikam.test"}).status_code == 200
    assert service.end() == 0
    assert processes_of(data) == []


def test_second_interrupt_does_not_wait(data: Path) -> None:
    """A request that never ends holds up the first Ctrl-C, not the second one."""
    service = Service(data, "--listen", "127.0.0.1:0")
    context = ssl.create_default_context(cafile=data / "ca.pem")
    host, port = service.url.removeprefix("https://").split(":")
    with (
        socket.create_connection((host, int(port)), 10) as plain,
        context.wrap_socket(plain, server_hostname=host) as slow,
    ):
        slow.sendall(
            b"POST /common/oauth2/v2.0/token HTTP/1.1\r\nHost: x\r\nContent-Length: 100\r\n"
            b"Content-Type: application/x-www-form-urlencoded\r\n\r\ngrant_type="
        )
        time.sleep(0.5)
        service.process.send_signal(signal.SIGINT)
        with pytest.raises(subprocess.TimeoutExpired):
            service.process.wait(1)
        service.process.send_signal(signal.SIGINT)
        assert service.process.wait(2) == 130
    wait_until(lambda: processes_of(data) == [], "the end of PostgreSQL")


def test_request_that_never_ends_holds_a_stop_up_for_seconds_only(data: Path) -> None:
    """One Ctrl-C is enough within ten seconds."""
    service = Service(data, "--listen", "127.0.0.1:0")
    context = ssl.create_default_context(cafile=data / "ca.pem")
    host, port = service.url.removeprefix("https://").split(":")
    with (
        socket.create_connection((host, int(port)), 10) as plain,
        context.wrap_socket(plain, server_hostname=host) as slow,
    ):
        slow.sendall(
            b"POST /common/oauth2/v2.0/token HTTP/1.1\r\nHost: x\r\nContent-Length: 100\r\n"
            b"Content-Type: application/x-www-form-urlencoded\r\n\r\ngrant_type="
        )
        time.sleep(0.5)
        began = time.monotonic()
        assert service.end(signal.SIGINT) == 0
        assert time.monotonic() - began < 10
    assert processes_of(data) == []


def test_own_certificate_is_served(data: Path, tmp_path: Path) -> None:
    """In place of one of the tenant's CA."""
    authority = Authority(tmp_path / "own")
    certificate, key = authority.issue(["127.0.0.1"])
    service = Service(data, "--listen", "127.0.0.1:0", "--tls-cert", str(certificate), "--tls-key", str(key))
    with service.client(authority.ca_file) as client:
        assert client.get("/healthz").status_code == 200
    assert service.end() == 0


def test_api_and_worker_share_a_database(data: Path, empty_database_url: str) -> None:
    """Two processes, one tenant; no embedded server is started."""
    api = Service(data, "--listen", "127.0.0.1:0", "--database-url", empty_database_url, "--role", "api")
    worker = Service(data, "--database-url", empty_database_url, "--role", "worker")
    assert worker.url is None
    with psycopg.connect(empty_database_url) as connection:

        def works() -> bool:
            row = connection.execute("select count(*) from procrastinate.procrastinate_workers").fetchone()
            connection.rollback()
            return row == (1,)

        wait_until(works, "the worker's registration")

        def is_tidy() -> bool:
            row = connection.execute("select count(*) from pg_inherits where inhparent = 'events'::regclass").fetchone()
            connection.rollback()
            return row is not None and row[0] >= 5

        wait_until(is_tidy, "the making of partitions")
    assert not (data / "postgres").exists()
    assert worker.end() == 0
    assert api.end() == 0
    assert processes_of(data) == []


# What an operator can get wrong --------------------------------------------------------------------------------------


def refused(*arguments: str, code: int, word: str) -> dict[str, Any]:
    """Run `serve` into an error; gives the error."""
    said = run("serve", "--json", *arguments, code=code).stderr.splitlines()
    error: dict[str, Any] = json.loads(said[-1])["error"]
    assert error["code"] == word
    assert error["recommendedAction"]
    return error


def test_port_in_use_is_named(data: Path) -> None:
    """Before anything else is started."""
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        taken.listen()
        listen = f"127.0.0.1:{taken.getsockname()[1]}"
        error = refused("--data", str(data), "--listen", listen, code=3, word="PortInUse")
    assert listen in error["message"]
    assert not (data / "postgres").exists()


def test_address_of_another_machine_is_named(data: Path) -> None:
    """192.0.2.1 belongs to nobody."""
    refused("--data", str(data), "--listen", "192.0.2.1:8443", code=3, word="ListenAddress")


@pytest.mark.parametrize("fault", ["missing", "garbage", "swapped", "foreign"])
def test_bad_certificate_is_named(data: Path, tmp_path: Path, fault: str) -> None:
    """Missing, not PEM, in the wrong order, or the key of another."""
    authority = Authority(tmp_path / "own")
    certificate, key = authority.issue(["127.0.0.1"])
    other = authority.issue(["127.0.0.1"], stem="other")[1]
    match fault:
        case "missing":
            certificate.unlink()
        case "garbage":
            certificate.write_text("x")
        case "swapped":
            certificate, key = key, certificate
        case "foreign":
            key = other
    options = ["--tls-cert", str(certificate), "--tls-key", str(key)]
    error = refused("--data", str(data), "--listen", "127.0.0.1:0", *options, code=3, word="TlsCertificate")
    assert str(certificate) in error["message"]


def test_folder_that_cannot_be_written_is_named(data: Path) -> None:
    """A file where the folder should be stops root as well."""
    data.write_text("")
    error = refused("--data", str(data), "--listen", "127.0.0.1:0", code=3, word="DataFolderNotWritable")
    assert str(data) in error["message"]


def test_database_that_does_not_answer_is_named(data: Path, port: int) -> None:
    """Exit code 5: trying again may help."""
    url = f"postgresql://user:hidden@127.0.0.1:{port}/x"
    error = refused(
        "--data", str(data), "--listen", "127.0.0.1:0", "--database-url", url, code=5, word="DatabaseUnavailable"
    )
    assert "hidden" not in str(error)


def test_database_user_without_rights_is_named(data: Path, empty_database_url: str) -> None:
    """It may connect, and make nothing."""
    role = f"guest_{os.getpid()}_{time.monotonic_ns()}"
    with psycopg.connect(empty_database_url, autocommit=True) as connection:
        connection.execute(sql.SQL("create role {} login").format(sql.Identifier(role)))
        try:
            url = empty_database_url.replace("user=dirbridge", f"user={role}")
            refused(
                "--data", str(data), "--listen", "127.0.0.1:0", "--database-url", url, code=3, word="DatabasePermission"
            )
        finally:
            connection.execute(sql.SQL("drop role {}").format(sql.Identifier(role)))


def test_folder_in_use_is_named(data: Path) -> None:
    """By the process that uses it."""
    service = Service(data, "--listen", "127.0.0.1:0")
    error = refused("--data", str(data), "--listen", "127.0.0.1:0", code=3, word="DataFolderInUse")
    assert str(service.process.pid) in error["message"]
    assert service.end() == 0


def test_lost_sealing_key_is_named_and_not_replaced(data: Path) -> None:
    """What it sealed cannot be opened any more."""
    run("init", "--data", str(data))
    (data / "sealing.key").unlink()
    refused("--data", str(data), "--listen", "127.0.0.1:0", code=3, word="SealingKeyMissing")
    assert not (data / "sealing.key").exists()
    assert processes_of(data) == []


def test_worker_without_a_tenant_is_told(data: Path) -> None:
    """Only a process that answers requests makes one."""
    refused("--data", str(data), "--role", "worker", code=3, word="NotInitialised")
    assert processes_of(data) == []
