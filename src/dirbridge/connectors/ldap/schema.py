"""What LDAP directories know of people and groups, and how they flow to the tenant by default.

Data for the schema document of a new job. The engine reads the document, never this file.

Source: RFC 2798 (inetOrgPerson), RFC 4519 (groupOfNames, groupOfUniqueNames), RFC 2307 (posixGroup).
"""

from __future__ import annotations

from collections.abc import Mapping

from dirbridge.connectors.flows import attribute, constant, function, names, present, when
from dirbridge.contract.schema import (
    AttributeDefinition,
    AttributeMapping,
    AttributeType,
    DirectoryDefinition,
    Filter,
    FilterClause,
    FilterGroup,
    MetadataEntry,
    ObjectDefinition,
    ObjectMapping,
    ReferencedObject,
    Rule,
    Source,
)

DIRECTORY_NAME = "LDAP directory"
DIRECTORY_ID = "5be3ce04-0f4c-4d77-8d1c-64d1f0d1cf9f"
TARGET_DIRECTORY_NAME = "Azure Active Directory"
RULE_ID = "0d1f5c4e-6d6a-4a39-9f6e-0c3a2f1f7b55"
RULE_NAME = "LDAP2AADProvisioning"
DOMAIN_FQDN = "%DomainFQDN%"

ANCHOR = "entryUUID"
"""The anchor as an attribute, as text; 389-DS's nsUniqueId goes by this name too."""
DISABLED = "accountDisabled"
"""Made by the source from what servers say of a locked account."""
DISTINGUISHED_NAME = "entryDN"
MEMBER = "member"
"""The members of a group of any class: `member`, `uniqueMember` and `memberUid` together."""
GROUPS = ("groupOfNames", "groupOfUniqueNames", "posixGroup")
SYNTHETIC = frozenset({ANCHOR, DISABLED, DISTINGUISHED_NAME})
"""Attributes of the definition that are not read as they stand: the source makes them."""
LOCKS = ("nsAccountLock", "pwdAccountLockedTime")
"""What says that an account is locked: 389-DS, and the password policy of OpenLDAP."""
MEMBERSHIPS = ("member", "uniqueMember", "memberUid")
"""The attributes in which groups list their members, by DN or by uid."""


def _first(name: str, length: str = "") -> Source:
    """The first value without blanks around it: in LDAP nearly every attribute may have several."""
    value = function("Trim", _item(name))
    return when(present(name), function("Left", value, constant(length)) if length else value)


def _item(name: str) -> Source:
    return function("Item", attribute(name), constant("1"))


def _principal_name() -> Source:
    from_account = function("Join", constant("@"), _item("uid"), constant(DOMAIN_FQDN))
    without = when(present("mail"), _item("mail"), function("Error", constant("uid is not present")))
    return when(present("uid"), from_account, without)


# Target attribute and the source attribute whose first value it takes.
_USER_FIRST = {
    "City": "l",
    "CommonName": "cn",
    "Company": "o",
    "Department": "departmentNumber",
    "EmployeeId": "employeeNumber",
    "FacsimileTelephoneNumber": "facsimileTelephoneNumber",
    "GivenName": "givenName",
    "HomePhone": "homePhone",
    "Initials": "initials",
    "Mail": "mail",
    "Mobile": "mobile",
    "onPremisesSamAccountName": "uid",
    "Pager": "pager",
    "PhysicalDeliveryOfficeName": "physicalDeliveryOfficeName",
    "PostalCode": "postalCode",
    "PreferredLanguage": "preferredLanguage",
    "State": "st",
    "StreetAddress": "street",
    "Surname": "sn",
    "TelephoneNumber": "telephoneNumber",
    "Title": "title",
}


def _user_rows() -> dict[str, Source]:
    return {
        "AccountEnabled": when(attribute(DISABLED), constant("False"), constant("True"), equals=constant("True")),
        "Description": _first("description", "448"),
        "DisplayName": when(present("displayName"), _item("displayName"), _item("cn")),
        "dnsDomainName": constant(DOMAIN_FQDN),
        "Manager": attribute("manager"),
        "onPremisesDistinguishedName": attribute(DISTINGUISHED_NAME),
        "onPremisesObjectIdentifier": attribute(ANCHOR),
        "onPremisesUserPrincipalName": _principal_name(),
        "SourceAnchor": attribute(ANCHOR),
        "UserPrincipalName": _principal_name(),
        **{target: _first(source) for target, source in _USER_FIRST.items()},
    }


