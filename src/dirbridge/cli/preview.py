"""`dirbridge preview`: what a job's next whole cycle would do, with saved or proposed settings, before it does it."""

from __future__ import annotations

import time
from pathlib import Path
from typing import Any
from urllib.parse import quote

import click
from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, SpinnerColumn, TextColumn, TimeRemainingColumn

from dirbridge.cli.client import Client, Profile, console, options, plain, print_json, table
from dirbridge.cli.finding import find
from dirbridge.cli.schema import read
from dirbridge.contract.errors import TransientError

POLL = 0.5
"""Seconds between two looks."""

_WORDS = {
    ("create", "success"): "would be created",
    ("update", "success"): "would be updated",
    ("disable", "success"): "would be disabled",
    ("delete", "success"): "would be deleted",
    ("stagedDelete", "warning"): "would wait for a person's word",
    ("other", "skipped"): "would be left out",
    ("other", "warning"): "could not be judged",
}


@click.command()
@click.argument("job", required=False)
@click.option("--schema", type=click.Path(dir_okay=False, path_type=Path), help="Schema document to try, as JSON.")
@click.option("--set", "settings", multiple=True, metavar="NAME=VALUE", help="Setting to try; can be repeated.")
@click.option("--csv", "csv_file", type=click.Path(dir_okay=False, path_type=Path), help="Write the whole list there.")
@click.option("--limit", default=50, show_default=True, type=click.IntRange(0), help="How many entries to show.")
@click.option("--timeout", type=click.FloatRange(min=0), help="Seconds to wait for its end.")
@options
def preview(
    profile: Profile,
    job: str | None,
    schema: Path | None,
    settings: tuple[str, ...],
    csv_file: Path | None,
    limit: int,
    timeout: float | None,
    as_json: bool,
) -> int:
    """Show what a whole cycle of JOB would create, change and remove, and what would fail. Nothing is written.

    JOB is a job's id, the beginning of it, or its domain; where there is only one job, it can be left out. Exit code 1
    where entries would fail or deletes would wait.
    """
    wish: dict[str, Any] = {}
    if schema is not None:
        wish["schema"] = read(schema)
    if settings:
        wish["settings"] = dict(_pair(text) for text in settings)
    with Client.open(profile) as client:
        found = find(client, job)
        made = client.post(f"/beta/dirbridge/jobs/{quote(str(found['id']), safe='')}/previews", wish)
        where = f"/beta/dirbridge/jobs/{quote(str(found['id']), safe='')}/previews/{made['id']}"
        try:
            ended = _follow(client, where, timeout, quiet=as_json)
        except KeyboardInterrupt:
            client.delete(where)
            raise
        rows = []
        if limit and ended["status"] == "succeeded":
            for row in client.pages(f"{where}/changes", top=min(limit, 1000)):
                rows.append(row)
                if len(rows) == limit:
                    break
        if csv_file is not None:
            client.download(f"{where}/changes.csv", csv_file)
    if as_json:
        print_json({**ended, "changes": rows})
    else:
        _print(ended, rows, csv_file)
    return _outcome(ended)


def _pair(text: str) -> tuple[str, str]:
    name, equals, value = text.partition("=")
    if not equals or not name:
        raise click.UsageError(f"--set takes NAME=VALUE; found '{text}'.")
    return name, value


def _follow(client: Client, where: str, timeout: float | None, *, quiet: bool) -> dict[str, Any]:
    """Wait for the end, with a bar."""
    until = None if timeout is None else time.monotonic() + timeout
    columns = (SpinnerColumn(), TextColumn("{task.description}"), BarColumn(), MofNCompleteColumn())
    with Progress(*columns, TimeRemainingColumn(), console=Console(stderr=True), disable=quiet, transient=True) as bar:
        task = bar.add_task("Waiting for a worker", total=None)
        while True:
            shown = client.get(where)
            if shown["status"] not in {"waiting", "running"}:
                return shown
            for progress in shown["progress"]:
                total = max(progress["totalUnits"], progress["completedUnits"])
                bar.update(task, description="Trying", completed=progress["completedUnits"], total=total)
            if until is not None and time.monotonic() > until:
                raise TransientError(
                    f"The preview is still {shown['status']} after {timeout:g} seconds.",
                    code="StillRunning",
                    recommended_action="It goes on. Ask again with more patience; see that a worker runs.",
                )
            time.sleep(POLL)


def _outcome(ended: dict[str, Any]) -> int:
    if ended["status"] != "succeeded":
        return 1
    return 1 if any(row["status"] == "failure" or row["action"] == "stagedDelete" for row in ended["counts"]) else 0


def _print(ended: dict[str, Any], rows: list[dict[str, Any]], csv_file: Path | None) -> None:
    if ended["error"]:
        click.echo(plain(f"The preview {ended['status']}: {ended['error']['code']}: {ended['error']['message']}"))
        return
    if ended["status"] != "succeeded":
        click.echo(f"The preview was {ended['status']}.")
        return
    if not ended["counts"]:
        click.echo("Nothing would change.")
    for row in ended["counts"]:
        said = "would fail" if row["status"] == "failure" else _WORDS.get((row["action"], row["status"]), row["action"])
        reason = f" ({row['reason']})" if row["reason"] and row["status"] != "skipped" else ""
        click.echo(plain(f"{row['number']:>8,}  {row['type']} {said}{reason}"))
    if ended["quarantine"]:
        error = ended["quarantine"].get("error") or {}
        click.echo(plain(f"The job would go into quarantine: {error.get('message') or ended['quarantine']['reason']}"))
    if rows:
        _list(rows, sum(row["number"] for row in ended["counts"]))
    if csv_file is not None:
        click.echo(f"The whole list is in {csv_file}.")


def _list(rows: list[dict[str, Any]], total: int) -> None:
    shown = table("Action", "Status", "Source", "What would happen", unbroken={"Action", "Status"})
    for row in rows:
        error = row["provisioningStatusInfo"].get("errorInformation") or {}
        source = row["sourceIdentity"]
        changed = ", ".join(each["displayName"] for each in row["modifiedProperties"][:5])
        shown.add_row(
            plain(row["provisioningAction"]),
            plain(row["provisioningStatusInfo"]["status"]),
            plain(f"{source['identityType']} {source['displayName'] or source['id']}"),
            plain(error.get("reason") or changed),
        )
    console().print(shown)
    if total > len(rows):
        click.echo(f"{total - len(rows):,} more; --csv FILE writes them all, --limit shows more.")
