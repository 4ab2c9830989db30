"""The service does what its document says: whatever is sent, no fault, and no answer that is not described.

`OPENAPI_EXAMPLES=50` looks longer.
"""

from __future__ import annotations

import asyncio
from collections.abc import Mapping, Sequence

import httpx2
import pytest

from dirbridge.service.openapi import document
from tests.service.conftest import BASE_URL
from tests.service.openapi.conformance import Operation, Prober
from tests.service.openapi.conftest import SmallWorld
from tests.service.openapi.test_document import filled

DIRECTORY = ("users", "groups", "contacts", "directory", "directoryObjects")
PARTS = {
    "directory": lambda first, version: version == "v1.0" and first in DIRECTORY,
    "directory-beta": lambda first, version: version == "beta" and first in DIRECTORY,
    "jobs": lambda first, version: version == "v1.0" and first not in DIRECTORY,
    "jobs-beta": lambda first, version: version == "beta" and first not in (*DIRECTORY, "dirbridge"),
    "dirbridge": lambda first, version: first == "dirbridge",
    "other": lambda _, version: version not in {"v1.0", "beta"},
}
"""Parts of the API, so that the tests of them can run side by side."""


@pytest.mark.timeout(600)
@pytest.mark.parametrize("part", PARTS)
async def test_answers_are_as_documented(small_world: SmallWorld, part: str) -> None:
    """With all permissions; with what there is and what there is not, with sound requests and unsound ones."""
    described = document.build(small_world.app, BASE_URL, small_world.tenant)
    prober = Prober(small_world, described, asyncio.get_running_loop())

    def wanted(path: str) -> bool:
        version, first = path.split("/")[1:3] if path.count("/") > 1 else (path, "")
        return PARTS[part](first, version)

    operations = prober.operations(wanted)
    functions = {(each.path, each.method): each.key for each in document.operations(small_world.app)}
    await asyncio.to_thread(_probe_all, prober, operations, functions)
    if prober.faults:
        pytest.fail("\n\n".join(f"{where}\n{told}" for where, told in sorted(prober.faults.items())), pytrace=False)
    assert prober.sent >= len(operations)


def _probe_all(prober: Prober, operations: Sequence[Operation], functions: Mapping[tuple[str, str], str]) -> None:
    """Probe every operation; one whose function answers another path, too, is probed thoroughly on one of them."""
    seen: set[str] = set()
    for operation in operations:
        function = functions[operation.path, operation.method.upper()]
        prober.probe(operation, briefly=function in seen)
        seen.add(function)


async def test_nothing_is_told_without_a_token(small_world: SmallWorld) -> None:
    """401 in Graph's envelope, with where to get a token, before anything is looked at; the rest is for everybody."""
    described = document.build(small_world.app, BASE_URL, small_world.tenant)
    del small_world.client.headers["Authorization"]
    guarded = 0
    for path, item in described["paths"].items():
        for method, operation in item.items():
            if operation["security"]:
                guarded += 1
                answer = await small_world.client.request(method.upper(), filled(small_world, path))
                _assert_refused(answer, f"{method} {path}")
    assert guarded > 300


def _assert_refused(answer: httpx2.Response, where: str) -> None:
    assert answer.status_code == 401, (where, answer.text)
    assert answer.json()["error"]["code"] == "InvalidAuthenticationToken", where
    assert answer.headers["www-authenticate"].startswith("Bearer "), where
