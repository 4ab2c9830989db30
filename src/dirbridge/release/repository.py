"""The signed list of releases, on the disk of those who sign it.

A folder with `metadata/` (what counts), `targets/` (archives) and `staged/` (what is prepared and lacks signatures).
A change prepares new versions of the roles it touches; each holder of a key signs; when the last signature is there,
all of them count at once. Paths below `metadata/` and `targets/` are those under which agents ask for them.
"""

from __future__ import annotations

import shutil
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from datetime import datetime, timedelta
from pathlib import Path
from typing import Any

from securesystemslib.signer import CryptoSigner, SSlibKey
from tuf.api.exceptions import RepositoryError
from tuf.api.metadata import Metadata, MetaFile, Root, Snapshot, TargetFile, Targets, Timestamp

from dirbridge.contract import release as releases
from dirbridge.contract.errors import ConfigurationError
from dirbridge.contract.release import Release
from dirbridge.release import archive

ROLES = ("root", "targets", "snapshot", "timestamp")
LIFETIMES: Mapping[str, timedelta] = {
    "root": timedelta(days=365),
    "targets": timedelta(days=365),
    "snapshot": timedelta(days=365),
    "timestamp": timedelta(days=30),
}
"""How long a version of a role counts. The timestamp's bounds for how long a service can hide newer releases."""


@dataclass(frozen=True, slots=True)
class Holders:
    """Whose keys sign a role, and how many of them must."""

    keys: tuple[SSlibKey, ...]
    threshold: int = 1


@dataclass(frozen=True, slots=True)
class RoleState:
    """A role as it stands.

    Attributes:
        version, expires: of the newest, prepared or counting.
        is_staged: it is prepared and does not count yet.
        missing: how many signatures it lacks; for a new root the larger of what old and new keys lack.
        waiting: ids of the keys that have not signed.
    """

    role: str
    version: int
    expires: datetime
    threshold: int
    keys: tuple[str, ...]
    is_staged: bool = False
    missing: int = 0
    waiting: tuple[str, ...] = ()


