"""Agents, agent groups and published resources."""

from __future__ import annotations

from dirbridge.service.graph import agent_changes, agent_inventory, agents, updater
from dirbridge.service.openapi.operations import Options, Table, acts, counts, gives, lists, makes
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


AGENTS: Table = {
    "graph.agents.list_profiles": lists(OnPremisesPublishingProfile, _asked("profile")),
    "graph.agents.get_profile": gives(OnPremisesPublishingProfile, _asked("profile")),
    "graph.agents.change_profile": acts(agents.ProfileBody),
    "graph.agents.get_updater": gives(HybridAgentUpdaterConfiguration),
    "graph.agents.change_updater": acts(updater.Change),
    **{f"graph.agents.list_items/{kind}": lists(shape, _asked(kind)) for kind, shape in _SHAPES.items()},
    **{f"graph.agents.list_related/{kind}": lists(shape, _asked(kind)) for kind, shape in _SHAPES.items()},
    **{f"graph.agents.get_of_{kind}": gives(shape, _asked(kind)) for kind, shape in _SHAPES.items()},
    "graph.agents.count_items": counts(),
    "graph.agents.count_related": counts(),
    "graph.agent_changes.add_group": makes(OnPremisesAgentGroup, agent_changes.GroupBody, located=False),
    "graph.agent_changes.rename_group": acts(agent_changes.GroupBody),
    "graph.agent_changes.delete_group": acts(),
    "graph.agent_changes.publish": makes(PublishedResource, agent_changes.ResourceBody, located=False, refusals=(409,)),
    "graph.agent_changes.change_resource": acts(agent_changes.ResourceBody, refusals=(409,)),
    "graph.agent_changes.withdraw": acts(refusals=(409,)),
    "graph.agent_changes.assign_agent": acts(agent_changes.Link),
    "graph.agent_changes.take_agent_in": acts(agent_changes.Link),
    "graph.agent_changes.release_agent": acts(),
    "graph.agent_changes.assign_resource": acts(agent_changes.Link, refusals=(409,)),
    "graph.agent_changes.take_resource_in": acts(agent_changes.Link, refusals=(409,)),
    "graph.agent_changes.release_resource": acts(),
}
