"""The agent's state folder: private from the first byte, and refused where it is not."""

import os
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.x509.oid import NameOID

from dirbridge.agent import state
from dirbridge.agent.runner import LOCK, only_one, running_pid
from dirbridge.agent.state import Identity
from dirbridge.contract.errors import ConfigurationError

IDENTITY = Identity("https://service.test", "id", "tenant", "https://service.test/tenant/v2.0", ("made-up.test",))


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """The state of an enrolled agent."""
    key = state.new_key()
    name = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, "id")])
    now = datetime.now(UTC)
    certificate = (
        x509.CertificateBuilder()
        .subject_name(name)
        .issuer_name(name)
        .public_key(key.public_key())
        .serial_number(1)
        .not_valid_before(now)
        .not_valid_after(now + timedelta(days=90))
        .sign(key, hashes.SHA256())
        .public_bytes(serialization.Encoding.PEM)
    )
    state.save(tmp_path / "state", IDENTITY, key, certificate, certificate)
    return tmp_path / "state"


def refused(folder: Path) -> ConfigurationError:
    with pytest.raises(ConfigurationError) as raised:
        state.load(folder)
    return raised.value


def test_what_is_saved_is_loaded(folder: Path) -> None:
    """A state comes back, and nobody else can read it."""
    loaded = state.load(folder)
    assert loaded.identity == IDENTITY
    assert timedelta(days=59) < loaded.renew_at - datetime.now(UTC) < timedelta(days=61)
    assert folder.stat().st_mode & 0o777 == 0o700
    assert {file.name: file.stat().st_mode & 0o777 for file in folder.iterdir()} == dict.fromkeys(
        ("key.pem", "certificate.pem", "ca.pem", "agent.json"), 0o600
    )


def test_key_that_others_can_read(folder: Path) -> None:
    """Wrong permissions of the key file stop the agent, with the command that mends them."""
    (folder / "key.pem").chmod(0o644)
    error = refused(folder)
    assert error.code == "KeyExposed"
    assert "has mode 0644" in error.reason
    assert "0600 is expected" in error.reason
    assert f"chmod 600 {folder / 'key.pem'}" in error.recommended_action


@pytest.mark.parametrize("name", ["agent.json", "certificate.pem"])
def test_damaged_file(folder: Path, name: str) -> None:
    """A file that was cut is told as damage."""
    (folder / name).write_bytes(b"{")
    assert refused(folder).code == "StateDamaged"


def test_damaged_or_missing_key(folder: Path) -> None:
    """So is the key."""
    (folder / "key.pem").write_bytes(b"no key")
    assert refused(folder).code == "KeyUnreadable"
    (folder / "key.pem").unlink()
    assert "No such file" in refused(folder).reason


def test_not_enrolled(tmp_path: Path) -> None:
    """A folder without an agent says how to get one."""
    error = refused(tmp_path)
    assert error.code == "NotEnrolled"
    assert "dirbridge agent enrol" in error.recommended_action


def test_folder_that_cannot_be_written(tmp_path: Path) -> None:
    """A state folder below a file is refused before anything is spent."""
    (tmp_path / "file").touch()
    with pytest.raises(ConfigurationError) as raised:
        state.prepare(tmp_path / "file" / "state")
    assert raised.value.code == "StateUnwritable"


def test_two_processes_of_one_agent(folder: Path) -> None:
    """Only one process runs as an agent; the other is told which."""
    assert running_pid(folder) is None
    with only_one(folder):
        pid = running_pid(folder)
        with pytest.raises(ConfigurationError, match=f"already running as process {pid}"), only_one(folder):
            pass
    assert running_pid(folder) is None


def test_number_is_of_the_process_that_runs(tmp_path: Path) -> None:
    """Whatever the process before left in the file."""
    for left in ("7", "4194304999", "nonsense"):
        (tmp_path / LOCK).write_text(left)
        with only_one(tmp_path):
            assert running_pid(tmp_path) == os.getpid()
