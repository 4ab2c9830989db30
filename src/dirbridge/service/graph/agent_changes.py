"""What is changed about agents through the API: groups, the domains that are published, and who belongs to which.

A domain that is assigned to groups is served by their agents only; see `store.requests`.

Source: Graph onPremisesAgentGroup, publishedResource, and their `$ref`s.
"""

from __future__ import annotations

from typing import Annotated, Any
from uuid import uuid4

import msgspec
from fastapi import APIRouter, Request
from starlette.responses import Response

from dirbridge.service.auth.access import Caller
from dirbridge.service.graph import agent_inventory
from dirbridge.service.graph.agent_inventory import WHAT, Inventory
from dirbridge.service.graph.agents import ROOT, Publisher, Writer, address, audit, check
from dirbridge.service.graph.context import body, database
from dirbridge.service.graph.errors import GraphError, bad_request, not_found
from dirbridge.service.graph.gallery import domain_name
from dirbridge.service.graph.responses import GraphResponse, no_content
from dirbridge.store import agent_groups
from dirbridge.store.agent_groups import Group, Resource
from dirbridge.store.directory_queries import Conn

router = APIRouter()

Name = Annotated[str, msgspec.Meta(min_length=1, max_length=256)]


class GroupBody(msgspec.Struct, rename="camel"):
    """All that can be written of an agent group."""

    display_name: Name


class ResourceBody(msgspec.Struct, rename="camel"):
    """A domain to publish; what a change leaves out stays."""

    display_name: Name | None = None
    resource_name: Name | None = None


class Link(msgspec.Struct):
    """The address of what is to be linked."""

    id: str = msgspec.field(name="@odata.id")


# Groups ---------------------------------------------------------------------------------------------------------------


@router.post(ROOT + "/agentGroups")
async def add_group(request: Request, profile: str, caller: Writer) -> Response:
    """Make a group."""
    check(profile)
    made = Group(uuid4(), (await body(request, GroupBody)).display_name)
    async with database(request).transaction() as conn:
        await agent_groups.put_group(conn, caller.tenant, made)
        await audit(conn, caller, "Add agent group", str(made.id), {"displayName": made.display_name})
        found = await agent_inventory.read(conn, caller.tenant)
    shown = found.show("agentGroups", made, {})
    answer = {"@odata.context": address(request, "agentGroups/$entity"), **shown}
    return GraphResponse(answer, status_code=201)


@router.patch(ROOT + "/agentGroups/{key}")
async def rename_group(request: Request, profile: str, key: str, caller: Writer) -> Response:
    """Rename a group."""
    check(profile)
    name = (await body(request, GroupBody)).display_name
    async with database(request).transaction() as conn:
        group = _own(await agent_inventory.read(conn, caller.tenant), key)
        await agent_groups.put_group(conn, caller.tenant, Group(group.id, name))
        await audit(conn, caller, "Update agent group", key, {"displayName": name})
    return no_content()


@router.delete(ROOT + "/agentGroups/{key}")
async def delete_group(request: Request, profile: str, key: str, caller: Writer) -> Response:
    """Drop a group; what is in no other is in the default one."""
    check(profile)
    async with database(request).transaction() as conn:
        group = _own(await agent_inventory.read(conn, caller.tenant), key)
        await agent_groups.delete_group(conn, caller.tenant, group.id)
        await audit(conn, caller, "Delete agent group", key, {"displayName": group.display_name})
    return no_content()


def _own(found: Inventory, key: str) -> Group:
    """Give a group that can be changed."""
    group: Group = found.find("agentGroups", key)
    if group.id == found.default:
        raise bad_request("The default group is the system's: it holds what is in no other, and cannot be changed.")
    return group


# Published resources --------------------------------------------------------------------------------------------------


@router.post(ROOT + "/publishedResources")
async def publish(request: Request, profile: str, caller: Publisher) -> Response:
    """Publish a domain."""
    check(profile)
    wanted = await body(request, ResourceBody)
    if wanted.resource_name is None:
        raise bad_request("resourceName is missing: the DNS name of the domain, such as contoso.test.")
    name = domain_name(wanted.resource_name, "resourceName")
    made = Resource(uuid4(), wanted.display_name or name, name)
    async with database(request).transaction() as conn:
        found = await agent_inventory.read(conn, caller.tenant)
        await _publish(conn, caller, found, made)
        await audit(conn, caller, "Add published resource", str(made.id), {"resourceName": name})
    shown = found.show("publishedResources", made, {})
    answer = {"@odata.context": address(request, "publishedResources/$entity"), **shown}
    return GraphResponse(answer, status_code=201)


@router.patch(ROOT + "/publishedResources/{key}")
async def change_resource(request: Request, profile: str, key: str, caller: Publisher) -> Response:
    """Rename what is published; what is left out stays."""
    check(profile)
    wanted = await body(request, ResourceBody)
    async with database(request).transaction() as conn:
        found = await agent_inventory.read(conn, caller.tenant)
        before: Resource = found.find("publishedResources", key)
        name = domain_name(wanted.resource_name or before.resource_name, "resourceName")
        if name != before.resource_name:
            _check_unserved(caller, before)
        await _publish(conn, caller, found, Resource(before.id, wanted.display_name or before.display_name, name))
        await audit(conn, caller, "Update published resource", key, {"resourceName": name})
    return no_content()


