"""What the planner believes of tables that it has not looked at since they were filled.

The first full read fills empty tables, its first page in one transaction that nobody has seen yet. The planner takes
them for empty, joins them row by row, and needs minutes for what takes milliseconds: 1,100 references among 390 links
took 75 s, against 0.03 s. So it is made to look: at the first page, and whenever a full read has grown fourfold.
"""

from __future__ import annotations

from dirbridge.store.database import Connection

TABLES = (
    "links",
    "entry_references",
    "directory_objects",
    "directory_references",
    "unique_values",
    "seen",
    "scope_members",
)
"""Tables that a full read fills, in the order in which they are locked."""


async def refresh(conn: Connection) -> None:
    """Let the planner look at the tables as they are in this transaction."""
    await conn.execute(f"analyze {', '.join(TABLES)}".encode())
