"""`dirbridge release`: sign releases of the agent away from the service, and publish them there.

All but `publish`, `list` and `choose` work on a folder, without any network: on the machines of those who hold keys.
"""

from __future__ import annotations

import functools
from collections.abc import Callable
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click
from rich.text import Text

from dirbridge.cli.client import console, print_json, table
from dirbridge.cli.release_service import choose, list_releases, publish
from dirbridge.contract.errors import ConfigurationError

if TYPE_CHECKING:
    from dirbridge.release.repository import Repository, RoleState

ROLES = ("root", "targets", "snapshot", "timestamp")
_SOON = 14
"""Days before its end from which a role is shown as one to renew."""

_file = click.Path(path_type=Path, dir_okay=False)
_folder = click.argument("repository", type=click.Path(path_type=Path, file_okay=False))
_json = click.option("--json", "as_json", is_flag=True, help="Print JSON.")
_passphrase = click.option(
    "--passphrase-file", type=_file, help="File with the passphrase in one line; asked for where it is left out."
)


@click.group()
def release() -> None:
    """Sign releases of the agent, and publish them."""


release.add_command(publish)
release.add_command(list_releases)
release.add_command(choose)


def _open(folder: Path) -> Repository:
    from dirbridge.release.repository import Repository

    return Repository(folder, lambda: datetime.now(UTC))


def _passphrase_of(file: Path | None, question: str, *, twice: bool = False) -> str:
    if file is None:
        return str(click.prompt(question, hide_input=True, confirmation_prompt=twice, err=True))
    try:
        found = file.read_text("utf-8").splitlines()
    except (OSError, UnicodeDecodeError) as error:
        raise ConfigurationError(f"'{file}' cannot be read: {error}.", code="FileUnreadable") from error
    if not found or not found[0]:
        raise ConfigurationError(f"'{file}' has no passphrase in its first line.", code="FileUnreadable")
    return found[0]


@release.command()
@click.argument("file", type=_file)
@click.option("--no-passphrase", is_flag=True, help="Leave the key readable for whoever can read the file.")
@_passphrase
@_json
def key(file: Path, no_passphrase: bool, passphrase_file: Path | None, as_json: bool) -> None:
    """Make a key that signs: FILE for its holder alone, FILE.pub for `release init` and `rotate`."""
    from dirbridge.release import keys

    passphrase = None if no_passphrase else _passphrase_of(passphrase_file, f"Passphrase of {file}", twice=True)
    made = keys.make(file, passphrase)
    if as_json:
        print_json({"keyId": made.keyid, "file": str(file), "publicFile": str(keys.public_file(file))})
        return
    click.echo(f"Key {made.keyid[:12]} is in {file}; {keys.public_file(file)} is its public half.")


@release.command()
@_folder
@click.option("--root", "root_keys", type=_file, multiple=True, required=True, help="Public key; repeatable.")
@click.option("--targets", "targets_keys", type=_file, multiple=True, required=True, help="Public key; repeatable.")
@click.option("--snapshot", "snapshot_keys", type=_file, multiple=True, required=True, help="Public key; repeatable.")
@click.option("--timestamp", "timestamp_keys", type=_file, multiple=True, required=True, help="Public key; repeatable.")
@click.option("--root-threshold", type=click.IntRange(1), default=1, show_default=True, help="How many sign the root.")
@click.option(
    "--targets-threshold", type=click.IntRange(1), default=1, show_default=True, help="How many sign the releases."
)
@_json
def init(
    repository: Path,
    root_keys: tuple[Path, ...],
    targets_keys: tuple[Path, ...],
    snapshot_keys: tuple[Path, ...],
    timestamp_keys: tuple[Path, ...],
    root_threshold: int,
    targets_threshold: int,
    as_json: bool,
) -> None:
    """Prepare a new folder of releases, to be signed by the holders of all four roles."""
    from dirbridge.release import keys
    from dirbridge.release.repository import Holders, Repository

    def holders(files: tuple[Path, ...], threshold: int = 1) -> Holders:
        return Holders(tuple(keys.load_public(file) for file in files), threshold)

    given = {
        "root": holders(root_keys, root_threshold),
        "targets": holders(targets_keys, targets_threshold),
        "snapshot": holders(snapshot_keys),
        "timestamp": holders(timestamp_keys),
    }
    _show(Repository.create(repository, given, lambda: datetime.now(UTC)), as_json=as_json)


@release.command()
@click.option(
    "--packages",
    type=click.Path(path_type=Path, file_okay=False, exists=True),
    required=True,
    help="Folder into which the agent and its packages were installed, and nothing else.",
)
@click.option("--root", type=_file, required=True, help="The newest signed root: metadata/….root.json.")
@click.option(
    "--out",
    type=click.Path(path_type=Path, file_okay=False, exists=True),
    default=Path(),
    help="Where to write it [.].",
)
@_json
def build(packages: Path, root: Path, out: Path, as_json: bool) -> None:
    """Pack the installed agent for this Python and platform, and try it out."""
    from dirbridge.release import build as building

    made = building.build(packages, root, out)
    if as_json:
        print_json({"file": str(made), "size": made.stat().st_size})
        return
    click.echo(f"{made} ({made.stat().st_size / 1e6:.1f} MB); the agent runs from it.")


