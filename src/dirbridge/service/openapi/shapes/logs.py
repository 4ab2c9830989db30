"""The provisioning log and the audit trail.

Source: Graph provisioningObjectSummary, directoryAudit.
"""

from __future__ import annotations

from typing import Any

import msgspec

from dirbridge.contract.codes import Category
from dirbridge.contract.event import Status, StepType
from dirbridge.contract.export import Action
from dirbridge.service.openapi.shapes import Selectable, Shape, Text


class Identity(Shape, kw_only=True):
    """Something with an id and a name."""

    id: str
    display_name: str


class ProvisioningSystem(Identity, kw_only=True):
    """One end of a job."""

    details: dict[str, str]


class Initiator(Identity, kw_only=True):
    """Who had it done."""

    initiator_type: str


class ProvisionedIdentity(Identity, kw_only=True):
    """The entry at one end."""

    identity_type: str
    details: dict[str, str]


class ProvisioningErrorInfo(Shape, kw_only=True):
    """Why it failed or was left out, and what is to be done."""

    error_code: str
    reason: Text
    additional_details: Text
    error_category: Category
    recommended_action: Text


class ProvisioningStatusInfo(Shape, kw_only=True):
    """How it ended."""

    status: Status
    error_information: ProvisioningErrorInfo | None


class ProvisioningStep(Shape, kw_only=True):
    """One step on the way."""

    name: str
    provisioning_step_type: StepType
    status: Status
    description: str
    details: dict[str, str]


class ModifiedProperty(Shape, kw_only=True):
    """A property that was written."""

    display_name: str
    old_value: Text
    new_value: Text


class ProvisioningObjectSummary(Selectable, kw_only=True):
    """What happened to one entry; beta has `action` and `statusInfo` as well."""

    id: str
    activity_date_time: str
    tenant_id: str
    job_id: str
    cycle_id: str
    change_id: str
    provisioning_action: Action
    duration_in_milliseconds: int
    source_system: ProvisioningSystem
    target_system: ProvisioningSystem
    initiated_by: Initiator
    service_principal: Identity
    source_identity: ProvisionedIdentity
    target_identity: ProvisionedIdentity
    provisioning_status_info: ProvisioningStatusInfo
    provisioning_steps: list[ProvisioningStep]
    modified_properties: list[ModifiedProperty]
    action: str | msgspec.UnsetType = msgspec.UNSET
    status_info: ProvisioningStatusInfo | msgspec.UnsetType = msgspec.UNSET


class AuditUser(Shape, kw_only=True):
    """A person, or the command line."""

    id: Text
    display_name: Text
    user_principal_name: Text
    ip_address: Text


class AuditApplication(Shape, kw_only=True):
    """An application that acted for itself."""

    app_id: Text
    display_name: Text
    service_principal_id: Text
    service_principal_name: Text


class AuditInitiator(Shape, kw_only=True):
    """Who acted: one of the two."""

    user: AuditUser | None
    app: AuditApplication | None


class TargetResource(Shape, kw_only=True):
    """What it was done to."""

    id: Text
    display_name: Text
    type: str
    modified_properties: list[Any]


class KeyValue(Shape, kw_only=True):
    """A further detail."""

    key: str
    value: Text


class DirectoryAudit(Selectable, kw_only=True):
    """One administrative act."""

    id: str
    category: str
    correlation_id: Text
    result: str
    result_reason: Text
    activity_display_name: str
    activity_date_time: str
    logged_by_service: str
    operation_type: str
    initiated_by: AuditInitiator
    target_resources: list[TargetResource]
    additional_details: list[KeyValue]
