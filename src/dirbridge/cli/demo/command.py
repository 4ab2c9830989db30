"""`dirbridge demo`: the whole way from a domain controller to the tenant, on this machine, in a minute."""

from __future__ import annotations

import asyncio
import json
import signal
import sys
from pathlib import Path

import click
from rich.console import Console

from dirbridge.cli.demo import company, run
from dirbridge.cli.demo.ldap_run import LdapDemo
from dirbridge.cli.demo.run import Demo, Options, Outcome
from dirbridge.cli.demo.screen import Screen

KINDS: dict[str, type[Demo]] = {"active-directory": Demo, "openldap": LdapDemo}
"""By the directory that is asked for."""
SIGNALS = (signal.SIGINT, signal.SIGTERM, signal.SIGHUP)


@click.command()
@click.option("--once", is_flag=True, help="Verify, print a summary whose last line is JSON, and leave.")
@click.option("--json", "as_json", is_flag=True, help="Print the summary only, as JSON; the rest goes to stderr.")
@click.option(
    "--keep",
    type=click.Path(file_okay=False, path_type=Path),
    metavar="DIR",
    help="Keep all files in this new or empty folder.",
)
@click.option(
    "--users",
    type=click.IntRange(min=company.MINIMUM_USERS),
    default=company.USERS,
    show_default=True,
    metavar="N",
    help="How many people the company has.",
)
@click.option(
    "--source",
    type=click.Choice(tuple(KINDS)),
    default="active-directory",
    show_default=True,
    help="The directory to show it with.",
)
def demo(once: bool, as_json: bool, keep: Path | None, users: int, source: str) -> int:
    """Show it all: a throw-away Active Directory with a made-up company, brought to a tenant of its own.

    Starts a Samba domain controller (or OpenLDAP) on a loopback address, the service with its embedded database, and
    an agent; syncs; makes a dozen changes in the directory and shows each arriving. Runs until Ctrl-C, then removes it
    all. With --once it leaves by itself: with 0 when the tenant is what the directory says, else with 1.
    """
    console = Console(stderr=as_json)
    outcome, number = asyncio.run(
        _until_told(Options(once=once, keep=keep, users=users, source=source), Screen(console))
    )
    if number is not None and not outcome.is_complete:
        return 128 + number
    if once or as_json:
        click.echo(json.dumps(outcome.document(), ensure_ascii=False))
    sys.stdout.flush()
    return 0 if outcome.ok else 1


async def _until_told(options: Options, screen: Screen) -> tuple[Outcome, int | None]:
    """Run the demo until it ends or a signal comes; gives the signal too."""
    loop = asyncio.get_running_loop()
    told: list[int] = []
    outcome = Outcome()
    task = asyncio.create_task(run.run(KINDS[options.source], options, screen, outcome))

    def leave(number: int) -> None:
        told.append(number)
        if len(told) == 1:  # a second one must not tear the stopping apart
            task.cancel()
            screen.say("\nStopping.")

    for number in SIGNALS:
        loop.add_signal_handler(number, leave, number)
    try:
        await task
    except asyncio.CancelledError:
        if not told:
            raise
    finally:
        for number in SIGNALS:
            loop.remove_signal_handler(number)
    return outcome, told[0] if told else None
