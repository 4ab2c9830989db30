"""Every address of the API with every permission and every role, against the table that administrators read.

The table is docs/permissions.md. What it says is compared with what the routes say, and then tried: each permission by
itself opens, all others together do not; each role is let in or refused as its row says.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any
from uuid import UUID, uuid4

import httpx2
import pytest
from fastapi import FastAPI
from fastapi.routing import iter_route_contexts

from dirbridge.service.auth import permissions
from dirbridge.service.auth.permissions import PERMISSIONS, ROLES, Roles
from dirbridge.service.graph import synchronization
from dirbridge.service.graph.gate import VERSIONS
from dirbridge.service.setup import Identity
from dirbridge.store import people
from dirbridge.store.database import Database
from tests.service import registered

PAGE = Path(__file__).parents[3] / "docs" / "permissions.md"
APPLICATION = frozenset(name for name, kind in PERMISSIONS.items() if kind.application)
DELEGATED = frozenset(name for name, kind in PERMISSIONS.items() if kind.delegated)
REFUSED = "Insufficient privileges to complete the operation. "
EXAMPLES = {"profile": "provisioning", "relation": "agentGroups", "name": "contoso.example"}
"""What stands in an address; an id that nothing has elsewhere."""


@dataclass(frozen=True)
class Row:
    """One method of one address.

    Attributes:
        path: with the version; names in braces stand for keys.
        roles: those that let a person in.
    """

    method: str
    path: str
    permissions: tuple[str, ...]
    roles: Roles

    def address(self, permission: str = "") -> str:
        """Give an address of the row; where it names a type of object, one that the permission is for."""
        examples = {**EXAMPLES, "cast": "graph.group" if permission.startswith("Group") else "graph.user"}
        return re.sub(r"\{(\w+)[^}]*\}", lambda found: examples.get(found[1], str(uuid4())), self.path)

    def __str__(self) -> str:
        return f"{self.method} {self.path}"


def sections() -> dict[str, str]:
    """The parts of the page below its headings."""
    parts = re.split(r"^## (.+)$", PAGE.read_text("utf-8"), flags=re.MULTILINE)
    return dict(zip(parts[1::2], parts[2::2], strict=True))


def cells(text: str) -> Iterator[list[str]]:
    """The rows of a part's table, below its head."""
    for line in text.splitlines():
        if line.startswith("| ") and not line.startswith("| |"):
            yield [cell.strip() for cell in line.strip("|").split("|")]


def role_sets() -> dict[str, Roles]:
    """What the page calls sets of roles."""
    return {name.strip("*"): frozenset(roles.split(", ")) for name, roles in cells(sections()["Roles"])}


def table(section: str) -> list[Row]:
    named = role_sets()
    return [
        Row(method, f"/{version}{path}", tuple(re.findall(r"`([^`]+)`", wanted)), named[roles.strip("*")])
        for method, addresses, wanted, roles in cells(sections()[section])
        for address in re.findall(r"`([^`]+)`", addresses)
        for version, path in _versions(address)
    ]


def _versions(address: str) -> Iterator[tuple[str, str]]:
    first, _, rest = address[1:].partition("/")
    given = first.removesuffix("…")
    for version in [given] if given in VERSIONS else VERSIONS:
        if "…" in address:
            tail = address.partition("…")[2]
            yield from ((version, tree.removesuffix("/synchronization") + tail) for tree in synchronization.TREES)
        else:
            yield version, f"/{rest}" if given in VERSIONS else address


TABLES = [name for name in sections() if name != "Roles"]


def routes(service: FastAPI) -> list[Row]:
    """What the routes ask for."""
    found = []
    for route in iter_route_contexts(service.routes):
        for wanted, roles in _needs(getattr(route, "dependant", None)):
            found += [Row(method, str(route.path), wanted, roles) for method in sorted(route.methods or ())]
    return found


def _needs(dependant: Any) -> Iterator[tuple[tuple[str, ...], Roles]]:
    if dependant is None:
        return
    if hasattr(dependant.call, "permissions"):
        yield dependant.call.permissions, dependant.call.roles
    for each in dependant.dependencies:
        yield from _needs(each)


async def test_page_names_what_the_routes_ask_for(service: FastAPI) -> None:
    """Each address with its permissions and roles, and no others."""
    told = {str(row): (sorted(row.permissions), row.roles) for name in TABLES for row in table(name)}
    asked = {str(row): (sorted(row.permissions), row.roles) for row in routes(service)}
    assert told.keys() == asked.keys()
    assert {key: value for key, value in told.items() if value != asked[key]} == {}


