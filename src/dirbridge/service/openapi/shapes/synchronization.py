"""Jobs, templates and what hangs below them.

Source: Graph synchronizationJob and the types that it is made of.
"""

from __future__ import annotations

from typing import Literal

import msgspec

from dirbridge.contract.schema import AttributeType, DirectoryDefinition, Schema
from dirbridge.contract.schema import Source as MappingSource
from dirbridge.engine.quarantine import Findings, Reason
from dirbridge.service.openapi.shapes import Entity, Shape, Text


class SynchronizationError(Shape, kw_only=True):
    """What ended a cycle, or put a job into quarantine."""

    code: str
    message: str
    tenant_actionable: bool


class TaskExecution(Shape, kw_only=True):
    """One cycle: when it ran, how it ended, what it counted."""

    activity_identifier: Text
    time_began: str
    time_ended: str
    state: Literal["Succeeded", "Failed", "EntryLevelErrors"]
    error: SynchronizationError | None
    count_entitled: int
    count_entitled_for_provisioning: int
    count_escrowed: int
    count_escrowed_raw: int
    count_exported: int
    count_exports: int
    count_imported: int
    count_imported_deltas: int
    count_imported_reference_deltas: int


class Progress(Shape, kw_only=True):
    """How far the cycle under way is; the last two are additions to Graph's."""

    completed_units: int
    total_units: int
    units: str
    progress_observation_date_time: Text
    units_per_second: float | None
    seconds_left: int | None


class QuarantineRecord(Shape, kw_only=True):
    """Why a job is in quarantine, since when, and what is to be done; the last two are additions to Graph's."""

    reason: Reason
    error: SynchronizationError
    current_began: str
    next_attempt: str
    series_began: str
    series_count: int
    recommended_action: str = ""
    counts: Findings | msgspec.UnsetType = msgspec.UNSET


class EntryCount(Shape, kw_only=True):
    """Entries of one kind, such as `user to User`."""

    key: str
    value: int


class SynchronizationStatus(Shape, kw_only=True):
    """How a job is."""

    code: Literal["NotConfigured", "NotRun", "Active", "Paused", "Quarantine"]
    count_successive_complete_failures: int
    escrows_pruned: bool
    last_execution: TaskExecution | None
    last_successful_execution: TaskExecution | None
    last_successful_execution_with_exports: TaskExecution | None
    progress: list[Progress]
    quarantine: QuarantineRecord | None
    steady_state_first_achieved_time: str
    steady_state_last_achieved_time: str
    synchronized_entry_count_by_type: list[EntryCount]
    troubleshooting_url: str


class SynchronizationSchedule(Shape, kw_only=True):
    """How often a job runs, as an ISO 8601 duration."""

    expiration: Text
    interval: str
    state: Literal["Active", "Disabled", "Paused"]


class KeyValuePair(Shape, kw_only=True):
    """One setting of a job."""

    name: str
    value: Text


class SynchronizationSchema(Schema, frozen=True, kw_only=True):
    """The schema document of a job or template: its rules, and the directories at both ends."""

    context: str | msgspec.UnsetType = msgspec.field(name="@odata.context", default=msgspec.UNSET)
    provisioning_task_identifier: str | msgspec.UnsetType = msgspec.UNSET


class SynchronizationDirectory(DirectoryDefinition, frozen=True, kw_only=True):
    """One directory of a schema document, with the objects and attributes that it has."""

    context: str | msgspec.UnsetType = msgspec.field(name="@odata.context", default=msgspec.UNSET)


class SynchronizationJob(Entity, kw_only=True):
    """A job; its schema document only where `$expand=schema` asks for it."""

    id: str
    template_id: str
    schedule: SynchronizationSchedule
    status: SynchronizationStatus
    synchronization_job_settings: list[KeyValuePair]
    schema: SynchronizationSchema | msgspec.UnsetType = msgspec.UNSET


class TemplateMetadata(Shape, kw_only=True):
    """A remark on a template; beta begins the keys with a small letter."""

    key: str
    value: Text


class SynchronizationTemplate(Entity, kw_only=True):
    """What a job can be made from."""

    id: str
    application_id: str
    default: bool
    description: str
    discoverable: bool
    factory_tag: str
    metadata: list[TemplateMetadata]
    schema: SynchronizationSchema | msgspec.UnsetType = msgspec.UNSET


class ChangedTemplate(Shape, kw_only=True):
    """A template as a whole, of which the schema document can be changed; what else comes along is as it is."""

    schema: Schema


class Pinged(Entity, kw_only=True):
    """That a configuration answers."""

    value: str


class SynchronizationRoot(Entity, kw_only=True):
    """The root of a configuration."""

    id: str


class SynchronizationSecret(Shape, kw_only=True):
    """One secret; a confidential value is not shown."""

    key: str
    value: Text


class FunctionParameter(Shape, kw_only=True):
    """A parameter of a function."""

    allow_multiple_occurrences: bool
    name: str
    required: bool
    type: AttributeType


class MappingFunction(Entity, kw_only=True):
    """A function of the mapping language."""

    id: str
    name: str
    parameters: list[FunctionParameter]


class FilterOperator(Entity, kw_only=True):
    """What a clause of a scoping filter can ask."""

    id: str
    name: str
    arity: Literal["Binary", "Unary"]
    multivalued_comparison_type: Literal["All", "Any"]
    supported_attribute_types: list[AttributeType]


class PublicErrorDetail(Shape, kw_only=True):
    """A part of an error, such as the line or the column."""

    code: str
    message: str
    target: Text


class PublicError(Shape, kw_only=True):
    """What is wrong with an expression."""

    code: str
    message: str
    target: Text
    details: list[PublicErrorDetail]
    inner_error: None


class ParseExpressionResponse(Entity, kw_only=True):
    """An expression as it was read, and what it came to; also where it cannot be read."""

    error: PublicError | None
    evaluation_result: list[str]
    evaluation_succeeded: bool
    parsed_expression: MappingSource | None
    parsing_succeeded: bool


class ProvisionedOnDemand(Entity, kw_only=True):
    """What came of one entry: two JSON documents as text, the outcome and the event."""

    key: str
    value: str


class ApplicationTemplate(Entity, kw_only=True):
    """An application of the gallery."""

    id: str
    display_name: str
    publisher: str
    categories: list[str]
    description: str
    home_page_url: Text
    logo_url: Text
    supported_provisioning_types: list[str]
    supported_single_sign_on_modes: list[str]
