"""Outside systems, one folder each, all with the same faces.

This file alone knows which kinds there are; a kind's libraries are loaded when it is used.
"""

from __future__ import annotations

from typing import Any

from dirbridge.connectors.protocol import Source

SOURCE_KINDS = ("active-directory", "ldap", "generated")
"""The directories that can be read, as settings name them."""


def settings_class(kind: str) -> Any:
    """Give the Pydantic model of a kind's settings; one of `SOURCE_KINDS`. It has the domain's `name`."""
    if kind == "generated":
        from dirbridge.connectors.generated.settings import Settings as Generated

        return Generated
    if kind == "ldap":
        from dirbridge.connectors.ldap.settings import Settings as Ldap

        return Ldap
    from dirbridge.connectors.ad.settings import Settings as ActiveDirectory

    return ActiveDirectory


def build_source(kind: str, settings: Any) -> Source:
    """Make the source of a directory from its settings, without connecting yet."""
    if kind == "generated":
        from dirbridge.connectors.generated.source import GeneratedSource

        return GeneratedSource(settings)
    if kind == "ldap":
        from dirbridge.connectors.ldap.source import LdapSource

        return LdapSource(settings)
    from dirbridge.connectors.ad.source import ActiveDirectorySource

    return ActiveDirectorySource(settings)
