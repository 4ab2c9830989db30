"""The archive of a release: packed from a folder of installed packages, the same bytes from the same folder."""

from __future__ import annotations

import gzip
import io
import tarfile
import zlib
from collections.abc import Iterator, Mapping
from pathlib import Path, PurePosixPath

from dirbridge.contract import release as releases
from dirbridge.contract.errors import ConfigurationError
from dirbridge.contract.release import LIB, MANIFEST, Release

Contents = Mapping[str, Path | bytes]
"""By the member's name, the file that it is read from, or what is in it."""


def pack(folder: Path, release: Release, contents: Contents, *, level: int = 9) -> Path:
    """Write the archive of a release into a folder; it appears when it is whole.

    Args:
        contents: members below `lib/`.
        level: how hard to compress, 1 to 9.
    """
    file = folder / releases.target_name(release)
    part = file.with_name(f".{file.name}.part")
    try:
        # Neither time nor person is in it, so that whoever packs the same packages gets the same bytes.
        with (
            part.open("wb") as stream,
            gzip.GzipFile("", "wb", level, stream, mtime=0) as packed,
            tarfile.open(fileobj=packed, mode="w", format=tarfile.PAX_FORMAT) as tar,
        ):
            _add(tar, MANIFEST, releases.write(release))
            for name in sorted(contents):
                _add(tar, name, contents[name])
        part.replace(file)
    except OSError as error:
        raise ConfigurationError(f"'{file}' cannot be written: {error}.", code="FileUnwritable") from error
    finally:
        part.unlink(missing_ok=True)
    return file


def _add(tar: tarfile.TarFile, name: str, content: Path | bytes) -> None:
    data = content if isinstance(content, bytes) else content.read_bytes()
    member = tarfile.TarInfo(name)
    member.size = len(data)
    member.mode = 0o644
    tar.addfile(member, io.BytesIO(data))


def examine(file: Path) -> Release:
    """Say which release an archive is, having looked at every member of it.

    Raises:
        ConfigurationError: it is no archive of a release, or not under its own name.
    """
    try:
        with tarfile.open(file, "r:gz") as tar:
            members = iter(tar)
            release = _manifest(tar, next(members, None))
            _look_at(members)
    except (OSError, tarfile.TarError, EOFError, zlib.error) as error:
        raise _unfit(file, str(error)) from error
    except ConfigurationError as error:
        raise _unfit(file, error.reason) from error
    if file.name != releases.target_name(release):
        raise _unfit(file, f"its name must be {releases.target_name(release)}")
    return release


def _manifest(tar: tarfile.TarFile, first: tarfile.TarInfo | None) -> Release:
    if first is None or first.name != MANIFEST or not first.isreg() or first.size > releases.MAX_MANIFEST:
        raise ConfigurationError(f"it does not begin with {MANIFEST}")
    stream = tar.extractfile(first)
    assert stream is not None
    return releases.read(stream.read())


def _look_at(members: Iterator[tarfile.TarInfo]) -> None:
    """See that there is nothing but plain files below `lib/`, each once."""
    seen: set[str] = set()
    size = 0
    for member in members:
        path = PurePosixPath(member.name)
        if not member.isreg() or path.parts[0] != LIB or ".." in path.parts or str(path) != member.name:
            raise ConfigurationError(f"'{member.name}' is not a plain file below {LIB}/")
        if member.name in seen:
            raise ConfigurationError(f"'{member.name}' is in it twice")
        seen.add(member.name)
        size += member.size
        if size > releases.MAX_UNPACKED:
            raise ConfigurationError(f"unpacked it has more than the {releases.MAX_UNPACKED:,} bytes that are taken")


def _unfit(file: Path, why: str) -> ConfigurationError:
    return ConfigurationError(
        f"'{file}' is not the archive of a release: {why.rstrip('.')}.",
        code="ReleaseUnfit",
        recommended_action="Give one that `dirbridge release build` made, under the name that it has.",
    )
