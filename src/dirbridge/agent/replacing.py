"""Files of the agent are replaced in one step: whoever reads one sees it as it was or as it is, never half of it."""

from __future__ import annotations

import os
import secrets
from pathlib import Path


def replace(file: Path, content: bytes, *, mode: int = 0o600, owner: tuple[int, int] | None = None) -> None:
    """Write a file in place of what is there, with its mode from the beginning. A full disk leaves what was there.

    Args:
        owner: user and group; whoever writes it, if None.
    """
    draft = file.with_name(f".{file.name}.{secrets.token_hex(4)}")
    descriptor = os.open(draft, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
    try:
        with os.fdopen(descriptor, "wb") as stream:
            if owner is not None:
                os.fchown(descriptor, *owner)
            os.fchmod(descriptor, mode)
            stream.write(content)
            stream.flush()
            os.fsync(stream.fileno())
        draft.replace(file)
    finally:
        draft.unlink(missing_ok=True)
