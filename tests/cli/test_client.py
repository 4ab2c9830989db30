"""The command line's client: patience, new tokens, plain errors; nothing is sent anywhere but to its own service."""

import json
import os
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import httpx2
import pytest

from dirbridge.cli import client as client_module
from dirbridge.cli.client import Client, Profile, plain, profile
from dirbridge.contract.errors import ConfigurationError, CredentialError, DirbridgeError, TransientError

URL = "https://service.test"
PROFILE = Profile(URL, "tenant", "client", "secret", None)

Answer = httpx2.Response | Exception


class Wire:
    """A service that gives prepared answers and remembers what it was asked."""

    def __init__(self, *answers: Answer) -> None:
        self.answers = list(answers)
        self.asked: list[tuple[str, str, str]] = []
        self.waited: list[float] = []
        self.signed_in = 0

    def __call__(self, request: httpx2.Request) -> httpx2.Response:
        if request.url.path.endswith("/token"):
            self.signed_in += 1
            return httpx2.Response(200, json={"access_token": f"token-{self.signed_in}"})
        self.asked.append((request.method, str(request.url), request.headers["authorization"]))
        answer = self.answers.pop(0)
        if isinstance(answer, Exception):
            raise answer
        return answer

    def client(self) -> Client:
        return Client(PROFILE, httpx2.Client(transport=httpx2.MockTransport(self)), sleep=self.waited.append)


def ok(body: Any = None) -> httpx2.Response:
    return httpx2.Response(200, json={} if body is None else body)


def busy(status: int, **headers: str) -> httpx2.Response:
    return httpx2.Response(status, json={"error": {"code": "x", "message": "Busy."}}, headers=headers)


def refused(status: int, code: str = "Code", message: str = "Said.") -> httpx2.Response:
    return httpx2.Response(status, json={"error": {"code": code, "message": message}}, headers={"request-id": "id"})


def test_signs_in_once_and_asks() -> None:
    """One token serves several requests; query names get their dollar, values are encoded."""
    wire = Wire(ok({"value": [1]}), ok())
    client = wire.client()
    assert client.get("/users", filter="displayName eq 'a & b'", top=5) == {"value": [1]}
    client.get("/beta/dirbridge/x")
    assert wire.asked == [
        ("GET", f"{URL}/v1.0/users?$filter=displayName%20eq%20%27a%20%26%20b%27&$top=5", "Bearer token-1"),
        ("GET", f"{URL}/beta/dirbridge/x", "Bearer token-1"),
    ]


def test_waits_as_long_as_it_is_told() -> None:
    """429 and 503 are asked again after the time they name, or after growing pauses."""
    wire = Wire(busy(429, **{"Retry-After": "7"}), busy(503), busy(503, **{"Retry-After": "soon"}), ok({"a": 1}))
    assert wire.client().get("/x") == {"a": 1}
    assert wire.waited == [7.0, 1.0, 2.0]


def test_gives_up_after_a_while() -> None:
    """A service that stays busy is an error that says so, after a bounded wait."""
    wire = Wire(*[busy(503) for _ in range(50)])
    with pytest.raises(TransientError, match="Busy"):
        wire.client().get("/x")
    assert sum(wire.waited) <= client_module.PATIENCE


def test_does_not_repeat_what_may_have_happened() -> None:
    """A POST that was answered 503 may have been done: it is not sent twice; 429 was not done."""
    wire = Wire(busy(503))
    with pytest.raises(TransientError):
        wire.client().post("/jobs", {"a": 1})
    assert (len(wire.asked), wire.waited) == (1, [])
    wire = Wire(busy(429), ok({"id": "x"}))
    assert wire.client().post("/jobs", {"a": 1}) == {"id": "x"}


def test_takes_a_new_token_when_the_old_one_expired() -> None:
    """401 once leads to a new token, 401 twice to an error."""
    wire = Wire(refused(401), ok({"a": 1}))
    assert wire.client().get("/x") == {"a": 1}
    assert [token for _, _, token in wire.asked] == ["Bearer token-1", "Bearer token-2"]
    with pytest.raises(CredentialError):
        Wire(refused(401), refused(401)).client().get("/x")


@pytest.mark.parametrize(
    ("answer", "kind", "part"),
    [
        (refused(403, message="Insufficient privileges."), CredentialError, "Insufficient"),
        (refused(404, message="Not there."), DirbridgeError, "Not there"),
        (refused(400, message="Bad."), DirbridgeError, "Bad"),
        (httpx2.Response(500, text="<html>"), DirbridgeError, "500"),
        (httpx2.Response(502, text="proxy"), TransientError, "502"),
        (httpx2.ConnectError("refused"), TransientError, "cannot be reached"),
        (httpx2.ReadTimeout("slow"), TransientError, "did not answer"),
        (httpx2.RemoteProtocolError("cut"), TransientError, "cannot be reached"),
    ],
)
def test_failures_in_plain_words(answer: Answer, kind: type[DirbridgeError], part: str) -> None:
    """Each failure becomes the error whose exit code is right, with a sentence."""
    with pytest.raises(kind, match=part) as caught:
        Wire(answer).client().get("/x")
    assert type(caught.value) is kind


