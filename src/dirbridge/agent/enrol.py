"""How a host becomes an agent: from a code to a key, a certificate and a pinned authority.

The code carries the fingerprint of the service's authority. It is compared before anything secret is sent, and all
that follows goes over TLS that is verified with that very certificate.
"""

from __future__ import annotations

import asyncio
import base64
import socket
import ssl
from collections.abc import Sequence
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import httpx2
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization

from dirbridge import __version__
from dirbridge.agent import state
from dirbridge.agent.client import PATH, csr, http, refused, tls, unreachable
from dirbridge.agent.settings import Common
from dirbridge.agent.state import Identity
from dirbridge.contract import enrolment
from dirbridge.contract.enrolment import EnrolmentCode
from dirbridge.contract.errors import ConfigurationError, DirbridgeError, TransientError

ATTEMPTS = 3
_MAX_CERTIFICATE = 64 * 1024


async def enrol(
    service: str,
    code_text: str,
    folder: Path,
    *,
    common: Common | None = None,
    domains: Sequence[str] = (),
    ca_file: Path | None = None,
    replace: bool = False,
) -> Identity:
    """Enrol this host.

    Args:
        service: URL of the service.
        code_text: the one-time code.
        folder: where the agent's state is to lie.
        common: for the proxy and time-outs.
        domains: what the agent's settings name already; the code must be good for each.
        ca_file: certificates that verify the service's TLS where it is not the service's own authority.
        replace: enrol although an agent's state lies in the folder.

    Raises:
        ConfigurationError: the code, the URL, the folder or the service's identity is not right.
        TransientError: the service cannot be reached.
    """
    common = common or Common()
    service = service_url(service)
    code = enrolment.parse(code_text)
    _check_domains(code, domains)
    if state.is_enrolled(folder) and not replace:
        raise ConfigurationError(
            f"An agent is already enrolled in {folder}.",
            code="AlreadyEnrolled",
            recommended_action="Run it with `dirbridge agent run`, or give --replace to enrol it as a new one.",
        )
    state.prepare(folder)
    trust = await _trusted(service, code, common, ca_file)
    key = state.new_key()
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    context.load_verify_locations(cadata=trust.decode("ascii"))
    async with http(service, common, context) as client:
        message = {
            "secret": base64.urlsafe_b64encode(code.secret).decode(),
            "csr": csr(key),
            "machineName": socket.gethostname()[:255] or "unknown",
            "version": __version__,
            "domains": list(domains),
        }
        answer = await _ask(client, service, message)
    try:
        identity = Identity(service, answer["agentId"], answer["tenantId"], answer["issuer"], tuple(answer["domains"]))
        certificate = str(answer["certificate"]).encode()
        x509.load_pem_x509_certificate(certificate)
    except (KeyError, TypeError, ValueError) as error:
        raise TransientError(
            f"The answer of {service} to the enrolment cannot be read: {error}.",
            code="AnswerDamaged",
            recommended_action="See what lies between this host and the service, and enrol again with a new code.",
        ) from error
    await asyncio.to_thread(state.save, folder, identity, key, certificate, trust)
    return identity


def service_url(text: str) -> str:
    """Bring the service's URL to one form.

    Raises:
        ConfigurationError: it is no https URL of a host.
    """
    try:
        parts = urlsplit(text.strip())
        port = parts.port
    except ValueError:
        parts, port = urlsplit(""), None
    if parts.scheme != "https" or not parts.hostname or parts.username or parts.path.strip("/") or parts.query:
        raise ConfigurationError(
            f"{text!r} is not the URL of a service.",
            code="ServiceUrlInvalid",
            recommended_action="Write it as https://HOST or https://HOST:PORT, without a path.",
        )
    host = f"[{parts.hostname}]" if ":" in parts.hostname else parts.hostname
    return f"https://{host}" if port in {None, 443} else f"https://{host}:{port}"


