"""Credentials of applications: secrets that are shown once, certificates that assertions can be checked with."""

from __future__ import annotations

import base64
import functools
from datetime import UTC, datetime, timedelta
from typing import Any
from uuid import UUID, uuid4

import httpx2
import pytest
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec, rsa
from cryptography.x509.oid import NameOID
from joserfc import jwt
from joserfc.jwk import RSAKey

from dirbridge.service.auth import secrets
from tests.service.graph.conftest import World, code, message
from tests.service.graph.test_applications import WRITE, principal

DAY = timedelta(days=1)
_NAME = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, "reports")])
Key = rsa.RSAPrivateKey | ec.EllipticCurvePrivateKey


@functools.cache
def rsa_key(bits: int = 2048, _number: int = 0) -> rsa.RSAPrivateKey:
    return rsa.generate_private_key(65537, bits)


def certificate(key: Key, begins: timedelta = -DAY, ends: timedelta = 365 * DAY) -> x509.Certificate:
    now = datetime.now(UTC).replace(microsecond=0)
    builder = x509.CertificateBuilder(_NAME, _NAME, key.public_key(), x509.random_serial_number())
    return builder.not_valid_before(now + begins).not_valid_after(now + ends).sign(key, hashes.SHA256())


def der(found: x509.Certificate) -> str:
    return base64.b64encode(found.public_bytes(serialization.Encoding.DER)).decode()


def proof(key: Any, issuer: str, **more: Any) -> str:
    now = datetime.now(UTC).timestamp()
    claims = {"aud": "00000002-0000-0000-c000-000000000000", "iss": issuer, "nbf": now, "exp": now + 300, **more}
    pem = key.private_bytes(serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption())
    return jwt.encode({"alg": "RS256"}, claims, RSAKey.import_key(pem))


async def post(world: World, path: str, body: Any, **headers: str) -> httpx2.Response:
    return await world.client.post(path, json=body, headers={**world.bearer(WRITE), **headers})


async def shown(world: World, id: str) -> dict[str, Any]:
    found: dict[str, Any] = (await world.get(f"servicePrincipals/{id}")).json()
    return found


def as_itself(world: World, application: dict[str, Any]) -> dict[str, str]:
    """The header of a request by an application that holds no permission."""
    token = world.tokens.issue_app(app_id=UUID(application["appId"]), object_id=UUID(application["id"]), roles=[])
    return {"Authorization": f"Bearer {token}"}


async def test_a_secret_is_shown_once(world: World) -> None:
    """The hash fits the text of the answer; lists show hint, end and id only."""
    app = await principal(world)
    answer = await post(
        world, f"applications/{app['appId']}/addPassword", {"passwordCredential": {"displayName": "laptop"}}
    )
    assert (answer.status_code, answer.headers["cache-control"]) == (200, "no-store"), answer.text
    made = answer.json()
    ((hashed,),) = await world.run("select secret_hash from service_principal_credentials")
    assert await secrets.matches(hashed, made["secretText"])
    days = datetime.fromisoformat(made["endDateTime"]) - datetime.now(UTC)
    assert timedelta(days=729) < days < timedelta(days=731)
    ((listed,),) = ((await shown(world, app["id"]))["passwordCredentials"],)
    assert (listed["keyId"], listed["hint"], listed["displayName"], listed["secretText"]) == (
        made["keyId"], made["secretText"][:3], "laptop", None,
    )  # fmt: skip
    audits = await world.run("select detail::text from audits where activity = 'Add client secret'")
    assert made["secretText"] not in str(audits)
    assert made["keyId"] in str(audits)


