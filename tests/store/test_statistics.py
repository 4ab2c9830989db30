"""Joins of tables that the planner has never seen filled stay quick."""

import time
from uuid import UUID, uuid4

from dirbridge.store import references, statistics
from dirbridge.store.database import Connection, Database
from dirbridge.store.references import Row

TENANT = UUID("11111111-2222-3333-4444-555555555555")


async def fill(conn: Connection, entries: int, memberships: int) -> list[str]:
    anchors = [str(uuid4()) for _ in range(entries)]
    principal = uuid4()
    await conn.execute("insert into tenants values (%s, 'x', 'x', 'x')", (TENANT,))
    await conn.execute(
        "insert into service_principals (tenant, id, app_id, display_name) values (%s, %s, %s, 'x')",
        (TENANT, principal, uuid4()),
    )
    await conn.execute(
        """insert into jobs (tenant, id, service_principal, template_id, domain, schema)
           values (%s, 'job', %s, 't', 'd', '{}')""",
        (TENANT, principal),
    )
    async with conn.cursor() as cursor:
        await cursor.executemany(
            """insert into links (tenant, job, anchor, object_type, target, state)
               values (%s, 'job', %s, 'user', %s, 'provisioned')""",
            [(TENANT, anchor, uuid4()) for anchor in anchors],
        )
    rows: list[Row] = [(anchors[number % 40], "member", anchors[number // 3]) for number in range(memberships)]
    await references.add(conn, TENANT, "job", rows)
    return anchors


async def test_references_of_a_first_page_resolve_at_once(database: Database) -> None:
    """As many as a small company has, among tables that were empty before: without care this takes over a minute."""
    async with database.transaction() as conn:
        anchors = await fill(conn, 390, 1100)
        await statistics.distrust(conn)
        await conn.execute("set local statement_timeout = '10s'")
        began = time.monotonic()
        found = await references.resolve(
            conn, TENANT, "job", owners=anchors, referenced=anchors, attributes=["member", "manager"]
        )
    assert len(found) == 1100
    assert time.monotonic() - began < 10


async def test_distrust_ends_with_the_transaction_and_with_large_tables(database: Database) -> None:
    """The planner is trusted again as soon as it says that the tables are large."""
    async with database.transaction() as conn:
        await statistics.distrust(conn)
        during = await (await conn.execute("show enable_nestloop")).fetchone()
    async with database.transaction() as conn:
        after = await (await conn.execute("show enable_nestloop")).fetchone()
        await conn.execute("update pg_class set reltuples = %s where oid = 'links'::regclass", (statistics.SMALL,))
        await statistics.distrust(conn)
        large = await (await conn.execute("show enable_nestloop")).fetchone()
    assert (during, after, large) == (("off",), ("on",), ("on",))
