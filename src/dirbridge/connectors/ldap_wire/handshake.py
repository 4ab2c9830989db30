"""A TLS handshake of our own, before libldap's: it says in plain words what stands in the way.

libldap bounds a connect in time, but not its TLS handshake, and says `SERVER_DOWN` for whatever fails in it.
"""

from __future__ import annotations

import socket
import ssl
from urllib.parse import urlsplit

from dirbridge.connectors.ldap_wire.account import Account
from dirbridge.contract.errors import ConfigurationError, DirbridgeError, TransientError


def probe(account: Account, server: str) -> DirbridgeError | None:
    """Shake hands, and say what stands in the way: libldap says `SERVER_DOWN` for all of it. Blocks, for so long."""
    url = urlsplit(server)
    peer = account.dialect.server
    host, port = url.hostname or "", url.port or 636
    details = {"server": server, "caFile": str(account.ca_file)}
    seconds = account.connect_timeout.total_seconds()
    try:
        trust = ssl.create_default_context(cafile=str(account.ca_file))
        with (
            socket.create_connection((host, port), timeout=seconds) as plain,
            trust.wrap_socket(plain, server_hostname=host),
        ):
            pass
    except ssl.SSLCertVerificationError as error:
        return _untrusted(error, host, account, details)
    except socket.gaierror as error:
        return TransientError(
            f"The name {host} of the {peer} cannot be resolved: {error.strerror}.",
            code="HostNotFound",
            recommended_action="Check servers in the agent's settings, and the name service of this host.",
            details=details,
        )
    except ConnectionRefusedError:
        return TransientError(
            f"Nothing listens at {host}:{port}.",
            code="ConnectionRefused",
            recommended_action=f"Check that the {peer} runs and serves LDAPS at this port.",
            details=details,
        )
    except TimeoutError:
        return TransientError(
            f"{host}:{port} did not answer within {seconds:g} seconds.",
            code=account.dialect.silence,
            recommended_action=f"Check the {peer}, and firewalls on the way to it.",
            details=details,
        )
    except (ssl.SSLEOFError, ConnectionResetError):
        return TransientError(
            f"{host}:{port} ended the TLS handshake.",
            code="TlsFailed",
            recommended_action=f"Check that the port serves LDAPS and that the {peer} has a certificate.",
            details=details,
        )
    except ssl.SSLError as error:
        return ConfigurationError(
            f"{host}:{port} does not speak TLS as expected: {error.reason or error}.",
            code="TlsFailed",
            recommended_action=f"Check that the port serves LDAPS and that the {peer} has a certificate.",
            details=details,
        )
    except OSError as error:
        return TransientError(
            f"{host}:{port} cannot be reached: {error.strerror or error}.", code="Unreachable", details=details
        )
    return None


# Source: OpenSSL x509_vfy.h, X509_V_ERR_*.
_NOT_YET_VALID, _EXPIRED, _WRONG_NAME, _WRONG_ADDRESS = 9, 10, 62, 64


def _untrusted(
    error: ssl.SSLCertVerificationError, host: str, account: Account, details: dict[str, str]
) -> DirbridgeError:
    peer = account.dialect.server
    if error.verify_code == _EXPIRED:
        code, reason = "CertificateExpired", "has expired"
        action = f"Renew the {peer}'s certificate, or correct this host's clock."
    elif error.verify_code == _NOT_YET_VALID:
        code, reason = "CertificateNotYetValid", "is not valid yet"
        action = f"Correct the clock of this host or of the {peer}."
    elif error.verify_code in {_WRONG_NAME, _WRONG_ADDRESS}:
        code, reason = "CertificateWrongHost", f"is not made out to {host}"
        action = "Put the name that the certificate carries into servers in the agent's settings."
    else:
        code, reason = "UnknownCertificateAuthority", f"is not signed by an authority in {account.ca_file}"
        action = "Put the certificate of the authority that signed it into ca_file."
    return ConfigurationError(
        f"The certificate of {host} {reason}.",
        code=code,
        recommended_action=action,
        details={**details, "tls": error.verify_message},
    )
