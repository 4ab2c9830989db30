"""Every error that crosses a room, sorted by what happens next.

    DirbridgeError
    ├── ConfigurationError      somebody must change something
    │   └── CredentialError     a directory or the service refused who we are; not tried again by itself
    ├── TransientError          wait, then try again
    │   ├── Throttled           the other side says for how long
    │   └── HandedOver          at once: somebody else answers
    ├── EntryError              set this one entry aside, go on with the others
    ├── WatermarkExpired        start over with a full read
    └── Fenced                  somebody else holds the job now: stop without a trace

Library exceptions do not leave their connector: they are wrapped once, at the edge.
"""

from __future__ import annotations

from collections.abc import Mapping
from datetime import timedelta


class DirbridgeError(Exception):
    """What the log, the API and the command line show of a failure.

    Args:
        code: a stable word, PascalCase, documented in `docs/errors.md`.
        reason: one sentence that names the thing, the value met and the value expected. No secret.
        recommended_action: what a person does next; empty where waiting is enough.
        details: further facts by name, as text.
    """

    code = "InternalError"

    def __init__(
        self,
        reason: str,
        *,
        code: str | None = None,
        recommended_action: str = "",
        details: Mapping[str, str] | None = None,
    ) -> None:
        super().__init__(reason)
        self.reason = reason
        if code is not None:
            self.code = code
        self.recommended_action = recommended_action
        self.details = dict(details or {})

    def __str__(self) -> str:
        return f"{self.reason} {self.recommended_action}".rstrip()


class ConfigurationError(DirbridgeError):
    """Somebody must change something before this can work."""

    code = "InvalidConfiguration"


class CredentialError(ConfigurationError):
    """A directory or the service refused who we are: trying again could lock the account."""

    code = "InvalidCredentials"


class TransientError(DirbridgeError):
    """It may work when tried again later."""

    code = "TemporarilyUnavailable"


class Throttled(TransientError):
    """The other side answers nobody, or us too often: it is asked again after a while.

    Args:
        wait: what it asked for; None where it named no time.
    """

    code = "TooManyRequests"

    def __init__(self, reason: str, *, wait: timedelta | None = None, code: str | None = None) -> None:
        super().__init__(reason, code=code)
        self.wait = wait


class HandedOver(TransientError):
    """Who was answering is gone in the middle of it: somebody else goes on from the last position, at once."""

    code = "AgentChanged"


class EntryError(DirbridgeError):
    """One entry cannot be handled; the others go on."""

    code = "EntryFailed"


class WatermarkExpired(DirbridgeError):
    """The source no longer accepts the position: only a full read leads on."""

    code = "WatermarkExpired"


class Fenced(DirbridgeError):
    """The job has a newer generation: whoever sees this stops and writes nothing more."""

    code = "Fenced"
