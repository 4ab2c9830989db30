"""Where a client stands in the change feed: the opaque tokens in a delta query's links.

A token holds everything, the options of the first call too, sealed so that nobody reads or alters it; nothing is kept
here for a client. It fits only the collection that it was issued for.
"""

from __future__ import annotations

import base64
from datetime import datetime
from uuid import UUID

import msgspec

from dirbridge.contract.errors import ConfigurationError
from dirbridge.service.auth.sealing import Sealing
from dirbridge.service.graph.errors import bad_request
from dirbridge.store.feed import Moment


class Options(msgspec.Struct, frozen=True, array_like=True):
    """What the first call asked for.

    Attributes:
        select: properties; None for the default set.
        links: reference attributes that are told of.
        types: of objects.
        ids: only these objects.
    """

    select: tuple[str, ...] | None
    links: tuple[str, ...]
    types: tuple[str, ...]
    ids: tuple[UUID, ...] | None


class Place(msgspec.Struct, frozen=True, array_like=True):
    """Where a page ended.

    Attributes:
        link: which of the options' links is being told; None for the objects.
        after: transaction, and object or owner. referenced: the last one told, in a link.
    """

    link: int | None = None
    changed: int = 0
    after: UUID | None = None
    referenced: UUID | None = None


class Standing(msgspec.Struct, frozen=True, array_like=True, tag="standing"):
    """Where a client stands between two rounds: in a delta link.

    Attributes:
        since: the moment that its next round begins after. since_at: the clock at that moment.
        size: entries in a page.
    """

    options: Options
    since: Moment
    since_at: datetime
    size: int


class Round(msgspec.Struct, frozen=True, array_like=True, tag="round"):
    """Where a client stands in a round: in a next link.

    Attributes:
        since: the moment that the round begins after; None in the first round. since_at: the clock at that moment, or
            when the first round began.
        until: the moment that it ends at. until_at: the clock at that moment.
        size: entries in a page.
    """

    options: Options
    since: Moment | None
    since_at: datetime
    until: Moment
    until_at: datetime
    size: int
    place: Place = Place()


Token = Standing | Round


def write(token: Token, sealing: Sealing, collection: str) -> str:
    """Write a token for a link."""
    sealed = sealing.seal(msgspec.msgpack.encode(token), _context(collection))
    return base64.urlsafe_b64encode(sealed).rstrip(b"=").decode()


def read(text: str, sealing: Sealing, collection: str) -> Token:
    """Read a token.

    Raises:
        GraphError: 400 where it is none of ours, or one of another collection.
    """
    try:
        sealed = base64.urlsafe_b64decode(text.encode("ascii") + b"=" * (-len(text) % 4))
        return _decoder.decode(sealing.unseal(sealed, _context(collection)))
    except (ValueError, msgspec.DecodeError, ConfigurationError) as error:
        raise bad_request(
            f"The token cannot be read, or it was not issued for '{collection}'. Follow @odata.nextLink and"
            " @odata.deltaLink as they are, or begin anew without a token."
        ) from error


_decoder: msgspec.msgpack.Decoder[Token] = msgspec.msgpack.Decoder(Token)


def _context(collection: str) -> str:
    return f"delta/{collection}"
