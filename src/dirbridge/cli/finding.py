"""Which job a person means: by its id, the beginning of it, or its domain."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any
from urllib.parse import quote

from dirbridge.cli.client import Client, plain
from dirbridge.contract.errors import DirbridgeError

Found = dict[str, Any]
"""A job as the API shows it, with `domain` and `servicePrincipalId` added."""


def all_jobs(client: Client) -> Iterator[Found]:
    """Give every job of every application."""
    for principal in client.pages("/servicePrincipals"):
        if principal.get("applicationTemplateId") is None:
            continue
        for job in client.pages(f"/servicePrincipals/{principal['id']}/synchronization/jobs"):
            yield {**job, "domain": principal["displayName"], "servicePrincipalId": principal["id"]}


def find(client: Client, wanted: str | None) -> Found:
    """Find a job by id, beginning of its id, or domain.

    Raises:
        DirbridgeError: none or several fit; names those that there are.
    """
    known = list(all_jobs(client))
    found = known
    if wanted is not None:
        exact = [job for job in known if wanted == job["id"] or wanted.lower() == str(job["domain"]).lower()]
        found = exact or [job for job in known if str(job["id"]).startswith(wanted)]
    if len(found) == 1:
        return found[0]
    there = "; ".join(f"{plain(job['domain'])} ({job['id']})" for job in known)
    what = "No job" if not found else "More than one job"
    raise DirbridgeError(
        f"{what} fits{'' if wanted is None else f' {wanted!r}'}. There are: {there}."
        if known
        else "There is no job yet.",
        code="JobNotFound" if not found else "JobAmbiguous",
        recommended_action="Name one by its id or domain, as JOB or by --job: --help has it."
        if known
        else "Make one by `dirbridge jobs create`.",
    )


def path(job: Found) -> str:
    """Give the address of a job."""
    return f"/servicePrincipals/{job['servicePrincipalId']}/synchronization/jobs/{quote(str(job['id']), safe='')}"


def again(client: Client, job: Found) -> Found:
    """Look at a job once more."""
    shown = client.get(path(job))
    shown.pop("@odata.context", None)
    return {**shown, "domain": job["domain"], "servicePrincipalId": job["servicePrincipalId"]}
