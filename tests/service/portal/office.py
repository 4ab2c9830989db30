"""The portal's job with a small directory in memory behind it."""

from __future__ import annotations

from datetime import UTC, datetime

from dirbridge.connectors.memory.directory import Directory, anchor_of
from dirbridge.connectors.memory.source import MemorySource
from dirbridge.engine import preview
from dirbridge.engine.run import Context
from dirbridge.store import previews
from dirbridge.store.identifiers import new_id
from dirbridge.tenant.target import TenantTarget
from tests.service.browsers import Entrance
from tests.service.portal.conftest import Portal

ANN, BOB, TEAM = (anchor_of(number) for number in range(3))
HOSTILE = "<script>alert('Ann')</script>"


class Office:
    """The portal's job with a directory in memory behind it."""

    def __init__(self, portal: Portal) -> None:
        self.portal = portal
        self.browser = portal.browser
        self.directory = Directory("contoso.test")
        self.entrance: Entrance = portal.entrance
        self.entrance.application.state.engine = Context(
            database=self.entrance.database,
            source=lambda _: MemorySource(self.directory),
            target=TenantTarget(new_id, self.entrance.application.state.sealing),
            clock=lambda: datetime.now(UTC),
            new_id=new_id,
        )
        self.directory.create(
            ANN, "user", "Ann", displayName=HOSTILE, sAMAccountName="ann", userPrincipalName="ann@contoso.test",
            userAccountControl="512",
        )  # fmt: skip
        self.directory.create(
            BOB, "user", "Bob", sAMAccountName="bob", userPrincipalName="bob@contoso.test", userAccountControl="512"
        )
        self.directory.create(TEAM, "group", "Team", sAMAccountName="Team", groupType="-2147483646")
        self.directory.add_member(TEAM, ANN)
        self.directory.add_member(TEAM, BOB)

    @property
    def page(self) -> str:
        """What the browser shows, as text."""
        return " ".join(self.browser.text.split())

    async def users(self) -> list[str]:
        """Sign-in names of those that were synchronized."""
        rows = await self.entrance.run(
            "select user_principal_name from directory_objects where object_type = 'user'"
            " and deleted_at is null and user_principal_name like '%%@contoso.test' order by 1"
        )
        return [row[0] for row in rows]

    async def work(self) -> None:
        """Carry out the preview that waits."""
        async with self.entrance.database.transaction() as conn:
            taken = await previews.take(conn)
        assert taken is not None
        await preview.run(self.entrance.application.state.engine, taken)
