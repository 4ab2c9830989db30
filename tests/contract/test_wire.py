"""Messages between service and agent: what is damaged, too large or of another kind is refused."""

from __future__ import annotations

import contextlib
from typing import Any

import msgspec
import pytest
import zstandard
from hypothesis import given
from hypothesis import strategies as st

from dirbridge.contract import wire
from dirbridge.contract.entry import (
    ChangePage,
    Selection,
    Watermark,
)
from dirbridge.contract.errors import (
    ConfigurationError,
    CredentialError,
    DirbridgeError,
    EntryError,
    Fenced,
    TransientError,
    WatermarkExpired,
)
from dirbridge.contract.schema import AttributeDefinition, ObjectDefinition
from tests.contract.samples import PAGE

SELECTION = Selection({"user": ("cn",)}, {"user": ("manager",)}, {"group": ("member",)}, ("objectGUID",))


@pytest.mark.parametrize(
    ("message", "kind"),
    [
        (wire.ChangesRequest("contoso.test", SELECTION, Watermark("dc", b"1"), 5), wire.Request),
        (wire.ReadRequest("contoso.test", SELECTION, ("a", "b")), wire.Request),
        (wire.ContainersRequest("contoso.test", "ou"), wire.Request),
        (wire.CheckRequest("contoso.test"), wire.Request),
        (wire.SchemaRequest("contoso.test", ("user",)), wire.Request),
        (
            wire.LiveSchema((ObjectDefinition("user", (AttributeDefinition("mail", multivalued=True),)),)),
            wire.Answer,
        ),
        (wire.Assignment("r", 2, wire.CheckRequest("contoso.test")), wire.Assignment),
        (wire.Changes(PAGE), wire.Answer),
        (wire.Changes(ChangePage()), wire.Answer),
        (wire.CheckReport((wire.Finding("tls", "fail", "No.", "Mend.", "Away"),)), wire.Answer),
        (wire.Failure("transient", "Away", "No.", "Wait.", {"a": "b"}), wire.Answer),
    ],
)
def test_messages_come_back_as_they_went(message: msgspec.Struct, kind: Any) -> None:
    """Every kind, every field."""
    assert wire.decode(wire.encode(message), kind) == message


BODY = wire.encode(wire.Changes(PAGE))


def packed(plain: bytes, **options: Any) -> bytes:
    return zstandard.ZstdCompressor(**options).compress(plain)


def nested(depth: int) -> bytes:
    """A page whose attribute value is a list of lists of lists."""
    entry = {"anchor": "a", "object_type": "user", "name": "n", "attributes": {"x": None}}
    plain = msgspec.msgpack.encode({"type": "changes-page", "page": {"entries": [entry]}})
    return packed(plain[:-1] + b"\x91" * depth + b"\xc0")


def text_that_is_none() -> bytes:
    plain = msgspec.msgpack.encode({"type": "changes-page", "page": {"not_visible": ["x"]}})
    return packed(plain.replace(b"\xa1x", b"\xa1\xff"))


@pytest.mark.parametrize(
    ("body", "code"),
    [
        (b"", "MessageDamaged"),
        (b"not zstd at all", "MessageDamaged"),
        (packed(b""), "MessageDamaged"),
        (packed(b"\xc1"), "MessageDamaged"),
        (packed(msgspec.msgpack.encode({"type": "format-disk"})), "MessageDamaged"),
        (packed(msgspec.msgpack.encode({"type": "changes-page", "page": {"entries": 7}})), "MessageDamaged"),
        (wire.encode(wire.CheckRequest("contoso.test")), "MessageDamaged"),
        (nested(200_000), "MessageDamaged"),
        (text_that_is_none(), "MessageDamaged"),
        (bytes(wire.MAX_BODY + 1), "MessageTooLarge"),
        # A bomb: little to carry, too much to unpack; and one that does not say how much it is.
        (packed(bytes(wire.MAX_DECOMPRESSED + 1)), "MessageTooLarge"),
        (packed(bytes(1000), write_content_size=False), "MessageTooLarge"),
    ],
)
def test_refused(body: bytes, code: str) -> None:
    """With an error that says to send it again."""
    with pytest.raises(TransientError) as caught:
        wire.decode(body, wire.Answer)
    assert caught.value.code == code


def test_size_that_lies() -> None:
    """A frame that declares less than it holds is damaged."""
    body = bytearray(packed(bytes(300)))
    assert zstandard.frame_content_size(bytes(body)) == 300
    at = bytes(body).index((300 - 256).to_bytes(2, "little"))
    body[at : at + 2] = (0).to_bytes(2, "little")
    with pytest.raises(TransientError):
        wire.decode(bytes(body), wire.Answer)


@given(st.integers(0, len(BODY) - 1))
def test_cut_anywhere(at: int) -> None:
    """A message that ends early is never taken for a shorter one."""
    with pytest.raises(TransientError):
        wire.decode(BODY[:at], wire.Answer)


@given(st.integers(0, len(BODY) - 1), st.integers(1, 255))
def test_changed_anywhere(at: int, by: int) -> None:
    """A changed byte gives another message or an error of ours, never anything else."""
    body = bytearray(BODY)
    body[at] ^= by
    with contextlib.suppress(TransientError):
        wire.decode(bytes(body), wire.Answer)


@pytest.mark.parametrize(
    "error",
    [
        ConfigurationError("No.", recommended_action="Mend.", details={"a": "b"}),
        CredentialError("No.", code="Refused"),
        TransientError("Away."),
        EntryError("Odd."),
        WatermarkExpired("Old."),
    ],
)
def test_errors_come_back_as_they_went(error: DirbridgeError) -> None:
    """Kind, code, reason, action and details."""
    found = wire.error_of(wire.decode(wire.encode(wire.failure_of(error)), wire.Answer))
    assert type(found) is type(error)
    assert (found.code, found.reason, found.recommended_action, found.details) == (
        error.code, error.reason, error.recommended_action, error.details,
    )  # fmt: skip


def test_error_without_a_word_of_its_own_travels_as_transient() -> None:
    """Nothing is taken for worse than it is."""
    found = wire.error_of(wire.failure_of(Fenced("Gone.")))
    assert (type(found), found.code) == (TransientError, "Fenced")
