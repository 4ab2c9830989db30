"""A log file of limited size with a few older ones, which survives a full disk and being deleted.

What logging brings for this ends a line half-way on a full disk, and tells of each failure with a stack of its own.
"""

from __future__ import annotations

import contextlib
import logging
import os
import time
from collections.abc import Callable
from pathlib import Path

logger = logging.getLogger(__name__)

RETRY_SECONDS = 5.0
"""How long a file that could not be written is left alone."""


class RotatedFile(logging.Handler):
    """Appends lines to `file`; when it is full it becomes `file.1`, that one `file.2`, and the oldest goes.

    Args:
        size: bytes of one file at most, unless a single line is larger.
        kept: how many older ones there are.
        clock: seconds that only grow.
    """

    def __init__(self, file: Path, size: int, kept: int, clock: Callable[[], float] = time.monotonic) -> None:
        super().__init__()
        self.file = file
        self.failure: str | None = None
        """Why lines cannot be written at present."""
        self._size = size
        self._kept = kept
        self._clock = clock
        self._descriptor: int | None = None
        self._lost = 0
        self._wait_until = 0.0

    def emit(self, record: logging.LogRecord) -> None:
        """Write one line, or count it as lost."""
        if self.failure is not None and self._clock() < self._wait_until:
            self._lost += 1
            return
        try:
            line = self.format(record)
        except Exception:  # noqa: BLE001 - a line that cannot be written must not end what it is about
            self.handleError(record)
            return
        try:
            self._append(line)
        except OSError as error:
            self._lost += 1
            self._fail(error)

    def close(self) -> None:
        """Let go of the file."""
        with self.lock or contextlib.nullcontext():
            self._let_go()
        super().close()

    def _append(self, line: str) -> None:
        note = f'{{"lost": {self._lost}, "reason": "lines could not be written"}}\n' if self._lost else ""
        self._write(f"{note}{line}\n".encode("utf-8", "backslashreplace"))
        self._lost, self.failure = 0, None

    def _write(self, content: bytes) -> None:
        """Append all of it or nothing.

        Raises:
            OSError: the disk is full, or the folder may not be written.
        """
        descriptor = self._opened()
        before = os.fstat(descriptor).st_size
        if before and before + len(content) > self._size:
            self._rotate()
            descriptor, before = self._opened(), 0
        try:
            written = 0
            while written < len(content):
                written += os.write(descriptor, content[written:])
        except OSError:
            with contextlib.suppress(OSError):
                os.ftruncate(descriptor, before)
            raise

    def _opened(self) -> int:
        """Give the file's descriptor; it is made anew where somebody took the file away."""
        if self._descriptor is not None:
            with contextlib.suppress(OSError):
                if os.path.samestat(os.fstat(self._descriptor), os.lstat(self.file)):
                    return self._descriptor
            self._let_go()
        self.file.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
        flags = os.O_WRONLY | os.O_APPEND | os.O_CREAT | os.O_NOFOLLOW | os.O_CLOEXEC
        self._descriptor = os.open(self.file, flags, 0o600)
        return self._descriptor

    def _rotate(self) -> None:
        self._let_go()
        for number in range(self._kept, 0, -1):
            newer = older(self.file, number - 1)
            if newer.exists():
                newer.replace(older(self.file, number))

    def _let_go(self) -> None:
        if self._descriptor is not None:
            with contextlib.suppress(OSError):
                os.close(self._descriptor)
            self._descriptor = None

    def _fail(self, error: OSError) -> None:
        """Remember why, and say it once where the rest of the log goes."""
        self._wait_until = self._clock() + RETRY_SECONDS
        is_new, self.failure = self.failure is None, error.strerror or str(error)
        if is_new:
            logger.warning(
                "The trace %s cannot be written: %s. The agent works on without.",
                self.file,
                self.failure,
                extra={"event": "trace_not_written"},
            )


def older(file: Path, number: int) -> Path:
    """Name the file that was rotated so many times; 0 is the present one."""
    return file.with_name(f"{file.name}.{number}") if number else file
