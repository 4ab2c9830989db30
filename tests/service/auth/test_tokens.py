"""Tokens are taken for what they were issued for, and every forgery is refused."""

import base64
import hashlib
import hmac
import json
from datetime import UTC, datetime, timedelta
from typing import Any
from uuid import UUID

import pytest
from joserfc import jwt
from joserfc.jwk import RSAKey

from dirbridge.contract.errors import CredentialError
from dirbridge.service.auth.tokens import Tokens

TENANT = UUID("9f2f6c3e-1f3c-4d62-9a3a-3b1a6d2f7a10")
APP = UUID("0f0e0d0c-0b0a-4908-8706-050403020100")
PRINCIPAL = UUID("11111111-2222-4333-8444-555555555555")
AGENT = UUID("66666666-7777-4888-8999-000000000000")
BASE_URL = "https://dirbridge.example"
NOW = datetime(2026, 3, 1, 12, tzinfo=UTC)
KEYS = [RSAKey.generate_key(2048, {"kid": name}) for name in ("new", "old", "foreign")]


def at(moment: datetime, *keys: RSAKey, base_url: str = BASE_URL, tenant: UUID = TENANT) -> Tokens:
    return Tokens(tenant, base_url, keys or KEYS[:2], lambda: moment)


def issued(tokens: Tokens) -> str:
    return tokens.issue_app(app_id=APP, object_id=PRINCIPAL, roles=["User.Read.All"])


def coded(part: bytes | dict[str, Any]) -> str:
    text = part if isinstance(part, bytes) else json.dumps(part).encode()
    return base64.urlsafe_b64encode(text).rstrip(b"=").decode()


def decoded(part: str) -> dict[str, Any]:
    found: dict[str, Any] = json.loads(base64.urlsafe_b64decode(part + "=" * (-len(part) % 4)))
    return found


def test_application_token_has_the_claims_that_clients_read() -> None:
    """Header and payload as Graph's app-only tokens have them."""
    header, payload, _ = issued(at(NOW)).split(".")
    assert decoded(header) == {"alg": "RS256", "typ": "JWT", "kid": "new"}
    claims = decoded(payload)
    assert len(claims.pop("uti")) == 32
    assert claims == {
        "iss": f"{BASE_URL}/{TENANT}/v2.0",
        "aud": BASE_URL,
        "tid": str(TENANT),
        "oid": str(PRINCIPAL),
        "sub": str(PRINCIPAL),
        "appid": str(APP),
        "appidacr": "1",
        "azp": str(APP),
        "azpacr": "1",
        "idtyp": "app",
        "roles": ["User.Read.All"],
        "ver": "2.0",
        "iat": int(NOW.timestamp()),
        "nbf": int(NOW.timestamp()),
        "exp": int(NOW.timestamp()) + 3599,
    }


def test_published_keys_verify_and_hold_nothing_private() -> None:
    """A stranger verifies with the key set alone."""
    tokens = at(NOW)
    published = tokens.public_keys()["keys"]
    assert [key["kid"] for key in published] == ["new", "old"]
    assert all(not {"d", "p", "q", "dp", "dq", "qi"} & key.keys() for key in published)
    key = RSAKey.import_key({name: published[0][name] for name in ("kty", "n", "e")})
    assert jwt.decode(issued(tokens), key, algorithms=["RS256"]).claims["appid"] == str(APP)


def test_token_signed_before_a_rotation_is_still_good() -> None:
    """The old key verifies, it only signs no more."""
    assert at(NOW).verify_graph(issued(at(NOW, KEYS[1])))["oid"] == str(PRINCIPAL)


def test_agent_token_gives_the_agent() -> None:
    """What was issued to an agent names it."""
    assert at(NOW).verify_agent(at(NOW).issue_agent(AGENT)) == AGENT


def test_neither_token_is_taken_for_the_other() -> None:
    """Audience and type keep agents from Graph and applications from the agents' door."""
    tokens = at(NOW)
    with pytest.raises(CredentialError):
        tokens.verify_graph(tokens.issue_agent(AGENT))
    with pytest.raises(CredentialError):
        tokens.verify_agent(issued(tokens))


def test_type_alone_is_enough_to_refuse() -> None:
    """A token with the right audience and the wrong type is refused."""
    tokens = at(NOW)
    claims = jwt.decode(issued(tokens), KEYS[0], algorithms=["RS256"]).claims
    relabelled = jwt.encode({"alg": "RS256", "typ": "agent+jwt", "kid": "new"}, claims, KEYS[0], algorithms=["RS256"])
    with pytest.raises(CredentialError, match="type"):
        tokens.verify_graph(relabelled)


@pytest.mark.parametrize(
    ("after", "good"), [(timedelta(0), True), (timedelta(minutes=60), True), (timedelta(minutes=62), False)]
)
def test_token_expires(after: timedelta, good: bool) -> None:
    """It is good for an hour, with a minute for clocks that differ."""
    token = issued(at(NOW))
    if good:
        assert at(NOW + after).verify_graph(token)["oid"] == str(PRINCIPAL)
    else:
        with pytest.raises(CredentialError, match="expired"):
            at(NOW + after).verify_graph(token)


