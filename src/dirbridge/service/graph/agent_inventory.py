"""Agents, their groups and the domains that they serve, as one graph that is walked to any depth.

Agents come from enrolment. A domain is published by naming it, or because an agent is enrolled for it. What is in no
group is in the default one.

Source: Graph onPremisesPublishingProfile, onPremisesAgent, onPremisesAgentGroup, publishedResource.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping
from typing import Any
from uuid import UUID, uuid5

import msgspec

from dirbridge.service.graph.errors import bad_request, not_found
from dirbridge.store import agent_groups, agents
from dirbridge.store.agent_groups import Group, Resource
from dirbridge.store.agents import Agent
from dirbridge.store.directory_queries import Conn

PROFILE = "provisioning"
RELATIONS: Mapping[str, tuple[str, ...]] = {
    "profile": ("publishedResources", "agents", "agentGroups"),
    "agents": ("agentGroups",),
    "agentGroups": ("agents", "publishedResources"),
    "publishedResources": ("agentGroups",),
}
"""What can be expanded, by collection."""
WHAT = {"agents": "agent", "agentGroups": "agent group", "publishedResources": "published resource"}
DEEPEST = 4

_DEFAULT = UUID("9d1f6a4e-6f6d-4f8c-9f0c-2f9f4f0c7d51")

Expansion = Mapping[str, "Expansion"]
Item = Agent | Group | Resource


class Inventory(msgspec.Struct, frozen=True):
    """Everything there is, with the links between: by collection, then by id."""

    default: UUID
    items: Mapping[str, Mapping[UUID, Item]]
    links: Mapping[tuple[str, str], Mapping[UUID, list[UUID]]]

    def find(self, kind: str, key: str) -> Any:
        """Give one of a collection; refuses with 404."""
        found = next((item for id, item in self.items[kind].items() if str(id) == key.lower()), None)
        if found is None:
            raise not_found(WHAT[kind], key)
        return found

    def related(self, kind: str, id: UUID, relation: str) -> list[Item]:
        """Give what one of a collection is linked with."""
        return [self.items[relation][other] for other in self.links[kind, relation].get(id, ())]

    def show(self, kind: str, item: Item, expansion: Expansion) -> dict[str, Any]:
        """Show one, with what it is linked with as far as wanted."""
        return _plain(item, self.default) | {
            relation: [self.show(relation, other, further) for other in self.related(kind, item.id, relation)]
            for relation, further in expansion.items()
        }


async def read(conn: Conn, tenant: UUID) -> Inventory:
    """Read all of it; agents that were shut out are gone."""
    here = {one.id: one for one in await agents.list_all(conn, tenant) if one.revoked_at is None}
    default = Group(uuid5(_DEFAULT, str(tenant)), "Default group")
    groups = {one.id: one for one in (default, *await agent_groups.groups(conn, tenant))}
    named = await agent_groups.resources(conn, tenant)
    served = {domain for one in here.values() for domain in one.domains} - {one.resource_name for one in named}
    resources = {one.id: one for one in (*named, *(served_resource(tenant, domain) for domain in sorted(served)))}
    agent_links = await agent_groups.agents_of(conn, tenant)
    resource_links = await agent_groups.resources_of(conn, tenant)
    agents_in = _with_default(here, [link for link in agent_links if link[1] in here], default.id)
    resources_in = _with_default(resources, resource_links, default.id)
    return Inventory(
        default.id,
        {"agents": here, "agentGroups": groups, "publishedResources": resources},
        {
            ("agentGroups", "agents"): _by_first(agents_in),
            ("agents", "agentGroups"): _by_first((agent, group) for group, agent in agents_in),
            ("agentGroups", "publishedResources"): _by_first(resources_in),
            ("publishedResources", "agentGroups"): _by_first((resource, group) for group, resource in resources_in),
        },
    )


def served_resource(tenant: UUID, domain: str) -> Resource:
    """Give the resource that a domain is by itself, because an agent is enrolled for it."""
    return Resource(uuid5(tenant, domain), domain, domain)


def _with_default(items: Iterable[UUID], links: list[tuple[UUID, UUID]], default: UUID) -> list[tuple[UUID, UUID]]:
    linked = {item for _, item in links}
    return [*links, *((default, item) for item in items if item not in linked)]


def _by_first(pairs: Iterable[tuple[UUID, UUID]]) -> dict[UUID, list[UUID]]:
    found: dict[UUID, list[UUID]] = {}
    for first, second in pairs:
        found.setdefault(first, []).append(second)
    return found


def _plain(item: Item, default: UUID) -> dict[str, Any]:
    match item:
        case Agent():
            return {
                "id": str(item.id),
                "machineName": item.machine_name,
                "externalIp": item.address,
                "status": "active" if item.is_there else "inactive",
                "supportedPublishingTypes": [PROFILE],
            }
        case Group():
            return {
                "id": str(item.id),
                "displayName": item.display_name,
                "publishingType": PROFILE,
                "isDefault": item.id == default,
            }
        case Resource():
            return {
                "id": str(item.id),
                "displayName": item.display_name,
                "resourceName": item.resource_name,
                "publishingType": PROFILE,
            }


# $expand --------------------------------------------------------------------------------------------------------------

_PART = re.compile(r"\s*(?P<name>\*|\w+)\s*(?:\(\s*\$expand=(?P<further>.*)\)\s*)?", re.IGNORECASE | re.DOTALL)


def expansion(kind: str, text: str | None, depth: int = 0) -> Expansion:
    """Read `$expand`: names separated by commas, each with another `$expand` in parentheses, or `*` for all.

    Raises:
        GraphError: 400 that names what can be expanded.
    """
    found: dict[str, Expansion] = {}
    for part in _parts(text) if text else ():
        names = {name.lower(): name for name in RELATIONS[kind]}
        read = _PART.fullmatch(part)
        name = read["name"].lower() if read else ""
        if read is None or depth >= DEEPEST or (name != "*" and name not in names):
            raise bad_request(
                f"$expand takes {', '.join(RELATIONS[kind])} here, up to {DEEPEST} levels deep; found '{part}'.",
                code="Request_UnsupportedQuery",
            )
        for chosen in names.values() if name == "*" else (names[name],):
            found[chosen] = expansion(chosen, read["further"], depth + 1)
    return found


def _parts(text: str) -> list[str]:
    """Cut at the commas outside of parentheses."""
    parts: list[str] = []
    begins = depth = 0
    for at, sign in enumerate(text):
        depth += {"(": 1, ")": -1}.get(sign, 0)
        if sign == "," and depth == 0:
            parts.append(text[begins:at])
            begins = at + 1
    return [*parts, text[begins:]]
