"""A real OpenID Connect provider on loopback over HTTPS, that does as a test tells it."""

from __future__ import annotations

import asyncio
import base64
import contextlib
import hashlib
import hmac
import json
import socket
from collections.abc import AsyncIterator, Callable
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any
from urllib.parse import parse_qs, unquote_plus, urlsplit

import uvicorn
from fastapi import FastAPI, Request
from joserfc import jwt
from joserfc.jwk import ECKey, KeySet, RSAKey
from starlette.responses import JSONResponse, Response

from tests.service.notify.parts import Certificates

CLIENT, SECRET = "dirbridge at the provider", "s3cret: +/%"


@dataclass
class Issuer:
    """The provider.

    Attributes:
        claims: what it says of the person, besides what every token has; None leaves a claim out.
        signs_with: key and algorithm of its next token; bytes are a shared secret.
        refuses: what its token endpoint answers instead of a token.
    """

    clock: Callable[[], datetime]
    url: str = ""
    keys: list[RSAKey | ECKey] = field(default_factory=lambda: [RSAKey.generate_key(2048, {"kid": "one"})])
    claims: dict[str, Any] = field(default_factory=dict)
    signs_with: tuple[Any, str] | None = None
    refuses: tuple[int, Any] | None = None
    metadata: dict[str, Any] = field(default_factory=dict)
    asked: list[str] = field(default_factory=list)
    codes: dict[str, dict[str, str]] = field(default_factory=dict)

    def consent(self, address: str) -> dict[str, str]:
        """Do what a person does at the authorization endpoint; gives what comes back."""
        parts = urlsplit(address)
        assert f"{parts.scheme}://{parts.netloc}{parts.path}" == f"{self.url}/authorize"
        asked = {name: values[0] for name, values in parse_qs(parts.query, strict_parsing=True).items()}
        assert (asked["response_type"], asked["code_challenge_method"]) == ("code", "S256")
        assert "openid" in asked["scope"].split()
        code = f"code-{len(self.codes)}"
        self.codes[code] = asked
        return {"code": code, "state": asked["state"]}

    def token(self, nonce: str) -> str:
        now = int(self.clock().timestamp())
        claims = {"iss": self.url, "aud": CLIENT, "sub": "7", "iat": now, "exp": now + 300, "nonce": nonce}
        claims = {name: value for name, value in {**claims, **self.claims}.items() if value is not None}
        key, algorithm = self.signs_with or (self.keys[0], "RS256")
        header = {"alg": algorithm, "kid": getattr(key, "kid", None) or "one"}
        if isinstance(key, bytes):
            text = ".".join(_coded(json.dumps(each).encode()) for each in (header, claims))
            return f"{text}.{_coded(hmac.digest(key, text.encode(), 'sha256') if algorithm == 'HS256' else b'')}"
        return jwt.encode(header, claims, key, algorithms=[algorithm])

    def application(self) -> FastAPI:
        app = FastAPI()

        @app.get("/.well-known/openid-configuration")
        async def configuration() -> Response:
            self.asked.append("configuration")
            return JSONResponse({
                "issuer": self.url, "authorization_endpoint": f"{self.url}/authorize",
                "token_endpoint": f"{self.url}/token", "jwks_uri": f"{self.url}/keys", **self.metadata,
            })  # fmt: skip

        @app.get("/keys")
        async def keys() -> Response:
            self.asked.append("keys")
            odd: list[Any] = [
                {"kty": "oct", "k": "AAAA"},
                {"kty": "RSA"},
                {"kty": "RSA", "use": "enc", "n": "x", "e": "y"},
            ]
            return JSONResponse({"keys": odd + KeySet(self.keys).as_dict(private=False)["keys"]})

        @app.post("/token")
        async def token(request: Request) -> Response:
            self.asked.append("token")
            form = {name: str(value) for name, value in (await request.form()).items()}
            if self.refuses is not None:
                status, body = self.refuses
                return JSONResponse(body, status_code=status)
            asked = self.codes.pop(form["code"], None)
            digest = hashlib.sha256(form["code_verifier"].encode()).digest()
            good = asked is not None and (
                base64.urlsafe_b64encode(digest).rstrip(b"=").decode() == asked["code_challenge"]
                and form["redirect_uri"] == asked["redirect_uri"]
                and self._is_client(request, form)
            )
            if not good or asked is None:
                return JSONResponse({"error": "invalid_grant"}, status_code=400)
            return JSONResponse({"id_token": self.token(asked["nonce"]), "access_token": "x", "token_type": "Bearer"})

        return app

    def _is_client(self, request: Request, form: dict[str, str]) -> bool:
        given = request.headers.get("authorization", "").removeprefix("Basic ")
        if not given:
            return (form["client_id"], form.get("client_secret")) == (CLIENT, SECRET)
        name, _, secret = base64.b64decode(given).decode().partition(":")
        return (unquote_plus(name), unquote_plus(secret)) == (CLIENT, SECRET)


def _coded(part: bytes) -> str:
    return base64.urlsafe_b64encode(part).rstrip(b"=").decode()


@contextlib.asynccontextmanager
async def running(certificates: Certificates, clock: Callable[[], datetime]) -> AsyncIterator[Issuer]:
    """Run a provider for as long as it is needed."""
    issuer = Issuer(clock)
    taken = socket.create_server(("127.0.0.1", 0))
    issuer.url = f"https://localhost:{taken.getsockname()[1]}"
    context = certificates.shown("localhost")
    config = uvicorn.Config(
        issuer.application(), lifespan="off", log_config=None, ssl_context_factory=lambda _c, _d: context
    )
    server = uvicorn.Server(config)
    server.capture_signals = contextlib.nullcontext  # type: ignore[method-assign,assignment]
    task = asyncio.create_task(server.serve(sockets=[taken]))
    while not server.started:
        await asyncio.sleep(0.01)
    try:
        yield issuer
    finally:
        server.should_exit = True
        await task
        taken.close()
