"""What the codes of the log and of quarantines mean: one table, for the log, the API, the command line and mails.

A message that names the thing comes from where an error arises and goes first; this is what is said of a code beside
it, and where there is a code only. `docs/errors.md` says the same, and a test compares.
"""

from __future__ import annotations

from collections.abc import Mapping
from enum import StrEnum
from typing import NamedTuple


class Category(StrEnum):
    """Graph's provisioningStatusErrorCategory.

    Attributes:
        NONE: nothing failed; something was left out on purpose.
        SYSTEM: the service, or a system that it reaches, failed; it mends by itself or is an operator's affair.
        PERSON: data, settings or rights, which a person changes.
    """

    NONE = "success"
    SYSTEM = "failure"
    PERSON = "nonServiceFailure"


NONE, SYSTEM, PERSON = Category.NONE, Category.SYSTEM, Category.PERSON


class Code(NamedTuple):
    """What a code means.

    Attributes:
        meaning: one or two sentences.
        recommended_action: what a person does; empty where nothing is to be done.
    """

    category: Category
    meaning: str
    recommended_action: str


CODES: Mapping[str, Code] = {
    "AccountDisabled": Code(PERSON, "The agent's account is disabled.", "Enable it."),
    "AccountExpired": Code(PERSON, "The agent's account has expired.", "Extend it."),
    "AccountLocked": Code(PERSON, "The agent's account is locked out.", "Unlock it, or wait until it unlocks itself."),
    "AccountNotFound": Code(
        PERSON,
        "The account that the settings name is not in the domain, or may not be seen.",
        "Correct user, or look as an administrator.",
    ),
    "AddressIsShared": Code(
        PERSON,
        "One address leads to several domain controllers.",
        "Name each domain controller in servers.",
    ),
    "AgentChanged": Code(
        SYSTEM,
        "The agent fell silent in the middle of its answer.",
        "None; any agent goes on from the last position.",
    ),
    "AgentFault": Code(
        SYSTEM,
        "The agent met an error that nobody foresaw.",
        "Look into the agent's log, and report it.",
    ),
    "AgentRequestAbandoned": Code(
        SYSTEM,
        "Nobody asked for the answer for too long, so the request was taken away.",
        "None; the next cycle asks again.",
    ),
    "AnchorNotReadable": Code(
        PERSON,
        "The account may not read what identifies entries (entryUUID, nsUniqueId).",
        "Let it read all attributes below base_dn, operational ones too; see openldap.md.",
    ),
    "AnswerIncomplete": Code(
        SYSTEM,
        "An agent's answer lacks a page, or is of an unexpected kind.",
        "Bring agent and service to the same release; see the agent's log.",
    ),
    "AttributeNotReadable": Code(
        PERSON,
        "Whether the entry is in scope depends on an attribute that may not be read. The entry stays as it is.",
        "Let the account, and the agent's include_attributes, read it.",
    ),
    "AttributeValueMustBeUnique": Code(
        PERSON,
        "The sign-in name or mail address belongs to another object. The message names it.",
        "Change it on one of the two in the directory; the other follows by itself.",
    ),
    "AzureActiveDirectoryAuthenticationFailed": Code(
        PERSON,
        (
            "The synchronization service account is disabled or without its role, or the job's credential of it "
            "cannot be opened. Nothing is written."
        ),
        "dirbridge jobs repair-account.",
    ),
    "AzureActiveDirectoryExpiredCredentials": Code(
        PERSON,
        "The job's credential of the synchronization service account expired. Nothing is written.",
        "dirbridge jobs repair-account.",
    ),
    "AzureActiveDirectoryInvalidCredential": Code(
        PERSON,
        (
            "The synchronization service account was deleted, its password was reset, or the job has no "
            "credential of it. Nothing is written."
        ),
        "dirbridge jobs repair-account.",
    ),
    "CertificateExpired": Code(
        PERSON,
        "The domain controller's certificate has expired; at the service's door, the agent's.",
        "Renew the domain controller's certificate; enrol the agent again.",
    ),
    "CertificateNotYetValid": Code(
        PERSON,
        "The domain controller's certificate is not valid yet.",
        "Set the clocks of both hosts.",
    ),
    "CertificateWrongHost": Code(
        PERSON,
        "The domain controller's certificate is made out to another name.",
        "Use the name of the certificate in servers.",
    ),
    "ChangesNotTold": Code(
        PERSON,
        "389-DS has noted changes and tells of none.",
        "Set nsuniqueid:targetUniqueId for its retro change log; see openldap.md.",
    ),
    "ChannelBindingRequired": Code(
        PERSON,
        "The domain controller requires channel binding.",
        'Set its policy "LDAP server channel binding token requirements" to "When supported".',
    ),
    "ClockSkewed": Code(
        PERSON,
        "This host's clock is a minute or more away from the service's, five from a domain controller's, or before the "
        "certificate's first day.",
        "Set it by NTP.",
    ),
    "Conflict": Code(
        PERSON,
        "The target has another object with one of these values, and it is not the one that the entry matches.",
        "Change the value on one of the two, or correct the matching attribute in the mapping.",
    ),
    "ConnectionLost": Code(
        SYSTEM,
        "The domain controller closed the connection.",
        "None; where it stays, see its log.",
    ),
    "ConnectionRefused": Code(
        SYSTEM,
        "Nothing listens at the address.",
        "See that the domain controller runs and serves LDAPS there.",
    ),
    "ContainerNotReadable": Code(
        PERSON,
        "The account may read an entry and not the one that it lies in.",
        "Let it read the whole of base_dn; see openldap.md.",
    ),
    "ContainerUnknown": Code(
        PERSON,
        (
            "The job is scoped by containers, and where the entry lies is not shown as far as its top. The entry "
            "stays as it is."
        ),
        "Let the account, and the agent's exclude_containers, read every container above it.",
    ),
    "DatabaseBusy": Code(
        SYSTEM,
        "All connections to the database are in use.",
        "Raise database_connections, if it stays.",
    ),
    "DatabaseConflict": Code(SYSTEM, "Two transactions got in each other's way. The one is repeated.", ""),
    "DatabaseTimeout": Code(
        SYSTEM,
        "The database took too long. It is tried again.",
        "See the load of the database server.",
    ),
    "DatabaseUnavailable": Code(
        SYSTEM,
        "The database does not answer. Work goes on by itself once it does.",
        "See the database server.",
    ),
    "DirectoryBehind": Code(
        SYSTEM,
        "The server lacks changes that were read already, so what it lacks would look deleted.",
        "See its replication. Where it was set back on purpose, restart the agent and the job.",
    ),
    "DirectorySilent": Code(
        SYSTEM,
        "The directory server does not answer in time.",
        "See the server, and firewalls on the way.",
    ),
    "DirSyncDamaged": Code(
        SYSTEM,
        "The answer about changes ended in a form that cannot be read.",
        "Look into the domain controller's log.",
    ),
    "DirSyncWithoutCookie": Code(
        SYSTEM,
        "The answer about changes ended without a position.",
        "Look into the domain controller's log.",
    ),
    "DiskFull": Code(SYSTEM, "The disk is full. What was stored is safe.", "Free some space; work goes on by itself."),
    "DomainControllerAway": Code(
        SYSTEM,
        "The domain controller at which a reading stands does not answer; another one takes its place in a while.",
        "None where it comes back soon. switch_after in the agent's settings says how long it is waited for.",
    ),
    "DomainControllerSilent": Code(
        SYSTEM,
        "The domain controller does not answer in time.",
        "See the domain controller, and firewalls on the way.",
    ),
    "DomainNotConfigured": Code(
        PERSON,
        "The agent's settings do not name the domain.",
        "Add it to the settings, or enrol an agent for it.",
    ),
    "DuplicateSourceEntries": Code(
        PERSON,
        (
            "Two entries of the source stand for one object: they have the same mS-DS-ConsistencyGuid, or the "
            "same value of another matching attribute. The first one keeps the object; the message names it."
        ),
        "Give one of the two another value, or take it out of scope.",
    ),
    "DuplicateTargetEntries": Code(
        PERSON,
        (
            "Several objects of the target have the entry's value of a matching attribute. None is taken, and "
            "none is made."
        ),
        "Change the value on all of them but one.",
    ),
    "EncounteredBaseEscrowThreshold": Code(
        PERSON,
        "The reason of a quarantine: too many entries are set aside.",
        (
            "See what their failures have in common by dirbridge logs --status failure, mend it, then dirbridge "
            "jobs clear-quarantine."
        ),
    ),
    "EncounteredEscrowProportionThreshold": Code(
        PERSON,
        "The reason of a quarantine: too large a share of what a cycle exported for the first time failed.",
        "As above.",
    ),
    "EncounteredQuarantineException": Code(
        PERSON,
        "The reason of a quarantine after failed cycles; the error beside it says what failed.",
        "That of the error beside it.",
    ),
    "EncounteredTotalEscrowThreshold": Code(
        PERSON,
        (
            "The reason of a quarantine: too many entries are set aside, together with the references that wait "
            "for them."
        ),
        "As for EncounteredBaseEscrowThreshold.",
    ),
    "EncryptionTypeRefused": Code(
        PERSON,
        "The keys in the keytab are of a kind that one side does not accept.",
        "Export the keytab with AES keys.",
    ),
    "EntryFailed": Code(PERSON, "One entry cannot be handled.", "See the message."),
    "EntryNotFound": Code(
        PERSON,
        "What was to be provisioned is not to be found in the domain, or its name stands for several entries.",
        "Give its distinguished name; the agent must be able to read it.",
    ),
    "EntrySynchronizationSkipped": Code(
        NONE,
        "The entry has no object, and the mapping makes none: its flow types leave out Add. Not a failure.",
        "Add the flow type if such objects are to be made.",
    ),
    "EntryTypeUnexpected": Code(
        PERSON,
        "What was to be provisioned is of a type that the job does not map, or of another than was asked for.",
        "Name an entry of that type, or map this one.",
    ),
    "EntryVanished": Code(SYSTEM, "The entry was deleted while it was being read.", "None; the next changes tell."),
    "ExpressionError": Code(
        PERSON,
        (
            "The mapping itself raised an error for this entry, by its function Error. By default that is an "
            "account without sAMAccountName."
        ),
        "Give the entry what the message names.",
    ),
    "ExpressionFailed": Code(
        PERSON,
        "A function of the mapping was given what it cannot work with. The message names the target attribute.",
        "Correct the value, or the mapping of that attribute.",
    ),
    "Fenced": Code(
        SYSTEM,
        "The job was taken over or changed while a cycle ran. The cycle stops without a trace; another goes on.",
        "",
    ),
    "HostNotFound": Code(
        PERSON,
        "The name of the domain controller, or of the mail server or webhook, cannot be resolved.",
        "Correct servers, or the setting or secret that names it, or the host's name service.",
    ),
    "HybridIdentityServiceNoActiveAgents": Code(
        SYSTEM,
        "None of the domain's agents has been heard from.",
        "See that dirbridge agent run runs, and what its log says.",
    ),
    "HybridIdentityServiceNoAgentsAssigned": Code(
        SYSTEM,
        "No agent is enrolled for the domain, or none is in the agent groups that it is assigned to.",
        "dirbridge agent code, then enrol and run one; or put one into such a group.",
    ),
    "ImmutableAttributeChanged": Code(
        PERSON,
        (
            "The mapping would change a target attribute that keeps the value that it was made with. Nothing of "
            "the entry is written."
        ),
        "Restore the old value, or let the mapping flow on creation only (ObjectAddOnly).",
    ),
    "ImportSkipped": Code(
        NONE,
        (
            "The entry has no value for any of the attributes by which its object is looked for, so it is left "
            "alone. Not a failure."
        ),
        "Give the entry what the mapping takes it from, or the mapping a further matchingPriority.",
    ),
    "IncompleteRead": Code(
        SYSTEM,
        "The directory's answer ended before its last page.",
        "None; the next cycle reads on from the last position.",
    ),
    "IngestionInterrupted": Code(
        SYSTEM,
        "The reason of a quarantine after cycles whose reading was cut off; the error beside it says by what.",
        "That of the error beside it.",
    ),
    "InsufficientRights": Code(
        PERSON,
        "The account that writes to the target may not do this.",
        "Give it the right there.",
    ),
    "InternalError": Code(SYSTEM, "A fault of the program.", "Report it, with the log of the service."),
    "InternalServerError": Code(
        SYSTEM,
        "The target failed. It is tried again within minutes.",
        "Where it stays, see the target's own log.",
    ),
    "InvalidAnchor": Code(
        PERSON,
        "The object is not there any more, and could not be made anew.",
        "Restart the job with ConnectorDataStore.",
    ),
    "InvalidAttributeValue": Code(
        PERSON,
        "A value cannot be carried: bad UTF-8, a NUL, too large, or not of the type that the target has.",
        "Correct the value in the directory.",
    ),
    "InvalidConfiguration": Code(PERSON, "400", "Something must be changed first."),
    "InvalidCredentials": Code(
        PERSON,
        "User name or password are wrong.",
        (
            "Correct user, or the content of password_file; a changed file is tried at once, else after 30 "
            "minutes, so that the account is not locked."
        ),
    ),
    "InvalidDomainSettings": Code(
        PERSON,
        "A domain's settings have faults; all of them are named.",
        "Correct these lines.",
    ),
    "InvalidExpression": Code(
        PERSON,
        "An expression cannot be read. The message has line and column, what stands there and what was expected.",
        "Correct it there; expressions.md has the language and all functions.",
    ),
    "InvalidJobSettings": Code(
        PERSON,
        "Settings of the job have values that they cannot have; all of them are named.",
        "Correct them by dirbridge jobs settings.",
    ),
    "InvalidSchema": Code(
        PERSON,
        (
            "The job's schema document is not sound, or asks for what cannot be done. The message has the path of "
            "the first defect; the details have them all, each with its remedy."
        ),
        "Correct it there, or restore the default by DELETE on the job's schema.",
    ),
    "InvalidSoftMatch": Code(
        PERSON,
        (
            "The object that a matching attribute found has another source anchor: it belonged to another entry. "
            "It is not taken over."
        ),
        "Match by another attribute, or clear the object's onPremisesImmutableId if it is meant.",
    ),
    "ItemTooLarge": Code(SYSTEM, "One list of references is larger than a message may be.", "Report it."),
    "KdcUnreachable": Code(
        SYSTEM,
        "No domain controller gives Kerberos tickets.",
        "Open TCP port 88 from the agent's host to the domain controllers of servers.",
    ),
    "KerberosFailed": Code(
        SYSTEM,
        "Kerberos gives no ticket, for the proxy or for a domain controller.",
        "See krb5.conf, clocks, keytab, and the service principal of the other side.",
    ),
    "KerberosMissing": Code(
        PERSON,
        "Kerberos is wanted, and the package for it is not installed.",
        "Install the extra kerberos.",
    ),
    "KeytabOutdated": Code(
        PERSON,
        "The keys in the keytab are not the account's: its password was changed since.",
        "Export the keytab afresh; a changed file is tried at once, else after 30 minutes, so that the account is not "
        "locked.",
    ),
    "KeytabUnusable": Code(
        PERSON,
        "The keytab is gone, damaged, has no key of user, or others may read it.",
        "Export it afresh, mode 0600.",
    ),
    "LdapError": Code(
        SYSTEM,
        "The domain controller answered with an error that has no sentence of its own.",
        "See the message.",
    ),
    "ListKeptChanging": Code(SYSTEM, "A long list changed each time that it was read.", "None; it is tried again."),
    "LogonHoursRestricted": Code(PERSON, "The account may not sign in at this hour.", "Lift its logon hours."),
    "ManagedInCloud": Code(
        NONE,
        "The object was handed over to people: no job writes or deletes it. Not a failure.",
        "None, or give it back to its source: PATCH onPremisesSyncBehavior with isCloudManaged false.",
    ),
    "MandatoryFieldsMissing": Code(
        PERSON,
        "A target attribute without which no object is made has no value.",
        "Give the entry what the mapping takes it from, or the mapping a default value.",
    ),
    "MessageDamaged": Code(
        SYSTEM,
        "A message was altered or cut on its way. It is sent again.",
        "Where it stays: see what lies between agent and service.",
    ),
    "MessageTooLarge": Code(
        SYSTEM,
        "A message is larger than is accepted.",
        "Bring agent and service to the same release.",
    ),
    "MethodNotAllowed": Code(
        PERSON,
        "The target does not allow this action.",
        "Leave it out of the mapping's target actions, or allow it there.",
    ),
    "MissingValues": Code(
        PERSON,
        "A target attribute that an object must have would be cleared. Nothing of the entry is written.",
        "Give the entry what the mapping takes it from.",
    ),
    "NoProgress": Code(
        SYSTEM,
        "The domain controller promises more changes again and again, and does not get on.",
        "See its log; dirbridge jobs restart reads afresh.",
    ),
    "NoRightOnDeletedObjects": Code(
        PERSON,
        "The account may not list deleted objects, so deletes would go unnoticed.",
        "Grant it, see active-directory.md, or set allow_without_deleted_objects.",
    ),
    "NotificationOff": Code(
        PERSON,
        "The agent's settings say not to listen for changes. They wait for the job's interval.",
        "None, or set change_notification.",
    ),
    "NotificationUnsupported": Code(
        PERSON,
        "The directory does not tell of changes by itself. They wait for the job's interval.",
        "None; a shorter interval finds them sooner.",
    ),
    "NotImplemented": Code(
        PERSON,
        "The target lacks the feature.",
        "Leave the attribute or action out of the mapping.",
    ),
    "NotInScope": Code(
        NONE,
        "The entry is left out; the message has the clause that it failed. Not a failure.",
        "None, or change the entry.",
    ),
    "NotVisibleInSource": Code(
        PERSON,
        (
            "The directory shows the entry no longer and has no tombstone of it: no evidence of a delete. Nothing "
            "is done; it is asked for again every six hours."
        ),
        "See whether the account lost a right on an OU, or the domain controller lags.",
    ),
    "NoUniqueValue": Code(
        PERSON,
        "Every value that SelectUniqueValue tried belongs to another object.",
        "Add a rule to the mapping, or free one of the values.",
    ),
    "ObjectTypeMismatch": Code(
        PERSON,
        "The entry became one of another type, and its object in the tenant cannot.",
        "Delete the entry in the directory and create it anew.",
    ),
    "PasswordExpired": Code(
        PERSON,
        "The account's password has expired.",
        "Set a new one, in the directory and in password_file.",
    ),
    "PasswordFileUnusable": Code(
        PERSON,
        "The password file is gone, empty, of several lines, or others may read it.",
        "One line, mode 0600.",
    ),
    "PasswordMustChange": Code(
        PERSON,
        "The account must change its password first.",
        'Clear "must change password at next logon".',
    ),
    "PatternTooSlow": Code(
        PERSON,
        "A pattern of a scoping filter or of the mapping worked longer than a tenth of a second on one value.",
        "Simplify the pattern.",
    ),
    "QuarantinedOnDemand": Code(
        PERSON,
        "The reason of a quarantine that a person imposed.",
        "Clear it when the job may go on.",
    ),
    "ReadCutShort": Code(SYSTEM, "The domain controller cut its answer at a limit.", "Raise its LDAP query policy."),
    "RedundantExport": Code(
        NONE,
        "Entry and object agree already. Told only to a person who provisioned the entry on demand.",
        "",
    ),
    "ReferralMet": Code(
        PERSON,
        "The server holds a part of the directory only, and refers to another for the rest.",
        "Name servers that hold all of base_dn.",
    ),
    "RequestNotSupported": Code(
        SYSTEM,
        "The service asks what this agent does not know.",
        "Bring agent and service to the same release.",
    ),
    "SchemaPropertyCanOnlyAcceptValue": Code(
        PERSON,
        "The source has several values and the target takes one.",
        "Choose one in the mapping by Item([attribute], 1).",
    ),
    "ScopingGroupMissing": Code(
        PERSON,
        (
            "A group by which the job is scoped was deleted, is not shown, or does not show its members. Whom it "
            "had stays in scope."
        ),
        "Restore the group or the right to read it, or choose another one in the job's scope.",
    ),
    "ServicePrincipalUnknown": Code(
        PERSON,
        "The domain gives no tickets for a server of this name.",
        "Name the domain controller in servers by the full host name that it is registered with.",
    ),
    "ShortRange": Code(
        SYSTEM,
        "The domain controller gave fewer values than it announced.",
        "None; it is tried again.",
    ),
    "SigningRequired": Code(
        PERSON,
        "The domain controller requires signing or encryption.",
        "Use an ldaps:// address.",
    ),
    "SkipOutOfScopeDeletions": Code(
        NONE,
        "The entry left scope and the job's settings leave such objects alone. Not a failure.",
        "None, or switch the setting off and restart the job.",
    ),
    "SourceAnchorChanged": Code(
        PERSON,
        (
            "mS-DS-ConsistencyGuid of an entry that has an object changed, and with it the anchor. The object "
            "keeps its anchor, and nothing of the entry is written."
        ),
        "Restore the old value in the directory, or delete the object in the tenant to have it made anew.",
    ),
    "StreamCut": Code(
        SYSTEM,
        "Reading the directory ended without saying that it is complete.",
        "None; it is tried again.",
    ),
    "SyncreplDamaged": Code(
        SYSTEM,
        "An answer about changes cannot be read.",
        "Look into the directory server's log.",
    ),
    "TargetUnreachable": Code(
        SYSTEM,
        "Nobody answers at the target's address.",
        "See that it runs, and that nothing on the way there refuses connections.",
    ),
    "TemporarilyUnavailable": Code(SYSTEM, "It may work later.", ""),
    "TicketExpired": Code(
        SYSTEM,
        "The Kerberos ticket is not valid by the clock of one side.",
        "None; a new one is fetched. Where it stays, compare the clocks.",
    ),
    "TimeOut": Code(
        SYSTEM,
        (
            "No agent took the request, or a page did not come in time; or the mail server or a webhook did not "
            "answer in time."
        ),
        "See the agent's log for what it is doing, and whether the directory answers; or see that host.",
    ),
    "Timeout": Code(
        SYSTEM,
        "No answer came in time. Whether the target did it is unknown, so it is looked up and tried again.",
        "None; where it stays, see the target's own log.",
    ),
    "TlsFailed": Code(
        PERSON,
        "The TLS handshake failed, with the domain controller, the mail server or a webhook.",
        (
            "See that the port serves LDAPS and the domain controller has a certificate; for the others, that "
            "theirs is of the name and of an authority that is trusted."
        ),
    ),
    "TooManyDeletes": Code(
        PERSON,
        (
            "More deletes and disables are pending, or a group lost more members, than may go without a person's word. "
            "Creates and updates go on."
        ),
        (
            "dirbridge jobs staged lists them; dirbridge jobs allow-deletes lets them go, dirbridge jobs "
            "reject-deletes keeps them. See deletes.md."
        ),
    ),
    "TooManyRequests": Code(
        SYSTEM,
        "429",
        (
            "The application reached a limit, which the message names, or too much is provisioned on demand. Ask again "
            "after Retry-After; see settings.md, Throttling."
        ),
    ),
    "TooManyRights": Code(
        PERSON,
        "The account that reads the directory holds more than reading needs.",
        "Take it away, or use an ordinary account.",
    ),
    "Unknown": Code(
        SYSTEM,
        "The reason of a quarantine after cycles that met a fault of the program.",
        "Report it, with the log of the service.",
    ),
    "UnknownCertificateAuthority": Code(
        PERSON,
        "The domain controller's certificate is not signed by an authority in ca_file.",
        "Put the right authority's certificate there.",
    ),
    "UnprocessableEntity": Code(
        PERSON,
        "The target refuses what it was sent; the message has its words.",
        "Correct the value in the directory, or the mapping.",
    ),
    "Unreachable": Code(
        SYSTEM,
        "The domain controller cannot be reached.",
        "See the network between agent and domain controller.",
    ),
    "ValueRejected": Code(PERSON, "The database refuses a value.", "Correct the value in the directory."),
    "ViewHasGaps": Code(
        PERSON,
        "The account sees nothing below an entry that has others below it, so no delete is believed.",
        "Let it read the whole of base_dn; see openldap.md.",
    ),
    "WatermarkExpired": Code(
        SYSTEM,
        (
            "The position is no longer good: too old, another account, other attributes, or a domain controller "
            "that was set back."
        ),
        "None; everything is read afresh.",
    ),
    "WorkstationRestricted": Code(
        PERSON,
        "The account may not sign in from the agent's host.",
        "Lift its list of workstations.",
    ),
    "WrongNamingContext": Code(PERSON, "The server serves another domain than name says.", "Correct name or servers."),
}


def category(code: str, status: str) -> Category:
    """Say whose affair a code is; of one that is not in the table, by the status of its event."""
    if status in {"success", "skipped"}:
        return Category.NONE
    known = CODES.get(code)
    return known.category if known else Category.SYSTEM if status == "failure" else Category.PERSON


def meaning(code: str) -> str:
    """Say what a code means; one that is not in the table stands for itself."""
    known = CODES.get(code)
    return known.meaning if known else code


def recommended_action(code: str) -> str:
    """Say what a person does about a code."""
    known = CODES.get(code)
    return known.recommended_action if known else ""
