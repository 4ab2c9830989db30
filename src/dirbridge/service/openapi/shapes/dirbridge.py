"""What lies under `/beta/dirbridge`, for which Graph has no word."""

from __future__ import annotations

from typing import Any, Literal

import msgspec

from dirbridge.contract.event import Status
from dirbridge.contract.export import Action
from dirbridge.service.openapi.shapes import Entity, Selectable, Shape, Text
from dirbridge.service.openapi.shapes.synchronization import (
    EntryCount,
    MappingFunction,
    Progress,
    QuarantineRecord,
    SynchronizationJob,
    TaskExecution,
)


class AnyJob(SynchronizationJob, kw_only=True):
    """A job of the tenant, with its domain and the service principal that it belongs to."""

    domain: str
    service_principal_id: str
    needs_attention: bool


class Overview(Entity, kw_only=True):
    """How everything is, in a few numbers."""

    job_count: int
    jobs_needing_attention: int
    job_count_by_status: list[EntryCount]
    synchronized_entry_count_by_type: list[EntryCount]


class ActionCount(Shape, kw_only=True):
    """So many events of one action with one result."""

    action: Action
    status: Status
    count: int


class Period(Shape, kw_only=True):
    """An hour or a day of the provisioning log."""

    date_time: str
    counts: list[ActionCount]


class Cause(Shape, kw_only=True):
    """Why entries failed or were left out, and the period in which that was last met."""

    status: Status
    error_code: str
    reason: str
    recommended_action: Text
    count: int
    last_period_date_time: str


class Latency(Shape, kw_only=True):
    """So many changes that took no longer, and longer than the span before; null for all longer ones."""

    at_most_seconds: float | None
    count: int


class Insights(Entity, kw_only=True):
    """What the provisioning log comes to."""

    from_date_time: str
    to_date_time: str
    by: Literal["hour", "day"]
    periods: list[Period]
    causes: list[Cause]
    latencies: list[Latency]


class EnrolmentCode(Shape, kw_only=True):
    """A code for one new agent; it is shown only here."""

    id: str
    code: str
    domains: list[str]
    expiration_date_time: str


class IssuedCode(Shape, kw_only=True):
    """What became of an enrolment code."""

    id: str
    status: Literal["waiting", "used", "expired"]
    domains: list[str]
    created_date_time: str
    expiration_date_time: str
    used_date_time: Text
    agent_id: Text


class AgentReason(Shape, kw_only=True):
    """Why an agent is not healthy, and what to do."""

    code: str
    message: str
    recommended_action: str
    domain: Text
    since_date_time: Text


class AgentCheck(Shape, kw_only=True):
    """One thing that can be wrong with an agent, and whether it is."""

    name: Literal["heartbeat", "requests", "domain", "clock", "certificate", "update"]
    domain: Text
    status: Literal["passed", "failed", "unknown"]
    reason: AgentReason | None


class EnrolledAgent(Shape, kw_only=True):
    """An agent, and what it last said of itself."""

    id: str
    machine_name: str
    external_ip: str
    status: Literal["healthy", "degraded", "inactive", "updating", "revoked"]
    status_reasons: list[AgentReason]
    checks: list[AgentCheck]
    version: str
    domains: list[str]
    served_domains: list[str]
    enrolled_date_time: Text
    last_heard_date_time: Text
    last_report_date_time: Text
    certificate_expiration_date_time: Text
    revoked_date_time: Text
    uptime_in_seconds: float | None
    requests_in_progress: int | None
    last_error: Text
    clock_offset_in_seconds: float | None
    update: dict[str, Any] | None
    traces: dict[str, Any] | None


class AgentError(Shape, kw_only=True):
    """Something that went wrong at an agent lately."""

    id: str
    date_time: str
    code: str
    message: str
    recommended_action: Text
    domain: Text


class AgentUpdate(Shape, kw_only=True):
    """Which version an agent is to have and when, and what its updater last said."""

    version: str
    offered_versions: list[str]
    wanted_version: Text
    is_chosen_for_agent: bool
    is_behind: bool
    defer_until_date_time: Text
    window: dict[str, str] | None
    ordered_until_date_time: Text
    reported: dict[str, Any] | None


class VerboseTrace(Shape, kw_only=True):
    """A verbose trace that is wanted of an agent."""

    until: str
    values: bool


class AgentTrace(Shape, kw_only=True):
    """Which verbose trace is wanted of an agent, and what the agent last said of its own."""

    wanted: VerboseTrace | None
    reported: dict[str, Any] | None


