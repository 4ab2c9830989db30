"""`dirbridge jobs`: create, show, steer and watch synchronization jobs through the API."""

from __future__ import annotations

import time
from collections.abc import Iterator
from datetime import datetime
from typing import Any

import click
from rich.progress import BarColumn, MofNCompleteColumn, Progress, SpinnerColumn, TextColumn, TimeRemainingColumn
from rich.table import Table
from rich.text import Text

from dirbridge.cli.client import Client, Profile, console, options, plain, print_json
from dirbridge.cli.finding import Found, again, all_jobs, find, path
from dirbridge.cli.staged import allow_deletes, reject_deletes, staged
from dirbridge.contract.errors import DirbridgeError

APPLICATION_TEMPLATE = "1a4721b3-e57f-4451-ae87-ef078703ec94"
JOB_TEMPLATE = "AD2AADProvisioning"
POLL = 0.5
"""Seconds between two looks at a job that is watched."""

RESET_SCOPES = ("None", "ConnectorDataStore", "Escrows", "Watermark", "QuarantineState", "Full", "ForceDeletes")
_LOOK: dict[str, str] = {"Active": "green", "Quarantine": "red", "Paused": "yellow", "NotRun": "cyan"}

_wanted = click.argument("job", required=False)


@click.group()
def jobs() -> None:
    """Create, start and watch synchronization jobs.

    JOB is a job's id, the beginning of it, or its domain; where there is only one job, it can be left out.
    """


for _command in (staged, allow_deletes, reject_deletes):
    jobs.add_command(_command)


@jobs.command()
@click.option("--domain", required=True, metavar="NAME", help="DNS name of the domain to read.")
@click.option("--start", "start_it", is_flag=True, help="Start it at once.")
@options
def create(profile: Profile, domain: str, start_it: bool, as_json: bool) -> None:
    """Make a job that reads a domain, with the default mapping."""
    with Client.open(profile) as client:
        wanted = domain.strip().rstrip(".").lower()
        for known in all_jobs(client):
            if known["domain"] == wanted:
                raise DirbridgeError(
                    f"The domain '{wanted}' has a job already: {known['id']}.",
                    code="JobExists",
                    recommended_action="Start that one, or delete it first.",
                )
        principal = _application(client, wanted)
        made = client.post(f"/servicePrincipals/{principal}/synchronization/jobs", {"templateId": JOB_TEMPLATE})
        job: Found = {**made, "domain": wanted, "servicePrincipalId": principal}
        if start_it:
            client.post(f"{path(job)}/start")
            job = again(client, job)
        job.pop("@odata.context", None)
    if as_json:
        print_json(job)
    else:
        click.echo(f"Job {job['id']} {'was started' if start_it else 'was made; start it by `dirbridge jobs start`'}.")


@jobs.command("list")
@options
def list_jobs(profile: Profile, as_json: bool) -> None:
    """List all jobs."""
    with Client.open(profile) as client:
        found = list(all_jobs(client))
    if as_json:
        print_json(found)
        return
    if not found:
        click.echo("There is no job. Make one by `dirbridge jobs create --domain NAME`.")
        return
    table = Table(box=None, pad_edge=False, header_style="bold")
    for heading in ("Domain", "Status", "Last cycle", "Result", "Objects", "Id"):
        table.add_column(heading, justify="right" if heading == "Objects" else "left", no_wrap=heading != "Id")
    for job in found:
        status = job["status"]
        last = status.get("lastExecution") or {}
        table.add_row(
            plain(job["domain"]),
            _status(job),
            _moment(last.get("timeEnded")),
            plain(last.get("state", "")),
            f"{_objects(job):,}",
            plain(job["id"]),
        )
    console().print(table)


@jobs.command()
@_wanted
@options
def show(profile: Profile, job: str | None, as_json: bool) -> None:
    """Show one job: status, last cycle, counts, why it is in quarantine."""
    with Client.open(profile) as client:
        found = find(client, job)
    if as_json:
        print_json(found)
    else:
        console().print(_details(found))


@jobs.command()
@_wanted
@options
def start(profile: Profile, job: str | None, as_json: bool) -> None:
    """Let a job run; from quarantine too."""
    _act(profile, job, "start", None, as_json, "was started")


