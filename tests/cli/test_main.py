"""The command: what it lists, and how its failures look."""

import io
import json
import subprocess
import sys
from pathlib import Path

import click
import pytest

import dirbridge
from dirbridge.cli import main
from dirbridge.contract.errors import (
    ConfigurationError,
    CredentialError,
    DirbridgeError,
    EntryError,
    TransientError,
)


def test_overview_lists_every_command_without_importing_any(capsys: pytest.CaptureFixture[str]) -> None:
    """Tools start quickly, and where neither service nor agent is installed."""
    code = (
        "import sys; from dirbridge.cli import main; s = main.run(['--help']); print(sorted(sys.modules)); sys.exit(s)"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True, timeout=60)
    for name in main.COMMANDS:
        assert f"  {name} " in done.stdout
    for module in ("fastapi", "psycopg", "ldap", "sqlalchemy", "dirbridge.service"):
        assert f"'{module}'" not in done.stdout


@pytest.mark.parametrize("name", main.COMMANDS)
def test_every_command_is_there(name: str, capsys: pytest.CaptureFixture[str]) -> None:
    """Its help can be shown."""
    assert main.run([name, "--help"]) == 0
    assert f"dirbridge {name}" in capsys.readouterr().out


def test_version_is_that_of_the_distribution(capsys: pytest.CaptureFixture[str]) -> None:
    """One number for all parts."""
    assert main.run(["--version"]) == 0
    assert capsys.readouterr().out == f"dirbridge, version {dirbridge.__version__}\n"


@pytest.mark.parametrize(
    ("error", "code"),
    [
        (DirbridgeError("x"), 1),
        (EntryError("x"), 1),
        (ConfigurationError("x"), 3),
        (CredentialError("x"), 4),
        (TransientError("x"), 5),
    ],
)
def test_failure_has_its_exit_code_and_form(
    error: DirbridgeError, code: int, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """One sentence and its remedy, as JSON where that was asked for; nothing on standard output."""
    error.recommended_action = "Do this."
    error.details = {"file": "y"}

    @click.command()
    @click.option("--json", is_flag=True)
    def fail(json: bool) -> None:
        raise error

    monkeypatch.setitem(main.cli.commands, "fail", fail)
    monkeypatch.setattr(main.LazyGroup, "get_command", lambda self, ctx, name: self.commands.get(name))
    assert main.run(["fail"]) == code
    plain = capsys.readouterr()
    assert (plain.out, plain.err) == ("", "Error: x\n       Do this.\n")
    assert main.run(["fail", "--json"]) == code
    said = capsys.readouterr()
    assert said.out == ""
    assert json.loads(said.err) == {
        "error": {"code": error.code, "message": "x", "recommendedAction": "Do this.", "details": {"file": "y"}}
    }


@pytest.mark.parametrize(
    "arguments", [["nothing"], ["init", "--nothing"], ["serve", "extra"], ["agent", "revoke", "host1"]]
)
def test_wrong_usage_is_two_and_shows_the_way(arguments: list[str], capsys: pytest.CaptureFixture[str]) -> None:
    """With the help to read."""
    assert main.run(arguments) == 2
    assert "--help'" in capsys.readouterr().err


@pytest.mark.parametrize("arguments", [[], ["admin"], ["admin", "user"]])
def test_group_alone_shows_its_commands(arguments: list[str], capsys: pytest.CaptureFixture[str]) -> None:
    """Once, and not as an error; it is wrong usage all the same."""
    assert main.run(arguments) == 2
    shown = capsys.readouterr()
    assert shown.out == ""
    assert (shown.err.count("Usage: dirbridge"), shown.err.count("Commands:"), "Error" in shown.err) == (1, 1, False)


def test_question_without_a_yes_is_told(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> None:
    """Where nobody can answer, the way to do without is named; Ctrl-C while something runs says nothing of it."""

    @click.command()
    @click.option("--ask", is_flag=True)
    def act(ask: bool) -> None:
        if ask:
            click.confirm("Sure?", abort=True, err=True)
        raise KeyboardInterrupt

    monkeypatch.setitem(main.cli.commands, "act", act)
    monkeypatch.setattr(main.LazyGroup, "get_command", lambda self, ctx, name: self.commands.get(name))
    for answer in ("", "n\n"):
        monkeypatch.setattr(sys, "stdin", io.StringIO(answer))
        assert main.run(["act", "--ask"]) == 130
        assert "see --help" in capsys.readouterr().err
    assert main.run(["act"]) == 130
    assert "Nothing was done" not in capsys.readouterr().err


def test_missing_package_names_the_extra(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> None:
    """Where only the tools are installed, `serve` says what is missing."""
    monkeypatch.setitem(sys.modules, "uvloop", None)
    monkeypatch.delitem(sys.modules, "dirbridge.cli.serve", raising=False)
    assert main.run(["serve"]) == 3
    assert "pip install '.[service]'" in capsys.readouterr().err


def test_broken_pipe_is_quiet() -> None:
    """`dirbridge … | head` leaves no stack."""
    command = f"{Path(sys.executable).with_name('dirbridge')} --help | true"
    done = subprocess.run(["/bin/sh", "-c", command], capture_output=True, text=True, check=False, timeout=60)
    assert done.stderr == ""


@pytest.mark.parametrize(("arguments", "package"), [(("release", "status", "."), "tuf"), (("serve",), "uvicorn")])
def test_a_package_that_is_missing_is_named(arguments: tuple[str, ...], package: str) -> None:
    """Whether the command needs it to begin with, or only when it comes to use it."""
    call = f"from dirbridge.cli.main import main; main({[*arguments, '--json']})"
    without = f"import sys; sys.modules[{package!r}] = None; {call}"
    done = subprocess.run([sys.executable, "-c", without], capture_output=True, text=True, timeout=60, check=False)
    assert done.returncode == main.CONFIGURATION
    error = json.loads(done.stderr)["error"]
    assert error["code"] == "PackageMissing"
    assert f"'{package}'" in error["message"]
