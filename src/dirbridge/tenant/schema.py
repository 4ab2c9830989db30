"""The tenant directory as the schema document describes it: its objects, their attributes and types.

Source: the default cloud sync schema's target attributes; Microsoft Graph resource types user, group and orgContact.
"""

from __future__ import annotations

from dirbridge.contract.schema import (
    AttributeDefinition,
    AttributeType,
    DirectoryDefinition,
    MetadataEntry,
    ObjectDefinition,
    ReferencedObject,
)

DIRECTORY_NAME = "Azure Active Directory"
"""Graph's name for the target directory of a cloud sync rule."""

_EXTENSIONS = " ".join(f"ExtensionAttribute{number}" for number in range(1, 16))

_USER: dict[tuple[AttributeType, bool], str] = {
    ("Boolean", False): """AccountEnabled MSExchBypassAudit MSExchEnableModeration MSExchHideFromAddressLists
        MSExchMailboxAuditEnable MSExchRequireAuthToSendTo MSRtcSipUserEnabled""",
    ("Integer", False): """CountryCode MSDSHABSeniorityIndex MSExchAuditAdmin MSExchAuditDelegate
        MSExchAuditDelegateAdmin MSExchAuditOwner MSExchElcMailboxFlags MSExchMailboxAuditLogAgeLimit
        MSExchModerationFlags MSExchRecipientDisplayType MSExchRecipientTypeDetails MSExchRemoteRecipientType
        MSExchResourceCapacity MSRtcSipApplicationOptions MSRtcSipOptionFlags""",
    ("DateTime", False): """ChangeDate MSExchElcExpirySuspensionEnd MSExchElcExpirySuspensionStart
        MSExchLitigationHoldDate MSExchTeamMailboxExpiration""",
    ("Binary", False): """MSExchArchiveGuid MSExchBlockedSendersHash MSExchMailboxGuid MSExchSafeRecipientsHash
        MSExchSafeSendersHash OnPremiseSecurityIdentifier ThumbnailPhoto""",
    ("Binary", True): "UserCertificate UserSMIMECertificate",
    ("String", True): """MSExchArchiveName MSExchExtensionCustomAttribute1 MSExchExtensionCustomAttribute2
        MSExchExtensionCustomAttribute3 MSExchExtensionCustomAttribute4 MSExchExtensionCustomAttribute5
        MSExchResourceMetadata MSExchResourceSearchProperties MSExchSenderHintTranslations MSExchUserHoldPolicies
        OtherFacsimileTelephoneNumber OtherHomePhone OtherIPPhone OtherMobile OtherPager OtherTelephone PostOfficeBox
        ProxyAddresses Url""",
    ("String", False): f"""onPremisesObjectIdentifier Alias City CommonName Company Country CountryLetterCode
        Department Description DisplayName dnsDomainName EmployeeId EmployeeNumber FacsimileTelephoneNumber GivenName
        HomePhone Info Initials IPPhone LastPasswordChangeTimestamp LegacyExchangeDN Mail MiddleName Mobile
        MSDSPhoneticDisplayName MSExchAssistantName MSExchImmutableId MSExchLitigationHoldOwner MSExchResourceDisplay
        MSExchRetentionComment MSExchRetentionUrl MSExchTeamMailboxSharePointUrl MSRtcSipDeploymentLocator
        MSRtcSipLine MSRtcSipOwnerUrn MSRtcSipPrimaryUserAddress netBiosName onPremisesDistinguishedName
        onPremisesSamAccountName onPremisesUserPrincipalName Pager PhysicalDeliveryOfficeName PostalCode
        PreferredDataLocation PreferredLanguage SourceAnchor State StreetAddress Surname TargetAddress
        TelephoneAssistant TelephoneNumber Title UsageLocation UserPrincipalName UserType WwwHomepage {_EXTENSIONS}""",
    ("Reference", False): "AltRecipient Assistant Manager MSExchTeamMailboxSharePointLinkedBy",
    ("Reference", True): """AuthOrig DLMemRejectPerms DLMemSubmitPerms MSExchDelegateListLink MSExchModeratedByLink
        MSExchTeamMailboxOwners PublicDelegates UnauthOrig""",
}