def _check_domains(code: EnrolmentCode, domains: Sequence[str]) -> None:
    others = sorted(set(domains) - set(code.domains))
    if others:
        raise ConfigurationError(
            f"The enrolment code is good for {', '.join(code.domains)}, not for {', '.join(others)}, "
            "which the agent's settings name.",
            code="EnrolmentCodeOtherDomain",
            recommended_action="Make a code that names every domain of the settings with `dirbridge agent code`, or "
            "take the others out of the settings.",
        )


async def _trusted(service: str, code: EnrolmentCode, common: Common, ca_file: Path | None) -> bytes:
    """Fetch the service's authority and compare it with the code; give what TLS is verified with from now on.

    Nothing is sent but the wish to see a certificate, which is no secret; so it does not matter that, without a file,
    nobody vouches for the connection yet.
    """
    if ca_file is not None:
        context = tls(str(ca_file))
    else:
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
        context.check_hostname = False
        context.verify_mode = ssl.CERT_NONE
    async with http(service, common, context) as client:
        try:
            response = await client.get(PATH + "/ca")
        except httpx2.HTTPError as error:
            raise unreachable(service, error) from error
    if not response.is_success:
        raise ConfigurationError(
            f"{service} is no dirbridge service: it answered {response.status_code} where its CA was asked for.",
            code="NotAService",
            recommended_action="Name the URL that `dirbridge serve` prints.",
        )
    try:
        certificate = x509.load_pem_x509_certificate(response.content[:_MAX_CERTIFICATE])
    except ValueError as error:
        raise TransientError(
            f"The CA certificate of {service} ({len(response.content)} bytes) cannot be read.",
            code="AnswerDamaged",
            recommended_action="Try again; see what lies between this host and the service.",
        ) from error
    fingerprint = certificate.fingerprint(hashes.SHA256()).hex()
    if fingerprint != code.fingerprint:
        raise ConfigurationError(
            f"The service at {service} is not the one that made the code: its CA has the fingerprint {fingerprint}, "
            f"the code expects {code.fingerprint}. Nothing secret was sent.",
            code="ServiceNotTrusted",
            recommended_action="See that --service names the service that made the code, or make a code there. If it "
            "does, something between this host and the service answers in its place.",
        )
    if ca_file is not None:
        return await asyncio.to_thread(ca_file.read_bytes)
    # Only what was compared: whatever else stood in the answer was not, and would be trusted as much.
    return certificate.public_bytes(serialization.Encoding.PEM)


async def _ask(client: httpx2.AsyncClient, service: str, message: dict[str, Any]) -> dict[str, Any]:
    """Send the code and the CSR. The same again is safe: the service knows the key."""
    for attempt in range(1, ATTEMPTS + 1):
        try:
            response = await client.post(PATH + "/enrol", json=message)
            if response.is_success:
                answer = response.json()
                return answer if isinstance(answer, dict) else {}
        except httpx2.HTTPError as error:
            failure: DirbridgeError = unreachable(service, error)
            if failure.code == "ServiceNotTrusted":
                raise _not_verified(failure) from error
        except ValueError as error:
            failure = TransientError(f"The answer of {service} cannot be read: {error}.", code="AnswerDamaged")
        else:
            code, said, action = refused(response)
            if response.status_code < 500:
                raise ConfigurationError(said, code=code or "EnrolmentRefused", recommended_action=action)
            failure = TransientError(said, code=code or "ServiceRefused", recommended_action=action)
        if attempt == ATTEMPTS:
            raise failure
        await asyncio.sleep(attempt)
    raise AssertionError("not reached")


def _not_verified(failure: DirbridgeError) -> ConfigurationError:
    return ConfigurationError(
        failure.reason,
        code=failure.code,
        recommended_action="The service's CA is the right one, but its TLS certificate is not of that CA or not for "
        "this host name. Use the name in its --base-url; where it was given a certificate of another CA, or a proxy "
        "ends TLS, give that CA's file with --ca-file.",
    )
