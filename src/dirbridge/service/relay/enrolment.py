"""How a stranger with a code becomes an agent.

Called by the door. The code is used up in the transaction that stores the agent, so a failure leaves both untouched;
the same key with the same code gets the same agent again, so an answer that was lost on its way can be asked for anew.
"""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime
from uuid import uuid4

from cryptography import x509
from cryptography.exceptions import InvalidSignature
from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.asymmetric import ec
from pydantic import Base64UrlBytes, BaseModel, Field

from dirbridge.contract.enrolment import hash_secret
from dirbridge.service.auth.authority import Authority
from dirbridge.service.relay.refusals import Refusal
from dirbridge.store import agents
from dirbridge.store.agents import CodeState
from dirbridge.store.database import Database

_NEW_CODE = "Make a new one with `dirbridge agent code --domain …`; a code is good for 15 minutes, and once."


class Application(BaseModel):
    """What a stranger sends."""

    secret: Base64UrlBytes = Field(max_length=64)
    csr: str = Field(max_length=8192)
    machine_name: str = Field(alias="machineName", min_length=1, max_length=255)
    version: str = Field(max_length=64)
    domains: list[str] = Field(default_factory=list, max_length=1000)


async def enrol(
    database: Database, authority: Authority, application: Application, *, address: str, days: int
) -> agents.Agent:
    """Use a code up and take a new agent in.

    Args:
        days: how long its certificate is good.

    Raises:
        Refusal: the code is unknown, expired, used, or not good for a domain that was named; or the CSR is no good.
    """
    public_key = requested_key(application.csr)
    agent, tenant = uuid4(), authority.tenant
    async with database.transaction() as conn:
        use = await agents.use_code(conn, tenant, hash_secret(application.secret), agent)
        if use.state is CodeState.USED and use.agent is not None:
            known = await agents.get(conn, tenant, use.agent)
            if known is not None and known.public_key == spki(public_key) and known.revoked_at is None:
                return known
        if use.state is not CodeState.TAKEN:
            raise _refused(use)
        _check_domains(application.domains, use.domains)
        certificate = authority.issue_agent(public_key, agent, days)
        await agents.insert(
            conn,
            tenant,
            agent,
            machine_name=application.machine_name,
            version=application.version,
            domains=use.domains,
            public_key=spki(public_key),
            certificate=certificate,
            expires_at=expiry(certificate),
            address=address,
        )
        stored = await agents.get(conn, tenant, agent)
    assert stored is not None
    return stored


async def renew(database: Database, authority: Authority, agent: agents.Agent, csr: str, *, days: int) -> bytes:
    """Give an agent a new certificate for the key it has.

    Raises:
        Refusal: the CSR is for another key.
    """
    public_key = requested_key(csr)
    if spki(public_key) != agent.public_key:
        raise Refusal(
            400, "KeyChanged", "The CSR is for another key than the one the agent enrolled with.", "Enrol it again."
        )
    certificate = authority.issue_agent(public_key, agent.id, days)
    async with database.connection() as conn:
        await agents.renew_certificate(conn, authority.tenant, agent.id, certificate, expiry(certificate))
    return certificate


def requested_key(csr: str) -> ec.EllipticCurvePublicKey:
    """Take the public key out of a CSR; nothing else in it counts.

    Raises:
        Refusal: it is unreadable, not signed by that key, or the key is not of P-256.
    """
    try:
        request = x509.load_pem_x509_csr(csr.encode())
        key = request.public_key()
        signed = request.is_signature_valid
    except (ValueError, InvalidSignature) as error:
        raise Refusal(400, "CsrInvalid", "The certificate signing request cannot be read: PEM is expected.") from error
    if not signed:
        raise Refusal(400, "CsrInvalid", "The certificate signing request is not signed by its own key.")
    if not isinstance(key, ec.EllipticCurvePublicKey) or not isinstance(key.curve, ec.SECP256R1):
        raise Refusal(400, "CsrInvalid", "The certificate signing request is not for a key of the curve P-256.")
    return key


def spki(key: ec.EllipticCurvePublicKey) -> bytes:
    """Write a public key as it is stored."""
    return key.public_bytes(serialization.Encoding.DER, serialization.PublicFormat.SubjectPublicKeyInfo)


def expiry(certificate: bytes) -> datetime:
    """Say until when a certificate is good."""
    return x509.load_pem_x509_certificate(certificate).not_valid_after_utc


def _check_domains(wanted: Sequence[str], granted: Sequence[str]) -> None:
    others = sorted({domain.lower() for domain in wanted} - set(granted))
    if others:
        raise Refusal(
            403,
            "EnrolmentCodeOtherDomain",
            f"The enrolment code is good for {', '.join(granted)}, not for {', '.join(others)}.",
            "Make a code that names every domain of the agent's settings, or take the others out of the settings.",
        )


def _refused(use: agents.CodeUse) -> Refusal:
    at = use.at.strftime("%Y-%m-%d %H:%M:%S UTC") if use.at else ""
    match use.state:
        case CodeState.EXPIRED:
            return Refusal(403, "EnrolmentCodeExpired", f"The enrolment code expired at {at}.", _NEW_CODE)
        case CodeState.USED:
            return Refusal(403, "EnrolmentCodeUsed", f"The enrolment code was already used at {at}.", _NEW_CODE)
        case _:
            return Refusal(
                403,
                "EnrolmentCodeUnknown",
                "This service knows no such enrolment code; it may be of another tenant, or long expired.",
                _NEW_CODE,
            )
