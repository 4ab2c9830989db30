"""What applications may do for people: grants, their refresh tokens, and the codes that lead to them.

Whatever a client carries is known here by its SHA-256 digest only. Every function takes an open connection and the
tenant, and leaves the commit to its caller.

Who makes a grant holds the rows of administrator and application first (`hold`), who ends all grants of one of them
changes its row first: so none is made beside that.
"""

from __future__ import annotations

from collections.abc import Collection
from datetime import datetime
from typing import Any
from uuid import UUID

import msgspec
from psycopg import AsyncConnection
from psycopg.rows import class_row

from dirbridge.store.applications import Standing


class Grant(msgspec.Struct, frozen=True):
    """A row of `grants`: what a person lets an application do, from one sign-in on.

    Attributes:
        id: the claim `sid` of its tokens.
        scopes: delegated permissions, `offline_access` and the like among them.
        methods: how the person signed in, by RFC 8176.
        ended_because: a sentence; empty while it has not ended.
    """

    id: UUID
    administrator: UUID
    service_principal: UUID
    scopes: list[str]
    methods: list[str]
    signed_in_at: datetime
    created_at: datetime
    expires_at: datetime
    ended_because: str = ""


class Presented(msgspec.Struct, frozen=True):
    """A refresh token that was presented, and its grant's id.

    Attributes:
        is_void: another one was given in its place.
        is_followed: one that was given in its place was used.
    """

    grant_id: UUID
    expires_at: datetime
    used_at: datetime | None
    is_void: bool
    is_followed: bool


class Code(msgspec.Struct, frozen=True):
    """A row of `authorization_codes`.

    Attributes:
        asked: the scopes as the client spelled them.
        challenge: of PKCE, with its method; None where the client sent none.
        grant_id: what it was exchanged for.
    """

    service_principal: UUID
    administrator: UUID
    redirect_uri: str
    scopes: list[str]
    asked: str
    challenge: str | None
    challenge_method: str | None
    nonce: str | None
    methods: list[str]
    signed_in_at: datetime
    expires_at: datetime
    used_at: datetime | None = None
    grant_id: UUID | None = None


async def hold(
    conn: AsyncConnection[Any], tenant: UUID, administrator: UUID, service_principal: UUID | None = None
) -> None:
    """Wait for whoever is ending grants of an administrator or to an application, and make the next one wait for us."""
    await conn.execute("select from administrators where tenant = %s and id = %s for share", [tenant, administrator])
    if service_principal is not None:
        await conn.execute(
            "select from service_principals where tenant = %s and id = %s for share", [tenant, service_principal]
        )


# Grants --------------------------------------------------------------------------------------------------------------


async def begin(conn: AsyncConnection[Any], tenant: UUID, grant: Grant) -> None:
    """Store a new grant."""
    await conn.execute(
        """insert into grants (tenant, id, administrator, service_principal, scopes, methods, signed_in_at, created_at,
               expires_at)
           values (%(tenant)s, %(id)s, %(administrator)s, %(service_principal)s, %(scopes)s, %(methods)s,
               %(signed_in_at)s, %(created_at)s, %(expires_at)s)""",
        {"tenant": tenant, **msgspec.structs.asdict(grant)},
    )


async def get(conn: AsyncConnection[Any], tenant: UUID, grant: UUID) -> Grant | None:
    """Give a grant, and hold it against who would use or end it beside us; None where it is forgotten."""
    async with conn.cursor(row_factory=class_row(Grant)) as cursor:
        await cursor.execute(
            """select id, administrator, service_principal, scopes, methods, signed_in_at, created_at, expires_at,
                   ended_because
               from grants where tenant = %s and id = %s for no key update""",
            [tenant, grant],
        )
        return await cursor.fetchone()


async def end(conn: AsyncConnection[Any], tenant: UUID, grant: UUID, because: str, at: datetime) -> bool:
    """End a grant; False where it had ended."""
    ended = await conn.execute(
        """update grants set ended_at = %s, ended_because = %s
           where tenant = %s and id = %s and ended_at is null""",
        [at, because, tenant, grant],
    )
    return ended.rowcount == 1


async def end_of_person(
    conn: AsyncConnection[Any], tenant: UUID, administrator: UUID, because: str, at: datetime
) -> None:
    """End all that an administrator granted, codes included. Their row must have been changed before."""
    values = {"tenant": tenant, "administrator": administrator, "because": because, "at": at}
    await conn.execute(
        """update grants set ended_at = %(at)s, ended_because = %(because)s
           where tenant = %(tenant)s and administrator = %(administrator)s and ended_at is null""",
        values,
    )
    await conn.execute(
        "delete from authorization_codes where tenant = %(tenant)s and administrator = %(administrator)s", values
    )
    await conn.execute(
        """update device_codes set state = 'declined'
           where tenant = %(tenant)s and administrator = %(administrator)s and state = 'approved'""",
        values,
    )


