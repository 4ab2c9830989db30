"""The tenant itself, its domains, and its settings for directories on premises.

Source: Graph organization, domain, onPremisesDirectorySynchronization.
"""

from __future__ import annotations

from typing import Any, Literal

import msgspec

from dirbridge.service.openapi.shapes import Entity, Selectable, Shape, Text


class VerifiedDomain(Shape, kw_only=True):
    """A domain, as the tenant shows it."""

    capabilities: str
    is_default: bool
    is_initial: bool
    name: str
    type: str


class Organization(Selectable, kw_only=True):
    """The tenant."""

    id: str
    deleted_date_time: Text
    display_name: str
    created_date_time: str
    on_premises_sync_enabled: bool | None
    on_premises_last_sync_date_time: Text
    tenant_type: str
    verified_domains: list[VerifiedDomain]


class Domain(Selectable, kw_only=True):
    """A domain of the tenant; its name is its id."""

    id: str
    authentication_type: str
    availability_status: Text
    is_admin_managed: bool
    is_default: bool
    is_initial: bool
    is_root: bool
    is_verified: bool
    supported_services: list[str]


class AccidentalDeletionPrevention(Shape, kw_only=True):
    """The tenant's guard against deletes by accident."""

    alert_threshold: int
    synchronization_prevention_type: Literal["disabled", "enabledForCount", "enabledForPercentage"]


class OnPremisesConfiguration(Shape, kw_only=True):
    """The configuration; beta has all of it."""

    accidental_deletion_prevention: AccidentalDeletionPrevention
    anchor_attribute: str | msgspec.UnsetType | None = msgspec.UNSET
    application_id: str | msgspec.UnsetType | None = msgspec.UNSET
    current_export_data: dict[str, Any] | msgspec.UnsetType | None = msgspec.UNSET
    customer_requested_synchronization_interval: str | msgspec.UnsetType | None = msgspec.UNSET
    synchronization_client_version: str | msgspec.UnsetType | None = msgspec.UNSET
    synchronization_interval: str | msgspec.UnsetType | None = msgspec.UNSET
    writeback_configuration: dict[str, Any] | msgspec.UnsetType | None = msgspec.UNSET


class OnPremisesDirectorySynchronization(Selectable, kw_only=True):
    """The tenant's settings for what comes from directories on premises."""

    id: str
    configuration: OnPremisesConfiguration
    features: dict[str, bool]


class OnPremisesSyncBehavior(Entity, kw_only=True):
    """Who masters an object: its source, or people here."""

    id: str
    is_cloud_managed: bool
