"""Why something could not be sent, and whether trying again can help."""

from __future__ import annotations

from datetime import timedelta

from dirbridge.contract.errors import DirbridgeError


class NotDelivered(DirbridgeError):
    """A mail server or a webhook did not take a message.

    Attributes:
        final: it will not take it later either.
        wait: the least time after which it may be asked again, where it said one.
    """

    code = "NotDelivered"

    def __init__(
        self, reason: str, *, recommended_action: str = "", final: bool = False, wait: timedelta | None = None
    ) -> None:
        super().__init__(reason, recommended_action=recommended_action)
        self.final = final
        self.wait = wait
