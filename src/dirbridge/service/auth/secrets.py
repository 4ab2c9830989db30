"""Client secrets and passwords: made here, kept as Argon2 hashes, checked in threads of their own.

A client secret carries 256 random bits, so its hash need not be slow; a person's password gets the full cost.
"""

from __future__ import annotations

import asyncio
import secrets
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from typing import TypeVar

from argon2 import PasswordHasher
from argon2.exceptions import InvalidHashError, VerificationError, VerifyMismatchError

_CLIENT_SECRETS = PasswordHasher(time_cost=1, memory_cost=8 * 1024, parallelism=1)
_PASSWORDS = PasswordHasher(time_cost=3, memory_cost=64 * 1024, parallelism=1)

# A hash takes its whole memory for as long as it runs; more at once than these would let strangers fill the machine.
_HASHING = ThreadPoolExecutor(4, thread_name_prefix="hashing")

T = TypeVar("T")


def new_client_secret() -> str:
    """Give 256 random bits in letters that need no quoting."""
    return secrets.token_urlsafe(32)


def new_password() -> str:
    """Give a password that a person can type: five groups of five, without letters that look alike."""
    alphabet = "abcdefghijkmnpqrstuvwxyz23456789"
    return "-".join("".join(secrets.choice(alphabet) for _ in range(5)) for _ in range(5))


async def hash_client_secret(secret: str) -> str:
    """Hash for `service_principal_credentials`."""
    return await _hashing(_CLIENT_SECRETS.hash, secret)


async def hash_password(password: str) -> str:
    """Hash for `administrators`."""
    return await _hashing(_PASSWORDS.hash, password)


async def matches(hashed: str, given: str) -> bool:
    """Tell whether a secret or password is the one that was hashed."""
    return await _hashing(_verify, hashed, given)


async def matches_nobody(given: str) -> bool:
    """Take as long as `matches` does for a password, where there is none to match; always False."""
    await _hashing(_PASSWORDS.hash, given)
    return False


def is_outdated(hashed: str) -> bool:
    """Tell whether a password's hash has another cost than one made now would have."""
    return _PASSWORDS.check_needs_rehash(hashed)


def _verify(hashed: str, given: str) -> bool:
    try:
        return _PASSWORDS.verify(hashed, given)  # the cost is read from the hash
    except VerifyMismatchError:
        return False
    except (InvalidHashError, VerificationError):
        return False


async def _hashing(work: Callable[..., T], *arguments: str) -> T:
    return await asyncio.get_running_loop().run_in_executor(_HASHING, work, *arguments)
