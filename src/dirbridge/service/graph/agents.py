"""Agents, agent groups and published resources through the API; beta only, as in Graph.

Source: Graph onPremisesPublishingProfile and its relationships.
"""

from __future__ import annotations

from typing import Annotated, Any
from uuid import uuid4

import msgspec
from fastapi import APIRouter, Depends, Request
from starlette.responses import Response

from dirbridge.service.auth.access import Caller, require
from dirbridge.service.auth.permissions import HYBRID, OBSERVERS
from dirbridge.service.graph import agent_inventory, odata, updater
from dirbridge.service.graph.agent_inventory import PROFILE, Inventory
from dirbridge.service.graph.context import body, context, database
from dirbridge.service.graph.errors import GraphError, bad_request, not_found
from dirbridge.service.graph.responses import GraphResponse, TextResponse, no_content
from dirbridge.store import agent_groups, audits, tenant_settings
from dirbridge.store.agent_groups import Group, Resource
from dirbridge.store.directory_queries import Conn

router = APIRouter()

_PUBLISHING = "OnPremisesPublishingProfiles.ReadWrite.All"
_WRITE = ("Policy.ReadWrite.HybridAuthentication", "Directory.ReadWrite.All", _PUBLISHING)
Reader = Annotated[Caller, Depends(require("Policy.Read.HybridAuthentication", *_WRITE, roles=OBSERVERS))]
Writer = Annotated[Caller, Depends(require(*_WRITE, roles=HYBRID))]
Publisher = Annotated[Caller, Depends(require(_PUBLISHING, roles=HYBRID))]
PublishedReader = Annotated[Caller, Depends(require(_PUBLISHING, roles=OBSERVERS))]
Configurer = Annotated[Caller, Depends(require("Directory.ReadWrite.All", roles=HYBRID))]

ROOT = "/onPremisesPublishingProfiles/{profile}"
UPDATER = ROOT + "/hybridAgentUpdaterConfiguration"

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


class ProfileBody(msgspec.Struct, rename="camel"):
    """What can be written of the profile."""

    hybrid_agent_updater_configuration: updater.Change


# The profile ----------------------------------------------------------------------------------------------------------


@router.get(ROOT)
async def get_profile(request: Request, profile: str, caller: Reader) -> Response:
    """Give the profile, with as much of what it holds as is wanted."""
    wanted = _expansion(request, "profile")
    _check(profile)
    async with database(request).connection() as conn:
        found = await agent_inventory.read(conn, caller.tenant)
        stored = await tenant_settings.get(conn, caller.tenant, tenant_settings.UPDATER)
    shown = {
        relation: [found.show(relation, item, further) for item in found.items[relation].values()]
        for relation, further in wanted.items()
    }
    answer = {
        "@odata.context": context(request, "onPremisesPublishingProfiles/$entity"),
        "id": PROFILE,
        "isEnabled": True,
        "isDefaultAccessEnabled": False,
        "hybridAgentUpdaterConfiguration": updater.shown(stored),
    }
    return GraphResponse(answer | shown)


@router.patch(ROOT)
async def change_profile(request: Request, profile: str, caller: Configurer) -> Response:
    """Change how agents update themselves; as Graph's own client does it."""
    _check(profile)
    wanted = await body(request, ProfileBody)
    return await _configure(request, caller, wanted.hybrid_agent_updater_configuration)


@router.get(UPDATER)
async def get_updater(request: Request, profile: str, caller: Reader) -> Response:
    """Say how agents update themselves."""
    odata.read(request, frozenset({"format"}))
    _check(profile)
    async with database(request).connection() as conn:
        stored = await tenant_settings.get(conn, caller.tenant, tenant_settings.UPDATER)
    address = context(request, f"onPremisesPublishingProfiles('{PROFILE}')/hybridAgentUpdaterConfiguration")
    return GraphResponse({"@odata.context": address, **updater.shown(stored)})


@router.patch(UPDATER)
async def change_updater(request: Request, profile: str, caller: Configurer) -> Response:
    """Change how agents update themselves; what is left out stays."""
    _check(profile)
    return await _configure(request, caller, await body(request, updater.Change))


async def _configure(request: Request, caller: Caller, change: updater.Change) -> Response:
    async with database(request).transaction() as conn:
        stored = await tenant_settings.get(conn, caller.tenant, tenant_settings.UPDATER, lock=True)
        kept = updater.merged(stored, change)
        await tenant_settings.put(conn, caller.tenant, tenant_settings.UPDATER, kept)
        await _audit(conn, caller, "Update agent updater configuration", PROFILE, kept)
    return no_content()


