"""Agents, their groups, and the domains that are published to them.

Source: Graph onPremisesPublishingProfile and its relationships.
"""

from __future__ import annotations

from typing import Literal

import msgspec

from dirbridge.service.openapi.shapes import Entity, Shape, Text


class OnPremisesAgent(Entity, kw_only=True):
    """An agent."""

    id: str
    machine_name: str
    external_ip: str
    status: Literal["active", "inactive"]
    supported_publishing_types: list[str]
    agent_groups: list[OnPremisesAgentGroup] | msgspec.UnsetType = msgspec.UNSET


class OnPremisesAgentGroup(Entity, kw_only=True):
    """A group of agents."""

    id: str
    display_name: str
    publishing_type: str
    is_default: bool
    agents: list[OnPremisesAgent] | msgspec.UnsetType = msgspec.UNSET
    published_resources: list[PublishedResource] | msgspec.UnsetType = msgspec.UNSET


class PublishedResource(Entity, kw_only=True):
    """A domain that agents serve."""

    id: str
    display_name: str
    resource_name: str
    publishing_type: str
    agent_groups: list[OnPremisesAgentGroup] | msgspec.UnsetType = msgspec.UNSET


class UpdateWindow(Shape, kw_only=True):
    """A daily window, in the time zone of each agent's host."""

    update_window_start_time: str
    update_window_end_time: str


class HybridAgentUpdaterConfiguration(Entity, kw_only=True):
    """When agents update themselves."""

    allow_update_configuration_override: bool
    defer_update_date_time: Text
    update_window: UpdateWindow | None


class OnPremisesPublishingProfile(Entity, kw_only=True):
    """The profile of agents for provisioning."""

    id: str
    is_enabled: bool
    is_default_access_enabled: bool
    hybrid_agent_updater_configuration: HybridAgentUpdaterConfiguration
    agents: list[OnPremisesAgent] | msgspec.UnsetType = msgspec.UNSET
    agent_groups: list[OnPremisesAgentGroup] | msgspec.UnsetType = msgspec.UNSET
    published_resources: list[PublishedResource] | msgspec.UnsetType = msgspec.UNSET
