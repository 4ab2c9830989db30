"""`dirbridge admin keys`: the keys that sign tokens."""

from __future__ import annotations

from urllib.parse import quote

import click

from dirbridge.cli.client import Client, Profile, console, options, plain, print_json, table
from dirbridge.cli.telling import moment

_PATH = "/beta/dirbridge/signingKeys"


@click.group()
def keys() -> None:
    """Manage the keys that sign tokens. They are named by their `kid`."""


@keys.command("list")
@options
def list_keys(profile: Profile, as_json: bool) -> None:
    """List the keys, the one that begins to sign last first."""
    with Client.open(profile) as client:
        found = client.get(_PATH)["value"]
    if as_json:
        print_json(found)
        return
    shown = table("Key", "State", "Made", "Signs from", "Removed from")
    for each in found:
        times = (moment(each[name]) for name in ("createdDateTime", "signsFromDateTime", "removedFromDateTime"))
        shown.add_row(plain(each["id"]), plain(each["state"]), *times)
    console().print(shown)


@keys.command()
@click.option("--now", "at_once", is_flag=True, help="Let the new key sign at once.")
@click.option(
    "--delay", type=click.FloatRange(0, 720), metavar="HOURS", default=24, show_default=True,
    help="Let it sign after so many hours; it is published meanwhile.",
)  # fmt: skip
@options
def rotate(profile: Profile, at_once: bool, delay: float, as_json: bool) -> None:
    """Make a new key. The old one goes by itself, once nothing that it signed is good any longer."""
    with Client.open(profile) as client:
        made = client.post(_PATH, {"delayHours": 0 if at_once else delay})
    made.pop("@odata.context", None)
    if as_json:
        print_json(made)
        return
    click.echo(f"The key {plain(made['id'])} signs from {moment(made['signsFromDateTime'])} on.")


@keys.command()
@click.argument("key")
@click.option("--yes", is_flag=True, help="Do not ask.")
@options
def remove(profile: Profile, key: str, yes: bool, as_json: bool) -> None:
    """Remove KEY at once: everything that it signed is refused within five seconds, and another key signs."""
    if not yes:
        click.confirm(f"Remove the key {plain(key)}? All its tokens become void.", abort=True, err=True)
    with Client.open(profile) as client:
        client.delete(f"{_PATH}/{quote(key, safe='')}")
    if as_json:
        print_json({})
    else:
        click.echo(f"{plain(key)} was removed.")
