"""The tenant directory's own rules: sign-in names in verified domains, nicknames, values that must be unique.

Source: the published rules of the target directory on userPrincipalName, mailNickname and proxyAddresses. Unlike
there, a duplicate value fails the second object instead of being replaced by a placeholder.
"""

from __future__ import annotations

import re
from collections.abc import Collection, Mapping
from typing import Any

UPN = "userPrincipalName"
ADDRESS = "address"
UNIQUE_NAME = "uniqueName"

_INVALID = re.compile(r"[\s\\%&*+/=?`{|}<>();:,\[\]\"]|^\.|\.$|\.@|@.*@")
"""Characters and forms that a sign-in name cannot have."""

_NOT_NICKNAME = re.compile(r"[^A-Za-z0-9!#$%&'*+\-/=?^_`{|}~.]")


def fold(value: str) -> str:
    """Bring a value into the form in which it is compared."""
    return value.strip().casefold()


def smtp(address: str) -> str | None:
    """Give the mail address of a proxy address, or None where it is of another kind."""
    prefix, colon, rest = address.partition(":")
    if colon and prefix.lower() == "smtp" and rest:
        return rest
    return None


def primary_smtp(addresses: Collection[str]) -> str | None:
    """Give the primary mail address: the one written with a capital `SMTP:`."""
    for address in addresses:
        if address.startswith("SMTP:") and len(address) > 5:
            return address[5:]
    return None


def nickname(properties: Mapping[str, Any]) -> str:
    """Choose the first nickname that is present, as at the first synchronization.

    Order: mailNickname; prefix of the primary address, of mail, of the sign-in name, of a secondary address.
    """
    addresses = properties.get("proxyAddresses") or []
    secondary = next((found for found in map(smtp, addresses) if found), None)
    for candidate in (
        properties.get("mailNickname"),
        primary_smtp(addresses),
        properties.get("mail"),
        properties.get(UPN),
        secondary,
    ):
        if candidate:
            text = candidate.partition("@")[0]
            if not (text.isascii() and text.isalnum()):
                text = _NOT_NICKNAME.sub("", text)
            if text:
                return text
    return str(properties.get("onPremisesSamAccountName") or properties.get("displayName") or "user")


def sign_in_name(
    wanted: str, properties: Mapping[str, Any], verified: Collection[str], initial: str
) -> tuple[str, str | None]:
    """Decide the visible sign-in name.

    Returns:
        The name, and a sentence where it is not the one wanted.
    """
    prefix, _, suffix = wanted.rpartition("@")
    if prefix and suffix.casefold() in verified and not _INVALID.search(wanted):
        return wanted, None
    shown = f"{nickname(properties)}@{initial}"
    if prefix and suffix.casefold() not in verified:
        return (
            shown,
            f"The domain '{suffix}' of '{wanted}' is not verified in this tenant; the user signs in as '{shown}'.",
        )
    return shown, f"'{wanted}' cannot be a sign-in name; the user signs in as '{shown}'."


def claims(object_type: str, properties: Mapping[str, Any]) -> set[tuple[str, str]]:
    """List the unique values that an object holds while it is live."""
    keys: set[tuple[str, str]] = set()
    name = properties.get(UPN)
    if object_type == "user" and name:
        keys.add((UPN, fold(name)))
    if object_type == "group" and properties.get(UNIQUE_NAME):
        keys.add((UNIQUE_NAME, fold(properties[UNIQUE_NAME])))
    if properties.get("mail"):
        keys.add((ADDRESS, fold(properties["mail"])))
    for address in properties.get("proxyAddresses") or ():
        found = smtp(address)
        if found:
            keys.add((ADDRESS, fold(found)))
    return keys
