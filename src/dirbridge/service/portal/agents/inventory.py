"""Agents as the API shows them, and where their pages are."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import datetime
from typing import Any

from dirbridge.service.portal import api
from dirbridge.service.portal.api import Api

PATH = "/portal/agents"
OURS = "/beta/dirbridge/agents"

PAGES = (("", "Overview"), ("updates", "Updates"), ("traces", "Traces and logs"))
"""Pages of one agent: the last part of their path, and their name."""


async def one(ours: Api, agent: str) -> dict[str, Any]:
    """Give an agent."""
    return await ours.get(in_api(agent))


def page_of(agent: str, name: str = "") -> str:
    """Give the path of a page of an agent."""
    return f"{PATH}/{api.key(agent)}" + (f"/{name}" if name else "")


def in_api(agent: str, name: str = "") -> str:
    """Give the path at which the API has an agent, or what belongs to it."""
    return f"{OURS}/{api.key(agent)}" + (f"/{name}" if name else "")


def tabs(agent: str) -> list[tuple[str, str]]:
    """Give path and name of each page of an agent."""
    return [(page_of(agent, name), words) for name, words in PAGES]


def quoted(text: str) -> str:
    """Write a text as a filter has it."""
    return "'" + text.replace("'", "''") + "'"


def moment(said: Mapping[str, Any] | None, name: str) -> str:
    """Take a time out of what an agent says of itself; empty where it is none: agents may say anything."""
    value = (said or {}).get(name)
    try:
        return value if isinstance(value, str) and datetime.fromisoformat(value).tzinfo is not None else ""
    except ValueError:
        return ""


def words_of(said: Mapping[str, Any] | None, name: str) -> str:
    """Take a text out of what an agent says of itself."""
    value = (said or {}).get(name)
    return value if isinstance(value, str) else ""
