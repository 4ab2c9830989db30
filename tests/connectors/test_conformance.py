"""The application in memory does what every target must."""

from __future__ import annotations

import contextlib
from collections.abc import AsyncIterator
from datetime import UTC, datetime
from typing import Any
from uuid import uuid4

import pytest

from dirbridge.connectors.conformance import CHECKS, Check, Subject
from dirbridge.connectors.memory.cloud import Cloud
from dirbridge.connectors.memory.target import MemoryTarget

DOMAIN = "contoso.test"


def now() -> datetime:
    return datetime(2026, 3, 1, 12, 0, tzinfo=UTC)


@contextlib.asynccontextmanager
async def unit() -> AsyncIterator[Any]:
    yield None


@pytest.mark.parametrize("check", CHECKS, ids=lambda check: check.__name__)
@pytest.mark.parametrize("in_batches", [False, True])
async def test_memory(check: Check, in_batches: bool) -> None:
    """Asked one by one or in batches."""
    target = MemoryTarget(Cloud(now, uuid4), now, in_batches=in_batches)
    await check(Subject(target, unit, DOMAIN))


async def test_a_target_that_does_otherwise_is_found_out() -> None:
    """Each check can fail: against a target that keeps nothing it was given, all but the trivial one do."""

    class Forgetful(MemoryTarget):
        async def find(self, *_asked: Any) -> dict[str, str]:
            return {}

        async def read(self, *_asked: Any) -> dict[str, Any]:
            return {}

        async def export(self, unit: Any, batch: Any) -> list[Any]:
            for export in batch:
                export.wanted.clear()
            return await super().export(unit, batch)

    passed = set()
    for check in CHECKS:
        try:
            await check(Subject(Forgetful(Cloud(now, uuid4), now), unit, DOMAIN))
        except (AssertionError, KeyError):
            continue
        passed.add(check.__name__)
    assert passed == {"nobody_is_nobody", "deleting_twice_is_deleting", "references_are_sets"}
