"""Lists as CSV (RFC 4180), for spreadsheets: what comes out of a directory is text there and never a formula."""

from __future__ import annotations

import csv
import io
from collections.abc import Iterable, Sequence

_FORMULA = ("=", "+", "-", "@", "\t", "\r", "\n")


def head(columns: Sequence[str]) -> bytes:
    """Write the first line. A byte order mark before it tells spreadsheets that this is UTF-8."""
    return "\ufeff".encode() + lines([columns])


def lines(rows: Iterable[Sequence[str]]) -> bytes:
    """Write lines."""
    text = io.StringIO()
    csv.writer(text).writerows([_harmless(cell) for cell in row] for row in rows)
    return text.getvalue().encode()


def _harmless(cell: str) -> str:
    """Keep a spreadsheet from taking a value of the directory for a formula.

    Source: OWASP, CSV Injection.
    """
    return f"'{cell}" if cell.startswith(_FORMULA) else cell