class Behind(msgspec.Struct, frozen=True):
    """What stands behind a token that was issued for a person: each is None where it is gone.

    Attributes:
        application: the one that acts.
        roles, is_disabled, tokens_not_before: of the person; tokens issued up to that time are refused.
        ended_because: why its grant has ended; empty where it has not.
    """

    application: Standing | None
    roles: list[str] | None
    is_disabled: bool | None
    tokens_not_before: datetime | None
    ended_because: str | None


async def behind(
    conn: AsyncConnection[Any], tenant: UUID, *, app_id: UUID, administrator: UUID, grant: UUID | None
) -> Behind:
    """Say how application, person and grant of a token stand: by their keys, as every request of the API asks."""
    cursor = await conn.execute(
        """select s.id, s.is_enabled, extract(epoch from s.tokens_not_before)::double precision,
               a.roles, a.is_disabled, nullif(a.tokens_not_before, '-infinity'),
               case when g.ended_at is null and g.expires_at <= now() then 'it has expired.' else g.ended_because end
           from (values (%s::uuid, %s::uuid, %s::uuid, %s::uuid)) as t (tenant, app_id, administrator, grant_id)
           left join service_principals s on s.tenant = t.tenant and s.app_id = t.app_id and s.has_principal
           left join administrators a on a.tenant = t.tenant and a.id = t.administrator
           left join grants g on g.tenant = t.tenant and g.id = t.grant_id and g.administrator = t.administrator
               and g.service_principal = s.id""",
        [tenant, app_id, administrator, grant],
    )
    row = await cursor.fetchone()
    assert row is not None
    return Behind(None if row[0] is None else Standing(*row[:3]), *row[3:])


async def end_of_application(
    conn: AsyncConnection[Any], tenant: UUID, service_principal: UUID, because: str, at: datetime
) -> None:
    """End all that was granted to an application, codes included. Its row must have been changed before."""
    values = {"tenant": tenant, "application": service_principal, "because": because, "at": at}
    await conn.execute(
        """update grants set ended_at = %(at)s, ended_because = %(because)s
           where tenant = %(tenant)s and service_principal = %(application)s and ended_at is null""",
        values,
    )
    await conn.execute(
        "delete from authorization_codes where tenant = %(tenant)s and service_principal = %(application)s", values
    )
    await conn.execute(
        "delete from device_codes where tenant = %(tenant)s and service_principal = %(application)s", values
    )


# Refresh tokens ------------------------------------------------------------------------------------------------------


async def add_refresh_token(
    conn: AsyncConnection[Any],
    tenant: UUID,
    digest: bytes,
    grant: UUID,
    expires_at: datetime,
    parent: bytes | None = None,
) -> None:
    """Store a refresh token.

    Args:
        parent: digest of the one in whose place it is given; None for the first of a grant.
    """
    await conn.execute(
        "insert into refresh_tokens (tenant, digest, grant_id, expires_at, parent) values (%s, %s, %s, %s, %s)",
        [tenant, digest, grant, expires_at, parent],
    )


async def refresh_token(conn: AsyncConnection[Any], tenant: UUID, digest: bytes) -> Presented | None:
    """Give a refresh token; None where there is none of it. What it says is certain while its grant is held."""
    async with conn.cursor(row_factory=class_row(Presented)) as cursor:
        await cursor.execute(
            """select grant_id, expires_at, used_at, is_void, exists (
                   select from refresh_tokens child
                   where child.tenant = t.tenant and child.grant_id = t.grant_id and child.parent = t.digest
                       and child.used_at is not null
               ) as is_followed
               from refresh_tokens t where tenant = %s and digest = %s""",
            [tenant, digest],
        )
        return await cursor.fetchone()


async def use_refresh_token(conn: AsyncConnection[Any], tenant: UUID, digest: bytes, at: datetime) -> bool:
    """Use a refresh token up; False where it was."""
    used = await conn.execute(
        "update refresh_tokens set used_at = %s where tenant = %s and digest = %s and used_at is null and not is_void",
        [at, tenant, digest],
    )
    return used.rowcount == 1


async def void_followers(conn: AsyncConnection[Any], tenant: UUID, grant: UUID, digest: bytes) -> None:
    """Make void what was given in the place of a refresh token."""
    await conn.execute(
        "update refresh_tokens set is_void = true where tenant = %s and grant_id = %s and parent = %s",
        [tenant, grant, digest],
    )


