"""Joins of tables that the planner has never seen filled stay quick."""

from uuid import UUID, uuid4

from dirbridge.store import references, statistics
from dirbridge.store.database import Connection, Database
from dirbridge.store.references import Row

TENANT = UUID("11111111-2222-3333-4444-555555555555")
ATTRIBUTES = ["member", "manager"]


async def fill(conn: Connection, entries: int, memberships: int) -> tuple[list[str], list[Row]]:
    anchors = [str(uuid4()) for _ in range(entries)]
    async with conn.cursor() as cursor:
        await cursor.executemany(
            """insert into links (tenant, job, anchor, object_type, target, state)
               values (%s, 'job', %s, 'user', %s, 'provisioned')""",
            [(TENANT, anchor, uuid4()) for anchor in anchors],
        )
    return anchors, [(anchors[number % 40], "member", anchors[number // 3]) for number in range(memberships)]


async def test_references_of_a_first_page_resolve_at_once(database: Database) -> None:
    """As many as a small company has, among tables that were empty before: without care this takes over a minute."""
    async with database.transaction() as conn:
        await conn.execute("set local statement_timeout = '10s'")
        anchors, rows = await fill(conn, 390, 1100)
        await statistics.refresh(conn)
        new = await references.add(conn, TENANT, "job", rows, ATTRIBUTES)
        assert len(new) == 1100
        await references.lose(conn, TENANT, "job", anchors)
        late = await references.resolve(conn, TENANT, "job", owners=anchors, referenced=anchors, attributes=ATTRIBUTES)
    assert len(late) == 1100