@pytest.mark.parametrize(
    ("wish", "expected"),
    [
        ({"endDateTime": "2020-01-01T00:00:00Z"}, "CredentialLifetime"),
        ({"endDateTime": "9999-01-01T00:00:00Z"}, "CredentialLifetime"),
        ({"endDateTime": "2027-01-01T00:00:00"}, "BadRequest"),
        ({"endDateTime": "soon"}, "BadRequest"),
        ({"startDateTime": "2200-01-01T00:00:00Z"}, "BadRequest"),
        ({"secretText": "chosen-by-me"}, "BadRequest"),
        ({"displayName": "x" * 257}, "BadRequest"),
        ({"displayName": "a\u0000"}, "Request_BadRequest"),
    ],
)
async def test_a_secret_that_cannot_be_made(world: World, wish: dict[str, Any], expected: str) -> None:
    """400, and none is stored."""
    app = await principal(world)
    answer = await post(world, f"servicePrincipals/{app['id']}/addPassword", {"passwordCredential": wish})
    assert (answer.status_code, code(answer)) == (400, expected), answer.text
    assert await world.run("select count(*) from service_principal_credentials") == [(0,)]


async def test_removing_a_secret_ends_tokens(world: World) -> None:
    """Whoever had it may have tokens; one that is not there is said."""
    app = await principal(world)
    where = f"servicePrincipals/{app['id']}"
    made = (await post(world, f"{where}/addPassword", None)).json()
    headers = as_itself(world, app)
    none = await post(world, f"{where}/removePassword", {"keyId": str(uuid4())})
    assert none.status_code == 404
    proofless = {"keyCredential": {"key": ""}, "proof": ""}
    assert (await world.client.post(f"{where}/addKey", json=proofless, headers=headers)).status_code == 400
    assert (await post(world, f"{where}/removePassword", {"keyId": made["keyId"]})).status_code == 204
    assert (await shown(world, app["id"]))["passwordCredentials"] == []
    assert (await world.client.post(f"{where}/addKey", json=proofless, headers=headers)).status_code == 401


async def test_twenty_secrets_are_enough(world: World) -> None:
    """The next one is refused until another goes."""
    app = await principal(world)
    await world.run(
        """insert into service_principal_credentials (tenant, service_principal, id, secret_hash, expires_at)
           select tenant, id, gen_random_uuid(), '', now() from service_principals, generate_series(1, 20)
           where id = %s""",
        [app["id"]],
    )
    answer = await post(world, f"servicePrincipals/{app['id']}/addPassword", {})
    assert (answer.status_code, code(answer)) == (400, "TooManyCredentials")


async def test_certificates_are_replaced_as_a_whole(world: World) -> None:
    """New ones by their key, known ones by their id; what is not named goes, with the tokens."""
    app = await principal(world)
    where = f"applications/{app['appId']}"
    first, second = certificate(rsa_key()), certificate(rsa_key())
    headers = world.bearer(WRITE)
    both = {
        "keyCredentials": [
            {"type": "AsymmetricX509Cert", "usage": "Verify", "key": der(each)} for each in (first, second)
        ]
    }
    assert (await world.client.patch(where, json=both, headers=headers)).status_code == 204
    listed = {each["key"]: each for each in (await shown(world, app["id"]))["keyCredentials"]}
    found = listed[der(first)]
    assert base64.b64decode(found["customKeyIdentifier"]) == first.fingerprint(hashes.SHA1())
    assert (found["displayName"], found["type"], found["usage"]) == ("CN=reports", "AsymmetricX509Cert", "Verify")
    assert datetime.fromisoformat(found["endDateTime"]) == first.not_valid_after_utc
    again = {"keyCredentials": [{**each, "key": None} for each in listed.values()]}
    assert (await world.client.patch(where, json=again, headers=headers)).status_code == 204
    assert (await world.client.patch(where, json=both, headers=headers)).status_code == 204
    assert {each["keyId"] for each in (await shown(world, app["id"]))["keyCredentials"]} == {
        each["keyId"] for each in listed.values()
    }
    theirs = as_itself(world, app)
    kept = {"keyCredentials": [{"keyId": found["keyId"]}]}
    assert (await world.client.patch(f"servicePrincipals/{app['id']}", json=kept, headers=headers)).status_code == 204
    assert [each["keyId"] for each in (await shown(world, app["id"]))["keyCredentials"]] == [found["keyId"]]
    refused = await world.client.post(f"{where}/addKey", json={}, headers=theirs)
    assert refused.status_code == 401
    unknown = {"keyCredentials": [{"keyId": str(uuid4())}]}
    assert (await world.client.patch(where, json=unknown, headers=headers)).status_code == 404
    nameless = await world.client.patch(where, json={"keyCredentials": [{}]}, headers=headers)
    assert (nameless.status_code, code(nameless)) == (400, "InvalidKeyCredential")


