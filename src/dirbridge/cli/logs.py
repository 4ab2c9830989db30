"""`dirbridge logs`: the provisioning log through the API."""

from __future__ import annotations

import re
import time
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from typing import Any

import click
from rich.text import Text

from dirbridge.cli.client import Client, Profile, console, options, plain, print_json, table

POLL = 2.0
OVERLAP = timedelta(seconds=60)
"""How far `--follow` looks back: events of a page are dated before its transaction ends."""

_PATH = "/auditLogs/provisioning"
_AGO = re.compile(r"(\d{1,6})\s*([smhd])")
_UNITS = {"s": "seconds", "m": "minutes", "h": "hours", "d": "days"}
_LOOK = {"success": "green", "failure": "red", "warning": "yellow", "skipped": "dim"}

Row = dict[str, Any]


class Since(click.ParamType[datetime]):
    """A time, or how long ago."""

    name = "since"

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> datetime:
        if isinstance(value, datetime):
            return value
        ago = _AGO.fullmatch(str(value).strip())
        try:
            if ago is not None:
                return datetime.now(UTC) - timedelta(**{_UNITS[ago[2]]: int(ago[1])})
            return datetime.fromisoformat(str(value)).astimezone(UTC)
        except (ValueError, OverflowError):
            self.fail(f"'{value}' is no time; expected is one like 2026-01-31T08:00, or 30m, 2h, 7d ago.", param, ctx)


@click.command()
@click.option("--job", metavar="ID", help="Of this job only.")
@click.option("--status", type=click.Choice(["success", "failure", "skipped", "warning"], case_sensitive=False))
@click.option(
    "--action",
    type=click.Choice(["create", "update", "disable", "delete", "stagedDelete", "other"], case_sensitive=False),
)
@click.option("--code", metavar="CODE", help="With this code of a failure or skip, such as NotInScope.")
@click.option("--since", type=Since(), metavar="TIME", help="A time, or how long ago: 30m, 2h, 7d.")
@click.option("--source-id", metavar="ID", help="Of the source entry with this id (objectGUID).")
@click.option("--limit", type=click.IntRange(min=1), default=50, show_default=True, help="How many at most.")
@click.option("--follow", is_flag=True, help="Go on with new ones, until Ctrl-C.")
@options
def logs(
    profile: Profile,
    job: str | None,
    status: str | None,
    action: str | None,
    code: str | None,
    since: datetime | None,
    source_id: str | None,
    limit: int,
    follow: bool,
    as_json: bool,
) -> None:
    """Show what happened to entries, the newest last.

    With --json one document, a list; with --json --follow one document a line.
    """
    clauses = _clauses(job=job, status=status, action=action, code=code, source_id=source_id)
    with Client.open(profile) as client:
        rows = _latest(client, clauses, since, limit)
        if not follow:
            _print(rows, as_json=as_json)
            return
        _print_each(rows, as_json=as_json)
        for row in _new(client, clauses, rows):
            _print_each([row], as_json=as_json)


def _clauses(
    *, job: str | None, status: str | None, action: str | None, code: str | None, source_id: str | None
) -> list[str]:
    wanted = {
        "jobId": job,
        "provisioningStatusInfo/status": status,
        "provisioningAction": action,
        "provisioningStatusInfo/errorInformation/errorCode": code,
        "sourceIdentity/id": source_id,
    }
    return [f"{name} eq {_quoted(value)}" for name, value in wanted.items() if value is not None]


def _quoted(text: str) -> str:
    return "'" + text.replace("'", "''") + "'"


def _stamp(moment: datetime) -> str:
    return moment.astimezone(UTC).isoformat().replace("+00:00", "Z")


def _query(clauses: list[str]) -> dict[str, str | int]:
    return {"filter": " and ".join(clauses)} if clauses else {}


def _latest(client: Client, clauses: list[str], since: datetime | None, limit: int) -> list[Row]:
    """Give the newest events that fit, the newest last."""
    wanted = [*clauses, *([f"activityDateTime ge {_stamp(since)}"] if since else [])]
    found: list[Row] = []
    for row in client.pages(_PATH, top=min(limit, 1000), **_query(wanted)):
        found.append(row)
        if len(found) == limit:
            break
    return found[::-1]


def _new(client: Client, clauses: list[str], known: list[Row]) -> Iterator[Row]:
    """Give events as they come. Each look overlaps the one before, since events commit after the time they bear."""
    latest = max((datetime.fromisoformat(row["activityDateTime"]) for row in known), default=datetime.now(UTC))
    seen = {row["id"]: datetime.fromisoformat(row["activityDateTime"]) for row in known}
    while True:
        time.sleep(POLL)
        begin = latest - OVERLAP
        wanted = [*clauses, f"activityDateTime ge {_stamp(begin)}"]
        for row in client.pages(_PATH, top=1000, orderby="activityDateTime asc", **_query(wanted)):
            moment = datetime.fromisoformat(row["activityDateTime"])
            latest = max(latest, moment)
            if row["id"] not in seen:
                seen[row["id"]] = moment
                yield row
        seen = {id: moment for id, moment in seen.items() if moment >= begin}


# Output ---------------------------------------------------------------------------------------------------------------


def _print(rows: list[Row], *, as_json: bool) -> None:
    if as_json:
        print_json(rows)
        return
    if not rows:
        click.echo("No event fits.")
        return
    shown = table("Time", "Action", "Status", "Source", "What happened", unbroken={"Time", "Action", "Status"})
    for row in rows:
        shown.add_row(*_cells(row))
    console().print(shown)


def _print_each(rows: list[Row], *, as_json: bool) -> None:
    screen = console()
    for row in rows:
        if as_json:
            print_json(row, line=True)
        else:
            moment, action, status, source, said = _cells(row)
            line = Text.assemble(f"{moment}  {action:<12} ", status, f"{'':{max(0, 8 - len(status))}} {source}  {said}")
            screen.print(line, soft_wrap=True)


def _cells(row: Row) -> tuple[str, str, Text, str, str]:
    status = str(row["provisioningStatusInfo"]["status"])
    source = row["sourceIdentity"]
    return (
        datetime.fromisoformat(row["activityDateTime"]).astimezone().strftime("%Y-%m-%d %H:%M:%S"),
        plain(row["provisioningAction"]),
        Text(status, style=_LOOK.get(status, "")),
        plain(f"{source.get('identityType') or 'entry'} {source.get('displayName') or source.get('id')}"),
        plain(_said(row)),
    )


def _said(row: Row) -> str:
    """Say in one line what became of the entry: why it failed, or what its last step did and to which properties."""
    error = row["provisioningStatusInfo"].get("errorInformation")
    steps = row.get("provisioningSteps") or []
    last = str(steps[-1]["description"]) if steps else ""
    if error and row["provisioningStatusInfo"]["status"] == "skipped":
        return f"{error.get('errorCode')}: {last or error.get('reason')}"
    if error and row["provisioningStatusInfo"]["status"] in {"failure", "warning"}:
        return f"{error.get('errorCode')}: {error.get('reason')} {error.get('recommendedAction') or ''}".strip()
    names = [str(each["displayName"]) for each in row.get("modifiedProperties") or []]
    if not names or row["provisioningAction"] == "create":
        return last
    shown = ", ".join(names[:5]) + (f" and {len(names) - 5} more" if len(names) > 5 else "")
    return f"{last} Changed: {shown}."
