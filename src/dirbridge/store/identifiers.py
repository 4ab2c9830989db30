"""New ids that rise with time, so that rows written together lie together, and the log keeps its order."""

from __future__ import annotations

import os
import time
from uuid import UUID


def new_id() -> UUID:
    """Make a UUID of version 7. Source: RFC 9562 section 5.7."""
    moment = time.time_ns()
    milliseconds, rest = divmod(moment, 1_000_000)
    # Twelve bits of the sub-millisecond keep the order within one process.
    fraction = (rest << 12) // 1_000_000
    random = int.from_bytes(os.urandom(8), "big") >> 2
    return UUID(int=(milliseconds << 80) | (7 << 76) | (fraction << 64) | (2 << 62) | random)
