"""`dirbridge jobs`: create, show, steer and watch synchronization jobs through the API."""

from __future__ import annotations

import time
from collections.abc import Iterator
from typing import Any

import click
from rich.progress import BarColumn, MofNCompleteColumn, Progress, SpinnerColumn, TextColumn, TimeRemainingColumn
from rich.table import Table

from dirbridge.cli import steering, telling
from dirbridge.cli.account import repair_account
from dirbridge.cli.client import Client, Profile, console, options, plain, print_json
from dirbridge.cli.finding import Found, again, all_jobs, find, path
from dirbridge.cli.staged import allow_deletes, reject_deletes, staged
from dirbridge.contract.errors import DirbridgeError

APPLICATION_TEMPLATE = "1a4721b3-e57f-4451-ae87-ef078703ec94"
JOB_TEMPLATES = {"active-directory": "AD2AADProvisioning", "ldap": "LDAP2AADProvisioning"}
"""By the kind of directory, as the agent's settings name it."""
POLL = 0.5
"""Seconds between two looks at a job that is watched."""


_wanted = click.argument("job", required=False)


@click.group()
def jobs() -> None:
    """Create, start and watch synchronization jobs.

    JOB is a job's id, the beginning of it, or its domain; where there is only one job, it can be left out.
    """


for _command in (
    steering.start,
    steering.pause,
    steering.run,
    steering.restart,
    steering.clear_quarantine,
    steering.quarantine,
    steering.settings,
    staged,
    allow_deletes,
    reject_deletes,
    repair_account,
):
    jobs.add_command(_command)


@jobs.command()
@click.option("--domain", required=True, metavar="NAME", help="DNS name of the domain to read.")
@click.option(
    "--source",
    type=click.Choice(tuple(JOB_TEMPLATES)),
    default="active-directory",
    show_default=True,
    help="Kind of the directory, which decides on the mapping to begin with.",
)
@click.option("--start", "start_it", is_flag=True, help="Start it at once.")
@options
def create(profile: Profile, domain: str, source: str, start_it: bool, as_json: bool) -> None:
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
        made = client.post(
            f"/servicePrincipals/{principal}/synchronization/jobs", {"templateId": JOB_TEMPLATES[source]}
        )
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
            telling.status(job),
            telling.moment(last.get("timeEnded")),
            plain(last.get("state", "")),
            f"{telling.objects(job):,}",
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
        console().print(telling.details(found))


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
                screen.print(telling.result(job))
                first = _cycle(job)
                progress.reset(task)
            if not follow:
                if job["status"]["code"] in {"Paused", "Quarantine"}:
                    screen.print(telling.details(job))
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


# Jobs by name ---------------------------------------------------------------------------------------------------------


def _application(client: Client, domain: str) -> str:
    """Give the application of a domain, a new one where there is none."""
    for principal in client.pages("/servicePrincipals"):
        if principal.get("applicationTemplateId") == APPLICATION_TEMPLATE and principal.get("displayName") == domain:
            return str(principal["id"])
    made = client.post(f"/applicationTemplates/{APPLICATION_TEMPLATE}/instantiate", {"displayName": domain})
    return str(made["servicePrincipal"]["id"])