@jobs.command()
@_wanted
@options
def pause(profile: Profile, job: str | None, as_json: bool) -> None:
    """Stop a job, keeping its state."""
    _act(profile, job, "pause", None, as_json, "is paused")


@jobs.command()
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


@jobs.command()
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


@jobs.command()
@_wanted
@click.option("--yes", is_flag=True, help="Do not ask.")
@options
def delete(profile: Profile, job: str | None, yes: bool, as_json: bool) -> None:
    """Remove a job and all its state; the objects that it made stay."""
    with Client.open(profile) as client:
        found = find(client, job)
        if not yes:
            click.confirm(f"Delete the job {found['id']} of {plain(found['domain'])}?", abort=True, err=True)
        client.delete(path(found))
    if as_json:
        print_json({"id": found["id"], "deleted": True})
    else:
        click.echo(f"Job {found['id']} is deleted.")


@jobs.command()
@_wanted
@click.option("--follow", is_flag=True, help="Go on after the cycle, until Ctrl-C.")
@click.option("--timeout", type=click.FloatRange(min=0), metavar="SECONDS", help="Give up after this time.")
@options
def watch(profile: Profile, job: str | None, follow: bool, timeout: float | None, as_json: bool) -> int:
    """Show how a job's cycle goes on, until it ends.

    Waits for the next cycle where none runs. Leaves with 1 when the cycle failed, or the job is paused or in
    quarantine.
    """
    with Client.open(profile) as client:
        found = find(client, job)
        views = _views(client, found, timeout)
        if as_json:
            return _watch_json(views, follow)
        return _watch_bar(views, follow)


def _views(client: Client, job: Found, timeout: float | None) -> Iterator[Found]:
    """Give a job again and again, as it is now."""
    end = None if timeout is None else time.monotonic() + timeout
    while True:
        yield job
        if end is not None and time.monotonic() >= end:
            raise DirbridgeError(
                f"No cycle of {job['id']} ended within {timeout:g} seconds; its status is {job['status']['code']}.",
                code="WatchTimeout",
                recommended_action="Look at its log by `dirbridge logs`, and at its agents.",
            )
        time.sleep(POLL)
        job = again(client, job)


def _cycle(job: Found) -> str:
    last = job["status"].get("lastExecution") or {}
    return str(last.get("activityIdentifier") or last.get("timeEnded") or "")


def _ended(job: Found, first: str) -> int | None:
    """Say how the watched cycle ended, as an exit code; None while it has not."""
    status = job["status"]
    if _cycle(job) != first:
        return 0 if status["lastExecution"].get("state") != "Failed" and status["code"] != "Quarantine" else 1
    return 1 if status["code"] in {"Paused", "Quarantine"} and not status["progress"] else None


def _watch_json(views: Iterator[Found], follow: bool) -> int:
    first: str | None = None
    before: Found | None = None
    for job in views:
        first = _cycle(job) if first is None else first
        ended = _ended(job, first)
        if follow:
            if job != before:
                print_json(job, line=True)
            before = job
        elif ended is not None:
            print_json(job)
            return ended
    return 0


def _watch_bar(views: Iterator[Found], follow: bool) -> int:
    screen = console()
    columns = (
        SpinnerColumn(),
        TextColumn("{task.description}", markup=False),
        BarColumn(),
        MofNCompleteColumn(),
        TextColumn("{task.fields[rate]}"),
        TimeRemainingColumn(),
    )
    first: str | None = None
    with Progress(*columns, console=screen, transient=True, disable=not screen.is_terminal) as progress:
        task = progress.add_task("", total=None, rate="")
        for job in views:
            first = _cycle(job) if first is None else first
            _show(progress, task, job)
            ended = _ended(job, first)
            if ended is None:
                continue
            if _cycle(job) != first:
                screen.print(_result(job))
                first = _cycle(job)
                progress.reset(task)
            if not follow:
                if job["status"]["code"] in {"Paused", "Quarantine"}:
                    screen.print(_details(job))
                return ended
    return 0


