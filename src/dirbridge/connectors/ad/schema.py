"""What Active Directory knows of users, groups and contacts, and how they flow to the tenant by default.

Data for the schema document of a new job: the source directory's definition, and the rule with its object mappings
and exclusions. The engine reads the document, never this file.

Source: published AD2AADProvisioning job schema; Graph synchronizationSchema and its parts.
"""

from __future__ import annotations

from collections.abc import Mapping

from dirbridge.connectors.flows import attribute, constant, function, names, present, trimmed, when
from dirbridge.contract.schema import (
    AttributeDefinition,
    AttributeMapping,
    AttributeType,
    DirectoryDefinition,
    Filter,
    FilterClause,
    FilterGroup,
    FilterOperand,
    MetadataEntry,
    ObjectDefinition,
    ObjectMapping,
    ReferencedObject,
    Rule,
    Source,
)

DIRECTORY_NAME = "Active Directory"
DIRECTORY_ID = "66e4a8cc-1b7b-435e-95f8-f06cea133828"
TARGET_DIRECTORY_NAME = "Azure Active Directory"
RULE_ID = "6c409270-f78a-4bc6-af23-7cf3ab6482fe"
RULE_NAME = "AD2AADProvisioning"
DOMAIN_FQDN, DOMAIN_NETBIOS = "%DomainFQDN%", "%DomainNetBios%"

# The default mappings ------------------------------------------------------------------------------------------------


def _sources() -> dict[str, Source]:
    """The computed sources that users and groups share."""
    return {
        "SourceAnchor": when(
            present("mS-DS-ConsistencyGuid"), attribute("mS-DS-ConsistencyGuid"), attribute("objectGUID")
        ),
        "DisplayName": when(present("displayName"), attribute("displayName"), attribute("cn")),
        "Description": function("Left", trimmed("description"), constant("448")),
        "Info": function("Left", trimmed("info"), constant("448")),
        "ProxyAddresses": function("RemoveDuplicates", trimmed("proxyAddresses")),
    }


def _account_enabled() -> Source:
    """Disabled by the account's flag, or by its end: an expired account is not to stay active in the cloud."""
    by_flag = when(
        function("BitAnd", attribute("userAccountControl"), constant("2")),
        constant("True"),
        constant("False"),
        equals=constant("0"),
    )
    enabled = when(present("userAccountControl"), by_flag, function("Not", attribute("accountDisabled")))
    return when(attribute("accountExpired"), constant("False"), enabled, equals=constant("True"))


def _principal_name() -> Source:
    from_account = function("Join", constant("@"), attribute("sAMAccountName"), constant(DOMAIN_FQDN))
    return when(
        present("userPrincipalName"),
        attribute("userPrincipalName"),
        when(present("sAMAccountName"), from_account, function("Error", constant("AccountName is not present"))),
    )


def _first_value(name: str) -> Source:
    first = function("Item", attribute(name), constant("1"))
    return when(present(name), function("Left", function("Trim", first), constant("448")), constant(""))


def _password_change() -> Source:
    moment = function("DateFromNum", attribute("pwdLastSet"))
    return when(present("pwdLastSet"), function("FormatDateTime", moment, None, constant("yyyyMMddHHmmss.0Z")))


