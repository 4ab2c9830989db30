"""What a line shows: no secret of any kind, and no text of an error that may be a person's name."""

import io
import json
import logging
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from dirbridge.agent import settings, tracing
from dirbridge.agent.tracing.redaction import HIDDEN, Redaction
from dirbridge.contract import enrolment
from dirbridge.contract.enrolment import EnrolmentCode
from dirbridge.contract.errors import TransientError

PASSWORD = "Pä\"ss/w o'rd-1"
SETTINGS = """
log_format = "json"
proxy = "http://proxy.test:3128"
proxy_user = "agent"
proxy_password_file = "{folder}/proxy.password"

[[domain]]
kind = "generated"
name = "made-up.test"
"""


@pytest.fixture(autouse=True)
def loggers() -> Iterator[None]:
    """Leave logging as it was."""
    root = logging.getLogger()
    names = ("", "dirbridge", tracing.VALUES)
    before = [(logging.getLogger(name), logging.getLogger(name).level) for name in names]
    handlers = root.handlers[:]
    yield
    for handler in root.handlers:
        if handler not in handlers:
            handler.close()
    root.handlers[:] = handlers
    for logger, level in before:
        logger.setLevel(level)
    logging.getLogger(tracing.VALUES).propagate = True


@pytest.fixture
def log(tmp_path: Path) -> io.StringIO:
    """Standard error of an agent whose proxy asks for a password."""
    (tmp_path / "proxy.password").write_text(PASSWORD + "\n")
    (tmp_path / "agent.toml").write_text(SETTINGS.replace("{folder}", str(tmp_path)))
    stream = io.StringIO()
    tracing.set_up(settings.load(tmp_path / "agent.toml"), tmp_path, stream)
    return stream


def kept(folder: Path) -> list[dict[str, Any]]:
    file = folder / tracing.TRACE_FOLDER / tracing.ERRORS
    return [json.loads(line) for line in file.read_text().splitlines()] if file.exists() else []


def test_trace_folder_has_warnings_and_errors_only(log: io.StringIO, tmp_path: Path) -> None:
    """Standard error has what the settings say; the folder little."""
    logger = logging.getLogger("dirbridge.test")
    logger.debug("of no use")
    logger.info("told")
    logger.warning("told and kept", extra={"event": "warned"})
    assert [json.loads(line)["message"] for line in log.getvalue().splitlines()] == ["told", "told and kept"]
    assert [(line["message"], line["event"]) for line in kept(tmp_path)] == [("told and kept", "warned")]


def test_folder_has_the_stack_of_a_foreseen_error_and_the_log_its_sentence(log: io.StringIO, tmp_path: Path) -> None:
    """A warning comes with its stack, and that of what it came of, where somebody looks for a fault."""
    try:
        try:
            raise ConnectionResetError(104, "Connection reset by peer")
        except OSError as cause:
            raise TransientError("The directory fell silent.", code="ServerUnavailable") from cause
    except TransientError as error:
        logging.getLogger("dirbridge.test").warning("It failed: %s", error, exc_info=error)
    assert "Traceback" not in log.getvalue()
    stack = kept(tmp_path)[0]["exception"]
    assert stack.index("ConnectionResetError: [Errno 104] Connection reset by peer") < stack.index(
        "TransientError: The"
    )
    assert f'File "{__file__}"' in stack


def test_text_of_an_unforeseen_error_is_not_shown(log: io.StringIO, tmp_path: Path) -> None:
    """Its stack is; its text may be what somebody's attribute holds. One of the program's own is shown."""
    logger = logging.getLogger("dirbridge.test")
    person: dict[str, str] = {"cn": "Anna Schmidt"}
    try:
        person[person["cn"]]
    except KeyError:
        logger.exception("A request failed.")
    try:
        raise AttributeError("'str' object has no attribute 'nothing'")
    except AttributeError:
        logger.exception("Another failed.")
    for text in (log.getvalue(), json.dumps(kept(tmp_path))):
        assert "Anna Schmidt" not in text
        assert "KeyError: its text may hold values; not shown" in text
        assert "AttributeError: 'str' object has no attribute 'nothing'" in text


