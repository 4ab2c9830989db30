"""`dirbridge agent trace`: the traces of this host's agent, and a verbose one for a time."""

from __future__ import annotations

import time
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import click

from dirbridge.cli.client import print_json

_state = click.option(
    "--state",
    "state_folder",
    type=click.Path(path_type=Path, file_okay=False),
    help="Folder of the agent's key and certificate [/var/lib/dirbridge-agent, or ~/.local/state/dirbridge/agent].",
)
_json = click.option("--json", "as_json", is_flag=True, help="Print JSON.")


@click.group()
def trace() -> None:
    """Switch a verbose trace of this host's agent on for a time, and see where traces are.

    Warnings and errors are in the trace folder in any case.
    """


@trace.command()
@click.option("--minutes", type=click.FloatRange(0.05, 1440), default=10, show_default=True, help="How long, at most.")
@click.option("--values", is_flag=True, help="Write the values of attributes too: they are people's data.")
@_state
@_json
def start(minutes: float, values: bool, state_folder: Path | None, as_json: bool) -> None:
    """Begin a verbose trace. It ends by itself, also when the agent was stopped or killed meanwhile."""
    from dirbridge.agent.tracing import wish

    folder = _enrolled(state_folder)
    wish.start(folder, timedelta(minutes=minutes), time.time(), values=values)
    _say(_found(folder), as_json)


@trace.command()
@_state
@_json
def stop(state_folder: Path | None, as_json: bool) -> None:
    """End it now, whoever began it. What was written stays."""
    from dirbridge.agent.tracing import wish

    folder = _enrolled(state_folder)
    wish.stop(folder, time.time())
    _say(_found(folder), as_json)


@trace.command()
@_state
@_json
def status(state_folder: Path | None, as_json: bool) -> None:
    """Show whether a verbose trace is on, until when, and which files there are."""
    _say(_found(_enrolled(state_folder)), as_json)


def _enrolled(given: Path | None) -> Path:
    from dirbridge.agent import state

    folder = given or state.default_folder()
    state.load(folder)
    return folder


def _found(folder: Path) -> dict[str, Any]:
    from dirbridge.agent import tracing
    from dirbridge.agent.runner import running_pid
    from dirbridge.agent.tracing import wish

    wanted, now = wish.load(folder), time.time()
    is_on = wanted.left(now) > 0
    traces = folder / tracing.TRACE_FOLDER
    return {
        "verbose": is_on,
        "until": datetime.fromtimestamp(wanted.until, UTC).strftime("%Y-%m-%dT%H:%M:%SZ") if is_on else None,
        "values": is_on and wanted.values,
        "by": wanted.by if is_on else None,
        "processId": running_pid(folder),
        "folder": str(traces),
        "files": [
            {"name": file.name, "size": file.stat().st_size} for file in sorted(traces.glob("*.log*")) if file.is_file()
        ],
    }


def _say(found: dict[str, Any], as_json: bool) -> None:
    if as_json:
        print_json(found)
        return
    if found["verbose"]:
        until = datetime.fromisoformat(found["until"]).astimezone()
        values = "with" if found["values"] else "without"
        click.echo(f"Verbose trace: on until {until:%Y-%m-%d %H:%M:%S %Z}, {values} values, by the {found['by']}.")
        if found["processId"] is None:
            click.echo("The agent does not run; the trace begins when it is started.")
    else:
        click.echo("Verbose trace: off.")
    for file in found["files"]:
        click.echo(f"{file['size']:>12,} bytes  {found['folder']}/{file['name']}")
