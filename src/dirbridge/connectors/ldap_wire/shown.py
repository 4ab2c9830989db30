"""What a trace shows of a search: where and what was asked, without names and values of people.

Filters of ours ask for types and ids, which are shown; those that look somebody up by name hold that name.
"""

from __future__ import annotations

import re

HIDDEN = "…"
_SHOWN = frozenset(
    {"objectclass", "objectcategory", "objectguid", "entryuuid", "nsuniqueid", "isdeleted", "grouptype", "entrycsn"}
)
"""Attributes whose values are of the directory, not of people."""

_ASSERTION = re.compile(r"\(([\w.-]+)((?:[:;][\w.-]*)*[~<>]?=)((?:[^()\\]|\\.)*)\)", re.DOTALL)
_GUID = re.compile(r"<(?:GUID|SID|WKGUID)=[^>]*>")
_PART = re.compile(r"(?:[^,\\]|\\.)+", re.DOTALL)


def asked(filter_: str) -> str:
    """Give a filter without the values that may be somebody's."""

    def hide(found: re.Match[str]) -> str:
        name, operator, value = found.groups()
        is_shown = name.lower() in _SHOWN or value in {"*", "TRUE", "FALSE"}
        return f"({name}{operator}{value if is_shown else HIDDEN})"

    return _ASSERTION.sub(hide, filter_)


def place(base: str) -> str:
    """Give the place of a search: an id, or of a name the part that is the domain's."""
    found = _GUID.search(base)
    if found:
        return found[0]
    parts = [part.strip() for part in _PART.findall(base)]
    domain = [part for part in parts if part[:3].lower() == "dc="]
    hidden = [HIDDEN] if len(domain) < len(parts) else []
    return ",".join([*hidden, *domain]) or "the root"