_GROUP: dict[tuple[AttributeType, bool], str] = {
    ("Boolean", False): """HideDLMembership MSExchEnableModeration MSExchHideFromAddressLists
        MSExchRequireAuthToSendTo MSOrgIsOrganizational OOFReplyToOriginator ReportToOriginator ReportToOwner
        SecurityEnabled""",
    ("Integer", False): """MSDSHABSeniorityIndex MSExchModerationFlags MSExchRecipientDisplayType
        MSExchRecipientTypeDetails""",
    ("DateTime", False): "MSExchLitigationHoldDate",
    ("Binary", False): "OnPremiseSecurityIdentifier",
    ("String", True): """MSExchExtensionCustomAttribute1 MSExchExtensionCustomAttribute2
        MSExchExtensionCustomAttribute3 MSExchExtensionCustomAttribute4 MSExchExtensionCustomAttribute5
        MSExchSenderHintTranslations ProxyAddresses""",
    ("String", False): f"""onPremisesObjectIdentifier SourceAnchor CommonName DisplayName Alias Description Info Mail
        LegacyExchangeDN MSDSPhoneticDisplayName MSExchLitigationHoldOwner MSExchRetentionComment MSExchRetentionUrl
        onPremisesSamAccountName dnsDomainName netBiosName {_EXTENSIONS}""",
    ("Reference", False): "ManagedBy",
    ("Reference", True): """Member AuthOrig UnauthOrig DLMemRejectPerms DLMemSubmitPerms PublicDelegates
        MSExchBypassModerationLink MSExchCoManagedByLink MSExchModeratedByLink""",
}

# A contact is a user without an account, a mailbox and a line.
_OF_ACCOUNTS = """AccountEnabled ChangeDate dnsDomainName EmployeeId EmployeeNumber LastPasswordChangeTimestamp
    netBiosName OnPremiseSecurityIdentifier onPremisesDistinguishedName onPremisesSamAccountName
    onPremisesUserPrincipalName PreferredDataLocation PreferredLanguage ThumbnailPhoto UsageLocation
    UserPrincipalName UserType AltRecipient MSExchDelegateListLink MSExchTeamMailboxExpiration
    MSExchTeamMailboxOwners MSExchTeamMailboxSharePointLinkedBy MSExchTeamMailboxSharePointUrl
    MSRtcSipApplicationOptions MSRtcSipDeploymentLocator MSRtcSipLine MSRtcSipOptionFlags
    MSRtcSipOwnerUrn MSRtcSipPrimaryUserAddress MSRtcSipUserEnabled"""
_CONTACT = {
    kind: " ".join(name for name in names.split() if name not in _OF_ACCOUNTS.split()) for kind, names in _USER.items()
}
_CONTACT["Reference", True] += " MSExchBypassModerationLink"

_ANCHOR = "onPremisesObjectIdentifier"

# What ties an object to its entry for good. The anchor above follows a person who moves to another domain.
_SOURCE_ANCHOR = "SourceAnchor"


_ANYBODY = (ReferencedObject("User"), ReferencedObject("Group"), ReferencedObject("Contact"))
_SOFT_DELETES = "IsSoftDeletionSupported"


def _object(
    name: str,
    table: dict[tuple[AttributeType, bool], str],
    *metadata: MetadataEntry,
    soft_deletes: bool = True,
) -> ObjectDefinition:
    attributes = [
        AttributeDefinition(
            name=attribute,
            type=kind,
            multivalued=multivalued,
            anchor=attribute == _ANCHOR,
            required=attribute in (_ANCHOR, _SOURCE_ANCHOR),
            case_exact=True,
            mutability="Immutable" if attribute == _SOURCE_ANCHOR else "ReadWrite",
            referenced_objects=_ANYBODY if kind == "Reference" else (),
        )
        for (kind, multivalued), names in table.items()
        for attribute in names.split()
    ]
    return ObjectDefinition(
        name=name,
        attributes=tuple(sorted(attributes, key=lambda a: a.name.lower())),
        metadata=(MetadataEntry(_SOFT_DELETES, str(soft_deletes).lower()), *metadata),
        supported_apis=(name,),
    )


def directory(directory_id: str) -> DirectoryDefinition:
    """Describe the tenant directory as the target end of a rule."""
    return DirectoryDefinition(
        id=directory_id,
        name=DIRECTORY_NAME,
        objects=(
            _object("User", _USER, MetadataEntry("PropertyNameAccountEnabled", "AccountEnabled")),
            _object("Group", _GROUP),
            _object("Contact", _CONTACT, soft_deletes=False),
        ),
    )


def soft_deleting() -> frozenset[str]:
    """The objects that go to the recycle bin when they are deleted; the others are gone at once."""
    found = directory("").objects
    return frozenset(one.name for one in found if MetadataEntry(_SOFT_DELETES, "true") in one.metadata)
