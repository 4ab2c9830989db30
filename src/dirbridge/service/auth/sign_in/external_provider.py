"""An OpenID Connect provider outside: where it lies, what it signs with, and who it says somebody is.

Asked by `external` only. What it publishes is kept for a while; a key that is not among what is kept is looked for
again, so that the provider may change its keys at any time. While it does not answer, it is not asked by everybody.

Source: OpenID Connect Core 1.0 sections 3.1.3 and 9, Discovery 1.0 section 4; RFC 7636; RFC 9207.
"""

from __future__ import annotations

import asyncio
import base64
import hashlib
import hmac
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from typing import Any, Literal, TypeVar
from urllib.parse import quote_plus, urlencode, urlsplit

import httpx2
import msgspec
from joserfc import jwt
from joserfc.errors import JoseError
from joserfc.jwk import ECKey, KeySet, OctKey, OKPKey, RSAKey

from dirbridge.contract.errors import ConfigurationError, TransientError
from dirbridge.service import https
from dirbridge.service.https import Way

ALGORITHMS = ["RS256", "PS256", "ES256", "ES384", "EdDSA"]
"""Of signatures that are taken: none without a key, none with a shared one."""
KEPT, KEYS_KEPT, FAILURE_KEPT = timedelta(hours=1), timedelta(seconds=60), timedelta(seconds=10)
"""How long what it publishes is used, keys are not asked for again, and a failure is told without asking."""
SKEW = timedelta(seconds=60)
"""By which its clock may differ."""
MOST_BYTES = 512 * 1024
"""Of an answer."""

_PLAIN = {"Accept-Encoding": "identity"}
_Document = TypeVar("_Document")
_KEYS: dict[str, Callable[[Any], RSAKey | ECKey | OKPKey]] = {
    "RSA": RSAKey.import_key, "EC": ECKey.import_key, "OKP": OKPKey.import_key,
}  # fmt: skip


class Metadata(msgspec.Struct, frozen=True):
    """What a provider publishes of itself."""

    issuer: str
    authorization_endpoint: str
    token_endpoint: str
    jwks_uri: str
    token_endpoint_auth_methods_supported: tuple[str, ...] = ("client_secret_basic",)


class _KeysDocument(msgspec.Struct):
    keys: list[dict[str, Any]]


class _TokenAnswer(msgspec.Struct):
    id_token: str


class Claims(msgspec.Struct, frozen=True):
    """What an id_token says of a person, once everything else in it was found right."""

    sub: str
    email: str | None = None
    email_verified: bool | str | None = None
    preferred_username: str | None = None
    amr: list[str] | str | None = None


@dataclass(frozen=True, slots=True, repr=False)
class Registration:
    """What is settled between the provider and us.

    Attributes:
        secret: None where we are a public client there.
        label: what the sign-in page calls it.
        name: the claim by which it says, once, which administrator somebody is; an address must be verified.
    """

    issuer: str
    client_id: str
    secret: str | None
    label: str
    way: Way
    name: Literal["email", "preferred_username"] = "email"