def _group_rows() -> dict[str, Source]:
    return {
        "CommonName": _first("cn"),
        "Description": _first("description", "448"),
        "DisplayName": _item("cn"),
        "dnsDomainName": constant(DOMAIN_FQDN),
        "ManagedBy": attribute("owner"),
        "Member": attribute(MEMBER),
        "onPremisesObjectIdentifier": attribute(ANCHOR),
        "onPremisesSamAccountName": _first("cn"),
        "SecurityEnabled": constant("True"),
        "SourceAnchor": attribute(ANCHOR),
    }


def _rows_of(object_type: str) -> dict[str, Source]:
    rows = _group_rows() if object_type in GROUPS else _user_rows()
    if object_type == "posixGroup":
        del rows["ManagedBy"]  # the class has no owner: RFC 2307 section 4
    return rows


def _mappings(rows: Mapping[str, Source]) -> tuple[AttributeMapping, ...]:
    return tuple(
        AttributeMapping(target, source, matching_priority=1 if target == "onPremisesObjectIdentifier" else 0)
        for target, source in sorted(rows.items(), key=lambda row: row[0].lower())
    )


def _scope(object_type: str) -> Filter:
    needed = "cn" if object_type in GROUPS else "sn"
    clauses = (FilterClause(needed, "IS NOT NULL"),)
    return Filter(input_filter_groups=(FilterGroup(clauses, f"Default{object_type}"),))


_TYPES = {"inetOrgPerson": "User", **dict.fromkeys(GROUPS, "Group")}


def default_rule() -> Rule:
    """The rule of a new job: people and groups of each class."""
    metadata = (
        MetadataEntry("OriginalJoiningProperty", "onPremisesObjectIdentifier"),
        MetadataEntry("EscrowBehavior", "Default"),
        MetadataEntry("Disposition", "Normal"),
    )
    mappings = tuple(
        ObjectMapping(
            f"Provision LDAP {source}",
            source,
            target,
            _mappings(_rows_of(source)),
            scope=_scope(source),
            metadata=metadata,
        )
        for source, target in _TYPES.items()
    )
    return Rule(RULE_ID, RULE_NAME, DIRECTORY_NAME, TARGET_DIRECTORY_NAME, mappings)


_TYPE_OF: dict[str, AttributeType] = {
    MEMBER: "Reference",
    "manager": "Reference",
    "owner": "Reference",
    "secretary": "Reference",
    "jpegPhoto": "Binary",
    DISABLED: "Boolean",
    "uidNumber": "Integer",
    "gidNumber": "Integer",
}
_SINGLE = frozenset(
    {ANCHOR, DISABLED, DISTINGUISHED_NAME, "displayName", "employeeNumber", "preferredLanguage", "uidNumber"}
    | {"gidNumber", "manager", "secretary", "owner", "createTimestamp", "modifyTimestamp"}
)
_USER_FURTHER = (
    "businessCategory carLicense createTimestamp employeeType gidNumber homeDirectory jpegPhoto loginShell "
    "modifyTimestamp objectClass ou postOfficeBox roomNumber secretary uidNumber"
)
_GROUP_FURTHER = f"createTimestamp {DISTINGUISHED_NAME} gidNumber modifyTimestamp o objectClass ou"


def _definition(name: str) -> AttributeDefinition:
    kind = _TYPE_OF.get(name, "String")
    return AttributeDefinition(
        name,
        type=kind,
        anchor=name == ANCHOR,
        required=name == ANCHOR,
        multivalued=name not in _SINGLE,
        mutability="ReadOnly" if name in SYNTHETIC else "ReadWrite",
        referenced_objects=tuple(map(ReferencedObject, _TYPES)) if kind == "Reference" else (),
    )


def _object(name: str) -> ObjectDefinition:
    found = {one for source in _rows_of(name).values() for one in names(source)}
    found.update((_GROUP_FURTHER if name in GROUPS else _USER_FURTHER).split())
    return ObjectDefinition(
        name,
        tuple(_definition(one) for one in sorted(found, key=str.lower)),
        metadata=(
            MetadataEntry("IsSoftDeletionSupported", "true"),
            MetadataEntry("ConnectorDataStorageRequired", "true"),
            MetadataEntry("IsSynchronizeAllSupported", "true"),
        ),
    )


def directory() -> DirectoryDefinition:
    """The source directory's definition."""
    return DirectoryDefinition(
        DIRECTORY_ID,
        DIRECTORY_NAME,
        tuple(_object(name) for name in _TYPES),
        read_only=True,
        discoverabilities="AttributeNames",
    )


ATTRIBUTE_NAMES = tuple(
    sorted(
        ({definition.name for kind in directory().objects for definition in kind.attributes} - SYNTHETIC)
        | {*MEMBERSHIPS, *LOCKS},
        key=str.lower,
    )
)
"""Every attribute of the definition that a server can have: what may be read unless settings say less."""
