"""A webhook gets a signed document over HTTPS, or it is said why not; against a real receiver."""

import base64
import time
from datetime import UTC, datetime, timedelta
from typing import Any
from uuid import UUID

import pytest

from dirbridge.contract.errors import ConfigurationError, DirbridgeError, TransientError
from dirbridge.service.notify import webhook
from dirbridge.service.notify.faults import NotDelivered
from dirbridge.service.notify.webhook import Hook
from dirbridge.service.outgoing import Outgoing
from tests.service.notify.parts import Certificates, Receiver, receiver, way

ID = UUID("0195f0c8-0000-7000-8000-000000000001")
AT = datetime(2026, 3, 1, 12, tzinfo=UTC)
SECRET = "0123456789abcdef0123456789abcdef"
DOCUMENT = {"type": "job.quarantined", "data": {"domain": "contoso.test", "message": "Zoë"}}


async def post(got: Receiver, certificates: Certificates, url: str | None = None, **changed: Any) -> str:
    return await webhook.post(way(certificates.trusted(), **changed), Hook(url or got.url, SECRET), ID, DOCUMENT, AT)


async def test_a_document_arrives_signed(certificates: Certificates) -> None:
    """By the key, over id, time and body; under an id that stays."""
    async with receiver(certificates.shown()) as got:
        assert await post(got, certificates) == "204 No Content"
        assert await post(got, certificates) == "204 No Content"
    first, second = got.calls
    assert (first.path, first.document) == ("/hook?tenant=1", DOCUMENT)
    assert first.headers["host"] == f"localhost:{got.port}"
    assert first.headers["content-type"] == "application/json"
    assert (first.headers["webhook-id"], second.headers["webhook-id"]) == (str(ID), str(ID))
    assert first.headers["webhook-timestamp"] == str(int(AT.timestamp()))
    assert first.is_signed_by(SECRET.encode())
    assert not first.is_signed_by(SECRET.encode() + b"x")
    first.body += b" "
    assert not first.is_signed_by(SECRET.encode())


def test_the_signature_is_the_specifications_own() -> None:
    """The example that Standard Webhooks publishes."""
    at = datetime.fromtimestamp(1614265330, UTC)
    secret = "whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw"
    found = webhook.sign(secret, "msg_p5jXN8AQM9LWM0D4loKWxJek", at, b'{"test": 2432232314}')
    assert found == "v1,g0hM9SsE+OTPJTGt/tmIKtSyZlE3uFJELVlNIOLJ1OE="


@pytest.mark.parametrize(
    ("secret", "found"),
    [
        ("x" * 24, b"x" * 24),
        ("whsec_" + base64.b64encode(bytes(32)).decode(), bytes(32)),
        ("x" * 23, "a key of 23 bytes"),
        ("whsec_" + base64.b64encode(bytes(23)).decode(), "a key of 23 bytes"),
        ("whsec_" + "!" * 40, "base64 is expected"),
    ],
)
def test_a_key_is_long_enough(secret: str, found: bytes | str) -> None:
    """As text or as base64."""
    if isinstance(found, bytes):
        assert webhook.key(secret) == found
        return
    with pytest.raises(ValueError, match=found):
        webhook.key(secret)


async def fails(got: Receiver, certificates: Certificates, url: str | None = None, **changed: Any) -> DirbridgeError:
    with pytest.raises(DirbridgeError) as caught:
        await post(got, certificates, url, **changed)
    return caught.value


@pytest.mark.parametrize(
    ("status", "headers", "final", "wait"),
    [
        ("400 Bad Request", [], False, None),
        ("404 Not Found", [], False, None),
        ("410 Gone", [], True, None),
        ("429 Too Many Requests", ["Retry-After: 120"], False, timedelta(minutes=2)),
        ("500 Internal Server Error", [], False, None),
        ("503 Service Unavailable", ["Retry-After: Sun, 01 Mar 2026 12:05:00 GMT"], False, timedelta(minutes=5)),
        ("503 Service Unavailable", ["Retry-After: 99999999"], False, timedelta(hours=6)),
        ("503 Service Unavailable", ["Retry-After: soon"], False, None),
    ],
)
async def test_only_a_success_takes_it(
    certificates: Certificates, status: str, headers: list[str], final: bool, wait: timedelta | None
) -> None:
    """All else is tried again when the receiver says, unless it is gone for good."""
    async with receiver(certificates.shown()) as got:
        got.status, got.headers = status, headers
        error = await fails(got, certificates)
    assert isinstance(error, NotDelivered)
    assert (error.final, error.wait) == (final, wait)
    assert error.reason == f"The webhook at localhost answered {status}."


async def test_a_redirect_is_not_followed(certificates: Certificates) -> None:
    """It could lead anywhere."""
    async with receiver(certificates.shown()) as got, receiver(certificates.shown()) as elsewhere:
        got.status, got.headers = "307 Temporary Redirect", [f"Location: {elsewhere.url}"]
        error = await fails(got, certificates)
        assert elsewhere.calls == []
    assert "Redirects are not followed" in error.recommended_action


async def test_a_certificate_of_another_host_ends_it(certificates: Certificates) -> None:
    """Nothing is sent; the name counts, not the address that it leads to."""
    async with receiver(certificates.shown("other.test")) as got:
        error = await fails(got, certificates)
    assert (error.code, "not valid for 'localhost'" in error.reason, got.calls) == ("TlsFailed", True, [])


async def test_an_address_may_stand_for_a_name(certificates: Certificates) -> None:
    """Where the certificate has it."""
    async with receiver(certificates.shown("127.0.0.1")) as got:
        assert await post(got, certificates, f"https://127.0.0.1:{got.port}/") == "204 No Content"


async def test_a_port_that_refuses_is_told(certificates: Certificates) -> None:
    """And tried again."""
    async with receiver(certificates.shown()) as got:
        pass
    error = await fails(got, certificates)
    assert (type(error), error.code) == (TransientError, "HostUnreachable")


async def test_a_receiver_that_falls_silent_is_left(certificates: Certificates) -> None:
    """The time limit is for the whole call."""
    async with receiver(certificates.shown()) as got:
        got.silent = True
        began = time.monotonic()
        error = await fails(got, certificates, timeout=timedelta(seconds=1))
    assert (error.code, time.monotonic() - began < 4) == ("TimeOut", True)


async def test_an_answer_that_is_cut_is_tried_again(certificates: Certificates) -> None:
    """Nobody knows whether it was taken; its id tells a repetition."""
    async with receiver(certificates.shown()) as got:
        got.cut = True
        error = await fails(got, certificates)
    assert (type(error), error.code, len(got.calls)) == (TransientError, "HostUnreachable", 1)


async def test_loopback_is_refused_unless_it_is_allowed(certificates: Certificates) -> None:
    """Whatever name it goes by."""
    async with receiver(certificates.shown()) as got:
        error = await fails(got, certificates, outgoing=Outgoing())
    assert (type(error), error.code, got.calls) == (ConfigurationError, "AddressNotAllowed", [])
