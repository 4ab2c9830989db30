"""How the agent's log looks: columns for people at a terminal, JSON for machines elsewhere."""

from __future__ import annotations

import json
import logging
import sys
from datetime import UTC, datetime
from typing import IO, Literal

_ORDINARY = frozenset(logging.makeLogRecord({}).__dict__) | {"message", "asctime", "taskName"}


class Columns(logging.Formatter):
    """Time, severity, sentence."""

    def format(self, record: logging.LogRecord) -> str:
        """Write one line; a traceback follows on its own."""
        at = datetime.fromtimestamp(record.created).astimezone().strftime("%H:%M:%S")
        text = f"{at}  {record.levelname.lower():<8} {record.getMessage()}"
        return f"{text}\n{self.formatException(record.exc_info)}" if record.exc_info else text


class Json(logging.Formatter):
    """One object a line: the sentence, and the stable words and ids given in `extra`."""

    def format(self, record: logging.LogRecord) -> str:
        """Write one line."""
        line = {
            "time": datetime.fromtimestamp(record.created, UTC).isoformat(timespec="milliseconds"),
            "level": record.levelname.lower(),
            "logger": record.name,
            "message": record.getMessage(),
            **{name: value for name, value in record.__dict__.items() if name not in _ORDINARY},
        }
        if record.exc_info:
            line["exception"] = self.formatException(record.exc_info)
        return json.dumps(line, ensure_ascii=False, default=str)


def set_up(
    level: Literal["debug", "info", "warning", "error"],
    form: Literal["auto", "json", "columns"],
    stream: IO[str] | None = None,
) -> None:
    """Send the agent's log to a stream, standard error unless given."""
    stream = stream or sys.stderr
    handler = logging.StreamHandler(stream)
    as_columns = form == "columns" or (form == "auto" and stream.isatty())
    handler.setFormatter(Columns() if as_columns else Json())
    root = logging.getLogger()
    root.handlers[:] = [handler]
    root.setLevel(logging.WARNING)
    logging.getLogger("dirbridge").setLevel(level.upper())