# Authorization codes -------------------------------------------------------------------------------------------------


async def add_code(conn: AsyncConnection[Any], tenant: UUID, digest: bytes, code: Code) -> None:
    """Store an authorization code."""
    await conn.execute(
        """insert into authorization_codes (tenant, digest, service_principal, administrator, redirect_uri, scopes,
               asked, challenge, challenge_method, nonce, methods, signed_in_at, expires_at)
           values (%(tenant)s, %(digest)s, %(service_principal)s, %(administrator)s, %(redirect_uri)s, %(scopes)s,
               %(asked)s, %(challenge)s, %(challenge_method)s, %(nonce)s, %(methods)s, %(signed_in_at)s,
               %(expires_at)s)""",
        {"tenant": tenant, "digest": digest, **msgspec.structs.asdict(code)},
    )


async def code(conn: AsyncConnection[Any], tenant: UUID, digest: bytes) -> Code | None:
    """Give an authorization code, used ones too."""
    async with conn.cursor(row_factory=class_row(Code)) as cursor:
        await cursor.execute(
            """select service_principal, administrator, redirect_uri, scopes, asked, challenge, challenge_method,
                   nonce, methods, signed_in_at, expires_at, used_at, grant_id
               from authorization_codes where tenant = %s and digest = %s""",
            [tenant, digest],
        )
        return await cursor.fetchone()


async def use_code(conn: AsyncConnection[Any], tenant: UUID, digest: bytes, grant: UUID, at: datetime) -> bool:
    """Exchange an authorization code for a grant; False where it is gone, or was exchanged before."""
    cursor = await conn.execute(
        """update authorization_codes set used_at = %s, grant_id = %s
           where tenant = %s and digest = %s and used_at is null returning digest""",
        [at, grant, tenant, digest],
    )
    return await cursor.fetchone() is not None


# Consents ------------------------------------------------------------------------------------------------------------


async def consented(conn: AsyncConnection[Any], tenant: UUID, service_principal: UUID, administrator: UUID) -> set[str]:
    """Give what an application was allowed to do for an administrator, by themselves or for everybody."""
    cursor = await conn.execute(
        """select unnest(scopes) from consents
           where tenant = %s and service_principal = %s and (administrator = %s or administrator is null)""",
        [tenant, service_principal, administrator],
    )
    return {scope for (scope,) in await cursor.fetchall()}


async def consent(
    conn: AsyncConnection[Any],
    tenant: UUID,
    service_principal: UUID,
    administrator: UUID | None,
    scopes: list[str],
    at: datetime,
) -> None:
    """Keep what an application was allowed, beside what it was before.

    Args:
        administrator: for whom; None for everybody.
    """
    target = "(tenant, service_principal) where administrator is null"
    if administrator is not None:
        target = "(tenant, service_principal, administrator) where administrator is not null"
    await conn.execute(
        f"""insert into consents as c (tenant, service_principal, administrator, scopes, consented_at)
            values (%s, %s, %s, %s, %s)
            on conflict {target} do update set
                scopes = array(select distinct unnest(c.scopes || excluded.scopes) order by 1),
                consented_at = excluded.consented_at""",
        [tenant, service_principal, administrator, scopes, at],
    )


async def withdraw_consents(
    conn: AsyncConnection[Any], tenant: UUID, service_principal: UUID, scopes: Collection[str]
) -> None:
    """Have people asked again for some of what an application was allowed."""
    await conn.execute(
        """update consents set scopes = array(select each from unnest(scopes) each where each <> all(%(scopes)s))
           where tenant = %(tenant)s and service_principal = %(application)s and scopes && %(scopes)s""",
        {"tenant": tenant, "application": service_principal, "scopes": sorted(scopes)},
    )


async def forget_consents(conn: AsyncConnection[Any], tenant: UUID, service_principal: UUID) -> None:
    """Have people asked again whatever an application asks for."""
    await conn.execute("delete from consents where tenant = %s and service_principal = %s", [tenant, service_principal])


# Housekeeping --------------------------------------------------------------------------------------------------------


async def forget(conn: AsyncConnection[Any], before: datetime) -> None:
    """Remove what expired before a time, of every tenant."""
    await conn.execute("delete from refresh_tokens where expires_at < %s", [before])
    await conn.execute("delete from grants where expires_at < %s", [before])
    await conn.execute("delete from authorization_codes where expires_at < %s", [before])
    await conn.execute("delete from device_codes where expires_at < %s", [before])
