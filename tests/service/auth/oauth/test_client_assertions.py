"""Certificates as stock clients prove themselves by them, and every way in which an assertion is refused."""

import base64
import hashlib
import hmac
import json
import time
from datetime import UTC, datetime, timedelta
from typing import Any
from uuid import uuid4

import httpx2
import pytest
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import rsa
from joserfc import jws
from joserfc.jwk import RSAKey

from dirbridge.service.auth.oauth.client_assertions import TYPE
from dirbridge.service.setup import Identity, Initialised
from dirbridge.store import applications, identity
from dirbridge.store.applications import Certificate
from dirbridge.store.database import Database
from tests.service.conftest import BASE_URL

KEY = rsa.generate_private_key(public_exponent=65537, key_size=2048)
OTHER = rsa.generate_private_key(public_exponent=65537, key_size=2048)


def certificate(key: rsa.RSAPrivateKey = KEY) -> bytes:
    """A self-signed certificate in DER."""
    name = x509.Name([x509.NameAttribute(x509.NameOID.COMMON_NAME, "app")])
    now = datetime.now(UTC)
    built = x509.CertificateBuilder(name, name, key.public_key(), 7, now - timedelta(1), now + timedelta(1))
    return built.sign(key, hashes.SHA256()).public_bytes(serialization.Encoding.DER)


DER = certificate()


def coded(value: bytes, *, padded: bool = True) -> str:
    text = base64.urlsafe_b64encode(value).decode()
    return text if padded else text.rstrip("=")


PS256 = {"alg": "PS256", "typ": "JWT", "x5t#S256": coded(hashlib.sha256(DER).digest())}
RS256 = {"alg": "RS256", "typ": "JWT", "x5t": coded(hashlib.sha1(DER).digest())}


class Registry(jws.JWSRegistry):
    max_header_length = 100_000


def sign(header: dict[str, Any], claims: dict[str, Any], key: rsa.RSAPrivateKey = KEY) -> str:
    pem = key.private_bytes(serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption())
    registry = Registry(algorithms=["RS256", "PS256", "PS384"])
    return jws.serialize_compact(header, json.dumps(claims), RSAKey.import_key(pem), registry=registry)


def claims(made: Initialised, **changed: Any) -> dict[str, Any]:
    wanted = {
        "aud": f"{BASE_URL}/{made.tenant.id}/oauth2/v2.0/token",
        "iss": str(made.client_id),
        "sub": str(made.client_id),
        "exp": time.time() + 600,
        "iat": time.time(),
        "jti": str(uuid4()),
        **changed,
    }
    return {name: value for name, value in wanted.items() if value is not None}


async def register(
    database: Database, made: Initialised, der: bytes = DER, *, starts: timedelta = -timedelta(1), ends: int = 1
) -> None:
    async with database.transaction() as conn:
        principal = await identity.service_principal_by_app(conn, made.tenant.id, made.client_id)
        assert principal is not None
        now = datetime.now(UTC)
        sha1, sha256 = hashlib.sha1(der).digest(), hashlib.sha256(der).digest()
        row = Certificate(uuid4(), "test", der, sha1, sha256, now + starts, now + timedelta(ends))
        await applications.add_certificate(conn, made.tenant.id, principal.id, row)


async def ask(client: httpx2.AsyncClient, made: Initialised, assertion: str, **changed: str) -> httpx2.Response:
    form = {
        "grant_type": "client_credentials",
        "client_id": str(made.client_id),
        "scope": "https://graph.microsoft.com/.default",
        "client_assertion_type": TYPE,
        "client_assertion": assertion,
        **changed,
    }
    return await client.post(f"/{made.tenant.id}/oauth2/v2.0/token", data=form)


@pytest.mark.parametrize(
    "header",
    [
        PS256,
        RS256,
        {**PS256, "x5t#S256": PS256["x5t#S256"].rstrip("=")},
        {**PS256, "x5c": ["\n".join([base64.b64encode(DER).decode()[:64], base64.b64encode(DER).decode()[64:]])]},
        {**PS256, "x5c": [base64.b64encode(certificate(OTHER)).decode()]},
        {"alg": "PS256", "x5c": ["\n" + base64.b64encode(DER).decode()]},
    ],
    ids=["msal", "azure-identity", "no padding", "chain with line breaks", "foreign chain beside", "chain alone"],
)
async def test_registered_certificate_gives_a_token(
    client: httpx2.AsyncClient, made: Initialised, identity: Identity, database: Database, header: dict[str, Any]
) -> None:
    """The forms of stock clients: thumbprints of both kinds, float times, no `nbf`, a chain."""
    await register(database, made)
    answer = await ask(client, made, sign(header, claims(made)))
    assert answer.status_code == 200, answer.text
    assert identity.tokens.verify_graph(answer.json()["access_token"])["azpacr"] == "2"


@pytest.mark.parametrize(
    "address",
    [
        "https://dirbridge.example:8443/{id}/oauth2/v2.0/token",
        "https://dirbridge.example/{id}/oauth2/v2.0/token",
        "https://dirbridge.example:8443/contoso.test/oauth2/v2.0/token",
        "https://dirbridge.example:8443/common/oauth2/v2.0/token",
        "https://dirbridge.example:8443/{id}/v2.0",
    ],
)
async def test_audience_is_accepted_in_each_of_its_forms(
    client: httpx2.AsyncClient, made: Initialised, database: Database, address: str
) -> None:
    """By the tenant's id and domains, with the port and without."""
    await register(database, made)
    answer = await ask(client, made, sign(PS256, claims(made, aud=address.format(id=made.tenant.id))))
    assert answer.status_code == 200, answer.text