class Repository:
    """A repository in a folder.

    Args:
        now: the time from which lifetimes count.

    Raises:
        ConfigurationError: the folder is none.
    """

    def __init__(self, folder: Path, now: Callable[[], datetime]) -> None:
        self.folder = folder
        self.metadata, self.targets, self.staged = (folder / name for name in ("metadata", "targets", "staged"))
        self._now = now
        if not self.metadata.is_dir():
            raise ConfigurationError(
                f"'{folder}' holds no releases.",
                code="NoRepository",
                recommended_action="Make one by `dirbridge release init`, or name the folder that has one.",
            )

    @classmethod
    def create(cls, folder: Path, holders: Mapping[str, Holders], now: Callable[[], datetime]) -> Repository:
        """Prepare a new repository: an empty list, to be signed by the holders of all roles.

        Raises:
            ConfigurationError: there is one already, or a role has fewer keys than must sign.
        """
        if (folder / "metadata").exists():
            raise ConfigurationError(f"'{folder}' holds releases already.", code="RepositoryExists")
        root = Root()
        for role in ROLES:
            _assign(root, role, holders[role].keys, (), holders[role].threshold)
        for name in ("metadata", "targets", "staged"):
            (folder / name).mkdir(parents=True)
        made = cls(folder, now)
        for signed in (root, Targets(), Snapshot(), Timestamp()):
            made._stage(Metadata(signed))
        return made

    # Changes ----------------------------------------------------------------------------------------------------------

    def add(self, file: Path, channel: str = releases.STABLE) -> Release:
        """Prepare a list that has this archive too.

        Raises:
            ConfigurationError: it is no release, or that release is listed with another content.
        """
        said = archive.examine(file)
        release = Release(said.version, said.python, said.platform, said.requires, channel)
        name = releases.target_name(release)
        target = TargetFile.from_file(name, str(file), ["sha256"])
        target.unrecognized_fields["custom"] = releases.custom(release)
        listed = self._draft("targets")
        before = listed.signed.targets.get(name)
        if before is not None and before.hashes != target.hashes:
            raise ConfigurationError(
                f"'{name}' is listed already with another content; what was released is never replaced.",
                code="ReleaseExists",
                recommended_action="Give it a new version.",
            )
        listed.signed.targets[name] = target
        stored = self.target_file(target)
        if not stored.exists():
            part = stored.with_name(f".{stored.name}.part")
            shutil.copyfile(file, part)
            part.replace(stored)
        self._stage(listed)
        self._follow()
        return release

    def withdraw(self, version: str) -> list[str]:
        """Prepare a list without a version; gives the names of its archives.

        Raises:
            ConfigurationError: it is not listed.
        """
        listed = self._draft("targets")
        gone = [name for name, release in self.releases().items() if release.version == version]
        if not gone:
            raise ConfigurationError(
                f"Version {version} is not among the releases.",
                code="ReleaseUnknown",
                recommended_action="See which there are: dirbridge release status.",
            )
        for name in gone:
            del listed.signed.targets[name]
        self._stage(listed)
        self._follow()
        return gone

    def renew(self, roles: Iterable[str] = ("timestamp",)) -> None:
        """Prepare new versions of roles that say the same for longer."""
        wanted = set(roles)
        for role in ("root", "targets"):
            if role in wanted:
                self._stage(self._draft(role))
        if wanted & {"targets", "snapshot"}:
            self._follow()
        elif "timestamp" in wanted:
            self._stage(self._draft("timestamp"))

    def rotate(
        self, role: str, *, add: Iterable[SSlibKey] = (), remove: Iterable[str] = (), threshold: int | None = None
    ) -> None:
        """Prepare a root that gives a role other keys, and what has to be signed anew with them.

        Args:
            remove: ids of keys, or beginnings of them that are of one key only.
            threshold: how many must sign; as before where it is None.

        Raises:
            ConfigurationError: a key to remove is none of the role's, or too few would be left.
        """
        root = self._draft("root")
        _assign(root.signed, role, tuple(add), tuple(remove), threshold or root.signed.roles[role].threshold)
        self._stage(root)
        if role in {"targets", "snapshot"}:
            self.renew([role])
        elif role == "timestamp":
            self.renew()

    # Signing ----------------------------------------------------------------------------------------------------------

    def sign(self, signers: Iterable[CryptoSigner]) -> list[RoleState]:
        """Sign what is prepared, each key where it counts; with the last signature all of it counts.

        Raises:
            ConfigurationError: nothing is prepared, or a key has no role in it.
        """
        drafts = [draft for role in ROLES if (draft := self._staged(role)) is not None]
        if not drafts:
            raise ConfigurationError(
                "There is nothing to sign.",
                code="NothingStaged",
                recommended_action="Prepare something: `dirbridge release add`, `withdraw`, `renew` or `rotate`.",
            )
        for signer in signers:
            used = False
            for draft in drafts:
                if any(signer.public_key.keyid in each.roles[draft.signed.type].keyids for each in self._judges(draft)):
                    draft.sign(signer, append=True)
                    used = True
            if not used:
                raise ConfigurationError(
                    f"The key {signer.public_key.keyid[:12]} has no part in what is prepared.",
                    code="KeyHasNoRole",
                    recommended_action="See whose signatures are missing: dirbridge release status.",
                )
        for draft in drafts:
            self._write(self.staged, draft)
        if not any(state.missing for state in self.state()):
            self._promote()
        return self.state()

    def state(self) -> list[RoleState]:
        """Give each role as it stands."""
        return [self._state(role) for role in ROLES]

    def _state(self, role: str) -> RoleState:
        draft = self._staged(role)
        newest = draft or self._published(role)
        holders = self._root().roles[role]
        plain = RoleState(role, newest.signed.version, newest.signed.expires, holders.threshold, tuple(holders.keyids))
        if draft is None:
            return plain
        results = [
            judge.get_verification_result(role, draft.signed_bytes, draft.signatures) for judge in self._judges(draft)
        ]
        return RoleState(
            role,
            plain.version,
            plain.expires,
            plain.threshold,
            plain.keys,
            is_staged=True,
            missing=max(result.missing for result in results),
            waiting=tuple(sorted({key for result in results if result.missing for key in result.unsigned})),
        )

    def _judges(self, draft: Metadata[Any]) -> list[Root]:
        """Give the roots whose holders must have signed a draft: for a root the one before it too."""
        if not isinstance(draft.signed, Root):
            return [self._root()]
        before = self._newest("root")
        return [draft.signed] if before is None else [before.signed, draft.signed]

    def _promote(self) -> None:
        """Let what is prepared count. Cut short, it is taken up at the next signature."""
        for role in ROLES:
            draft = self._staged(role)
            if draft is not None:
                (self.staged / _file_name(draft)).replace(self.metadata / _file_name(draft))

    # Reading ----------------------------------------------------------------------------------------------------------

    def releases(self, *, counting: bool = False) -> dict[str, Release]:
        """Give the releases by the names of their archives.

        Args:
            counting: only those that the signed list has; otherwise as it is prepared.
        """
        listed = self._published("targets") if counting else self._staged("targets") or self._published("targets")
        found: dict[str, TargetFile] = listed.signed.targets
        return {name: releases.of_custom(name, target.custom) for name, target in found.items()}

    def files(self) -> dict[str, bytes]:
        """Give the signed files that count, by name: every root, and the newest of the others.

        Raises:
            ConfigurationError: nothing counts yet.
        """
        names = [_file_name(self._published(role)) for role in ROLES[1:]]
        names += sorted(file.name for file in self.metadata.glob("*.root.json"))
        return {name: (self.metadata / name).read_bytes() for name in names}

    def target_files(self) -> list[Path]:
        """Give the archives of the signed list."""
        return [self.target_file(target) for target in self._published("targets").signed.targets.values()]

    def target_file(self, target: TargetFile) -> Path:
        """Give the place of an archive: its name carries its hash, so that it never changes."""
        return self.targets / f"{target.hashes['sha256']}.{target.path}"

    def _root(self) -> Root:
        root: Root = (self._staged("root") or self._published("root")).signed
        return root

    def _published(self, role: str) -> Metadata[Any]:
        found = self._newest(role)
        if found is None:
            raise ConfigurationError(
                f"The repository '{self.folder}' is not signed yet.",
                code="NotSigned",
                recommended_action="See whose signatures are missing: dirbridge release status.",
            )
        return found

    def _newest(self, role: str) -> Metadata[Any] | None:
        files = [self.metadata / "timestamp.json"] if role == "timestamp" else self.metadata.glob(f"*.{role}.json")
        found = [_read(file) for file in files if file.exists()]
        return max(found, key=lambda each: int(each.signed.version), default=None)

    def _staged(self, role: str) -> Metadata[Any] | None:
        found = sorted(self.staged.glob("timestamp.json" if role == "timestamp" else f"*.{role}.json"))
        return _read(found[-1]) if found else None

    # Writing ----------------------------------------------------------------------------------------------------------

    def _draft(self, role: str) -> Metadata[Any]:
        """Give what is prepared for a role, or the next version of what counts."""
        draft = self._staged(role)
        if draft is None:
            draft = self._published(role)
            draft.signed.version += 1
        return draft

    def _follow(self) -> None:
        """Prepare snapshot and timestamp for the list that is prepared."""
        listed = self._staged("targets") or self._published("targets")
        snapshot = self._draft("snapshot")
        snapshot.signed.meta["targets.json"] = MetaFile(listed.signed.version)
        self._stage(snapshot)
        timestamp = self._draft("timestamp")
        timestamp.signed.snapshot_meta = MetaFile(snapshot.signed.version)
        self._stage(timestamp)

    def _stage(self, draft: Metadata[Any]) -> None:
        """Keep a draft; whoever signed it before signed something else."""
        draft.signatures.clear()
        draft.signed.expires = self._now().replace(microsecond=0) + LIFETIMES[draft.signed.type]
        self._write(self.staged, draft)

    @staticmethod
    def _write(folder: Path, draft: Metadata[Any]) -> None:
        file = folder / _file_name(draft)
        part = file.with_name(f".{file.name}.part")
        part.write_bytes(draft.to_bytes())
        part.replace(file)


