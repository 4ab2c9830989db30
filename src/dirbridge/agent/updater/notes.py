"""Files that another account writes: read as what they are, small and plain, whatever was put in their place.

The updater may write more than the agent. What the agent leaves for it must not lead it elsewhere.
"""

from __future__ import annotations

import os
import stat
from pathlib import Path

MAX_NOTE = 256 * 1024


def read_note(file: Path) -> bytes | None:
    """Read a small file; None where there is none, or something else in its place.

    Symbolic links are not followed, and pipes are not waited for.
    """
    try:
        descriptor = os.open(file, os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK | os.O_CLOEXEC)
    except OSError:
        return None
    with os.fdopen(descriptor, "rb") as stream:
        if not stat.S_ISREG(os.fstat(descriptor).st_mode):
            return None
        try:
            content = stream.read(MAX_NOTE + 1)
        except OSError:
            return None
    return content if len(content) <= MAX_NOTE else None
