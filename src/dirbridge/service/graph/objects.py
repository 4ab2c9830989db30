"""How users and groups look from outside: their properties, the sets shown by default, one object as JSON.

The store keeps a document keyed by Graph's names; what has a column of its own is put in here.

Source: Graph resource types user and group.
"""

from __future__ import annotations

from typing import Any

from fastapi import Request

from dirbridge.service.graph.context import version
from dirbridge.service.graph.errors import bad_request
from dirbridge.service.graph.odata import Query
from dirbridge.service.graph.responses import moment
from dirbridge.store.directory_queries import DirectoryObject

_COLLECTIONS = frozenset({
    "businessPhones", "proxyAddresses", "otherMails", "groupTypes", "onPremisesProvisioningErrors",
    "serviceProvisioningErrors", "resourceProvisioningOptions", "identities", "imAddresses",
})  # fmt: skip

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

_DEFAULT = {"user": _USER_DEFAULT, "group": _GROUP_DEFAULT}
_KNOWN = {kind: {name.lower(): name for name in names} for kind, names in (("user", _USER), ("group", _GROUP))}
_SHARED = {**_KNOWN["group"], **_KNOWN["user"]}


def selected(query: Query, object_type: str | None) -> tuple[str, ...] | None:
    """Give the asked properties in Graph's spelling; None where nothing was asked.

    Args:
        object_type: None for a list that holds users and groups: what either has can be asked.

    Raises:
        GraphError: 400 where there is no such property.
    """
    if query.select is None:
        return None
    known = _SHARED if object_type is None else _KNOWN[object_type]
    names = []
    for asked in query.select:
        name = known.get(asked.lower())
        if name is None and not asked.startswith("extension_"):
            kind = object_type or "directoryObject"
            raise bad_request(f"Could not find a property named '{asked}' on type 'microsoft.graph.{kind}'.")
        names.append(name or asked)
    return tuple(names)


def render(
    request: Request, row: DirectoryObject, select: tuple[str, ...] | None = None, *, typed: bool = False
) -> dict[str, Any]:
    """Show an object as JSON.

    Args:
        typed: it stands where objects of several types may, so it says which it is.
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
    shown: dict[str, Any] = {"@odata.type": f"#microsoft.graph.{row.object_type}"} if typed else {}
    if typed and "id" not in names:
        shown["id"] = str(row.id)
    for name in names:
        shown[name] = value(row, name)
    return shown


def value(row: DirectoryObject, name: str) -> Any:
    """Give one property of an object."""
    match name:
        case "id":
            return str(row.id)
        case "createdDateTime":
            return moment(row.created_at)
        case "deletedDateTime":
            return moment(row.deleted_at)
    found = row.properties.get(name)
    if found is None and name in _COLLECTIONS:
        return []
    return found
