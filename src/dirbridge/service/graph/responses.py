"""The form of answers: JSON with Graph's media type, texts, and empty ones."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Any

import msgspec
from starlette.responses import Response

_encoder = msgspec.json.Encoder()


class GraphResponse(Response):
    """A JSON body with the media type that Graph's clients expect."""

    media_type = "application/json;odata.metadata=minimal;odata.streaming=true;IEEE754Compatible=false;charset=utf-8"

    def render(self, content: Any) -> bytes:
        return _encoder.encode(content)


class TextResponse(Response):
    """A bare value, such as the answer of `/$count`."""

    media_type = "text/plain"


def no_content() -> Response:
    """The answer of an act that succeeded and has nothing to show."""
    return Response(status_code=204)


def moment(value: datetime | None) -> str | None:
    """Write a time as Graph does: UTC with a Z, fractions only where there are any."""
    return None if value is None else value.astimezone(UTC).isoformat().replace("+00:00", "Z")
