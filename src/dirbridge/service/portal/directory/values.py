"""Properties of an object as people read them: each with its values, one a line."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any


@dataclass(frozen=True, slots=True)
class Shown:
    """A property with what it holds.

    Attributes:
        values: as text.
        is_time: they are times.
    """

    name: str
    values: tuple[str, ...]
    is_time: bool = False


def of(found: Mapping[str, Any]) -> tuple[list[Shown], int]:
    """Give the properties that hold something, by name, and how many hold nothing."""
    named = {name: value for name, value in found.items() if not name.startswith("@odata.")}
    shown = sorted(_all("", named), key=lambda each: each.name.lower())
    return shown, sum(1 for value in named.values() if _is_empty(value))


def _all(prefix: str, values: Mapping[str, Any]) -> Iterator[Shown]:
    for name, value in values.items():
        if _is_empty(value):
            continue
        if isinstance(value, dict):
            yield from _all(f"{prefix}{name}/", value)
        else:
            listed = value if isinstance(value, list) else [value]
            yield Shown(prefix + name, tuple(_text(each) for each in listed), name.endswith("DateTime"))


def _is_empty(value: Any) -> bool:
    if isinstance(value, dict):
        return all(_is_empty(each) for each in value.values())
    return value is None or value in ("", [])


def _text(value: Any) -> str:
    if isinstance(value, bool):
        return "Yes" if value else "No"
    if isinstance(value, dict):
        return ", ".join(f"{name}: {_text(each)}" for name, each in value.items() if not _is_empty(each))
    return str(value)
