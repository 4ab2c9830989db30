"""Provision on demand: one user or group now, and what each of four steps saw of it.

The form's address holds what is filled in, so that other pages lead here with a name; only sending it provisions.
"""

from __future__ import annotations

import dataclasses
import json
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any
from urllib.parse import urlencode

from fastapi import APIRouter, Request
from starlette.responses import Response

from dirbridge.service.auth.sign_in.browser import SignedIn
from dirbridge.service.portal import api, forms, rendering
from dirbridge.service.portal.api import ApiRefusal
from dirbridge.service.portal.configurations import finding, jobs, stages
from dirbridge.service.portal.configurations.finding import Found
from dirbridge.service.portal.configurations.stages import Stage
from dirbridge.service.portal.forms import Form
from dirbridge.service.portal.viewer import PortalRoute, Viewer

router = APIRouter(prefix=jobs.PATH, route_class=PortalRoute, include_in_schema=False)

PAGE = "on-demand"
_NOT_IMPORTED = frozenset({"EntryNotFound", "EntryTypeUnexpected"})
"""Codes of the API by which the first step failed: the directory answered."""
_PASSED_ON = frozenset({401, 403, 404})
"""Refusals that are not about what was filled in."""
_KINDS = {"Success": "good", "Failure": "bad", "Warning": "warn"}
_WORDS = {"StagedDelete": "Delete waits", "Other": "Done"}
_TENANT_PAGES = {"User": "/portal/users", "Group": "/portal/groups"}


@dataclass(frozen=True, slots=True)
class Wish:
    """What is filled in.

    Attributes:
        dn: any name of the subject that the agent can look up. members: such names, of members of a group.
    """

    dn: str = ""
    members: tuple[str, ...] = ()
    regardless: bool = False

    def address(self, job: str) -> str:
        """Give the page's path with this filled in."""
        fields = [("dn", self.dn), *(("member", name) for name in self.members)]
        fields += [("regardless", "1")] if self.regardless else []
        return f"{jobs.page_of(job, PAGE)}?{urlencode(fields)}" if self.dn else jobs.page_of(job, PAGE)

    def demand(self) -> dict[str, Any]:
        """Put it as the API takes it."""
        subject: dict[str, Any] = {"objectId": self.dn}
        if self.members:
            subject["links"] = {"members": [{"objectId": name} for name in self.members]}
        return {"parameters": [{"subjects": [subject]}], "regardlessOfScope": self.regardless}


@dataclass(frozen=True, slots=True)
class Outcome:
    """What became of one entry.

    Attributes:
        word: one or two words, and `kind` their colour.
        said: what happened, in a sentence. advice: what to do about it. remark: what else there is to know.
        target: path of the object's page in the portal; empty where it has none.
        log: address of the entry's events, the newest first; empty where nothing is there.
    """

    name: str
    word: str
    kind: str
    said: str
    stages: list[Stage]
    code: str = ""
    advice: str = ""
    remark: str = ""
    modified: tuple[Mapping[str, Any], ...] = ()
    target: str = ""
    log: str = ""
    members: tuple[Outcome, ...] = ()


@dataclass(frozen=True, slots=True)
class Tried:
    """What came of a wish: an outcome, or what is wrong with what was filled in; and the status of HTTP that fits."""

    outcome: Outcome | None = None
    fault: str = ""
    status: int = 200


@router.get("/{job}/" + PAGE)
async def ask(request: Request, who: Viewer, job: str) -> Response:
    """Ask who is to be provisioned."""
    asked = request.query_params
    members = tuple(name for name in asked.getlist("member") if name.strip())
    wish = Wish(asked.get("dn", "").strip(), members, bool(asked.get("regardless")))
    return await _page(request, who, job, wish)


@router.get("/{job}/" + PAGE + "/found")
async def suggest(request: Request, who: Viewer, job: str) -> Response:
    """Show who is meant by what is typed so far."""
    async with api.of(request, who) as ours:
        found = await finding.find(ours, job, request.query_params.get("dn", ""))
    return rendering.piece(request, who, "configurations/trial/found.html", found=found, job_id=job)


@router.post("/{job}/" + PAGE + "/find")
async def find(request: Request, who: Viewer, job: str) -> Response:
    """Look for what is typed, where no script does; the rest of the form stays."""
    wish = _wish(await forms.read(request))
    async with api.of(request, who) as ours:
        found = await finding.find(ours, job, wish.dn)
    return await _page(request, who, job, wish, found=found)


