"""Administrators of the tenant: listed, made, changed, removed.

Graph has no word for people who exist only to administer, so they lie under /beta/dirbridge, in Graph's conventions. A
key is the id or the sign-in name.
"""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Annotated, Any

import msgspec
from fastapi import APIRouter, Depends, Request
from psycopg import AsyncConnection
from starlette.responses import Response

from dirbridge.service.auth import people as acts
from dirbridge.service.auth import secrets
from dirbridge.service.auth.access import Caller, require
from dirbridge.service.auth.people import Act
from dirbridge.service.auth.permissions import GLOBAL
from dirbridge.service.graph import odata
from dirbridge.service.graph.context import body, context, database, guid
from dirbridge.service.graph.errors import bad_request, not_found
from dirbridge.service.graph.responses import GraphResponse, moment, no_content
from dirbridge.store import people
from dirbridge.store.identifiers import new_id
from dirbridge.store.people import Administrator

router = APIRouter(prefix="/beta/dirbridge/administrators")

Reader = Annotated[
    Caller,
    Depends(
        require("RoleManagement.Read.Directory", "RoleManagement.ReadWrite.Directory", roles=GLOBAL | {"Global Reader"})
    ),
]
Writer = Annotated[Caller, Depends(require("RoleManagement.ReadWrite.Directory", roles=GLOBAL))]


class New(msgspec.Struct, rename="camel", forbid_unknown_fields=True):
    """A new administrator; one without a password is given one."""

    user_name: str
    roles: list[str]
    display_name: str = ""
    password: str | None = None


class Changes(msgspec.Struct, rename="camel", forbid_unknown_fields=True):
    """What is to change."""

    display_name: str | None = None
    roles: list[str] | None = None
    account_enabled: bool | None = None


class NewPassword(msgspec.Struct, rename="camel", forbid_unknown_fields=True):
    """A password; one is made where none is given."""

    password: str | None = None


@router.get("")
async def list_all(request: Request, caller: Reader) -> Response:
    """Give all administrators, the first one first."""
    odata.read(request, frozenset({"format"}))
    async with database(request).connection() as conn:
        found = await people.administrators(conn, caller.tenant)
    return GraphResponse({
        "@odata.context": context(request, "dirbridge/administrators"), "value": [_shown(each) for each in found],
    })  # fmt: skip


@router.get("/{key}")
async def show(request: Request, key: str, caller: Reader) -> Response:
    """Give one."""
    odata.read(request, frozenset({"format"}))
    async with database(request).connection() as conn:
        return _answer(request, await find(conn, caller, key))


@router.post("")
async def create(request: Request, caller: Writer) -> Response:
    """Make one; a password that was made here is in the answer, and nowhere else."""
    wish = await body(request, New)
    if wish.password is not None:
        acts.check_password(wish.password, wish.user_name)
    password = wish.password or secrets.new_password()
    hashed, administrator = await acts.hashed(password), new_id()
    async with database(request).transaction() as conn:
        await acts.create(
            act(conn, caller), administrator, user_name=wish.user_name, display_name=wish.display_name,
            roles=wish.roles, password_hash=hashed,
        )  # fmt: skip
        made = await find(conn, caller, str(administrator))
    return _answer(request, made, status=201, made=None if wish.password else password)


@router.patch("/{key}")
async def change(request: Request, key: str, caller: Writer) -> Response:
    """Change display name, roles, or whether the account is enabled."""
    wish = await body(request, Changes)
    if wish == Changes():
        raise bad_request("Nothing is to change: displayName, roles or accountEnabled is expected.")
    async with database(request).transaction() as conn:
        await acts.change(
            act(conn, caller), await find(conn, caller, key), display_name=wish.display_name, roles=wish.roles,
            is_disabled=None if wish.account_enabled is None else not wish.account_enabled,
        )  # fmt: skip
    return no_content()


@router.post("/{key}/resetPassword")
async def reset_password(request: Request, key: str, caller: Writer) -> Response:
    """Replace the password; one that was made here is in the answer, and nowhere else."""
    wish = await body(request, NewPassword, optional=True)
    password = wish.password or secrets.new_password()
    async with database(request).connection() as conn:
        whom = await find(conn, caller, key)
    if wish.password is not None:
        acts.check_password(wish.password, whom.user_name)
    hashed = await acts.hashed(password)
    async with database(request).transaction() as conn:
        whom = await find(conn, caller, str(whom.id))
        await acts.set_password(act(conn, caller), whom, hashed)
        whom = await find(conn, caller, str(whom.id))
    return _answer(request, whom, made=None if wish.password else password)


@router.delete("/{key}")
async def remove(request: Request, key: str, caller: Writer) -> Response:
    """Remove one."""
    async with database(request).transaction() as conn:
        await acts.remove(act(conn, caller), await find(conn, caller, key))
    return no_content()


def act(conn: AsyncConnection[Any], caller: Caller) -> Act:
    """Begin an act of a caller's."""
    return Act(conn, caller.tenant, caller.actor, datetime.now(UTC))


async def find(conn: AsyncConnection[Any], caller: Caller, key: str) -> Administrator:
    """Give the administrator of an id or a sign-in name.

    Raises:
        GraphError: 404, there is none.
    """
    id = guid(key)
    found = await (people.find(conn, caller.tenant, key) if id is None else people.get(conn, caller.tenant, id))
    if found is None:
        raise not_found("administrator", key)
    return found


def _answer(request: Request, found: Administrator, *, status: int = 200, made: str | None = None) -> Response:
    shown = {"@odata.context": context(request, "dirbridge/administrators/$entity"), **_shown(found)}
    if made is not None:
        shown["password"] = made
    return GraphResponse(shown, status_code=status)


def _shown(found: Administrator) -> dict[str, Any]:
    return {
        "id": str(found.id),
        "userName": found.user_name,
        "displayName": found.display_name,
        "roles": found.roles,
        "accountEnabled": not found.is_disabled,
        "createdDateTime": moment(found.created_at),
        "lastPasswordChangeDateTime": moment(found.password_changed_at),
        "lastSignInDateTime": None if found.last_sign_in is None else moment(found.last_sign_in),
        "hasSecondFactor": found.has_second_factor,
        "externalSubject": found.external_subject,
    }
