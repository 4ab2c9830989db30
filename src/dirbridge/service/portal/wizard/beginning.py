"""The first step of a new configuration: which domain is read, of those that agents serve."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from fastapi import APIRouter, Request
from starlette.responses import RedirectResponse, Response

from dirbridge.service.auth.sign_in.browser import SignedIn
from dirbridge.service.portal import api, forms, rendering
from dirbridge.service.portal.api import Api, ApiRefusal
from dirbridge.service.portal.configurations import jobs
from dirbridge.service.portal.viewer import PortalRoute, Viewer
from dirbridge.service.portal.wizard import steps

router = APIRouter(prefix=f"{jobs.PATH}/new", route_class=PortalRoute, include_in_schema=False)

MOST = 200
"""Domains that are offered; beyond that one is typed."""
DIRECTORIES = {
    "AD2AADProvisioning": "Active Directory",
    "LDAP2AADProvisioning": "OpenLDAP, 389-DS or another LDAP directory",
}
"""What a configuration can read, by the template of its job."""


@dataclass(slots=True)
class Domain:
    """A domain that agents serve.

    Attributes:
        agents: those that serve it. job: the configuration that it has already.
    """

    name: str
    agents: list[Mapping[str, Any]] = field(default_factory=list)
    job: Mapping[str, Any] | None = None

    @property
    def is_begun(self) -> bool:
        """Tell whether its configuration was begun, and never ran."""
        return self.job is not None and steps.is_new(self.job)


@router.get("")
async def ask(request: Request, who: Viewer) -> Response:
    """Ask for the domain."""
    async with api.of(request, who) as ours:
        return await _page(request, who, ours)


@router.post("")
async def begin(request: Request, who: Viewer) -> Response:
    """Make the configuration, paused; one that was begun for the domain already is gone on with."""
    form = await forms.read(request)
    name, template = form.one("domain").lower(), form.one("template")
    async with api.of(request, who) as ours:
        if not name:
            return await _page(request, who, ours, fault="Choose the domain that is read.")
        if template not in DIRECTORIES:
            return await _page(request, who, ours, name=name, fault="Choose what kind of directory it is.")
        there = (await _of(ours, [name])).get(name)
        if there is not None:
            if Domain(name, job=there).is_begun:
                return RedirectResponse(steps.page_of(there["id"], "scope"), status_code=303)
            said = f"{name} has a configuration already."
            return await _page(request, who, ours, name=name, fault=said)
        try:
            job = await _make(ours, name, template)
        except ApiRefusal as refusal:
            if refusal.status != 400:
                raise
            return await _page(request, who, ours, name=name, fault=str(refusal))
    return RedirectResponse(steps.page_of(job, "scope"), status_code=303)


async def _make(ours: Api, domain: str, template: str) -> str:
    """Make the application and its job; an application that gets no job is taken away again."""
    (application,) = (await ours.get("/v1.0/applicationTemplates"))["value"]
    made = await ours.post(f"/v1.0/applicationTemplates/{application['id']}/instantiate", {"displayName": domain})
    principal = made["servicePrincipal"]["id"]
    try:
        job = await ours.post(f"/v1.0/servicePrincipals/{principal}/synchronization/jobs", {"templateId": template})
    except ApiRefusal:
        await ours.delete(f"/v1.0/applications/{made['application']['id']}")
        raise
    return str(job["id"])


async def _domains(ours: Api) -> list[Domain]:
    """Give the domains that agents serve, with the configurations that they have."""
    found: dict[str, Domain] = {}
    for agent in (await ours.get("/beta/dirbridge/agents"))["value"]:
        for name in agent["domains"] if agent["status"] != "revoked" else ():
            found.setdefault(name, Domain(name)).agents.append(agent)
    shown = [found[name] for name in sorted(found)[:MOST]]
    configured = await _of(ours, [domain.name for domain in shown])
    for domain in shown:
        domain.job = configured.get(domain.name)
    return shown


async def _of(ours: Api, names: list[str]) -> dict[str, Mapping[str, Any]]:
    """Give the configurations of some domains."""
    if not names:
        return {}
    quoted = ", ".join("'{}'".format(name.replace("'", "''")) for name in names)
    found = (await ours.get(jobs.OURS, filter=f"domain in ({quoted})", top=MOST))["value"]
    return {job["domain"]: job for job in found}


async def _page(request: Request, who: SignedIn, ours: Api, *, name: str = "", fault: str = "") -> Response:
    domains = await _domains(ours)
    return rendering.page(
        request, who, "wizard/domain.html", status=400 if fault else 200, domains=domains, name=name, fault=fault,
        templates=DIRECTORIES, step="domain", steps=[("", each, words) for each, words in steps.STEPS],
        free=[domain for domain in domains if domain.job is None],
    )  # fmt: skip
