"""OData query options and pages: what a list request asks, and how its answer is put together.

Source: OData 4.01 URL Conventions section 5; Graph's query parameter and paging guides.
"""

from __future__ import annotations

import base64
import re
import zlib
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, TypeVar
from urllib.parse import parse_qsl, quote

import msgspec
from fastapi import Request

from dirbridge.service.graph import filters, searches
from dirbridge.service.graph.context import context, root
from dirbridge.service.graph.errors import GraphError, bad_request
from dirbridge.store.conditions import EVERYTHING, Condition, Property, UnsupportedCondition, Where, compile_condition

DEFAULT_TOP = 100
MAX_TOP = 999

KNOWN = frozenset({
    "select", "filter", "top", "count", "orderby", "skiptoken", "expand", "search", "skip", "format", "deltatoken",
    "apply", "compute", "levels",
})  # fmt: skip
LIST = frozenset({"select", "filter", "top", "count", "orderby", "skiptoken", "format"})
ITEM = frozenset({"select", "format"})

_EXPANDED = re.compile(r"([A-Za-z]\w*)(?:\(\s*\$?select=([^();]*)\))?", re.IGNORECASE)

_PAGE_SIZE = re.compile(r"odata\.maxpagesize\s*=\s*([1-9]\d*)", re.IGNORECASE)

Key = TypeVar("Key")
Row = TypeVar("Row")


@dataclass(frozen=True, slots=True)
class Expand:
    """A relation to show with each object, and the properties wanted of what it names."""

    name: str
    select: tuple[str, ...] | None


@dataclass(frozen=True, slots=True)
class Query:
    """The options of one request.

    Attributes:
        select: names as asked; None where nothing was asked.
        order: property and whether descending; None where nothing was asked.
        after: the opaque end of the page before.
        advanced: the request carries `ConsistencyLevel: eventual` and `$count=true`.
    """

    select: tuple[str, ...] | None
    filter: Condition | None
    search: Condition | None
    top: int
    count: bool
    order: tuple[str, bool] | None
    after: str | None
    eventual: bool
    advanced: bool
    options: tuple[tuple[str, str], ...]

    @property
    def expand(self) -> Expand | None:
        """The relation of directory objects that `$expand` asks for; other resources read the option their own way."""
        return _expand(dict(self.options).get("expand"))

    def where(self, properties: Mapping[str, Property], type_name: str, *, advanced: bool | None = None) -> Where:
        """Compile the filter over a collection's properties.

        Args:
            advanced: whether advanced operators are at hand; by default as the request says.
        """
        at_hand = self.advanced if advanced is None else advanced
        found = EVERYTHING
        if self.filter is not None:
            try:
                found = compile_condition(self.filter, properties, type_name=type_name, advanced=at_hand)
            except UnsupportedCondition as error:
                raise filters.refuse(error) from error
        if self.search is not None:
            try:
                found = found & compile_condition(self.search, properties, type_name=type_name, prefix="s")
            except UnsupportedCondition as error:
                raise searches.refuse(error) from error
        return found


def read(
    request: Request, allowed: frozenset[str] = LIST, *, default_top: int = DEFAULT_TOP, max_top: int = MAX_TOP
) -> Query:
    """Read a request's query options.

    Args:
        allowed: what the resource supports; the rest is refused rather than silently left out.

    Raises:
        GraphError: 400 for an option that is unknown, unsupported, repeated or malformed.
    """
    options = _options(request, allowed)
    eventual = request.headers.get("ConsistencyLevel", "").strip().lower() == "eventual"
    count = _boolean("$count", options.get("count", "false"))
    text = options.get("filter")
    return Query(
        select=_select(options.get("select")),
        filter=None if text is None else filters.parse(text),
        search=_search(options.get("search"), eventual),
        top=_top(options.get("top") or _preferred_size(request), default_top, max_top),
        count=count,
        order=_order(options.get("orderby")),
        after=options.get("skiptoken"),
        eventual=eventual,
        advanced=eventual and count,
        options=tuple((name, value) for name, value in options.items() if name != "skiptoken"),
    )


