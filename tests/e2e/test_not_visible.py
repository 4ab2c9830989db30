"""A full read that does not see everything is no reason to delete anything."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any
from uuid import UUID

import pytest

from dirbridge.cli.demo import company as demo
from dirbridge.cli.demo import verify
from dirbridge.cli.demo.company import line
from dirbridge.cli.demo.domain import Domain
from dirbridge.cli.demo.reader import Reader
from tests.e2e import company
from tests.e2e.harness import Installation

pytestmark = [pytest.mark.service, pytest.mark.samba, pytest.mark.timeout(180)]


async def held(installation: Installation) -> set[str]:
    """Give the anchors that the log of the command line says are held; it says of each what that means."""
    done = await installation.command("logs", "--action", "other", "--status", "warning", "--limit", "500", "--json")
    rows = json.loads(done.output)
    for row in rows:
        assert row["provisioningStatusInfo"]["errorInformation"]["errorCode"] == "NotVisibleInSource"
    return {row["sourceIdentity"]["id"] for row in rows}


async def anchors(administrator: Reader, base: str) -> set[str]:
    """Give the anchors of people and groups just below a place; deeper down the units' own rights win."""
    found = await administrator.search(verify.QUERY, ("objectGUID",), base=base, scope="one")
    return {str(UUID(bytes_le=entry.values("objectGUID")[0])) for entry in found}


async def everything(installation: Installation) -> list[Any]:
    """Give all that a delete, or a half-read membership, would change."""
    return [
        await company.ids(installation),
        await installation.references("members"),
        await installation.references("manager"),
        await installation.rows("select count(*) from directory_objects where deleted_at is not null"),
        await installation.rows("select count(*) from events where action in ('delete', 'disable', 'stagedDelete')"),
    ]


async def test_account_that_lost_its_right_on_a_unit(place: Path, pristine: Domain) -> None:
    """What a full read no longer shows stays as it is, is held and logged; with the right back all goes on."""
    async with await pristine.copy() as domain, company.in_step(place, domain) as installation:
        with company.reader(domain) as administrator:
            assert await company.differences(installation, administrator) == []
            before = await everything(installation)
            unit = f"{demo.SALES},{domain.base_dn}"
            hidden = await anchors(administrator, unit)
            assert len(hidden) >= 5
            (found,) = await administrator.search(base=unit, scope="base", attributes=("nTSecurityDescriptor",))
            (rights,) = found.values("nTSecurityDescriptor")
            (account,) = await administrator.search(f"(sAMAccountName={company.READER})", ("objectSid",))
            sid = verify._sid(account.values("objectSid")[0])
            await domain.grant(unit, f"(D;OICI;RPLCLORC;;;{sid})")
            await _restart(installation)
            assert await everything(installation) == before
            assert await held(installation) == hidden

            # It is no cycle for ever either: the next one asks nobody and writes nothing.
            calm = await installation.fingerprint()
            await installation.settled()
            assert await installation.fingerprint() == calm

            back = [f"dn: {unit}", "changetype: modify", "replace: nTSecurityDescriptor"]
            await administrator.modify("\n".join([*back, line("nTSecurityDescriptor", rights), "-", ""]))
            somebody = next(iter(await administrator.search("(objectClass=user)", base=unit)))
            await administrator.modify(f"dn: {somebody.dn}\nchangetype: modify\nreplace: title\ntitle: seen again\n-\n")
            await _restart(installation)
            assert await everything(installation) == before
            assert await company.differences(installation, administrator) == []
            assert await installation.rows("select count(*) from due where reason = 'NotVisibleInSource'") == [(0,)]


async def test_domain_controller_that_lags(place: Path, pristine: Domain) -> None:
    """A full read from a replica that has not heard of the newest entries deletes none of them."""
    async with (
        await pristine.copy() as domain,
        company.in_step(place, domain) as installation,
        await domain.copy() as lagging,
    ):
        with company.reader(domain) as administrator:
            await _join(administrator, domain)
            await installation.settled()
            assert await company.differences(installation, administrator) == []
            before = await everything(installation)
            newest = {
                str(UUID(bytes_le=entry.values("objectGUID")[0]))
                for entry in await administrator.search("(sAMAccountName=late-*)", ("objectGUID",))
            }
            assert len(newest) == 4

            await _read_from(installation, lagging)
            await installation.settled()  # it notices by itself that this one is behind
            await _restart(installation)
            assert await held(installation) == newest
            now = await everything(installation)
            assert now[0] == before[0]
            assert now[3:] == before[3:]

            await _read_from(installation, domain)
            await installation.settled()
            await _restart(installation)
            assert await everything(installation) == before
            assert await company.differences(installation, administrator) == []


async def _restart(installation: Installation) -> None:
    done = await installation.command("jobs", "restart", "--json")
    assert done.code == 0, done.complaint
    await installation.settled()


async def _read_from(installation: Installation, domain: Domain) -> None:
    """Lead the agent to another domain controller."""
    (agent,) = installation.agents
    await agent.end()
    settings = installation.settings().read_text().partition("[[domain]]")[0]
    installation.settings().write_text(settings + company.toml(domain, installation.folder))
    agent.start()


async def _join(administrator: Reader, domain: Domain) -> None:
    """Three people and a group come, one of them as its member, two as those of an old group."""
    place = f"{demo.FINANCE},{domain.base_dn}"
    (old,) = await administrator.search("(sAMAccountName=Empty for Now)", ("cn",))
    records = []
    for number in range(3):
        records += [
            f"dn: CN=Late {number},{place}", "changetype: add", "objectClass: user", f"sAMAccountName: late-{number}",
            f"userPrincipalName: late-{number}@{company.REALM}", f"displayName: Late {number}",
            f"mail: late-{number}@{company.REALM}", "userAccountControl: 544", "",
        ]  # fmt: skip
    records += [
        f"dn: CN=Late group,{place}", "changetype: add", "objectClass: group", "sAMAccountName: late-group",
        f"member: CN=Late 0,{place}", "",
        f"dn: {old.dn}", "changetype: modify", "add: member", f"member: CN=Late 1,{place}",
        f"member: CN=Late 2,{place}", "-", "",
    ]  # fmt: skip
    await administrator.modify("\n".join(records))
