"""Tokens that were verified a moment ago, so that a client's next request does not pay for their signature again.

A token is good for as long as its signing keys are known and its time has not run out: both are looked at each time.
Whether its application, person or session was shut out since is no matter of the token, and is asked for each request.
"""

from __future__ import annotations

from collections.abc import Mapping
from types import MappingProxyType
from typing import Any

MOST = 2_000
"""Tokens that are remembered; the oldest goes first. A few kilobytes each."""


class Verified:
    """The claims of tokens by the tokens themselves, so none but the very same token finds them."""

    def __init__(self, most: int = MOST) -> None:
        self._most = most
        self._claims: dict[str, Mapping[str, Any]] = {}
        self._keys: tuple[str, ...] = ()

    def find(self, token: str, keys: tuple[str, ...], at: float) -> Mapping[str, Any] | None:
        """Give the claims of a token; None where it must be verified.

        Args:
            keys: ids of the keys that it would be verified with; other ones than before make all tokens unknown.
            at: seconds since 1970, that it must be good for.
        """
        if keys != self._keys:
            self._claims.clear()
            self._keys = keys
        found = self._claims.get(token)
        if found is not None and found["exp"] < at:
            del self._claims[token]
            return None
        return found

    def keep(self, token: str, claims: Mapping[str, Any]) -> None:
        """Remember a token that was verified with the keys of the last `find`."""
        if len(self._claims) >= self._most:
            del self._claims[next(iter(self._claims))]
        self._claims[token] = MappingProxyType(dict(claims))