async def test_pem_is_as_good(world: World) -> None:
    """As it is, and in base64."""
    app = await principal(world)
    pem = certificate(rsa_key()).public_bytes(serialization.Encoding.PEM)
    other = certificate(rsa_key()).public_bytes(serialization.Encoding.PEM)
    body = {"keyCredentials": [{"key": pem.decode()}, {"key": base64.b64encode(other).decode(), "displayName": "b"}]}
    answer = await world.client.patch(f"applications/{app['appId']}", json=body, headers=world.bearer(WRITE))
    assert answer.status_code == 204, answer.text
    assert len((await shown(world, app["id"]))["keyCredentials"]) == 2


def _with_a_broken_name(found: x509.Certificate) -> str:
    """The certificate with a name that is no text of its kind."""
    coded = found.public_bytes(serialization.Encoding.DER)
    return base64.b64encode(coded.replace(b"\x0c\x07reports", b"\x0c\x07\xff\xff\xff\xff\xff\xff\xff")).decode()


def _bad() -> dict[str, tuple[dict[str, Any], str]]:
    sound = certificate(rsa_key())
    private = rsa_key().private_bytes(
        serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption()
    )
    far = (datetime.now(UTC) + 400 * DAY).isoformat()
    return {
        "small": ({"key": der(certificate(rsa_key(1024)))}, "1,024 bits"),
        "curve": ({"key": der(certificate(ec.generate_private_key(ec.SECP256R1())))}, "no RSA key"),
        "expired": ({"key": der(certificate(rsa_key(), -2 * DAY, -DAY))}, "expired"),
        "long": ({"key": der(certificate(rsa_key(), ends=4000 * DAY))}, "10 years"),
        "nonsense": ({"key": base64.b64encode(b"hello").decode()}, "no X.509 certificate"),
        "no base64": ({"key": "%%%"}, "no X.509 certificate"),
        "letters": ({"key": "ü"}, "no X.509 certificate"),
        "empty": ({"key": ""}, "no X.509 certificate"),
        "private": ({"key": private.decode()}, "private key"),
        "symmetric": ({"key": der(sound), "type": "Symmetric"}, "Symmetric"),
        "sign": ({"key": der(sound), "usage": "Sign"}, "Sign"),
        "longer than itself": ({"key": der(sound), "endDateTime": far}, "no longer than that"),
        "before itself": ({"key": der(sound), "startDateTime": "2020-01-01T00:00:00Z"}, "no longer than that"),
        "a name that is none": ({"key": _with_a_broken_name(sound)}, "cannot be read"),
        "no zone": ({"key": der(sound), "endDateTime": "2027-01-01T00:00:00"}, "no zone"),
    }


@pytest.mark.parametrize("name", list(_bad()))
async def test_a_certificate_that_is_none(world: World, name: str) -> None:
    """400 that says why; none is stored, and a private key is not repeated."""
    app = await principal(world)
    wish, expected = _bad()[name]
    answer = await world.client.patch(
        f"applications/{app['appId']}", json={"keyCredentials": [wish]}, headers=world.bearer(WRITE)
    )
    assert (answer.status_code, code(answer)) == (400, "InvalidKeyCredential"), answer.text
    assert expected in message(answer)
    assert "PRIVATE KEY-----" not in answer.text
    assert (await shown(world, app["id"]))["keyCredentials"] == []