def _change(command: Callable[..., Any]) -> Callable[..., Any]:
    """Make a command of a change to a folder: it gets the `Repository`, and what is to be signed is shown."""

    @functools.wraps(command)
    def call(repository: Path, *, as_json: bool, **options: Any) -> None:
        opened = _open(repository)
        command(opened, **options)
        _show(opened, as_json=as_json)

    return call


@release.command()
@_folder
@click.argument("file", type=_file)
@click.option(
    "--channel", metavar="NAME", default="stable", show_default=True, help="Who is offered it; agents take `stable`."
)
@_json
@_change
def add(repository: Repository, file: Path, channel: str) -> None:
    """Prepare a list that has this archive too."""
    repository.add(file, channel)


@release.command()
@_folder
@click.argument("version")
@_json
@_change
def withdraw(repository: Repository, version: str) -> None:
    """Prepare a list without a version. Hosts that run it keep it until they get another."""
    repository.withdraw(version)


@release.command()
@_folder
@click.option(
    "--role",
    "roles",
    type=click.Choice(ROLES),
    multiple=True,
    default=("timestamp",),
    help="What to renew [timestamp].",
)
@_json
@_change
def renew(repository: Repository, roles: tuple[str, ...]) -> None:
    """Prepare the same for longer, before it expires."""
    repository.renew(roles)


@release.command()
@_folder
@click.option("--role", type=click.Choice(ROLES), required=True, help="Whose keys change.")
@click.option("--add", "added", type=_file, multiple=True, help="Public key that signs from now on; repeatable.")
@click.option("--remove", "removed", multiple=True, metavar="ID", help="Id of a key that does not; repeatable.")
@click.option("--threshold", type=click.IntRange(1), help="How many must sign [as before].")
@_json
@_change
def rotate(
    repository: Repository, role: str, added: tuple[Path, ...], removed: tuple[str, ...], threshold: int | None
) -> None:
    """Prepare a root that gives a role other keys. Old and new holders of the root sign it."""
    from dirbridge.release import keys

    repository.rotate(role, add=[keys.load_public(file) for file in added], remove=removed, threshold=threshold)


@release.command()
@_folder
@click.option("--key", "key_files", type=_file, multiple=True, required=True, help="Key to sign with; repeatable.")
@_passphrase
@_json
@_change
def sign(repository: Repository, key_files: tuple[Path, ...], passphrase_file: Path | None) -> None:
    """Sign what is prepared. With the last signature all of it counts."""
    from dirbridge.release import keys

    def passphrase(file: Path) -> str | None:
        return _passphrase_of(passphrase_file, f"Passphrase of {file}") if keys.is_encrypted(file) else None

    repository.sign([keys.load(file, passphrase(file)) for file in key_files])


@release.command()
@_folder
@_json
@_change
def status(repository: Repository) -> None:
    """Show the releases, the roles, and whose signatures are missing."""


def _show(repository: Repository, *, as_json: bool) -> None:
    states, listed = repository.state(), repository.releases()
    if as_json:
        print_json({"roles": [_role(state) for state in states], "releases": sorted(listed)})
        return
    shown = table("Role", "Version", "Good until", "Signatures", unbroken=("Role", "Good until"))
    for state in states:
        shown.add_row(state.role, str(state.version), _until(state), _signatures(state))
    console().print(shown)
    click.echo(f"Releases: {', '.join(sorted(listed)) or 'none'}")
    click.echo(
        "Next: dirbridge release sign"
        if any(state.missing for state in states)
        else "Next: dirbridge release publish, if it is not published yet"
    )


def _role(state: RoleState) -> dict[str, Any]:
    return {
        "role": state.role,
        "version": state.version,
        "expirationDateTime": state.expires.strftime("%Y-%m-%dT%H:%M:%SZ"),
        "threshold": state.threshold,
        "keys": list(state.keys),
        "isStaged": state.is_staged,
        "missing": state.missing,
        "waitingFor": list(state.waiting),
    }


def _until(state: RoleState) -> Text:
    left = (state.expires - datetime.now(UTC)).days
    return Text(f"{state.expires:%Y-%m-%d %H:%M}", style="red" if left < 0 else "yellow" if left < _SOON else "")


def _signatures(state: RoleState) -> Text:
    if not state.missing:
        return Text(f"{state.threshold} of {len(state.keys)} keys", style="green")
    waiting = ", ".join(key[:12] for key in state.waiting)
    return Text(f"{state.missing} missing, of {waiting}", style="yellow")
