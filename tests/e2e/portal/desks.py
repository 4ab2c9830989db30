"""What an administrator has before them: the portal in a window, and the domain beside it."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from dirbridge.cli.demo.domain import Domain
from tests.e2e import company
from tests.e2e.harness import Installation
from tests.e2e.portal.screen import Screen

ADMINISTRATOR = f"ada@{company.REALM}"


@dataclass
class Desk:
    """What an administrator has: the portal in a window, and the domain beside it."""

    screen: Screen
    installation: Installation
    domain: Domain
    place: Path

    @property
    def job(self) -> str:
        """The id of the one job."""
        return self.installation.job.rpartition("/")[2]


async def administrator(installation: Installation, name: str = ADMINISTRATOR) -> str:
    """Make an administrator; gives the password."""
    made = await installation.api.post(
        "/beta/dirbridge/administrators",
        {"userName": name, "displayName": "Ada Lovelace", "roles": ["Global Administrator"]},
    )
    return str(made["password"])