# Same name in source and target but for the first letters, or `Target<-source`.
_USER_DIRECT = """
AltRecipient Assistant Manager MSExchTeamMailboxSharePointLinkedBy
AuthOrig DLMemRejectPerms DLMemSubmitPerms MSExchDelegateListLink MSExchModeratedByLink MSExchTeamMailboxOwners
PublicDelegates UnauthOrig
CountryCode MSExchAuditAdmin MSExchAuditDelegate MSExchAuditDelegateAdmin MSExchAuditOwner
MSExchElcMailboxFlags<-msExchELCMailboxFlags MSExchMailboxAuditLogAgeLimit MSExchModerationFlags
MSExchRecipientDisplayType MSExchRecipientTypeDetails MSExchRemoteRecipientType MSExchResourceCapacity
EmployeeId<-employeeID LegacyExchangeDN MSExchAssistantName MSExchImmutableId MSExchLitigationHoldOwner
MSExchResourceDisplay MSExchRetentionComment MSExchRetentionUrl<-msExchRetentionURL MSExchTeamMailboxSharePointUrl
TargetAddress WwwHomepage<-wWWHomePage
MSExchArchiveGuid<-msExchArchiveGUID MSExchBlockedSendersHash MSExchMailboxGuid MSExchSafeRecipientsHash
MSExchSafeSendersHash ThumbnailPhoto
MSExchArchiveName MSExchResourceMetadata<-msExchResourceMetaData MSExchResourceSearchProperties
MSExchSenderHintTranslations MSExchUserHoldPolicies
MSExchBypassAudit MSExchEnableModeration MSExchHideFromAddressLists MSExchMailboxAuditEnable
MSExchRequireAuthToSendTo
MSExchElcExpirySuspensionEnd<-msExchELCExpirySuspensionEnd
MSExchElcExpirySuspensionStart<-msExchELCExpirySuspensionStart MSExchLitigationHoldDate MSExchTeamMailboxExpiration
UserCertificate UserSMIMECertificate
"""
_EXTENSIONS = " ".join(f"ExtensionAttribute{number}" for number in range(1, 16))
_EXCHANGE_EXTENSIONS = " ".join(f"MSExchExtensionCustomAttribute{number}" for number in range(1, 6))
_USER_TRIMMED = f"""
Company Department FacsimileTelephoneNumber GivenName HomePhone Initials IPPhone<-ipPhone Mail MiddleName Mobile Pager
PhysicalDeliveryOfficeName PostalCode PreferredLanguage StreetAddress TelephoneAssistant TelephoneNumber Title
{_EXTENSIONS}
OtherFacsimileTelephoneNumber OtherHomePhone OtherIPPhone<-otherIpPhone OtherMobile OtherPager OtherTelephone
{_EXCHANGE_EXTENSIONS}
"""
# What a contact lacks: an account, its names and password, its mailbox, its line.
_OF_ACCOUNTS = """
AccountEnabled ChangeDate dnsDomainName EmployeeId LastPasswordChangeTimestamp netBiosName OnPremiseSecurityIdentifier
onPremisesDistinguishedName onPremisesSamAccountName onPremisesUserPrincipalName PreferredLanguage ThumbnailPhoto
UsageLocation UserPrincipalName
AltRecipient MSExchDelegateListLink MSExchTeamMailboxExpiration MSExchTeamMailboxOwners
MSExchTeamMailboxSharePointLinkedBy MSExchTeamMailboxSharePointUrl
MSRtcSipApplicationOptions MSRtcSipDeploymentLocator MSRtcSipLine MSRtcSipOptionFlags MSRtcSipOwnerUrn
MSRtcSipPrimaryUserAddress MSRtcSipUserEnabled
"""
_GROUP_DIRECT = """
Member ManagedBy AuthOrig UnauthOrig DLMemRejectPerms DLMemSubmitPerms PublicDelegates HideDLMembership
LegacyExchangeDN MSExchBypassModerationLink MSExchCoManagedByLink MSExchModeratedByLink
MSExchEnableModeration MSExchModerationFlags MSExchHideFromAddressLists MSExchRecipientDisplayType
MSExchRecipientTypeDetails MSExchRequireAuthToSendTo MSExchRetentionComment MSExchRetentionUrl<-msExchRetentionURL
MSExchSenderHintTranslations MSExchLitigationHoldDate MSExchLitigationHoldOwner
MSOrgIsOrganizational<-msOrg-IsOrganizational OOFReplyToOriginator ReportToOriginator ReportToOwner
MSDSHABSeniorityIndex<-msDS-HABSeniorityIndex MSDSPhoneticDisplayName<-msDS-PhoneticDisplayName
"""


