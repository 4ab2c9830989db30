"""A tenant in which everything that a screen can show has happened: nothing on it is made up for the picture.

Two configurations, one of them in quarantine over deletes that wait for a word; people who were created, changed,
failed and deleted; a preview, a trace, collected logs, an application and a second administrator.
"""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from datetime import UTC, datetime
from pathlib import Path
from typing import Any
from urllib.parse import quote

from dirbridge.cli.demo.domain import Domain
from dirbridge.cli.demo.reader import Reader
from tests.e2e import company, made_up
from tests.e2e.harness import Installation, until

LEAVING = 12
"""People who leave at once; more than the configuration lets go unasked."""


@dataclass
class Story:
    """What is there to be looked at.

    Attributes:
        names: ids by the placeholder that stands for them in the path of a screen.
    """

    installation: Installation
    names: dict[str, str] = field(default_factory=dict)

    def path(self, template: str) -> str:
        """Fill ids into the path of a screen."""
        return template.format(**{name: quote(value, safe="") for name, value in self.names.items()})


@asynccontextmanager
async def told(place: Path, domain: Domain) -> AsyncIterator[Story]:
    """Let it all happen in a domain that may be changed."""
    async with company.in_step(place, domain) as installation:
        story = Story(installation)
        story.names["job"] = installation.job.rpartition("/")[2]
        with company.reader(domain) as administrator:
            await _changes(installation, administrator)
            await _trials(story)
            await _other_configuration(story, place)
            await _begun_configuration(story)
            await _people_around(story)
            await _leavers(installation, administrator)
        await _name_what_is_there(story)
        yield story


async def _changes(installation: Installation, administrator: Reader) -> None:
    """Somebody gets another title, somebody an address that another one has, somebody is deleted."""
    people = [entry for entry in await _people(administrator) if entry.text("proxyAddresses")]
    changed, taken, thief, gone = people[:4]
    await _replace(administrator, changed.dn, "title", "Head of night shift")
    await _replace(administrator, thief.dn, "proxyAddresses", str(taken.text("proxyAddresses")))
    await administrator.modify(f"dn: {gone.dn}\nchangetype: delete\n")
    await installation.settled()


async def _leavers(installation: Installation, administrator: Reader) -> None:
    await installation.api.patch(
        installation.job, {"synchronizationJobSettings": [{"name": "DeleteThresholdValue", "value": "5"}]}
    )
    leaving = (await _people(administrator))[-LEAVING:]
    await administrator.modify("\n".join(f"dn: {entry.dn}\nchangetype: delete\n" for entry in leaving))

    async def held() -> bool | None:
        return (await installation.status()).get("code") == "Quarantine" or None

    await until(held, "the deletes wait for a word", 60, installation.describe)


async def _trials(story: Story) -> None:
    api, job = story.installation.api, story.names["job"]
    asked = await api.post(f"/beta/dirbridge/jobs/{quote(job, safe='')}/previews")
    story.names["preview"] = asked["id"]

    async def through() -> bool | None:
        shown = await api.get(f"/beta/dirbridge/jobs/{quote(job, safe='')}/previews/{asked['id']}")
        return shown["status"] not in {"waiting", "running", "queued"} or None

    await until(through, "the preview is through", 60)


async def _other_configuration(story: Story, place: Path) -> None:
    """A second directory, with an agent of its own."""
    installation = story.installation
    given = made_up.settings(place, users=200, groups=4, members=20, pause=0)
    first, installation.domain = (installation.domain, installation.job), made_up.DOMAIN
    await installation.agent(made_up.toml(given))
    await installation.create_job(interval=120)
    story.names["other"] = installation.job.rpartition("/")[2]
    began = datetime.now(UTC)
    await installation.succeeded(began, 60)
    installation.domain, installation.job = first


async def _begun_configuration(story: Story) -> None:
    """Somebody began a third configuration and has not enabled it."""
    api = story.installation.api
    template = "/applicationTemplates/1a4721b3-e57f-4451-ae87-ef078703ec94/instantiate"
    made = await api.post(template, {"displayName": company.REALM})
    jobs = f"/servicePrincipals/{made['servicePrincipal']['id']}/synchronization/jobs"
    story.names["draft"] = (await api.post(jobs, {"templateId": "AD2AADProvisioning"}))["id"]


async def _people_around(story: Story) -> None:
    api = story.installation.api
    bob = await api.post(
        "/beta/dirbridge/administrators",
        {"userName": f"bob@{company.REALM}", "displayName": "Bob Night", "roles": ["Global Reader"]},
    )
    registered = await api.post("/applications", {"displayName": "Reporting"})
    reporting = await api.post("/servicePrincipals", {"appId": registered["appId"]})
    story.names |= {"administrator": bob["id"], "application": reporting["id"], "remove": "remove"}
    code = await api.post("/beta/dirbridge/enrolmentCodes", {"domains": [company.REALM]})
    story.names["code"] = code["id"]
    (agent, *_) = (await api.get("/beta/dirbridge/agents"))["value"]
    where = f"/beta/dirbridge/agents/{agent['id']}"
    await api.post(f"{where}/startTrace", {"minutes": 30})
    story.names |= {"agent": agent["id"], "collection": (await api.post(f"{where}/logCollections"))["id"]}


async def _name_what_is_there(story: Story) -> None:
    api = story.installation.api
    failed = (await api.get("/auditLogs/provisioning?$filter=provisioningStatusInfo/status eq 'failure'&$top=1"))[
        "value"
    ]
    created = (await api.get("/auditLogs/provisioning?$filter=provisioningAction eq 'update'&$top=1"))["value"]
    user = (await api.get("/users?$filter=onPremisesSyncEnabled eq true&$top=1"))["value"]
    group = (await api.get("/groups?$filter=onPremisesSyncEnabled eq true&$top=1"))["value"]
    deleted = (await api.get("/directory/deletedItems/microsoft.graph.user?$top=1"))["value"]
    acts = (await api.get("/auditLogs/directoryAudits?$top=1"))["value"]
    where = f"/beta/dirbridge/jobs/{quote(story.names['job'], safe='')}/previews/{story.names['preview']}/changes"
    changes = (await api.get(f"{where}?$top=1"))["value"]
    for name, found in (
        ("failed", failed), ("event", created), ("user", user), ("group", group), ("deleted", deleted), ("act", acts),
        ("change", changes),
    ):  # fmt: skip
        assert found, f"there is nothing to show as {name}"
        story.names[name] = found[0]["id"]


async def _people(administrator: Reader) -> list[Any]:
    found = await administrator.search(
        "(&(objectCategory=person)(objectClass=user)(mail=*)(!(userAccountControl:1.2.840.113556.1.4.803:=2)))",
        ("sAMAccountName", "proxyAddresses"),
    )
    return sorted(found, key=lambda entry: str(entry.text("sAMAccountName")))


async def _replace(administrator: Reader, dn: str, attribute: str, value: str) -> None:
    await administrator.modify(f"dn: {dn}\nchangetype: modify\nreplace: {attribute}\n{attribute}: {value}\n-\n")
