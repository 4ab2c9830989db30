"""Requests made from the document, sent to the service in this process, and their answers held against the document.

Schemathesis makes the requests and judges the answers, in a thread of its own; they are sent on the event loop that the
service lives on. What the document leaves open for clients to come is closed here: an answer with a property that the
document does not have is a fault of the document.
"""

from __future__ import annotations

import asyncio
import copy
import json
import os
from collections.abc import Callable, Iterator, Mapping
from typing import Any

import httpx2
import requests
import schemathesis
from hypothesis import HealthCheck, Phase, given, settings
from hypothesis import strategies as st
from schemathesis import Case, GenerationMode
from schemathesis.checks import not_a_server_error
from schemathesis.config import SchemathesisConfig
from schemathesis.core.failures import FailureGroup
from schemathesis.schemas import APIOperation
from schemathesis.specs.openapi import checks

from dirbridge.service.openapi.document import Document
from tests.service.conftest import BASE_URL
from tests.service.openapi.conftest import SmallWorld

EXAMPLES = int(os.environ.get("OPENAPI_EXAMPLES", "3"))
"""Requests of each kind for each operation."""
LONG = 10
"""From so many examples on, the limits of every value are tried as well."""

CHECKS = [
    not_a_server_error,
    checks.status_code_conformance,
    checks.content_type_conformance,
    checks.response_headers_conformance,
    checks.response_schema_conformance,
]
ORDER = ("GET", "POST", "PUT", "PATCH", "DELETE")
"""What takes something away comes last, so that everything before finds something."""

Operation = APIOperation[Any, Any, Any, Any]


class Prober:
    """Sends requests to a small world, and remembers what is wrong with the answers."""

    def __init__(self, world: SmallWorld, document: Document, loop: asyncio.AbstractEventLoop) -> None:
        config = SchemathesisConfig.from_dict({
            "generation": {"with-security-parameters": False},
            "checks": {"not_a_server_error": {"expected-statuses": ["2xx", "3xx", "4xx", "501"]}},
        })  # fmt: skip
        self.schema = schemathesis.openapi.from_dict(closed(document), config=config)
        self.faults: dict[str, str] = {}
        self.sent = 0
        self.answered: dict[str, set[int]] = {}
        self._world = world
        self._document = document
        self._loop = loop

    def operations(self, wanted: Callable[[str], bool]) -> list[Operation]:
        """Give the operations on the paths that are wanted."""
        found = [each.ok() for each in self.schema.get_all_operations()]
        chosen = [each for each in found if wanted(each.path)]
        return sorted(chosen, key=_turn)

    def probe(self, operation: Operation, *, briefly: bool = False) -> None:
        """Try an operation: with what it takes on what there is and is not, and with what it does not take.

        Args:
            briefly: with a sound request on what there is, and no more.
        """
        filled = {name: self._world.key(end) for name, end in _ends(operation.path)}
        if self._takes_document(operation):
            self._try(self._documents(operation, filled), CHECKS)
            return
        self._try(operation.as_strategy(GenerationMode.POSITIVE, path_parameters=filled), CHECKS)
        if briefly:
            return
        if filled:
            self._try(operation.as_strategy(GenerationMode.POSITIVE), CHECKS)
        # Of bytes there are none that do not fit.
        if operation.query or any(body.media_type != "application/octet-stream" for body in operation.body):
            rejected = [*CHECKS, checks.negative_data_rejection]
            self._try(operation.as_strategy(GenerationMode.NEGATIVE, path_parameters=filled), rejected)
        if EXAMPLES >= LONG:
            self._try_limits(operation, filled)

    def _try_limits(self, operation: Operation, filled: dict[str, str]) -> None:
        """Try each value at and beyond its limits, one at a time."""
        config = self.schema.config.generation_for(operation=operation, phase="coverage")
        modes = [GenerationMode.POSITIVE, GenerationMode.NEGATIVE]
        for case in self.schema.iter_coverage_cases(operation, generation_modes=modes, generation_config=config):
            if case.method == operation.method.upper():
                case.path_parameters = dict(filled)
                self._judge(case, CHECKS)

    def _takes_document(self, operation: Operation) -> bool:
        """Whether a schema document is sent, which has hundreds of parts in each other."""
        item = self._document["paths"][operation.path][operation.method.lower()]
        shown = json.dumps(item.get("requestBody", {}))
        return any(f'/{name}"' in shown for name in ("WholeSchema", "PartOfSchema", "ChangedTemplate"))

    def _documents(self, operation: Operation, filled: dict[str, str]) -> st.SearchStrategy[Case[Any]]:
        """Make requests with the job's schema document, one place of it changed: made anew, none would be near one."""
        whole = "template}" in operation.path.rpartition("/")[2]
        return changed(self._world.schema).flatmap(
            lambda body: operation.as_strategy(
                path_parameters=filled, body={"schema": body} if whole else body, media_type="application/json"
            )
        )

    def _try(self, cases: st.SearchStrategy[Case[Any]], judged: list[Any]) -> None:
        @settings(
            max_examples=EXAMPLES,
            derandomize=bool(os.environ.get("CI")),
            database=None,
            deadline=None,
            phases=[Phase.generate],
            suppress_health_check=list(HealthCheck),
        )
        @given(case=cases)
        def each(case: Case[Any]) -> None:
            self._judge(case, judged)

        each()

    def _judge(self, case: Case[Any], judged: list[Any]) -> None:
        answer = self._send(case)
        try:
            case.validate_response(answer, checks=judged)
        except FailureGroup as fault:
            self.faults.setdefault(f"{case.operation.label} {answer.status_code}", str(fault))

    def _send(self, case: Case[Any]) -> httpx2.Response:
        headers = {**self._world.client.headers, "authorization": self._world.bearer(case.operation.path)}
        told = case.as_transport_kwargs(base_url=BASE_URL, headers=headers)
        names = ("method", "url", "headers", "params", "data", "json", "cookies")
        made = requests.Request(**{name: told[name] for name in names if name in told}).prepare()
        assert made.method is not None
        assert made.url is not None
        sending = self._world.client.request(
            made.method, made.url, headers=_headers(made.headers), content=_content(made.body)
        )
        answer = asyncio.run_coroutine_threadsafe(sending, self._loop).result(60)
        self.sent += 1
        self.answered.setdefault(case.operation.label, set()).add(answer.status_code)
        return answer


