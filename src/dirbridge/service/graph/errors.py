"""What a client sees when something is refused: Graph's error envelope, and who puts which failure into it.

Everything that goes wrong inside a request ends here; routes only raise.

Source: Graph's error resource type; OData JSON Format 4.01 section 21.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Mapping, Sequence
from datetime import UTC, datetime
from typing import Any

from fastapi import FastAPI, Request
from fastapi.exceptions import RequestValidationError
from starlette.exceptions import HTTPException
from starlette.requests import ClientDisconnect
from starlette.responses import Response

from dirbridge.contract.errors import ConfigurationError, DirbridgeError, EntryError, TransientError
from dirbridge.engine import validation
from dirbridge.service.graph.responses import GraphResponse
from dirbridge.store.database import ValueRejected

NOT_FOUND = "Request_ResourceNotFound"
SAME_VALUE = "Request_MultipleObjectsWithSameKeyValue"


class GraphError(Exception):
    """A refusal in Graph's words.

    Args:
        details: further faults, each with code, message and target.
        inner: a more exact code.
    """

    def __init__(
        self,
        status: int,
        code: str,
        message: str,
        *,
        inner: str | None = None,
        target: str | None = None,
        details: Sequence[Mapping[str, str]] = (),
        headers: Mapping[str, str] | None = None,
    ) -> None:
        super().__init__(message)
        self.status = status
        self.code = code
        self.message = message
        self.inner = inner
        self.target = target
        self.details = details
        self.headers = dict(headers or {})


def bad_request(
    message: str, *, code: str = "BadRequest", target: str | None = None, inner: str | None = None
) -> GraphError:
    """A request that nobody could answer."""
    return GraphError(400, code, message, target=target, inner=inner)


def not_found(what: str, key: object) -> GraphError:
    """A resource that is not there, in the words that scripts look for."""
    return GraphError(
        404,
        NOT_FOUND,
        f"Resource '{key}' does not exist or one of its queried reference-property objects are not present."
        f" No {what} has this key.",
    )


def envelope(request: Request, error: GraphError) -> Response:
    """Put a refusal into the envelope."""
    body: dict[str, Any] = {"code": error.code, "message": error.message}
    if error.target is not None:
        body["target"] = error.target
    if error.details:
        body["details"] = [dict(each) for each in error.details]
    ids = request.scope.get("graph_ids", {})
    inner = {} if error.inner is None else {"code": error.inner}
    body["innerError"] = {**inner, "date": datetime.now(UTC).strftime("%Y-%m-%dT%H:%M:%S"), **ids}
    return GraphResponse({"error": body}, status_code=error.status, headers=error.headers)


def translate(error: DirbridgeError) -> GraphError:
    """Say in Graph's words what an error of ours means to a client."""
    if isinstance(error, TransientError):
        return GraphError(503, "serviceNotAvailable", str(error), headers={"Retry-After": "5"})
    if isinstance(error, ConfigurationError) and error.code == validation.CODE:
        return _of_schema(error)
    if isinstance(error, EntryError) and error.code == NOT_FOUND:
        return GraphError(404, NOT_FOUND, str(error))
    if isinstance(error, EntryError) and error.code == SAME_VALUE:
        return GraphError(409, SAME_VALUE, str(error))
    if isinstance(error, ConfigurationError | EntryError | ValueRejected):
        return GraphError(400, error.code, str(error))
    return GraphError(500, "generalException", str(error))


def _of_schema(error: ConfigurationError) -> GraphError:
    """Tell every defect of a schema document, each under its path."""
    details = [{"code": error.code, "message": told, "target": path} for path, told in error.details.items()]
    target = details[0]["target"] if details else None
    return GraphError(400, error.code, str(error), target=target, details=details)


_BY_STATUS = {
    400: "BadRequest",
    401: "InvalidAuthenticationToken",
    403: "Authorization_RequestDenied",
    404: "ResourceNotFound",
    405: "Request_BadRequest",
    413: "requestEntityTooLarge",
    415: "unsupportedMediaType",
    429: "TooManyRequests",
    503: "serviceNotAvailable",
}


def _of_http(request: Request, error: HTTPException) -> GraphError:
    graph = "graph_ids" in request.scope
    if error.status_code == 404 and graph and error.detail == "Not Found":
        return bad_request(f"Resource not found for the segment in '{request.url.path}'.")
    message = str(error.detail)
    if error.status_code == 405:
        message = f"{request.method} is not allowed for '{request.url.path}'."
    code = _BY_STATUS.get(error.status_code, "generalException")
    return GraphError(error.status_code, code, message, headers=error.headers)


def _of_validation(error: RequestValidationError) -> GraphError:
    faults = error.errors()
    details = [
        {"code": "invalidParameterFormat", "message": str(each["msg"]), "target": "/".join(map(str, each["loc"]))}
        for each in faults
    ]
    first = f"{details[0]['target']}: {details[0]['message']}" if details else "The request cannot be read."
    return GraphError(400, "BadRequest", first, details=details)


def register(app: FastAPI) -> None:
    """Make an application answer every failure in Graph's envelope."""

    def handler(read: Callable[[Request, Any], GraphError]) -> Callable[[Request, Any], Awaitable[Response]]:
        async def handle(request: Request, error: Any) -> Response:
            return envelope(request, read(request, error))

        return handle

    app.add_exception_handler(GraphError, handler(lambda _, error: error))
    app.add_exception_handler(DirbridgeError, handler(lambda _, error: translate(error)))
    app.add_exception_handler(HTTPException, handler(_of_http))
    app.add_exception_handler(RequestValidationError, handler(lambda _, error: _of_validation(error)))
    app.add_exception_handler(ClientDisconnect, _unheard)


async def _unheard(_request: Request, _error: Exception) -> Response:
    """Answer who hung up in the middle of the body: nobody hears it, and it is no fault of ours."""
    return Response(status_code=400)
