"""One message of each kind, every field said: what the files in `wire/`, by version, hold as that version wrote it.

A version's files are added when it is released, and never edited: `python -m tests.contract.samples VERSION` writes
them.
"""

from __future__ import annotations

import sys
from collections.abc import Mapping
from pathlib import Path

import msgspec

from dirbridge.contract import wire
from dirbridge.contract.entry import (
    BackReferences,
    ChangePage,
    Container,
    Entry,
    ReferenceDelta,
    Selection,
    Tombstone,
    Watermark,
)
from dirbridge.contract.schema import AttributeDefinition, ObjectDefinition

FOLDER = Path(__file__).parent / "wire"
DOMAIN = "made-up.test"

_SELECTION = Selection(
    {"user": ("cn", "objectSid"), "group": ("cn",)}, {"user": ("manager",)}, {"group": ("member",)}, ("objectSid",)
)
PAGE = ChangePage(
    entries=(
        Entry(
            "a", "user", "Ann", "ou", {"title": ("Clerk",), "sid": (b"\x00\xff",)}, {"manager": ("b",)}, ("mail",),
            {"x": "holds a NUL character at position 1"},
        ),
    ),
    deleted=(Tombstone("b", "Bob", "user"),),
    containers=(Container("ou", None, "Sales", deleted=True),),
    references=(ReferenceDelta("g", "member", ("a",), ("b",), whole=True, part=3, end=False),),
    back_references=(BackReferences("a", "member", ("g",)),),
    not_visible=("c",),
    watermark=Watermark("dc", b"\x00\x01"),
    idle=True,
    last=True,
    estimate=7,
)  # fmt: skip

REQUESTS: Mapping[str, wire.Request] = {
    "changes": wire.ChangesRequest(DOMAIN, _SELECTION, Watermark("dc", b"1"), 5),
    "read": wire.ReadRequest(DOMAIN, _SELECTION, ("a", "b"), 7),
    "containers": wire.ContainersRequest(DOMAIN, "ou"),
    "locate": wire.LocateRequest(DOMAIN, ("Ann",)),
    "browse": wire.BrowseRequest(DOMAIN, "ou"),
    "search": wire.SearchRequest(DOMAIN, "sal", ("group", "container"), 20),
    "schema": wire.SchemaRequest(DOMAIN, ("user",)),
    "check": wire.CheckRequest(DOMAIN),
}
ANSWERS: Mapping[str, wire.Answer] = {
    "page": wire.Changes(PAGE),
    "empty-page": wire.Changes(ChangePage()),
    "check-report": wire.CheckReport((wire.Finding("tls", "fail", "No.", "Mend.", "Away"),)),
    "locations": wire.Locations((wire.Located("Ann", "a", "user", "CN=Ann"), wire.Located("Bob"))),
    "listing": wire.Listing((wire.Located("Sales", "a", "group", "CN=Sales"),), more=True, missing=True),
    "live-schema": wire.LiveSchema((ObjectDefinition("user", (AttributeDefinition("mail", multivalued=True),)),)),
    "failure": wire.Failure("transient", "Away", "No.", "Wait.", {"a": "b"}),
}


def messages() -> dict[str, msgspec.Struct]:
    """Give every message by the name of its file."""
    assigned = {f"assignment-{name}": wire.Assignment("r", 2, request) for name, request in REQUESTS.items()}
    return {**assigned, **{f"answer-{name}": answer for name, answer in ANSWERS.items()}}


def versions() -> list[str]:
    """Give the versions of which there are files."""
    return sorted(folder.name for folder in FOLDER.iterdir())


def recorded(version: str, name: str) -> bytes:
    """Give a message as a version wrote it."""
    return (FOLDER / version / f"{name}.msgpack.zst").read_bytes()


if __name__ == "__main__":
    folder = FOLDER / sys.argv[1]
    folder.mkdir(parents=True)
    for name, message in messages().items():
        (folder / f"{name}.msgpack.zst").write_bytes(wire.encode(message))
