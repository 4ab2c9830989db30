"""What a query plan does with large tables, read from EXPLAIN."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import Any

import psycopg

LARGE = ("directory_objects", "directory_references", "events")
SORTED_ROWS = 2_000
"""As many rows may be sorted: two of the largest pages."""

Parameters = Mapping[str, Any] | Sequence[Any]


def faults(conn: psycopg.Connection[Any], statement: str, parameters: Parameters) -> list[str]:
    """Run a statement, and say where its plan reads or sorts what an index should have given."""
    return [fault for node in nodes(conn, statement, parameters) if (fault := _fault(node))]


def indexes(conn: psycopg.Connection[Any], statement: str, parameters: Parameters) -> list[str]:
    """Name the indexes that a statement is answered from; those of a log's day by the day's name."""
    return sorted({node["Index Name"] for node in nodes(conn, statement, parameters) if "Index Name" in node})


def nodes(conn: psycopg.Connection[Any], statement: str, parameters: Parameters) -> Iterator[dict[str, Any]]:
    """Give the nodes of a plan that was run, parts that were never reached left out."""
    found = conn.execute(f"explain (analyze, format json) {statement}", parameters).fetchone()
    waiting = [found[0][0]["Plan"]] if found else []
    while waiting:
        node = waiting.pop()
        if node["Actual Loops"]:
            yield node
        waiting += node.get("Plans", [])


def _fault(node: Mapping[str, Any]) -> str | None:
    kind, table = node["Node Type"], node.get("Relation Name", "")
    if kind == "Seq Scan" and table.startswith(LARGE) and node["Actual Rows"] + node.get("Rows Removed by Filter", 0):
        return f"it reads {table} from end to end"
    if kind == "Sort" and node["Plans"][0]["Actual Rows"] > SORTED_ROWS:
        return f"it sorts {node['Plans'][0]['Actual Rows']:,.0f} rows"
    return None
