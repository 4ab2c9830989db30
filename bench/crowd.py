"""What a large tenant has besides users: many configurations, links, a long log, an audit trail, one huge group.

Rows that a measurement only looks at are made in sets by SQL; what they must agree with, such as counts, is made by the
store's own statements.
"""

from __future__ import annotations

import hashlib
from datetime import UTC, datetime, timedelta
from typing import LiteralString
from uuid import UUID

from bench.deployment import Service
from bench.filling import DAYS, Filled
from dirbridge.contract.event import Detail, ModifiedProperty, Status, Step, StepType
from dirbridge.store import event_counts, link_counts
from dirbridge.store.database import Database
from dirbridge.store.events import pack

AUDITS = 100_000
DETAIL = Detail(
    (
        Step("EntryImport", StepType.IMPORT, Status.SUCCESS, {"type": "user", "name": "A user"}),
        Step("EntryExportUpdate", StepType.EXPORT, Status.SUCCESS, {"type": "User", "name": "A user"}),
    ),
    (ModifiedProperty("JobTitle", "Title 1", "Title 2"),),
)

_JOBS: tuple[LiteralString, ...] = (
    """create temporary table made as
       select 'AD2AADProvisioning.crowd.' || n as id, n, gen_random_uuid() as principal
       from generate_series(1, %(jobs)s) n""",
    """insert into service_principals (tenant, id, app_id, display_name)
       select %(tenant)s, principal, gen_random_uuid(), 'd' || n || '.test' from made""",
    """insert into jobs (tenant, id, service_principal, template_id, domain, schema, settings, state, steady_first,
         last_execution, quarantine)
       select %(tenant)s, m.id, m.principal, j.template_id, 'd' || m.n || '.test', j.schema, j.settings, 'Active',
         now(),
         jsonb_build_object('state', case when m.n %% 10 = 1 then 'EntryLevelErrors' else 'Succeeded' end,
           'timeBegan', '2026-01-01T00:00:00Z', 'timeEnded', '2026-01-01T00:00:10Z', 'countEscrowed', m.n %% 10),
         case when m.n %% 10 = 0 then jsonb_build_object('reason', 'EncounteredQuarantineException',
           'error', jsonb_build_object('code', 'InvalidCredentials', 'message', 'The password was refused.'),
           'currentBegan', '2026-01-01T00:00:00Z', 'nextAttempt', '2026-01-01T01:00:00Z',
           'seriesBegan', '2026-01-01T00:00:00Z', 'seriesCount', 2, 'recommendedAction', 'Correct it.',
           'counts', '{}'::jsonb) end
       from made m join jobs j on j.tenant = %(tenant)s and j.id = %(model)s""",
    """insert into agents (tenant, id, machine_name, version, domains, public_key, certificate, expires_at, address,
         last_heard)
       select %(tenant)s, md5('agent' || n)::uuid, 'agent' || n, '1.0', array['d' || n || '.test'], n::text::bytea, '',
         now() + interval '90 days', '192.0.2.1', now()
       from generate_series(0, %(jobs)s / 25) n""",
    "insert into made select id, 0, service_principal from jobs where tenant = %(tenant)s and id = %(model)s",
)
_LINKS: tuple[LiteralString, ...] = (
    """create temporary table people as
       select row_number() over (order by o.id) as n, o.id, o.immutable_id, o.display_name
       from directory_objects o where o.tenant = %(tenant)s and o.immutable_id is not null""",
    "create index on people (n)",
    "analyze people",
    """insert into links (tenant, job, anchor, object_type, name, target, state, reason, digest, target_type)
       select %(tenant)s, m.id, p.immutable_id, 'user', p.display_name, p.id, 'provisioned', '', 'x', 'User'
       from people p join made m on m.n = p.n %% (%(jobs)s + 1)""",
    """update directory_objects o set sync_job = l.job from links l
       where o.tenant = %(tenant)s and l.tenant = %(tenant)s and l.target = o.id""",
    """insert into directory_references (tenant, owner, attribute, referenced)
       select %(tenant)s, (select min(id::text)::uuid from directory_objects
                           where tenant = %(tenant)s and object_type = 'group'), 'members', p.id
       from people p on conflict do nothing""",
)
_LOG: tuple[LiteralString, ...] = (
    """insert into events (tenant, id, at, job, cycle, change, action, status, reason, source_id, source_type,
         source_name, target_id, target_type, target_name, duration, detail)
       select %(tenant)s, gen_random_uuid(), %(since)s + g.n * (%(until)s - %(since)s) / %(log)s::int, m.id,
         md5((g.n / 500)::text)::uuid, gen_random_uuid(), 'update',
         case when g.n %% 100 = 41 then 'failure' when g.n %% 16 = 15 then 'skipped' else 'success' end,
         case when g.n %% 100 = 41 then 'TargetRefused' when g.n %% 16 = 15 then 'RedundantExport' else '' end,
         p.immutable_id, 'user', p.display_name, p.id::text, 'User', p.display_name, 40, %(detail)s
       from generate_series(1, %(log)s) g(n)
         join people p on p.n = 1 + g.n::bigint * 7919 %% (select count(*) from people)
         join made m on m.n = g.n %% (%(jobs)s + 1)""",
    """insert into new_event_counts (tenant, job, hour, action, status, reason, latency, number)
       select tenant, job, date_trunc('hour', at, 'UTC'), action, status, reason,
         case when status = 'success' then 1 else -1 end, count(*)
       from events where tenant = %(tenant)s and job like 'AD2AADProvisioning.crowd.%%' group by 1, 2, 3, 4, 5, 6, 7""",
    """insert into audits (tenant, id, at, actor, activity, target)
       select %(tenant)s, gen_random_uuid(), %(since)s + g.n * (%(until)s - %(since)s) / %(audits)s::int,
         'somebody@made-up.test', 'Update provisioning configuration', m.id
       from generate_series(1, %(audits)s) g(n) join made m on m.n = g.n %% (%(jobs)s + 1)""",
)


async def crowd(service: Service, filled: Filled, jobs: int, log: int, audits: int = AUDITS) -> None:
    """Give a filled tenant as many configurations, among which its users and a log of its own are spread."""
    now = datetime.now(UTC)
    values = {
        "tenant": service.tenant,
        "model": filled.jobs[0],
        "jobs": jobs,
        "log": log,
        "audits": audits,
        "since": now - timedelta(days=DAYS) + timedelta(hours=1),
        "until": now,
        "detail": pack(DETAIL),
    }
    async with Database(service.database_url, most=1) as database:
        async with database.transaction() as conn:
            for statement in (*_JOBS, *_LINKS, *_LOG):
                await conn.execute(statement, values)
        async with database.transaction() as conn:
            await event_counts.fold(conn)
            await link_counts.fold(conn)
        async with database.connection() as conn:
            await conn.execute("vacuum (analyze)")


AGENT = UUID(hashlib.md5(b"agent0", usedforsecurity=False).hexdigest())
"""The first agent."""


async def event_of(service: Service, job: str) -> UUID:
    """Give an event of a job, the newest one."""
    async with Database(service.database_url, most=1) as database, database.connection() as conn:
        cursor = await conn.execute(
            "select id from events where tenant = %s and job = %s order by at desc limit 1", (service.tenant, job)
        )
        row = await cursor.fetchone()
    assert row is not None
    return UUID(str(row[0]))
