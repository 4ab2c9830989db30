"""The statements behind a page are answered from an index, at the first page and deep down."""

from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from typing import Any, LiteralString
from uuid import UUID

import psycopg
import pytest
from psycopg import sql

from bench import plans
from dirbridge.service.graph import filters
from dirbridge.store import directory_properties, directory_queries, event_queries, feed
from dirbridge.store.conditions import EVERYTHING, Property, Where, compile_condition
from dirbridge.store.directory_queries import Order

TENANT = UUID("11111111-2222-3333-4444-555555555555")
MIDDLE = UUID(int=2**127)
NOW = datetime(2026, 6, 1, tzinfo=UTC)

BY_ID = ("directory_objects_live", "directory_objects_pkey")

Connection = psycopg.Connection[Any]

FILL: tuple[LiteralString, ...] = (
    "insert into tenants (id, name, initial_domain, base_url) values (%(tenant)s, 'Contoso', 'contoso.test', '')",
    """insert into directory_objects
         (tenant, id, object_type, display_name, user_principal_name, properties, created_at)
       select %(tenant)s, gen_random_uuid(), case when n %% 20 = 0 then 'group' else 'user' end, 'Person ' || n,
         'person' || n || '@contoso.test', jsonb_build_object('displayName', 'Person ' || n),
         %(now)s + n * interval '1s'
       from generate_series(1, 20000) n""",
    """insert into events (tenant, id, at, job, cycle, change, action, status, reason, source_id, source_type,
         source_name, target_id, target_type, target_name, duration, detail)
       select %(tenant)s, gen_random_uuid(), %(now)s + n * interval '1s',
         case when n %% 10 = 0 then 'AD2AADProvisioning.other' else 'AD2AADProvisioning.most' end, gen_random_uuid(),
         gen_random_uuid(), 'update', case when n %% 20 = 3 then 'failure' else 'success' end, '',
         'entry ' || n %% 5000, 'user', 'Person ' || n, '', '', 'Person ' || n, 1, ''
       from generate_series(1, 20000) n""",
    "analyze directory_objects",
    "analyze events",
)


@pytest.fixture
def conn(database_url: str) -> Iterator[Connection]:
    """Twenty thousand objects and as many events, with statistics."""
    with psycopg.connect(database_url, autocommit=True) as opened:
        for statement in FILL:
            opened.execute(statement, {"tenant": TENANT, "now": NOW})
        yield opened


def where(text: str, properties: Any) -> Where:
    table: dict[str, Property] = properties
    return compile_condition(filters.parse(text), table, type_name="any") if text else EVERYTHING


def check(conn: Connection, query: tuple[sql.Composed, dict[str, Any]], *indexes: str) -> None:
    """Make sure that a statement is answered from one of these indexes, and reads no table from end to end."""
    text, parameters = query[0].as_string(conn), query[1]
    assert plans.faults(conn, text, parameters) == [], text
    found = plans.indexes(conn, text, parameters)
    assert any(index in name for name in found for index in indexes), (found, text)


def test_pages_of_users(conn: Connection) -> None:
    """By id and in every order, also filtered, forwards and backwards, from the start and from the middle."""
    users = directory_queries.live(TENANT, "user")
    middle = {Order.ID: "", Order.DISPLAY_NAME: "person 15", Order.USER_PRINCIPAL_NAME: "person15"}
    middle |= {Order.CREATED: (NOW + timedelta(hours=2)).isoformat()}
    names = {Order.DISPLAY_NAME: "display_name", Order.CREATED: "created"}
    names |= {Order.USER_PRINCIPAL_NAME: "user_principal_name"}
    for order, key in middle.items():
        for after in (None, directory_queries.After(MIDDLE, key)):
            for limit, descending in ((101, False), (1000, True)):
                query = directory_queries.page_query(
                    users, order=order, descending=descending, after=after, limit=limit
                )
                check(conn, query, *([f"directory_objects_{names[order]}"] if order in names else BY_ID))
    named = where("startsWith(displayName,'Person 1') and userType ne 'Guest'", directory_properties.USER)
    query = directory_queries.page_query(users, where=named, order=Order.DISPLAY_NAME, descending=True, limit=101)
    check(conn, query, "directory_objects_display_name")


def test_pages_of_what_changed(conn: Connection) -> None:
    """A first round from the start and from the middle, and a round of a few changes."""

    def moment() -> feed.Moment:
        found = conn.execute(feed.NOW).fetchone()
        assert found is not None
        return feed.Moment(*found)

    until = moment()
    for after in (None, (0, MIDDLE)):
        query = feed.objects_query(TENANT, ["user"], since=None, until=until, after=after, limit=101)
        check(conn, query, *BY_ID)
    conn.execute("update directory_objects set changed = pg_current_xact_id() where display_name like 'Person 77_'")
    query = feed.objects_query(TENANT, ["user"], since=until, until=moment(), limit=101)
    check(conn, query, "directory_objects_changed")


@pytest.mark.parametrize(
    ("condition", "index"),
    [
        ("", "_pkey"),
        ("jobId eq 'AD2AADProvisioning.most' and activityDateTime gt 2026-06-01T01:00:00Z", "_pkey"),
        ("jobId eq 'AD2AADProvisioning.other'", "_job"),
        ("jobId eq 'AD2AADProvisioning.most' and provisioningStatusInfo/status eq 'Failure'", "_job_at_id_idx1"),
        ("cycleId eq 11111111-2222-3333-4444-555555555555", "_cycle"),
        ("provisioningAction eq 'delete'", "_action"),
        ("provisioningStatusInfo/errorInformation/errorCode eq 'Timeout'", "_reason"),
        ("startsWith(sourceIdentity/displayName,'person 777')", "_left_idx"),
        ("sourceIdentity/id eq 'x' or startsWith(sourceIdentity/displayName,'person 777')", "_left_idx"),
        ("targetIdentity/id eq 'x' or startsWith(targetIdentity/displayName,'person 777')", "_left_idx"),
        ("provisioningStatusInfo/status eq 'Failure'", "_status"),
        ("provisioningAction eq 'update' and statusInfo/status ne 'failure'", "_pkey"),
        ("sourceIdentity/id eq 'entry 77'", "_source"),
    ],
)
def test_pages_of_the_log(conn: Connection, condition: str, index: str) -> None:
    """Newest and oldest first, from the start and from the middle."""
    chosen = where(condition, event_queries.PROPERTIES)
    for after in (None, event_queries.After(NOW + timedelta(hours=3), MIDDLE)):
        for ascending in (False, True):
            query = event_queries.page_query(TENANT, where=chosen, after=after, ascending=ascending, limit=101)
            check(conn, query, index)


def test_a_plan_without_an_index_is_told(conn: Connection) -> None:
    """What the other tests look for is found where it is."""
    assert plans.faults(conn, "select * from directory_objects where display_name like '%%77'", ()) == [
        "it reads directory_objects from end to end"
    ]
    assert "it sorts 20,000 rows" in plans.faults(conn, "select * from directory_objects order by properties", ())