def _named(rows: str) -> dict[str, str]:
    """Read `Target` and `Target<-source` rows: source attribute by target attribute."""
    pairs = {}
    for row in rows.split():
        target, arrow, source = row.partition("<-")
        if not arrow:
            source = "msExch" + target[6:] if target.startswith("MSExch") else target[0].lower() + target[1:]
        pairs[target] = source
    return pairs


def _user_rows() -> dict[str, Source]:
    return {
        "onPremisesObjectIdentifier": attribute("objectGUID"),
        "AccountEnabled": _account_enabled(),
        "Alias": attribute("mailNickname"),
        "ChangeDate": attribute("PasswordChangeDate"),
        "City": trimmed("l"),
        "CommonName": attribute("cn"),
        "Country": trimmed("co"),
        "CountryLetterCode": trimmed("c"),
        "dnsDomainName": constant(DOMAIN_FQDN),
        "LastPasswordChangeTimestamp": _password_change(),
        "MSDSHABSeniorityIndex": attribute("msDS-HABSeniorityIndex"),
        "MSDSPhoneticDisplayName": attribute("msDS-PhoneticDisplayName"),
        "MSRtcSipApplicationOptions": attribute("msRTCSIP-ApplicationOptions"),
        "MSRtcSipDeploymentLocator": attribute("mSRTCSIP-DeploymentLocator"),
        "MSRtcSipLine": attribute("msRTCSIP-Line"),
        "MSRtcSipOptionFlags": attribute("msRTCSIP-OptionFlags"),
        "MSRtcSipOwnerUrn": attribute("msRTCSIP-OwnerUrn"),
        "MSRtcSipPrimaryUserAddress": attribute("msRTCSIP-PrimaryUserAddress"),
        "MSRtcSipUserEnabled": attribute("msRTCSIP-UserEnabled"),
        "netBiosName": constant(DOMAIN_NETBIOS),
        "onPremisesDistinguishedName": attribute("distinguishedName"),
        "OnPremiseSecurityIdentifier": attribute("objectSid"),
        "onPremisesSamAccountName": attribute("sAMAccountName"),
        "onPremisesUserPrincipalName": _principal_name(),
        "PostOfficeBox": _first_value("postOfficeBox"),
        "State": trimmed("st"),
        "Surname": trimmed("sn"),
        "Url": _first_value("url"),
        "UsageLocation": attribute("msExchUsageLocation"),
        "UserPrincipalName": _principal_name(),
        **_sources(),
        **{target: attribute(source) for target, source in _named(_USER_DIRECT).items()},
        **{target: trimmed(source) for target, source in _named(_USER_TRIMMED).items()},
    }


def _group_rows() -> dict[str, Source]:
    security = function("BitAnd", attribute("groupType"), constant("-2147483648"))
    return {
        "onPremisesObjectIdentifier": attribute("objectGUID"),
        "CommonName": attribute("cn"),
        "Alias": attribute("mailNickname"),
        "Mail": trimmed("mail"),
        "SecurityEnabled": function("CBool", security),
        "OnPremiseSecurityIdentifier": attribute("objectSid"),
        "onPremisesSamAccountName": attribute("sAMAccountName"),
        "dnsDomainName": constant(DOMAIN_FQDN),
        "netBiosName": constant(DOMAIN_NETBIOS),
        **_sources(),
        **{target: attribute(source) for target, source in _named(_GROUP_DIRECT).items()},
        **{target: trimmed(source) for target, source in _named(f"{_EXTENSIONS} {_EXCHANGE_EXTENSIONS}").items()},
    }


