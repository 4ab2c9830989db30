"""What can be changed of a job, and how its settings are shown: how often it runs, and the limits that it keeps to.

Source: Graph synchronizationSchedule and keyValuePair; ISO 8601 durations.
"""

from __future__ import annotations

import re
from datetime import timedelta
from typing import Any

import msgspec

from dirbridge.engine import policies
from dirbridge.engine.cycle import macros
from dirbridge.service.graph.errors import bad_request
from dirbridge.store.jobs import Job, JobOutline

MOST_OFTEN, LEAST_OFTEN = timedelta(seconds=1), timedelta(days=1)

# ISO 8601 without years and months, whose length varies; names are those of timedelta.
_DURATION = re.compile(
    r"P(?:(?P<days>\d{1,5})D)?(?:T(?=\d)(?:(?P<hours>\d{1,6})H)?(?:(?P<minutes>\d{1,8})M)?(?:(?P<seconds>\d{1,9}(?:\.\d+)?)S)?)?"
)
# msgraph-sdk for Python reads ISO 8601 and writes Python's own form: 1:30:00, or 1 day, 0:00:00.
_PLAIN = re.compile(
    r"(?:(?P<days>\d{1,5}) days?, )?(?P<hours>\d{1,2}):(?P<minutes>\d{2}):(?P<seconds>\d{2}(?:\.\d{1,6})?)"
)


class Schedule(msgspec.Struct, forbid_unknown_fields=True):
    """How often a job runs, as an ISO 8601 duration such as `PT2M`. The rest may come along as it is."""

    interval: str | None = None
    state: str | None = None
    expiration: str | None = None


class JobSetting(msgspec.Struct, forbid_unknown_fields=True):
    """One setting, as Graph's keyValuePair. Null, or no text, means the default."""

    name: str
    value: str | None = None


class JobChange(msgspec.Struct, rename="camel", forbid_unknown_fields=True):
    """What can be changed of a job: its interval and settings. The rest may come along as it is.

    Attributes:
        status: whatever it was when the client read it; it follows from what the job does.
    """

    id: str | None = None
    template_id: str | None = None
    schedule: Schedule | None = None
    synchronization_job_settings: list[JobSetting] | None = None
    status: dict[str, Any] | None = None
    schema: dict[str, Any] | None = None


def check(wanted: JobChange, job: Job) -> None:
    """Make sure that what cannot be changed here is as it is.

    Raises:
        GraphError: 400 that says where it can be changed.
    """
    schedule = wanted.schedule or Schedule()
    for target, given, here, remedy in (
        ("id", wanted.id, job.id, "It never changes."),
        ("templateId", wanted.template_id, job.template_id, "Make another job for another template."),
        ("schedule/state", schedule.state, job.state, "Start and pause change it."),
        ("schedule/expiration", schedule.expiration, None, "Jobs do not expire."),
    ):
        if given is not None and given != here:
            raise bad_request(
                f"'{target}' of a job cannot be changed: it is {here or 'null'}. {remedy}",
                target=target,
                inner="propertyNotUpdateable",
            )
    if wanted.schema is not None:
        raise bad_request(
            "The schema document has an address of its own: PUT or PATCH it at the job's schema.",
            target="schema",
            inner="propertyNotUpdateable",
        )


def changed(wanted: list[JobSetting], job: Job) -> dict[str, str | None]:
    """Give the settings that a change really changes; those that it does not name stay as they are.

    Raises:
        GraphError: 400 that names every setting that is none, is not a person's to change, or has a wrong value.
    """
    before = {each["name"]: each["value"] for each in shown(job)}
    given = _by_our_names({each.name: (each.value or "").strip() or None for each in wanted}, before)
    new = {name: value for name, value in given.items() if value != before.get(name)}
    new = {name: value for name, value in new.items() if value is not None or name in job.settings}
    faults = [
        f"'{name}' is no setting that can be changed; these are: {', '.join(policies.SETTINGS)}."
        for name in policies.unknown(given)
        if name not in before or given[name] != before[name]
    ]
    faults += policies.check({name: value for name, value in new.items() if value is not None})
    if faults:
        raise bad_request(" ".join(faults), target="synchronizationJobSettings")
    return new


_OURS, _GRAPHS = "DeleteThresholdValue", "QuarantineTooManyDeletesThreshold"
"""The names of one threshold: as the secrets of a configuration have it, and as Graph shows it at a job."""


def _by_our_names(given: dict[str, str | None], before: dict[str, str]) -> dict[str, str | None]:
    """Take a change under Graph's name for one under ours.

    Raises:
        GraphError: 400 where both are given and differ.
    """
    if given.get(_GRAPHS, before[_GRAPHS]) == before[_GRAPHS]:
        return {name: value for name, value in given.items() if name != _GRAPHS}
    value = given.pop(_GRAPHS)
    if given.get(_OURS, value) not in {value, before[_OURS]}:
        raise bad_request(
            f"{_GRAPHS} and {_OURS} are one threshold; found '{value}' and '{given[_OURS]}'.",
            target="synchronizationJobSettings",
        )
    return given | {_OURS: value}


def shown(job: JobOutline) -> list[dict[str, str]]:
    """Show what is set, what holds because nothing is set, and what Graph shows under names of its own."""
    kept = {
        name: value if isinstance(value, str) else msgspec.json.encode(value).decode()
        for name, value in job.settings.items()
    }
    limits = policies.shown(kept)
    every = {**macros(job), **kept, **limits, _GRAPHS: limits[_OURS]}
    return [{"name": name, "value": value} for name, value in sorted(every.items())]


def duration(value: timedelta) -> str:
    """Write a duration as ISO 8601, in the largest unit that fits."""
    seconds = int(value.total_seconds())
    for unit, letter in ((86_400, "D"), (3600, "H"), (60, "M")):
        if seconds and seconds % unit == 0:
            return f"P{seconds // unit}D" if letter == "D" else f"PT{seconds // unit}{letter}"
    return f"PT{seconds}S"


def interval(text: str) -> timedelta:
    """Read how often a job is to run.

    Raises:
        GraphError: 400 where it is no duration, or too short or too long.
    """
    value = read_duration(text) or timedelta()
    if not MOST_OFTEN <= value <= LEAST_OFTEN:
        raise bad_request(
            f"schedule.interval expects a duration from {duration(MOST_OFTEN)} to {duration(LEAST_OFTEN)}, "
            f"such as PT2M; found '{text}'."
        )
    return value


def read_duration(text: str) -> timedelta | None:
    """Read a duration; None where it is none."""
    parts = _DURATION.fullmatch(text) or _PLAIN.fullmatch(text)
    given = {unit: float(number) for unit, number in (parts.groupdict() if parts else {}).items() if number}
    return timedelta(**given) if given else None