@router.post("/{job}/" + PAGE)
async def provision(request: Request, who: Viewer, job: str) -> Response:
    """Provision, and show what happened; what went wrong stands at the step, or at the field, that it concerns."""
    wish = _wish(await forms.read(request))
    if not wish.dn:
        return await _page(request, who, job, wish, fault="Say who is to be provisioned.", status=400)
    tried = await carry_out(request, who, job, wish)
    return await _page(request, who, job, wish, outcome=tried.outcome, fault=tried.fault, status=tried.status)


async def carry_out(request: Request, who: SignedIn, job: str, wish: Wish) -> Tried:
    """Have the API provision, and tell what it says of it, be it a refusal.

    Raises:
        ApiRefusal: it is not about what was wished for.
    """
    try:
        async with api.of(request, who) as ours:
            found = await jobs.one(ours, job)
            answer = await ours.post(jobs.in_api(found, "provisionOnDemand"), wish.demand())
    except ApiRefusal as refusal:
        if refusal.status in _PASSED_ON:
            raise
        if refusal.code in {"BadRequest", "TooManyRequests"}:
            return Tried(fault=str(refusal), status=refusal.status)
        return Tried(_refused(wish, refusal), status=refusal.status)
    return Tried(_outcome(json.loads(answer["key"]), json.loads(answer["value"])))


def _wish(form: Form) -> Wish:
    names = tuple(name for line in form.one("members").splitlines() if (name := line.strip()))
    return Wish(form.one("dn"), names, form.has("regardless"))


async def _page(
    request: Request,
    who: SignedIn,
    job: str,
    wish: Wish,
    *,
    outcome: Outcome | None = None,
    found: Found | None = None,
    fault: str = "",
    status: int = 200,
) -> Response:
    if rendering.is_piece(request):
        # The script has asked and been answered: to the browser's console anything but 200 is an error.
        shown = rendering.piece(request, who, "configurations/trial/answer.html", outcome=outcome, fault=fault)
        shown.headers["HX-Replace-Url"] = wish.address(job)
        return shown
    async with api.of(request, who) as ours:
        shown_job = await jobs.one(ours, job)
    return rendering.page(
        request, who, "configurations/on-demand.html", status=status, job=shown_job, job_id=job,
        tabs=jobs.tabs(shown_job), wish=wish, outcome=outcome, found=found, fault=fault,
    )  # fmt: skip


def _outcome(result: Mapping[str, Any], document: Mapping[str, Any]) -> Outcome:
    """Show what the API answered: its two documents."""
    status, source, target = document["statusInfo"], document["sourceIdentity"], document["targetIdentity"]
    told = result["details"]
    remark = document["remark"] or ""
    last = document["provisioningSteps"][-1]["description"]
    page = _TENANT_PAGES.get(target["type"], "")
    return Outcome(
        name=source["displayName"],
        word=_word(result["result"], document["action"]),
        kind=_KINDS.get(status["status"], "idle"),
        said=(told.get("errorMessage") or last).removesuffix(remark).strip(),
        stages=stages.of(document["provisioningSteps"], source["type"], target),
        code=told.get("errorCode") or "",
        advice=(status["recommendedAction"] or "") if result["result"] == "Failure" else "",
        remark=remark,
        modified=tuple(document["modifiedProperties"]),
        target=f"{page}/{api.key(target['id'])}" if page and target["id"] else "",
        log=f"/portal/logs?{urlencode({'span': 'all', 'source': source['id']})}" if source["id"] else "",
        members=tuple(_outcome(each, each) for each in (document.get("links") or {}).get("members", ())),
    )


def _word(result: str, action: str) -> str:
    return _WORDS.get(action, f"{action}d") if result == "Success" else result


def _refused(wish: Wish, refusal: ApiRefusal) -> Outcome:
    """Show why nothing was begun: the entry was not found, or the directory could not be asked."""
    said = (str(refusal), refusal.code)
    four = stages.unreached("object")
    if refusal.code in _NOT_IMPORTED:
        shown = [dataclasses.replace(four[0], status="failure", said=said), *four[1:]]
    else:
        shown = [Stage("Test connection and settings", "failure", said), *four]
    return Outcome(wish.dn, "Failure", "bad", "", shown)