def _contact_rows() -> dict[str, Source]:
    left_out = set(_OF_ACCOUNTS.split())
    return {
        **{target: source for target, source in _user_rows().items() if target not in left_out},
        "Alias": when(present("mailNickname"), attribute("mailNickname"), attribute("cn")),
        "MSExchBypassModerationLink": attribute("msExchBypassModerationLink"),
    }


def _mappings(rows: Mapping[str, Source]) -> tuple[AttributeMapping, ...]:
    return tuple(
        AttributeMapping(target, source, matching_priority=1 if target == "onPremisesObjectIdentifier" else 0)
        for target, source in sorted(rows.items(), key=lambda row: row[0].lower())
    )


# The default exclusions ----------------------------------------------------------------------------------------------

_REPLICATION_VICTIM = r"^CN\s*=\s*([^\,]*)\\0ACNF"


def clause(name: str, operator: str, *values: str) -> FilterClause:
    """One test of a source attribute."""
    return FilterClause(name, operator, FilterOperand(values) if values else None)


_USER_EXCLUSIONS = (
    clause("isCriticalSystemObject", "IS FALSE"),
    clause("adminDescription", "NOT REGEX MATCH", "^User_"),
    clause("sAMAccountName", "IS NOT NULL"),
    clause("sAMAccountName", "NOT EQUALS", "SUPPORT_388945a0"),
    clause("mailNickname", "NOT REGEX MATCH", "^SystemMailbox{"),
    clause("sAMAccountName", "NOT REGEX MATCH", "^AAD_"),
    clause("mailNickname", "NOT REGEX MATCH", "^CAS_([^{]*){"),
    clause("sAMAccountName", "NOT REGEX MATCH", "^CAS_([^{]*){"),
    clause("sAMAccountName", "NOT REGEX MATCH", "^MSOL_"),
    # System attendants, arbitration and discovery mailboxes, mail-enabled public folders and their like.
    clause("msExchRecipientTypeDetails", "!&", "566259712"),
    clause("distinguishedName", "NOT REGEX MATCH", _REPLICATION_VICTIM),
)
_GROUP_EXCLUSIONS = (
    clause("isCriticalSystemObject", "IS FALSE"),
    clause("adminDescription", "NOT REGEX MATCH", "^Group_"),
    clause("sAMAccountName", "NOT EQUALS", "MSOL_AD_Sync_RichCoexistence"),
    clause("msExchRecipientTypeDetails", "!&", "1073741824"),
    clause("distinguishedName", "NOT REGEX MATCH", _REPLICATION_VICTIM),
)
_CONTACT_EXCLUSIONS = (
    clause("isCriticalSystemObject", "IS FALSE"),
    clause("mailNickname", "NOT REGEX MATCH", r"^CAS_.*\}"),
    clause("distinguishedName", "NOT REGEX MATCH", _REPLICATION_VICTIM),
)
# A contact that an older synchronization made of another forest's user says so in its name, and is hidden.
_CONTACT_ORIGINS = {
    "Named": clause("displayName", "NOT REGEX MATCH", r"\(MSOL\)"),
    "Listed": clause("msExchHideFromAddressLists", "IS FALSE"),
}
_MAIL_KINDS = {
    "Mail": clause("mail", "REGEX MATCH", "@"),
    "ProxyAddresses": clause("proxyAddresses", "REGEX MATCH", "^[Ss][Mm][Tt][Pp]:.+@"),
}
# A group is of use to the cloud when it carries rights or can be written to; a contact only when it can be written to.
_GROUP_KINDS = {"Security": clause("groupType", "&", "-2147483648"), **_MAIL_KINDS}


def _user_scope() -> Filter:
    return Filter(input_filter_groups=(FilterGroup(_USER_EXCLUSIONS, "DefaultUserExclusions"),))


def _group_scope() -> Filter:
    return Filter(
        input_filter_groups=tuple(
            FilterGroup((*_GROUP_EXCLUSIONS, kind), f"DefaultGroupExclusions{name}")
            for name, kind in _GROUP_KINDS.items()
        )
    )


