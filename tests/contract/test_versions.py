"""Agents and services of different versions understand each other's messages."""

from typing import Any

import msgspec
import pytest
import zstandard

from dirbridge.contract import wire
from tests.contract import samples

NAMES = sorted(samples.messages())


def kind(name: str) -> Any:
    return wire.Assignment if name.startswith("assignment-") else wire.Answer


def tree(body: bytes) -> Any:
    return msgspec.msgpack.decode(zstandard.ZstdDecompressor().decompress(body))


def missing(theirs: Any, ours: Any, path: str = "") -> list[str]:
    """Say what an earlier reader would look for and not find, or find otherwise."""
    if isinstance(theirs, dict) and isinstance(ours, dict):
        return [fault for key, value in theirs.items() for fault in missing(value, ours.get(key), f"{path}/{key}")]
    if isinstance(theirs, list) and isinstance(ours, list) and len(theirs) == len(ours):
        pairs = enumerate(zip(theirs, ours, strict=True))
        return [fault for number, pair in pairs for fault in missing(*pair, f"{path}/{number}")]
    return [] if theirs == ours else [f"{path}: {ours!r}, not {theirs!r}"]


def test_every_message_is_recorded() -> None:
    """Of the first version at least, each kind; a kind that is new begins with the version that brings it."""
    files = {file.name.removesuffix(".msgpack.zst") for file in (samples.FOLDER / "0.1.0").iterdir()}
    assert files <= set(NAMES)
    assert {f"assignment-{each.__struct_config__.tag}" for each in wire.Request.__args__} >= {
        name for name in files if name.startswith("assignment-")
    }
    assert len(files) == 12


@pytest.mark.parametrize("version", samples.versions())
@pytest.mark.parametrize("name", NAMES)
def test_messages_of_an_earlier_version_are_understood(version: str, name: str) -> None:
    """Each field as it was meant."""
    if (samples.FOLDER / version / f"{name}.msgpack.zst").exists():
        assert wire.decode(samples.recorded(version, name), kind(name)) == samples.messages()[name]


@pytest.mark.parametrize("version", samples.versions())
@pytest.mark.parametrize("name", NAMES)
def test_an_earlier_version_understands_ours(version: str, name: str) -> None:
    """All that it reads is where it looks for it; what was added it passes over."""
    if (samples.FOLDER / version / f"{name}.msgpack.zst").exists():
        assert missing(tree(samples.recorded(version, name)), tree(wire.encode(samples.messages()[name]))) == []


@pytest.mark.parametrize("name", NAMES)
def test_what_a_later_version_adds_is_passed_over(name: str) -> None:
    """A member that this version does not know, anywhere in a message."""

    def with_more(value: Any) -> Any:
        if isinstance(value, dict):
            more = {key: with_more(each) for key, each in value.items()}
            return {**more, "added later": 1} if "type" in value or "anchor" in value or "body" in value else more
        return [with_more(each) for each in value] if isinstance(value, list) else value

    later = with_more(tree(wire.encode(samples.messages()[name])))
    body = zstandard.ZstdCompressor().compress(msgspec.msgpack.encode(later))
    assert b"added later" in msgspec.msgpack.encode(later)
    assert wire.decode(body, kind(name)) == samples.messages()[name]
