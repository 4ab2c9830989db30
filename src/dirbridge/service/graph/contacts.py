"""Organizational contacts of the tenant directory: `/contacts` and what hangs below it. They can only be read.

Source: Graph orgContact resource.
"""

from __future__ import annotations

from typing import Annotated
from uuid import UUID

from fastapi import APIRouter, Depends, Request
from starlette.responses import Response

from dirbridge.service.auth.access import Caller, require
from dirbridge.service.graph import collections, relations
from dirbridge.service.graph.context import database, guid
from dirbridge.service.graph.errors import GraphError, not_found
from dirbridge.store import directory_queries
from dirbridge.store.directory_queries import Conn, DirectoryObject

router = APIRouter()

READ = ("OrgContact.Read.All", "Directory.Read.All", "Directory.ReadWrite.All")
Reader = Annotated[Caller, Depends(require(*READ))]


@router.get("/contacts")
async def list_contacts(request: Request, caller: Reader) -> Response:
    """List contacts."""
    contacts = directory_queries.live(caller.tenant, "contact")
    return await collections.listing(
        request,
        contacts,
        fragment="contacts",
        object_type="contact",
        orders=collections.LIVE_ORDERS["contact"],
        caller=caller,
    )


@router.get("/contacts/$count")
async def count_contacts(request: Request, caller: Reader) -> Response:
    """Count contacts."""
    return await collections.counting(request, directory_queries.live(caller.tenant, "contact"), object_type="contact")


@router.get("/contacts/{key}")
async def get_contact(request: Request, key: str, caller: Reader) -> Response:
    """Give one contact by its id."""
    return await collections.single(request, caller, lambda conn: find(conn, caller, key), "contact")


@router.get("/contacts/{key}/manager")
async def get_manager(request: Request, key: str, caller: Reader) -> Response:
    """Give a contact's manager; 404 where there is none."""
    return await relations.manager(request, caller, await _id(request, caller, key))


@router.get("/contacts/{key}/manager/$ref")
async def get_manager_reference(request: Request, key: str, caller: Reader) -> Response:
    """Give the address of a contact's manager."""
    return await relations.manager_reference(request, caller, await _id(request, caller, key))


@router.get("/contacts/{key}/directReports")
@router.get("/contacts/{key}/directReports/{cast}")
async def direct_reports(request: Request, key: str, caller: Reader, cast: str | None = None) -> Response:
    """List whom a contact manages."""
    return await relations.direct_reports(request, caller, await _id(request, caller, key), cast)


@router.get("/contacts/{key}/memberOf")
@router.get("/contacts/{key}/memberOf/{cast}")
async def member_of(request: Request, key: str, caller: Reader, cast: str | None = None) -> Response:
    """List the groups that a contact is in."""
    return await relations.member_of(request, caller, await _id(request, caller, key), cast)


@router.get("/contacts/{key}/transitiveMemberOf")
@router.get("/contacts/{key}/transitiveMemberOf/{cast}")
async def transitive_member_of(request: Request, key: str, caller: Reader, cast: str | None = None) -> Response:
    """List the groups that a contact is in, through other groups too."""
    return await relations.transitive_member_of(request, caller, await _id(request, caller, key), cast)


async def find(conn: Conn, caller: Caller, key: str) -> DirectoryObject:
    """Find a contact by its id.

    Raises:
        GraphError: 400 where the key is no GUID, 404 where there is no such contact.
    """
    id = guid(key)
    if id is None:
        raise GraphError(400, "Request_BadRequest", f"Invalid object identifier '{key}'.")
    row = await directory_queries.get(conn, caller.tenant, id, object_type="contact")
    if row is None:
        raise not_found("contact", key)
    return row


async def _id(request: Request, caller: Caller, key: str) -> UUID:
    async with database(request).connection() as conn:
        return (await find(conn, caller, key)).id