# Reading --------------------------------------------------------------------------------------------------------------


async def _list(request: Request, profile: str, kind: str, caller: Caller) -> Response:
    wanted = _expansion(request, kind)
    found = await _inventory(request, profile, caller)
    shown = [found.show(kind, item, wanted) for item in found.items[kind].values()]
    return GraphResponse({"@odata.context": _address(request, kind), "value": shown})


async def _count(request: Request, profile: str, kind: str, caller: Caller) -> Response:
    odata.read(request, frozenset())
    found = await _inventory(request, profile, caller)
    return TextResponse(str(len(found.items[kind])))


async def _get(request: Request, profile: str, kind: str, key: str, caller: Caller) -> Response:
    wanted = _expansion(request, kind)
    found = await _inventory(request, profile, caller)
    shown = found.show(kind, found.find(kind, key), wanted)
    return GraphResponse({"@odata.context": _address(request, f"{kind}/$entity"), **shown})


async def _related(request: Request, profile: str, kind: str, key: str, relation: str, caller: Caller) -> Response:
    known = {name.lower(): name for name in agent_inventory.RELATIONS[kind]}
    name = known.get(relation.lower())
    if name is None:
        raise bad_request(f"Resource not found for the segment '{relation}'.")
    wanted = _expansion(request, name)
    found = await _inventory(request, profile, caller)
    item = found.find(kind, key)
    shown = [found.show(name, other, wanted) for other in found.related(kind, item.id, name)]
    return GraphResponse({"@odata.context": _address(request, f"{kind}('{item.id}')/{name}"), "value": shown})


@router.get(ROOT + "/agents")
async def list_agents(request: Request, profile: str, caller: Reader) -> Response:
    """List the agents."""
    return await _list(request, profile, "agents", caller)


@router.get(ROOT + "/agents/$count")
async def count_agents(request: Request, profile: str, caller: Reader) -> Response:
    """Count them."""
    return await _count(request, profile, "agents", caller)


@router.get(ROOT + "/agents/{key}")
async def get_agent(request: Request, profile: str, key: str, caller: Reader) -> Response:
    """Give one."""
    return await _get(request, profile, "agents", key, caller)


@router.get(ROOT + "/agents/{key}/{relation}")
async def get_of_agent(request: Request, profile: str, key: str, relation: str, caller: Reader) -> Response:
    """List an agent's groups."""
    return await _related(request, profile, "agents", key, relation, caller)


@router.get(ROOT + "/agentGroups")
async def list_groups(request: Request, profile: str, caller: Reader) -> Response:
    """List the groups, the default one first."""
    return await _list(request, profile, "agentGroups", caller)


@router.get(ROOT + "/agentGroups/$count")
async def count_groups(request: Request, profile: str, caller: Reader) -> Response:
    """Count them."""
    return await _count(request, profile, "agentGroups", caller)


@router.get(ROOT + "/agentGroups/{key}")
async def get_group(request: Request, profile: str, key: str, caller: Reader) -> Response:
    """Give one."""
    return await _get(request, profile, "agentGroups", key, caller)


@router.get(ROOT + "/agentGroups/{key}/{relation}")
async def get_of_group(request: Request, profile: str, key: str, relation: str, caller: Reader) -> Response:
    """List a group's agents or resources."""
    return await _related(request, profile, "agentGroups", key, relation, caller)


@router.get(ROOT + "/publishedResources")
async def list_resources(request: Request, profile: str, caller: PublishedReader) -> Response:
    """List the domains."""
    return await _list(request, profile, "publishedResources", caller)


@router.get(ROOT + "/publishedResources/$count")
async def count_resources(request: Request, profile: str, caller: PublishedReader) -> Response:
    """Count them."""
    return await _count(request, profile, "publishedResources", caller)


@router.get(ROOT + "/publishedResources/{key}")
async def get_resource(request: Request, profile: str, key: str, caller: PublishedReader) -> Response:
    """Give one."""
    return await _get(request, profile, "publishedResources", key, caller)


@router.get(ROOT + "/publishedResources/{key}/{relation}")
async def get_of_resource(request: Request, profile: str, key: str, relation: str, caller: PublishedReader) -> Response:
    """List the groups that serve a domain."""
    return await _related(request, profile, "publishedResources", key, relation, caller)


