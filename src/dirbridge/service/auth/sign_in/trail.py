"""What the audit trail says of sign-in.

A row of each sign-in, of each attempt that was looked at and failed, of each wait that began. Attempts during a wait
leave a line in the log only, so that nobody fills the trail by asking often.
"""

from __future__ import annotations

from typing import Any

from psycopg import AsyncConnection
from starlette.requests import Request

from dirbridge.service.auth.sign_in import rules as sign_in_rules
from dirbridge.store import audits
from dirbridge.store.people import Administrator

NOBODY = "nobody"
"""Whom the trail names where a name is no administrator's: what was given may be a password in the wrong field."""


async def leave(
    conn: AsyncConnection[Any], request: Request, activity: str, whom: Administrator | None, **detail: object
) -> None:
    """Leave a row of what a browser did or tried, with its address."""
    name = whom.user_name if whom is not None else NOBODY
    told = {"address": sign_in_rules.address(request), **detail}
    await audits.record(
        conn, request.app.state.tenant, actor=name, activity=activity, target=name if whom else "", detail=told
    )
