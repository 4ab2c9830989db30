"""The service's own log: JSON for machines, columns at a terminal.

A line is a sentence for people; its stable event word and ids come in `extra`. Values of attributes appear at debug
only, secrets never. The log of provisioning is another thing and lies in the database.
"""

from __future__ import annotations

import json
import logging
import sys
from contextvars import ContextVar
from datetime import UTC, datetime
from typing import IO, Any, Literal

request_id: ContextVar[str | None] = ContextVar("request_id", default=None)
"""The id of the request being answered; it is added to every line written meanwhile."""

_STANDARD = frozenset(vars(logging.LogRecord("", 0, "", 0, "", (), None))) | {"message", "asctime", "color_message"}


class JsonFormatter(logging.Formatter):
    """One JSON object a line."""

    def format(self, record: logging.LogRecord) -> str:
        line: dict[str, Any] = {
            "at": datetime.fromtimestamp(record.created, UTC).isoformat(timespec="milliseconds"),
            "level": record.levelname.lower(),
            "message": record.getMessage(),
            "logger": record.name,
            **_extra(record),
        }
        if record.exc_info:
            line["stack"] = self.formatException(record.exc_info)
        return json.dumps(line, default=str, ensure_ascii=False)


class ColumnFormatter(logging.Formatter):
    """Time, severity, sentence, then what else is known."""

    def format(self, record: logging.LogRecord) -> str:
        at = datetime.fromtimestamp(record.created).astimezone()
        extra = " ".join(f"{name}={value}" for name, value in _extra(record).items())
        line = f"{at:%H:%M:%S} {record.levelname:<8}{record.getMessage()}"
        line = f"{line:<90}  {extra}".rstrip() if extra else line
        return f"{line}\n{self.formatException(record.exc_info)}" if record.exc_info else line


def configure(level: str, form: Literal["auto", "json", "columns"], stream: IO[str] | None = None) -> None:
    """Send everything that is logged in this process to one place."""
    target = stream or sys.stderr
    columns = form == "columns" or (form == "auto" and target.isatty())
    handler = logging.StreamHandler(target)
    handler.setFormatter(ColumnFormatter() if columns else JsonFormatter())
    root = logging.getLogger()
    for old in list(root.handlers):
        root.removeHandler(old)
    root.addHandler(handler)
    root.setLevel(level.upper())
    # Libraries tell at info what our own lines already say, at debug statements with the values of attributes.
    for name in ("uvicorn", "procrastinate", "psycopg", "alembic", "asyncio", "httpx2", "httpcore2"):
        logging.getLogger(name).setLevel(logging.WARNING if level != "debug" else logging.INFO)
    for name in ("uvicorn.error", "psycopg.pool"):
        logging.getLogger(name).setLevel(logging.ERROR)


def _extra(record: logging.LogRecord) -> dict[str, Any]:
    found = {name: value for name, value in vars(record).items() if name not in _STANDARD and value is not None}
    current = request_id.get()
    return {"request": current, **found} if current is not None and "request" not in found else found
