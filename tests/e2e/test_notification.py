"""Changes in a real domain reach the tenant at once, whoever dies; the job's interval is an hour here."""

from __future__ import annotations

import asyncio
import time
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path

import psycopg
import pytest

from dirbridge.cli.demo.company import line
from dirbridge.cli.demo.domain import Domain
from dirbridge.cli.demo.reader import Reader
from tests.e2e import company
from tests.e2e.harness import Installation, until

pytestmark = [pytest.mark.service, pytest.mark.samba, pytest.mark.timeout(300)]

PROMPT = 30
"""Seconds within which a change must come on a machine that does much else; the interval is 120 times as long."""


@dataclass(frozen=True)
class Office:
    """A domain, its administrator, and a tenant that has read it."""

    installation: Installation
    administrator: Reader
    people: tuple[str, ...]

    async def change(self, person: int, title: str) -> None:
        """Give a person a title."""
        lines = [line("dn", self.people[person]), "changetype: modify", "replace: title", f"title: {title}", ""]
        await self.administrator.modify("\n".join(lines))

    async def arrives(self, title: str) -> None:
        """Wait until the tenant has a person with this title."""
        query = "select count(*) from directory_objects where properties ->> 'jobTitle' = %s"

        async def look() -> bool | None:
            try:
                return True if await self.installation.rows(query, title) == [(1,)] else None
            except psycopg.OperationalError:  # the database is away with the service
                return None

        await until(look, f"'{title}' arrives", PROMPT, self.installation.describe)

    async def cycles(self) -> int:
        """How many cycles began so far."""
        ((generation,),) = await self.installation.rows("select generation from jobs")
        return int(generation)

    async def rest(self) -> int:
        """Wait until no cycle follows another; gives how many there were."""
        before, since = await self.cycles(), time.monotonic()
        while time.monotonic() - since < 4:
            await asyncio.sleep(0.2)
            if (now := await self.cycles()) != before:
                before, since = now, time.monotonic()
        return before


@asynccontextmanager
async def office(place: Path, pristine: Domain) -> AsyncIterator[Office]:
    async with await pristine.copy() as domain, Installation(place, company.REALM) as installation:
        for _ in range(2):
            await installation.agent(company.toml(domain, place))
        began = datetime.now(UTC)
        await installation.create_job(interval=3600)
        await installation.succeeded(began)
        with company.reader(domain) as administrator:
            users = await installation.objects("users", "onPremisesDistinguishedName")
            yield Office(installation, administrator, tuple(user["onPremisesDistinguishedName"] for user in users))


async def test_changes_come_at_once_whoever_dies(place: Path, pristine: Domain) -> None:
    """Two agents listen; each is killed in turn, and the service; an idle domain makes no cycle at all."""
    async with office(place, pristine) as here:
        installation = here.installation
        before = await here.rest()
        for number in range(3):
            await here.change(number, f"Alone {number}")
            await here.arrives(f"Alone {number}")
        # One for each change; another where the second agent saw it only after the first one's cycle had begun.
        assert 3 <= await here.rest() - before <= 6
        await installation.agents[0].kill()
        await here.change(3, "By the second")
        await here.arrives("By the second")
        installation.agents[0].start()
        await installation.agents[1].kill()
        await here.change(4, "By the first")
        await here.arrives("By the first")
        await installation.services[0].kill()
        await here.change(5, "While nobody served")
        installation.services[0].start()
        await here.arrives("While nobody served")


async def test_storm_makes_one_cycle_a_second(place: Path, pristine: Domain) -> None:
    """However many changes there are; the last of them arrives too."""
    async with office(place, pristine) as here:
        before, began = await here.rest(), time.monotonic()
        for number in range(60):
            await here.change(number % len(here.people), f"Storm {number}")
        await here.arrives("Storm 59")
        took = time.monotonic() - began
        assert await here.cycles() - before <= took + 1
        assert await here.rest() - before <= took + 3
