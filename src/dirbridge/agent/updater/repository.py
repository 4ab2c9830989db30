"""Which release is the next one: what the signed repository of the service offers to this host.

The service only hands the files out. What they say is believed where enough of the keys vouch for it that the root on
this host names; nothing older than what was seen before is taken, and nothing that has expired.
"""

from __future__ import annotations

import contextlib
import shutil
from collections.abc import Callable, Collection
from pathlib import Path
from typing import TypeVar

from tuf.api.exceptions import (
    BadVersionNumberError,
    DownloadError,
    DownloadHTTPError,
    DownloadLengthMismatchError,
    ExpiredMetadataError,
    LengthOrHashMismatchError,
    RepositoryError,
)
from tuf.api.metadata import Metadata, Root, Targets
from tuf.ngclient import Updater
from tuf.ngclient.fetcher import FetcherInterface

from dirbridge.agent.updater.orders import Orders
from dirbridge.contract import release as contract
from dirbridge.contract.errors import ConfigurationError, DirbridgeError, TransientError
from dirbridge.contract.release import Release

PATH = "/agents/v1/releases"

T = TypeVar("T")


class Repository:
    """The releases of one service, as far as they are vouched for.

    Args:
        service: its URL.
        root: the root metadata that this host trusts.
        folder: where verified metadata is kept, so that nothing older is taken later. Nobody else may write there.
    """

    def __init__(self, service: str, root: bytes, folder: Path, fetcher: FetcherInterface) -> None:
        self._service = service
        self._root = root
        self._metadata = folder / "metadata"
        self._downloads = folder / "downloads"
        self._fetcher = fetcher
        self._updater: Updater | None = None

    def refresh(self) -> None:
        """Fetch and verify what the repository says now.

        Raises:
            TransientError: it cannot be reached, or is none.
            ConfigurationError: what it says is not to be trusted.
        """
        for folder in (self._metadata, self._downloads):
            folder.mkdir(mode=0o755, parents=True, exist_ok=True)
        had_some = (self._metadata / "timestamp.json").exists()
        try:
            self._fetch()
        except TransientError as error:
            if error.code != "NoReleases" or not had_some:
                raise
            with contextlib.suppress(TransientError):  # somebody may just have published: what was named is gone
                self._fetch()
                return
            raise TransientError(
                "The service hands no releases out any more, or not whole; this host has had some from it.",
                code="ReleasesUnreachable",
                recommended_action="Publish the newest copy of the signed repository with `dirbridge release publish`. "
                "If it is there, find out who hides it on the way.",
            ) from error

    def _fetch(self) -> None:
        self._updater = _told(self._open)
        _told(self._updater.refresh)

    def _open(self) -> Updater:
        return Updater(
            str(self._metadata),
            f"{self._service}{PATH}/metadata/",
            str(self._downloads),
            f"{self._service}{PATH}/targets/",
            self._fetcher,
            bootstrap=self._root,
        )

    def releases(self) -> list[Release]:
        """Give the releases that are listed, for whatever host. To be called after `refresh`.

        What is no release of a kind that this version knows is left to newer ones.
        """
        return _told(self._listed)

    def _listed(self) -> list[Release]:
        """Read the list. python-tuf has verified the copy that it keeps, and has no call for all of it."""
        signed = Metadata[Targets].from_file(str(self._metadata / f"{Targets.type}.json")).signed
        found = []
        for name, target in signed.targets.items():
            with contextlib.suppress(ConfigurationError):
                found.append(contract.of_custom(name, target.custom))
        return found

    def download(self, release: Release) -> Path:
        """Fetch a release's archive, verified; the caller removes it.

        Raises:
            TransientError: it cannot be fetched.
            ConfigurationError: it is not what was signed.
        """
        assert self._updater is not None, "refresh comes first"
        updater, name = self._updater, contract.target_name(release)
        target = _told(lambda: updater.get_targetinfo(name))
        if target is None or target.length > contract.MAX_ARCHIVE:
            raise _untrusted(f"{name} is not listed, or longer than a release may be", code="ReleaseDamaged")
        return Path(_told(lambda: updater.download_target(target, str(self._downloads / name))))