def _options(request: Request, allowed: frozenset[str]) -> dict[str, str]:
    found: dict[str, str] = {}
    pairs = parse_qsl(request.scope["query_string"].decode("latin-1"), keep_blank_values=True)
    for written, value in pairs:
        name = written.lower().removeprefix("$")
        if name not in KNOWN:
            raise bad_request(f"The query parameter '{written}' is not known. {_supported(allowed)}")
        if name not in allowed:
            raise bad_request(
                f"The query option '${name}' is not supported here. {_supported(allowed)}",
                code="Request_UnsupportedQuery",
            )
        if name in found:
            raise bad_request(
                f"Query option '${name}' was specified more than once, but it must be specified at most once."
            )
        found[name] = value
    return found


def _supported(allowed: frozenset[str]) -> str:
    return "Supported: " + ", ".join(f"${name}" for name in sorted(allowed)) + "."


def _select(text: str | None) -> tuple[str, ...] | None:
    if text is None:
        return None
    names = tuple(dict.fromkeys(name.strip() for name in text.split(",")))
    if "" in names:
        raise bad_request(f"$select expects names separated by commas, found '{text}'.")
    return names


def _search(text: str | None, eventual: bool) -> Condition | None:
    if text is None:
        return None
    if not eventual:
        raise bad_request(
            "Request with $search query parameter only works through MSGraph with a special request header:"
            " 'ConsistencyLevel: eventual'.",
            code="Request_UnsupportedQuery",
        )
    return searches.parse(text)


def _expand(text: str | None) -> Expand | None:
    """Read `name`, `*` excluded, or `name($select=a,b)`: Graph's directory takes one relation a request."""
    if text is None:
        return None
    match = _EXPANDED.fullmatch(text.strip())
    if match is None:
        raise bad_request(
            "$expand expects one relation, with no options but $select, as in manager($select=id,displayName); found"
            f" '{text}'.",
            code="Request_UnsupportedQuery",
        )
    return Expand(match[1], _select(match[2]))


def _top(text: str | None, default: int, most: int) -> int:
    if text is None:
        return default
    if not (text.isascii() and text.isdigit()) or int(text[:9]) < 1:
        raise bad_request(f"Invalid page size specified: '{text}'. Must be between 1 and {most} inclusive.")
    return min(int(text[:9]), most)


def _preferred_size(request: Request) -> str | None:
    """Give the size of a page that the client prefers, where it is a number: a preference is met or ignored."""
    preferred = request.headers.get("prefer")
    found = _PAGE_SIZE.search(preferred) if preferred else None
    return found[1] if found else None


def _boolean(name: str, text: str) -> bool:
    if text.lower() not in {"true", "false"}:
        raise bad_request(f"{name} expects true or false, found '{text}'.")
    return text.lower() == "true"


def _order(text: str | None) -> tuple[str, bool] | None:
    if text is None:
        return None
    words = text.split()
    if "," in text or not 1 <= len(words) <= 2 or (len(words) == 2 and words[1].lower() not in {"asc", "desc"}):
        raise bad_request(f"$orderby expects one property, and asc or desc after it, found '{text}'.")
    return words[0], words[-1].lower() == "desc" and len(words) == 2


def order(query: Query, allowed: Mapping[str, Key], type_name: str) -> tuple[Key, bool] | None:
    """Find what a list is to be sorted by.

    Args:
        allowed: by name in lower case.
    """
    if query.order is None:
        return None
    name, descending = query.order
    if name.lower() not in allowed:
        raise bad_request(
            f"Sorting by '{name}' is not supported on type '{type_name}'. Supported: {', '.join(allowed)}.",
            code="Request_UnsupportedQuery",
        )
    return allowed[name.lower()], descending


def selected(query: Query, known: Mapping[str, str], type_name: str) -> frozenset[str] | None:
    """Find which properties are to be shown; None for all.

    Args:
        known: the type's properties by name in lower case.

    Raises:
        GraphError: 400 for one that the type has not.
    """
    if query.select is None:
        return None
    for asked in query.select:
        if asked.lower() not in known:
            raise bad_request(f"Could not find a property named '{asked}' on type '{type_name}'.")
    return frozenset(known[asked.lower()] for asked in query.select)


