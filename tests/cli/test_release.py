"""`dirbridge release`: from keys to releases that agents are offered."""

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from dirbridge.cli import main
from tests.cli.conftest import Command
from tests.fixtures.releases import Publisher

Run = Callable[..., Any]


@pytest.fixture
def run(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> Run:
    """Run a subcommand in an empty folder; gives its JSON, or the error's where another exit code is expected."""
    monkeypatch.chdir(tmp_path)

    def call(*arguments: str, code: int = 0) -> Any:
        assert main.run(["release", *arguments, "--json"]) == code
        told = capsys.readouterr()
        return json.loads(told.out) if code == 0 else json.loads(told.err)["error"]

    return call


@pytest.fixture
def signed(run: Run, tmp_path: Path) -> Path:
    """A repository of two root keys, both of which must sign, and one key for the rest."""
    (tmp_path / "passphrase").write_text("open sesame\n")
    for name in ("ada", "bob", "online"):
        run("key", f"{name}.key", "--passphrase-file", "passphrase")
    others = [part for role in ("targets", "snapshot", "timestamp") for part in (f"--{role}", "online.key.pub")]
    made = run("init", "repo", "--root", "ada.key.pub", "--root", "bob.key.pub", "--root-threshold", "2", *others)
    assert [role["missing"] for role in made["roles"]] == [2, 1, 1, 1]
    run("sign", "repo", "--key", "ada.key", "--key", "online.key", "--passphrase-file", "passphrase")
    waiting = run("status", "repo")["roles"][0]
    assert waiting["missing"] == 1
    made = run("sign", "repo", "--key", "bob.key", "--passphrase-file", "passphrase")
    assert [role["isStaged"] for role in made["roles"]] == [False] * 4
    return tmp_path / "repo"


@pytest.fixture
def archive(tmp_path: Path) -> Path:
    """An archive to release."""
    return Publisher(tmp_path / "publisher").pack("1.0.0")


def _sign(run: Run, *names: str) -> Any:
    keys = [part for name in names for part in ("--key", f"{name}.key")]
    return run("sign", "repo", *keys, "--passphrase-file", "passphrase")


def test_a_release_is_added_and_withdrawn(run: Run, signed: Path, archive: Path) -> None:
    """Prepared, then signed; what cannot be done says why and leaves all as it was."""
    assert run("add", "repo", str(archive))["releases"] == [archive.name]
    assert [role["isStaged"] for role in _sign(run, "online")["roles"]] == [False] * 4
    assert run("withdraw", "repo", "2.0.0", code=main.CONFIGURATION)["code"] == "ReleaseUnknown"
    nothing = run("sign", "repo", "--key", "ada.key", "--passphrase-file", "passphrase", code=main.CONFIGURATION)
    assert nothing["code"] == "NothingStaged"
    (signed.parent / "passphrase").write_text("wrong\n")
    run("renew", "repo")
    refused = run("sign", "repo", "--key", "online.key", "--passphrase-file", "passphrase", code=main.CONFIGURATION)
    assert refused["code"] == "KeyUnusable"
    (signed.parent / "passphrase").write_text("open sesame\n")
    _sign(run, "online")
    assert run("withdraw", "repo", "1.0.0")["releases"] == []


def test_keys_are_rotated(run: Run, signed: Path) -> None:
    """By both holders of the root; who was taken out signs nothing any more."""
    run("key", "new.key", "--passphrase-file", "passphrase")
    old = run("status", "repo")["roles"][3]["keys"][0]
    rotated = run("rotate", "repo", "--role", "timestamp", "--add", "new.key.pub", "--remove", old[:12])
    assert [role["missing"] for role in rotated["roles"]] == [2, 0, 0, 1]
    assert not any(role["isStaged"] for role in _sign(run, "ada", "bob", "new")["roles"])
    run("renew", "repo")
    refused = run("sign", "repo", "--key", "online.key", "--passphrase-file", "passphrase", code=main.CONFIGURATION)
    assert refused["code"] == "KeyHasNoRole"


def test_the_table_says_whose_signatures_are_missing(
    run: Run, signed: Path, archive: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """And what is next."""
    run("add", "repo", str(archive))
    online = run("status", "repo")["roles"][1]["keys"][0]
    assert main.run(["release", "status", "repo"]) == 0
    shown = capsys.readouterr().out
    assert f"1 missing, of {online[:12]}" in shown
    assert f"Releases: {archive.name}" in shown
    assert "Next: dirbridge release sign" in shown


def test_releases_are_published_and_chosen(command: Command, tmp_path: Path) -> None:
    """An archive is sent once; agents have what is chosen; a folder with other keys has to be meant."""
    publisher = Publisher(tmp_path / "publisher")
    first = publisher.release("1.0.0").name.partition(".")[2]
    folder = str(publisher.repository.folder)
    assert command.json("release", "publish", folder)["sent"] == [
        file.name for file in publisher.repository.target_files()
    ]
    publisher.release("1.1.0")
    published = command.json("release", "publish", folder)
    assert first in published["releases"]
    assert (len(published["releases"]), len(published["sent"])) == (2, 1)
    assert [each["version"] for each in command.json("release", "list")] == ["1.1.0", "1.0.0"]
    assert "1.1.0" in command("release", "list")
    assert "to have 1.0.0" in command("release", "choose", "1.0.0")
    assert "to have the newest release" in command("release", "choose", "newest")
    assert "ReleaseUnknown" in command("release", "choose", "9.9.9", "--json", code=main.FAILED)
    other = Publisher(tmp_path / "other")
    other.release("1.0.0")
    assert "1.root.json" in command("release", "publish", str(other.repository.folder), code=main.FAILED)
    command("release", "publish", str(other.repository.folder), "--anew")
    assert [each["version"] for each in command.json("release", "list")] == ["1.0.0"]