def _contact_scope() -> Filter:
    return Filter(
        input_filter_groups=tuple(
            FilterGroup((*_CONTACT_EXCLUSIONS, origin, kind), f"DefaultContactExclusions{name}{mail}")
            for name, origin in _CONTACT_ORIGINS.items()
            for mail, kind in _MAIL_KINDS.items()
        )
    )


def default_rule() -> Rule:
    """The rule of a new job: users, inetOrgPersons, groups and contacts."""
    metadata = (
        MetadataEntry("OriginalJoiningProperty", "onPremisesObjectIdentifier"),
        MetadataEntry("EscrowBehavior", "Default"),
        MetadataEntry("Disposition", "Normal"),
    )
    users, groups, contacts = _mappings(_user_rows()), _mappings(_group_rows()), _mappings(_contact_rows())
    return Rule(
        RULE_ID,
        RULE_NAME,
        DIRECTORY_NAME,
        TARGET_DIRECTORY_NAME,
        (
            ObjectMapping(
                "Provision Active Directory users", "user", "User", users, scope=_user_scope(), metadata=metadata
            ),
            ObjectMapping(
                "Provision Active Directory inetOrgPersons",
                "inetOrgPerson",
                "User",
                users,
                scope=_user_scope(),
                metadata=metadata,
            ),
            ObjectMapping(
                "Provision Active Directory groups", "group", "Group", groups, scope=_group_scope(), metadata=metadata
            ),
            ObjectMapping(
                "Provision Active Directory contacts",
                "contact",
                "Contact",
                contacts,
                scope=_contact_scope(),
                metadata=metadata,
            ),
        ),
    )


# The directory's definition ------------------------------------------------------------------------------------------

_TYPES: dict[AttributeType, str] = {
    "Reference": """altRecipient assistant manager msExchTeamMailboxSharePointLinkedBy authOrig dLMemRejectPerms
        dLMemSubmitPerms msExchDelegateListLink msExchModeratedByLink msExchTeamMailboxOwners publicDelegates unauthOrig
        managedBy member msExchBypassModerationLink msExchCoManagedByLink primaryGroup""",
    "Binary": """mS-DS-ConsistencyGuid objectGUID objectSid thumbnailPhoto msExchBlockedSendersHash msExchArchiveGUID
        msExchMailboxGuid msExchSafeRecipientsHash msExchSafeSendersHash userCertificate userSMIMECertificate""",
    "Integer": """countryCode userAccountControl pwdLastSet accountExpires primaryGroupID groupType
        msDS-HABSeniorityIndex msExchAuditAdmin msExchAuditDelegate msExchAuditDelegateAdmin msExchAuditOwner
        msExchELCMailboxFlags msExchMailboxAuditLogAgeLimit msExchModerationFlags msExchRecipientDisplayType
        msExchRecipientTypeDetails msExchRemoteRecipientType msExchResourceCapacity msRTCSIP-ApplicationOptions
        msRTCSIP-OptionFlags""",
    "Boolean": """accountDisabled accountExpired isCriticalSystemObject msExchBypassAudit msExchEnableModeration
        msExchHideFromAddressLists msExchMailboxAuditEnable msExchRequireAuthToSendTo msRTCSIP-UserEnabled
        hideDLMembership msOrg-IsOrganizational oOFReplyToOriginator reportToOriginator reportToOwner""",
    "DateTime": """msExchELCExpirySuspensionEnd msExchELCExpirySuspensionStart msExchLitigationHoldDate
        msExchTeamMailboxExpiration PasswordChangeDate whenChanged""",
}
_MULTIVALUED_NAMES = """
authOrig dLMemRejectPerms dLMemSubmitPerms msExchDelegateListLink msExchModeratedByLink msExchTeamMailboxOwners
publicDelegates unauthOrig member msExchBypassModerationLink msExchCoManagedByLink userCertificate
userSMIMECertificate proxyAddresses otherFacsimileTelephoneNumber otherHomePhone otherIpPhone otherMobile otherPager
otherTelephone postOfficeBox url objectClass msExchArchiveName msExchExtensionCustomAttribute1
msExchExtensionCustomAttribute2 msExchExtensionCustomAttribute3 msExchExtensionCustomAttribute4
msExchExtensionCustomAttribute5 msExchResourceMetaData msExchResourceSearchProperties msExchSenderHintTranslations
msExchUserHoldPolicies errors logs
"""
_MULTIVALUED = frozenset(_MULTIVALUED_NAMES.split())
_TYPE_OF: dict[str, AttributeType] = {name: kind for kind, names in _TYPES.items() for name in names.split()}
_USER_FURTHER = (
    "accountDisabled accountExpired accountExpires adminDescription description distinguishedName employeeNumber "
    "employeeType errors isCriticalSystemObject logs msDS-InclusionTrigger msDS-preferredDataLocation objectClass "
    "originatingReplicaToken PasswordChangeDate PasswordHash primaryGroup primaryGroupID userAccountControl whenChanged"
)
_CONTACT_FURTHER = "adminDescription distinguishedName errors logs objectClass whenChanged"
_GROUP_FURTHER = "adminDescription distinguishedName errors isCriticalSystemObject logs objectClass whenChanged"

