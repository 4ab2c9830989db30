"""What the log is filtered by: read from the address, written into links, and as the API takes it."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from urllib.parse import urlencode
from uuid import UUID

from fastapi import Request

from dirbridge.contract.event import Status
from dirbridge.contract.export import Action
from dirbridge.service.portal import spans
from dirbridge.service.portal.api import Api, quoted
from dirbridge.service.portal.configurations import jobs
from dirbridge.service.portal.spans import Span

PATH = "/portal/logs"

_CHOICES = {"status": tuple(Status), "action": tuple(Action)}
_EXACT = {
    "status": "provisioningStatusInfo/status",
    "action": "provisioningAction",
    "code": "provisioningStatusInfo/errorInformation/errorCode",
}
_NAMES = {"source": "sourceIdentity", "target": "targetIdentity"}
_OTHERS = ("status", "action", "source", "target", "job", "cycle", "code")
FIELDS = (*spans.FIELDS, *_OTHERS)
"""What may stand in the address, besides where the page begins."""
MOST_JOBS = 50
"""Configurations that the beginning of a name may stand for."""


@dataclass(frozen=True, slots=True)
class Filters:
    """What is asked.

    Attributes:
        values: by field, all but those of the span; empty where not asked.
        faults: what is wrong, by field.
        jobs: id and domain of the configurations that `job` stands for.
    """

    span: Span
    values: Mapping[str, str]
    faults: Mapping[str, str]
    jobs: tuple[tuple[str, str], ...] = ()

    @property
    def fields(self) -> dict[str, str]:
        """What stands in the address of these filters."""
        return {**self.span.fields, **{name: value for name, value in self.values.items() if value}}

    @property
    def is_narrow(self) -> bool:
        """Whether less is asked than all that is kept."""
        return bool(self.fields.keys() - {"span"}) or self.span.name != "all"

    @property
    def job(self) -> str:
        """The domain of the one configuration that is asked for by its id."""
        return self.jobs[0][1] if len(self.jobs) == 1 and self.jobs[0][0] == self.values["job"] else ""

    def address(self, path: str = PATH, **more: str) -> str:
        """Give an address with these filters; a field that `more` leaves empty is left out."""
        asked = {name: value for name, value in {**self.fields, **more}.items() if value}
        return f"{path}?{urlencode(asked)}" if asked else path

    def fixed(self, path: str = PATH, **more: str) -> str:
        """Give an address that means these very events later, too: its span begins where this one does."""
        return self.address(path, **self.span.fixed, **more)

    def condition(self, *more: str) -> str:
        """Write the filter as the API takes it."""
        asked = self.values
        parts = [*self.span.conditions(), *more]
        parts += [f"{path} eq {quoted(asked[name])}" for name, path in _EXACT.items() if asked[name]]
        parts += [
            f"({path}/id eq {quoted(asked[name])} or startsWith({path}/displayName, {quoted(asked[name])}))"
            for name, path in _NAMES.items()
            if asked[name]
        ]
        if asked["cycle"]:
            parts.append(f"cycleId eq {asked['cycle']}")
        if asked["job"]:
            known = [id for id, _ in self.jobs] or [asked["job"]]
            parts.append(f"jobId in ({', '.join(map(quoted, known))})")
        return " and ".join(parts)


def read(request: Request) -> Filters:
    """Read what the address asks; which configurations it means is not known yet."""
    asked = {name: request.query_params.get(name, "").replace("\0", "").strip()[:400] for name in FIELDS}
    values = {name: asked[name] for name in _OTHERS}
    span = spans.read(asked, datetime.now(UTC))
    faults = dict(span.faults)
    for name, choices in _CHOICES.items():
        chosen = next((one for one in choices if one.lower() == values[name].lower()), None)
        if values[name] and chosen is None:
            faults[name] = f"There is no {name} '{values[name]}'. Choose one."
        values[name] = chosen or ""
    if values["cycle"] and not _is_guid(values["cycle"]):
        faults["cycle"] = "This is no id of a cycle. Copy it from an event."
    return Filters(span, values, faults)


async def resolved(ours: Api, found: Filters) -> Filters:
    """Find the configurations that are meant: by id, or by how their domain begins."""
    text = found.values["job"]
    if not text:
        return found
    listed = await named(ours, text, MOST_JOBS + 1)
    exact = tuple(one for one in listed if one[0] == text)
    if len(listed) > MOST_JOBS and not exact:
        fault = f"More than {MOST_JOBS} configurations begin like this. Write more of the name."
        return replace(found, faults={**found.faults, "job": fault})
    return replace(found, jobs=exact or listed)


async def named(ours: Api, text: str, most: int) -> tuple[tuple[str, str], ...]:
    """Give id and domain of the configurations with this id, or whose domain begins so."""
    wanted = f"id eq {quoted(text)} or startsWith(domain, {quoted(text)})"
    listed = await ours.get(jobs.OURS, filter=wanted, orderby="domain", top=most)
    return tuple((job["id"], job["domain"]) for job in listed["value"])


def _is_guid(text: str) -> bool:
    try:
        return str(UUID(text)) == text.lower()
    except ValueError:
        return False
