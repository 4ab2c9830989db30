"""Files that another account writes: read as what they are, small and plain, whatever was put in their place.

The updater may write more than the agent. What the agent leaves for it must not lead it elsewhere.
"""

from __future__ import annotations

import errno
import json
import os
import stat
from pathlib import Path
from typing import Any

MAX_NOTE = 256 * 1024


def read_note(file: Path) -> bytes | None:
    """Read a small file; None where there is none, or something else in its place.

    Symbolic links are not followed, and pipes are not waited for.
    """
    try:
        return read_plain(file)
    except OSError:
        return None


def read_plain(file: Path) -> bytes:
    """Read a small file.

    Raises:
        OSError: it cannot be read, or is not that.
    """
    descriptor = os.open(file, os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK | os.O_CLOEXEC)
    try:
        content = b""
        if not stat.S_ISREG(os.fstat(descriptor).st_mode):
            raise OSError(errno.EINVAL, "it is no plain file", str(file))
        while part := os.read(descriptor, MAX_NOTE + 1 - len(content)):
            content += part
    finally:
        os.close(descriptor)
    if len(content) > MAX_NOTE:
        raise OSError(errno.EFBIG, f"it has more than {MAX_NOTE:,} bytes", str(file))
    return content


def read_json(file: Path) -> Any:
    """Read what a small file of JSON says; None where it says nothing that can be read."""
    try:
        return json.loads(read_note(file) or b"null")
    except (ValueError, RecursionError):
        return None
