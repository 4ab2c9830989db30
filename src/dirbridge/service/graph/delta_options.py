"""What a delta query may ask: the options of its first call, or a token that holds them.

Source: Graph's guide to delta queries, section on query parameters.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from urllib.parse import parse_qsl, quote
from uuid import UUID

from fastapi import Request

from dirbridge.service.graph import delta_tokens, objects
from dirbridge.service.graph.context import guid, sealing
from dirbridge.service.graph.delta_tokens import Options, Token
from dirbridge.service.graph.errors import GraphError, bad_request

DEFAULT_SIZE = 100
MAX_SIZE = 999
MAX_IDS = 50

_FIRST = frozenset({"select", "filter", "expand", "deltatoken", "skiptoken", "format"})
_PREFERENCE = re.compile(r"(?:odata\.)?maxpagesize\s*=\s*([0-9]{1,9})")
_CLAUSE = re.compile(r"\s*(?:id\s+eq\s+'?([0-9a-f-]{36})'?|isof\s*\(\s*'([a-z.]+)'\s*\))\s*", re.IGNORECASE)
_ID_LIST = re.compile(r"\s*id\s+in\s*\(([^()]*)\)\s*", re.IGNORECASE)
# What lies before a row of spaces is looked at, or each of them would be tried as its beginning.
_OR = re.compile(r"(?<!\s)\s+or\s+", re.IGNORECASE)
_PREFIX = re.compile(r"(?:microsoft\.)?graph\.\w+/", re.IGNORECASE)
_NAVIGATION = frozenset(
    name.lower()
    for name in (
        "acceptedSenders", "appRoleAssignments", "createdObjects", "directReports", "licenseDetails", "manager",
        "memberOf", "members", "membersWithLicenseErrors", "oauth2PermissionGrants", "ownedDevices", "ownedObjects",
        "owners", "permissionGrants", "photo", "registeredDevices", "rejectedSenders", "scopedRoleMemberOf",
        "settings", "sponsors", "transitiveMemberOf", "transitiveMembers", "transitiveReports",
    )
)  # fmt: skip


@dataclass(frozen=True, slots=True)
class Kind:
    """A collection that has a feed.

    Attributes:
        links: reference attributes that can be tracked. default_links: those that are when nothing is selected.
    """

    collection: str
    types: tuple[str, ...]
    links: tuple[str, ...]
    default_links: tuple[str, ...]

    @property
    def object_type(self) -> str | None:
        """The only type in it; None where several mix."""
        return self.types[0] if len(self.types) == 1 else None


@dataclass(frozen=True, slots=True)
class First:
    """A call that begins.

    Attributes:
        explicit: links were asked for by name.
        latest: nothing is to be told, only where the feed stands.
        minimal: entries that recur need not repeat their properties.
    """

    options: Options
    explicit: bool
    latest: bool
    size: int
    minimal: bool


@dataclass(frozen=True, slots=True)
class Following:
    """A call with a token."""

    token: Token
    size: int | None
    minimal: bool


def read(request: Request, kind: Kind) -> First | Following:
    """Read what a call asks.

    Raises:
        GraphError: 400 for what cannot be asked, 501 for a relationship that is not tracked.
    """
    options = _options(request)
    size, minimal = _preferences(request)
    text = options.get("skiptoken") or options.get("deltatoken") or ""
    if text and text.lower() != "latest":
        surplus = sorted(options.keys() - {"skiptoken", "deltatoken", "format"})
        if surplus or len(options.keys() & {"skiptoken", "deltatoken"}) > 1:
            raise bad_request(
                "The token holds all options of the first call: follow @odata.nextLink and @odata.deltaLink as they are"
                f"{', without $' + ' and $'.join(surplus) if surplus else ''}."
            )
        return Following(delta_tokens.read(text, sealing(request), kind.collection), size, minimal)
    if "skiptoken" in options:
        raise bad_request("$skiptoken is empty. Follow @odata.nextLink as it is.")
    select, links = _selected(options, kind)
    types, ids = _filtered(options.get("filter"), kind)
    wanted = Options(select, kind.default_links if links is None else links, types, ids)
    return First(wanted, links is not None, text.lower() == "latest", size or DEFAULT_SIZE, minimal)


def _options(request: Request) -> dict[str, str]:
    found: dict[str, str] = {}
    for written, value in parse_qsl(request.scope["query_string"].decode("latin-1"), keep_blank_values=True):
        name = written.lower().removeprefix("$")
        if name not in _FIRST:
            raise bad_request(
                f"The query option '{written}' is not supported in a delta query. Supported: $select, $filter by id,"
                " $deltatoken, $skiptoken, and the header 'Prefer: odata.maxpagesize=…' for the size of a page.",
                code="Request_UnsupportedQuery",
            )
        if name in found:
            raise bad_request(f"Query option '${name}' was specified more than once.")
        found[name] = value
    return found


def _preferences(request: Request) -> tuple[int | None, bool]:
    """Read the size of a page and whether answers are to be short. What cannot be met is ignored, as RFC 7240 says."""
    wanted = ",".join(request.headers.getlist("prefer")).lower()
    size = _PREFERENCE.search(wanted)
    told = int(size[1]) if size else 0
    return min(told, MAX_SIZE) or None, bool(re.search(r"return\s*=\s*minimal", wanted))


def _selected(options: dict[str, str], kind: Kind) -> tuple[tuple[str, ...] | None, tuple[str, ...] | None]:
    """Give properties and links that are asked for, None for the default of each."""
    # An older form of asking for members, which has the meaning of selecting them.
    expanded = [name.strip() for name in options["expand"].split(",")] if "expand" in options else []
    refused = [name for name in expanded if name.lower() not in kind.links]
    if refused:
        raise bad_request(
            f"$expand={refused[0]} is not supported in a delta query of {kind.collection}.",
            code="Request_UnsupportedQuery",
        )
    links = tuple(dict.fromkeys(name.lower() for name in expanded))
    if "select" not in options:
        return None, tuple(dict.fromkeys((*kind.default_links, *links))) if links else None
    names = [_PREFIX.sub("", name.strip()) for name in options["select"].split(",")]
    if "" in names:
        raise bad_request(f"$select expects names separated by commas, found '{options['select']}'.")
    links = tuple(dict.fromkeys((*links, *(name.lower() for name in names if name.lower() in kind.links))))
    plain = tuple(dict.fromkeys(name for name in names if name.lower() not in kind.links))
    for name in plain:
        if name.lower() in _NAVIGATION:
            raise GraphError(
                501,
                "NotImplemented",
                f"Changes of '{name}' are not tracked on {kind.collection}. Tracked: properties and"
                f" {', '.join(kind.links)}.",
            )
    return objects.known(plain, kind.object_type), links


def _filtered(text: str | None, kind: Kind) -> tuple[tuple[str, ...], tuple[UUID, ...] | None]:
    """Give the types and ids that a filter leaves."""
    if text is None:
        return kind.types, None
    ids: list[UUID] = []
    types: list[str] = []
    listed = _ID_LIST.fullmatch(text)
    clauses = [f"id eq {each.strip()}" for each in listed[1].split(",")] if listed else _OR.split(text.strip())
    for clause in clauses:
        matched = _CLAUSE.fullmatch(clause)
        id = guid(matched[1]) if matched and matched[1] else None
        named = _type(matched[2], kind) if matched and matched[2] else None
        if id is not None:
            ids.append(id)
        elif named is not None:
            types.append(named)
        else:
            raise bad_request(
                f"A delta query is filtered by ids only, such as \"id eq '…' or id eq '…'\"; found '{clause}'.",
                code="Request_UnsupportedQuery",
            )
    if len(set(ids)) > MAX_IDS or (ids and types):
        raise bad_request(
            f"A delta query is filtered by at most {MAX_IDS} ids, or by types, not by both; found {len(set(ids))} ids"
            f" and {len(types)} types.",
            code="Request_UnsupportedQuery",
        )
    return tuple(dict.fromkeys(types)) or kind.types, tuple(dict.fromkeys(ids)) or None


def _type(name: str, kind: Kind) -> str | None:
    """Read the type in `isof('microsoft.graph.user')`, which a feed of several types can be filtered by."""
    known = {objects.type_name(each).lower(): each for each in kind.types}
    return known.get(name.lower()) if len(kind.types) > 1 else None


def written(options: Options, kind: Kind) -> str:
    """Write the options of a first call anew, to begin again with."""
    text = ""
    if options.select is not None:
        text += f"$select={quote(','.join((*options.select, *options.links)), safe=',')}&"
    elif set(options.links) - set(kind.default_links):
        text += f"$expand={','.join(options.links)}&"
    clauses = [f"id eq '{id}'" for id in options.ids or ()]
    if options.types != kind.types:
        clauses = [f"isof('{objects.type_name(each)}')" for each in options.types]
    if clauses:
        text += f"$filter={quote(' or '.join(clauses), safe=chr(39) + '()')}&"
    return text