def _file_name(metadata: Metadata[Any]) -> str:
    """Name a signed file as clients ask for it. Source: TUF 6.1, consistent snapshots."""
    role = metadata.signed.type
    return "timestamp.json" if role == "timestamp" else f"{metadata.signed.version}.{role}.json"


def _read(file: Path) -> Metadata[Any]:
    try:
        return Metadata.from_bytes(file.read_bytes())
    except (OSError, RepositoryError) as error:
        raise ConfigurationError(
            f"'{file}' cannot be read: {error}.",
            code="RepositoryUnreadable",
            recommended_action="Restore the folder from a copy; publishing goes on from any that is not older.",
        ) from error


def _assign(root: Root, role: str, add: tuple[SSlibKey, ...], remove: tuple[str, ...], threshold: int) -> None:
    """Give a role keys and take keys from it."""
    for beginning in remove:
        found = [key for key in root.roles[role].keyids if key.startswith(beginning)]
        if len(found) != 1:
            raise ConfigurationError(
                f"'{beginning}' is the beginning of {len(found)} keys of the role {role}; one is expected.",
                code="KeyUnknown",
                recommended_action="See the keys: dirbridge release status.",
            )
        root.revoke_key(found[0], role)
    for key in add:
        root.add_key(key, role)
    if not 1 <= threshold <= len(root.roles[role].keyids):
        raise ConfigurationError(
            f"{threshold} must sign as {role}, and {len(root.roles[role].keyids)} have a key for it.",
            code="ThresholdUnreachable",
            recommended_action="Give the role more keys, or ask for fewer signatures.",
        )
    root.roles[role].threshold = threshold
