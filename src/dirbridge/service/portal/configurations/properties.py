"""What one configuration keeps to: how often it runs, what it may remove, when it stops, and who is told.

Limits and interval are the job's; who is told is in the secrets that all jobs of the configuration share.
"""

from __future__ import annotations

import json
import re
from collections.abc import Awaitable, Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from fastapi import APIRouter, Request
from starlette.responses import Response

from dirbridge.service.auth.sign_in.browser import PageRefusal, SignedIn
from dirbridge.service.portal import api, forms, rendering
from dirbridge.service.portal.api import Api, ApiRefusal
from dirbridge.service.portal.configurations import jobs
from dirbridge.service.portal.forms import Form
from dirbridge.service.portal.viewer import PortalRoute, Viewer

router = APIRouter(prefix=jobs.PATH, route_class=PortalRoute, include_in_schema=False)

UNITS = {"S": "seconds", "M": "minutes", "H": "hours"}
"""Of intervals, by the letter that an ISO 8601 duration has for them."""
SWITCHES = ("DeleteThresholdEnabled", "MemberThresholdEnabled", "SkipOutOfScopeDeletions")
NUMBERS = (
    "DeleteThresholdValue", "MemberThresholdValue", "QuarantineLeastFailures", "QuarantineFailureShare",
    "QuarantineFailures", "QuarantineFailuresWithReferences", "QuarantineAfterFailedCycles",
)  # fmt: skip
SETTINGS = (*SWITCHES, *NUMBERS)

LIMITS, TELLING = ("every", "unit", *SETTINGS), ("notify", "recipients", "url", "secret")
"""The fields of the two forms."""

NOTIFICATIONS, URL, SECRET = "SyncNotificationSettings", "WebhookUrl", "WebhookSecret"
"""Keys of the secrets that say who is told."""
MASK = "********"
"""What the API shows in place of a confidential value; sent back, it keeps that value."""

_FIELDS = {
    "every": r"schedule\.interval", "recipients": NOTIFICATIONS, "url": URL, "secret": SECRET,
    **{name: rf"\b{name}\b" for name in SETTINGS},
}  # fmt: skip
"""By field, a pattern of what the API calls it where it finds fault with it."""


@dataclass(frozen=True, slots=True)
class Faults:
    """What the API said of a form: at its fields, and of the whole."""

    at: Mapping[str, str] = field(default_factory=dict)
    whole: str = ""


_Change = Callable[[Api, Mapping[str, Any]], Awaitable[None]]


class _ChangedMeanwhile(Exception):
    """Somebody else changed what a form shows, after it was opened."""


@router.get("/{job}/properties")
async def show(request: Request, who: Viewer, job: str) -> Response:
    """Show what is set."""
    return await _page(request, who, job)


@router.post("/{job}/properties/limits")
async def set_limits(request: Request, who: Viewer, job: str) -> Response:
    """Change interval and limits: only what the form changes, so that others' changes beside it stay."""
    form = await forms.read(request)

    async def change(ours: Api, found: Mapping[str, Any]) -> None:
        before = {name: form.one(f"was-{name}") for name in ("interval", *SETTINGS)}
        now = {"interval": found["schedule"]["interval"], **_of_job(found)}
        changed = {name: value for name, value in _settings(form).items() if not _same(value, before[name])}
        if any(not _same(now[name], before[name]) for name in changed):
            raise _ChangedMeanwhile
        interval = changed.pop("interval", None)
        if not changed and interval is None:
            return
        settings = [{"name": name, "value": value} for name, value in changed.items()]
        body: dict[str, Any] = {"synchronizationJobSettings": settings} if settings else {}
        await ours.patch(jobs.in_api(found), body | ({"schedule": {"interval": interval}} if interval else {}))

    return await _save(request, who, job, form, LIMITS, change)


@router.post("/{job}/properties/notifications")
async def set_notifications(request: Request, who: Viewer, job: str) -> Response:
    """Change who is told. All other secrets are given back as they are."""
    form = await forms.read(request)

    async def change(ours: Api, found: Mapping[str, Any]) -> None:
        secrets = await _secrets(ours, found)
        if _digest(secrets) != form.one("was"):
            raise _ChangedMeanwhile
        now = _as_the_job_is(secrets, _of_job(found))
        wanted = now | _notifications(form, now)
        kept = [{"key": key, "value": value} for key, value in wanted.items() if value]
        await ours.put(_secrets_in_api(found), {"value": kept})

    return await _save(request, who, job, form, TELLING, change)


async def _save(
    request: Request, who: SignedIn, job: str, form: Form, group: Sequence[str], change: _Change
) -> Response:
    """Change something; what the API refuses is said at its field, with what was typed still there."""
    async with api.of(request, who) as ours:
        found = await jobs.one(ours, job)
        try:
            await change(ours, found)
        except _ChangedMeanwhile:
            whole = "Somebody else changed these settings meanwhile. This is how they are now; change them again."
            return await _page(request, who, job, faults=Faults(whole=whole), status=409)
        except ApiRefusal as refusal:
            if refusal.status != 400:
                raise
            return await _page(request, who, job, typed=form, group=group, faults=_faults(refusal), status=400)
    return rendering.done(request, "Saved. It holds from the next cycle on.", jobs.page_of(job, "properties"))