class LogCollection(Shape, kw_only=True):
    """What an agent has on its host, as one zip file, which is kept for a day."""

    id: str
    hours: int
    status: Literal["waiting", "ready", "failed"]
    failure: Text
    size_in_bytes: int
    requested_date_time: str
    completed_date_time: Text


class TestedNotification(Shape, kw_only=True):
    """What became of a test message at one recipient."""

    channel: str
    recipient: str
    delivered: bool
    answer: str
    code: Text
    recommended_action: Text


class Notice(Shape, kw_only=True):
    """One thing that a message tells."""

    id: str
    kind: str
    date_time: str
    job_id: Text
    domain: Text
    reason: Text
    code: Text
    message: Text
    recommended_action: Text


class Notification(Shape, kw_only=True):
    """A message, and what became of it."""

    id: str
    channel: str
    recipient: str
    service_principal_id: Text
    state: str
    attempts: int
    answer: Text
    created_date_time: str
    next_attempt_date_time: Text
    settled_date_time: Text
    notices: list[Notice]


class PreviewCount(Shape, kw_only=True):
    """So many changes of one kind."""

    action: str
    status: str
    type: str
    reason: str
    number: int


class AgentRelease(Shape, kw_only=True):
    """A release of the agent that is offered to agents."""

    name: str
    version: str
    python: str
    platform: str
    channel: str
    requires: int
    sha256: str
    size: int
    published_date_time: str
    agents: int


class SignedRole(Shape, kw_only=True):
    """A role of the releases' repository, as it is handed out."""

    role: Literal["root", "targets", "snapshot", "timestamp"]
    version: int
    expiration_date_time: str


class ReleaseRepository(Shape, kw_only=True):
    """The repository of releases: its signed files, and the archives that are here by SHA-256."""

    roles: list[SignedRole]
    archives: list[str]


class Preview(Selectable, kw_only=True):
    """A preview of a job's next whole cycle."""

    id: str
    job_id: str
    status: Literal["waiting", "running", "succeeded", "failed", "canceled"]
    with_proposed_schema: bool
    proposed_settings: dict[str, Any]
    requested_by: str
    created_date_time: str
    started_date_time: Text
    ended_date_time: Text
    progress: list[Progress]
    counts: list[PreviewCount]
    execution: TaskExecution | None
    quarantine: QuarantineRecord | None
    error: dict[str, Any] | None


class ListedEntry(Shape, kw_only=True):
    """An entry or container of the directory that is read, as it is now."""

    id: str
    object_type: str
    display_name: str
    distinguished_name: str


class DirectoryListing(Entity, kw_only=True):
    """What an agent found in the directory; whether there is more than it lists."""

    value: list[ListedEntry]
    more: bool


class ScopeContainer(Shape, kw_only=True):
    """A container in scope, by its present name."""

    id: str
    display_name: Text
    canonical_name: Text
    state: Literal["present", "missing", "unknown"]


class ScopeGroup(ScopeContainer, kw_only=True):
    """A group in scope; why it is missing, and since when."""

    reason: str | msgspec.UnsetType = msgspec.UNSET
    since: str | msgspec.UnsetType | None = msgspec.UNSET


class ScopeRule(Shape, kw_only=True):
    """What one rule takes."""

    id: str
    name: str
    containers: list[ScopeContainer]
    groups: list[ScopeGroup]


class JobScope(Entity, kw_only=True):
    """What a job takes."""

    id: str
    rules: list[ScopeRule]


class StagedTarget(Shape, kw_only=True):
    """The object that is to be removed."""

    id: str
    display_name: str


class StagedSource(StagedTarget, kw_only=True):
    """The entry that it came from."""

    identity_type: str


class StagedRemoval(Shape, kw_only=True):
    """A removal that waits for a person, or that a person rejected."""

    id: str
    action: Literal["delete", "disable", "removeMember"]
    evidence: str
    state: Literal["staged", "rejected"]
    since_date_time: Text
    source_identity: StagedSource
    target_identity: StagedTarget
    group: StagedTarget | None


class EscrowTarget(Shape, kw_only=True):
    """The object of an entry that failed; its id is empty where it has none."""

    id: str


class Escrow(Shape, kw_only=True):
    """An entry that failed and waits to be tried again."""

    source_identity: StagedSource
    target_identity: EscrowTarget
    error_code: str
    reason: str
    recommended_action: Text
    attempts: int
    first_failure_date_time: Text
    next_attempt_date_time: Text


