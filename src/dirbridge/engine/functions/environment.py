"""What functions take from outside the entry: the time, chance, and what the tenant and the target know."""

from __future__ import annotations

import random
from collections.abc import Callable
from datetime import datetime

import msgspec


class Environment(msgspec.Struct, frozen=True):
    """What is handed in when an expression is compiled.

    Attributes:
        now: the clock, aware.
        random: where random text and GUIDs come from; a cryptographic one, as passwords are made of it.
        default_domain: the tenant's default domain.
        is_free: tells whether no object of the target has a value yet; None where the target cannot be asked.
    """

    now: Callable[[], datetime]
    random: random.Random
    default_domain: str
    is_free: Callable[[str], bool] | None = None


def _no_clock() -> datetime:
    raise RuntimeError("An expression was evaluated that had been compiled only to be checked.")


CHECKING = Environment(_no_clock, random.SystemRandom(), "")
"""For compiling only to find what is wrong: nothing is evaluated."""
