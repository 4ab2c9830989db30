"""How users, groups and contacts look from outside: their properties, the sets shown by default, one object as JSON.

The store keeps a document keyed by Graph's names; what has a column of its own is put in here.

Source: Graph resource types user, group and orgContact.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from fastapi import Request

from dirbridge.service.graph import visibility
from dirbridge.service.graph.context import version
from dirbridge.service.graph.errors import bad_request
from dirbridge.service.graph.odata import Query
from dirbridge.service.graph.responses import moment
from dirbridge.store.directory_queries import DirectoryObject

GRAPH_TYPES = {"user": "user", "group": "group", "contact": "orgContact"}
"""Graph's name of each type of object."""

FOREIGN_TYPES = ("administrativeUnit", "application", "device", "directoryRole", "servicePrincipal")
"""Types that a list can be narrowed to, as clients do, and of which a tenant here relates none."""

COLLECTIONS = frozenset({
    "businessPhones", "proxyAddresses", "otherMails", "groupTypes", "onPremisesProvisioningErrors",
    "serviceProvisioningErrors", "resourceProvisioningOptions", "identities", "imAddresses",
})  # fmt: skip
"""Properties that hold several values, and none where there is nothing."""

_USER_DEFAULT = (
    "businessPhones", "displayName", "givenName", "id", "jobTitle", "mail", "mobilePhone", "officeLocation",
    "preferredLanguage", "surname", "userPrincipalName",
)  # fmt: skip
_USER = (
    *_USER_DEFAULT, "accountEnabled", "ageGroup", "city", "companyName", "consentProvidedForMinor", "country",
    "createdDateTime", "creationType", "deletedDateTime", "department", "employeeHireDate", "employeeId",
    "employeeOrgData", "employeeType", "externalUserState", "faxNumber", "identities", "imAddresses",
    "isResourceAccount", "lastPasswordChangeDateTime", "legalAgeGroupClassification", "mailNickname",
    "onPremisesDistinguishedName", "onPremisesDomainName", "onPremisesExtensionAttributes", "onPremisesImmutableId",
    "onPremisesLastSyncDateTime", "onPremisesObjectIdentifier", "onPremisesProvisioningErrors",
    "onPremisesSamAccountName", "onPremisesSecurityIdentifier", "onPremisesSyncEnabled",
    "onPremisesUserPrincipalName", "otherMails", "passwordPolicies", "postalCode", "preferredDataLocation",
    "proxyAddresses", "securityIdentifier", "serviceProvisioningErrors", "showInAddressList",
    "signInSessionsValidFromDateTime", "state", "streetAddress", "usageLocation", "userType",
)  # fmt: skip
_GROUP_DEFAULT = (
    "id", "deletedDateTime", "classification", "createdDateTime", "description", "displayName", "expirationDateTime",
    "groupTypes", "isAssignableToRole", "mail", "mailEnabled", "mailNickname", "membershipRule",
    "membershipRuleProcessingState", "onPremisesDomainName", "onPremisesLastSyncDateTime", "onPremisesNetBiosName",
    "onPremisesProvisioningErrors", "onPremisesSamAccountName", "onPremisesSecurityIdentifier",
    "onPremisesSyncEnabled", "preferredDataLocation", "preferredLanguage", "proxyAddresses", "renewedDateTime",
    "resourceProvisioningOptions", "securityEnabled", "securityIdentifier", "theme", "visibility",
)  # fmt: skip
_GROUP = (*_GROUP_DEFAULT, "onPremisesExtensionAttributes", "onPremisesObjectIdentifier", "uniqueName")

_CONTACT = (
    "id", "deletedDateTime", "addresses", "companyName", "department", "displayName", "givenName", "jobTitle", "mail",
    "mailNickname", "onPremisesLastSyncDateTime", "onPremisesProvisioningErrors", "onPremisesSyncEnabled", "phones",
    "proxyAddresses", "serviceProvisioningErrors", "surname",
)  # fmt: skip

_DEFAULT = {"user": _USER_DEFAULT, "group": _GROUP_DEFAULT, "contact": _CONTACT}
ALL = {"user": _USER, "group": _GROUP, "contact": _CONTACT}
"""Every property of each type."""
_KNOWN = {kind: {name.lower(): name for name in names} for kind, names in ALL.items()}
_SHARED = {**_KNOWN["contact"], **_KNOWN["group"], **_KNOWN["user"]}


