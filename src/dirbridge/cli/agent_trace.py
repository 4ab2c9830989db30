"""`dirbridge agent trace`: traces of this host's agent, or of any through the service, and a verbose one for a time."""

from __future__ import annotations

import os
import time
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any
from uuid import UUID

import click

from dirbridge.cli import agent_places
from dirbridge.cli.client import Client, Profile, later_options, print_json
from dirbridge.contract.errors import ConfigurationError, TransientError

_agent = click.option(
    "--agent", "agent_id", type=click.UUID, metavar="ID", help="An agent elsewhere, through the service."
)


@click.group()
def trace() -> None:
    """Switch a verbose trace of an agent on for a time, and see where traces are.

    Without --agent it is this host's, and no service is needed. Warnings and errors are in the trace folder in any
    case.
    """


@trace.command()
@click.option("--minutes", type=click.FloatRange(0.05, 1440), default=10, show_default=True, help="How long, at most.")
@click.option("--values", is_flag=True, help="Write the values of attributes too: they are people's data.")
@_agent
@agent_places.state
@later_options
def start(
    profile: Callable[[], Profile],
    minutes: float,
    values: bool,
    agent_id: UUID | None,
    state_folder: Path | None,
    as_json: bool,
) -> None:
    """Begin a verbose trace. It ends by itself, also when the agent was stopped or killed meanwhile."""
    if agent_id is not None:
        _elsewhere(profile, agent_id, as_json, "startTrace", {"minutes": minutes, "values": values})
        return
    from dirbridge.agent.tracing import wish

    folder = _enrolled(state_folder)
    wish.start(folder, timedelta(minutes=minutes), time.time(), values=values)
    _say(_found(folder), as_json)


@trace.command()
@_agent
@agent_places.state
@later_options
def stop(profile: Callable[[], Profile], agent_id: UUID | None, state_folder: Path | None, as_json: bool) -> None:
    """End it now. What was written stays.

    On the agent's host whoever began it; through the service what the service began.
    """
    if agent_id is not None:
        _elsewhere(profile, agent_id, as_json, "stopTrace")
        return
    from dirbridge.agent.tracing import wish

    folder = _enrolled(state_folder)
    wish.stop(folder, time.time())
    _say(_found(folder), as_json)


@trace.command()
@_agent
@agent_places.state
@later_options
def status(profile: Callable[[], Profile], agent_id: UUID | None, state_folder: Path | None, as_json: bool) -> None:
    """Show whether a verbose trace is on, until when, and on this host which files there are."""
    if agent_id is not None:
        _elsewhere(profile, agent_id, as_json)
        return
    _say(_found(_enrolled(state_folder)), as_json)


@trace.command()
@click.option("--output", type=click.Path(path_type=Path, dir_okay=False), required=True, help="The zip file to write.")
@click.option("--hours", type=click.IntRange(1, 168), default=24, show_default=True, help="How far back.")
@click.option(
    "--timeout", type=click.FloatRange(1, 3600), default=300, show_default=True, help="Seconds to wait for it."
)
@_agent
@agent_places.settings
@agent_places.state
@later_options
def collect(
    profile: Callable[[], Profile],
    output: Path,
    hours: int,
    timeout: float,
    agent_id: UUID | None,
    settings_file: Path | None,
    state_folder: Path | None,
    as_json: bool,
) -> None:
    """Put traces, journal, check, versions and settings into one zip file. No secret is in it."""
    if agent_id is None:
        missing = _collect_here(output, hours, settings_file, state_folder)
    else:
        missing = []
        _collect_elsewhere(profile, agent_id, output, hours, timeout)
    if as_json:
        print_json({"file": str(output), "missing": missing})
        return
    click.echo(f"Wrote {output}, {output.stat().st_size:,} bytes.")
    for each in missing:
        click.echo(f"Could not be had: {each}")


def _collect_here(output: Path, hours: int, settings_file: Path | None, state_folder: Path | None) -> list[str]:
    from dirbridge.agent import collecting, state
    from dirbridge.agent import settings as agent_settings

    file = settings_file or agent_settings.default_file()
    settings, opened = agent_settings.load(file), state.load(state_folder or state.default_folder())
    try:
        descriptor = os.open(output, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600)
        with os.fdopen(descriptor, "wb") as target:
            return collecting.collect(target, opened, settings, file, timedelta(hours=hours))
    except OSError as error:
        raise ConfigurationError(
            f"The file {output} cannot be written: {error.strerror}.",
            code="FileUnwritable",
            recommended_action="Name another with --output, on a disk that is not full.",
        ) from error


def _collect_elsewhere(
    profile: Callable[[], Profile], agent_id: UUID, output: Path, hours: int, timeout: float
) -> None:
    path = f"/beta/dirbridge/agents/{agent_id}/logCollections"
    with Client.open(profile()) as client:
        found = client.post(path, {"hours": hours})
        until = time.monotonic() + timeout
        while found["status"] == "waiting":
            if time.monotonic() > until:
                raise TransientError(
                    f"The agent has not brought it within {timeout:.0f} seconds.",
                    code="CollectionLate",
                    recommended_action="See by `dirbridge agent show` whether it is there; it goes on all the same.",
                )
            time.sleep(1)
            found = client.get(f"{path}/{found['id']}")
        if found["status"] == "failed":
            raise ConfigurationError(
                f"The agent does not bring it: {found['failure']}",
                code="CollectionRefused",
                recommended_action="Run this command on its host instead, or change its settings.",
            )
        client.download(f"{path}/{found['id']}/content", output)


def _elsewhere(profile: Callable[[], Profile], agent_id: UUID, as_json: bool, act: str = "", body: Any = None) -> None:
    """Do something through the service, and show what is wanted there and what the agent last said."""
    path = f"/beta/dirbridge/agents/{agent_id}"
    with Client.open(profile()) as client:
        if act:
            client.post(f"{path}/{act}", body)
        found = client.get(f"{path}/trace")
    if as_json:
        print_json(found)
        return
    wanted, reported = found["wanted"], found["reported"] or {}
    click.echo(f"Wanted: {_phrase(wanted) if wanted else 'no verbose trace'}.")
    is_on = "until" in reported
    click.echo(f"The agent last said: {_phrase(reported) if is_on else 'no verbose trace'}.")
    if "refused" in reported:
        click.echo(f"It refused: {reported['refused']}")


def _phrase(trace: dict[str, Any]) -> str:
    until = datetime.fromisoformat(trace["until"]).astimezone()
    by = f", by the {trace['by']}" if "by" in trace else ""
    return f"on until {until:%Y-%m-%d %H:%M:%S %Z}, {'with' if trace['values'] else 'without'} values{by}"


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
        click.echo(f"Verbose trace: {_phrase(found)}.")
        if found["processId"] is None:
            click.echo("The agent does not run; the trace begins when it is started.")
    else:
        click.echo("Verbose trace: off.")
    for file in found["files"]:
        click.echo(f"{file['size']:>12,} bytes  {found['folder']}/{file['name']}")