class StagedKind(Shape, kw_only=True):
    """How many removals of one kind wait for a person, or were rejected; of members the type is empty."""

    state: Literal["staged", "rejected"]
    action: Literal["delete", "disable", "removeMember"]
    identity_type: str
    count: int


class Decision(Shape, kw_only=True):
    """How many removals a word was about, and which of the named ones were not there."""

    count: int
    missing: list[str]


class Problem(Shape, kw_only=True):
    """An error with its code."""

    code: str
    message: str


class SynchronizationAccount(Entity, kw_only=True):
    """The account that jobs write as; what is null is not there."""

    id: Text
    user_principal_name: Text
    account_enabled: bool | None
    is_deleted: bool
    roles: list[str]
    error: Problem | None


class RepairedAccount(SynchronizationAccount, kw_only=True):
    """The account after its repair, and what was done."""

    repaired: list[str]
    jobs_given_credentials: list[str]
    jobs_due_now: list[str]


class Administrator(Entity, kw_only=True):
    """A person who administers the tenant."""

    id: str
    user_name: str
    display_name: str
    roles: list[str]
    account_enabled: bool
    created_date_time: Text
    last_password_change_date_time: Text
    last_sign_in_date_time: Text
    has_second_factor: bool
    external_subject: Text
    password: str | msgspec.UnsetType = msgspec.UNSET


class SignInSession(Shape, kw_only=True):
    """A browser in which an administrator is signed in."""

    id: str
    signed_in_date_time: str
    last_seen_date_time: str
    expiration_date_time: str
    authentication_methods: list[str]
    ip_address: Text
    browser: Text


class SigningKey(Entity, kw_only=True):
    """A key that tokens are signed with, and what it does now."""

    id: str
    state: Literal["signing", "waiting", "verifying"]
    created_date_time: str
    signs_from_date_time: str
    removed_from_date_time: Text


class NotificationWays(Shape, kw_only=True):
    """How messages are sent; of a webhook its host alone."""

    mail_server: Text
    mail_security: Literal["starttls", "tls"] | None
    mail_from: Text
    webhook: Text


class LogRetention(Entity, kw_only=True):
    """How long the provisioning log and notifications are kept."""

    log_days: int
    is_default: bool
    default_log_days: int
    oldest_event_date_time: Text


class RetentionEstimate(Entity, kw_only=True):
    """How many events would go if the log were kept for so many days; more than are counted where `isMore` says so."""

    log_days: int
    events_to_remove: int
    is_more: bool


class AwaitedValue(Shape, kw_only=True):
    """A value that another object has."""

    property: str
    value: str
    holder_id: Text


class PendingWork(Shape, kw_only=True):
    """What is due for an entry, and why; with attempts it is an escrow."""

    code: str
    message: str
    recommended_action: Text
    attempts: int
    since_date_time: str
    next_attempt_date_time: str
    waits_for: AwaitedValue | None


class OriginEntry(Shape, kw_only=True):
    """An entry of a source directory; where it lies is null until it is known."""

    id: str
    identity_type: str
    display_name: str
    canonical_name: Text


class ObjectOrigin(Shape, kw_only=True):
    """An entry that an object of the tenant came from, by which job, and what is due for it."""

    job_id: str
    domain: str
    service_principal_id: str
    is_master: bool
    state: Literal["provisioned", "deprovisioned"]
    error_code: Text
    changed_date_time: str
    source: OriginEntry
    pending: list[PendingWork]


class Defect(Shape, kw_only=True):
    """What is wrong at one place of a document."""

    target: str
    message: str


class Validation(Shape, kw_only=True):
    """What is wrong with a schema document; nothing where it is valid."""

    valid: bool
    defects: list[Defect]


class ExplainedFunction(MappingFunction, kw_only=True):
    """A function of the mapping language, with its help."""

    category: str
    signature: str
    description: str
    example: str
    result: Text


class SourceValues(Shape, kw_only=True):
    """An attribute of an entry; bytes are base64."""

    key: str
    value: list[str]


class Unreadable(Shape, kw_only=True):
    """An attribute that is there and cannot be carried, and why."""

    key: str
    value: str


class SourceEntry(Entity, kw_only=True):
    """An entry as its directory has it now."""

    id: str
    object_type_name: str
    display_name: str
    distinguished_name: str
    read_date_time: str
    properties: list[SourceValues]
    unreadable: list[Unreadable]


class EventCount(Entity, kw_only=True):
    """How many events fit; at least as many where that is not exact, and null where nobody waited for it."""

    value: int | None
    is_exact: bool
