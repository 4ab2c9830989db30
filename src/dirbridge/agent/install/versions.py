"""The folder of the agent's versions, as an installation leaves it: a first version, and whose releases are trusted."""

from __future__ import annotations

import os
from collections.abc import Callable
from pathlib import Path

import dirbridge
from dirbridge.agent.install.record import Record
from dirbridge.agent.replacing import replace
from dirbridge.agent.updater import repository
from dirbridge.agent.updater.home import Home
from dirbridge.contract import release as contract
from dirbridge.contract.errors import ConfigurationError

Tell = Callable[[str], None]


def take_in(home: Home, record: Record, tell: Tell) -> None:
    """Make this installation a version of the host, and the current one where it is newer than that.

    What the updater installed stays: an installation is run again for other reasons too.
    """
    version, here = dirbridge.__version__, Path(dirbridge.__file__)
    for kind, place in (("trees", home.versions), ("trees", home.own), ("links", home.folder / "current")):
        if not os.path.lexists(place):
            record.add(kind, place)
    try:
        current = home.current()
    except ConfigurationError:
        current = None
    if here.is_relative_to(home.versions.resolve()) or (current and contract.order(current) > contract.order(version)):
        return
    if current == version and not home.is_adopted(version):
        return
    if home.adopt(version):
        tell(f"Wrote {home.program_of(version)}.")
    if current != version:
        home.switch(version)
        home.end_trial()
        tell(f"The agent's version on this host is {version}.")
        if current is not None and home.is_adopted(current):
            home.keep_only(*(each.name for each in home.versions.iterdir() if each.name != current))


def trust(home: Home, file: Path, record: Record, tell: Tell) -> None:
    """Put the root of the releases where the updater finds it.

    Raises:
        ConfigurationError: it is none.
    """
    try:
        content = file.read_bytes()
    except OSError as error:
        raise ConfigurationError(
            f"The root of releases {file} cannot be read: {error.strerror}.",
            code="UpdateRootUnusable",
            recommended_action="Name the root file that those who sign the releases gave you.",
        ) from error
    repository.check_root(content, file)
    place = home.folder / "root.json"
    if not place.exists():
        record.add("files", place)
    if not place.exists() or place.read_bytes() != content:
        repository.forget(home.own, content)
        replace(place, content, mode=0o644)
        tell(f"Releases are trusted as {file} says; it lies at {place} now.")
