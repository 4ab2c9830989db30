"""`dirbridge notifications`: what people were told, and whether telling them works."""

from __future__ import annotations

from datetime import datetime
from typing import Any

import click
from rich.table import Table
from rich.text import Text

from dirbridge.cli.client import Client, Profile, console, options, plain, print_json

_PATH = "/beta/dirbridge/notifications"
_LOOK = {"sent": "green", "failed": "red", "waiting": "yellow", "gathering": "cyan"}


@click.group()
def notifications() -> None:
    """See what people were told by mail and webhook, and try whether it arrives."""


@notifications.command()
@click.option("--recipient", metavar="MAILBOX", help="Send a mail to this mailbox only.")
@options
def test(profile: Profile, recipient: str | None, as_json: bool) -> int:
    """Send a test message to all who would be told, and say what mail server and webhooks answered.

    Leaves with 1 where a message was not taken.
    """
    with Client.open(profile) as client:
        trials = client.post(f"{_PATH}/test", {"recipient": recipient} if recipient else {})["value"]
    if as_json:
        print_json(trials)
    else:
        for trial in trials:
            _say(trial)
    return 0 if all(trial["delivered"] for trial in trials) else 1


def _say(trial: dict[str, Any]) -> None:
    whom = f"{trial['channel']} to {plain(trial['recipient'])}"
    if trial["delivered"]:
        click.echo(f"{click.style('taken', fg='green')}    {whom}: {plain(trial['answer'])}")
        return
    click.echo(f"{click.style('not taken', fg='red')}  {whom}: {plain(trial['code'])}: {plain(trial['answer'])}")
    if trial.get("recommendedAction"):
        click.echo(f"           {plain(trial['recommendedAction'])}")


@notifications.command("list")
@click.option("--limit", type=click.IntRange(1, 1000), default=50, show_default=True, help="How many at most.")
@options
def list_messages(profile: Profile, limit: int, as_json: bool) -> None:
    """List recent messages with what became of them, the newest last."""
    with Client.open(profile) as client:
        found = client.get(_PATH, top=limit)["value"][::-1]
    if as_json:
        print_json(found)
        return
    if not found:
        click.echo("Nobody was told of anything yet.")
        return
    table = Table(box=None, pad_edge=False, header_style="bold")
    for heading in ("Time", "State", "Tries", "To", "About", "Answer"):
        table.add_column(
            heading, justify="right" if heading == "Tries" else "left", no_wrap=heading in {"Time", "State"}
        )
    for message in found:
        table.add_row(
            datetime.fromisoformat(message["createdDateTime"]).astimezone().strftime("%Y-%m-%d %H:%M:%S"),
            Text(message["state"], style=_LOOK.get(message["state"], "")),
            str(message["attempts"]),
            plain(message["recipient"]),
            plain(_about(message["notices"])),
            plain(message["answer"] or ""),
        )
    console().print(table)


def _about(notices: list[dict[str, Any]]) -> str:
    said = [f"{each['domain']} {each['kind']}" + (f" ({each['code']})" if each["code"] else "") for each in notices]
    return ", ".join(said[:5]) + (f" and {len(said) - 5} more" if len(said) > 5 else "")
