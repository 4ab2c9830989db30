"""A request at the token endpoint: its form, read with care, and what it is answered from.

Source: RFC 6749 sections 3.2 and 4.4; the scope's form is that of the Microsoft identity platform.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from urllib.parse import unquote_plus, urlsplit

from fastapi import Request
from starlette.datastructures import FormData

from dirbridge.service.auth.oauth.refusals import TokenError
from dirbridge.service.auth.tokens import GRAPH_APP_ID, Tokens
from dirbridge.store.database import Database

# A form of a token request has a few hundred bytes; client assertions make it a few thousand.
MAX_FORM = 64 * 1024


@dataclass(frozen=True, slots=True)
class TokenRequest:
    """What a client asks of the token endpoint.

    Attributes:
        form: its fields that are not empty.
        at: the time.
    """

    database: Database
    tokens: Tokens
    request: Request
    form: Mapping[str, str]
    at: datetime

    def needed(self, name: str) -> str:
        """Give a field of the form.

        Raises:
            TokenError: it is missing.
        """
        if name not in self.form:
            raise TokenError(
                900144, "invalid_request", f"The request body must contain the following parameter: '{name}'."
            )
        return self.form[name]

    def means_us(self, resource: str) -> bool:
        """Tell whether a resource's name, without a slash at its end, is one of this API.

        msgraph-sdk derives the name from the address it was pointed at and leaves the port away.
        """
        name = resource.lower()
        if name in {GRAPH_APP_ID, "https://graph.microsoft.com", ""}:
            return True
        try:
            parts = urlsplit(name)
        except ValueError:
            return False
        hosts = {urlsplit(self.tokens.base_url).hostname, self.request.url.hostname}
        return parts.scheme == "https" and parts.hostname in hosts and not parts.path


async def read_form(request: Request) -> Mapping[str, str]:
    """Read the form, and nothing that is larger than one can be.

    Raises:
        TokenError: it is none, too large, or has a field twice.
    """
    kind = request.headers.get("content-type", "").partition(";")[0].strip().lower()
    if kind != "application/x-www-form-urlencoded":
        raise TokenError(
            900144,
            "invalid_request",
            f"The request body has the type '{kind[:60]}', 'application/x-www-form-urlencoded' is expected.",
        )
    size = 0
    chunks: list[bytes] = []
    async for chunk in request.stream():
        size += len(chunk)
        if size > MAX_FORM:
            raise TokenError(
                90100, "invalid_request", f"The request body is larger than {MAX_FORM:,} bytes.", status=413
            )
        chunks.append(chunk)
    return parse(b"".join(chunks))


def read_query(request: Request) -> Mapping[str, str]:
    """Read the query of an address that takes its parameters there.

    Raises:
        TokenError: it has a parameter twice, or a character that no database keeps.
    """
    query: bytes = request.scope["query_string"]
    return kept(parse(query))


def kept(fields: Mapping[str, str]) -> Mapping[str, str]:
    """Give what clients ask, as much of it is stored and told again.

    Raises:
        TokenError: a field has U+0000 in it, which no database keeps.
    """
    odd = [name for name, value in fields.items() if "\0" in name or "\0" in value]
    if odd:
        raise TokenError(90100, "invalid_request", f"The parameter {odd[0][:60]!r} has the character U+0000 in it.")
    return fields


def parse(body: bytes) -> Mapping[str, str]:
    """Read a URL-encoded form; fields that are empty are left away.

    Raises:
        TokenError: it is none, or has a field twice.
    """
    try:
        text = body.decode("ascii")
    except UnicodeDecodeError as error:
        raise TokenError(900144, "invalid_request", "The request body is not a URL-encoded form.") from error
    pairs = [part.partition("=") for part in text.split("&") if part]
    fields = FormData([(unquote_plus(name), unquote_plus(value)) for name, _, value in pairs])
    repeated = [name for name in fields if len(fields.getlist(name)) > 1]
    if repeated:  # RFC 6749 section 3.2
        raise TokenError(90100, "invalid_request", f"The parameter '{repeated[0][:60]}' is given more than once.")
    return {name: str(value) for name, value in fields.items() if value}
