"""What went wrong with a server, in plain words and with what to do about it.

Called by `connection` for each error of libldap: none of them leaves this folder as it is.
"""

from __future__ import annotations

from typing import Any

import ldap

from dirbridge.connectors.ldap_wire import kerberos_failures
from dirbridge.connectors.ldap_wire.account import Account
from dirbridge.connectors.ldap_wire.handshake import probe
from dirbridge.contract.errors import ConfigurationError, CredentialError, DirbridgeError, TransientError


def explain(error: ldap.LDAPError, account: Account, server: str) -> DirbridgeError:
    """Say in plain words what an LDAP error means and what to do about it. May connect to find out; blocks."""
    dialect = account.dialect
    told: dict[str, Any] = error.args[0] if error.args and isinstance(error.args[0], dict) else {}
    info = str(told.get("info") or told.get("desc") or error)
    details = {"server": server, "ldapError": type(error).__name__, "ldapMessage": info}
    if "result" in told:
        details["ldapResult"] = str(told["result"])
    match error:
        case ldap.INVALID_CREDENTIALS():
            return _refused(info, account, server, details)
        case ldap.SERVER_DOWN() | ldap.CONNECT_ERROR():
            return probe(account, server) or TransientError(
                f"{server} closed the connection.",
                code="ConnectionLost",
                recommended_action=f"It is tried again by itself; if it stays, look into the {dialect.server}'s log.",
                details=details,
            )
        case ldap.TIMEOUT():
            return silent(account, server, details)
        case ldap.STRONG_AUTH_REQUIRED() if "SASL" in info:
            return kerberos_failures.explain(account, server, info)
        case ldap.STRONG_AUTH_REQUIRED() | ldap.CONFIDENTIALITY_REQUIRED():
            return ConfigurationError(
                f"{server} refuses a simple bind here: it requires signing or encryption ({info}).",
                code="SigningRequired",
                recommended_action=f"Use an ldaps:// address of the {dialect.server}.",
                details=details,
            )
        case ldap.INSUFFICIENT_ACCESS():
            return ConfigurationError(
                f"The account {account.user} may not read this in the {dialect.realm} {account.name}: {info}",
                code="InsufficientRights",
                recommended_action=dialect.right_remedy,
                details=details,
            )
        case ldap.NO_SUCH_OBJECT() | ldap.REFERRAL():
            return ConfigurationError(
                f"{server} does not hold what was asked of it for the {dialect.realm} {account.name} "
                f"({account.base_dn}).",
                code="WrongNamingContext",
                recommended_action="Check that name and servers in the agent's settings belong together.",
                details=details,
            )
        case ldap.SIZELIMIT_EXCEEDED() | ldap.TIMELIMIT_EXCEEDED() | ldap.ADMINLIMIT_EXCEEDED():
            return TransientError(
                f"{server} cut its answer short at a limit of its own: {told.get('desc', info)}.",
                code="ReadCutShort",
                recommended_action=dialect.limit_remedy,
                details=details,
            )
        case _:
            return TransientError(
                f"{server} answered with an error: {told.get('desc', type(error).__name__)}. {info}",
                code="LdapError",
                details=details,
            )


def silent(account: Account, server: str, details: dict[str, str]) -> TransientError:
    """A server that was not heard from in time."""
    return TransientError(
        f"{server} did not answer in time.",
        code=account.dialect.silence,
        recommended_action=f"Look at the load of the {account.dialect.server}; answer_timeout is how long is waited.",
        details=details,
    )


def _refused(info: str, account: Account, server: str, details: dict[str, str]) -> DirbridgeError:
    refusal = account.dialect.refusal(info)
    return CredentialError(
        f"{server} refused the account {account.user}: {refusal.reason}.",
        code=refusal.code,
        recommended_action=f"{refusal.action}; the agent does not try again by itself, so as not to lock the account.",
        details=details,
    )
