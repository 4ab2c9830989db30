"""What an application asks to do for a person, as it spells it, and what of that it may.

Source: OpenID Connect Core 1.0 section 5.4; Microsoft identity platform, scopes and permissions.
"""

from __future__ import annotations

from collections.abc import Collection
from dataclasses import dataclass

from dirbridge.service.auth.oauth.refusals import TokenError
from dirbridge.service.auth.oauth.token_requests import TokenRequest
from dirbridge.service.auth.permissions import PERMISSIONS

OPENID, OFFLINE_ACCESS = "openid", "offline_access"

OF_SIGN_IN = frozenset({OPENID, OFFLINE_ACCESS, "profile", "email"})
"""What every application may ask for: they open nothing of the tenant."""

_DELEGATED = {name.lower(): name for name, kind in PERMISSIONS.items() if kind.delegated}
_DEFAULT = ".default"


@dataclass(frozen=True, slots=True)
class Scopes:
    """What is granted.

    Attributes:
        names: by our names.
        spelled: as they were asked for. Clients look their tokens up by what they asked.
    """

    names: frozenset[str]
    spelled: tuple[str, ...]

    @property
    def permissions(self) -> list[str]:
        """What of them goes into an access token, in order."""
        return sorted(self.names - {OFFLINE_ACCESS})

    @property
    def told(self) -> str:
        """What the client is told, by our names and its own."""
        return " ".join(sorted({*self.permissions, *self.spelled} - {OFFLINE_ACCESS}))


def read(asked: TokenRequest, text: str, allowed: Collection[str]) -> Scopes:
    """Read what is asked for.

    Args:
        text: scopes with spaces between them; `.default` after a name of this API is everything allowed.
        allowed: what may be granted, in our names, those of sign-in too; more is left away.

    Raises:
        TokenError: a scope is of another API or none at all, or nothing of what is asked of this API is allowed.
    """
    may = frozenset(allowed)
    names: set[str] = set()
    spelled: list[str] = []
    refused: list[str] = []
    for each in text.split():
        meant = _meant(asked, each, may)
        granted = meant & may
        names |= granted
        if granted:
            spelled.append(each)
        elif not meant <= OF_SIGN_IN or each.endswith(_DEFAULT):
            refused.append(each)
    if refused and names <= OF_SIGN_IN:
        listed = ", ".join(sorted(may - OF_SIGN_IN)) or "none"
        raise TokenError(
            650057,
            "invalid_scope",
            "The client has requested permissions which are not listed in its application registration: "
            f"{' '.join(refused)[:200]}. Delegated permissions listed: {listed}.",
        )
    return Scopes(frozenset(names), tuple(spelled))


def _meant(asked: TokenRequest, scope: str, may: frozenset[str]) -> frozenset[str]:
    resource, separator, name = scope.rpartition("/")
    if not separator and name.lower() in OF_SIGN_IN:
        return frozenset({name.lower()})
    if not asked.means_us(resource.rstrip("/")):
        raise TokenError(
            500011,
            "invalid_resource",
            f"The resource principal named {resource[:200]} was not found in the tenant {asked.tokens.tenant}.",
        )
    if name == _DEFAULT:
        return may - OF_SIGN_IN
    if name.lower() not in _DELEGATED:
        raise TokenError(
            70011,
            "invalid_scope",
            f"The provided value for the input parameter 'scope' is not valid. The scope '{scope[:200]}' is no "
            "delegated permission of this API.",
        )
    return frozenset({_DELEGATED[name.lower()]})