@pytest.mark.parametrize(
    ("changed", "number"),
    [
        ({"aud": "https://login.microsoftonline.com/common/oauth2/v2.0/token"}, 700023),
        ({"aud": "https://dirbridge.example:8443/elsewhere.test/oauth2/v2.0/token"}, 700023),
        ({"aud": "https://dirbridge.example:1/common/oauth2/v2.0/token"}, 700023),
        ({"aud": "https://[/common"}, 700023),
        ({"aud": None}, 700023),
        ({"exp": 1000}, 700024),
        ({"exp": lambda: time.time() + 86_400}, 700024),
        ({"nbf": lambda: time.time() + 900}, 700024),
        ({"exp": None}, 50027),
        ({"exp": "soon"}, 50027),
        ({"exp": float("nan")}, 50027),
        ({"jti": None}, 50027),
        ({"jti": "\ud800"}, 50027),
        ({"sub": "somebody else"}, 50027),
        ({"iss": str(uuid4())}, 50027),
    ],
)
async def test_claims_that_do_not_fit_are_refused(
    client: httpx2.AsyncClient, made: Initialised, database: Database, changed: dict[str, Any], number: int
) -> None:
    """Audience, times, issuer and id, each with its number."""
    await register(database, made)
    told = {name: value() if callable(value) else value for name, value in changed.items()}
    answer = await ask(client, made, sign(PS256, claims(made, **told)))
    assert (answer.status_code, answer.json()["error"], answer.json()["error_codes"]) == (
        401, "invalid_client", [number],
    )  # fmt: skip


async def test_key_that_is_not_registered_is_refused(
    client: httpx2.AsyncClient, made: Initialised, database: Database
) -> None:
    """Neither an unknown certificate, nor another key under a known thumbprint, nor a chain that came along."""
    unknown = await ask(client, made, sign(PS256, claims(made)))
    await register(database, made)
    forged = await ask(client, made, sign(PS256, claims(made), OTHER))
    brought = {"alg": "PS256", "x5c": [base64.b64encode(certificate(OTHER)).decode()]}
    own = await ask(client, made, sign(brought, claims(made), OTHER))
    assert [each.json()["error_codes"] for each in (unknown, forged, own)] == [[700027]] * 3
    assert "The key was not found" in unknown.text
    assert "signature" in forged.text


@pytest.mark.parametrize("marked", [None, 7, ["exp"]])
async def test_header_that_marks_something_as_critical_is_refused(
    client: httpx2.AsyncClient, made: Initialised, database: Database, marked: object
) -> None:
    """We know no extension, and what stands there need not even be a list."""
    await register(database, made)
    _, rest = sign(PS256, claims(made)).split(".", 1)
    marking = coded(json.dumps({**PS256, "crit": marked}).encode(), padded=False)
    answer = await ask(client, made, f"{marking}.{rest}")
    assert (answer.status_code, answer.json()["error_codes"]) == (401, [700027])


async def test_other_algorithms_are_refused(client: httpx2.AsyncClient, made: Initialised, database: Database) -> None:
    """Neither none, nor a shared secret made of the public key, nor one that no client needs."""
    await register(database, made)
    body = json.dumps(claims(made)).encode()
    none = f"{coded(json.dumps({**PS256, 'alg': 'none'}).encode(), padded=False)}.{coded(body, padded=False)}."
    text = f"{coded(json.dumps({**PS256, 'alg': 'HS256'}).encode(), padded=False)}.{coded(body, padded=False)}"
    secret = f"{text}.{coded(hmac.new(DER, text.encode(), hashlib.sha256).digest(), padded=False)}"
    for assertion in (none, secret, sign({**PS256, "alg": "PS384"}, claims(made))):
        answer = await ask(client, made, assertion)
        assert (answer.status_code, answer.json()["error_codes"]) == (401, [50027])
        assert "algorithm" in answer.text


async def test_assertion_is_good_once(client: httpx2.AsyncClient, made: Initialised, database: Database) -> None:
    """The same one again is refused; a new one is not."""
    await register(database, made)
    assertion = sign(PS256, claims(made))
    assert (await ask(client, made, assertion)).status_code == 200
    again = await ask(client, made, assertion)
    assert (again.status_code, again.json()["error_codes"]) == (401, [70008])
    assert (await ask(client, made, sign(PS256, claims(made)))).status_code == 200


@pytest.mark.parametrize(("starts", "ends"), [(timedelta(-2), -1), (timedelta(hours=1), 1)])
async def test_certificate_out_of_its_time_is_refused(
    client: httpx2.AsyncClient, made: Initialised, database: Database, starts: timedelta, ends: int
) -> None:
    """Expired, and not good yet."""
    await register(database, made, starts=starts, ends=ends)
    answer = await ask(client, made, sign(PS256, claims(made)))
    assert (answer.status_code, answer.json()["error_codes"]) == (401, [700027])
    assert "expired" in answer.text


async def test_form_and_assertion_must_agree(client: httpx2.AsyncClient, made: Initialised, database: Database) -> None:
    """Another client id, another type of assertion, and no client id at all, which the assertion makes up for."""
    await register(database, made)
    other = await ask(client, made, sign(PS256, claims(made)), client_id=str(uuid4()))
    assert other.json()["error_codes"] == [700021]
    kind = await ask(client, made, sign(PS256, claims(made)), client_assertion_type="urn:other")
    assert kind.json()["error_codes"] == [50027]
    assert (await ask(client, made, sign(PS256, claims(made)), client_id="")).status_code == 200
