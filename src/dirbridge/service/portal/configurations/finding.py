"""Users and groups of the directory by a part of their name, for who does not know what exactly to call somebody."""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import Any

from dirbridge.service.portal import api
from dirbridge.service.portal.api import Api, ApiRefusal
from dirbridge.service.portal.configurations import jobs

LEAST = 2
"""Letters below which nothing is looked for."""
MOST = 10

_EXACT = re.compile(r"\s*(\w+\s*=.*|[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12})\s*", re.IGNORECASE)
"""A distinguished name or a GUID: nothing is left to be found."""


@dataclass(frozen=True, slots=True)
class Found:
    """What has a text in its name.

    Attributes:
        entries: as the API lists them; there are others where `more` is set.
        fault: why the directory could not be asked.
    """

    text: str
    entries: tuple[dict[str, Any], ...] = ()
    more: bool = False
    fault: str = ""


async def find(ours: Api, job: str, text: str) -> Found | None:
    """Look for a text in the names of what a job provisions; None where there is nothing to look for."""
    text = text.strip()
    if len(text) < LEAST or _EXACT.fullmatch(text):
        return None
    try:
        found = await ours.post(f"{jobs.OURS}/{api.key(job)}/search", {"text": text, "top": MOST})
    except ApiRefusal as refusal:
        return Found(text, fault=str(refusal))
    return Found(text, tuple(found["value"]), found["more"])
