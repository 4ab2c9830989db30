"""Users of the tenant directory: `/users` and what hangs below it.

Source: Graph user resource; what a synchronized user allows comes from `tenant/administration`.
"""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Annotated, Literal
from uuid import UUID, uuid4

import msgspec
from fastapi import APIRouter, Depends, Request
from starlette.responses import Response

from dirbridge.service.auth.access import Caller, require
from dirbridge.service.auth.permissions import USER_WRITERS
from dirbridge.service.graph import changes, collections, relations
from dirbridge.service.graph.context import database, guid
from dirbridge.service.graph.errors import bad_request, not_found
from dirbridge.service.graph.responses import no_content
from dirbridge.store import audits, directory_queries
from dirbridge.store.directory_queries import Conn, DirectoryObject
from dirbridge.tenant import administration

router = APIRouter()

READ = ("User.ReadBasic.All", "User.Read.All", "User.ReadWrite.All", "Directory.Read.All", "Directory.ReadWrite.All")
WRITE = ("User.ReadWrite.All", "Directory.ReadWrite.All")
Reader = Annotated[Caller, Depends(require(*READ))]
Writer = Annotated[Caller, Depends(require(*WRITE, roles=USER_WRITERS))]
Remover = Annotated[Caller, Depends(require("User.DeleteRestore.All", *WRITE, roles=USER_WRITERS))]


class PasswordProfile(msgspec.Struct, rename="camel"):
    """A password, which is checked for its presence and kept nowhere: users do not sign in here."""

    password: str | None = None
    force_change_password_next_sign_in: bool | None = None


def _text(most: int) -> msgspec.Meta:
    return msgspec.Meta(max_length=most)


_ExtensionAttribute = Annotated[str, msgspec.Meta(pattern="^extensionAttribute([1-9]|1[0-5])$")]
_POLICY = "(DisableStrongPassword|DisablePasswordExpiration)"


class UserChange(msgspec.Struct, rename="camel"):
    """What a client may say of a user; what it leaves out stays as it is."""

    account_enabled: bool | msgspec.UnsetType | None = msgspec.UNSET
    business_phones: Annotated[list[str], msgspec.Meta(max_length=1)] | msgspec.UnsetType = msgspec.UNSET
    city: str | msgspec.UnsetType | None = msgspec.UNSET
    company_name: str | msgspec.UnsetType | None = msgspec.UNSET
    country: str | msgspec.UnsetType | None = msgspec.UNSET
    department: Annotated[str, _text(64)] | msgspec.UnsetType | None = msgspec.UNSET
    display_name: Annotated[str, msgspec.Meta(min_length=1, max_length=256)] | msgspec.UnsetType = msgspec.UNSET
    employee_hire_date: datetime | msgspec.UnsetType | None = msgspec.UNSET
    employee_id: Annotated[str, _text(16)] | msgspec.UnsetType | None = msgspec.UNSET
    employee_type: str | msgspec.UnsetType | None = msgspec.UNSET
    fax_number: str | msgspec.UnsetType | None = msgspec.UNSET
    given_name: Annotated[str, _text(64)] | msgspec.UnsetType | None = msgspec.UNSET
    job_title: Annotated[str, _text(128)] | msgspec.UnsetType | None = msgspec.UNSET
    mail: str | msgspec.UnsetType | None = msgspec.UNSET
    mail_nickname: Annotated[str, msgspec.Meta(min_length=1, max_length=64)] | msgspec.UnsetType = msgspec.UNSET
    mobile_phone: str | msgspec.UnsetType | None = msgspec.UNSET
    office_location: str | msgspec.UnsetType | None = msgspec.UNSET
    on_premises_extension_attributes: (
        dict[_ExtensionAttribute, Annotated[str, _text(1024)] | None] | msgspec.UnsetType | None
    ) = msgspec.UNSET
    on_premises_immutable_id: Annotated[str, msgspec.Meta(pattern="^[^$_]*$")] | msgspec.UnsetType | None = (
        msgspec.UNSET
    )
    other_mails: Annotated[list[str], msgspec.Meta(max_length=250)] | msgspec.UnsetType = msgspec.UNSET
    password_policies: (
        Annotated[str, msgspec.Meta(pattern=rf"^(None|{_POLICY}(\s*,\s*{_POLICY})?)$")] | msgspec.UnsetType | None
    ) = msgspec.UNSET
    password_profile: PasswordProfile | msgspec.UnsetType | None = msgspec.UNSET
    postal_code: str | msgspec.UnsetType | None = msgspec.UNSET
    preferred_data_location: str | msgspec.UnsetType | None = msgspec.UNSET
    preferred_language: str | msgspec.UnsetType | None = msgspec.UNSET
    show_in_address_list: bool | msgspec.UnsetType | None = msgspec.UNSET
    state: str | msgspec.UnsetType | None = msgspec.UNSET
    street_address: str | msgspec.UnsetType | None = msgspec.UNSET
    surname: Annotated[str, _text(64)] | msgspec.UnsetType | None = msgspec.UNSET
    usage_location: Annotated[str, msgspec.Meta(pattern="^[A-Za-z]{2}$")] | msgspec.UnsetType | None = msgspec.UNSET
    user_principal_name: Annotated[str, msgspec.Meta(min_length=3, max_length=113)] | msgspec.UnsetType = msgspec.UNSET
    user_type: Literal["Member", "Guest"] | msgspec.UnsetType | None = msgspec.UNSET


