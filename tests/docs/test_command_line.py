"""`docs/command-line.md` has every command with every option, and none that does not exist."""

import re
from collections.abc import Iterator

import click
import pytest

from dirbridge.cli import main
from tests.docs.pages import DOCS

pytestmark = pytest.mark.service

_TEXT = (DOCS / "command-line.md").read_text("utf-8")
_SECTIONS = dict(re.findall(r"^## (.+)\n((?:(?!## ).*\n)*)", _TEXT, re.MULTILINE))
_SHARED = "Options of all commands that speak to the service"


def _commands(command: click.Command = main.cli, name: str = "dirbridge") -> Iterator[tuple[str, click.Command]]:
    if not isinstance(command, click.Group):
        yield name, command
        return
    context = click.Context(command, info_name=name)
    for each in command.list_commands(context):
        found = command.get_command(context, each)
        assert found is not None
        yield from _commands(found, f"{name} {each}")


_COMMANDS = dict(_commands())


def _options(command: click.Command) -> set[str]:
    return {option for each in command.params if isinstance(each, click.Option) for option in each.opts}


def _listed(section: str) -> set[str]:
    """The options in a section's table."""
    return set(re.findall(r"^\| `(--[a-z-]+)`", _SECTIONS[section], re.MULTILINE))


def test_every_command_has_a_section() -> None:
    """And no section is of a command that went."""
    assert {name for name in _SECTIONS if name.startswith("dirbridge ")} == _COMMANDS.keys()


@pytest.mark.parametrize("name", sorted(_COMMANDS))
def test_every_option_has_a_row(name: str) -> None:
    """A command that speaks to the service has the shared options, which stand in one place."""
    options = _options(_COMMANDS[name])
    shared = _listed(_SHARED)
    assert _listed(name) == (options - shared if shared <= options else options)


def test_the_shared_options_name_their_variables() -> None:
    """As the commands read them."""
    expected = {
        (each.opts[0], each.envvar)
        for each in _COMMANDS["dirbridge jobs list"].params
        if isinstance(each, click.Option) and each.envvar
    }
    found = re.findall(r"^\| `(--[a-z-]+)` \| `(DIRBRIDGE_[A-Z_]+)`", _SECTIONS[_SHARED], re.MULTILINE)
    assert set(found) == expected


@pytest.mark.parametrize(
    ("command", "option"),
    [("dirbridge logs", "status"), ("dirbridge logs", "action"), ("dirbridge jobs restart", "scopes")],
)
def test_every_choice_is_named(command: str, option: str) -> None:
    """The values that an option takes stand in its row."""
    found = next(each for each in _COMMANDS[command].params if each.name == option)
    assert isinstance(found.type, click.Choice)
    row = next(line for line in _SECTIONS[command].splitlines() if line.startswith(f"| `{found.opts[0]}`"))
    assert [choice for choice in found.type.choices if f"`{choice}`" not in row] == []


def test_every_exit_code_has_a_row() -> None:
    """Those that `main` gives."""
    codes = {
        main.OK, main.FAILED, main.USAGE, main.CONFIGURATION, main.NOT_PERMITTED, main.NOT_REACHABLE, main.INTERRUPTED
    }  # fmt: skip
    assert {int(code) for code in re.findall(r"^\| (\d+) \|", _SECTIONS["Exit codes"], re.MULTILINE)} == codes