# Writing --------------------------------------------------------------------------------------------------------------


@router.post(ROOT + "/agentGroups")
async def add_group(request: Request, profile: str, caller: Writer) -> Response:
    """Make a group."""
    _check(profile)
    made = Group(uuid4(), (await body(request, GroupBody)).display_name)
    async with database(request).transaction() as conn:
        await agent_groups.put_group(conn, caller.tenant, made)
        await _audit(conn, caller, "Add agent group", str(made.id), {"displayName": made.display_name})
        found = await agent_inventory.read(conn, caller.tenant)
    shown = found.show("agentGroups", made, {})
    answer = {"@odata.context": _address(request, "agentGroups/$entity"), **shown}
    return GraphResponse(answer, status_code=201)


@router.patch(ROOT + "/agentGroups/{key}")
async def rename_group(request: Request, profile: str, key: str, caller: Writer) -> Response:
    """Rename a group."""
    _check(profile)
    name = (await body(request, GroupBody)).display_name
    async with database(request).transaction() as conn:
        group = _own(await agent_inventory.read(conn, caller.tenant), key)
        await agent_groups.put_group(conn, caller.tenant, Group(group.id, name))
        await _audit(conn, caller, "Update agent group", key, {"displayName": name})
    return no_content()


@router.delete(ROOT + "/agentGroups/{key}")
async def delete_group(request: Request, profile: str, key: str, caller: Writer) -> Response:
    """Drop a group; what is in no other is in the default one."""
    _check(profile)
    async with database(request).transaction() as conn:
        group = _own(await agent_inventory.read(conn, caller.tenant), key)
        await agent_groups.delete_group(conn, caller.tenant, group.id)
        await _audit(conn, caller, "Delete agent group", key, {"displayName": group.display_name})
    return no_content()


@router.post(ROOT + "/agents/{key}/agentGroups/$ref")
async def assign_agent(request: Request, profile: str, key: str, caller: Writer) -> Response:
    """Put an agent into a group."""
    _check(profile)
    link = await body(request, Link)
    async with database(request).transaction() as conn:
        found = await agent_inventory.read(conn, caller.tenant)
        agent, group = found.find("agents", key), _linked(found, link)
        await agent_groups.assign_agent(conn, caller.tenant, group.id, agent.id)
        await _audit(conn, caller, "Add agent to group", key, {"agentGroup": str(group.id)})
    return no_content()


@router.delete(ROOT + "/agents/{key}/agentGroups/{group}/$ref")
async def release_agent(request: Request, profile: str, key: str, group: str, caller: Writer) -> Response:
    """Take an agent out of a group."""
    _check(profile)
    async with database(request).transaction() as conn:
        found = await agent_inventory.read(conn, caller.tenant)
        agent, owner = found.find("agents", key), _own(found, group)
        if not await agent_groups.release_agent(conn, caller.tenant, owner.id, agent.id):
            raise not_found("agent of the group", key)
        await _audit(conn, caller, "Remove agent from group", key, {"agentGroup": group})
    return no_content()


@router.post(ROOT + "/publishedResources")
async def publish(request: Request, profile: str, caller: Publisher) -> Response:
    """Publish a domain."""
    _check(profile)
    wanted = await body(request, ResourceBody)
    if wanted.resource_name is None:
        raise bad_request("resourceName is missing: the DNS name of the domain, such as contoso.test.")
    name = wanted.resource_name.strip().rstrip(".").lower()
    made = Resource(uuid4(), wanted.display_name or name, name)
    async with database(request).transaction() as conn:
        found = await agent_inventory.read(conn, caller.tenant)
        await _publish(conn, caller, found, made)
        await _audit(conn, caller, "Add published resource", str(made.id), {"resourceName": name})
    answer = {
        "@odata.context": _address(request, "publishedResources/$entity"),
        **found.show("publishedResources", made, {}),
    }
    return GraphResponse(answer, status_code=201)


@router.patch(ROOT + "/publishedResources/{key}")
async def change_resource(request: Request, profile: str, key: str, caller: Publisher) -> Response:
    """Rename what is published; what is left out stays."""
    _check(profile)
    wanted = await body(request, ResourceBody)
    async with database(request).transaction() as conn:
        found = await agent_inventory.read(conn, caller.tenant)
        before: Resource = found.find("publishedResources", key)
        name = (wanted.resource_name or before.resource_name).strip().rstrip(".").lower()
        await _publish(conn, caller, found, Resource(before.id, wanted.display_name or before.display_name, name))
        await _audit(conn, caller, "Update published resource", key, {"resourceName": name})
    return no_content()