REQUIRED = ("accountEnabled", "displayName", "mailNickname", "passwordProfile", "userPrincipalName")


@router.get("/users")
async def list_users(request: Request, caller: Reader) -> Response:
    """List live users."""
    return await collections.listing(
        request,
        directory_queries.live(caller.tenant, "user"),
        fragment="users",
        object_type="user",
        orders=collections.LIVE_ORDERS["user"],
        caller=caller,
    )


@router.get("/users/$count")
async def count_users(request: Request, caller: Reader) -> Response:
    """Count live users."""
    return await collections.counting(request, directory_queries.live(caller.tenant, "user"), object_type="user")


@router.post("/users")
async def create_user(request: Request, caller: Writer) -> Response:
    """Make a user that lives in the cloud only."""
    wanted = await changes.read(request, UserChange, "user")
    missing = [name for name in REQUIRED if wanted.get(name) is None]
    if missing:
        raise bad_request(
            f"A required property is missing for the creation of a user: {', '.join(missing)}.",
            code="Request_BadRequest",
        )
    user = uuid4()
    async with database(request).transaction() as conn:
        await administration.create_user(conn, caller.tenant, user, {"userType": "Member", **wanted}, datetime.now(UTC))
        await audits.record(conn, caller.tenant, actor=caller.actor, activity="Add user", target=str(user))
        row = await find(conn, caller, str(user))
    return changes.made(request, row, "users")


@router.get("/users/{key}")
async def get_user(request: Request, key: str, caller: Reader) -> Response:
    """Give one user, by id or userPrincipalName."""
    return await collections.single(request, caller, lambda conn: find(conn, caller, key), "user")


@router.patch("/users/{key}")
async def update_user(request: Request, key: str, caller: Writer) -> Response:
    """Change a user; what belongs to its source is refused."""
    wanted = await changes.read(request, UserChange, "user")
    async with database(request).transaction() as conn:
        row = await find(conn, caller, key)
        await changes.unchanged(request, conn, caller, row)
        await administration.update(conn, caller.tenant, row.id, "user", wanted, datetime.now(UTC))
        await audits.record(
            conn, caller.tenant, actor=caller.actor, activity="Update user", target=str(row.id),
            detail={"properties": sorted(wanted)},
        )  # fmt: skip
        now = await directory_queries.get(conn, caller.tenant, row.id)
    return changes.changed(request, now, "users")


@router.delete("/users/{key}")
async def delete_user(request: Request, key: str, caller: Remover) -> Response:
    """Put a user into the recycle bin."""
    async with database(request).transaction() as conn:
        row = await find(conn, caller, key)
        await changes.unchanged(request, conn, caller, row)
        await administration.delete_object(conn, caller.tenant, row.id, "user", datetime.now(UTC))
        await audits.record(conn, caller.tenant, actor=caller.actor, activity="Delete user", target=str(row.id))
    return no_content()


@router.get("/users/{key}/manager")
async def get_manager(request: Request, key: str, caller: Reader) -> Response:
    """Give a user's manager; 404 where there is none."""
    return await relations.manager(request, caller, await _id(request, caller, key))


@router.get("/users/{key}/manager/$ref")
async def get_manager_reference(request: Request, key: str, caller: Reader) -> Response:
    """Give the address of a user's manager."""
    return await relations.manager_reference(request, caller, await _id(request, caller, key))


@router.get("/users/{key}/directReports")
@router.get("/users/{key}/directReports/{cast}")
async def direct_reports(request: Request, key: str, caller: Reader, cast: str | None = None) -> Response:
    """List whom a user manages."""
    return await relations.direct_reports(request, caller, await _id(request, caller, key), cast)


@router.get("/users/{key}/memberOf")
@router.get("/users/{key}/memberOf/{cast}")
async def member_of(request: Request, key: str, caller: Reader, cast: str | None = None) -> Response:
    """List the groups that a user is in."""
    return await relations.member_of(request, caller, await _id(request, caller, key), cast)


@router.get("/users/{key}/transitiveMemberOf")
@router.get("/users/{key}/transitiveMemberOf/{cast}")
async def transitive_member_of(request: Request, key: str, caller: Reader, cast: str | None = None) -> Response:
    """List the groups that a user is in, through other groups too."""
    return await relations.transitive_member_of(request, caller, await _id(request, caller, key), cast)


@router.get("/users/{key}/ownedObjects")
@router.get("/users/{key}/ownedObjects/{cast}")
async def owned_objects(request: Request, key: str, caller: Reader, cast: str | None = None) -> Response:
    """List the groups that a user owns."""
    return await relations.owned(request, caller, await _id(request, caller, key), cast)


async def find(conn: Conn, caller: Caller, key: str) -> DirectoryObject:
    """Find a live user by id or userPrincipalName.

    Raises:
        GraphError: 404 where there is none.
    """
    key = key.removeprefix("userPrincipalName=")
    id = guid(key)
    if id is not None:
        row = await directory_queries.get(conn, caller.tenant, id, object_type="user")
    else:
        row = await directory_queries.get_user(conn, caller.tenant, key)
    if row is None:
        raise not_found("user", key)
    return row


async def _id(request: Request, caller: Caller, key: str) -> UUID:
    async with database(request).connection() as conn:
        return (await find(conn, caller, key)).id