def test_secrets_of_this_host_are_hidden(log: io.StringIO, tmp_path: Path) -> None:
    """The password of the settings in each way of writing it, in sentence, extra and stack alike; a new one at once."""
    logger = logging.getLogger("dirbridge.test")
    url = "P%C3%A4%22ss%2Fw%20o%27rd-1"
    try:
        raise TransientError(f"The proxy refused {PASSWORD}.")
    except TransientError:
        extra = {"given": [PASSWORD, {"in": f"x{PASSWORD}x"}], "odd": Path(PASSWORD)}
        logger.exception("With %s and %r and %s.", PASSWORD, PASSWORD, url, extra=extra)
    (tmp_path / "proxy.password").write_text("another-One\n")
    logger.error("Now another-One is asked for.")
    both = log.getvalue() + (tmp_path / "trace" / "agent.log").read_text()
    assert both.count("rd-1") == 0
    assert "another-One" not in both
    assert kept(tmp_path)[0]["message"] == f"With {HIDDEN} and '{HIDDEN}' and {HIDDEN}."


@pytest.mark.parametrize(
    "secret",
    [
        "Authorization: Bearer abcdef0123456789.x",
        "Proxy-Authorization: Basic dXNlcjpwYXNzd29yZA==",
        "token eyJhbGciOiJFUzI1NiJ9.eyJpc3MiOiJhZ2VudCJ9.c2lnbmF0dXJl here",
        "-----BEGIN PRIVATE KEY-----\nMIGHAgEAMBMGByqGSM49\n-----END PRIVATE KEY-----",
        "-----BEGIN EC PRIVATE KEY-----\nMIGHAgEAMBMGByqGSM49 and cut",
        "http://someone:S3cr3t-w0rd@proxy.test:3128",
        "http://someone:S3cr3t@w0rd@proxy.test:3128",
        "{'client_secret': 'S3cr3t-w0rd'}",
        '{"proxy_password": "S3cr3t w0rd", "x": 1}',
        "unicodePwd=S3cr3t-w0rd",
        enrolment.render(EnrolmentCode(b"s" * 16, "ab" * 32, ("contoso.com",))),
    ],
)
def test_what_looks_like_a_secret_is_hidden(secret: str) -> None:
    """Whoever wrote the line."""
    shown = Redaction()(f"before {secret} after")
    assert HIDDEN in shown
    for part in ("abcdef", "dXNl", "c2ln", "MIGH", "S3cr3t", "w0rd", "dbe1-c3Nzc3"):
        assert part not in shown
    assert shown.startswith("before ")


@pytest.mark.parametrize(
    "plain",
    [
        "The agent's key /var/lib/dirbridge-agent/key.pem has mode 0644.",
        "Set `proxy_user` and `proxy_password_file` in the agent's settings.",
        "https://contoso.test:8443/agents/v1/requests?wait=25",
        "(&(objectClass=user)(objectGUID=\\ab\\cd))",
        "PasswordExpired: the password of svc@contoso.test has expired",
        '{"password_file": "/etc/dirbridge/contoso.password"}',
    ],
)
def test_ordinary_lines_stay(plain: str) -> None:
    """Hiding must not cost what a line is for."""
    assert Redaction()(plain) == plain


def test_short_password_does_not_wipe_the_log(tmp_path: Path) -> None:
    """One of three characters is in every other word."""
    (tmp_path / "password").write_text("the\n")
    assert Redaction([tmp_path / "password", tmp_path / "missing"])("the agent") == "the agent"


def test_what_ends_the_agent_is_kept(log: io.StringIO, tmp_path: Path) -> None:
    """In the trace folder, with its stack; who started the agent is told by the command itself."""
    with pytest.raises(TransientError), tracing.last_words():
        raise TransientError("There is no way on.", code="StreamCut")
    assert log.getvalue() == ""
    assert kept(tmp_path)[0]["message"] == "The agent ended: TransientError"
    assert "There is no way on." in kept(tmp_path)[0]["exception"]


def test_columns_have_a_stack_for_what_nobody_foresaw(tmp_path: Path) -> None:
    """At a terminal a warning is one line."""
    (tmp_path / "agent.toml").write_text(SETTINGS.replace('"json"', '"columns"').replace("{folder}", str(tmp_path)))
    (tmp_path / "proxy.password").write_text(PASSWORD)
    stream = io.StringIO()
    tracing.set_up(settings.load(tmp_path / "agent.toml"), tmp_path, stream)
    logger = logging.getLogger("dirbridge.test")
    try:
        raise TransientError("Gone.")
    except TransientError:
        logger.warning("Foreseen.", exc_info=sys.exc_info())
        logger.exception("Not foreseen, %s.", PASSWORD)
    first, second, *rest = stream.getvalue().splitlines()
    assert (first[10:], second[10:]) == ("warning  Foreseen.", f"error    Not foreseen, {HIDDEN}.")
    assert rest[-1].endswith("TransientError: Gone.")