ODD = (None, "", "\x00", "x" * 300, "[", 0, -1, 1.5, True, [], [None], {}, {"a": {}})


@st.composite
def changed(draw: st.DrawFn, document: Any) -> Any:
    """Change one place of a document, or none."""
    found = copy.deepcopy(document)
    place = found
    while draw(st.integers(0, 9)) and place:
        key = draw(st.sampled_from(sorted(place) if isinstance(place, dict) else range(len(place))))
        if isinstance(place[key], dict | list) and draw(st.integers(0, 9)):
            place = place[key]
        else:
            place[key] = draw(st.sampled_from(ODD))
            break
    return found


def _turn(operation: Operation) -> tuple[int, int]:
    """Order operations; what takes away more comes after what takes away a part of it."""
    method = operation.method.upper()
    return ORDER.index(method), -operation.path.count("/") if method == "DELETE" else 0


def _ends(path: str) -> Iterator[tuple[str, str]]:
    """Give each parameter of a path, and the path up to it."""
    for at, sign in enumerate(path):
        if sign == "}":
            end = path[: at + 1]
            yield end[end.rindex("{") + 1 : -1], end


def _headers(given: Mapping[str, str | bytes]) -> list[tuple[bytes, bytes]]:
    return [
        (name.encode("latin-1"), value if isinstance(value, bytes) else value.encode("latin-1"))
        for name, value in given.items()
        if name.lower() not in {"accept-encoding", "connection", "content-length"}
    ]


def _content(body: Any) -> bytes | None:
    return body.encode() if isinstance(body, str) else body


def closed(document: Document) -> Document:
    """Give the document with the forms of answers closed: they have what is documented and nothing else."""
    found = copy.deepcopy(document)
    schemas = found["components"]["schemas"]
    sent = _reached(schemas, [item.get("requestBody") for path in found["paths"].values() for item in path.values()])
    for name, schema in schemas.items():
        if name not in sent:
            _close(schema)
    return found


def _reached(schemas: Document, start: Any) -> set[str]:
    """Name the components that something refers to, through others too."""
    names: set[str] = set()
    waiting = [start]
    while waiting:
        value = waiting.pop()
        if isinstance(value, dict):
            name = str(value.get("$ref", "")).rpartition("/")[2]
            if name in schemas and name not in names:
                names.add(name)
                waiting.append(schemas[name])
            waiting += value.values()
        elif isinstance(value, list):
            waiting += value
    return names


def _close(schema: Any) -> None:
    if isinstance(schema, dict):
        for each in schema.values():
            _close(each)
        if isinstance(schema.get("properties"), dict) and "type" in schema:
            schema.setdefault("additionalProperties", False)
    elif isinstance(schema, list):
        for each in schema:
            _close(each)
