"""What can be said of an operation beyond what its route says itself: body, options, and the form of its answer.

Path, method, summary, permissions and roles are read off the route. `tables` has the rest, an entry for each route.
"""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from dirbridge.service.graph import odata

Form = type | str
"""A shape, or the name of a component that is derived from a table."""

JSON, TEXT, CSV, FORM = "application/json", "text/plain", "text/csv", "application/x-www-form-urlencoded"
BYTES, ZIP = "application/octet-stream", "application/zip"


@dataclass(frozen=True, slots=True)
class Options:
    """The query options that an operation takes.

    Attributes:
        names: without the `$`.
        select: properties that `$select` may name; None for any text. extensible: directory extensions, too.
        orders: properties that `$orderby` may name. relations: what `$expand` may name.
        most: the largest page.
        eventual: the header ConsistencyLevel makes a difference.
        prefer: the header Prefer makes one.
        plain: parameters that are none of OData's, each with what it is.
    """

    names: frozenset[str] = frozenset()
    select: Sequence[str] | None = None
    extensible: bool = False
    orders: Sequence[str] = ()
    relations: Sequence[str] = ()
    most: int = odata.MAX_TOP
    eventual: bool = False
    prefer: bool = False
    plain: Mapping[str, str] = field(default_factory=dict)


def options(*names: str) -> Options:
    """Options that need no more than their names."""
    return Options(frozenset(names))


NONE = Options()
FORMAT = options("format")
FEW = options("format", "top")


@dataclass(frozen=True, slots=True)
class Body:
    """What a request brings.

    Attributes:
        form: what the route decodes.
        required: properties that the route asks for although the form could do without; None leaves it to the form.
        name: of the component, where that differs from the form's.
        optional: nothing is as good as an empty object.
        media: the media type.
    """

    form: Form
    required: Sequence[str] | None = None
    name: str = ""
    optional: bool = False
    media: str = JSON


@dataclass(frozen=True, slots=True)
class Operation:
    """One operation.

    Attributes:
        status: of the answer where all goes well; None where it never does.
        answer: its form; None for an answer without a body.
        many: the answer is a collection of that form.
        media: its media type.
        body: what the request brings.
        options: the query options that it takes; None where it looks at none.
        permissions: that the function itself asks for; None where what its route asks for is all.
        otherwise: the form of the answer by further statuses where all goes well; None for one without a body.
        asks: headers of the request that make a difference.
        headers: of the answer, beside those that all have.
        refusals: further statuses of refusals, beside those that follow from the route.
    """

    status: int | None = 200
    answer: Form | None = None
    many: bool = False
    media: str = JSON
    body: Body | None = None
    options: Options | None = None
    permissions: tuple[str, ...] | None = None
    otherwise: Mapping[int, Form | None] = field(default_factory=dict)
    asks: Collection[str] = ()
    headers: Collection[str] = ()
    refusals: Collection[int] = ()


@dataclass(frozen=True, slots=True)
class Variants:
    """A route that is several operations, by the value of a parameter in its path.

    Attributes:
        parameter: its name.
        by_value: the operation for a value of it.
        otherwise: the operation for any other value; None where there is none.
    """

    parameter: str
    by_value: Mapping[str, Operation]
    otherwise: Operation | None = None


Entry = Operation | Variants
Table = Mapping[str, Entry]
"""Entries by the route's function: module below `dirbridge.service`, and name. Behind a slash, the last segment of the
path, where a function answers several paths."""


@dataclass(frozen=True, slots=True)
class Area:
    """A part of the API, as the document groups it.

    Attributes:
        tag: its name.
        description: one sentence.
    """

    tag: str
    description: str
    table: Table = field(default_factory=dict)


def lists(of: Form, asked: Options = NONE, **more: Any) -> Operation:
    """Answer with a collection."""
    return Operation(answer=of, many=True, options=asked, **more)


def gives(of: Form, asked: Options | None = FORMAT, **more: Any) -> Operation:
    """Answer with one resource."""
    return Operation(answer=of, options=asked, **more)


def counts(asked: Options = NONE) -> Operation:
    """Answer with a bare number."""
    return Operation(answer="Count", media=TEXT, options=asked)


def makes(of: Form, body: Body | type, *, located: bool = True, **more: Any) -> Operation:
    """Make something and answer with it."""
    return Operation(status=201, answer=of, body=_body(body), headers=("Location",) if located else (), **more)


def acts(body: Body | type | None = None, **more: Any) -> Operation:
    """Do something and answer with nothing."""
    return Operation(status=204, body=_body(body), **more)


def answers(of: Form, body: Body | type, **more: Any) -> Operation:
    """Do something with what the body says, and answer with what came of it."""
    return Operation(answer=of, body=_body(body), **more)


def refused(*statuses: int) -> Operation:
    """Say why it cannot be done."""
    return Operation(status=None, refusals=statuses)


def _body(given: Body | type | None) -> Body | None:
    return given if given is None or isinstance(given, Body) else Body(given)