def test_a_refusal_keeps_code_and_request_id() -> None:
    """Code and request id lead to the service's log."""
    with pytest.raises(DirbridgeError) as caught:
        Wire(refused(404, "Request_ResourceNotFound")).client().get("/x")
    assert (caught.value.code, caught.value.details) == ("Request_ResourceNotFound", {"requestId": "id"})


def test_pages_follow_links_within_the_service_only() -> None:
    """A list is read to its end; a link to another host is not followed, so no token leaves."""
    wire = Wire(ok({"value": [1, 2], "@odata.nextLink": f"{URL}/v1.0/x?$skiptoken=a"}), ok({"value": [3]}))
    assert list(wire.client().pages("/x")) == [1, 2, 3]
    for link in ("https://evil.test/v1.0/x", "https://service.test.evil.test/x", "https://service.test@evil.test/x"):
        wire = Wire(ok({"value": [], "@odata.nextLink": link}))
        with pytest.raises(DirbridgeError, match="another host"):
            list(wire.client().pages("/x"))
        assert len(wire.asked) == 1


@pytest.fixture
def home(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Callable[[str], None]:
    """A home folder, whose profile can be written."""
    monkeypatch.setenv("HOME", str(tmp_path))

    def write(text: str) -> None:
        file = tmp_path / ".config/dirbridge/profile.json"
        file.parent.mkdir(parents=True, exist_ok=True)
        file.write_text(text)

    return write


NOTHING: dict[str, str | None] = dict.fromkeys(("url", "ca-file", "tenant", "client-id", "client-secret"))
STORED = {"url": URL, "caFile": "/ca.pem", "tenantId": "t", "clientId": "c", "clientSecret": "s"}


def test_profile_from_its_file(home: Callable[[str], None]) -> None:
    """What no option gives comes from the file; an option wins."""
    home(json.dumps(STORED))
    assert profile(NOTHING) == Profile(URL, "t", "c", "s", Path("/ca.pem"))
    assert profile({**NOTHING, "client-secret": "other"}) == Profile(URL, "t", "c", "other", Path("/ca.pem"))


def test_profile_of_another_service_is_not_mixed_in(home: Callable[[str], None]) -> None:
    """A secret of one service is never sent to another."""
    home(json.dumps(STORED))
    with pytest.raises(ConfigurationError, match="--client-id, --client-secret are missing"):
        profile({**NOTHING, "url": "https://other.test"})


@pytest.mark.parametrize("text", ["", "{", "[]", '{"url": 7}'])
def test_a_broken_profile_is_named(home: Callable[[str], None], text: str) -> None:
    """A file that cannot be used is an error of configuration."""
    home(text)
    with pytest.raises(ConfigurationError):
        profile(NOTHING)


@pytest.mark.parametrize("url", ["http://service.test", "service.test", "https://"])
def test_only_https(home: Callable[[str], None], url: str) -> None:
    """A secret does not travel in the clear."""
    with pytest.raises(ConfigurationError, match="https"):
        profile({**NOTHING, "url": url, "client-id": "c", "client-secret": "s"})


def test_the_secret_is_not_shown() -> None:
    """A profile in a traceback or a log has no secret."""
    assert "secret" not in repr(PROFILE)


def test_names_cannot_steer_the_terminal() -> None:
    """Escape sequences in a directory's names become visible characters."""
    assert plain("a\x1b[31mb\r\nÜ\u202e") == "a�[31mb��Ü�"


@pytest.mark.parametrize("url", ["https://[", "https://h:x", "https://h:99999", "https://", "http://h"])
def test_url_that_is_none(url: str) -> None:
    """Whatever stands where a URL belongs is told plainly."""
    with pytest.raises(ConfigurationError, match="one like https://host:8443 is expected"):
        profile({"url": url, "ca-file": None, "tenant": None, "client-id": "a", "client-secret": "b"})


@pytest.mark.parametrize("encoding", ["ascii", "iso-8859-1", "utf-8"])
def test_names_that_the_terminal_cannot_write(encoding: str) -> None:
    """A table goes on with a mark in place of the letter; JSON loses nothing."""
    script = """
import sys
from dirbridge.cli import main, client
from dirbridge.contract.errors import DirbridgeError
def run(arguments):
    client.print_json({"name": "Łukasz \N{GRINNING FACE}"}, line=True)
    client.console().print("Łukasz and others")
    main.complain(DirbridgeError("Łukasz \N{GRINNING FACE}"), as_json=True)
    return 0
main.run = run
main.main([])
"""
    done = subprocess.run(
        [sys.executable, "-c", script], capture_output=True, check=False, timeout=60,
        env={**os.environ, "PYTHONIOENCODING": encoding, "COLUMNS": "10"},
    )  # fmt: skip
    assert done.returncode == 0, done.stderr
    document, _, table = done.stdout.decode(encoding).partition("\n")
    assert json.loads(document) == {"name": "Łukasz \N{GRINNING FACE}"}
    assert table.split()[0] in {"Łukasz", "?ukasz"}
    assert json.loads(done.stderr.decode(encoding))["error"]["message"] == "Łukasz \N{GRINNING FACE}"
