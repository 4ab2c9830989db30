"""Groups of agents, the resources that they serve, and who belongs to which.

A tenant has a handful of each: they are read as a whole. Nothing here commits.
"""

from __future__ import annotations

from typing import Any
from uuid import UUID

import msgspec
from psycopg import AsyncConnection
from psycopg.rows import class_row

Conn = AsyncConnection[Any]


class Group(msgspec.Struct, frozen=True):
    """A row of `agent_groups`."""

    id: UUID
    display_name: str


class Resource(msgspec.Struct, frozen=True):
    """A row of `published_resources`."""

    id: UUID
    display_name: str
    resource_name: str


async def groups(conn: Conn, tenant: UUID) -> list[Group]:
    """Give all groups, the oldest first."""
    async with conn.cursor(row_factory=class_row(Group)) as cursor:
        await cursor.execute(
            "select id, display_name from agent_groups where tenant = %s order by created_at, id", (tenant,)
        )
        return await cursor.fetchall()


async def resources(conn: Conn, tenant: UUID) -> list[Resource]:
    """Give all resources that were published, the oldest first."""
    async with conn.cursor(row_factory=class_row(Resource)) as cursor:
        await cursor.execute(
            """select id, display_name, resource_name from published_resources where tenant = %s
               order by created_at, id""",
            (tenant,),
        )
        return await cursor.fetchall()


async def agents_of(conn: Conn, tenant: UUID) -> list[tuple[UUID, UUID]]:
    """Give group and agent of every membership."""
    cursor = await conn.execute("select agent_group, agent from agent_group_agents where tenant = %s", (tenant,))
    return [(row[0], row[1]) for row in await cursor.fetchall()]


async def resources_of(conn: Conn, tenant: UUID) -> list[tuple[UUID, UUID]]:
    """Give group and resource of every assignment."""
    cursor = await conn.execute("select agent_group, resource from agent_group_resources where tenant = %s", (tenant,))
    return [(row[0], row[1]) for row in await cursor.fetchall()]


async def put_group(conn: Conn, tenant: UUID, group: Group) -> None:
    """Add a group, or rename it."""
    await conn.execute(
        """insert into agent_groups (tenant, id, display_name) values (%s, %s, %s)
           on conflict (tenant, id) do update set display_name = excluded.display_name""",
        (tenant, group.id, group.display_name),
    )


async def delete_group(conn: Conn, tenant: UUID, group: UUID) -> None:
    """Drop a group; its agents and resources are without it."""
    await conn.execute("delete from agent_groups where tenant = %s and id = %s", (tenant, group))


async def put_resource(conn: Conn, tenant: UUID, resource: Resource) -> bool:
    """Publish a resource, or change it. False where another one has its name."""
    cursor = await conn.execute(
        """insert into published_resources (tenant, id, display_name, resource_name)
           select %(tenant)s, %(id)s, %(display_name)s, %(name)s
           where not exists (select from published_resources
                             where tenant = %(tenant)s and resource_name = %(name)s and id <> %(id)s)
           on conflict (tenant, id) do update
               set display_name = excluded.display_name, resource_name = excluded.resource_name
           returning id""",
        {
            "tenant": tenant,
            "id": resource.id,
            "display_name": resource.display_name,
            "name": resource.resource_name.lower(),
        },
    )
    return await cursor.fetchone() is not None


async def delete_resource(conn: Conn, tenant: UUID, resource: UUID) -> None:
    """Do not publish a resource any more."""
    await conn.execute("delete from published_resources where tenant = %s and id = %s", (tenant, resource))


async def assign_agent(conn: Conn, tenant: UUID, group: UUID, agent: UUID) -> None:
    """Put an agent into a group, where it may be already."""
    await conn.execute(
        "insert into agent_group_agents (tenant, agent_group, agent) values (%s, %s, %s) on conflict do nothing",
        (tenant, group, agent),
    )


async def release_agent(conn: Conn, tenant: UUID, group: UUID, agent: UUID) -> bool:
    """Take an agent out of a group. False where it was not in it."""
    result = await conn.execute(
        "delete from agent_group_agents where tenant = %s and agent_group = %s and agent = %s", (tenant, group, agent)
    )
    return result.rowcount == 1


async def assign_resource(conn: Conn, tenant: UUID, group: UUID, resource: UUID) -> None:
    """Assign a resource to a group, which may have it already."""
    await conn.execute(
        "insert into agent_group_resources (tenant, agent_group, resource) values (%s, %s, %s) on conflict do nothing",
        (tenant, group, resource),
    )


async def release_resource(conn: Conn, tenant: UUID, group: UUID, resource: UUID) -> bool:
    """Take a resource from a group. False where it did not have it."""
    result = await conn.execute(
        "delete from agent_group_resources where tenant = %s and agent_group = %s and resource = %s",
        (tenant, group, resource),
    )
    return result.rowcount == 1
