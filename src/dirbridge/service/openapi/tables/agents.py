"""Agents, agent groups and published resources."""

from __future__ import annotations

from dirbridge.service.graph import agent_inventory, agents, updater
from dirbridge.service.openapi.operations import Options, Table, Variants, acts, counts, gives, lists, makes
from dirbridge.service.openapi.shapes.agents import (
    HybridAgentUpdaterConfiguration,
    OnPremisesAgent,
    OnPremisesAgentGroup,
    OnPremisesPublishingProfile,
    PublishedResource,
)

_SHAPES = {
    "agents": OnPremisesAgent,
    "agentGroups": OnPremisesAgentGroup,
    "publishedResources": PublishedResource,
}


def _asked(kind: str) -> Options:
    return Options(frozenset({"format", "top", "expand"}), relations=agent_inventory.RELATIONS[kind])


def _relations(kind: str) -> Variants:
    return Variants("relation", {name: lists(_SHAPES[name], _asked(name)) for name in agent_inventory.RELATIONS[kind]})


AGENTS: Table = {
    "graph.agents.get_profile": gives(OnPremisesPublishingProfile, _asked("profile")),
    "graph.agents.change_profile": acts(agents.ProfileBody),
    "graph.agents.get_updater": gives(HybridAgentUpdaterConfiguration),
    "graph.agents.change_updater": acts(updater.Change),
    "graph.agents.list_agents": lists(OnPremisesAgent, _asked("agents")),
    "graph.agents.count_agents": counts(),
    "graph.agents.get_agent": gives(OnPremisesAgent, _asked("agents")),
    "graph.agents.get_of_agent": _relations("agents"),
    "graph.agents.list_groups": lists(OnPremisesAgentGroup, _asked("agentGroups")),
    "graph.agents.count_groups": counts(),
    "graph.agents.get_group": gives(OnPremisesAgentGroup, _asked("agentGroups")),
    "graph.agents.get_of_group": _relations("agentGroups"),
    "graph.agents.list_resources": lists(PublishedResource, _asked("publishedResources")),
    "graph.agents.count_resources": counts(),
    "graph.agents.get_resource": gives(PublishedResource, _asked("publishedResources")),
    "graph.agents.get_of_resource": _relations("publishedResources"),
    "graph.agents.add_group": makes(OnPremisesAgentGroup, agents.GroupBody, located=False),
    "graph.agents.rename_group": acts(agents.GroupBody),
    "graph.agents.delete_group": acts(),
    "graph.agents.assign_agent": acts(agents.Link),
    "graph.agents.release_agent": acts(),
    "graph.agents.publish": makes(PublishedResource, agents.ResourceBody, located=False, refusals=(409,)),
    "graph.agents.change_resource": acts(agents.ResourceBody, refusals=(409,)),
    "graph.agents.withdraw": acts(refusals=(409,)),
    "graph.agents.assign_resource": acts(agents.Link, refusals=(409,)),
    "graph.agents.release_resource": acts(),
}
