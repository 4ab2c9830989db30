"""What a release of the agent is: one archive, what it says of itself, and how its name is made.

`dirbridge.release` packs and signs them, the service keeps and shows them, `agent/updater` installs them.

An archive is a gzipped tar with `release.json` as its first member and `lib/`, the folder that is put on `sys.path`:
dirbridge with all packages that its agent needs. There is nothing else in it, and only plain files. In the signed list
of the repository (TUF's targets) each archive carries as `custom` what `custom` gives here, so that a host can choose
before it downloads.
"""

from __future__ import annotations

import re
import sys
import sysconfig
from collections.abc import Iterable
from typing import Any

import msgspec

from dirbridge.contract.errors import ConfigurationError

MANIFEST = "release.json"
LIB = "lib"
ROOT = "lib/dirbridge/agent/updater/root.json"
"""Member of an archive with the first trusted root of the repository, for the updater of a host that begins with it."""
STABLE = "stable"
API = 1
"""Version of the agents' door that this code speaks: the one in its address, /agents/v1."""
MAX_ARCHIVE = 256 * 1024 * 1024
"""Bytes that an archive may have."""
MAX_UNPACKED = 1024 * 1024 * 1024
"""Bytes that its members may have together."""
MAX_MANIFEST = 64 * 1024
"""Bytes that `release.json` may have."""

_VERSION = re.compile(r"(\d{1,9})\.(\d{1,9})\.(\d{1,9})(?:(a|b|rc)(\d{1,9}))?", re.ASCII)
_PYTHON = re.compile(r"3\.\d{1,3}", re.ASCII)
_PLATFORM = re.compile(r"linux_[a-z0-9_]{1,32}", re.ASCII)
_CHANNEL = re.compile(r"[a-z][a-z0-9-]{0,31}", re.ASCII)


class Release(msgspec.Struct, frozen=True):
    """What a release says of itself.

    Attributes:
        version: as 1.2.3, or 1.2.3rc1.
        python: the minor version of Python that it was built for, as 3.11.
        platform: as linux_x86_64.
        requires: the oldest version of the agents' door that it can speak to.
        channel: who is offered it; hosts take `stable`.
    """

    version: str
    python: str
    platform: str
    requires: int = API
    channel: str = STABLE

    def __post_init__(self) -> None:
        order(self.version)
        odd = [
            f"{name} '{value}'"
            for name, value, form in (
                ("python", self.python, _PYTHON),
                ("platform", self.platform, _PLATFORM),
                ("channel", self.channel, _CHANNEL),
            )
            if not form.fullmatch(value)
        ]
        if self.requires < 1:
            odd.append(f"requires {self.requires}")
        if odd:
            raise ConfigurationError(f"A release cannot have {', '.join(odd)}.", code="ReleaseUnreadable")


def target_name(release: Release) -> str:
    """Name the archive of a release."""
    tag = "cp" + release.python.replace(".", "")
    return f"dirbridge-agent-{release.version}-{tag}-{release.platform}.tar.gz"


def order(version: str) -> tuple[int, ...]:
    """Give the key by which versions are sorted: candidates come before what they lead to.

    Raises:
        ConfigurationError: it is none.

    Source: PEP 440, of which releases use only this much.
    """
    read = _VERSION.fullmatch(version)
    if read is None:
        raise ConfigurationError(
            f"'{version[:64]}' is not the version of a release; one such as 1.4.2 or 1.5.0rc1 is expected.",
            code="ReleaseUnreadable",
        )
    stage = {"a": 0, "b": 1, "rc": 2, None: 3}[read[4]]
    return (int(read[1]), int(read[2]), int(read[3]), stage, int(read[5] or 0))


def here() -> tuple[str, str]:
    """Give the Python and the platform of this process, as releases name them."""
    python = f"{sys.version_info.major}.{sys.version_info.minor}"
    return python, sysconfig.get_platform().replace("-", "_").replace(".", "_")


def newest(
    releases: Iterable[Release], *, python: str, platform: str, channel: str = STABLE, api: int = API
) -> Release | None:
    """Choose the newest release that a host can run and its service understands; None where there is none."""
    fitting = [
        each
        for each in releases
        if (each.python, each.platform, each.channel) == (python, platform, channel) and each.requires <= api
    ]
    return max(fitting, key=lambda release: order(release.version), default=None)


def write(release: Release) -> bytes:
    """Give the content of `release.json`."""
    return msgspec.json.format(msgspec.json.encode(release), indent=2) + b"\n"


def read(document: bytes) -> Release:
    """Read `release.json`. Members that are not known are left to newer readers.

    Raises:
        ConfigurationError: it is none.
    """
    try:
        return msgspec.json.decode(document, type=Release)
    except (msgspec.DecodeError, UnicodeDecodeError) as error:
        raise _unreadable(MANIFEST, error) from error


def custom(release: Release) -> dict[str, Any]:
    """Give what the signed list says of an archive beside length and hash."""
    return dict(msgspec.to_builtins(release))


def of_custom(name: str, said: object) -> Release:
    """Read what the signed list says of the archive `name`, and see that it is that archive.

    Raises:
        ConfigurationError: it is not what a release says, or says it of another archive.
    """
    try:
        release = msgspec.convert(said, Release)
    except msgspec.ValidationError as error:
        raise _unreadable(f"The description of '{name}'", error) from error
    if target_name(release) != name:
        raise ConfigurationError(
            f"The archive '{name}' is described as '{target_name(release)}'.", code="ReleaseUnreadable"
        )
    return release


def _unreadable(what: str, error: Exception) -> ConfigurationError:
    return ConfigurationError(f"{what} does not describe a release: {error}.", code="ReleaseUnreadable")
