"""What a directory, an agent or a client says is text on every page, whatever it looks like."""

from __future__ import annotations

from datetime import UTC, datetime
from urllib.parse import urlencode
from uuid import UUID, uuid4

from psycopg.types.json import Jsonb

from dirbridge.contract.event import Detail, Event, ModifiedProperty, Status, Step, StepType
from dirbridge.contract.export import Action, Fault
from dirbridge.store import agent_errors, agents, audits, directory, events
from dirbridge.store.agent_errors import AgentError
from dirbridge.store.directory import ObjectRow
from tests.service.portal import walk
from tests.service.portal.conftest import AGENT, Portal

HOSTILE = (
    "<script>hostile()</script><img src=x onerror=hostile() hostile>\"'><b id=hostile>{{ 7 * 7 }}</textarea></title>"
    "<a href=javascript:hostile()>x</a><!--"
)

TEXTS = (
    "displayName", "givenName", "surname", "jobTitle", "department", "companyName", "officeLocation", "streetAddress",
    "city", "state", "postalCode", "country", "mobilePhone", "faxNumber", "mail", "mailNickname", "userPrincipalName",
    "employeeId", "employeeType", "preferredLanguage", "usageLocation", "onPremisesDistinguishedName",
    "onPremisesSamAccountName", "onPremisesDomainName", "onPremisesUserPrincipalName", "onPremisesNetBiosName",
    "onPremisesSecurityIdentifier", "onPremisesImmutableId", "description", "info", "anythingElse",
)  # fmt: skip
"""Properties that flow from attributes."""
OF_GROUPS = frozenset({"displayName", "description", "mail", "mailNickname", "info"})


def _object(kind: str, job: str) -> ObjectRow:
    several = {name: [HOSTILE] for name in ("proxyAddresses", "otherMails", "businessPhones")}
    extensions = {"onPremisesExtensionAttributes": {f"extensionAttribute{n}": HOSTILE for n in range(1, 16)}}
    names = TEXTS if kind == "user" else [name for name in TEXTS if name in OF_GROUPS or name.startswith("onPremises")]
    properties = {**dict.fromkeys(names, HOSTILE), **(several | extensions if kind == "user" else {})}
    return ObjectRow(uuid4(), kind, uuid4().hex, job, properties, {})


def _event(job: str, target: UUID) -> Event:
    fault = Fault("AttributeValueInvalid", HOSTILE, recommended_action=HOSTILE, details={HOSTILE: HOSTILE})
    detail = Detail(
        (Step("EntryImportAdd", StepType.IMPORT, Status.SUCCESS, {"type": HOSTILE, "note1": HOSTILE}),),
        (ModifiedProperty(HOSTILE, HOSTILE, HOSTILE),),
        fault,
    )
    return Event(
        id=uuid4(), at=datetime.now(UTC), job=job, cycle=uuid4(), change=uuid4(), action=Action.CREATE,
        status=Status.FAILURE, reason="AttributeValueInvalid", source_id=HOSTILE, source_type="user",
        source_name=HOSTILE, target_id=str(target), target_type="User", target_name=HOSTILE, duration=1, detail=detail,
    )  # fmt: skip


async def _fill(portal: Portal) -> dict[str, str]:
    """Put it wherever something from outside is kept; gives what stands in addresses."""
    tenant, job = portal.entrance.tenant, portal.job
    user, group = _object("user", job), _object("group", job)
    gone = _object("user", job)
    event = _event(job, user.id)
    update = {"phase": "failed", "message": HOSTILE, "to": HOSTILE, "at": HOSTILE}
    trouble = {"domain": HOSTILE, "code": HOSTILE, "message": HOSTILE, "recommendedAction": HOSTILE, "since": None}
    report = {
        "state": "running", "uptime": 1, "queue": 0, "domains": [HOSTILE], "lastError": HOSTILE, "lost": HOSTILE,
        "troubles": [trouble], "update": update, "traces": {"until": HOSTILE, "by": HOSTILE, "refused": HOSTILE},
    }  # fmt: skip
    quarantine = {
        "reason": "EncounteredQuarantineException", "error": {"code": HOSTILE, "message": HOSTILE},
        "currentBegan": "2026-01-02T03:04:05Z", "nextAttempt": "2026-01-02T04:04:05Z",
        "seriesBegan": "2026-01-02T03:04:05Z", "seriesCount": 2, "recommendedAction": HOSTILE, "counts": {},
    }  # fmt: skip
    async with portal.entrance.database.transaction() as conn:
        await directory.insert(conn, tenant, [user, group, gone], datetime.now(UTC))
        await directory.soft_delete(conn, tenant, [gone.id], datetime.now(UTC))
        await events.write(conn, tenant, [event])
        await agents.reported(conn, tenant, AGENT, address=HOSTILE, version=HOSTILE, report=report)
        await agent_errors.add(conn, tenant, AGENT, [AgentError(HOSTILE, HOSTILE, HOSTILE, HOSTILE)])
        await conn.execute("update agents set machine_name = %s, domains = domains || %s", (HOSTILE, [HOSTILE]))
        await conn.execute("update jobs set state = 'Active', quarantine = %s where id = %s", (Jsonb(quarantine), job))
        await audits.record(conn, tenant, actor=HOSTILE, activity=HOSTILE, target=HOSTILE, detail={HOSTILE: HOSTILE})
        await conn.execute("update administrators set display_name = %s", (HOSTILE,))
        await conn.execute("update service_principals set display_name = %s", (HOSTILE,))
    return {
        "agents": str(AGENT), "configurations": job, "users": str(user.id), "groups": str(group.id),
        "logs": str(event.id), "deleted": str(gone.id),
    }  # fmt: skip


async def test_script_in_every_attribute_stays_text(portal: Portal) -> None:
    """On every page that there is; on those that are about it, it is seen as it was written."""
    known = await _fill(portal)
    application, cookies = portal.entrance.application, dict(portal.browser.client.cookies)
    shown = set()
    for path in walk.routes(application, "GET"):
        if path.endswith("/live"):
            continue
        answer = await walk.ask(application, "GET", walk.filled(path, known), cookies)
        assert answer.status < 500, f"{path}: {answer.text[:500]}"
        if not answer.is_page:
            continue
        found = walk.read(answer.text)
        assert found.faults == [], path
        if sum("<script>hostile()</script>" in text for text in found.texts) > 1:
            shown.add(path)
    assert {
        "/portal", "/portal/agents", "/portal/agents/{agent}", "/portal/agents/{agent}/updates", "/portal/logs",
        "/portal/logs/{event}", "/portal/configurations/{job}",
    } <= shown  # fmt: skip


async def test_what_is_asked_for_stays_text(portal: Portal) -> None:
    """What stands in an address, or is typed into a form, is no markup either."""
    application, cookies = portal.entrance.application, dict(portal.browser.client.cookies)
    strict = ("cycle", "from", "to", "after", "span", "status", "code")
    names = ("name", "domain", "source", "target", "job", "search", "q", "dn", "domains", "expression", "actor")
    known = {"agents": str(AGENT), "configurations": portal.job}
    for path in walk.routes(application, "GET"):
        if path.endswith("/live"):
            continue
        for asked in (names, (*names, *strict)):
            where = f"{walk.filled(path, known)}?{urlencode(dict.fromkeys(asked, HOSTILE))}"
            answer = await walk.ask(application, "GET", where, cookies)
            assert answer.status < 500, f"{where}: {answer.text[:500]}"
            if answer.is_page:
                assert walk.read(answer.text).faults == [], where
