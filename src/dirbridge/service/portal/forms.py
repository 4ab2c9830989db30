"""Forms of the portal: several values under one name, and files; each only from a page of ours."""

from __future__ import annotations

from dataclasses import dataclass

from fastapi import Request
from starlette.datastructures import UploadFile
from starlette.exceptions import HTTPException
from starlette.formparsers import MultiPartException

from dirbridge.service.auth.sign_in import browser
from dirbridge.service.auth.sign_in.browser import PageRefusal

MOST_FIELDS = 20_000
"""A scope of thousands of organizational units has a field for each."""
MOST_BYTES = 16 * 1024 * 1024


@dataclass(frozen=True, slots=True)
class Form:
    """What somebody filled in, in its order.

    Attributes:
        fields: name and value; blanks around a value are not part of it, unless they were asked for.
        files: the content of each file that was chosen, by its field's name.
    """

    fields: tuple[tuple[str, str], ...]
    files: dict[str, bytes]

    def one(self, name: str, default: str = "") -> str:
        """Give a field's value, the last one where there are several."""
        return next((value for field, value in reversed(self.fields) if field == name), default)

    def all(self, name: str) -> list[str]:
        """Give all values of a field that are not empty."""
        return [value for field, value in self.fields if field == name and value]

    def has(self, name: str) -> bool:
        """Tell whether a box is ticked, or a field filled in."""
        return bool(self.one(name))


async def read(request: Request, exact: tuple[str, ...] = ()) -> Form:
    """Read a form and make sure that it is ours.

    Args:
        request: that brings it.
        exact: beginnings of the names of fields whose blanks count.

    Raises:
        PageRefusal: it is none, too large, or not from a page of ours in this browser.
    """
    length = request.headers.get("content-length", "")
    if not length.isdecimal():
        raise PageRefusal(411, "FormUnreadable", "The form does not say how long it is.")
    if int(length) > MOST_BYTES:
        raise PageRefusal(
            413, "FormUnreadable", f"The form has {int(length):,} bytes; at most {MOST_BYTES:,} are read."
        )
    fields: list[tuple[str, str]] = []
    files: dict[str, bytes] = {}
    try:
        async with request.form(max_files=4, max_fields=MOST_FIELDS, max_part_size=MOST_BYTES) as form:
            for name, value in form.multi_items():
                if isinstance(value, UploadFile):
                    if value.filename:
                        files[name] = await value.read()
                else:
                    fields.append((name, value if name.startswith(exact) else value.strip()))
    except (HTTPException, MultiPartException, UnicodeDecodeError, ValueError) as error:
        reason = error.detail if isinstance(error, HTTPException) else str(error)
        raise PageRefusal(400, "FormUnreadable", f"The form cannot be read: {reason}") from error
    browser.check_csrf(request, dict(fields))
    return Form(tuple(fields), files)
