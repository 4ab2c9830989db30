"""What Kerberos complains of, in plain words and with what to do about it.

Called by `connection` and `failures`. All there is to go by is the text of the error, which is libkrb5's own and in
English: the process never asks for messages in another language.
"""

from __future__ import annotations

import re
from typing import NamedTuple

from dirbridge.connectors.ldap_wire.account import Account
from dirbridge.contract.errors import ConfigurationError, CredentialError, DirbridgeError, TransientError


class _Complaint(NamedTuple):
    patterns: tuple[str, ...]
    kind: type[DirbridgeError]
    code: str
    reason: str
    action: str


# Source of the words: MIT krb5, lib/krb5/error_tables (krb5_err.et, k5e1_err.et); Samba, ldap_server/ldap_bind.c.
_COMPLAINTS = (
    _Complaint(
        ("Preauthentication failed", "Password incorrect", "Decrypt integrity check failed"),
        CredentialError, "KeytabOutdated",
        "the keys in the keytab are not the account's, whose password was changed since they were exported",
        "Export the keytab afresh; the agent does not try again by itself, so as not to lock the account.",
    ),
    _Complaint(
        ("Client .*not found in Kerberos database",),
        CredentialError, "InvalidCredentials",
        "the domain has no such account",
        "Correct user, and export the keytab of that account.",
    ),
    _Complaint(
        ("credentials have been revoked", "Client's entry in database has expired", "Password has expired"),
        CredentialError, "AccountDisabled",
        "the account is disabled, locked out or has expired",
        "Enable the account, and see when it and its password expire.",
    ),
    _Complaint(
        ("Clock skew too great",),
        ConfigurationError, "ClockSkewed",
        "the clocks of this host and of the {server} are too far apart for Kerberos",
        "Have both take their time from the same source.",
    ),
    _Complaint(
        ("Ticket expired", "Ticket not yet valid"),
        TransientError, "TicketExpired",
        "the ticket is not valid at this moment by the clock of one side",
        "It is tried again with a new ticket; where it stays, compare the clocks of both sides.",
    ),
    _Complaint(
        ("Cannot contact any KDC", "Cannot find KDC", "Cannot resolve"),
        TransientError, "KdcUnreachable",
        "no {server} gives Kerberos tickets",
        "Open TCP port 88 from this host to the {server}s in servers.",
    ),
    _Complaint(
        ("Server .*not found in Kerberos database",),
        ConfigurationError, "ServicePrincipalUnknown",
        "the domain knows no service ldap/ of this address",
        "Name the {server} in servers by the full host name that it is registered with.",
    ),
    _Complaint(
        ("Sign or Seal are required", "not allowed if TLS is used"),
        ConfigurationError, "SigningRequired",
        "the {server} takes Kerberos inside of TLS only where it signs or seals by itself, twice",
        "On Samba set `ldap server require strong auth = allow_sasl_over_tls` in smb.conf, or use a password.",
    ),
    _Complaint(
        ("encryption type",),
        ConfigurationError, "EncryptionTypeRefused",
        "the keys in the keytab are of a kind that one side does not accept",
        "Export the keytab with AES keys (aes256-cts-hmac-sha1-96).",
    ),
)  # fmt: skip


def explain(account: Account, server: str, info: str) -> DirbridgeError:
    """Say what stood in the way of signing in by Kerberos."""
    peer = account.dialect.server
    details = {"server": server, "kerberosMessage": info}
    for complaint in _COMPLAINTS:
        if any(re.search(pattern, info) for pattern in complaint.patterns):
            return complaint.kind(
                f"{account.user} cannot sign in at {server} by Kerberos: {complaint.reason.format(server=peer)}.",
                code=complaint.code,
                recommended_action=complaint.action.format(server=peer),
                details=details,
            )
    return TransientError(
        f"{account.user} cannot sign in at {server} by Kerberos: {info}",
        code="KerberosFailed",
        recommended_action="See what the message says of Kerberos on this host.",
        details=details,
    )
