"""Lists as array parameters, fast enough for a thousand rows a statement.

psycopg looks at every element with a regular expression; here a list of texts, of ids or of byte strings is written in
one go. Any other list goes psycopg's way.
"""

from __future__ import annotations

from typing import Any
from uuid import UUID

import msgspec
import psycopg
from psycopg import AsyncConnection
from psycopg.abc import Buffer
from psycopg.types.array import ListDumper
from psycopg.types.json import set_json_loads

_TEXTS = ({str}, {str, type(None)})
_IDS = ({UUID}, {UUID, type(None)})
_BYTES = ({bytes}, {bytes, type(None)})


class FastListDumper(ListDumper):
    """Writes PostgreSQL's array literal. Source: PostgreSQL manual, "Array Input and Output Syntax"."""

    def dump(self, obj: list[Any]) -> Buffer | None:
        """Write a list."""
        kinds = set(map(type, obj))
        if kinds in _TEXTS:
            return _texts(obj)
        if kinds in _IDS:
            return ("{" + ",".join(["NULL" if item is None else str(item) for item in obj]) + "}").encode()
        if kinds in _BYTES:
            return ("{" + ",".join(["NULL" if item is None else f'"\\\\x{item.hex()}"' for item in obj]) + "}").encode()
        return super().dump(obj)


def _texts(items: list[str | None]) -> bytes:
    quoted = ["NULL" if item is None else '"' + item.replace("\\", "\\\\").replace('"', '\\"') + '"' for item in items]
    literal = "{" + ",".join(quoted) + "}"
    if "\x00" in literal:
        raise psycopg.DataError("PostgreSQL text fields cannot contain NUL (0x00) bytes")
    return literal.encode()


async def prepare(connection: AsyncConnection[Any]) -> None:
    """Let a connection write lists this way, and read JSON as fast."""
    set_json_loads(msgspec.json.decode, connection)
    connection.adapters.register_dumper(list, FastListDumper)
