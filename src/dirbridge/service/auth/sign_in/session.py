"""A session of a browser begins and ends. Each begins with a value of its own, whatever the browser carried before."""

from __future__ import annotations

from collections.abc import Iterable
from datetime import datetime

from starlette.requests import Request
from starlette.responses import Response

from dirbridge.service.auth.sign_in import browser
from dirbridge.service.auth.sign_in import pending as sign_in_pending
from dirbridge.service.auth.sign_in import rules as sign_in_rules
from dirbridge.service.auth.sign_in import trail as sign_in_trail
from dirbridge.service.auth.sign_in.browser import PageRefusal
from dirbridge.store import people, sessions
from dirbridge.store.database import Database
from dirbridge.store.identifiers import new_id
from dirbridge.store.people import Administrator
from dirbridge.store.sessions import Session

MOST_CHARACTERS = 200
"""Of how a browser names itself."""


async def begin(
    request: Request,
    answer: Response,
    whom: Administrator,
    methods: Iterable[str],
    proved_at: datetime,
    activity: str = "Sign in",
) -> None:
    """Sign somebody in: the browser gets a new session instead of what it had.

    Args:
        answer: gets the cookies.
        proved_at: when their proof was begun to be looked at.
        activity: how the audit trail calls it.

    Raises:
        PageRefusal: the account was disabled, or got another password or other roles meanwhile.
    """
    rules, tenant, value = sign_in_rules.of(request), request.app.state.tenant, browser.new_value()
    now, proved_by = rules.clock(), list(methods)
    session = Session(
        digest=browser.digest_of(value),
        id=new_id(),
        administrator=whom.id,
        signed_in_at=now,
        last_seen_at=now,
        expires_at=now + rules.lifetime,
        methods=proved_by,
        address=sign_in_rules.address(request),
        browser=_printable(request.headers.get("user-agent", "")),
    )
    database: Database = request.app.state.database
    async with database.transaction() as conn:
        if not await sessions.add(conn, tenant, session, proved_at):
            raise PageRefusal(400, "SignInOutdated", "Your account was changed while you signed in. Sign in again.")
        if before := request.cookies.get(browser.SESSION):
            await sessions.end(conn, tenant, browser.digest_of(before))
        await people.note_sign_in(conn, tenant, whom.id, now)
        await sign_in_trail.leave(conn, request, activity, whom, methods=proved_by, session=str(session.id))
    browser.set_cookie(answer, browser.SESSION, value)
    browser.drop_cookie(answer, browser.VISITOR)
    sign_in_pending.drop(answer)


async def end(request: Request, answer: Response) -> None:
    """Sign whoever uses this browser out; nothing where nobody is signed in."""
    who = await browser.signed_in(request)
    if who is not None:
        database: Database = request.app.state.database
        async with database.transaction() as conn:
            if await sessions.end(conn, request.app.state.tenant, who.session_digest):
                await sign_in_trail.leave(conn, request, "Sign out", who.administrator)
    browser.drop_cookie(answer, browser.SESSION)


def _printable(text: str) -> str:
    return "".join(letter for letter in text[:MOST_CHARACTERS] if letter.isprintable())
