"""How much may go without a person's word: one rule for entries of a type and for members of a group."""

from __future__ import annotations

LEAST, SHARE = 10, 0.2
"""So many may always go, and this share of the whole, up to the limit that the job's settings name."""


def allowance(total: int, limit: int) -> int:
    """Say how many of so many may go in 24 hours without a person's word.

    Args:
        total: how many there were 24 hours ago.
        limit: the most, whatever the share; where it is lower than `LEAST`, it holds.
    """
    return min(limit, max(LEAST, int(total * SHARE)))
