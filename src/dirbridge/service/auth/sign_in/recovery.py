"""What one administrator does for another who cannot sign in, or should not be signed in any longer.

Called by `graph.administrator_sign_in`. Each act leaves a row in the audit trail.
"""

from __future__ import annotations

from uuid import UUID

from dirbridge.contract.errors import ConfigurationError
from dirbridge.service.auth import people
from dirbridge.service.auth.people import Act
from dirbridge.service.auth.sign_in import guesses as sign_in_guesses
from dirbridge.store import guesses, sessions
from dirbridge.store import people as administrators
from dirbridge.store.people import Administrator


async def unlock(act: Act, whom: Administrator) -> None:
    """Forget the attempts at a name and at its codes that failed, so that its owner need not wait."""
    for key in (sign_in_guesses.of_name(whom.user_name), sign_in_guesses.of_code(whom.id)):
        await guesses.forgive(act.conn, act.tenant, key)
    await act.record("Unlock administrator", whom.user_name)


async def reset_second_factor(act: Act, whom: Administrator) -> None:
    """Ask for no code any longer, for whoever lost the device that shows them.

    Raises:
        ConfigurationError: there is no second factor.
    """
    if not await administrators.remove_second_factor(act.conn, act.tenant, whom.id):
        raise ConfigurationError(
            f"{whom.user_name} has no second factor.",
            code="NoSecondFactor",
            recommended_action="Where it is the password that is lost, set another one.",
        )
    await guesses.forgive(act.conn, act.tenant, sign_in_guesses.of_code(whom.id))
    await act.record("Reset second factor of administrator", whom.user_name)


async def unlink(act: Act, whom: Administrator) -> None:
    """Forget which person at the outside provider an administrator is; the next sign-in there settles it anew.

    Raises:
        ConfigurationError: nobody's is known.
    """
    if not await administrators.unbind_external(act.conn, act.tenant, whom.id):
        raise ConfigurationError(f"{whom.user_name} never signed in by way of an outside provider.", code="NotLinked")
    await act.record("Unlink administrator", whom.user_name)


async def end_session(act: Act, whom: Administrator, id: UUID) -> bool:
    """End one session; False where there is none of this id."""
    ended = await sessions.end_one(act.conn, act.tenant, whom.id, id)
    if ended:
        await act.record("End session of administrator", whom.user_name, session=str(id))
    return ended


async def end_all(act: Act, whom: Administrator) -> None:
    """End all sessions, and refuse every token that was issued before."""
    await people.end_all(act, whom)
    await act.record("Revoke sign-in sessions of administrator", whom.user_name)
