"""How the agent's log looks: columns for people at a terminal, JSON for machines elsewhere."""

from __future__ import annotations

import json
import logging
import traceback
from collections.abc import Callable
from datetime import UTC, datetime
from typing import Any

import httpx2

from dirbridge.agent.tracing.redaction import Redaction
from dirbridge.contract.errors import DirbridgeError

_ORDINARY = frozenset(logging.makeLogRecord({}).__dict__) | {"message", "asctime", "taskName"}
_TALKATIVE = (
    DirbridgeError, OSError, httpx2.HTTPError, AttributeError, TypeError, NameError, ImportError, MemoryError,
    RecursionError, NotImplementedError,
)  # fmt: skip
"""Errors whose text is about the program or the network. That of others, such as KeyError, may be a person's name."""


class Columns(logging.Formatter):
    """Time, severity, sentence; the stack of an error that nobody foresaw follows on lines of its own."""

    def __init__(self, redact: Redaction) -> None:
        super().__init__()
        self._redact = redact

    def format(self, record: logging.LogRecord) -> str:
        """Write one line."""
        at = datetime.fromtimestamp(record.created).astimezone().strftime("%H:%M:%S")
        text = f"{at}  {record.levelname.lower():<8} {record.getMessage()}"
        error = _error(record, logging.ERROR)
        return self._redact(f"{text}\n{stack(error)}" if error is not None else text)


class Json(logging.Formatter):
    """One object a line: the sentence, and the stable words and ids given in `extra`.

    Args:
        stacks_from: least severity of which the stack is shown. Warnings are foreseen: their sentence says it all to
            who reads a log, but not to who looks for a fault of ours.
        shows_values: whether the texts of all errors are shown.
    """

    def __init__(self, redact: Redaction, *, stacks_from: int = logging.ERROR, shows_values: bool = False) -> None:
        super().__init__()
        self._redact = redact
        self._stacks_from = stacks_from
        self._shows_values = shows_values

    def format(self, record: logging.LogRecord) -> str:
        """Write one line."""
        line: dict[str, Any] = {
            "time": datetime.fromtimestamp(record.created, UTC).isoformat(timespec="milliseconds"),
            "level": record.levelname.lower(),
            "logger": record.name,
            "message": record.getMessage(),
            **{name: value for name, value in record.__dict__.items() if name not in _ORDINARY},
        }
        error = _error(record, self._stacks_from)
        if error is not None:
            line["exception"] = stack(error, shows_values=self._shows_values)
        hide = self._redact.ready()
        return json.dumps(_clean(line, hide), ensure_ascii=False, default=lambda value: hide(str(value)))


def _clean(value: Any, hide: Callable[[str], str]) -> Any:
    """Redact every text, before JSON writes it in another way."""
    if isinstance(value, str):
        return hide(value)
    if isinstance(value, dict):
        return {str(name): _clean(each, hide) for name, each in value.items()}
    if isinstance(value, list | tuple):
        return [_clean(each, hide) for each in value]
    return value


def _error(record: logging.LogRecord, stacks_from: int) -> BaseException | None:
    return record.exc_info[1] if record.exc_info and record.levelno >= stacks_from else None


def stack(error: BaseException, *, shows_values: bool = False) -> str:
    """Write an error with its stack and those that it came of, the first one first.

    Texts of errors that may hold a value of an attribute are left out unless asked for.
    """
    parts: list[str] = []
    seen: set[int] = set()
    current: BaseException | None = error
    while current is not None and id(current) not in seen:
        seen.add(id(current))
        parts.append(_one(current, shows_values=shows_values))
        current = current.__cause__ or (None if current.__suppress_context__ else current.__context__)
    return "\n\n".join(reversed(parts))


def _one(error: BaseException, *, shows_values: bool) -> str:
    frames = "".join(traceback.format_tb(error.__traceback__))
    kind = f"{type(error).__module__}.{type(error).__qualname__}".removeprefix("builtins.")
    said = str(error) if shows_values or isinstance(error, _TALKATIVE) else "its text may hold values; not shown"
    text = f"Traceback (most recent call last):\n{frames}{kind}: {said}" if frames else f"{kind}: {said}"
    if isinstance(error, BaseExceptionGroup):
        text += "".join(f"\n\n{stack(each, shows_values=shows_values)}" for each in error.exceptions)
    return text