async def test_an_application_rolls_its_own_keys(world: World) -> None:
    """Without any permission, by the key that it has; the old one goes with a proof by the new one."""
    app = await principal(world)
    old, new = rsa_key(2048, 1), rsa_key(2048, 2)
    where = f"applications/{app['appId']}"
    await world.client.patch(
        where, json={"keyCredentials": [{"key": der(certificate(old))}]}, headers=world.bearer(WRITE)
    )
    headers = as_itself(world, app)
    body = {"keyCredential": {"key": der(certificate(new))}, "proof": proof(old, app["appId"])}
    added = await world.client.post(f"{where}/addKey", json=body, headers=headers)
    assert added.status_code == 200, added.text
    assert added.json()["key"] == body["keyCredential"]["key"]
    twice = await world.client.post(f"{where}/addKey", json=body, headers=headers)
    assert (twice.status_code, code(twice)) == (400, "InvalidKeyCredential")
    keys = (await shown(world, app["id"]))["keyCredentials"]
    (gone,) = [each["keyId"] for each in keys if each["keyId"] != added.json()["keyId"]]
    named = {"keyId": gone, "proof": proof(new, app["id"])}
    unknown = await world.client.post(f"{where}/removeKey", json={**named, "keyId": str(uuid4())}, headers=headers)
    assert unknown.status_code == 404
    removed = await world.client.post(f"servicePrincipals/{app['id']}/removeKey", json=named, headers=headers)
    assert removed.status_code == 204, removed.text
    assert [each["keyId"] for each in (await shown(world, app["id"]))["keyCredentials"]] == [added.json()["keyId"]]


async def test_proofs_that_prove_nothing(world: World) -> None:
    """By another key, for another, elsewhere, too old, too long, by an application without a certificate."""
    app, bare = await principal(world), await principal(world, "Bare")
    own, foreign = rsa_key(2048, 1), rsa_key(2048, 2)
    now = datetime.now(UTC).timestamp()
    await world.client.patch(
        f"applications/{app['appId']}", json={"keyCredentials": [{"key": der(certificate(own))}]},
        headers=world.bearer(WRITE),
    )  # fmt: skip
    wrong = {
        "no JWT": ["", "a.b.c", "x" * 100, "eyJhbGciOiJSUzI1NiIsImNyaXQiOm51bGx9.e30.AA", proof(foreign, app["appId"])],
        "'iss'": [proof(own, bare["appId"])],
        "'aud'": [proof(own, app["appId"], aud="https://elsewhere.test")],
        "not good now": [
            proof(own, app["appId"], nbf=now - 3600, exp=now - 1800),
            proof(own, app["appId"], exp=now + 7200),
            proof(own, app["appId"], nbf=now + 1800, exp=now + 2000),
            proof(own, app["appId"], nbf=-62135596800, exp=253402300799),
        ],
        "times in seconds": [proof(own, app["appId"], exp="soon"), proof(own, app["appId"], nbf=True)],
    }
    for expected, given in wrong.items():
        for text in given:
            body = {"keyCredential": {"key": der(certificate(own))}, "proof": text}
            answer = await post(world, f"applications/{app['appId']}/addKey", body)
            assert (answer.status_code, code(answer)) == (400, "InvalidProof"), (expected, answer.text)
            assert expected in message(answer)
    body = {"keyCredential": {"key": der(certificate(own))}, "proof": proof(own, bare["appId"])}
    answer = await post(world, f"applications/{bare['appId']}/addKey", body)
    assert "no certificate that is good now" in message(answer)
    stranger = as_itself(world, bare)
    body = {"keyCredential": {"key": der(certificate(own))}, "proof": proof(own, app["appId"])}
    refused = await world.client.post(f"applications/{app['appId']}/addKey", json=body, headers=stranger)
    assert refused.status_code == 403