def forget(folder: Path, root: bytes) -> None:
    """Let go of what was verified by another repository, where a host is given a root that does not continue its own.

    Its version numbers say nothing of the new one's: with a key that both use, the new one would pass for an old one.

    Args:
        folder: as a `Repository` has it.
        root: that the host trusts from now on.
    """
    metadata = folder / "metadata"
    known = [file.read_bytes() for file in sorted((metadata / "root_history").glob("*.root.json"))]
    if root not in known and not any(_continues(each, root) for each in known):
        shutil.rmtree(metadata, ignore_errors=True)


def _continues(before: bytes, root: bytes) -> bool:
    try:
        found = Metadata[Root].from_bytes(root)
        Metadata[Root].from_bytes(before).signed.verify_delegate(Root.type, found.signed_bytes, found.signatures)
    except (RepositoryError, ValueError, TypeError):
        return False
    return True


def check_root(content: bytes, file: Path) -> None:
    """See that a root can be trusted: it is whole, and signed by those whom it names itself.

    Raises:
        ConfigurationError: it cannot.
    """
    try:
        Metadata[Root].from_bytes(content).verify_delegate(Root.type, Metadata[Root].from_bytes(content))
    except (RepositoryError, ValueError, TypeError) as error:
        raise ConfigurationError(
            f"{file} is no root of releases: {error}.",
            code="UpdateRootUnusable",
            recommended_action="Name the root file that those who sign the releases gave you.",
        ) from error


def choose(releases: Collection[Release], current: str, orders: Orders, bad: Collection[str]) -> Release | None:
    """Choose what to update to: the newest for this host, or the wanted one. Never an older one, whoever wants it.

    Args:
        releases: what there is, for whatever host.
        bad: versions that did not work on this host.
    """
    better = [
        each
        for each in releases
        if contract.order(each.version) > contract.order(current)
        and each.version not in bad
        and orders.wanted in {None, each.version}
    ]
    python, platform = contract.here()
    return contract.newest(better, python=python, platform=platform, channel=orders.channel, api=orders.api)


def _told(act: Callable[[], T]) -> T:
    """Say in our words what python-tuf refuses."""
    try:
        return act()
    except DownloadHTTPError as error:
        raise _not_served(error) from error
    except DownloadLengthMismatchError as error:
        raise _untrusted(f"A file is longer than what was signed: {error}", code="ReleaseDamaged") from error
    except DownloadError as error:
        raise TransientError(
            f"The releases cannot be fetched from the service: {error}.",
            code="ReleasesUnreachable",
            recommended_action="`dirbridge agent check` says what is in the way. It is tried again.",
        ) from error
    except ExpiredMetadataError as error:
        raise ConfigurationError(
            f"What the releases say has expired: {error}. Nothing is updated: somebody may hold newer ones back.",
            code="ReleasesExpired",
            recommended_action="Renew them with `dirbridge release renew`, sign and publish them; see that this "
            "host's clock is right.",
        ) from error
    except BadVersionNumberError as error:
        raise _untrusted(f"The service offers older files than before: {error}", code="ReleasesRolledBack") from error
    except LengthOrHashMismatchError as error:
        raise _untrusted(f"A file is not the one that was signed: {error}", code="ReleaseDamaged") from error
    except (RepositoryError, ValueError, KeyError) as error:
        raise _untrusted(f"The releases are not signed by whom we trust: {error}", code="ReleaseNotTrusted") from error


def _not_served(error: DownloadHTTPError) -> DirbridgeError:
    if error.status_code == 404:
        return TransientError("The service has no releases, or not this one.", code="NoReleases")
    return TransientError(
        f"The service does not hand the releases out: {error}.",
        code="ReleasesUnreachable",
        recommended_action="`dirbridge agent check` says what is in the way. It is tried again.",
    )


def _untrusted(reason: str, *, code: str) -> ConfigurationError:
    return ConfigurationError(
        f"{reason}. Nothing is updated.",
        code=code,
        recommended_action="Publish the signed repository again as it is with `dirbridge release publish`. If it is "
        "right there, find out who changed it on the way. After a loss of the root keys, give hosts the new root "
        "with `dirbridge agent install --update-root`.",
    )
