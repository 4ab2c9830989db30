"""The published flow, step by step at the real doors: register, let act, prove, grant, call, take away, be refused."""

from __future__ import annotations

import base64
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
from cryptography.x509.oid import NameOID
from joserfc import jwt
from joserfc.jwk import RSAKey

from dirbridge.service.setup import Identity, Initialised
from tests.service.conftest import BASE_URL

V1 = f"{BASE_URL}/v1.0"
GRAPH = "00000003-0000-0000-c000-000000000000"


class Script:
    """What an administrator's script does, with the token of the command line's application."""

    def __init__(self, client: httpx2.AsyncClient, identity: Identity) -> None:
        self.client = client
        self.token_url = f"{BASE_URL}/{identity.tenant.id}/oauth2/v2.0/token"
        self.headers: dict[str, str] = {}

    async def token(self, client_id: str, **proof: str) -> httpx2.Response:
        form = {
            "grant_type": "client_credentials", "client_id": client_id,
            "scope": "https://graph.microsoft.com/.default", **proof,
        }  # fmt: skip
        return await self.client.post(self.token_url, data=form)

    async def do(self, method: str, path: str, body: Any = None, status: int = 200) -> dict[str, Any]:
        answer = await self.client.request(method, f"{V1}/{path}", json=body, headers=self.headers)
        assert answer.status_code == status, answer.text
        found: dict[str, Any] = answer.json() if answer.content else {}
        return found

    async def read_users(self, token: str) -> int:
        answer = await self.client.get(f"{V1}/users", headers={"Authorization": f"Bearer {token}"})
        return answer.status_code


@pytest.fixture
async def script(client: httpx2.AsyncClient, identity: Identity, made: Initialised) -> Script:
    opened = Script(client, identity)
    assert made.client_secret is not None
    answer = await opened.token(str(made.client_id), client_secret=made.client_secret)
    opened.headers = {"Authorization": f"Bearer {answer.json()['access_token']}"}
    return opened


def roles(token: str) -> list[str]:
    payload = token.split(".")[1]
    found: list[str] = json.loads(base64.urlsafe_b64decode(payload + "=" * (-len(payload) % 4)))["roles"]
    return found


def numbers(answer: httpx2.Response) -> list[int]:
    found: list[int] = answer.json()["error_codes"]
    return found


def next_second() -> None:
    """Tokens know their second only: one of the very second in which others were voided is void, too."""
    began = int(time.time())
    while int(time.time()) == began:
        time.sleep(0.01)


async def test_by_a_secret(script: Script) -> None:
    """Each step does what the one after it needs, and each that takes something away counts at once."""
    application = await script.do("POST", "applications", {"displayName": "reports"}, 201)
    secret = await script.do("POST", f"applications/{application['id']}/addPassword", {})
    proof = {"client_secret": secret["secretText"]}
    early = await script.token(application["appId"], **proof)
    assert (early.status_code, numbers(early)) == (400, [7000229])
    principal = await script.do("POST", "servicePrincipals", {"appId": application["appId"]}, 201)
    bare = (await script.token(application["appId"], **proof)).json()["access_token"]
    assert (roles(bare), await script.read_users(bare)) == ([], 403)
    listed = await script.do("GET", f"servicePrincipals?$filter=appId eq '{GRAPH}'&$select=id,appRoles")
    (graph,) = listed["value"]
    (role,) = [each["id"] for each in graph["appRoles"] if each["value"] == "User.Read.All"]
    wish = {"principalId": principal["id"], "resourceId": graph["id"], "appRoleId": role}
    granted = await script.do("POST", f"servicePrincipals/{principal['id']}/appRoleAssignments", wish, 201)
    good = (await script.token(application["appId"], **proof)).json()["access_token"]
    assert (roles(good), await script.read_users(good)) == (["User.Read.All"], 200)
    where = f"servicePrincipals/{principal['id']}/appRoleAssignments/{granted['id']}"
    await script.do("DELETE", where, status=204)
    assert await script.read_users(good) == 401
    next_second()
    again = (await script.token(application["appId"], **proof)).json()["access_token"]
    assert await script.read_users(again) == 403
    await script.do("POST", f"applications/{application['id']}/removePassword", {"keyId": secret["keyId"]}, 204)
    assert await script.read_users(again) == 401
    assert numbers(await script.token(application["appId"], **proof)) == [7000215]


async def test_by_a_certificate(script: Script) -> None:
    """Registered by PATCH, used by an assertion, void when it is removed; a disabled and a deleted one say so."""
    key = rsa.generate_private_key(65537, 2048)
    name = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, "reports")])
    now = datetime.now(UTC)
    signed = x509.CertificateBuilder(name, name, key.public_key(), 1).not_valid_before(now - timedelta(days=1))
    certificate = signed.not_valid_after(now + timedelta(days=30)).sign(key, hashes.SHA256())
    application = await script.do("POST", "applications", {"displayName": "reports"}, 201)
    principal = await script.do("POST", "servicePrincipals", {"appId": application["appId"]}, 201)
    where = f"applications/{application['id']}"
    coded = base64.b64encode(certificate.public_bytes(serialization.Encoding.DER)).decode()
    body = {"keyCredentials": [{"type": "AsymmetricX509Cert", "usage": "Verify", "key": coded}]}
    await script.do("PATCH", where, body, 204)

    async def asserted() -> httpx2.Response:
        pem = key.private_bytes(
            serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption()
        )
        thumbprint = base64.urlsafe_b64encode(certificate.fingerprint(hashes.SHA256())).decode()
        claims = {
            "aud": script.token_url, "iss": application["appId"], "sub": application["appId"], "jti": str(uuid4()),
            "exp": time.time() + 300,
        }  # fmt: skip
        text = jwt.encode(
            {"alg": "PS256", "x5t#S256": thumbprint}, claims, RSAKey.import_key(pem), algorithms=["PS256"]
        )
        kind = "urn:ietf:params:oauth:client-assertion-type:jwt-bearer"
        return await script.token(application["appId"], client_assertion_type=kind, client_assertion=text)

    token = (await asserted()).json()["access_token"]
    assert await script.read_users(token) == 403
    await script.do("PATCH", where, {"keyCredentials": []}, 204)
    assert await script.read_users(token) == 401
    assert numbers(await asserted()) == [700027]
    await script.do("PATCH", where, body, 204)
    await script.do("PATCH", f"servicePrincipals/{principal['id']}", {"accountEnabled": False}, 204)
    assert numbers(await asserted()) == [7000112]
    await script.do("DELETE", f"servicePrincipals/{principal['id']}", status=204)
    assert numbers(await asserted()) == [7000229]
    await script.do("DELETE", where, status=204)
    assert numbers(await asserted()) == [700016]