def _show(progress: Progress, task: Any, job: Found) -> None:
    """Bring the bar to what the job says of its cycle."""
    name = plain(job["domain"])
    if not job["status"]["progress"]:
        progress.update(task, description=f"{name}: waiting for a cycle", total=None, completed=0, rate="")
        return
    now = job["status"]["progress"][0]
    done, total = int(now.get("completedUnits") or 0), int(now.get("totalUnits") or 0)
    speed = progress.tasks[0].speed
    progress.update(
        task,
        description=f"{name}: {plain(now.get('units') or 'objects')}",
        completed=done,
        total=total if total >= done and total > 0 else None,
        rate=f"{speed:,.0f}/s" if speed else "",
    )


def _result(job: Found) -> str:
    last = job["status"]["lastExecution"]
    seconds = _seconds(last)
    took = f" in {seconds:.1f} s" if seconds is not None else ""
    counts = ", ".join(
        f"{last.get(member, 0):,} {word}"
        for member, word in (("countImported", "read"), ("countExported", "written"), ("countEscrowed", "failed"))
    )
    return f"{plain(job['domain'])}: {plain(last.get('state', ''))}{took}: {counts}."


def _seconds(last: dict[str, Any]) -> float | None:
    try:
        began, ended = (datetime.fromisoformat(str(last[name])) for name in ("timeBegan", "timeEnded"))
    except (KeyError, ValueError):
        return None
    return (ended - began).total_seconds()


# Jobs by name ---------------------------------------------------------------------------------------------------------


def _act(profile: Profile, job: str | None, action: str, body: Any, as_json: bool, said: str) -> None:
    with Client.open(profile) as client:
        found = find(client, job)
        client.post(f"{path(found)}/{action}", body)
        found = again(client, found)
    if as_json:
        print_json(found)
    else:
        click.echo(f"Job {found['id']} of {plain(found['domain'])} {said}.")


def _application(client: Client, domain: str) -> str:
    """Give the application of a domain, a new one where there is none."""
    for principal in client.pages("/servicePrincipals"):
        if principal.get("applicationTemplateId") == APPLICATION_TEMPLATE and principal.get("displayName") == domain:
            return str(principal["id"])
    made = client.post(f"/applicationTemplates/{APPLICATION_TEMPLATE}/instantiate", {"displayName": domain})
    return str(made["servicePrincipal"]["id"])


# In words -------------------------------------------------------------------------------------------------------------


def _status(job: Found) -> Text:
    code = str(job["status"]["code"])
    return Text(code, style=_LOOK.get(code, ""))


def _objects(job: Found) -> int:
    return sum(int(each["value"]) for each in job["status"].get("synchronizedEntryCountByType") or [])


def _moment(text: str | None) -> str:
    if not text or text.startswith("0001"):
        return "never"
    try:
        return datetime.fromisoformat(text).astimezone().strftime("%Y-%m-%d %H:%M:%S")
    except ValueError:
        return plain(text)


def _details(job: Found) -> Table:
    """Lay a job out as a table of two columns."""
    status = job["status"]
    table = Table(box=None, show_header=False, pad_edge=False)
    table.add_column(style="bold", no_wrap=True)
    table.add_column()
    table.add_row("Id", plain(job["id"]))
    table.add_row("Domain", plain(job["domain"]))
    table.add_row("Status", _status(job))
    table.add_row("Interval", plain(job["schedule"]["interval"]))
    table.add_row("In step since", _moment(status.get("steadyStateFirstAchievedTime")))
    table.add_row("Last in step", _moment(status.get("steadyStateLastAchievedTime")))
    for each in status.get("synchronizedEntryCountByType") or []:
        table.add_row(plain(each["key"]), f"{each['value']:,}")
    last = status.get("lastExecution")
    if last:
        table.add_row("Last cycle", f"{_moment(last.get('timeEnded'))}, {_result(job).partition(': ')[2]}")
        if last.get("error"):
            table.add_row("", plain(f"{last['error'].get('code')}: {last['error'].get('message')}"))
    quarantine = status.get("quarantine")
    if quarantine:
        error = quarantine.get("error") or {}
        table.add_row("Quarantine", plain(f"{quarantine.get('reason')} since {_moment(quarantine.get('seriesBegan'))}"))
        table.add_row("", plain(f"{error.get('code', '')}: {error.get('message', '')}"))
        table.add_row("Next attempt", _moment(quarantine.get("nextAttempt")))
    return table
