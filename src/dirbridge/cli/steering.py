"""`dirbridge jobs start`, `pause`, `run`, `restart`, `clear-quarantine`, `quarantine`, `settings`: steer one job."""

from __future__ import annotations

from typing import Any
from urllib.parse import quote

import click
from rich.table import Table

from dirbridge.cli.client import Client, Profile, console, options, plain, print_json
from dirbridge.cli.finding import Found, again, find, path

RESET_SCOPES = ("None", "ConnectorDataStore", "Escrows", "Watermark", "QuarantineState", "Full", "ForceDeletes")

_wanted = click.argument("job", required=False)


@click.command()
@_wanted
@options
def start(profile: Profile, job: str | None, as_json: bool) -> None:
    """Let a job run; from quarantine too, and when it was disabled."""
    _act(profile, job, "start", None, as_json, "was started")


@click.command()
@_wanted
@options
def pause(profile: Profile, job: str | None, as_json: bool) -> None:
    """Stop a job, keeping its state."""
    _act(profile, job, "pause", None, as_json, "is paused")


@click.command()
@_wanted
@options
def run(profile: Profile, job: str | None, as_json: bool) -> None:
    """Run a job's next cycle now; a quarantine stays."""
    _act(profile, job, "run", None, as_json, "is due now", ours=True)


@click.command()
@_wanted
@click.option(
    "--reset-scope",
    "scopes",
    multiple=True,
    type=click.Choice(RESET_SCOPES, case_sensitive=False),
    help="What is cleared; may be repeated [QuarantineState, Watermark, Escrows].",
)
@options
def restart(profile: Profile, job: str | None, scopes: tuple[str, ...], as_json: bool) -> None:
    """Clear quarantine, failures and position, and read everything again; or exactly what is named."""
    body = {"criteria": {"resetScope": ", ".join(scopes)}} if scopes else {"criteria": {}}
    _act(profile, job, "restart", body, as_json, "was restarted")


@click.command("clear-quarantine")
@_wanted
@options
def clear_quarantine(profile: Profile, job: str | None, as_json: bool) -> None:
    """Lift a quarantine, go on from the last position, and try again at once what failed."""
    _act(profile, job, "clearQuarantine", None, as_json, "is out of quarantine", ours=True)


@click.command()
@_wanted
@click.option("--reason", default="", metavar="TEXT", help="Why, for those who find it there.")
@options
def quarantine(profile: Profile, job: str | None, reason: str, as_json: bool) -> None:
    """Put a job into quarantine: it runs less and less often, until a person lifts it."""
    _act(profile, job, "quarantine", {"reason": reason}, as_json, "is in quarantine", ours=True)


@click.command()
@_wanted
@click.option("--set", "given", multiple=True, metavar="NAME=VALUE", help="Change one; may be repeated.")
@click.option("--unset", "taken", multiple=True, metavar="NAME", help="Go back to its default; may be repeated.")
@options
def settings(profile: Profile, job: str | None, given: tuple[str, ...], taken: tuple[str, ...], as_json: bool) -> None:
    """Show what a job allows before it stops, or change it; it holds from the next cycle on."""
    odd = [each for each in given if not all(each.partition("="))]
    if odd:
        raise click.BadParameter(f"expected NAME=VALUE; found {odd[0]!r}", param_hint="--set")
    pairs = (each.partition("=") for each in given)
    wanted: list[dict[str, str | None]] = [{"name": name, "value": value} for name, _, value in pairs]
    wanted += [{"name": name, "value": None} for name in taken]
    with Client.open(profile) as client:
        found = find(client, job)
        if wanted:
            client.patch(path(found), {"synchronizationJobSettings": wanted})
            found = again(client, found)
    if as_json:
        print_json(found["synchronizationJobSettings"])
        return
    table = Table(box=None, show_header=False, pad_edge=False)
    for each in found["synchronizationJobSettings"]:
        table.add_row(plain(each["name"]), plain(each["value"]))
    console().print(table)


def _act(
    profile: Profile, job: str | None, action: str, body: Any, as_json: bool, said: str, *, ours: bool = False
) -> None:
    """Do something to a job and show it.

    Args:
        ours: Graph has no word for it, so it lies under dirbridge's own addresses.
    """
    with Client.open(profile) as client:
        found = find(client, job)
        client.post(f"{_own_path(found) if ours else path(found)}/{action}", body)
        found = again(client, found)
    if as_json:
        print_json(found)
    else:
        click.echo(f"Job {found['id']} of {plain(found['domain'])} {said}.")


def _own_path(job: Found) -> str:
    return f"/beta/dirbridge/jobs/{quote(str(job['id']), safe='')}"
