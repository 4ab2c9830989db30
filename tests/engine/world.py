"""A small world for engine tests: a directory in memory, a tenant in real PostgreSQL, and a job between them."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from datetime import UTC, datetime, timedelta
from typing import Any, Literal
from uuid import uuid4

import msgspec

from dirbridge.connectors.ad import schema as active_directory
from dirbridge.connectors.memory.cloud import Cloud, Record
from dirbridge.connectors.memory.directory import Directory, immutable_id
from dirbridge.connectors.memory.source import MemorySource
from dirbridge.connectors.memory.target import MemoryTarget
from dirbridge.connectors.protocol import Source, Target
from dirbridge.contract.schema import ContainerFilter, GroupFilter, ObjectMapping, Parameter, Schema
from dirbridge.contract.schema import Source as Origin
from dirbridge.engine import cycle
from dirbridge.engine.run import Context
from dirbridge.service.auth.sealing import Sealing
from dirbridge.store import events, jobs
from dirbridge.store.database import Database
from dirbridge.store.identifiers import new_id
from dirbridge.store.unit import Unit
from dirbridge.tenant import account, properties
from dirbridge.tenant import schema as tenant_schema
from dirbridge.tenant.target import TenantTarget

DOMAIN = "contoso.test"
SEALING = Sealing([bytes(32)])

TABLES = [
    "links",
    "containers",
    "entry_references",
    "member_removals",
    "seen",
    "seen_references",
    "due",
    "arrivals",
    "removals",
    "scope_groups",
    "scope_members",
    "watermarks",
    "events",
    "new_event_counts",
    "link_counts",
    "directory_objects",
    "directory_references",
    "purged_objects",
    "removed_references",
    "unique_values",
    "reference_exports",
    "begun_exports",
    "synchronization_accounts",
    "synchronization_credentials",
    "job_credentials",
]
"""Where a cycle that has nothing to do writes nothing."""


class Clock:
    """A clock that goes on by a millisecond whenever somebody looks."""

    def __init__(self) -> None:
        self.now = datetime(2026, 3, 1, 12, 0, tzinfo=UTC)

    def __call__(self) -> datetime:
        self.now += timedelta(milliseconds=1)
        return self.now

    async def sleep(self, seconds: float) -> None:
        """Let time pass, as a cycle asks for it."""
        self.now += timedelta(seconds=seconds)
        await asyncio.sleep(0)

    def forward(self, **by: float) -> None:
        """Let time pass."""
        self.now += timedelta(**by)


def default_schema(job: str) -> Schema:
    """The schema document that a new job gets."""
    return Schema(
        id=job,
        synchronization_rules=(active_directory.default_rule(),),
        directories=(active_directory.directory(), tenant_schema.directory(str(uuid4()))),
    )


class World:
    """One tenant, one job, one directory.

    Args:
        target: what the job writes: the tenant, or a cloud application in memory (`self.cloud`).
    """

    def __init__(self, database: Database, target: Literal["tenant", "cloud"] = "tenant") -> None:
        self.database = database
        self.tenant = uuid4()
        self.job = f"AD2AADProvisioning.{self.tenant.hex}"
        self.directory = Directory(DOMAIN)
        self.clock = Clock()
        self.source: Callable[[], Source] = lambda: MemorySource(self.directory)
        self.cloud = Cloud(self.clock, new_id) if target == "cloud" else None
        self.chosen_containers: set[str] = set()
        self.chosen_groups: set[str] = set()
        self.shouts = False
        """The departments of users are mapped in capitals."""
        self.target: Target[Unit] = (
            MemoryTarget(self.cloud, self.clock) if self.cloud else TenantTarget(new_id, SEALING)
        )

    def context(self, database: Database | None = None) -> Context:
        """What a worker is given."""
        return Context(
            database=database or self.database,
            source=lambda _job: self.source(),
            target=self.target,
            clock=self.clock,
            new_id=new_id,
            sleep=self.clock.sleep,
        )

    async def found(self) -> None:
        """Create tenant, domain and a started job."""
        async with self.database.transaction() as conn:
            await conn.execute(
                "insert into tenants (id, name, initial_domain, base_url) values (%s, 'Contoso', %s, 'https://localhost')",
                (self.tenant, "contoso.dirbridge.local"),
            )
            await conn.execute(
                """insert into domains (tenant, name, is_initial, is_default) values
                   (%s, %s, true, false), (%s, %s, false, true)""",
                (self.tenant, "contoso.dirbridge.local", self.tenant, DOMAIN),
            )
            principal = uuid4()
            await conn.execute(
                "insert into service_principals (tenant, id, app_id, display_name) values (%s, %s, %s, %s)",
                (self.tenant, principal, uuid4(), DOMAIN),
            )
            await jobs.create(
                conn,
                self.tenant,
                self.job,
                service_principal=principal,
                template_id="AD2AADProvisioning",
                domain=DOMAIN,
                schema=default_schema(self.job),
                settings={},
            )
            await jobs.start(conn, self.tenant, self.job)
            await account.ensure(conn, self.tenant, SEALING, new_id, self.clock())

    def cycle(self, database: Database | None = None) -> Awaitable[None]:
        """Run one cycle."""
        return cycle.run(self.context(database), self.tenant, self.job)

    async def restart(self, *scopes: str) -> None:
        """Restart the job."""
        async with self.database.transaction() as conn:
            await jobs.restart(conn, self.tenant, self.job, set(scopes))

    async def state(self) -> jobs.Job:
        """Give the job's row."""
        async with self.database.connection() as conn:
            job = await jobs.get(conn, self.tenant, self.job)
        assert job is not None
        return job

    async def rows(self, query: str, *parameters: Any) -> list[tuple[Any, ...]]:
        """Ask the database; `%s` for the tenant comes first."""
        async with self.database.connection() as conn:
            cursor = await conn.execute(query, (self.tenant, *parameters))  # type: ignore[arg-type]
            return list(await cursor.fetchall())

    async def fingerprint(self) -> dict[str, str]:
        """Tell any write to the tables that an idle cycle leaves alone, even one that changes nothing."""
        found = {}
        for table in TABLES:
            rows = await self.rows(
                f"""select coalesce(md5(string_agg(row, ',' order by row)), '') from (
                      select t.tableoid::text || t.ctid::text || t.xmin::text as row from {table} t where tenant = %s
                    ) as found"""
            )
            found[table] = rows[0][0]
        return found

    async def users(self) -> dict[str, dict[str, Any]]:
        """Give live users' properties by immutable id."""
        return await self._objects("user")

    async def groups(self) -> dict[str, dict[str, Any]]:
        """Give live groups' properties by immutable id."""
        return await self._objects("group")

    async def contacts(self) -> dict[str, dict[str, Any]]:
        """Give contacts' properties by immutable id."""
        return await self._objects("contact")

    async def _objects(self, kind: str) -> dict[str, dict[str, Any]]:
        if self.cloud:
            return {str(r.values["SourceAnchor"]): self._shown(r) for r in self.cloud.live(kind.title())}
        rows = await self.rows(
            """select id, immutable_id, properties from directory_objects
               where tenant = %s and object_type = %s and deleted_at is null
                 and id not in (select id from synchronization_accounts)""",
            kind,
        )
        return {row[1]: {**row[2], "id": str(row[0])} for row in rows}

    async def configure(self) -> None:
        """Store the schema document that says whom the world chose and how it maps."""
        schema = default_schema(self.job)
        rule = schema.synchronization_rules[0]
        mappings = tuple(self._mapping(each) for each in rule.object_mappings)
        rule = msgspec.structs.replace(
            rule,
            object_mappings=mappings,
            container_filter=ContainerFilter(tuple(sorted(self.chosen_containers))),
            group_filter=GroupFilter(tuple(sorted(self.chosen_groups))),
        )
        stored = (await self.state()).document()
        schema = msgspec.structs.replace(stored, synchronization_rules=(rule,))
        async with self.database.transaction() as conn:
            await jobs.set_schema(conn, self.tenant, self.job, schema)

    def _mapping(self, mapping: ObjectMapping) -> ObjectMapping:
        if not self.shouts or mapping.source_object_name != "user":
            return mapping
        shouted = Origin("Function", "ToUpper", parameters=(Parameter("source", Origin("Attribute", "department")),))
        rows = tuple(
            msgspec.structs.replace(row, source=shouted) if row.target_attribute_name == "Department" else row
            for row in mapping.attribute_mappings
        )
        return msgspec.structs.replace(mapping, attribute_mappings=rows)

    def _shown(self, record: Record) -> dict[str, Any]:
        """Give a record of the cloud as the tenant would show it."""
        shown: dict[str, Any] = {"id": record.id}
        properties.show(shown, record.values)
        return shown

    async def references(self, attribute: str) -> set[tuple[str, str]]:
        """Give references between live objects, as immutable ids."""
        if self.cloud:
            name = {"members": "Member", "manager": "Manager"}[attribute]
            key = {record.id: str(record.values["SourceAnchor"]) for record in self.cloud.records.values()}
            return {(key[r.id], key[o]) for r in self.cloud.records.values() for o in r.references.get(name, ())}
        rows = await self.rows(
            """select o.immutable_id, t.immutable_id from directory_references r
               join directory_objects o on o.tenant = r.tenant and o.id = r.owner
               join directory_objects t on t.tenant = r.tenant and t.id = r.referenced
               where r.tenant = %s and r.attribute = %s""",
            attribute,
        )
        return {(row[0], row[1]) for row in rows}

    async def events(self) -> list[dict[str, Any]]:
        """Give the log, oldest first."""
        rows = await self.rows(
            """select source_id, action, status, reason, detail, target_id, at from events
               where tenant = %s order by at, id"""
        )
        return [
            {
                "source": row[0],
                "action": row[1],
                "status": row[2],
                "reason": row[3],
                "detail": events.unpack(bytes(row[4])),
                "target": row[5],
            }
            for row in rows
        ]

    def person(self, anchor: str, name: str, **more: Any) -> None:
        """Add an ordinary user to the directory."""
        attributes = {
            "sAMAccountName": name.lower().replace(" ", "."),
            "userPrincipalName": f"{name.lower().replace(' ', '.')}@{DOMAIN}",
            "displayName": name,
            "userAccountControl": "512",
            **more,
        }
        self.directory.create(anchor, "user", name, **attributes)

    def team(self, anchor: str, name: str, **more: Any) -> None:
        """Add an ordinary group to the directory."""
        attributes = {"sAMAccountName": name, "groupType": "-2147483646", **more}
        self.directory.create(anchor, "group", name, **attributes)

    def partner(self, anchor: str, name: str, **more: Any) -> None:
        """Add an ordinary contact to the directory: somebody elsewhere with an address of their own."""
        address = f"{name.lower().replace(' ', '.')}@partner.test"
        self.directory.create(anchor, "contact", name, **{"mail": address, "targetAddress": f"SMTP:{address}", **more})


def key(anchor: str) -> str:
    """The immutable id of an anchor."""
    return immutable_id(anchor)