def test_token_that_was_verified_expires_all_the_same() -> None:
    """That a token is remembered makes it good no longer than it is."""
    moment = NOW
    tokens = Tokens(TENANT, BASE_URL, KEYS[:2], lambda: moment)
    token = issued(tokens)
    assert tokens.verify_graph(token) == tokens.verify_graph(token)
    moment += timedelta(hours=2)
    with pytest.raises(CredentialError, match="expired"):
        tokens.verify_graph(token)


def test_token_from_the_future_is_refused() -> None:
    """`nbf` is looked at."""
    with pytest.raises(CredentialError):
        at(NOW - timedelta(minutes=5)).verify_graph(issued(at(NOW)))


@pytest.mark.parametrize(
    "elsewhere",
    [
        at(NOW, KEYS[2]),
        at(NOW, RSAKey.generate_key(2048, {"kid": "new"})),
        at(NOW, base_url="https://other.example"),
        at(NOW, tenant=UUID("aaaaaaaa-2222-4333-8444-555555555555")),
    ],
    ids=["unknown key", "key of the same name", "other audience", "other tenant"],
)
def test_token_of_another_service_is_refused(elsewhere: Tokens) -> None:
    """Key, audience, issuer and tenant must all be ours."""
    with pytest.raises(CredentialError):
        at(NOW).verify_graph(issued(elsewhere))


def _unsigned(token: str) -> str:
    _, payload, _ = token.split(".")
    return f"{coded({'alg': 'none', 'typ': 'JWT', 'kid': 'new'})}.{payload}."


def _signed_with_the_public_key(token: str) -> str:
    """Sign by HMAC, in the hope that the verifier takes its public key for the secret."""
    _, payload, _ = token.split(".")
    text = f"{coded({'alg': 'HS256', 'typ': 'JWT', 'kid': 'new'})}.{payload}"
    digest = hmac.new(KEYS[0].as_pem(private=False), text.encode(), hashlib.sha256).digest()
    return f"{text}.{coded(digest)}"


def _with_more_rights(token: str) -> str:
    header, payload, signature = token.split(".")
    return f"{header}.{coded({**decoded(payload), 'roles': ['Directory.ReadWrite.All']})}.{signature}"


def _with_header(token: str, **more: Any) -> str:
    header, rest = token.split(".", 1)
    return f"{coded({**decoded(header), **more})}.{rest}"


def _with_its_own_key(token: str) -> str:
    """Bring the key along in the header."""
    header, payload, _ = token.split(".")
    jwk = {**KEYS[2].as_dict(private=False)}
    claims = decoded(payload)
    return jwt.encode({**decoded(header), "jwk": jwk}, claims, KEYS[2], algorithms=["RS256"])


@pytest.mark.parametrize(
    "forge",
    [
        _unsigned,
        _signed_with_the_public_key,
        _with_more_rights,
        _with_its_own_key,
        lambda token: _with_header(token, crit=None),
        lambda token: _with_header(token, crit=7),
        lambda token: _with_header(token, crit=["exp"]),
        lambda token: token[:-8],
        lambda token: token + ".x",
        lambda _token: "",
        lambda _token: "a.b.c",
        lambda _token: "\x00.é.☃",
        lambda token: ".".join([*token.split(".")[:2], ""]),
    ],
)
def test_forgery_is_refused(forge: Any) -> None:
    """No algorithm but ours, no key but ours, not one byte changed."""
    tokens = at(NOW)
    with pytest.raises(CredentialError) as caught:
        tokens.verify_graph(forge(issued(tokens)))
    assert caught.value.code == "InvalidAuthenticationToken"


@pytest.mark.parametrize(
    ("token", "reason"),
    [
        (at(NOW).issue_agent(AGENT), "audience"),
        (issued(at(NOW, base_url="https://other.example")), "issuer is another tenant"),
        (issued(at(NOW, tenant=AGENT)), "issuer is another tenant"),
        (issued(at(NOW, KEYS[2])), "signature"),
        (issued(at(NOW, RSAKey.generate_key(2048, {"kid": "new"}))), "signature"),
        (_with_more_rights(issued(at(NOW))), "signature"),
        (_unsigned(issued(at(NOW))), "algorithm"),
        (_signed_with_the_public_key(issued(at(NOW))), "algorithm"),
        (issued(at(NOW - timedelta(hours=2))), "expired"),
        (issued(at(NOW + timedelta(hours=2))), "not valid yet"),
        ("a.b.c", "no token"),
    ],
    ids=[
        "agent's", "audience", "tenant", "unknown key", "other key", "changed", "none", "HS256", "expired", "early",
        "odd",
    ],
)  # fmt: skip
def test_refusal_says_what_is_wrong(token: str, reason: str) -> None:
    """Whoever reads the answer knows which of the token's parts to look at."""
    with pytest.raises(CredentialError) as caught:
        at(NOW).verify_graph(token)
    assert reason in str(caught.value)
