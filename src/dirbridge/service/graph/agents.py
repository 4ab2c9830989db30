"""Agents, agent groups and published resources through the API, as they are read; beta only, as in Graph.

What is changed about them is in `agent_changes`.

Source: Graph onPremisesPublishingProfile and its relationships.
"""

from __future__ import annotations

from typing import Annotated, Any

import msgspec
from fastapi import APIRouter, Depends, Request
from starlette.responses import Response

from dirbridge.service.auth.access import Caller, require
from dirbridge.service.auth.permissions import HYBRID, OBSERVERS
from dirbridge.service.graph import agent_inventory, odata, updater
from dirbridge.service.graph.agent_inventory import PROFILE, Inventory
from dirbridge.service.graph.context import context, database, exact_body
from dirbridge.service.graph.errors import not_found
from dirbridge.service.graph.responses import GraphResponse, TextResponse, no_content
from dirbridge.store import audits, tenant_settings
from dirbridge.store.directory_queries import Conn

router = APIRouter()

_PUBLISHING = "OnPremisesPublishingProfiles.ReadWrite.All"
_WRITE = ("Policy.ReadWrite.HybridAuthentication", "Directory.ReadWrite.All", _PUBLISHING)
_READ = Depends(require("Policy.Read.HybridAuthentication", *_WRITE, roles=OBSERVERS))
_READ_PUBLISHED = Depends(require(_PUBLISHING, roles=OBSERVERS))
Reader = Annotated[Caller, _READ]
Writer = Annotated[Caller, Depends(require(*_WRITE, roles=HYBRID))]
Publisher = Annotated[Caller, Depends(require(_PUBLISHING, roles=HYBRID))]
Configurer = Annotated[Caller, Depends(require("Directory.ReadWrite.All", roles=HYBRID))]

PROFILES = "/onPremisesPublishingProfiles"
ROOT = PROFILES + "/{profile}"
UPDATER = ROOT + "/hybridAgentUpdaterConfiguration"


class ProfileBody(msgspec.Struct, rename="camel"):
    """What can be written of the profile."""

    hybrid_agent_updater_configuration: updater.Change


# The profile ----------------------------------------------------------------------------------------------------------


@router.get(PROFILES)
async def list_profiles(request: Request, caller: Reader) -> Response:
    """List the profiles: there is one."""
    shown = await _profile(request, caller, _expansion(request, "profile"))
    return GraphResponse({"@odata.context": context(request, PROFILES[1:]), "value": [shown]})


@router.get(ROOT)
async def get_profile(request: Request, profile: str, caller: Reader) -> Response:
    """Give the profile, with as much of what it holds as is wanted."""
    wanted = _expansion(request, "profile")
    check(profile)
    shown = await _profile(request, caller, wanted)
    return GraphResponse({"@odata.context": context(request, f"{PROFILES[1:]}/$entity"), **shown})


async def _profile(request: Request, caller: Caller, wanted: agent_inventory.Expansion) -> dict[str, Any]:
    async with database(request).connection() as conn:
        found = await agent_inventory.read(conn, caller.tenant)
        stored = await tenant_settings.get(conn, caller.tenant, tenant_settings.UPDATER)
    shown = {
        relation: [found.show(relation, item, further) for item in found.items[relation].values()]
        for relation, further in wanted.items()
    }
    return {
        "id": PROFILE,
        "isEnabled": True,
        "isDefaultAccessEnabled": False,
        "hybridAgentUpdaterConfiguration": updater.shown(stored),
        **shown,
    }


@router.patch(ROOT)
async def change_profile(request: Request, profile: str, caller: Configurer) -> Response:
    """Change how agents update themselves; as Graph's own client does it."""
    check(profile)
    wanted = await exact_body(request, ProfileBody)
    return await _configure(request, caller, wanted.hybrid_agent_updater_configuration)


@router.get(UPDATER)
async def get_updater(request: Request, profile: str, caller: Reader) -> Response:
    """Say how agents update themselves."""
    odata.read(request, frozenset({"format"}))
    check(profile)
    async with database(request).connection() as conn:
        stored = await tenant_settings.get(conn, caller.tenant, tenant_settings.UPDATER)
    address = context(request, f"onPremisesPublishingProfiles('{PROFILE}')/hybridAgentUpdaterConfiguration")
    return GraphResponse({"@odata.context": address, **updater.shown(stored)})


