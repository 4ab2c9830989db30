"""Target attributes and the Graph properties that show them, lossless both ways.

The schema document names target attributes (`Title`, `TelephoneNumber`); Graph shows properties (`jobTitle`,
`businessPhones`). An attribute that Graph has no word for keeps its own name with a lower first letter.
"""

from __future__ import annotations

import base64
from collections.abc import Callable, Mapping
from functools import cache
from typing import Any

from dirbridge.contract.export import TargetValue

_NAMES = {
    "Alias": "mailNickname",
    "Company": "companyName",
    "dnsDomainName": "onPremisesDomainName",
    "netBiosName": "onPremisesNetBiosName",
    "FacsimileTelephoneNumber": "faxNumber",
    "Mobile": "mobilePhone",
    "OnPremiseSecurityIdentifier": "onPremisesSecurityIdentifier",
    "PhysicalDeliveryOfficeName": "officeLocation",
    "SourceAnchor": "onPremisesImmutableId",
    "TelephoneNumber": "businessPhones",
    "Title": "jobTitle",
    "LastPasswordChangeTimestamp": "lastPasswordChangeDateTime",
    "Member": "members",
}

_BINARY = frozenset(
    [
        "MSExchArchiveGuid",
        "MSExchBlockedSendersHash",
        "MSExchMailboxGuid",
        "MSExchSafeRecipientsHash",
        "MSExchSafeSendersHash",
        "ThumbnailPhoto",
        "UserCertificate",
        "UserSMIMECertificate",
    ]
)

_EXTENSION, _EXTENSIONS = "ExtensionAttribute", "onPremisesExtensionAttributes"


def property_name(attribute: str) -> str:
    """Give the Graph property that shows a target attribute."""
    name = _NAMES.get(attribute)
    if name is not None:
        return name
    return attribute[0].lower() + attribute[1:]


def sid_text(sid: bytes) -> str:
    """Write a security identifier as `S-1-…`. Source: MS-DTYP 2.4.2."""
    if len(sid) < 8 or len(sid) != 8 + 4 * sid[1]:
        return base64.b64encode(sid).decode()
    authority = int.from_bytes(sid[2:8], "big")
    parts = [str(int.from_bytes(sid[8 + 4 * i : 12 + 4 * i], "little")) for i in range(sid[1])]
    return "-".join(["S", str(sid[0]), str(authority), *parts])


def sid_bytes(text: str) -> bytes:
    """Read `S-1-…` back into bytes."""
    if not text.startswith("S-"):
        return base64.b64decode(text)
    revision, authority, *parts = (int(part) for part in text[2:].split("-"))
    return (
        bytes([revision, len(parts)]) + authority.to_bytes(6, "big") + b"".join(p.to_bytes(4, "little") for p in parts)
    )


def _stamp_shown(value: str) -> str:
    """`20260131120000.0Z` as `2026-01-31T12:00:00Z`; anything else as it is."""
    if len(value) == 17 and value.endswith(".0Z") and value[:14].isdigit():
        return f"{value[:4]}-{value[4:6]}-{value[6:8]}T{value[8:10]}:{value[10:12]}:{value[12:14]}Z"
    return value


def _stamp_kept(value: str) -> str:
    if len(value) == 20 and value[10] == "T" and value.endswith("Z"):
        return value[:19].replace("-", "").replace(":", "").replace("T", "") + ".0Z"
    return value


def _encode_binary(value: Any) -> Any:
    if isinstance(value, tuple):
        return [base64.b64encode(item).decode() for item in value]
    return base64.b64encode(value).decode()


def _decode_binary(value: Any) -> Any:
    if isinstance(value, list):
        return tuple(base64.b64decode(item) for item in value)
    return base64.b64decode(value)


_Pair = tuple[Callable[[Any], Any], Callable[[Any], Any]]

_CODECS: dict[str, _Pair] = {
    "OnPremiseSecurityIdentifier": (
        lambda value: sid_text(value) if isinstance(value, bytes) else value,
        lambda value: sid_bytes(value) if isinstance(value, str) else value,
    ),
    "TelephoneNumber": (lambda value: [value], lambda value: value[0] if value else None),
    "LastPasswordChangeTimestamp": (_stamp_shown, _stamp_kept),
    **dict.fromkeys(_BINARY, (_encode_binary, _decode_binary)),
}


@cache
def _slot(attribute: str) -> tuple[str, bool, _Pair | None]:
    """Where an attribute is shown: the property, whether it is one of the extension attributes, and its codec."""
    is_extension = attribute.startswith(_EXTENSION) and attribute[len(_EXTENSION) :].isdigit()
    return property_name(attribute), is_extension, _CODECS.get(attribute)


def path(attribute: str) -> tuple[str, ...]:
    """Say where in a Graph object a target attribute of one value is shown."""
    name, is_extension, _ = _slot(attribute)
    if is_extension:
        return (_EXTENSIONS, name)
    return (name, "0") if attribute == "TelephoneNumber" else (name,)


def text_at(attribute: str, value: TargetValue) -> str:
    """Give the text that stands at `path` for a value."""
    _, _, codec = _slot(attribute)
    shown = value if codec is None else codec[0](value)
    return str(shown[0] if isinstance(shown, list) else shown)


def show(properties: dict[str, Any], attributes: Mapping[str, TargetValue]) -> None:
    """Lay target attributes over a Graph object in place; None takes a property away."""
    for attribute, value in attributes.items():
        name, is_extension, codec = _slot(attribute)
        if is_extension:
            extensions = dict(properties.get(_EXTENSIONS) or {})
            _set(extensions, name, value)
            _set(properties, _EXTENSIONS, extensions or None)
        elif value is None:
            properties.pop(name, None)
        elif codec is not None:
            properties[name] = codec[0](value)
        else:
            properties[name] = list(value) if isinstance(value, tuple) else value


def _set(properties: dict[str, Any], name: str, value: Any) -> None:
    if value is None:
        properties.pop(name, None)
    else:
        properties[name] = value


def keep(properties: Mapping[str, Any], attributes: frozenset[str]) -> dict[str, TargetValue]:
    """Read target attributes back from a Graph object; absent ones are missing."""
    found: dict[str, TargetValue] = {}
    extensions = properties.get(_EXTENSIONS) or {}
    for attribute in attributes:
        name, is_extension, codec = _slot(attribute)
        value = (extensions if is_extension else properties).get(name)
        if value is None:
            continue
        if codec is not None:
            found[attribute] = codec[1](value)
        else:
            found[attribute] = tuple(value) if isinstance(value, list) else value
    return found
