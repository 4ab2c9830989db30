"""The answer of a batch.

Source: Graph's guide to JSON batching.
"""

from __future__ import annotations

from typing import Any

import msgspec

from dirbridge.service.openapi.shapes import Shape


class BatchAnswer(Shape, kw_only=True):
    """The answer of one request; a body that is no JSON is text, or bytes in base64."""

    id: str
    status: int
    headers: dict[str, str]
    body: Any | msgspec.UnsetType = msgspec.UNSET


class BatchAnswers(Shape, kw_only=True):
    """The answers, in the order of the requests."""

    responses: list[BatchAnswer]
