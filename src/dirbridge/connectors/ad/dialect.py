"""How domain controllers say no, and how they are spoken of in messages."""

from __future__ import annotations

import re

from dirbridge.connectors.ldap_wire.account import BindRefusal, Dialect

# What hides behind error 49: the Windows error in "comment: AcceptSecurityContext error, data 52e".
# Source: MS-ERREF 2.2 (Win32 error codes), in hexadecimal; 80090346 is SEC_E_BAD_BINDINGS.
_REFUSALS = {
    "525": BindRefusal("InvalidCredentials", "there is no such account", "Correct the user name"),
    "52e": BindRefusal("InvalidCredentials", "the user name or password is wrong", "Correct user name and password"),
    "530": BindRefusal(
        "LogonHoursRestricted", "the account may not sign in at this hour", "Lift the account's logon hours"
    ),
    "531": BindRefusal(
        "WorkstationRestricted",
        "the account may not sign in from this computer",
        "Lift the account's list of workstations",
    ),
    "532": BindRefusal("PasswordExpired", "the account's password has expired", "Set a new password"),
    "533": BindRefusal("AccountDisabled", "the account is disabled", "Enable the account"),
    "701": BindRefusal("AccountExpired", "the account has expired", "Extend the account"),
    "773": BindRefusal(
        "PasswordMustChange", "the account must change its password first", "Clear 'must change password at next logon'"
    ),
    "775": BindRefusal(
        "AccountLocked", "the account is locked out", "Unlock the account, or wait until it unlocks itself"
    ),
    "80090346": BindRefusal(
        "ChannelBindingRequired",
        "the server requires channel binding, which a simple bind over TLS does not have",
        "Set 'LDAP server channel binding token requirements' to 'When supported' on the domain controller",
    ),
}


def refusal(info: str) -> BindRefusal:
    """Read what a domain controller says with error 49."""
    found = re.search(r"data ([0-9a-fA-F]+)", info)
    return _REFUSALS.get(found[1].lower() if found else "", _REFUSALS["52e"])


DIALECT = Dialect(
    server="domain controller",
    realm="domain",
    silence="DomainControllerSilent",
    limit_remedy="Raise the LDAP query policy of the domain controller, or exclude the account.",
    right_remedy="Give the account read access to the domain.",
    refusal=refusal,
)
