"""The demo's company in a domain of a test's own, an ordinary account that reads it, and the tenant beside it."""

from __future__ import annotations

import contextlib
import json
from collections.abc import AsyncIterator
from pathlib import Path

from dirbridge.cli.demo import company, verify
from dirbridge.cli.demo.domain import Domain
from dirbridge.cli.demo.reader import Reader
from tests.e2e.harness import Installation

REALM = "contoso.test"
READER, PASSWORD = "svc-sync", "Pass-word.1"
PLAIN = "svc-plain"
"""An account that may not list deleted objects."""


async def fill(domain: Domain) -> None:
    """Put company and accounts into a domain."""
    contoso = company.make(domain.base_dn, REALM, company.MINIMUM_USERS)
    await domain.load(contoso.entries())
    await domain.modify(contoso.references())
    for account in (READER, PLAIN):
        await domain.create_user(account, PASSWORD, container=company.SERVICE_ACCOUNTS)
    await domain.grant_deleted_objects(READER)


def reader(domain: Domain) -> Reader:
    """Read and edit a domain as its administrator."""
    return Reader(domain.ldaps_url, domain.ca_file, domain.admin_dn, domain.admin_password, domain.base_dn)


def toml(domain: Domain, folder: Path, *, name: str = REALM, user: str = READER, ca_file: Path | None = None) -> str:
    """Write the settings of an agent that reads a domain; its password is in the file beside them."""
    secret = password_file(folder)
    if not secret.exists():
        secret.touch(mode=0o600)
        secret.write_text(PASSWORD)
    values = {
        "name": name,
        "servers": [domain.ldaps_url],
        "ca_file": str(ca_file or domain.ca_file),
        "user": f"{user}@{REALM}",
        "password_file": str(secret),
    }
    return "".join(["[[domain]]\n", *(f"{key} = {json.dumps(value)}\n" for key, value in values.items())])


def password_file(folder: Path) -> Path:
    return folder / "reader.password"


@contextlib.asynccontextmanager
async def in_step(place: Path, domain: Domain) -> AsyncIterator[Installation]:
    """An installation that has read the company once, by an agent of its own."""
    async with Installation(place, REALM) as installation:
        await installation.agent(toml(domain, place))
        await installation.create_job()
        await installation.settled()
        yield installation


async def differences(installation: Installation, administrator: Reader) -> list[str]:
    """Say what the tenant holds otherwise than the directory says, by a reader that shares nothing with the product."""
    initial = installation.made["adminUser"].partition("@")[2]
    domains = verify.Domains(REALM, frozenset({REALM, initial}), initial)
    wanted, found = await verify.differences(administrator, installation.api.get, domains)
    assert wanted.objects > company.MINIMUM_USERS
    assert wanted.memberships > company.MINIMUM_USERS
    return found


async def ids(installation: Installation) -> dict[str, str]:
    """Give the tenant's ids of all live users and groups, by account."""
    return {
        item["onPremisesSamAccountName"]: item["id"]
        for kind in ("users", "groups")
        for item in await installation.objects(kind, "onPremisesSamAccountName")
        if item["onPremisesSamAccountName"]
    }