async def _publish(conn: Conn, caller: Caller, found: Inventory, wanted: Resource) -> None:
    others = [one for id, one in found.items["publishedResources"].items() if id != wanted.id]
    taken = any(isinstance(one, Resource) and one.resource_name == wanted.resource_name for one in others)
    if taken or not await agent_groups.put_resource(conn, caller.tenant, wanted):
        raise GraphError(409, "nameAlreadyExists", f"'{wanted.resource_name}' is published already.")


@router.delete(ROOT + "/publishedResources/{key}")
async def withdraw(request: Request, profile: str, key: str, caller: Publisher) -> Response:
    """Do not publish a domain any more; one that an agent is enrolled for stays."""
    _check(profile)
    async with database(request).transaction() as conn:
        resource: Resource = (await agent_inventory.read(conn, caller.tenant)).find("publishedResources", key)
        if resource.id == agent_inventory.served_resource(caller.tenant, resource.resource_name).id:
            said = f"Agents are enrolled for {resource.resource_name}; it is published as long as they are."
            raise GraphError(409, "Conflict", said)
        await agent_groups.delete_resource(conn, caller.tenant, resource.id)
        await _audit(conn, caller, "Delete published resource", key, {"resourceName": resource.resource_name})
    return no_content()


@router.post(ROOT + "/publishedResources/{key}/agentGroups/$ref")
async def assign_resource(request: Request, profile: str, key: str, caller: Publisher) -> Response:
    """Have a group serve a domain."""
    _check(profile)
    link = await body(request, Link)
    async with database(request).transaction() as conn:
        found = await agent_inventory.read(conn, caller.tenant)
        resource, group = found.find("publishedResources", key), _linked(found, link)
        # One that is there because of an agent has no row yet.
        await _publish(conn, caller, found, resource)
        await agent_groups.assign_resource(conn, caller.tenant, group.id, resource.id)
        await _audit(conn, caller, "Add published resource to group", key, {"agentGroup": str(group.id)})
    return no_content()


@router.delete(ROOT + "/publishedResources/{key}/agentGroups/{group}/$ref")
async def release_resource(request: Request, profile: str, key: str, group: str, caller: Publisher) -> Response:
    """Have a group serve a domain no more."""
    _check(profile)
    async with database(request).transaction() as conn:
        found = await agent_inventory.read(conn, caller.tenant)
        resource, owner = found.find("publishedResources", key), _own(found, group)
        if not await agent_groups.release_resource(conn, caller.tenant, owner.id, resource.id):
            raise not_found("published resource of the group", key)
        await _audit(conn, caller, "Remove published resource from group", key, {"agentGroup": group})
    return no_content()


# What an address names ------------------------------------------------------------------------------------------------


def _check(profile: str) -> None:
    if profile.lower() != PROFILE:
        raise not_found(f"publishing profile but '{PROFILE}'", profile)


async def _inventory(request: Request, profile: str, caller: Caller) -> Inventory:
    _check(profile)
    async with database(request).connection() as conn:
        return await agent_inventory.read(conn, caller.tenant)


def _expansion(request: Request, kind: str) -> agent_inventory.Expansion:
    query = odata.read(request, frozenset({"format", "top", "expand"}))
    return agent_inventory.expansion(kind, dict(query.options).get("expand"))


def _linked(found: Inventory, link: Link) -> Group:
    """Give the group whose address a link holds, with or without a slash or quotes at its end."""
    return _own(found, link.id.rstrip("/").rpartition("/")[2].removeprefix("agentGroups(").strip("')"))


def _own(found: Inventory, key: str) -> Group:
    """Give a group that can be changed."""
    group: Group = found.find("agentGroups", key)
    if group.id == found.default:
        raise bad_request("The default group is the system's: it holds what is in no other, and cannot be changed.")
    return group


def _address(request: Request, rest: str) -> str:
    return context(request, f"onPremisesPublishingProfiles('{PROFILE}')/{rest}")


async def _audit(conn: Conn, caller: Caller, activity: str, target: str, detail: dict[str, Any]) -> None:
    await audits.record(conn, caller.tenant, actor=caller.actor, activity=activity, target=target, detail=detail)