def chosen(shown: dict[str, Any], select: frozenset[str] | None) -> dict[str, Any]:
    """Keep the selected properties of an object."""
    return shown if select is None else {name: value for name, value in shown.items() if name in select}


# Pages ----------------------------------------------------------------------------------------------------------------


def token(query: Query, key: msgspec.Struct) -> str:
    """Make the opaque end of a page, bound to the query whose pages it leads through."""
    coded = msgspec.msgpack.encode((_mark(query), key))
    return base64.urlsafe_b64encode(coded).rstrip(b"=").decode()


def position(query: Query, shape: type[Key]) -> Key | None:
    """Read where the page before ended; None on the first page.

    Raises:
        GraphError: 400 where the token is damaged or belongs to another query.
    """
    if query.after is None:
        return None
    try:
        coded = base64.urlsafe_b64decode(query.after.encode("ascii") + b"=" * (-len(query.after) % 4))
        mark, key = msgspec.msgpack.decode(coded, type=tuple[int, shape])  # type: ignore[valid-type]
        # A lone surrogate or a NUL can be smuggled in here and nowhere else.
        msgspec.json.encode(key).decode("utf-8")
    except (ValueError, msgspec.DecodeError, UnicodeError) as error:
        raise unreadable() from error
    if mark != _mark(query):
        raise bad_request("The $skiptoken belongs to a query with other options. Start again without it.")
    found: Key = key
    return found


def unreadable() -> GraphError:
    """Refuse a token that this service never gave."""
    return bad_request("The $skiptoken cannot be read. Follow @odata.nextLink as it is, or start again.")


def _mark(query: Query) -> int:
    """Tell queries apart whose pages do not fit together; the page size may change on the way."""
    told = [(name, value) for name, value in query.options if name in {"filter", "orderby", "search"}]
    return zlib.crc32(msgspec.json.encode(sorted(told)))


def next_link(request: Request, query: Query, key: msgspec.Struct) -> str:
    """Give the address of the page that follows."""
    options = [*query.options, ("skiptoken", token(query, key))]
    written = "&".join(f"${name}={quote(value, safe=',:')}" for name, value in options)
    path = request.url.path.partition(f"/{request.scope.get('graph_version', '')}/")[2]
    return f"{root(request)}/" + quote(path, safe="/$@:'=") + f"?{written}"


def page(
    request: Request,
    query: Query,
    rows: Sequence[Row],
    *,
    fragment: str,
    render: Callable[[Row], dict[str, Any]],
    key: Callable[[Row], msgspec.Struct],
    total: int | None = None,
) -> dict[str, Any]:
    """Put a page together from one row more than asked for, which tells whether another page follows.

    Args:
        fragment: what the metadata address ends with, such as `users`.
        total: the size of the whole collection, where the request wants it.
    """
    shown = rows[: query.top]
    answer: dict[str, Any] = {"@odata.context": context(request, fragment)}
    if total is not None:
        answer["@odata.count"] = total
    if len(rows) > len(shown):
        answer["@odata.nextLink"] = next_link(request, query, key(shown[-1]))
    answer["value"] = [render(row) for row in shown]
    return answer


def with_select(fragment: str, query: Query) -> str:
    """Name the selected and the expanded properties in the metadata address, as OData does."""
    named = list(query.select or ())
    if query.expand is not None:
        named.append(f"{query.expand.name}({','.join(query.expand.select or ())})")
    return f"{fragment}({','.join(named)})" if named else fragment


def need_eventual(query_or_request: Query | Request) -> None:
    """Refuse a bare count without the header that Graph asks for.

    Raises:
        GraphError: 400.
    """
    if isinstance(query_or_request, Query):
        eventual = query_or_request.eventual
    else:
        eventual = query_or_request.headers.get("ConsistencyLevel", "").strip().lower() == "eventual"
    if not eventual:
        raise GraphError(
            400,
            "Request_BadRequest",
            "$count is not currently supported without the header 'ConsistencyLevel: eventual'. Send it with the call.",
        )