@router.delete(ROOT + "/publishedResources/{key}")
async def withdraw(request: Request, profile: str, key: str, caller: Publisher) -> Response:
    """Do not publish a domain any more; one that an agent is enrolled for stays."""
    check(profile)
    async with database(request).transaction() as conn:
        resource: Resource = (await agent_inventory.read(conn, caller.tenant)).find("publishedResources", key)
        _check_unserved(caller, resource)
        await agent_groups.delete_resource(conn, caller.tenant, resource.id)
        await audit(conn, caller, "Delete published resource", key, {"resourceName": resource.resource_name})
    return no_content()


async def _publish(conn: Conn, caller: Caller, found: Inventory, wanted: Resource) -> None:
    others = [one for id, one in found.items["publishedResources"].items() if id != wanted.id]
    taken = any(isinstance(one, Resource) and one.resource_name == wanted.resource_name for one in others)
    if taken or not await agent_groups.put_resource(conn, caller.tenant, wanted):
        raise GraphError(409, "nameAlreadyExists", f"'{wanted.resource_name}' is published already.")


def _check_unserved(caller: Caller, resource: Resource) -> None:
    """Make sure that a resource is not there because of agents."""
    if resource.id == agent_inventory.served_resource(caller.tenant, resource.resource_name).id:
        said = f"Agents are enrolled for {resource.resource_name}; it is published as long as they are."
        raise GraphError(409, "Conflict", said)


# Who belongs to which group -------------------------------------------------------------------------------------------


@router.post(ROOT + "/agents/{key}/agentGroups/$ref")
async def assign_agent(request: Request, profile: str, key: str, caller: Writer) -> Response:
    """Put an agent into a group."""
    return await _link(request, profile, caller, "agents", key, _end(await body(request, Link)))


@router.post(ROOT + "/agentGroups/{group}/agents/$ref")
async def take_agent_in(request: Request, profile: str, group: str, caller: Writer) -> Response:
    """The same, from the group's side."""
    return await _link(request, profile, caller, "agents", _end(await body(request, Link)), group)


@router.delete(ROOT + "/agents/{key}/agentGroups/{group}/$ref")
@router.delete(ROOT + "/agentGroups/{group}/agents/{key}/$ref")
async def release_agent(request: Request, profile: str, key: str, group: str, caller: Writer) -> Response:
    """Take an agent out of a group."""
    return await _unlink(request, profile, caller, "agents", key, group)


@router.post(ROOT + "/publishedResources/{key}/agentGroups/$ref")
async def assign_resource(request: Request, profile: str, key: str, caller: Publisher) -> Response:
    """Have a group serve a domain."""
    return await _link(request, profile, caller, "publishedResources", key, _end(await body(request, Link)))


@router.post(ROOT + "/agentGroups/{group}/publishedResources/$ref")
async def take_resource_in(request: Request, profile: str, group: str, caller: Publisher) -> Response:
    """The same, from the group's side."""
    return await _link(request, profile, caller, "publishedResources", _end(await body(request, Link)), group)


@router.delete(ROOT + "/publishedResources/{key}/agentGroups/{group}/$ref")
@router.delete(ROOT + "/agentGroups/{group}/publishedResources/{key}/$ref")
async def release_resource(request: Request, profile: str, key: str, group: str, caller: Publisher) -> Response:
    """Have a group serve a domain no more."""
    return await _unlink(request, profile, caller, "publishedResources", key, group)


def _end(link: Link) -> str:
    """Give the key that an address ends with, with or without a slash or quotes behind it."""
    return link.id.rstrip("/").rpartition("/")[2].rpartition("(")[2].strip("')")


async def _link(request: Request, profile: str, caller: Caller, kind: str, key: str, group: str) -> Response:
    check(profile)
    async with database(request).transaction() as conn:
        found = await agent_inventory.read(conn, caller.tenant)
        item, owner = found.find(kind, key), _own(found, group)
        if isinstance(item, Resource):
            # One that is there because of an agent has no row yet.
            await _publish(conn, caller, found, item)
            await agent_groups.assign_resource(conn, caller.tenant, owner.id, item.id)
        else:
            await agent_groups.assign_agent(conn, caller.tenant, owner.id, item.id)
        await audit(conn, caller, f"Add {WHAT[kind]} to group", str(item.id), {"agentGroup": str(owner.id)})
    return no_content()


async def _unlink(request: Request, profile: str, caller: Caller, kind: str, key: str, group: str) -> Response:
    check(profile)
    release: Any = agent_groups.release_agent if kind == "agents" else agent_groups.release_resource
    async with database(request).transaction() as conn:
        found = await agent_inventory.read(conn, caller.tenant)
        item, owner = found.find(kind, key), _own(found, group)
        if not await release(conn, caller.tenant, owner.id, item.id):
            raise not_found(f"{WHAT[kind]} of the group", key)
        await audit(conn, caller, f"Remove {WHAT[kind]} from group", str(item.id), {"agentGroup": str(owner.id)})
    return no_content()
