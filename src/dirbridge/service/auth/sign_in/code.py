"""The codes of an administrator's second factor: looked at, used up, counted like passwords."""

from __future__ import annotations

from starlette.requests import Request

from dirbridge.service.auth.sealing import Sealing
from dirbridge.service.auth.sign_in import guesses as sign_in_guesses
from dirbridge.service.auth.sign_in import rules as sign_in_rules
from dirbridge.service.auth.sign_in import second_factor
from dirbridge.service.auth.sign_in.browser import PageRefusal
from dirbridge.store import people
from dirbridge.store.database import Database
from dirbridge.store.people import Administrator


async def check(request: Request, whom: Administrator, code: str) -> None:
    """Use a code up; the first one of a second factor confirms it.

    Raises:
        PageRefusal: it is wrong or was used before, or none is listened to now.
    """
    attempt = await sign_in_guesses.begin(request, sign_in_guesses.of_code(whom.id))
    if not await _is_good(request, whom, code):
        await attempt.failed(whom, "wrong code")
        raise PageRefusal(
            400,
            "CodeRefused",
            "This code is wrong or was used before. Wait for the next one, and see that your device's clock is right.",
        )
    await attempt.succeeded()


async def _is_good(request: Request, whom: Administrator, code: str) -> bool:
    database: Database = request.app.state.database
    sealing: Sealing = request.app.state.sealing
    tenant = request.app.state.tenant
    async with database.connection() as conn:
        factor = await people.second_factor(conn, tenant, whom.id)
        if factor is None:
            return False
        secret = sealing.unseal(factor.secret, second_factor.context(tenant, whom.id))
        step = second_factor.step_of(secret, code, sign_in_rules.of(request).clock(), factor.step)
        return step is not None and await people.use_code(conn, tenant, whom.id, factor.secret, step)
