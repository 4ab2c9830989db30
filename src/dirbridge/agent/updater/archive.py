"""A release as it travels: one archive, unpacked without pip and without a network.

`lib/` is what goes onto Python's path, `release.json` says what it is. The archive was verified before it is opened; it
is still taken for what it must be and nothing else.
"""

from __future__ import annotations

import os
import shutil
import tarfile
import zlib
from pathlib import Path, PurePosixPath

from dirbridge.contract import release as contract
from dirbridge.contract.errors import ConfigurationError, TransientError
from dirbridge.contract.release import Release

_MAX_FILES = 100_000


def unpack(archive: Path, folder: Path) -> Release:
    """Unpack a release into an empty folder, for everybody to read.

    Raises:
        ConfigurationError: it is no release.
        TransientError: the disk is full, or the folder cannot be written.
    """
    try:
        with tarfile.open(archive, "r:gz") as opened:
            _extract(opened, folder)
    except (tarfile.TarError, EOFError, ValueError, zlib.error) as error:
        raise _no_release(archive, str(error)) from error
    except OSError as error:
        raise unwritable(folder, error) from error
    try:
        return contract.read((folder / contract.MANIFEST).read_bytes())
    except (OSError, ConfigurationError) as error:
        raise _no_release(archive, f"{contract.MANIFEST}: {error}") from error


def _extract(opened: tarfile.TarFile, folder: Path) -> None:
    left = contract.MAX_UNPACKED
    for number, member in enumerate(opened):
        left -= member.size
        if left < 0 or number > _MAX_FILES:
            raise ValueError(f"it holds more than {contract.MAX_UNPACKED:,} bytes or {_MAX_FILES:,} files")
        content = opened.extractfile(member) if member.isreg() else None
        if content is None:
            raise ValueError(f"{member.name} is no plain file")
        place = folder.joinpath(*_parts(member.name))
        _folder(place.parent, folder)
        with content, place.open("xb") as file:
            shutil.copyfileobj(content, file)
            os.fchmod(file.fileno(), 0o644)


def _parts(name: str) -> tuple[str, ...]:
    """Take a name apart, and see that it stays where it belongs."""
    parts = PurePosixPath(name).parts
    if ".." in parts or "\0" in name or not (parts == (contract.MANIFEST,) or parts[:1] == (contract.LIB,)):
        raise ValueError(f"{name!r} has no place in a release")
    return parts


def _folder(place: Path, top: Path) -> None:
    """Make a folder, and those above it; the mode is said, for the process may have a mask of its own."""
    if place != top and not place.is_dir():
        _folder(place.parent, top)
        place.mkdir()
        place.chmod(0o755)


def _no_release(archive: Path, why: str) -> ConfigurationError:
    return ConfigurationError(
        f"{archive.name} is no release of the agent: {why}.",
        code="ReleaseUnfit",
        recommended_action="Build it with `dirbridge release build`, and publish a newer version.",
    )


def unwritable(folder: Path, error: OSError) -> TransientError:
    """Say that there is no room, or no right, to install."""
    return TransientError(
        f"{folder} cannot be written: {error.strerror or error}. The version that runs stays.",
        code="UpdateUnwritable",
        recommended_action="Free the disk, or give the updater its folder; it is tried again.",
    )
