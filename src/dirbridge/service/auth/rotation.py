"""What is done to the keys that sign tokens: another takes over, or one is removed at once.

Called by `graph.signing_keys`. A new key is published before it signs, so that whoever verifies tokens elsewhere knows
it by then; the old one goes when nothing that it signed can be good (`store.housekeeping`).
"""

from __future__ import annotations

from collections.abc import Sequence
from datetime import timedelta

from dirbridge.contract.errors import ConfigurationError
from dirbridge.service.auth import key_rings
from dirbridge.service.auth.people import Act
from dirbridge.service.auth.sealing import Sealing
from dirbridge.store import signing_keys
from dirbridge.store.signing_keys import SigningKey

DELAY = timedelta(hours=24)
"""How long a new key is published before it signs: stock clients look for new keys once a day."""
LONGEST_DELAY = timedelta(days=30)


def signing(keys: Sequence[SigningKey], act: Act) -> SigningKey:
    """Give the key that signs now, of all keys, the one that begins last first."""
    return next((key for key in keys if key.signs_from <= act.at), keys[-1])


async def rotate(act: Act, sealing: Sealing, delay: timedelta) -> str:
    """Make a key that signs after a delay; gives its id. Without a delay a key that waits for its turn signs now.

    Raises:
        ConfigurationError: the delay is none, or a key waits already.
    """
    if not timedelta(0) <= delay <= LONGEST_DELAY:
        raise ConfigurationError(
            f"A new key signs after 0 to {LONGEST_DELAY.days * 24} hours; found {delay.total_seconds() / 3600:g}.",
            code="InvalidDelay",
        )
    await signing_keys.lock(act.conn, act.tenant)
    waiting = [key for key in await signing_keys.list_all(act.conn, act.tenant) if key.signs_from > act.at]
    if waiting and delay:
        raise ConfigurationError(
            f"The key '{waiting[0].id}' was made already and signs from {waiting[0].signs_from:%Y-%m-%d %H:%M} UTC on.",
            code="KeyRotationPending",
            recommended_action="Wait for it, let it sign at once by `dirbridge admin keys rotate --now`, or remove it.",
        )
    if waiting:
        await signing_keys.sign_from(act.conn, act.tenant, waiting[-1].id, act.at)
        kid = waiting[-1].id
    else:
        kid = await key_rings.create(act.conn, act.tenant, sealing, at=act.at, signs_from=act.at + delay)
    await act.record("Rotate signing key", kid, signsFrom=(act.at + delay).isoformat())
    return kid


async def remove(act: Act, sealing: Sealing, kid: str) -> bool:
    """Remove a key, and with it everything that it signed; another one signs at once. False where it is not there."""
    await signing_keys.lock(act.conn, act.tenant)
    keys = await signing_keys.list_all(act.conn, act.tenant)
    if kid not in {key.id for key in keys}:
        return False
    signed = signing(keys, act).id == kid
    await signing_keys.remove(act.conn, act.tenant, kid)
    if signed:
        await _replace(act, sealing, [key for key in keys if key.signs_from > act.at])
    await act.record("Remove signing key", kid, signed=signed)
    return True


async def _replace(act: Act, sealing: Sealing, waiting: Sequence[SigningKey]) -> None:
    """Let another key sign in place of the one that did: never one that was replaced before."""
    if waiting:
        await signing_keys.sign_from(act.conn, act.tenant, waiting[-1].id, act.at)
    else:
        await key_rings.create(act.conn, act.tenant, sealing, at=act.at, signs_from=act.at)
