"""How the OAuth 2 doors say no: OAuth's word, and the number that scripts look for.

Source: RFC 6749 section 5.2; Microsoft identity platform, error codes (AADSTS).
"""

from __future__ import annotations

from datetime import datetime
from uuid import UUID, uuid4

from fastapi import Request
from starlette.responses import JSONResponse, Response

NO_STORE = {"Cache-Control": "no-store", "Pragma": "no-cache"}
"""Headers of every answer that holds a credential, or could."""


class TokenError(Exception):
    """A refusal of the token endpoint.

    Args:
        number: the AADSTS number.
        error: OAuth's word for it.
    """

    def __init__(self, number: int, error: str, message: str, *, status: int = 400) -> None:
        super().__init__(message)
        self.number = number
        self.error = error
        self.status = status

    def told(self, request: Request, at: datetime) -> dict[str, object]:
        """Put it into words as stock clients parse them."""
        trace_id, correlation_id = str(uuid4()), _correlation_id(request)
        timestamp = at.strftime("%Y-%m-%d %H:%M:%SZ")
        description = (
            f"AADSTS{self.number}: {self} Trace ID: {trace_id} Correlation ID: {correlation_id} Timestamp: {timestamp}"
        )
        return {
            "error": self.error,
            "error_description": description,
            "error_codes": [self.number],
            "timestamp": timestamp,
            "trace_id": trace_id,
            "correlation_id": correlation_id,
        }

    def response(self, request: Request, at: datetime, *, basic: bool = False) -> Response:
        """Answer with it."""
        headers = {"WWW-Authenticate": 'Basic realm="dirbridge"'} if basic and self.status == 401 else {}
        return JSONResponse(self.told(request, at), status_code=self.status, headers=NO_STORE | headers)


def _correlation_id(request: Request) -> str:
    """Give the client's own id of the request, if it is one."""
    try:
        return str(UUID(request.headers.get("client-request-id", "")))
    except ValueError:
        return str(uuid4())
