"""`dirbridge agent install` and `uninstall`: the agent as a service of its host."""

from __future__ import annotations

from pathlib import Path

import click

from dirbridge.cli import agent_places

_places = [
    click.option(
        "--account",
        metavar="NAME",
        default="dirbridge-agent",
        show_default=True,
        help="System account that runs the agent.",
    ),
    click.option(
        "--settings",
        "settings",
        type=click.Path(path_type=Path, dir_okay=False),
        default=Path("/etc/dirbridge/agent.toml"),
        help="The agent's settings [/etc/dirbridge/agent.toml].",
    ),
    click.option(
        "--state",
        type=click.Path(path_type=Path, file_okay=False),
        default=Path("/var/lib/dirbridge-agent"),
        help="Folder of the agent's key and certificate [/var/lib/dirbridge-agent].",
    ),
    click.option(
        "--unit-folder",
        type=click.Path(path_type=Path, file_okay=False),
        default=Path("/etc/systemd/system"),
        help="Folder of systemd's units [/etc/systemd/system].",
    ),
    agent_places.home,
    click.option("--files-only", is_flag=True, help="Write or remove files and account, and leave systemd alone."),
]


@click.command()
@click.option(
    "--update-root",
    type=click.Path(path_type=Path, dir_okay=False),
    help="Root file of those who sign the releases; without one the agent is not updated.",
)
def install(
    account: str,
    settings: Path,
    state: Path,
    unit_folder: Path,
    home: Path,
    files_only: bool,
    update_root: Path | None,
) -> None:
    """Make agent and updater services of this host: account, folders, two systemd units. Needs root.

    Run again, it brings an installation up to date. Settings and state that are there stay as they are.
    """
    from dirbridge.agent import install as installing

    places = installing.Places(account, settings, state, unit_folder, not files_only, home, update_root)
    installing.install(places, click.echo)
    click.echo("Next: name your domain in the settings, run `dirbridge agent enrol`, then `dirbridge agent check`.")


@click.command()
@click.option("--purge", is_flag=True, help="Remove the settings and the agent's key too.")
@click.option("--yes", is_flag=True, help="Do not ask.")
def uninstall(
    account: str,
    settings: Path,
    state: Path,
    unit_folder: Path,
    home: Path,
    files_only: bool,
    purge: bool,
    yes: bool,
) -> None:
    """Take away what `install` made, and nothing else. Needs root."""
    from dirbridge.agent import install as installing

    if purge and not yes:
        click.confirm(f"Remove the settings {settings} and the agent's key in {state} for good?", abort=True, err=True)
    places = installing.Places(account, settings, state, unit_folder, not files_only, home)
    installing.uninstall(places, click.echo, purge=purge)


for _option in reversed(_places):
    install = _option(install)
    uninstall = _option(uninstall)
