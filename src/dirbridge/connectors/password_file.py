"""Passwords on an agent's host lie in files of their own, so that the settings may be read by everybody."""

from __future__ import annotations

from pathlib import Path


def read_private(path: Path) -> bytes:
    """Read a file that is for its owner only.

    Raises:
        ValueError: says what is wrong with the file.
    """
    try:
        mode = path.stat().st_mode & 0o777
        content = path.read_bytes()
    except OSError as error:
        raise ValueError(f"{path} cannot be read: {error.strerror}") from error
    if mode & 0o077:
        raise ValueError(f"{path} has the mode {mode:04o} and may be read by others; 0600 is expected")
    return content


def read_password(path: Path) -> str:
    """Read a password file: one line, for its owner only.

    Raises:
        ValueError: says what is wrong with the file.
    """
    try:
        text = read_private(path).decode("utf-8")
    except UnicodeDecodeError as error:
        raise ValueError(f"{path} is not UTF-8 text") from error
    password = text.removesuffix("\n").removesuffix("\r")
    if not password:
        # An empty password makes a simple bind anonymous instead of refused (RFC 4513 section 5.1.2).
        raise ValueError(f"{path} is empty")
    if "\n" in password:
        raise ValueError(f"{path} holds several lines; one is expected")
    return password
