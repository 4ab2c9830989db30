"""Taking releases in: archives by their hash, then the signed files that name them, all or nothing.

The service holds no key. It hands out what holders of keys signed, and refuses what agents would refuse.
"""

from __future__ import annotations

import hashlib
import tempfile
from collections.abc import AsyncIterator, Iterator, Mapping
from typing import IO
from uuid import UUID

from dirbridge.contract import release as releases
from dirbridge.contract.errors import ConfigurationError
from dirbridge.release import verification
from dirbridge.release.verification import Listing
from dirbridge.service.auth.access import Caller
from dirbridge.service.relay.door import Door
from dirbridge.store import agents, audits
from dirbridge.store import releases as stored
from dirbridge.store.releases import Offer

_IN_MEMORY = 8 * 1024 * 1024


class TooLarge(Exception):
    """An archive has more bytes than are taken."""


async def take_archive(door: Door, sha256: str, body: AsyncIterator[bytes]) -> None:
    """Store an archive, once all of it is there and is what its name says.

    Raises:
        TooLarge: it is larger than `MAX_ARCHIVE`.
        ConfigurationError: its hash is another one.
    """
    found = hashlib.sha256()
    length = 0
    # Not in a transaction: whoever sends slowly must not hold a connection of the pool.
    with tempfile.SpooledTemporaryFile(max_size=_IN_MEMORY) as kept:
        async for part in body:
            length += len(part)
            if length > releases.MAX_ARCHIVE:
                raise TooLarge
            found.update(part)
            kept.write(part)
        if found.hexdigest() != sha256 or not length:
            raise ConfigurationError(
                f"The archive of {length:,} bytes has another SHA-256 than {sha256[:64]}, under which it was sent.",
                code="ArchiveDamaged",
                recommended_action="Publish again; where this goes on, see what lies between you and the service.",
            )
        kept.seek(0)
        async with door.database.transaction() as conn:
            await stored.store_archive(conn, door.tenant, sha256, length, _pieces(kept))


def _pieces(stream: IO[bytes]) -> Iterator[bytes]:
    while piece := stream.read(stored.PIECE):
        yield piece


async def publish(door: Door, files: Mapping[str, bytes], caller: Caller, *, anew: bool = False) -> Listing:
    """Hand out these signed files from now on.

    Args:
        anew: they need not continue what was handed out until now.

    Raises:
        ConfigurationError: agents would refuse them, or an archive that they name is not there.
    """
    async with door.database.transaction() as conn:
        await stored.lock(conn, door.tenant)
        before = await stored.files(conn, door.tenant)
        listing = verification.verify(files, door.now(), before if before and not anew else None)
        lengths = await stored.archives(conn, door.tenant, [each.sha256 for each in listing.archives])
        missing = [each.name for each in listing.archives if lengths.get(each.sha256) != each.length]
        if missing:
            raise ConfigurationError(
                f"The signed list names archives that are not here: {', '.join(missing)}.",
                code="ArchiveMissing",
                recommended_action="`dirbridge release publish` sends them first.",
            )
        offers = [Offer(each.name, each.sha256, each.release) for each in listing.archives]
        await stored.publish(conn, door.tenant, files, offers)
        await audits.record(
            conn,
            door.tenant,
            actor=caller.actor,
            activity="Publish agent releases",
            detail={"versions": dict(listing.versions), "releases": [each.name for each in listing.archives]},
        )
    return listing


async def want(door: Door, version: str | None, agent: UUID | None, caller: Caller) -> bool:
    """Say which version an agent, or all of them, are to have. False where there is no such agent.

    Raises:
        ConfigurationError: there is no such release.
    """
    async with door.database.transaction() as conn:
        if agent is not None and await agents.get(conn, door.tenant, agent) is None:
            return False
        if version is not None and version not in await stored.versions(conn, door.tenant):
            raise ConfigurationError(
                f"There is no release {version[:64]}.",
                code="ReleaseUnknown",
                recommended_action="See which there are: dirbridge release list.",
            )
        await stored.want(conn, door.tenant, version, agent)
        await audits.record(
            conn,
            door.tenant,
            actor=caller.actor,
            activity="Choose agent release",
            target="" if agent is None else str(agent),
            detail={"version": version},
        )
    return True