@dataclass(slots=True, repr=False)
class Provider:
    """The provider. One object serves all requests of a process."""

    registration: Registration
    clock: Callable[[], datetime]
    _metadata: tuple[datetime, Metadata] | None = None
    _keys: tuple[datetime, KeySet] | None = None
    _failure: tuple[datetime, TransientError | ConfigurationError] | None = None
    _turn: asyncio.Lock = field(default_factory=asyncio.Lock)

    async def address(
        self, redirect_uri: str, state: str, nonce: str, verifier: str, *, reauthenticate: bool = False
    ) -> str:
        """Give where a browser asks the provider who its person is.

        Args:
            redirect_uri: where the browser comes back to.
            state: what it brings along then.
            nonce: what the token holds.
            verifier: what the code's exchange will show.
            reauthenticate: the provider is to ask also whom it knows already.

        Raises:
            TransientError: the provider cannot be asked.
            ConfigurationError: what it publishes is not fit for use.
        """
        metadata = await self._published()
        challenge = base64.urlsafe_b64encode(hashlib.sha256(verifier.encode()).digest()).rstrip(b"=").decode()
        asked = {
            "response_type": "code", "client_id": self.registration.client_id, "redirect_uri": redirect_uri,
            "scope": "openid profile email", "state": state, "nonce": nonce, "code_challenge": challenge,
            "code_challenge_method": "S256", **({"prompt": "login"} if reauthenticate else {}),
        }  # fmt: skip
        joint = "&" if urlsplit(metadata.authorization_endpoint).query else "?"
        return f"{metadata.authorization_endpoint}{joint}{urlencode(asked)}"

    async def exchange(self, code: str, redirect_uri: str, verifier: str, nonce: str) -> Claims:
        """Trade a code for what the provider says of the person.

        Raises:
            TransientError: the provider cannot be asked.
            ConfigurationError: it refused, or its token is not to be believed.
        """
        metadata, ours = await self._published(), self.registration
        form = {
            "grant_type": "authorization_code", "code": code, "redirect_uri": redirect_uri, "code_verifier": verifier,
            "client_id": ours.client_id,
        }  # fmt: skip
        headers = {"Content-Type": "application/x-www-form-urlencoded", "Accept": "application/json"}
        if ours.secret is not None and "client_secret_basic" in metadata.token_endpoint_auth_methods_supported:
            pair = f"{quote_plus(ours.client_id)}:{quote_plus(ours.secret)}"  # RFC 6749 section 2.3.1
            headers["Authorization"] = "Basic " + base64.b64encode(pair.encode()).decode()
        elif ours.secret is not None:
            form["client_secret"] = ours.secret
        answer = await self._ask("POST", metadata.token_endpoint, headers, urlencode(form).encode())
        return await self._believed(_read(answer, _TokenAnswer).id_token, nonce)

    async def _believed(self, token: str, nonce: str) -> Claims:
        ours = self.registration
        try:
            decoded = await self._decoded(token)
            claims = decoded.claims
            rules = jwt.JWTClaimsRegistry(
                now=int(self.clock().timestamp()),
                leeway=int(SKEW.total_seconds()),
                iss={"essential": True, "value": ours.issuer},
                aud={"essential": True, "value": ours.client_id},
                exp={"essential": True},
                iat={"essential": True},
                sub={"essential": True},
                nonce={"essential": True},
            )
            rules.validate(claims)
            several = isinstance(claims["aud"], list) and len(claims["aud"]) > 1
            if claims.get("azp", "" if several else ours.client_id) != ours.client_id:
                raise _distrusted("it was issued to another client")
            if not hmac.compare_digest(str(claims["nonce"]).encode(), nonce.encode()):
                raise _distrusted("it is not the one that was asked for")
            return msgspec.convert(claims, Claims)
        except (JoseError, ValueError, TypeError, msgspec.ValidationError) as error:
            raise _distrusted(str(error) or type(error).__name__) from error

    async def _decoded(self, token: str) -> jwt.Token:
        """Open a token by the provider's keys, which are asked for once more where none fits."""
        keys = await self._key_set(anew=False)
        try:
            return jwt.decode(token, keys, algorithms=ALGORITHMS)
        except (JoseError, ValueError):
            again = await self._key_set(anew=True)
            if again is keys:
                raise
            return jwt.decode(token, again, algorithms=ALGORITHMS)

    async def _published(self) -> Metadata:
        async with self._turn:
            if self._metadata is not None and self.clock() - self._metadata[0] < KEPT:
                return self._metadata[1]
            if self._failure is not None and self.clock() - self._failure[0] < FAILURE_KEPT:
                raise self._failure[1]
            try:
                found = await self._discover()
            except (TransientError, ConfigurationError) as error:
                self._failure = self.clock(), error
                raise
            self._metadata = self.clock(), found
            return found

    async def _discover(self) -> Metadata:
        issuer = self.registration.issuer
        address = issuer.rstrip("/") + "/.well-known/openid-configuration"
        found = _read(await self._ask("GET", address, {"Accept": "application/json"}), Metadata)
        if found.issuer != issuer:
            raise _unfit(f"it calls itself '{found.issuer[:200]}', '{issuer}' is expected")
        for each in (found.authorization_endpoint, found.token_endpoint, found.jwks_uri):
            if urlsplit(each).scheme != "https" or not urlsplit(each).hostname:
                raise _unfit(f"'{each[:200]}' is not reached by HTTPS")
        return found

    async def _key_set(self, *, anew: bool) -> KeySet:
        """Give the keys; `anew` asks again, unless that was done just now."""
        async with self._turn:
            kept = self._keys
            if kept is not None and self.clock() - kept[0] < (KEYS_KEPT if anew else KEPT):
                return kept[1]
        address = (await self._published()).jwks_uri
        document = _read(await self._ask("GET", address, {"Accept": "application/json"}), _KeysDocument)
        keys: list[OctKey | RSAKey | ECKey | OKPKey] = [
            key for each in document.keys if (key := _key(each)) is not None
        ]
        if not keys:
            raise _unfit("it has no key for signatures that is of use here")
        found = KeySet(keys)
        self._keys = self.clock(), found
        return found

    async def _ask(self, method: str, address: str, headers: Mapping[str, str], content: bytes | None = None) -> bytes:
        way, body = self.registration.way, bytearray()
        try:
            url = httpx2.URL(address)
        except httpx2.InvalidURL as error:
            raise _unfit(f"'{address[:200]}' is no address") from error
        try:
            async with (
                asyncio.timeout(way.timeout.total_seconds()),
                https.call(way, method, url, headers={**headers, **_PLAIN}, content=content) as said,
            ):
                async for chunk in said.aiter_raw():
                    body += chunk
                    if len(body) > MOST_BYTES:
                        raise _unfit(f"an answer has more than {MOST_BYTES:,} bytes")
                status = said.status_code
        except (TimeoutError, httpx2.TransportError) as error:
            raise _silent(url.host, "did not answer in time") from error
        if status >= 500:
            raise _silent(url.host, f"answered {status}")
        if status != 200:
            raise ConfigurationError(
                f"The sign-in provider at {url.host} answered {status}{_reason(bytes(body))}.",
                code="ProviderRefused",
                recommended_action="Try again; if it stays so, see the registration of this service there.",
            )
        return bytes(body)