def test_page_names_every_role() -> None:
    """A role that opens nothing would be no role."""
    assert frozenset().union(*role_sets().values()) == ROLES.keys()
    assert role_sets()["any administrator"] == permissions.ANYONE


def test_every_permission_opens_something() -> None:
    """One that opens nothing would be granted in vain; those of OpenID Connect open the token."""
    used = {name for section in TABLES for row in table(section) for name in row.permissions}
    assert PERMISSIONS.keys() - used == {"email", "offline_access", "openid", "profile"}
    assert used <= PERMISSIONS.keys()


async def administrators(database: Database, tenant: UUID) -> Mapping[str, UUID]:
    """One for each role, and one with all of them."""
    made: dict[str, UUID] = {}
    async with database.transaction() as conn:
        for number, roles in enumerate([*([name] for name in ROLES), list(ROLES)]):
            made[roles[0] if len(roles) == 1 else "all"] = key = uuid4()
            await people.add(
                conn, tenant, key, user_name=f"admin{number}@contoso.test", password_hash="none", roles=roles
            )
    return made


@pytest.mark.parametrize("section", TABLES)
async def test_application_needs_one_of_the_permissions(
    client: httpx2.AsyncClient, identity: Identity, section: str
) -> None:
    """Each by itself is enough, all others together are not, and without a token nothing is."""
    wrong = []
    for row in table(section):
        nobody = await _call(client, row, {"Authorization": ""})
        if (nobody.status_code, _code(nobody)) != (401, "InvalidAuthenticationToken"):
            wrong.append(f"{row} without a token: {nobody.status_code} {nobody.text[:200]}")
        for name in [each for each in row.permissions if each in APPLICATION]:
            answer = await _call(client, row, registered.bearer(identity.tokens, name), name)
            if answer.status_code == 401 or _refused(answer):
                wrong.append(f"{row} with {name}: {answer.status_code} {answer.text[:200]}")
        if row.permissions:
            others = await _call(
                client, row, registered.bearer(identity.tokens, *sorted(APPLICATION - set(row.permissions)))
            )
            if not _refused(others) or row.permissions[0] not in others.text:
                wrong.append(f"{row} with all others: {others.status_code} {others.text[:200]}")
    assert wrong == []


@pytest.mark.parametrize("section", TABLES)
async def test_person_needs_one_of_the_roles_and_the_scope(
    client: httpx2.AsyncClient, database: Database, identity: Identity, section: str
) -> None:
    """The application's delegated permission and the person's role, both."""
    made = await administrators(database, identity.tenant.id)

    def bearer(role: str, scopes: frozenset[str]) -> dict[str, str]:
        roles = list(ROLES) if role == "all" else [role]
        name = f"admin{[*made].index(role)}@contoso.test"
        return registered.person(identity.tokens, made[role], name, roles, scopes)

    wrong = []
    for row in table(section):
        scopes = DELEGATED & set(row.permissions)
        if not scopes:
            continue
        for role in ROLES:
            answer = await _call(client, row, bearer(role, scopes))
            if _refused(answer) != (role not in row.roles) or answer.status_code == 401:
                wrong.append(f"{row} as {role}: {answer.status_code} {answer.text[:200]}")
        answer = await _call(client, row, bearer("all", DELEGATED - scopes))
        if not _refused(answer) or "delegated" not in answer.text:
            wrong.append(f"{row} as everything, without the scope: {answer.status_code} {answer.text[:200]}")
    assert wrong == []


async def _call(
    client: httpx2.AsyncClient, row: Row, headers: Mapping[str, str], permission: str = ""
) -> httpx2.Response:
    """Send a request that does nothing where it is let in: its keys are of nothing, and its document is empty."""
    document: dict[str, object] | None = {} if row.method in {"POST", "PATCH", "PUT"} else None
    return await client.request(row.method, row.address(permission), json=document, headers=dict(headers))


def _refused(answer: httpx2.Response) -> bool:
    return answer.status_code == 403 and _code(answer) == "Authorization_RequestDenied" and REFUSED in answer.text


def _code(answer: httpx2.Response) -> str | None:
    try:
        return str(answer.json()["error"]["code"])
    except (ValueError, KeyError, TypeError):
        return None
