"""What the agent tells of itself: its log on standard error, and the trace folder.

The folder holds little by default: warnings and errors, with stack traces. A verbose trace can be switched on for a
time, from this host (`dirbridge agent trace`) or by the service; it ends by itself, also after a crash or a restart
(`switch`). No line has a secret (`redaction`); values of attributes are only in a verbose trace that was asked for with
them. A disk that is full costs lines, never the agent (`rotation`).
"""

from __future__ import annotations

import logging
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import IO, Literal

from dirbridge.agent.settings import Common, Settings
from dirbridge.agent.tracing.lines import Columns, Json
from dirbridge.agent.tracing.redaction import Redaction, secret_files
from dirbridge.agent.tracing.rotation import RotatedFile

TRACE_FOLDER = "trace"
"""Below the state folder."""
ERRORS = "agent.log"
"""Name of the file with warnings and errors; older ones are `agent.log.1` and so on."""
ERRORS_SIZE, ERRORS_KEPT = 2 * 1024 * 1024, 4
"""Bytes of that file, and how many older ones there are."""
VALUES = "dirbridge.values"
"""The logger of what may hold values of attributes; it leads to nowhere but a trace that was asked for with them."""

Level = Literal["debug", "info", "warning", "error"]


def set_up(settings: Settings, folder: Path, stream: IO[str] | None = None) -> None:
    """Send the agent's log to a stream, standard error unless given, and its errors to the trace folder.

    Args:
        folder: of the agent's state.
    """
    redaction = Redaction(secret_files(settings))
    told = _told(settings.common, redaction, stream or sys.stderr)
    kept = RotatedFile(folder / TRACE_FOLDER / ERRORS, ERRORS_SIZE, ERRORS_KEPT)
    kept.setFormatter(Json(redaction, stacks_from=logging.WARNING))
    kept.setLevel(logging.WARNING)
    root = logging.getLogger()
    root.handlers[:] = [told, kept]
    root.setLevel(logging.WARNING)
    logging.getLogger("dirbridge").setLevel(min(told.level, kept.level))
    values = logging.getLogger(VALUES)
    values.propagate = False
    values.setLevel(logging.CRITICAL + 1)


def set_up_stream(settings: Settings | None) -> None:
    """Send the log of a process beside the agent, the updater's, to standard error, as the agent's settings have it.

    Args:
        settings: None where they cannot be read; the agent complains of that.
    """
    redaction = Redaction(secret_files(settings) if settings is not None else ())
    told = _told(settings.common if settings is not None else Common(), redaction, sys.stderr)
    logging.getLogger().handlers[:] = [told]
    logging.getLogger("dirbridge").setLevel(told.level)


def _told(common: Common, redaction: Redaction, stream: IO[str]) -> logging.Handler:
    told = logging.StreamHandler(stream)
    as_columns = common.log_format == "columns" or (common.log_format == "auto" and stream.isatty())
    told.setFormatter(Columns(redaction) if as_columns else Json(redaction))
    told.setLevel(common.log_level.upper())
    return told


@contextmanager
def last_words() -> Iterator[None]:
    """Keep in the trace folder what ends the agent; who started it tells it elsewhere."""
    try:
        yield
    except Exception as error:
        record = logging.LogRecord(
            __name__, logging.ERROR, __file__, 0, "The agent ended: %s", (type(error).__name__,),
            (type(error), error, error.__traceback__),
        )  # fmt: skip
        for handler in logging.getLogger().handlers:
            if isinstance(handler, RotatedFile):
                handler.handle(record)
        raise
