"""Names by which people ask for what is in a directory: which kind of name one is."""

from __future__ import annotations

from uuid import UUID

from dirbridge.connectors.ldap_wire import dn
from dirbridge.contract.entry import text_fault

LONGEST = 4096
"""Characters of a name that is still asked for."""


def can_be_asked(name: str) -> bool:
    """Say whether a name can be anything's at all."""
    return bool(name.strip()) and len(name) <= LONGEST and text_fault(name) is None


def as_anchor(name: str) -> str | None:
    """Give the anchor that a name is in whatever form of a UUID; None where it is none."""
    try:
        return str(UUID(name.strip()))
    except ValueError:
        return None


def is_below(name: str, base: str) -> bool:
    """Say whether a name is a distinguished name in or below another."""
    try:
        return dn.below(name, base)
    except ValueError:
        return False
