"""Credentials of applications: client secrets, shown once, and certificates that an application rolls by itself.

The same acts lie under an application and under its service principal, which are one row.

Source: Graph application: addPassword, removePassword, addKey, removeKey.
"""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Annotated
from uuid import UUID

import msgspec
from fastapi import APIRouter, Depends, Request
from starlette.responses import Response

from dirbridge.contract.entry import text_fault
from dirbridge.service.auth.access import Caller, require
from dirbridge.service.auth.applications import ownership, registrations
from dirbridge.service.auth.applications.registrations import LONGEST_SECRET
from dirbridge.service.auth.permissions import APPLICATION_WRITERS
from dirbridge.service.graph import application_lists, application_views, credential_keys, credential_proofs
from dirbridge.service.graph.application_lists import WRITE, changeable
from dirbridge.service.graph.applications import act_of
from dirbridge.service.graph.context import body, context, database
from dirbridge.service.graph.credential_keys import KeyCredential
from dirbridge.service.graph.errors import GraphError, bad_request, not_found
from dirbridge.service.graph.responses import GraphResponse, moment, no_content
from dirbridge.store import applications
from dirbridge.store.application_queries import Conn
from dirbridge.store.applications import Application, Certificate
from dirbridge.store.identifiers import new_id

router = APIRouter()

Writer = Annotated[Caller, Depends(require(*WRITE, roles=APPLICATION_WRITERS))]
Anybody = Annotated[Caller, Depends(require())]


class PasswordCredential(msgspec.Struct, rename="camel"):
    """A client secret to be made."""

    display_name: Annotated[str, msgspec.Meta(max_length=256)] | None = None
    start_date_time: datetime | None = None
    end_date_time: datetime | None = None
    secret_text: str | None = None


class NewPassword(msgspec.Struct, rename="camel"):
    """The parameter of addPassword; a secret without an end lives for two years."""

    password_credential: PasswordCredential | None = None


class NamedPassword(msgspec.Struct, rename="camel"):
    """The parameter of removePassword."""

    key_id: UUID


class NewKey(msgspec.Struct, rename="camel"):
    """The parameters of addKey."""

    key_credential: KeyCredential
    proof: Annotated[str, msgspec.Meta(max_length=32_768)]
    password_credential: PasswordCredential | None = None


class NamedKey(msgspec.Struct, rename="camel"):
    """The parameters of removeKey."""

    key_id: UUID
    proof: Annotated[str, msgspec.Meta(max_length=32_768)]


@router.post("/applications/{key:application}/addPassword")
@router.post("/servicePrincipals/{key}/addPassword")
async def add_password(request: Request, key: str, caller: Writer) -> Response:
    """Make a client secret; its text is in the answer, and nowhere else."""
    wish = (await body(request, NewPassword, optional=True)).password_credential or PasswordCredential()
    ends = _end(wish, datetime.now(UTC))
    secret, hashed = await registrations.new_secret()
    id, name = new_id(), wish.display_name or ""
    async with database(request).transaction() as conn:
        found = await changeable(conn, caller, key)
        ownership.need_reach(caller, found.reach)
        act = act_of(conn, caller)
        await registrations.add_secret(act, found, id, display_name=name, secret=secret, hashed=hashed, expires_at=ends)
    made = {
        "@odata.context": context(request, "microsoft.graph.passwordCredential"),
        "customKeyIdentifier": None,
        "displayName": name,
        "endDateTime": moment(ends),
        "hint": secret[:3],
        "keyId": str(id),
        "secretText": secret,
        "startDateTime": moment(act.at),
    }
    return GraphResponse(made, headers={"Cache-Control": "no-store"})


@router.post("/applications/{key:application}/removePassword")
@router.post("/servicePrincipals/{key}/removePassword")
async def remove_password(request: Request, key: str, caller: Writer) -> Response:
    """Remove a client secret, and the tokens of its application."""
    named = await body(request, NamedPassword)
    async with database(request).transaction() as conn:
        found = await changeable(conn, caller, key)
        ownership.need_reach(caller, found.reach)
        if not await registrations.remove_secret(act_of(conn, caller), found, named.key_id):
            raise not_found("client secret", named.key_id)
    return no_content()


@router.post("/applications/{key:application}/addKey")
@router.post("/servicePrincipals/{key}/addKey")
async def add_key(request: Request, key: str, caller: Anybody) -> Response:
    """Add a certificate, with a proof by one that is there. An application needs no permission to roll its own."""
    wish = await body(request, NewKey)
    if wish.password_credential is not None:
        raise bad_request("passwordCredential belongs to keys of other types than AsymmetricX509Cert.")
    async with database(request).transaction() as conn:
        found, there = await _proven(conn, caller, key, wish.proof)
        act = act_of(conn, caller)
        certificate = credential_keys.read(wish.key_credential, new_id(), act.at)
        if certificate.sha256 in {each.sha256 for each in there}:
            raise bad_request("The application has this certificate already.", code="InvalidKeyCredential")
        await registrations.replace_certificates(act, found, added=[certificate], removed=[])
    shown = application_views.key(certificate)
    return GraphResponse({"@odata.context": context(request, "microsoft.graph.keyCredential"), **shown})


@router.post("/applications/{key:application}/removeKey")
@router.post("/servicePrincipals/{key}/removeKey")
async def remove_key(request: Request, key: str, caller: Anybody) -> Response:
    """Remove a certificate, with a proof by one that is there, and the tokens of its application."""
    wish = await body(request, NamedKey)
    async with database(request).transaction() as conn:
        found, there = await _proven(conn, caller, key, wish.proof)
        if wish.key_id not in {each.id for each in there}:
            raise not_found("certificate", wish.key_id)
        await registrations.replace_certificates(act_of(conn, caller), found, added=[], removed=[wish.key_id])
    return no_content()


async def _proven(conn: Conn, caller: Caller, key: str, proof: str) -> tuple[Application, list[Certificate]]:
    """Give an application whose private key the caller has, and its certificates."""
    found = await application_lists.find(conn, caller, key, lock=True)
    if caller.person is not None or caller.object_id != found.id:
        await ownership.need_owner(conn, caller.passing(WRITE, APPLICATION_WRITERS), found.id)
        ownership.need_reach(caller, found.reach)
    ownership.need_changeable(found)
    there = await applications.certificates(conn, caller.tenant, found.id)
    credential_proofs.verify(proof, found, there, datetime.now(UTC))
    return found, there


def _end(wish: PasswordCredential, now: datetime) -> datetime:
    """Give until when a secret is good."""
    fault = text_fault(wish.display_name) if wish.display_name else None
    if fault is not None:
        raise GraphError(400, "Request_BadRequest", f"The value of 'displayName' {fault}.", target="displayName")
    if wish.secret_text is not None:
        raise bad_request("secretText is made here and cannot be given.", target="secretText")
    for given in (wish.start_date_time, wish.end_date_time):
        if given is not None and given.tzinfo is None:
            raise bad_request(
                f"The time {given.isoformat()} has no zone; one such as 2027-01-31T00:00:00Z is expected."
            )
    if wish.start_date_time is not None and wish.start_date_time > now + registrations.SKEW:
        raise bad_request("startDateTime lies ahead; a client secret is good from the moment it is made.")
    return wish.end_date_time or now + LONGEST_SECRET
