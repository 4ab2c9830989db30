"""Jobs as the API shows them, and where their pages are."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any
from urllib.parse import parse_qs, urlsplit

from dirbridge.service.portal import api
from dirbridge.service.portal.api import Api

PATH = "/portal/configurations"
OURS = "/beta/dirbridge/jobs"

PAGES = (
    ("", "Overview"),
    ("scope", "Scope"),
    ("mapping", "Attribute mapping"),
    ("on-demand", "Provision on demand"),
    ("preview", "Preview"),
    ("deletes", "Staged deletes"),
    ("insights", "Insights"),
    ("properties", "Properties"),
    ("schema", "Schema"),
)
"""Pages of one configuration: the last part of their path, and their name."""


async def one(ours: Api, job: str) -> dict[str, Any]:
    """Give a job, with its domain and the service principal that it belongs to."""
    return await ours.get(f"{OURS}/{api.key(job)}")


def page_of(job: str, name: str = "") -> str:
    """Give the path of a page of a configuration."""
    return f"{PATH}/{api.key(job)}" + (f"/{name}" if name else "")


def in_api(job: Mapping[str, Any], name: str = "", version: str = "v1.0") -> str:
    """Give the path at which Graph has the job, or what belongs to it."""
    path = f"/{version}/servicePrincipals/{job['servicePrincipalId']}/synchronization/jobs/{api.key(job['id'])}"
    return f"{path}/{name}" if name else path


def tabs(job: Mapping[str, Any]) -> list[tuple[str, str]]:
    """Give path and name of each page of a configuration."""
    return [(page_of(job["id"], name), words) for name, words in PAGES]


def position_behind(answer: Mapping[str, Any]) -> str:
    """Give the position at which the page after an answer of the API begins; empty where there is none."""
    following = parse_qs(urlsplit(str(answer.get("@odata.nextLink", ""))).query)
    return following.get("$skiptoken", [""])[0]


def values(job: Mapping[str, Any]) -> dict[str, Any]:
    """Give what the template of every page of a configuration needs; `at` is where its pages are."""
    return {"job": job, "tabs": tabs(job), "at": page_of(job["id"])}
