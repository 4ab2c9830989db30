"""How the agents' door says no: one envelope, with the code that the agent goes by and the words that people read."""

from __future__ import annotations

from collections.abc import Callable, Coroutine, Mapping
from typing import Any

from fastapi import Request
from fastapi.exceptions import RequestValidationError
from fastapi.responses import JSONResponse
from fastapi.routing import APIRoute
from starlette.requests import ClientDisconnect
from starlette.responses import Response

from dirbridge.contract.errors import ConfigurationError, DirbridgeError, TransientError


class Refusal(Exception):
    """A request that is not granted.

    Args:
        status: of HTTP.
        code: what the agent goes by.
        message, action: what happened, and what a person does about it.
        extra: further members of the answer.
    """

    def __init__(
        self,
        status: int,
        code: str,
        message: str,
        action: str = "",
        *,
        headers: Mapping[str, str] | None = None,
        extra: Mapping[str, object] | None = None,
    ) -> None:
        super().__init__(message)
        self.status = status
        self.code = code
        self.message = message
        self.action = action
        self.headers = dict(headers or {})
        self.extra = dict(extra or {})

    def answer(self) -> JSONResponse:
        """Give what the agent reads."""
        error = {"code": self.code, "message": self.message, "recommendedAction": self.action, **self.extra}
        return JSONResponse({"error": error}, self.status, self.headers)


class OAuthRefusal(Refusal):
    """A refusal at the token endpoint, in OAuth's form.

    Source: RFC 6749 section 5.2; the members beside `error` and `error_description` are ours.
    """

    def answer(self) -> JSONResponse:
        """Give what the agent reads."""
        body = {
            "error": "invalid_client",
            "error_description": self.message,
            "code": self.code,
            "recommendedAction": self.action,
            **self.extra,
        }
        return JSONResponse(body, self.status, {"Cache-Control": "no-store", **self.headers})


class DoorRoute(APIRoute):
    """A route whose failures are all answered in the door's own envelope."""

    def get_route_handler(self) -> Callable[[Request], Coroutine[Any, Any, Response]]:
        """Wrap the route's handler."""
        handle = super().get_route_handler()

        async def guarded(request: Request) -> Response:
            try:
                return await handle(request)
            except Refusal as refusal:
                return refusal.answer()
            except RequestValidationError as error:
                return _unreadable(error).answer()
            except DirbridgeError as error:
                return _failed(error).answer()
            except ClientDisconnect:  # in the middle of its body: nobody hears the answer, it comes again by itself
                return Response(status_code=400)

        return guarded


def _unreadable(error: RequestValidationError) -> Refusal:
    faults = "; ".join(f"{'/'.join(map(str, fault['loc']))}: {fault['msg']}" for fault in error.errors())
    return Refusal(400, "BadRequest", f"The request cannot be read: {faults}.")


def _failed(error: DirbridgeError) -> Refusal:
    if isinstance(error, TransientError):
        return Refusal(503, error.code, error.reason, error.recommended_action, headers={"Retry-After": "2"})
    status = 400 if isinstance(error, ConfigurationError) else 500
    return Refusal(status, error.code, error.reason, error.recommended_action)