def _read(body: bytes, kind: type[_Document]) -> _Document:
    try:
        return msgspec.json.decode(body, type=kind)
    except msgspec.MsgspecError as error:
        raise _unfit(f"an answer is not what it should be: {error}") from error


def _key(document: Mapping[str, Any]) -> RSAKey | ECKey | OKPKey | None:
    """Read a key for signatures; None for any other."""
    make = _KEYS.get(str(document.get("kty")))
    if make is None or document.get("use", "sig") != "sig":
        return None
    try:
        return make(dict(document))
    except (JoseError, ValueError, TypeError, KeyError):
        return None


def _reason(body: bytes) -> str:
    """Give OAuth's word for a refusal, where there is one."""
    try:
        said = msgspec.json.decode(body)["error"]
    except (msgspec.MsgspecError, KeyError, TypeError):
        return ""
    return f" ({said})" if isinstance(said, str) and said.isascii() and said.isidentifier() and len(said) < 60 else ""


def _silent(host: str, what: str) -> TransientError:
    return TransientError(
        f"The sign-in provider at {host} {what}.",
        code="ProviderUnavailable",
        recommended_action="Try again later, or sign in with your password.",
    )


def _unfit(why: str) -> ConfigurationError:
    return ConfigurationError(
        f"What the sign-in provider publishes is not fit for use: {why}.",
        code="ProviderUnfit",
        recommended_action="See DIRBRIDGE_OIDC_ISSUER and the provider's configuration.",
    )


def _distrusted(why: str) -> ConfigurationError:
    return ConfigurationError(
        f"The sign-in provider's word on who you are is not believed: {why.rstrip('.')}.",
        code="ProviderTokenRefused",
        recommended_action="Try again; if it stays so, see the registration of this service there.",
    )
