"""Which of a domain's controllers is read: in the order of the settings, and faithful to where a reading stands.

Used by `source`. Domain controllers replicate with delays, so two of them do not hold the same at the same moment, and
a position in one may be worth nothing in another. So a reading stays where it began. What was seen of the servers is
remembered for as long as the process lives, and nowhere else.
"""

from __future__ import annotations

import logging
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from urllib.parse import urlsplit

from dirbridge.connectors.ad.directory import Directory
from dirbridge.connectors.ad.settings import Settings
from dirbridge.contract.errors import CredentialError, DirbridgeError, TransientError

logger = logging.getLogger(__name__)

LOOK_AGAIN = 60.0
"""Seconds for which a server that failed is not tried where another one will do."""


@dataclass(slots=True)
class _Seen:
    """How a server was when it was met last.

    Attributes:
        replica: which one answered there last; empty where none ever did.
        well: it answered. since: when it began to do so, or to fail. at: when it was tried last.
    """

    replica: str = ""
    well: bool = False
    since: float = 0.0
    at: float = float("-inf")


class Servers:
    """The domain controllers of one domain.

    Args:
        clock: seconds that only ever rise.
    """

    def __init__(self, settings: Settings, clock: Callable[[], float]) -> None:
        self._settings = settings
        self._clock = clock
        self._seen = {server: _Seen() for server in settings.servers}
        self._stays: set[tuple[str, str]] = set()

    async def any(self) -> Directory:
        """Open the first that answers, in the order of the settings; those that failed just now come last.

        Raises:
            CredentialError: one server refused the account; the others are not asked.
            DirbridgeError: none can be used; the error is the first one's.
        """
        return await self._first(sorted(self._seen, key=self._failed_just_now))

    async def of(self, replica: str) -> Directory:
        """Open the replica that a reading stands at, or who takes its place once it was away for long enough.

        Where the settings name no such server, another one takes its place at once: it cannot be waited for.

        Raises:
            TransientError: `DomainControllerAway`: it does not answer, and others are not asked yet.
            DirbridgeError: as `any`.
        """
        failed: dict[str, DirbridgeError] = {}
        for server in [server for server in self._seen if self._may_be(server, replica)]:
            try:
                directory = await self._open(server)
            except CredentialError:
                raise
            except DirbridgeError as error:
                failed[server] = error
                continue
            if directory.facts.replica == replica:
                return directory
            await directory.close()
        if failed and len(self._seen) > 1:
            self._be_patient(replica, failed)
        others = [server for server in self._seen if server not in failed]
        directory = await self._first([*sorted(others, key=self._failed_just_now), *failed])
        if directory.facts.replica != replica:
            logger.warning(
                "%s takes the place of %s in reading %s.",
                _name(directory.facts.replica), _name(replica), self._settings.name,
                extra={"event": "controller_changed"},
            )  # fmt: skip
        return directory

    async def preferred_to(self, replica: str) -> Directory | None:
        """Open the server that comes before this replica's in the settings, once it has been well for long enough.

        None where there is none: the replica is the first choice, or it was found that its positions are worth
        nothing there.
        """
        for server, seen in self._seen.items():
            if self._may_be(server, replica):
                return None
            if (server, replica) in self._stays or self._failed_just_now(server):
                continue
            try:
                directory = await self._open(server)
            except CredentialError:
                raise
            except DirbridgeError as error:
                logger.debug("%s is still away: %s", server, error)
                continue
            if directory.facts.replica != replica and self._clock() - seen.since >= self._patience:
                return directory
            await directory.close()
        return None

    def stay(self, directory: Directory, replica: str) -> None:
        """Remember that a position in this replica is worth nothing to that domain controller."""
        here = directory.facts.replica
        self._stays |= {(server, replica) for server, seen in self._seen.items() if seen.replica == here}

    @property
    def _patience(self) -> float:
        return self._settings.switch_after.total_seconds()

    async def _first(self, servers: Sequence[str]) -> Directory:
        failure: DirbridgeError | None = None
        for server in servers:
            try:
                return await self._open(server)
            except CredentialError:
                raise
            except DirbridgeError as error:
                failure = failure or error
        assert failure is not None
        raise failure

    async def _open(self, server: str) -> Directory:
        try:
            directory = await Directory.open(self._settings, server)
        except DirbridgeError:
            self._note(server, well=False)
            raise
        self._note(server, well=True)
        self._seen[server].replica = directory.facts.replica
        return directory

    def _note(self, server: str, *, well: bool) -> None:
        seen, now = self._seen[server], self._clock()
        if seen.well != well or seen.at == float("-inf"):
            seen.since = now
        seen.well, seen.at = well, now

    def _failed_just_now(self, server: str) -> bool:
        seen = self._seen[server]
        return not seen.well and self._clock() - seen.at < LOOK_AGAIN

    def _may_be(self, server: str, replica: str) -> bool:
        """Whether a replica may be what answers at an address: it did, or nobody knows and the name does not tell."""
        known = self._seen[server].replica
        if known:
            return known == replica
        name = _name(replica).lower()
        return urlsplit(server).hostname == name or all(urlsplit(other).hostname != name for other in self._seen)

    def _be_patient(self, replica: str, failed: Mapping[str, DirbridgeError]) -> None:
        """Raise, unless a replica that may be any of these servers was away for long enough."""
        seconds = min(self._clock() - self._seen[server].since for server in failed)
        left = self._patience - seconds
        if left <= 0:
            return
        cause = next(iter(failed.values()))
        raise TransientError(
            f"The domain controller {_name(replica)}, at which the reading of {self._settings.name} stands, has been "
            f"away for {_minutes(seconds)}; in {_minutes(left)} another one takes its place. {cause.reason}",
            code="DomainControllerAway",
            recommended_action="It goes on by itself. Bring that domain controller back, or shorten switch_after in "
            "the agent's settings.",
            details={**cause.details, "controller": _name(replica)},
        ) from cause


def _name(replica: str) -> str:
    return replica.partition("|")[0]


def _minutes(seconds: float) -> str:
    return f"{seconds / 60:.0f} minutes" if seconds >= 90 else f"{seconds:.0f} seconds"
