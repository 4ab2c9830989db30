"""Refusals: Graph's error envelope, and OAuth's at the token endpoints.

Source: `graph.errors`, `auth.refusals`.
"""

from __future__ import annotations

from typing import Any

Schema = dict[str, Any]

_ID: Schema = {"request-id": {"$ref": "#/components/headers/request-id"}}
_RETRY: Schema = {
    "Retry-After": {"description": "Seconds to wait.", "schema": {"type": "integer", "minimum": 0}},
}
_DETAIL: Schema = {
    "type": "object",
    "properties": {"code": {"type": "string"}, "message": {"type": "string"}, "target": {"type": "string"}},
    "required": ["code", "message"],
}
ERROR: Schema = {
    "type": "object",
    "description": "Graph's error envelope. `code` is for programs, `message` for people.",
    "properties": {
        "error": {
            "type": "object",
            "properties": {
                "code": {"type": "string", "minLength": 1},
                "message": {"type": "string", "minLength": 1},
                "target": {"type": "string"},
                "details": {"type": "array", "items": _DETAIL},
                "innerError": {
                    "type": "object",
                    "properties": {
                        "code": {"type": "string"},
                        "date": {"type": "string"},
                        "request-id": {"type": "string"},
                        "client-request-id": {"type": "string"},
                    },
                    "required": ["date", "request-id"],
                },
            },
            "required": ["code", "message", "innerError"],
        }
    },
    "required": ["error"],
}

_TOLD = {
    400: "The request cannot be answered as it is; `error.message` says what is wrong with it.",
    401: "No valid token came with it.",
    403: "The token lacks the permission, or the person the role.",
    404: "It is not there.",
    405: "This cannot be done with it.",
    409: "It contradicts what there is now.",
    410: "The token is too old: begin anew at the address in `Location`.",
    412: "It is not what `If-Match` names any more: read it again.",
    413: "The body is too large.",
    429: "Too many requests: wait.",
    501: "Changes of this relationship are not tracked.",
    503: "Something that the service needs does not answer: wait.",
}
_HEADERS: dict[int, Schema] = {
    401: {"WWW-Authenticate": {"description": "Where a token is to be had.", "schema": {"type": "string"}}},
    410: {"Location": {"$ref": "#/components/headers/Location"}},
    429: _RETRY,
    503: _RETRY,
}


def _response(status: int, component: str) -> Schema:
    return {
        "description": _TOLD[status],
        "headers": _ID | _HEADERS.get(status, {}),
        "content": {"application/json": {"schema": {"$ref": f"#/components/schemas/{component}"}}},
    }


RESPONSES: Schema = {
    **{f"Error{status}": _response(status, "Error") for status in _TOLD},
    **{f"TokenError{status}": _response(status, "TokenRefusal") for status in (400, 401)},
}


def reference(status: int, *, oauth: bool) -> Schema:
    """Give a refusal's reference."""
    kind = "TokenError" if oauth and status in (400, 401) else "Error"
    return {"$ref": f"#/components/responses/{kind}{status}"}
