"""Where the agent of a host has its things: options that several commands of `dirbridge agent` take."""

from __future__ import annotations

from pathlib import Path

import click

settings = click.option(
    "--settings",
    "settings_file",
    type=click.Path(path_type=Path, dir_okay=False),
    help="The agent's settings [/etc/dirbridge/agent.toml, or ~/.config/dirbridge/agent.toml].",
)
state = click.option(
    "--state",
    "state_folder",
    type=click.Path(path_type=Path, file_okay=False),
    help="Folder of the agent's key and certificate [/var/lib/dirbridge-agent, or ~/.local/state/dirbridge/agent].",
)
home = click.option(
    "--home",
    type=click.Path(path_type=Path, file_okay=False),
    default=Path("/opt/dirbridge"),
    help="Folder of the agent's versions [/opt/dirbridge].",
)
