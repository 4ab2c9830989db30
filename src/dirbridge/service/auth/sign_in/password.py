"""Names and passwords: looked at in the same time whether the name is somebody's or not."""

from __future__ import annotations

from starlette.requests import Request

from dirbridge.service.auth import secrets
from dirbridge.service.auth.people import LONGEST
from dirbridge.service.auth.sign_in import guesses as sign_in_guesses
from dirbridge.service.auth.sign_in.browser import PageRefusal
from dirbridge.store import people
from dirbridge.store.database import Database
from dirbridge.store.people import Administrator


async def check(request: Request, name: str, password: str) -> Administrator:
    """Give whose name and password these are.

    Raises:
        PageRefusal: they are nobody's, or not listened to now. It does not tell which of the two is wrong.
    """
    name = name.strip()
    attempt = await sign_in_guesses.begin(request, sign_in_guesses.of_name(name))
    database: Database = request.app.state.database
    tenant = request.app.state.tenant
    whom = None
    if name.isprintable():
        async with database.connection() as conn:
            whom = await people.find(conn, tenant, name)
    given = password[: LONGEST + 1]  # a longer one is nobody's, and costs no more
    matches = await (secrets.matches(whom.password_hash, given) if whom else secrets.matches_nobody(given))
    if whom is None or not matches or whom.is_disabled:
        reason = "unknown name" if whom is None else "wrong password" if not matches else "disabled"
        await attempt.failed(whom, reason)
        raise PageRefusal(400, "SignInRefused", "The name or the password is wrong. Look at both and try again.")
    await attempt.succeeded()
    await _rehash(database, request, whom, given)
    return whom


async def confirm(request: Request, whom: Administrator, password: str) -> None:
    """Make sure that whoever is signed in knows their password.

    Raises:
        PageRefusal: they do not, or are not listened to now.
    """
    attempt = await sign_in_guesses.begin(request, sign_in_guesses.of_name(whom.user_name))
    if not await secrets.matches(whom.password_hash, password[: LONGEST + 1]):
        await attempt.failed(whom, "wrong password")
        raise PageRefusal(400, "PasswordWrong", "That is not your password. Nothing was changed.")
    await attempt.succeeded()


async def _rehash(database: Database, request: Request, whom: Administrator, password: str) -> None:
    if secrets.is_outdated(whom.password_hash):
        hashed = await secrets.hash_password(password)
        async with database.transaction() as conn:
            await people.rehash(conn, request.app.state.tenant, whom.id, whom.password_hash, hashed)