SYNTHETIC = frozenset(
    {
        "accountDisabled",
        "accountExpired",
        "errors",
        "logs",
        "originatingReplicaToken",
        "PasswordChangeDate",
        "PasswordHash",
        "primaryGroup",
    }
)
"""Attributes of the definition that no domain controller has: source or engine make them."""


def _definition(name: str, referenced: tuple[str, ...]) -> AttributeDefinition:
    kind = _TYPE_OF.get(name, "String")
    return AttributeDefinition(
        name,
        type=kind,
        anchor=name == "objectGUID",
        required=name == "objectGUID",
        multivalued=name in _MULTIVALUED,
        mutability="ReadOnly" if name in SYNTHETIC else "ReadWrite",
        referenced_objects=tuple(ReferencedObject(one) for one in referenced) if kind == "Reference" else (),
    )


def _object(name: str, rows: Mapping[str, Source], further: str, scope: Filter) -> ObjectDefinition:
    found = {one for source in rows.values() for one in names(source)}
    found.update(further.split())
    found.update(part.source_operand_name for group in scope.input_filter_groups for part in group.clauses)
    anybody = ("user", "inetOrgPerson", "group", "contact")
    return ObjectDefinition(
        name,
        tuple(
            _definition(one, ("group",) if one == "primaryGroup" else anybody) for one in sorted(found, key=str.lower)
        ),
        metadata=(
            MetadataEntry("IsSoftDeletionSupported", "true"),
            MetadataEntry("ConnectorDataStorageRequired", "true"),
            MetadataEntry("IsSynchronizeAllSupported", "true"),
        ),
    )


def directory() -> DirectoryDefinition:
    """The source directory's definition."""
    users = _user_rows()
    return DirectoryDefinition(
        DIRECTORY_ID,
        DIRECTORY_NAME,
        (
            _object("user", users, _USER_FURTHER, _user_scope()),
            _object("inetOrgPerson", users, _USER_FURTHER, _user_scope()),
            _object("group", _group_rows(), _GROUP_FURTHER, _group_scope()),
            _object("contact", _contact_rows(), _CONTACT_FURTHER, _contact_scope()),
        ),
        read_only=True,
        discoverabilities="AttributeNames",
    )


ATTRIBUTE_NAMES = tuple(
    sorted(
        {definition.name for kind in directory().objects for definition in kind.attributes} - SYNTHETIC, key=str.lower
    )
)
"""Every attribute of the definition that a domain controller can have: what may be read unless settings say less."""
