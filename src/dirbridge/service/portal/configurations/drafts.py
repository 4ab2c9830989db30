"""Changes of a mapping that are not saved yet: they travel in the address, so a reload and the way back keep them.

A change remembers what it replaces by a digest, so that it is seen where somebody else changed the same meanwhile.
"""

from __future__ import annotations

import binascii
import hashlib
import zlib
from base64 import urlsafe_b64decode, urlsafe_b64encode
from collections.abc import Sequence
from copy import deepcopy
from dataclasses import dataclass, field
from typing import Any

import msgspec

from dirbridge.contract.schema import AttributeMapping
from dirbridge.service.auth.sign_in.browser import PageRefusal
from dirbridge.service.portal.configurations import documents
from dirbridge.service.portal.configurations.documents import Document, Place, Row

LONGEST = 30_000
"""Characters that a draft may have in an address; servers between us and the browser take twice as many."""
_LARGEST = 2 * 1024 * 1024


class Change(msgspec.Struct, frozen=True):
    """One change.

    Attributes:
        at: the object mapping that it is of.
        target: the attribute whose row it is; empty for the mapping's own settings.
        was: digest of what it takes the place of.
        row: what is wanted; None where the row is to go.
    """

    at: str
    target: str
    was: str
    row: dict[str, Any] | None


Draft = tuple[Change, ...]


class _Settings(msgspec.Struct, rename="camel"):
    """What a draft may change of a mapping as a whole."""

    enabled: bool
    flow_types: str


@dataclass(slots=True)
class Applied:
    """A document with the changes of a draft.

    Attributes:
        conflicts: changes of which somebody else changed the beginning meanwhile. They are applied all the same.
        lost: changes whose object mapping is not there any more.
    """

    document: Document
    conflicts: list[Change] = field(default_factory=list)
    lost: list[Change] = field(default_factory=list)


def read(text: str) -> Draft:
    """Read a draft from an address.

    Raises:
        PageRefusal: it is damaged.
    """
    if not text:
        return ()
    try:
        packed = zlib.decompressobj()
        plain = packed.decompress(urlsafe_b64decode(text + "=" * (-len(text) % 4)), _LARGEST)
        draft = msgspec.json.decode(plain, type=Draft)
        for change in draft:
            _check(change)
    except (zlib.error, binascii.Error, ValueError, RecursionError) as error:
        said = "The unsaved changes in this address are damaged. Open the attribute mapping anew."
        raise PageRefusal(400, "PageRefused", said) from error
    return draft


def _check(change: Change) -> None:
    """Make sure that a change is what pages put into a draft: others send links as well.

    Raises:
        ValueError: it is about more than it says.
    """
    if not change.target:
        if change.row is None or change.row.keys() != {"enabled", "flowTypes"}:
            raise ValueError("settings")
        msgspec.convert(change.row, _Settings)
    elif change.row is not None:
        row = msgspec.convert(documents.plain(change.row), AttributeMapping)
        if row.target_attribute_name != change.target:
            raise ValueError("target")


def write(draft: Draft) -> str:
    """Write a draft for an address; empty where there is nothing in it.

    Raises:
        PageRefusal: it has become too long.
    """
    if not draft:
        return ""
    text = urlsafe_b64encode(zlib.compress(msgspec.json.encode(draft), 9)).decode().rstrip("=")
    if len(text) > LONGEST:
        said = f"{len(draft)} unsaved changes are too many. Save some of them, or change the schema as JSON."
        raise PageRefusal(400, "PageRefused", said)
    return text


def with_change(draft: Draft, document: Document, at: str, target: str, row: Row | None) -> Draft:
    """Add a change to a draft, in the place of an earlier one of the same row.

    Args:
        draft: what is there already.
        document: as it is saved.
        at: the object mapping. target: the attribute; empty for the mapping's own settings.
        row: what is wanted; a change that changes nothing leaves the draft.
    """
    place = documents.place(document, at)
    others = undone(draft, at, target)
    if _now(place, target) == row:
        return others
    return (*others, Change(at, target, digest(place, target), row))


def undone(draft: Draft, at: str, target: str) -> Draft:
    """Take a change out of a draft."""
    return tuple(each for each in draft if (each.at, each.target) != (at, target))


def apply(draft: Draft, document: Document) -> Applied:
    """Put the changes into a document."""
    done = Applied(deepcopy(document))
    here = {each.at: each for each in documents.places(done.document)}
    saved = {each.at: each for each in documents.places(document)}
    for change in draft:
        place = here.get(change.at)
        if place is None:
            done.lost.append(change)
            continue
        if digest(saved[change.at], change.target) != change.was:
            done.conflicts.append(change)
        _put(place, change)
    return done


def digest(place: Place, target: str) -> str:
    """Give a short digest of what stands in a place, under the name of its mapping."""
    named = {"name": place.mapping["name"], "now": _now(place, target)}
    return hashlib.blake2b(msgspec.json.encode(named, order="sorted"), digest_size=6).hexdigest()


def of_place(draft: Draft, at: str) -> Sequence[Change]:
    """Give the changes of one object mapping."""
    return [each for each in draft if each.at == at]


def _now(place: Place, target: str) -> Row | None:
    return place.row(target) if target else place.settings()


def _put(place: Place, change: Change) -> None:
    if not change.target:
        place.mapping.update(change.row or {})
        return
    numbers = [n for n, row in enumerate(place.rows) if row["targetAttributeName"] == change.target]
    if numbers and change.row is not None:
        place.rows[numbers[0]] = change.row
    elif numbers:
        del place.rows[numbers[0]]
    elif change.row is not None:
        place.rows.append(change.row)
