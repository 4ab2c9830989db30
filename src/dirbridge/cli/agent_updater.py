"""`dirbridge agent updater` and `agent supervise`: new versions of the agent, by themselves."""

from __future__ import annotations

import asyncio
import contextlib
import shlex
import signal
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import click

from dirbridge.cli import agent_places
from dirbridge.contract.errors import DirbridgeError

_options = [
    agent_places.settings,
    agent_places.state,
    agent_places.home,
    click.option(
        "--every",
        type=click.FloatRange(min=0.1),
        default=3600,
        show_default=True,
        help="Seconds between two looks at the releases.",
    ),
    click.option(
        "--patience",
        type=click.FloatRange(min=1),
        default=120,
        show_default=True,
        help="Seconds within which the service must have found a new version at work.",
    ),
    click.option(
        "--settle",
        type=click.FloatRange(min=0),
        default=15,
        show_default=True,
        help="Seconds that a new version must stay at work before it is kept.",
    ),
]


@click.command()
@click.option(
    "--restart",
    metavar="COMMAND",
    default="systemctl restart dirbridge-agent.service",
    show_default=True,
    help="Command that restarts the agent.",
)
@click.option("--once", is_flag=True, help="Look once, do what is to be done, and end.")
@click.option("--check", is_flag=True, help="See that this version could update this host, and end.")
def updater(
    settings_file: Path | None,
    state_folder: Path | None,
    home: Path,
    every: float,
    patience: float,
    settle: float,
    restart: str,
    once: bool,
    check: bool,
) -> None:
    """Keep the agent of this host up to date with signed releases.

    A new version is installed beside the one that runs, and goes back by itself where it is not at work. After an
    update this process ends with 0, to be started again from the new version.
    """
    from dirbridge.agent.updater.gate import Gate
    from dirbridge.agent.updater.home import Home
    from dirbridge.agent.updater.process import Places, Updater

    settings, state = _files(settings_file, state_folder)
    process = Updater(Places(Home(home), settings, state, shlex.split(restart)), Gate(patience, settle), every)
    if check:
        process.check()
        return
    _log(settings)
    asyncio.run(_until_told(lambda stop: process.run(stop, once=once)))


@click.command()
@click.option(
    "--pause",
    type=click.FloatRange(min=0.1),
    default=5,
    show_default=True,
    help="Seconds before a child that has ended is started again.",
)
def supervise(
    settings_file: Path | None,
    state_folder: Path | None,
    home: Path,
    every: float,
    patience: float,
    settle: float,
    pause: float,
) -> None:
    """Run agent and updater where there is no systemd, as in a container, until SIGTERM or Ctrl-C.

    It starts what `agent install --files-only` made the current version. SIGHUP restarts the agent. Ends with the
    agent's exit code where starting it again does not help.
    """
    from dirbridge.agent.updater.home import Home
    from dirbridge.agent.updater.supervisor import Supervisor

    settings, state = _files(settings_file, state_folder)
    _log(settings)
    common = ["--settings", str(settings), "--state", str(state)]
    options = ["--every", str(every), "--patience", str(patience), "--settle", str(settle)]
    versions = Home(home)
    versions.current()  # without one there is nothing to start
    supervisor = Supervisor(versions, common, options, pause)

    async def run(stop: asyncio.Event) -> int:
        asyncio.get_running_loop().add_signal_handler(signal.SIGHUP, supervisor.restarts.set)
        return await supervisor.run(stop)

    sys.exit(asyncio.run(_until_told(run)))


async def _until_told(act: Callable[[asyncio.Event], Any]) -> Any:
    stop = asyncio.Event()
    for name in (signal.SIGTERM, signal.SIGINT):
        asyncio.get_running_loop().add_signal_handler(name, stop.set)
    return await act(stop)


def _files(settings_file: Path | None, state_folder: Path | None) -> tuple[Path, Path]:
    from dirbridge.agent import settings as agent_settings
    from dirbridge.agent import state

    return settings_file or agent_settings.default_file(), state_folder or state.default_folder()


def _log(settings_file: Path) -> None:
    """Log as the agent does; with faults in its settings, which the agent complains of, as it does by default."""
    from dirbridge.agent import settings as agent_settings
    from dirbridge.agent import tracing

    settings = None
    with contextlib.suppress(DirbridgeError):
        settings = agent_settings.load(settings_file)
    tracing.set_up_stream(settings)


for _option in reversed(_options):
    updater = _option(updater)
    supervise = _option(supervise)