@router.patch(UPDATER)
async def change_updater(request: Request, profile: str, caller: Configurer) -> Response:
    """Change how agents update themselves; what is left out stays."""
    check(profile)
    return await _configure(request, caller, await exact_body(request, updater.Change))


async def _configure(request: Request, caller: Caller, change: updater.Change) -> Response:
    async with database(request).transaction() as conn:
        stored = await tenant_settings.get(conn, caller.tenant, tenant_settings.UPDATER, lock=True)
        kept = updater.merged(stored, change)
        await tenant_settings.put(conn, caller.tenant, tenant_settings.UPDATER, kept)
        await audit(conn, caller, "Update agent updater configuration", PROFILE, kept)
    return no_content()


# Reading --------------------------------------------------------------------------------------------------------------


def _readable(kind: str, need: Any) -> None:
    """Add the routes by which a collection and what its items are linked with are read.

    Args:
        need: who may, as a dependency.
    """
    at = f"{ROOT}/{kind}"

    @router.get(at)
    async def list_items(request: Request, profile: str, caller: Caller = need) -> Response:
        """List a collection."""
        wanted = _expansion(request, kind)
        found = await _inventory(request, profile, caller)
        shown = [found.show(kind, item, wanted) for item in found.items[kind].values()]
        return GraphResponse({"@odata.context": address(request, kind), "value": shown})

    @router.get(at + "/$count")
    async def count_items(request: Request, profile: str, caller: Caller = need) -> Response:
        """Count its items."""
        odata.read(request, frozenset())
        found = await _inventory(request, profile, caller)
        return TextResponse(str(len(found.items[kind])))

    async def get_item(request: Request, profile: str, key: str, caller: Caller = need) -> Response:
        """Give one of them."""
        wanted = _expansion(request, kind)
        found = await _inventory(request, profile, caller)
        shown = found.show(kind, found.find(kind, key), wanted)
        return GraphResponse({"@odata.context": address(request, f"{kind}/$entity"), **shown})

    # By this name the document of the API tells what is given.
    get_item.__name__ = f"get_of_{kind}"
    router.get(at + "/{key}")(get_item)
    for relation in agent_inventory.RELATIONS[kind]:
        _related(kind, relation, need)


def _related(kind: str, relation: str, need: Any) -> None:
    at = f"{ROOT}/{kind}/{{key}}/{relation}"

    @router.get(at)
    async def list_related(request: Request, profile: str, key: str, caller: Caller = need) -> Response:
        """List what one is linked with."""
        wanted = _expansion(request, relation)
        found = await _inventory(request, profile, caller)
        item = found.find(kind, key)
        shown = [found.show(relation, other, wanted) for other in found.related(kind, item.id, relation)]
        return GraphResponse({"@odata.context": address(request, f"{kind}('{item.id}')/{relation}"), "value": shown})

    @router.get(at + "/$count")
    async def count_related(request: Request, profile: str, key: str, caller: Caller = need) -> Response:
        """Count what one is linked with."""
        odata.read(request, frozenset())
        found = await _inventory(request, profile, caller)
        return TextResponse(str(len(found.related(kind, found.find(kind, key).id, relation))))


_readable("agents", _READ)
_readable("agentGroups", _READ)
_readable("publishedResources", _READ_PUBLISHED)


# What an address names ------------------------------------------------------------------------------------------------


def check(profile: str) -> None:
    """Make sure that an address names the one profile; refuses with 404."""
    if profile.lower() != PROFILE:
        raise not_found(f"publishing profile but '{PROFILE}'", profile)


async def _inventory(request: Request, profile: str, caller: Caller) -> Inventory:
    check(profile)
    async with database(request).connection() as conn:
        return await agent_inventory.read(conn, caller.tenant)


def _expansion(request: Request, kind: str) -> agent_inventory.Expansion:
    query = odata.read(request, frozenset({"format", "top", "expand"}))
    return agent_inventory.expansion(kind, dict(query.options).get("expand"))


def address(request: Request, rest: str) -> str:
    """Give the address of the metadata of something below the profile."""
    return context(request, f"onPremisesPublishingProfiles('{PROFILE}')/{rest}")


async def audit(conn: Conn, caller: Caller, activity: str, target: str, detail: dict[str, Any]) -> None:
    """Note what was done with agents."""
    await audits.record(conn, caller.tenant, actor=caller.actor, activity=activity, target=target, detail=detail)
