"""Secrets do not get into a log, whoever writes the line.

Two nets: what is known to be secret on this host (the content of the password files), and what looks like a secret
(tokens, private keys, passwords in URLs). Both are the last step of writing a line.
"""

from __future__ import annotations

import json
import re
from collections.abc import Callable, Iterable
from pathlib import Path
from urllib.parse import quote

from dirbridge.agent.settings import Settings
from dirbridge.contract import enrolment

HIDDEN = "***"
SHORTEST = 4
"""Characters that a password must have to be looked for: to hide each `a` would leave no log."""

_NAMES = "(?:[a-z_]*password|[a-z_]*secret|unicodepwd|client_assertion|access_token|refresh_token)"
_LOOKS_SECRET = tuple(
    (re.compile(pattern, re.DOTALL), replacement)
    for pattern, replacement in (
        (r"-----BEGIN ([A-Z ]*PRIVATE KEY)-----.*?(-----END \1-----|\Z)", HIDDEN),
        (r"\beyJ[\w-]{8,}\.[\w-]+\.[\w-]*", HIDDEN),
        (r"(?i)\b(bearer|basic|negotiate)\s+[\w.~+/=-]{8,}", rf"\1 {HIDDEN}"),
        (r"(?<=://)[^/\s@]*:[^/\s@]*@(?:[^/\s@\"']*@)*", f"{HIDDEN}@"),
        (rf"(?i)(\b{_NAMES}\b[\"']?\s*[=:]\s*)(\"[^\"]*\"|'[^']*'|[^\s\"',;&}})]+)", rf"\1{HIDDEN}"),
        (rf"\b{enrolment.PREFIX}[\w-]{{16,}}", HIDDEN),
    )
)
_MARKS = re.compile(
    rf"(?i)-----BEGIN|eyJ|bearer|basic|negotiate|://|password|secret|unicodepwd|assertion|_token|{enrolment.PREFIX}"
)
"""One of these is in every text that looks secret. Most texts have none, and one look is enough for them."""


class Redaction:
    """Takes secrets out of text.

    Args:
        files: each holds one secret. They are read again when they change, so that a new password is known at once.
    """

    def __init__(self, files: Iterable[Path] = ()) -> None:
        self._files = tuple(files)
        self._stamps: tuple[object, ...] | None = None
        self._known: list[str] = []

    def __call__(self, text: str) -> str:
        """Give the text without them."""
        return self.ready()(text)

    def ready(self) -> Callable[[str], str]:
        """Look at the files, and give what takes secrets out of texts: of one line, which may have many."""
        self._look()
        return self._hide

    def _hide(self, text: str) -> str:
        for secret in self._known:
            text = text.replace(secret, HIDDEN)
        if _MARKS.search(text):
            for pattern, replacement in _LOOKS_SECRET:
                text = pattern.sub(replacement, text)
        return text

    def _look(self) -> None:
        """Learn the secrets in each way in which they may be written, the longest first.

        Those of before a change are kept: lines about them may still come.
        """
        stamps = tuple(_stamp(file) for file in self._files)
        if stamps != self._stamps:
            self._stamps = stamps
            found = {form for file in self._files for form in _forms(_read(file))}
            self._known = sorted(found.union(self._known), key=len, reverse=True)


def secret_files(settings: Settings) -> list[Path]:
    """Name the files of the settings that hold a password."""
    every = [settings.common, *(domain.settings for domain in settings.domains)]
    return [value for each in every for name, value in each if "password" in name and isinstance(value, Path)]


def _forms(secret: str) -> set[str]:
    """Write a secret as it is, as Python and JSON quote it, and as URLs do."""
    if len(secret) < SHORTEST:
        return set()
    return {secret, repr(secret)[1:-1], json.dumps(secret)[1:-1], quote(secret, safe="")}


def _read(file: Path) -> str:
    try:
        return file.read_text("utf-8", "replace").strip("\r\n")
    except OSError:  # who needs it says so
        return ""


def _stamp(file: Path) -> object:
    try:
        status = file.stat()
    except OSError:
        return None
    return status.st_mtime_ns, status.st_size, status.st_ino
