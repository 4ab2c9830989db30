"""How OpenLDAP and 389-DS say no, and how they are spoken of in messages."""

from __future__ import annotations

from dirbridge.connectors.ldap_wire.account import BindRefusal, Dialect


def refusal(info: str) -> BindRefusal:
    """Read what a server says with error 49: nothing, on purpose, or a word of its password policy."""
    text = info.lower()
    if "expired" in text:
        return BindRefusal("PasswordExpired", "the account's password has expired", "Set a new password")
    if "locked" in text or "retry limit" in text:
        return BindRefusal(
            "AccountLocked", "the account is locked out", "Unlock the account, or wait until it unlocks itself"
        )
    if "inactivated" in text:
        return BindRefusal("AccountDisabled", "the account is disabled", "Enable the account")
    return BindRefusal("InvalidCredentials", "the user name or password is wrong", "Correct user name and password")


DIALECT = Dialect(
    server="directory server",
    realm="directory",
    silence="DirectorySilent",
    limit_remedy='Lift the account\'s limits: with OpenLDAP `limits dn.exact="…" size=unlimited time=unlimited`, with '
    "389-DS nsSizeLimit, nsTimeLimit and nsLookThroughLimit of -1 at the account.",
    right_remedy="Give the account read access to the whole of base_dn.",
    refusal=refusal,
)