def selected(query: Query, object_type: str | None) -> tuple[str, ...] | None:
    """Give the asked properties in Graph's spelling; None where nothing was asked.

    Args:
        object_type: None for a list that holds several types: what any of them has can be asked.

    Raises:
        GraphError: 400 where there is no such property.
    """
    return None if query.select is None else known(query.select, object_type)


def known(asked_names: Sequence[str], object_type: str | None) -> tuple[str, ...]:
    """Give properties in Graph's spelling.

    Raises:
        GraphError: 400 where there is no such property.
    """
    spelled = _SHARED if object_type is None else _KNOWN[object_type]
    names = []
    for asked in asked_names:
        name = spelled.get(asked.lower())
        if name is None and not asked.startswith("extension_"):
            raise bad_request(f"Could not find a property named '{asked}' on type '{type_name(object_type)}'.")
        names.append(name or asked)
    return tuple(names)


def type_name(object_type: str | None) -> str:
    """Give Graph's name of a type, or of what all have in common."""
    return f"microsoft.graph.{GRAPH_TYPES[object_type] if object_type else 'directoryObject'}"


def render(
    request: Request,
    row: DirectoryObject,
    select: tuple[str, ...] | None = None,
    *,
    typed: bool = False,
    whole: bool = False,
) -> dict[str, Any]:
    """Show an object as JSON, as far as the caller sees it; the rest is null.

    Args:
        typed: it stands where objects of several types may, so it says which it is.
        whole: it is the caller's own.
    """
    if select is not None:
        # In a mixed list a type shows those of the asked properties that it has.
        names = tuple(
            name for name in select if name.startswith("extension_") or name.lower() in _KNOWN[row.object_type]
        )
    else:
        names = _DEFAULT[row.object_type] if version(request) == "v1.0" else tuple(_KNOWN[row.object_type].values())
        if row.deleted_at is not None:
            names = tuple(dict.fromkeys((*names, "deletedDateTime")))
    shown: dict[str, Any] = {"@odata.type": f"#{type_name(row.object_type)}"} if typed else {}
    if typed and "id" not in names:
        shown["id"] = str(row.id)
    seen = None if whole else visibility.of(request, row.object_type)
    for name in names:
        shown[name] = value(row, name) if seen is None or name in seen else nothing(name)
    return shown


def nothing(name: str) -> list[Any] | None:
    """Give what a property shows where there is nothing to show."""
    return [] if name in COLLECTIONS else None


def shows(request: Request, name: str, object_type: str | None, select: Sequence[str] | None) -> bool:
    """Say whether objects are shown with a property; those of several types are where one of them is."""
    if select is not None:
        return name in select
    if object_type is None or version(request) != "v1.0":
        return True
    return name in _DEFAULT[object_type]


def value(row: DirectoryObject, name: str) -> Any:
    """Give one property of an object."""
    match name:
        case "id":
            return str(row.id)
        case "createdDateTime":
            return moment(row.created_at)
        case "deletedDateTime":
            return moment(row.deleted_at)
        case "addresses":
            return _addresses(row.properties)
        case "phones":
            return _phones(row.properties)
    found = row.properties.get(name)
    return nothing(name) if found is None else found


def _addresses(properties: Mapping[str, Any]) -> list[dict[str, Any]]:
    """A contact's one address, as Graph's physicalOfficeAddress."""
    address = {
        "city": properties.get("city"),
        "countryOrRegion": properties.get("country"),
        "officeLocation": properties.get("officeLocation"),
        "postalCode": properties.get("postalCode"),
        "state": properties.get("state"),
        "street": properties.get("streetAddress"),
    }
    return [address] if any(address.values()) else []


def _phones(properties: Mapping[str, Any]) -> list[dict[str, Any]]:
    """A contact's numbers, one of a kind, as Graph's phone."""
    business = properties.get("businessPhones") or [None]
    numbers = {
        "business": business[0],
        "mobile": properties.get("mobilePhone"),
        "businessFax": properties.get("faxNumber"),
    }
    return [{"number": number, "type": kind} for kind, number in numbers.items() if number]
