"""Lists as parameters come back as they were."""

from datetime import UTC, datetime
from typing import Any
from uuid import uuid4

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from dirbridge.contract.errors import DirbridgeError
from dirbridge.store.database import Database

CASES: list[tuple[str, list[Any]]] = [
    ("text", ["", "NULL", "null", None, 'a"b', "back\\slash", "{braces}", "comma, space ", "\u1680", "🎉", "a'b\n\t"]),
    ("text", []),
    ("text", [None, None]),
    ("uuid", [uuid4(), None, uuid4()]),
    ("bytea", [b"", b"\x00\xff\\", None]),
    ("int", [1, -2, None]),
    ("timestamptz", [datetime(2026, 1, 1, tzinfo=UTC), None]),
    ("boolean", [True, False, None]),
]


@pytest.mark.parametrize(("kind", "values"), CASES)
async def test_a_list_comes_back(database: Database, kind: str, values: list[Any]) -> None:
    """Element by element, whatever it holds."""
    async with database.connection() as conn:
        cursor = await conn.execute(f"select %s::{kind}[]".encode(), (values,))
        row = await cursor.fetchone()
    assert row == (values,)


async def test_texts_of_any_kind(database: Database) -> None:
    """Any text but NUL and lone surrogates."""
    texts = st.lists(st.one_of(st.none(), st.text(st.characters(exclude_characters="\x00", exclude_categories=["Cs"]))))
    found: list[list[str | None]] = []

    @given(texts)
    @settings(max_examples=200, suppress_health_check=list(HealthCheck), deadline=None)
    def collect(values: list[str | None]) -> None:
        found.append(values)

    collect()
    async with database.connection() as conn:
        for values in found:
            cursor = await conn.execute("select %s::text[]", (values,))
            assert await cursor.fetchone() == (values,)


async def test_nul_is_refused(database: Database) -> None:
    """With an error that says so."""
    with pytest.raises(DirbridgeError, match="NUL"):
        async with database.connection() as conn:
            await conn.execute("select %s::text[]", (["a", "b\x00"],))
