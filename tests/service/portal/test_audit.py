"""The audit trail in the portal: who did what, filtered by the address, in pages that stand still."""

from datetime import UTC, datetime, timedelta
from typing import Any
from urllib.parse import parse_qs, urlsplit
from uuid import UUID, uuid4

import pytest
from psycopg.types.json import Jsonb

from dirbridge.service.portal import audit
from dirbridge.store import audit_queries
from tests.service.portal.conftest import Portal
from tests.service.portal.test_logs import link

NOW = datetime.now(UTC)
PERSON, USER = "carol@contoso.test", str(UUID(int=77))


async def act(portal: Portal, activity: str, hours: float = 1, **changes: Any) -> UUID:
    """Store an act, so many hours ago."""
    values = {"actor": PERSON, "target": "", "detail": {}, **changes}
    id = uuid4()
    await portal.entrance.run(
        "insert into audits (tenant, id, at, actor, activity, target, detail) values (%s, %s, %s, %s, %s, %s, %s)",
        [
            portal.entrance.tenant, id, NOW - timedelta(hours=hours), values["actor"], activity, values["target"],
            Jsonb(values["detail"]),
        ],
    )  # fmt: skip
    return id


async def shown(portal: Portal, **asked: str) -> list[str]:
    """The activities on a page."""
    answer = await portal.browser.get("/portal/audit", params=asked)
    assert answer.status_code == 200, portal.browser.text
    return [
        row.partition("</div>")[0]
        for row in portal.browser.page.split('data-label="Activity"><div>')[1:]
    ]  # fmt: skip


async def test_every_filter_finds_what_it_says(portal: Portal) -> None:
    """Alone and together; acts of applications by their client id."""
    app = uuid4()
    await act(portal, "Delete user", 1, target=USER)
    await act(portal, "Start job", 2)
    await act(portal, "Update group", 3, actor=f"application {app}")
    await act(portal, "Delete group", 24 * 20)
    cases: list[tuple[dict[str, str], list[str]]] = [
        ({"who": "CAROL"}, ["Delete user", "Start job"]),
        ({"who": "carol", "span": "30d"}, ["Delete user", "Start job", "Delete group"]),
        ({"who": str(app)}, ["Update group"]),
        ({"activity": "delete"}, ["Delete user"]),
        ({"category": "ProvisioningManagement", "who": "carol"}, ["Start job"]),
        ({"target": USER}, ["Delete user"]),
        ({"who": "carol", "to": f"{NOW - timedelta(days=1):%Y-%m-%dT%H:%M:%SZ}"}, ["Delete group"]),
        ({"who": "nobody's"}, []),
    ]
    for asked, wanted in cases:
        assert await shown(portal, **asked) == wanted, asked


async def test_pages_stand_still(portal: Portal, monkeypatch: pytest.MonkeyPatch) -> None:
    """Older acts go on where the page before ended."""
    monkeypatch.setattr(audit, "PAGE", 2)
    for hours in range(1, 6):
        await act(portal, f"Act {hours}", hours)
    assert await shown(portal, who="carol") == ["Act 1", "Act 2"]
    older = link(portal.browser, "Older")
    await act(portal, "Act 0", 0)
    asked = {name: values[0] for name, values in parse_qs(urlsplit(older).query).items()}
    assert await shown(portal, **asked) == ["Act 3", "Act 4"]


async def test_an_act_in_full(portal: Portal) -> None:
    """Who, to what, why it was refused, and its details; what others wrote stays text."""
    id = await act(
        portal, "Refuse sign in", target="<b>x</b>", detail={"reason": "Wrong password.", "userAgent": "<script>"}
    )
    await portal.browser.get(f"/portal/audit/{id}?who=carol")
    for said in ("Refuse sign in", PERSON, "Failure", "Wrong password.", "User agent", "<script>", "<b>x</b>"):
        assert said in portal.browser.text, said
    assert "<script>" not in portal.browser.page
    assert 'href="/portal/audit?who=carol"' in portal.browser.page
    other = await act(portal, "Delete user", target=USER)
    await portal.browser.get(f"/portal/audit/{other}")
    assert f'href="/portal/users/{USER}"' in portal.browser.page


async def test_what_is_wrong_stands_at_its_field(portal: Portal) -> None:
    """And nothing is shown."""
    for asked, said in (({"category": "odd"}, "There is no category 'odd'"), ({"from": "x"}, "'x' is no time")):
        assert (await portal.browser.get("/portal/audit", params=asked)).status_code == 400
        assert said in portal.browser.text
        assert 'aria-invalid="true"' in portal.browser.page
    assert (await portal.browser.get(f"/portal/audit/{uuid4()}")).status_code == 404


async def test_who_may_not_read_the_trail_is_refused(portal: Portal) -> None:
    """As the API refuses."""
    other = await portal.as_role("User Administrator")
    assert (await other.get("/portal/audit")).status_code == 403


async def test_empty_pages_say_what_to_do(portal: Portal) -> None:
    """Where nothing fits."""
    assert await shown(portal, who="nobody") == []
    assert "Take filters away" in portal.browser.text


def test_the_categories_are_those_of_the_trail() -> None:
    """The portal offers what the store sorts acts into."""
    assert (*(name for name, _ in audit_queries._CATEGORIES), audit_queries.OTHER) == audit.CATEGORIES
