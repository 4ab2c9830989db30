"""`dirbridge agent`: make a code, enrol a host, run the agent, see how it is.

Those of `agents` speak to the API from anywhere; the others act on the agent of this host.
"""

from __future__ import annotations

import asyncio
import json
import signal
import sys
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import click

from dirbridge.cli import agent_places
from dirbridge.cli.agent_install import install, uninstall
from dirbridge.cli.agent_permissions import permissions
from dirbridge.cli.agent_trace import trace
from dirbridge.cli.agent_updater import supervise, updater
from dirbridge.cli.agents import code, list_agents, revoke, show
from dirbridge.contract.errors import DirbridgeError

NOT_RUNNING = 1
CHECK_FAILED = 1

_json = click.option("--json", "as_json", is_flag=True, help="Print JSON.")


@click.group()
def agent() -> None:
    """Enrol and run the agent beside a directory."""


agent.add_command(install)
agent.add_command(uninstall)
agent.add_command(permissions)
agent.add_command(updater)
agent.add_command(supervise)
agent.add_command(trace)
agent.add_command(code)
agent.add_command(list_agents)
agent.add_command(show)
agent.add_command(revoke)


@agent.command()
@click.option("--service", required=True, metavar="URL", help="Where the service answers, as https://HOST:PORT.")
@click.option(
    "--code", "code_text", required=True, metavar="CODE", help="The one-time code; - reads it from standard input."
)
@agent_places.settings
@agent_places.state
@click.option(
    "--ca-file",
    type=click.Path(path_type=Path, dir_okay=False),
    help="Certificates that verify the service's TLS where it is not of the service's own CA.",
)
@click.option("--replace", is_flag=True, help="Enrol as a new agent although one is enrolled here.")
@_json
def enrol(
    service: str,
    code_text: str,
    settings_file: Path | None,
    state_folder: Path | None,
    ca_file: Path | None,
    replace: bool,
    as_json: bool,
) -> None:
    """Make this host an agent, with a code from `dirbridge agent code`.

    The code's fingerprint of the service is compared before anything secret is sent. The agent's private key is made
    here and stays here.
    """
    from dirbridge.agent import enrol as enrolling
    from dirbridge.agent import settings as agent_settings
    from dirbridge.agent import state

    file = settings_file or agent_settings.default_file()
    # The settings may be written after enrolling; if they are there, faults in them are told before the code is spent.
    known = agent_settings.load(file) if settings_file or file.exists() else None
    folder = state_folder or state.default_folder()
    text = sys.stdin.read() if code_text == "-" else code_text
    identity = asyncio.run(
        enrolling.enrol(
            service,
            text,
            folder,
            common=known.common if known else None,
            domains=known.names if known else (),
            ca_file=ca_file,
            replace=replace,
        )
    )
    if as_json:
        click.echo(
            json.dumps(
                {
                    "agentId": identity.agent,
                    "service": identity.service,
                    "domains": identity.domains,
                    "state": str(folder),
                    "settings": str(file),
                }
            )
        )
        return
    click.echo(f"Enrolled as agent {identity.agent} for {', '.join(identity.domains)}; its state is in {folder}.")
    click.echo(f"Next: {'' if known else f'write {file}, then '}run `dirbridge agent run`.")


@agent.command()
@agent_places.settings
@agent_places.state
def run(settings_file: Path | None, state_folder: Path | None) -> None:
    """Run the agent until SIGTERM or Ctrl-C."""
    from dirbridge.agent import settings as agent_settings
    from dirbridge.agent import state, tracing
    from dirbridge.agent.runner import Runner, only_one

    settings = agent_settings.load(settings_file or agent_settings.default_file())
    folder = state_folder or state.default_folder()
    opened = state.load(folder)
    with only_one(folder):
        tracing.set_up(settings, folder)
        with tracing.last_words():
            asyncio.run(_run(Runner(settings, opened)))


async def _run(runner: Any) -> None:
    stop = asyncio.Event()
    loop = asyncio.get_running_loop()
    for name in (signal.SIGTERM, signal.SIGINT):
        loop.add_signal_handler(name, stop.set)
    await runner.run(stop)


@agent.command()
@agent_places.settings
@agent_places.state
@_json
@click.pass_context
def status(context: click.Context, settings_file: Path | None, state_folder: Path | None, as_json: bool) -> None:
    """Show who this agent is, whether it runs, and whether the service accepts it.

    Exit code 0 where both are so, 1 where it does not run, 4 where it is not accepted, 5 where the service is away.
    """
    from dirbridge.agent import settings as agent_settings
    from dirbridge.agent import state
    from dirbridge.agent.health import REPORT
    from dirbridge.agent.runner import running_pid
    from dirbridge.cli.main import exit_code

    folder = state_folder or state.default_folder()
    opened = state.load(folder)
    file = settings_file or agent_settings.default_file()
    common = agent_settings.load(file).common if settings_file or file.exists() else agent_settings.Common()
    failure = asyncio.run(_try_service(opened, common))
    pid = running_pid(folder)
    try:
        report: Mapping[str, Any] = json.loads((folder / REPORT).read_text("utf-8")) if pid else {}
    except (OSError, ValueError):
        report = {}
    found = {
        "agentId": opened.identity.agent,
        "service": opened.identity.service,
        "domains": list(opened.identity.domains),
        "certificateExpirationDateTime": opened.certificate.not_valid_after_utc.strftime("%Y-%m-%dT%H:%M:%SZ"),
        "processId": pid,
        "uptimeInSeconds": report.get("uptime"),
        "requestsInProgress": report.get("queue"),
        "lastError": report.get("lastError"),
        "accepted": failure is None,
        "refusal": None if failure is None else {"code": failure.code, "message": str(failure)},
    }
    if as_json:
        click.echo(json.dumps(found))
    else:
        for line in _lines(found):
            click.echo(line)
    if failure is not None:
        context.exit(exit_code(failure))
    if pid is None:
        context.exit(NOT_RUNNING)


async def _try_service(opened: Any, common: Any) -> DirbridgeError | None:
    """Ask the service for a token, and say why it gave none."""
    from dirbridge.agent.client import ServiceClient

    async with ServiceClient(opened, common) as client:
        try:
            await client.sign_in()
        except DirbridgeError as error:
            return error
    return None


def _lines(found: Mapping[str, Any]) -> list[str]:
    running = f"yes, process {found['processId']}" if found["processId"] else "no"
    service = "accepts it" if found["accepted"] else found["refusal"]["message"]
    rows = [
        ("Agent", found["agentId"]),
        ("Domains", ", ".join(found["domains"])),
        ("Running", running),
        ("Service", f"{found['service']}: {service}"),
        ("Certificate", f"good until {found['certificateExpirationDateTime']}"),
    ]
    if found["lastError"]:
        rows.append(("Last error", found["lastError"]))
    return [f"{name + ':':<13}{value}" for name, value in rows]


@agent.command()
@agent_places.settings
@agent_places.state
@_json
@click.pass_context
def check(context: click.Context, settings_file: Path | None, state_folder: Path | None, as_json: bool) -> None:
    """Test everything that this host's agent needs, and say what to do where something is wrong.

    Installation, settings, enrolment, process, files, certificate, the way to the service, and each directory of the
    settings, which is signed in to once. Exit code 0 where nothing failed, 1 where something did.
    """
    from dirbridge.cli import agent_check

    if not asyncio.run(agent_check.examine(settings_file, state_folder, as_json=as_json)):
        context.exit(CHECK_FAILED)
