"""The messages between service and agent, and their coding.

The set of requests is closed: an agent that meets any other refuses it. Bodies are msgpack, compressed with zstd, and
limited in decompressed size, so a small answer cannot fill the memory of its reader.
"""

from __future__ import annotations

from typing import Any, Literal, TypeVar

import msgspec
import zstandard

from dirbridge.contract.entry import ChangePage, Selection, Watermark
from dirbridge.contract.errors import (
    ConfigurationError,
    CredentialError,
    DirbridgeError,
    EntryError,
    TransientError,
    WatermarkExpired,
)
from dirbridge.contract.schema import ObjectDefinition

MEDIA_TYPE = "application/vnd.dirbridge.v1+msgpack-zstd"
MAX_BODY = 16 * 1024 * 1024
"""Bytes of a compressed body that are accepted."""
MAX_DECOMPRESSED = 64 * 1024 * 1024
"""Bytes that a body may have once decompressed."""
PAGE_ENTRIES = 1000
"""Entries that a source puts into a page unless asked otherwise."""
LOG_PART = 4 * 1024 * 1024
"""Bytes of a part of collected logs."""
LOCATE_NAMES = 100
"""Names that one locate request may hold."""
SCHEMA_TYPES = 50
"""Object types that one schema request may hold."""
LISTED = 400
"""Entries that a listing has at most."""
SEARCH_TEXT = 256
"""Characters of what is searched for."""


class ChangesRequest(msgspec.Struct, frozen=True, tag="changes"):
    """Report what changed since a watermark; everything where it is None."""

    domain: str
    selection: Selection
    since: Watermark | None = None
    page_entries: int = PAGE_ENTRIES


class ReadRequest(msgspec.Struct, frozen=True, tag="read"):
    """Read these anchors: each comes back as entry, tombstone or not visible.

    Attributes:
        replica: the copy of the directory to read in, as a watermark names it; any where empty.
    """

    domain: str
    selection: Selection
    anchors: tuple[str, ...]
    page_entries: int = PAGE_ENTRIES
    replica: str = ""


class ContainersRequest(msgspec.Struct, frozen=True, tag="containers"):
    """List the containers below one (None: all)."""

    domain: str
    below: str | None = None


class LocateRequest(msgspec.Struct, frozen=True, tag="locate"):
    """Find entries, groups or containers by name: distinguished name, sign-in name or account name."""

    domain: str
    names: tuple[str, ...]


class BrowseRequest(msgspec.Struct, frozen=True, tag="browse"):
    """List the containers directly in one; the head of the directory where it is None."""

    domain: str
    below: str | None = None


class SearchRequest(msgspec.Struct, frozen=True, tag="search"):
    """Find entries of these types, or containers, by a part of their name."""

    domain: str
    text: str
    object_types: tuple[str, ...]
    most: int = 50


class SchemaRequest(msgspec.Struct, frozen=True, tag="schema"):
    """Tell which attributes the entries of these types may have."""

    domain: str
    object_types: tuple[str, ...]


class CheckRequest(msgspec.Struct, frozen=True, tag="check"):
    """Prove that a domain can be read, deleted objects included."""

    domain: str


Request = (
    ChangesRequest
    | ReadRequest
    | ContainersRequest
    | LocateRequest
    | BrowseRequest
    | SearchRequest
    | SchemaRequest
    | CheckRequest
)


class Assignment(msgspec.Struct, frozen=True):
    """A request as handed to one agent. `attempt` rises each time it is handed out; pages of older ones are refused."""

    request: str
    attempt: int
    body: Request


class Finding(msgspec.Struct, frozen=True):
    """One result of a check.

    Attributes:
        code: of the error that it tells of, where there is one.
    """

    name: str
    outcome: Literal["pass", "warn", "fail"]
    finding: str
    remedy: str = ""
    code: str = ""


class CheckReport(msgspec.Struct, frozen=True, tag="check-report"):
    """The answer to a check."""

    findings: tuple[Finding, ...]


