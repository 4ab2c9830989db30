"""What is done with an administrator's account: each act says first what it does, and asks."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from fastapi import APIRouter, Request
from starlette.responses import Response

from dirbridge.service.auth.sign_in.browser import PageRefusal
from dirbridge.service.portal import api, forms, rendering
from dirbridge.service.portal.api import Api
from dirbridge.service.portal.settings import places
from dirbridge.service.portal.settings.administrators import API, page_of, shown_once
from dirbridge.service.portal.viewer import PortalRoute, Viewer

router = APIRouter(prefix=places.ADMINISTRATORS, route_class=PortalRoute, include_in_schema=False)


@dataclass(frozen=True, slots=True)
class Act:
    """Something that is done.

    Attributes:
        says: what it does, before.
        done: what is said afterwards.
        path: of the API, below the administrator; empty where the account itself is changed.
        ends: it ends the sessions, and the tokens of applications.
    """

    button: str
    says: str
    done: str
    path: str = ""
    ends: bool = False


ACTS = {
    "password": Act(
        "Reset password", "A new password is made and shown once. The old one is good for nothing any more.", "",
        "resetPassword", ends=True,
    ),
    "disable": Act("Disable", "Nobody signs in with this account until it is enabled again.", "is disabled", ends=True),
    "enable": Act("Enable", "The account can sign in again, with the password that it had.", "is enabled"),
    "second-factor": Act(
        "Reset second factor", "Sign-in asks for no code any more, until the person sets a second factor up again.",
        "needs no second factor now", "resetSecondFactor",
    ),
    "unlock": Act("Unlock", "Who was told to wait after wrong passwords may try at once.", "is unlocked", "unlock"),
    "unlink": Act(
        "Forget the outside account", "The account at the outside provider is found anew at the next sign-in with it.",
        "has no account at the outside provider now", "unlink",
    ),
    "sessions": Act(
        "End all sessions", "Every browser has to sign in again.", "is signed out everywhere", "revokeSignInSessions",
        ends=True,
    ),
    "remove": Act("Remove", "The account goes for good. Its acts stay in the audit trail.", "is removed", ends=True),
}  # fmt: skip


@router.get("/{id}/{act}")
async def ask(request: Request, who: Viewer, id: str, act: str) -> Response:
    """Say what an act does, in numbers, and ask."""
    found = _act(act)
    async with api.of(request, who) as ours:
        whom = await ours.get(f"{API}/{api.key(id)}")
        sessions = (await ours.get(f"{API}/{api.key(id)}/sessions"))["value"] if found.ends else []
    return rendering.page(
        request, who, "settings/administrator-ask.html", tabs=places.TABS, whom=whom, act=found, sessions=sessions,
        action=page_of(id, act), back=page_of(id), is_self=whom["id"] == str(who.administrator.id),
        is_danger=act in {"remove", "disable"},
    )  # fmt: skip


@router.post("/{id}/sessions/{session}/end")
async def end_session(request: Request, who: Viewer, id: str, session: str) -> Response:
    """End one session."""
    await forms.read(request)
    async with api.of(request, who) as ours:
        await ours.delete(f"{API}/{api.key(id)}/sessions/{api.key(session)}")
    return rendering.done(request, "The session is ended.", page_of(id))


@router.post("/{id}/{act}")
async def act_on(request: Request, who: Viewer, id: str, act: str) -> Response:
    """Do it."""
    await forms.read(request)
    found = _act(act)
    async with api.of(request, who) as ours:
        whom = await ours.get(f"{API}/{api.key(id)}")
        made = await _do(ours, whom["id"], act, found)
    if "password" in made:
        return shown_once(request, who, made, "has a new password")
    back = places.ADMINISTRATORS if act == "remove" else page_of(whom["id"])
    return rendering.done(request, f"'{whom['userName']}' {found.done}.", back)


async def _do(ours: Api, id: str, act: str, found: Act) -> dict[str, Any]:
    where = f"{API}/{api.key(id)}"
    match act:
        case "enable" | "disable":
            return await ours.patch(where, {"accountEnabled": act == "enable"})
        case "remove":
            await ours.delete(where)
            return {}
    return await ours.post(f"{where}/{found.path}")


def _act(name: str) -> Act:
    if name not in ACTS:
        raise PageRefusal(404, "PageRefused", f"There is nothing called '{name}' that could be done.")
    return ACTS[name]
