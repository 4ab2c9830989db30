"""A repository of releases, signed with keys of its own: as it should be, and in every way as it should not."""

from __future__ import annotations

import io
import tarfile
from collections.abc import Mapping
from datetime import UTC, datetime, timedelta
from hashlib import sha256

from securesystemslib.signer import CryptoSigner
from tuf.api.metadata import Metadata, MetaFile, Root, Snapshot, TargetFile, Targets, Timestamp

from dirbridge.contract import release as releases
from dirbridge.contract.release import Release, here

ROLES = (Root.type, Timestamp.type, Snapshot.type, Targets.type)


def archive(version: str, files: Mapping[str, str] | None = None) -> bytes:
    """A release for this host: its manifest, and a library of these files."""
    named = {f"lib/{name}": text for name, text in (files or {"dirbridge/__init__.py": ""}).items()}
    return packed({"release.json": releases.write(Release(version, *here())).decode(), **named})


def packed(files: Mapping[str, str | tarfile.TarInfo]) -> bytes:
    """An archive of files by name; a `TarInfo` is put in as it is."""
    stream = io.BytesIO()
    with tarfile.open(fileobj=stream, mode="w:gz", compresslevel=1) as tar:
        for name, content in files.items():
            if isinstance(content, tarfile.TarInfo):
                tar.addfile(content)
                continue
            member = tarfile.TarInfo(name)
            member.size = len(content.encode())
            tar.addfile(member, io.BytesIO(content.encode()))
    return stream.getvalue()


class Signed:
    """What a service would hand out: paths below `/agents/v1/releases/` to bytes.

    Args:
        lives: how long what it says is good.
    """

    def __init__(self, lives: timedelta = timedelta(days=10)) -> None:
        self.signers = {role: CryptoSigner.generate_ed25519() for role in ROLES}
        self.lives = lives
        self.files: dict[str, bytes] = {}
        self.root = Root(version=1, expires=self._expires(), consistent_snapshot=True)
        for role, signer in self.signers.items():
            self.root.add_key(signer.public_key, role)
        self.timestamp = Timestamp(version=1, expires=self._expires())
        self.snapshot = Snapshot(version=1, expires=self._expires())
        self.targets = Targets(version=1, expires=self._expires())
        self.trusted = self.publish_root()
        self.publish()

    def _expires(self) -> datetime:
        return (datetime.now(UTC) + self.lives).replace(microsecond=0)

    def publish_root(self) -> bytes:
        """Sign the root as it is; gives what a host trusts."""
        content = self._sign(self.root, Root.type)
        self.files[f"metadata/{self.root.version}.root.json"] = content
        return content

    def publish(self) -> None:
        """Sign everything below the root."""
        self.files[f"metadata/{self.targets.version}.targets.json"] = self._sign(self.targets, Targets.type)
        self.snapshot.meta["targets.json"] = MetaFile(version=self.targets.version)
        self.files[f"metadata/{self.snapshot.version}.snapshot.json"] = self._sign(self.snapshot, Snapshot.type)
        self.timestamp.snapshot_meta = MetaFile(version=self.snapshot.version)
        self.files["metadata/timestamp.json"] = self._sign(self.timestamp, Timestamp.type)

    def _sign(self, role: Root | Timestamp | Snapshot | Targets, name: str) -> bytes:
        signed = Metadata(role)
        signed.sign(self.signers[name])
        return signed.to_bytes()

    def add(self, release: Release | str, content: bytes | None = None) -> str:
        """Add a release and sign everything as its next version; gives the path of its archive."""
        release = Release(release, *here()) if isinstance(release, str) else release
        content = content if content is not None else archive(release.version)
        name = releases.target_name(release)
        target = TargetFile.from_data(name, content, ["sha256"])
        target.unrecognized_fields["custom"] = releases.custom(release)
        self.targets.targets[name] = target
        place = f"targets/{sha256(content).hexdigest()}.{name}"
        self.files[place] = content
        self.next()
        return place

    def next(self) -> None:
        """Sign everything as a next version."""
        for role in (self.targets, self.snapshot, self.timestamp):
            role.version += 1
            role.expires = self._expires()
        self.publish()