async def _page(
    request: Request,
    who: SignedIn,
    job: str,
    *,
    typed: Form | None = None,
    group: Sequence[str] = (),
    faults: Faults | None = None,
    status: int = 200,
) -> Response:
    async with api.of(request, who) as ours:
        found = await jobs.one(ours, job)
        try:
            secrets = await _secrets(ours, found)
            hidden = ""
        except ApiRefusal as refusal:
            if refusal.status != 403:
                raise
            secrets, hidden = {}, str(refusal)
    shown = _shown(found, secrets)
    values = shown | ({name: typed.one(name) for name in group} if typed else {})
    return rendering.page(
        request, who, "configurations/properties.html", status=status, job=found, tabs=jobs.tabs(found),
        values=values, was={"interval": found["schedule"]["interval"], **_of_job(found)}, units=UNITS,
        digest=_digest(secrets), hidden=hidden, has_secret=SECRET in secrets, faults=faults or Faults(),
    )  # fmt: skip


# What is set ----------------------------------------------------------------------------------------------------------


def _of_job(job: Mapping[str, Any]) -> dict[str, str]:
    found = {each["name"]: str(each["value"]) for each in job["synchronizationJobSettings"]}
    return {name: found[name] for name in SETTINGS}


def _shown(job: Mapping[str, Any], secrets: Mapping[str, str]) -> dict[str, str]:
    """Give what each field holds."""
    wish = _document(secrets)
    every, unit = _interval(job["schedule"]["interval"])
    settings = {
        name: value if name in NUMBERS else "True" * (value.strip().lower() == "true")
        for name, value in _of_job(job).items()
    }
    return {
        "every": every,
        "unit": unit,
        **settings,
        "notify": "True" * bool(wish.get("Enabled")),
        "recipients": str(wish.get("Recipients") or ""),
        "url": secrets.get(URL, ""),
        "secret": "",
    }


def _interval(text: str) -> tuple[str, str]:
    """Cut a duration as the API writes it, which has one unit only."""
    if text == "P1D":
        return "24", "H"
    found = re.fullmatch(r"PT(\d+)([SMH])", text)
    return (found[1], found[2]) if found else (text, "M")


async def _secrets(ours: Api, job: Mapping[str, Any]) -> dict[str, str]:
    return {each["key"]: each["value"] for each in (await ours.get(_secrets_in_api(job)))["value"]}


def _secrets_in_api(job: Mapping[str, Any]) -> str:
    return f"/v1.0/servicePrincipals/{job['servicePrincipalId']}/synchronization/secrets"


def _document(secrets: Mapping[str, str]) -> dict[str, Any]:
    text = secrets.get(NOTIFICATIONS)
    return dict(json.loads(text)) if text else {}


def _digest(secrets: Mapping[str, str]) -> str:
    """Say what a form of notifications was made from, as far as it may be shown."""
    return json.dumps([secrets.get(NOTIFICATIONS), secrets.get(URL), SECRET in secrets])


# What is wanted -------------------------------------------------------------------------------------------------------


def _settings(form: Form) -> dict[str, str]:
    switches = {name: str(form.has(name)) for name in SWITCHES}
    numbers = {name: form.one(name).replace(",", "") for name in NUMBERS}
    unit = form.one("unit")
    if unit not in UNITS:
        raise PageRefusal(400, "PageRefused", f"There is no unit '{unit[:40]}' for intervals.")
    before, given = form.one("was-interval"), (form.one("every"), unit)
    return {"interval": before if _interval(before) == given else f"PT{given[0]}{unit}", **switches, **numbers}


def _same(one: str, other: str) -> bool:
    return one.strip().lower() == other.strip().lower()


def _notifications(form: Form, secrets: Mapping[str, str]) -> dict[str, str]:
    """Give the secrets that a form of notifications changes; what is empty is taken away."""
    wish = _document(secrets) | {"Enabled": form.has("notify"), "Recipients": form.one("recipients")}
    url = form.one("url")
    secret = form.one("secret") or (MASK if SECRET in secrets else "")
    return {NOTIFICATIONS: json.dumps(wish), URL: url, SECRET: secret if url else ""}


def _as_the_job_is(secrets: Mapping[str, str], settings: Mapping[str, str]) -> dict[str, str]:
    """Bring what the secrets say of limits to what the job keeps to: giving them back shall not change it."""
    found = dict(secrets)
    wish = _document(secrets)
    if "DeleteThresholdEnabled" in wish:
        wish["DeleteThresholdEnabled"] = _same(settings["DeleteThresholdEnabled"], "true")
    if "DeleteThresholdValue" in wish:
        wish["DeleteThresholdValue"] = int(settings["DeleteThresholdValue"])
    if wish:
        found[NOTIFICATIONS] = json.dumps(wish)
    if "SkipOutOfScopeDeletions" in found:
        found["SkipOutOfScopeDeletions"] = settings["SkipOutOfScopeDeletions"]
    return found


def _faults(refusal: ApiRefusal) -> Faults:
    """Sort what the API found fault with by the field that it names."""
    at: dict[str, str] = {}
    rest: list[str] = []
    for sentence in re.split(r"(?<=\.) (?=[A-Z]\w+ expects)", str(refusal)):
        places = {found.start(): name for name, theirs in _FIELDS.items() if (found := re.search(theirs, sentence))}
        if places:
            at[places[min(places)]] = sentence
        else:
            rest.append(sentence)
    return Faults(at, " ".join(rest))
