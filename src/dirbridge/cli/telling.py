"""A job in words: how it is, how its last cycle went, why it is in quarantine and what to do."""

from __future__ import annotations

from datetime import datetime
from typing import Any

from rich.table import Table
from rich.text import Text

from dirbridge.cli.client import plain
from dirbridge.cli.finding import Found

_LOOK = {"Active": "green", "Quarantine": "red", "Paused": "yellow", "NotRun": "cyan", "NotConfigured": "yellow"}

_NUMBERS = {
    "firstExports": "exported for the first time",
    "firstFailures": "failed of these",
    "failures": "failed, retries counted",
    "escrowed": "set aside",
    "waitingReferences": "references wait for them",
    "staged": "deletes and disables wait",
    "failedCycles": "cycles failed in a row",
}
"""What the numbers of a quarantine's record count."""


def status(job: Found) -> Text:
    """Give the status code in its colour."""
    code = str(job["status"]["code"])
    return Text(code, style=_LOOK.get(code, ""))


def objects(job: Found) -> int:
    """Count the objects that the job keeps."""
    return sum(int(each["value"]) for each in job["status"].get("synchronizedEntryCountByType") or [])


def moment(text: str | None) -> str:
    """Write a time of the service as the clock on the wall has it."""
    if not text or text.startswith("0001"):
        return "never"
    try:
        return datetime.fromisoformat(text).astimezone().strftime("%Y-%m-%d %H:%M:%S")
    except ValueError:
        return plain(text)


def result(job: Found) -> str:
    """Say in a line how the last cycle went."""
    last = job["status"]["lastExecution"]
    seconds = _seconds(last)
    took = f" in {seconds:.1f} s" if seconds is not None else ""
    read = int(last.get("countImported") or 0) + int(last.get("countImportedDeltas") or 0)
    counts = f"{read:,} read, {last.get('countExported', 0):,} written, {last.get('countEscrowed', 0):,} failed"
    return f"{plain(job['domain'])}: {plain(last.get('state', ''))}{took}: {counts}."


def _seconds(last: dict[str, Any]) -> float | None:
    try:
        began, ended = (datetime.fromisoformat(str(last[name])) for name in ("timeBegan", "timeEnded"))
    except (KeyError, ValueError):
        return None
    return (ended - began).total_seconds()


def details(job: Found) -> Table:
    """Lay a job out as a table of two columns."""
    now = job["status"]
    table = Table(box=None, show_header=False, pad_edge=False)
    table.add_column(style="bold", no_wrap=True)
    table.add_column()
    table.add_row("Id", plain(job["id"]))
    table.add_row("Domain", plain(job["domain"]))
    table.add_row("Status", status(job))
    table.add_row("Interval", _schedule(job["schedule"]))
    for each in now.get("progress") or []:
        table.add_row("Now", plain(_progress(each)))
    table.add_row("In step since", moment(now.get("steadyStateFirstAchievedTime")))
    table.add_row("Last in step", moment(now.get("steadyStateLastAchievedTime")))
    for each in now.get("synchronizedEntryCountByType") or []:
        table.add_row(plain(each["key"]), f"{each['value']:,}")
    _add_cycles(table, job)
    if now.get("quarantine"):
        _add_quarantine(table, now["quarantine"])
    if now.get("troubleshootingUrl"):
        table.add_row("Failures", plain(f"dirbridge logs --status failure --job {job['id']}"))
    return table


def _schedule(schedule: dict[str, Any]) -> str:
    interval, state = plain(schedule["interval"]), str(schedule.get("state", "Active"))
    if state == "Disabled":
        return f"{interval}; disabled: start it by `dirbridge jobs start`"
    return interval


def _progress(now: dict[str, Any]) -> str:
    done, total = int(now.get("completedUnits") or 0), int(now.get("totalUnits") or 0)
    said = f"{done:,} of {total:,} {now.get('units') or 'objects'}" if total > done else f"{done:,}"
    rate, left = now.get("unitsPerSecond"), now.get("secondsLeft")
    said += f", {rate:,.0f} a second" if rate else ""
    return said + (f", {_span(int(left))} left" if left else "")


def _span(seconds: int) -> str:
    hours, rest = divmod(seconds, 3600)
    minutes, seconds = divmod(rest, 60)
    if hours:
        return f"{hours} h {minutes} min"
    return f"{minutes} min {seconds} s" if minutes else f"{seconds} s"


def _add_cycles(table: Table, job: Found) -> None:
    now = job["status"]
    last = now.get("lastExecution")
    if last:
        table.add_row("Last cycle", f"{moment(last.get('timeEnded'))}, {result(job).partition(': ')[2]}")
        if last.get("error"):
            table.add_row("", plain(f"{last['error'].get('code')}: {last['error'].get('message')}"))
    good = now.get("lastSuccessfulExecution")
    if last and (good or {}).get("activityIdentifier") != last.get("activityIdentifier"):
        table.add_row("Last without errors", moment((good or {}).get("timeEnded")))
    if now.get("countSuccessiveCompleteFailures"):
        table.add_row("Failed in a row", f"{now['countSuccessiveCompleteFailures']:,} cycles")
    if now.get("escrowsPruned"):
        table.add_row("Given up", "entries that failed for 28 days; `dirbridge jobs restart` tries them again")


def _add_quarantine(table: Table, record: dict[str, Any]) -> None:
    error = record.get("error") or {}
    times = f", {record['seriesCount']:,} times" if record.get("seriesCount") else ""
    table.add_row("Quarantine", plain(f"{record.get('reason')} since {moment(record.get('seriesBegan'))}{times}"))
    action = str(record.get("recommendedAction") or "")
    message = str(error.get("message", ""))
    table.add_row("", plain(f"{error.get('code', '')}: {message.removesuffix(action).rstrip()}"))
    numbers = [
        f"{int(number):,} {_NUMBERS[name]}"
        for name, number in (record.get("counts") or {}).items()
        if number and name in _NUMBERS
    ]
    if numbers:
        table.add_row("", plain("; ".join(numbers)))
    if action:
        table.add_row("What to do", plain(action))
    table.add_row("Next attempt", moment(record.get("nextAttempt")))
