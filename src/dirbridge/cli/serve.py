"""`dirbridge serve`: one process of the service at a terminal or under a supervisor."""

from __future__ import annotations

import asyncio
import json
import os
import signal
import sys

import click
import uvloop

import dirbridge
from dirbridge.service import logs, process
from dirbridge.service.process import Ready
from dirbridge.service.settings import Settings, load

FORCED = 130


@click.command()
@click.option("--data", metavar="DIR", help="Folder of the embedded database, the keys and the CA's certificate.")
@click.option("--database-url", metavar="URL", help="PostgreSQL to use instead of the embedded one.")
@click.option("--listen", metavar="HOST:PORT", help="Where to accept connections [127.0.0.1:8443].")
@click.option("--base-url", metavar="URL", help="Where clients and agents reach the service, if not at --listen.")
@click.option("--tls-cert", metavar="FILE", help="Certificate chain in PEM, in place of one of the tenant's own CA.")
@click.option("--tls-key", metavar="FILE", help="Its private key in PEM.")
@click.option("--role", metavar="all|api|worker", help="Answer requests, run jobs, or both [all].")
@click.option("--json", "as_json", is_flag=True, help="Print what there is to say as one JSON object a line.")
def serve(as_json: bool, **given: str | None) -> None:
    """Run the service until SIGTERM or Ctrl-C; a second one does not wait.

    Every option can be set by an environment variable, DIRBRIDGE_DATA for --data and so on; docs/settings.md lists
    them and more. A database without a tenant gets one, as by `dirbridge init`.
    """
    settings = load(given)
    logs.configure(settings.log_level, settings.log_format)
    with asyncio.Runner(loop_factory=uvloop.new_event_loop) as runner:
        runner.run(_serve(settings, as_json=as_json))


async def _serve(settings: Settings, *, as_json: bool) -> None:
    stop = asyncio.Event()
    loop = asyncio.get_running_loop()
    serving = asyncio.create_task(
        process.serve(settings, stop, lambda ready: click.echo(_line(ready, as_json=as_json)))
    )

    def leave() -> None:
        if stop.is_set():
            click.echo("Stopped at once.", err=True)
            sys.stdout.flush()
            os._exit(FORCED)  # the embedded database ends with us, in good order
        stop.set()
        loop.call_later(settings.stop_timeout, serving.cancel)

    for name in (signal.SIGTERM, signal.SIGINT):
        loop.add_signal_handler(name, leave)
    try:
        await serving
    except asyncio.CancelledError:
        if not stop.is_set():
            raise


def _line(ready: Ready, *, as_json: bool) -> str:
    if as_json:
        said = {
            "baseUrl": ready.base_url,
            "caFile": str(ready.ca_file),
            "credentialsFile": str(ready.credentials) if ready.credentials else None,
        }
        return json.dumps(said)
    lines = []
    if ready.credentials:
        lines.append(f"A new tenant was made. Its credentials are in {ready.credentials}: read them, then remove it.")
    answers = f"answers at {ready.base_url}" if ready.base_url else "runs jobs"
    lines.append(f"dirbridge {dirbridge.__version__} {answers} (CA certificate: {ready.ca_file})")
    return "\n".join(lines)
