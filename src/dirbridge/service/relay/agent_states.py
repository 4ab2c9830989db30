"""How an agent is, in one word, with the reasons: a function of what is stored of it.

`administration` and the Graph API show it. All times are the database's.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from datetime import datetime, timedelta
from enum import StrEnum
from typing import Any

import msgspec

from dirbridge.store.agents import Agent

REPORTED_WITHIN = timedelta(seconds=90)
"""An agent that is heard from, but has not said how it is for so long, is not well."""
CLOCK = timedelta(minutes=5)
"""By so much a clock may be wrong: Kerberos allows no more, and certificates are judged by it.

Source: RFC 4120 section 10.
"""
UPDATING = frozenset({"downloading", "installing", "checking"})
"""What an updater does that ends by itself."""
LONGEST_UPDATE = timedelta(hours=1)
"""An update that has gone on for so long has been given up, or its host went down in the middle of it."""


class AgentState(StrEnum):
    """How an agent is."""

    HEALTHY = "healthy"
    DEGRADED = "degraded"
    INACTIVE = "inactive"
    UPDATING = "updating"
    REVOKED = "revoked"


class Reason(msgspec.Struct, frozen=True):
    """Why an agent is not healthy, and what a person does about it."""

    code: str
    message: str
    recommended_action: str = ""
    domain: str | None = None
    since: datetime | None = None


class Condition(msgspec.Struct, frozen=True):
    """The state of an agent. A healthy one has no reasons; a degraded one has all that apply."""

    state: AgentState
    reasons: tuple[Reason, ...] = ()


class Check(msgspec.Struct, frozen=True):
    """One thing that can be wrong with an agent.

    Attributes:
        name: heartbeat, requests, domain, clock, certificate or update.
        domain: which one, for a check of that name.
        status: passed, failed or unknown.
        reason: why it failed.
    """

    name: str
    domain: str | None
    status: str
    reason: Reason | None = None


_PASSED, _FAILED, _UNKNOWN = "passed", "failed", "unknown"
_SUBJECTS = {
    "HeartbeatMissing": "heartbeat",
    "RequestsNotFetched": "requests",
    "CertificateNotRenewed": "certificate",
    "ClockSkewed": "clock",
    "UpdateRolledBack": "update",
    "UpdateFailed": "update",
}
"""Which check a reason belongs to; all others are of domains."""


def judge(agent: Agent, certificate_life: timedelta) -> Condition:
    """Say how an agent is.

    Args:
        certificate_life: for how long certificates are issued; agents renew them in the last third.
    """
    if agent.revoked_at is not None:
        return Condition(AgentState.REVOKED, (_revoked(agent.revoked_at),))
    update = agent.report.get("update") or {}
    is_updating = str(update.get("phase")) in UPDATING
    if agent.is_connected and is_updating and not is_stuck(agent, update):
        return Condition(AgentState.UPDATING, (_updating(update),))
    if not agent.is_there:
        return Condition(AgentState.INACTIVE, (_inactive(agent),))
    reasons = tuple(_reasons(agent, certificate_life))
    return Condition(AgentState.DEGRADED if reasons else AgentState.HEALTHY, reasons)


def checks(agent: Agent, certificate_life: timedelta) -> tuple[Check, ...]:
    """Say of each thing that can be wrong with an agent whether it is.

    Nobody knows of one that is not there; of one that was revoked there is nothing to know.
    """
    if agent.revoked_at is not None:
        return ()
    subjects = [("heartbeat", None), ("requests", None), *(("domain", domain) for domain in agent.domains),
                ("clock", None), ("certificate", None), ("update", None)]  # fmt: skip
    if not agent.is_there:
        return tuple(
            Check(*each, _FAILED, _inactive(agent)) if each[0] == "heartbeat" else Check(*each, _UNKNOWN)
            for each in subjects
        )
    reasons: dict[tuple[str, str | None], Reason] = {}
    for reason in _reasons(agent, certificate_life):
        for domain in _concerned(agent, reason):
            reasons.setdefault((_SUBJECTS.get(reason.code, "domain"), domain), reason)
    return tuple(Check(*each, _FAILED if each in reasons else _PASSED, reasons.get(each)) for each in subjects)


def _concerned(agent: Agent, reason: Reason) -> list[str | None]:
    """Give the domains that a reason is about; None where it is about the agent as a whole."""
    if reason.code in _SUBJECTS:
        return [None]
    if reason.domain is not None:
        return [reason.domain]
    return [each for each in agent.domains if each not in (agent.report.get("domains") or ())]


def _revoked(at: datetime) -> Reason:
    return Reason(
        code="AgentRevoked",
        message=f"It was revoked at {_time(at)}.",
        recommended_action="Enrol its host again with a new code if it is to come back.",
        since=at,
    )


def _inactive(agent: Agent) -> Reason:
    if agent.last_heard is None:
        return Reason(
            code="AgentNeverHeard",
            message=f"It was enrolled at {_time(agent.enrolled_at)} and has not been run since.",
            recommended_action="Start it on its host: `systemctl start dirbridge-agent`, or `dirbridge agent run`.",
            since=agent.enrolled_at,
        )
    if agent.report.get("state") == "stopping":
        return Reason(
            code="AgentStopped",
            message=f"It was stopped on its host at {_time(agent.reported_at or agent.last_heard)}.",
            recommended_action="Start it there: `systemctl start dirbridge-agent`, or `dirbridge agent run`.",
            since=agent.reported_at,
        )
    return Reason(
        code="AgentSilent",
        message=f"Nothing has been heard from it since {_time(agent.last_heard)}.",
        recommended_action="On its host run `dirbridge agent check`: it says what is wrong with process, network or "
        "certificate.",
        since=agent.last_heard,
    )


def _updating(update: dict[str, Any]) -> Reason:
    begins, ends = (str(update.get(name) or "?") for name in ("from", "to"))
    return Reason(
        code="AgentUpdating", message=f"Its updater brings it from version {begins} to {ends} ({update['phase']})."
    )


def _reasons(agent: Agent, certificate_life: timedelta) -> Iterator[Reason]:
    report = agent.report
    for trouble in report.get("troubles") or ():
        yield Reason(
            code=trouble["code"],
            message=trouble["message"],
            recommended_action=trouble["recommendedAction"],
            domain=trouble["domain"],
            since=datetime.fromisoformat(trouble["since"]) if trouble["since"] else None,
        )
    if agent.reported_at is None or agent.reported_at < agent.read_at - REPORTED_WITHIN:
        yield _no_heartbeat(agent)
    elif missing := sorted(set(agent.domains) - set(report.get("domains") or ())):
        yield Reason(
            code="DomainNotServed",
            message=f"It is enrolled for {', '.join(missing)}, which its settings do not name.",
            recommended_action="Add the domain to the agent's settings, or enrol it anew for those that it serves.",
        )
    if report.get("lost"):
        yield Reason(
            code="RequestsNotFetched",
            message=f"Its heartbeats arrive, but it gets no requests: {report['lost']}",
            recommended_action="See what lies between agent and service: it has to let an answer take half a minute.",
        )
    if agent.expires_at - agent.read_at < certificate_life / 6:
        yield Reason(
            code="CertificateNotRenewed",
            message=f"Its certificate ends at {_time(agent.expires_at)} and has not been renewed.",
            recommended_action="Its log says what hinders it. After that moment it has to be enrolled again.",
        )
    if abs(offset := float(report.get("clockOffset") or 0)) > CLOCK.total_seconds():
        yield Reason(
            code="ClockSkewed",
            message=f"The clock of its host is {abs(offset):.0f} seconds {'ahead of' if offset > 0 else 'behind'} the "
            "service's.",
            recommended_action="Set it by NTP.",
        )
    yield from _failed_update(agent, report.get("update") or {})


def _no_heartbeat(agent: Agent) -> Reason:
    since = f"since {_time(agent.reported_at)}" if agent.reported_at else "yet"
    return Reason(
        code="HeartbeatMissing",
        message=f"It asks for work, but has not said {since} how it is.",
        recommended_action="See its log. Bring agent and service to the same version.",
        since=agent.reported_at,
    )


def is_stuck(agent: Agent, update: Mapping[str, Any]) -> bool:
    """Whether an update that is said to go on cannot be going on any more."""
    try:
        began = datetime.fromisoformat(str(update.get("at")))
        return agent.read_at - began > LONGEST_UPDATE
    except (ValueError, TypeError):  # no time, or one without a zone: of a version that does not say it
        return False


def _failed_update(agent: Agent, update: dict[str, Any]) -> Iterator[Reason]:
    said = str(update.get("message") or "").strip()
    if update.get("phase") == "rolled-back":
        yield Reason(
            code="UpdateRolledBack",
            message=f"Version {update.get('to') or '?'} did not work on its host and was taken back. {said}".strip(),
            recommended_action="Withdraw that release, or see the updater's log on the host.",
        )
    elif str(update.get("phase")) in UPDATING and is_stuck(agent, update):
        yield Reason(
            code="UpdateFailed",
            message=f"An update to version {update.get('to') or '?'} began at {update['at']} and did not end.",
            recommended_action="See on its host whether dirbridge-agent-updater runs, and what its log says.",
        )
    elif update.get("phase") == "failed":
        yield Reason(
            code="UpdateFailed",
            message=f"Its last update failed. {said}".strip(),
            recommended_action="The updater tries again; its log on the host says more.",
        )


def _time(at: datetime) -> str:
    return f"{at:%Y-%m-%d %H:%M:%S} UTC"
