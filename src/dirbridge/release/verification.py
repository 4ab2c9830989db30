"""What a set of signed files says, once everything that an agent would check holds.

Before files are published and before the service hands them out: what agents would refuse does not get so far. That
takes no trust away from the agents, who check all of it again from the root that came with their own package.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any

from tuf.api.exceptions import RepositoryError
from tuf.api.metadata import Metadata, Root, Snapshot, Targets, Timestamp

from dirbridge.contract import release as releases
from dirbridge.contract.errors import ConfigurationError
from dirbridge.contract.release import Release

LIMITS: Mapping[str, int] = {"root": 512_000, "targets": 5_000_000, "snapshot": 2_000_000, "timestamp": 16_384}
"""Bytes of a signed file by role. Source: what python-tuf's client takes, tuf.ngclient.UpdaterConfig."""
_LONG_AGO = datetime.min.replace(tzinfo=UTC)
_SHA256 = re.compile(r"[0-9a-f]{64}", re.ASCII)


@dataclass(frozen=True, slots=True)
class Listed:
    """An archive of the signed list."""

    release: Release
    sha256: str
    length: int

    @property
    def name(self) -> str:
        return releases.target_name(self.release)


@dataclass(frozen=True, slots=True)
class Listing:
    """What the signed files say.

    Attributes:
        versions, expires: by role.
        archives: the list.
    """

    versions: Mapping[str, int]
    expires: Mapping[str, datetime]
    archives: tuple[Listed, ...]


def verify(
    files: Mapping[str, bytes], now: datetime, before: Mapping[str, bytes] | None = None, *, expired: bool = False
) -> Listing:
    """Check signed files as an agent does that begins with the first root.

    Args:
        files: by name: every root, and one file of each other role.
        before: those that were handed out until now; nothing may fall behind them.
        expired: let those pass that have expired.

    Raises:
        ConfigurationError: they do not belong together, lack a signature, have expired, or fall behind.
    """
    read = {name: _read(name, content) for name, content in files.items()}
    root = _last_root(read)
    timestamp = _one(read, "timestamp.json", root, Timestamp)
    snapshot = _one(read, f"{timestamp.snapshot_meta.version}.snapshot.json", root, Snapshot)
    if "targets.json" not in snapshot.meta:
        raise _refused("the snapshot knows no list of releases")
    targets = _one(read, f"{snapshot.meta['targets.json'].version}.targets.json", root, Targets)
    if targets.delegations is not None:
        raise _refused("the list of releases delegates to others, which no part of dirbridge does")
    if len(files) != root.version + 3:
        raise _refused(f"there are {len(files)} files where {root.version + 3} belong together")
    signed = {"root": root, "targets": targets, "snapshot": snapshot, "timestamp": timestamp}
    for role, each in signed.items():
        if each.is_expired(now) and not expired:
            raise _refused(
                f"the {role} expired at {each.expires:%Y-%m-%d %H:%M} UTC", "Renew it: dirbridge release renew."
            )
    versions = {role: each.version for role, each in signed.items()}
    if before is not None:
        _no_step_back(files, versions, before)
    archives = tuple(_listed(name, target) for name, target in sorted(targets.targets.items()))
    return Listing(versions, {role: each.expires for role, each in signed.items()}, archives)


def _read(name: str, content: bytes) -> Metadata[Any]:
    role = name.removesuffix(".json").rpartition(".")[2]
    if role not in LIMITS or len(content) > LIMITS[role]:
        raise _refused(f"'{name[:64]}' with {len(content):,} bytes is no signed file of a repository")
    try:
        found: Metadata[Any] = Metadata.from_bytes(content)
    except (RepositoryError, RecursionError) as error:
        raise _refused(f"'{name}' cannot be read") from error
    expected = "timestamp.json" if role == "timestamp" else f"{found.signed.version}.{role}.json"
    if found.signed.type != role or name != expected:
        raise _refused(f"'{name}' holds version {found.signed.version} of the {found.signed.type}")
    return found


def _last_root(read: Mapping[str, Metadata[Any]]) -> Root:
    """Follow the roots from the first on: each is signed by the holders of the one before and by its own."""
    trusted: Root | None = None
    number = 1
    while (found := read.get(f"{number}.root.json")) is not None:
        for judge in (trusted or found.signed, found.signed):
            _signed(judge, found)
        trusted = found.signed
        number += 1
    if trusted is None:
        raise _refused("the first root is missing")
    if not trusted.consistent_snapshot:
        raise _refused("the root does not promise that files keep their content (consistent snapshots)")
    return trusted


def _one(read: Mapping[str, Metadata[Any]], name: str, root: Root, kind: type[Any]) -> Any:
    found = read.get(name)
    if found is None:
        raise _refused(f"'{name}' is missing")
    assert isinstance(found.signed, kind)
    _signed(root, found)
    return found.signed


def _signed(root: Root, found: Metadata[Any]) -> None:
    try:
        root.verify_delegate(found.signed.type, found.signed_bytes, found.signatures)
    except (RepositoryError, ValueError) as error:
        raise _refused(
            f"version {found.signed.version} of the {found.signed.type} lacks signatures",
            "See whose: dirbridge release status.",
        ) from error


def _no_step_back(files: Mapping[str, bytes], versions: Mapping[str, int], before: Mapping[str, bytes]) -> None:
    for name, content in before.items():
        if name.endswith(".root.json") and files.get(name) != content:
            raise _refused(
                f"'{name}' is not the one that was published before",
                "Publish from the folder that was published from before; agents that trust its root refuse another.",
            )
    published = verify(before, _LONG_AGO, expired=True).versions
    behind = [
        f"{role} {versions[role]} after {number}" for role, number in published.items() if versions[role] < number
    ]
    if behind:
        raise _refused(
            f"it is older than what was published: {', '.join(behind)}",
            "Publish from the newest copy of the folder.",
        )


def _listed(name: str, target: Any) -> Listed:
    release = releases.of_custom(name, target.custom)
    sha256 = target.hashes.get("sha256", "")
    if not _SHA256.fullmatch(sha256) or not 0 < target.length <= releases.MAX_ARCHIVE:
        raise _refused(f"'{name}' is listed without its SHA-256, or with {target.length:,} bytes")
    return Listed(release, sha256, target.length)


def _refused(why: str, action: str = "") -> ConfigurationError:
    return ConfigurationError(
        f"The signed list of releases is not published: {why}.", code="ReleasesRefused", recommended_action=action
    )
