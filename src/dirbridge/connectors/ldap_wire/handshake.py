"""A TLS handshake of our own, before libldap's: it says in plain words what stands in the way.

libldap bounds a connect in time, but not its TLS handshake, and says `SERVER_DOWN` for whatever fails in it.
"""

from __future__ import annotations

import re
import socket
import ssl
from urllib.parse import urlsplit

from dirbridge.connectors.ldap_wire.account import Account
from dirbridge.connectors.ldap_wire.fields import PORTS
from dirbridge.contract.errors import ConfigurationError, DirbridgeError, TransientError

# ExtendedRequest of StartTLS, message 1: RFC 4511 section 4.14.1.
_START_TLS = b"\x30\x1d\x02\x01\x01\x77\x18\x80\x16" + b"1.3.6.1.4.1.1466.20037"


def probe(account: Account, server: str) -> DirbridgeError | None:
    """Shake hands, and say what stands in the way: libldap says `SERVER_DOWN` for all of it. Blocks, for so long."""
    url = urlsplit(server)
    peer = account.dialect.server
    host, port = url.hostname or "", url.port or PORTS[url.scheme]
    details = {"server": server, "caFile": str(account.ca_file)}
    seconds = account.connect_timeout.total_seconds()
    try:
        trust = ssl.create_default_context(cafile=str(account.ca_file))
        with socket.create_connection((host, port), timeout=seconds) as plain:
            if url.scheme == "ldap" and (refusal := _start_tls(plain)) is not None:
                return _no_start_tls(f"{host}:{port}", peer, refusal, details)
            with trust.wrap_socket(plain, server_hostname=host):
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


def _start_tls(plain: socket.socket) -> int | None:
    """Ask for TLS. None where it may begin, else the server's result code; -1 where what it says is not LDAP."""
    plain.sendall(_START_TLS)
    answer = b""
    while len(answer) < 2 or len(answer) < 2 + answer[1] & 0x7F:
        more = plain.recv(4096)
        if not more:
            raise ConnectionResetError
        answer += more
        if not answer.startswith(b"0"):
            break
    # LDAPMessage { messageID 1, [APPLICATION 24] { resultCode ENUMERATED, ... } }
    found = re.match(rb"0[\x00-\xff]{1,5}?\x02\x01\x01x[\x00-\xff]{1,5}?\x0a\x01([\x00-\xff])", answer)
    if found is None:
        return -1
    return found[1][0] or None


def _no_start_tls(address: str, peer: str, result: int, details: dict[str, str]) -> DirbridgeError:
    said = f"answered StartTLS with {result}" if result >= 0 else "does not speak LDAP"
    return ConfigurationError(
        f"{address} {said}: TLS cannot begin.",
        code="TlsFailed",
        recommended_action=f"Check that the {peer} has a certificate, or name it by ldaps://.",
        details=details,
    )


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