class Located(msgspec.Struct, frozen=True):
    """What a name stands for.

    Attributes:
        name: as it was asked for.
        anchor: empty where there is no such thing, or none that may be seen.
        object_type: `user`, `group`, ..., or `container`.
        shown: its present distinguished name.
    """

    name: str
    anchor: str = ""
    object_type: str = ""
    shown: str = ""


class Locations(msgspec.Struct, frozen=True, tag="locations"):
    """The answer to a locate request, in the order of its names."""

    found: tuple[Located, ...]


class Listing(msgspec.Struct, frozen=True, tag="listing"):
    """The answer to a browse or search request: entries by their own names, in the order of these.

    Attributes:
        more: there are more than could be listed.
        missing: there is no such container, or none that may be seen.
    """

    found: tuple[Located, ...]
    more: bool = False
    missing: bool = False


class LiveSchema(msgspec.Struct, frozen=True, tag="live-schema"):
    """The answer to a schema request: of the types that were asked for, those that the directory knows."""

    objects: tuple[ObjectDefinition, ...]


class Failure(msgspec.Struct, frozen=True, tag="failure"):
    """An error in transit; ends the request's attempt."""

    kind: Literal["configuration", "credential", "transient", "entry", "watermark-expired"]
    code: str
    reason: str
    recommended_action: str = ""
    details: dict[str, str] = {}


class Changes(msgspec.Struct, frozen=True, tag="changes-page"):
    """A page of a change stream, of a read or of a container list."""

    page: ChangePage


Answer = Changes | CheckReport | Locations | Listing | LiveSchema | Failure

_KINDS: dict[str, type[DirbridgeError]] = {
    "configuration": ConfigurationError,
    "credential": CredentialError,
    "transient": TransientError,
    "entry": EntryError,
    "watermark-expired": WatermarkExpired,
}


def failure_of(error: DirbridgeError) -> Failure:
    """Turn an error into what travels. Kinds that have no word here travel as transient."""
    kind: Any = "transient"
    for word, kind_class in _KINDS.items():
        if type(error) is kind_class:
            kind = word
    return Failure(kind, error.code, error.reason, error.recommended_action, error.details)


def error_of(failure: Failure) -> DirbridgeError:
    """Turn what travelled back into the error that it was."""
    return _KINDS[failure.kind](
        failure.reason,
        code=failure.code,
        recommended_action=failure.recommended_action,
        details=failure.details,
    )


_encoder = msgspec.msgpack.Encoder()
T = TypeVar("T")


def encode(message: msgspec.Struct) -> bytes:
    """Code one message for the wire."""
    return zstandard.ZstdCompressor(level=1).compress(_encoder.encode(message))


def decode(body: bytes, kind: Any) -> Any:
    """Read one message, refusing what is cut, too large or not of its kind.

    Raises:
        TransientError: the body is damaged; it can be sent again.
    """
    if len(body) > MAX_BODY:
        raise TransientError(
            f"A message of {len(body):,} bytes is larger than the {MAX_BODY:,} that are accepted.",
            code="MessageTooLarge",
        )
    try:
        size = zstandard.frame_content_size(body)
        if size < 0 or size > MAX_DECOMPRESSED:
            raise TransientError(
                f"A message declares {size:,} bytes; up to {MAX_DECOMPRESSED:,} are accepted.", code="MessageTooLarge"
            )
        plain = zstandard.ZstdDecompressor().decompress(body, max_output_size=MAX_DECOMPRESSED)
        if len(plain) != size:
            raise TransientError(f"A message declares {size:,} bytes and holds {len(plain):,}.", code="MessageDamaged")
        return msgspec.msgpack.decode(plain, type=kind)
    except zstandard.ZstdError as error:
        raise TransientError(f"A message could not be decompressed: {error}.", code="MessageDamaged") from error
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError) as error:
        raise TransientError(f"A message could not be read: {error}.", code="MessageDamaged") from error
