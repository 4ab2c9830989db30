"""Building a release: a folder of installed packages becomes an archive, which is tried out before anybody signs it.

The folder is what an installer leaves there (`pip install --target`), and nothing else: no part of the machine that
builds gets in. So a host needs neither an installer nor a network, only the same Python.
"""

from __future__ import annotations

import importlib.metadata
import subprocess
import sys
import tarfile
import tempfile
from pathlib import Path
from typing import Any

from tuf.api.exceptions import RepositoryError
from tuf.api.metadata import Metadata, Root

from dirbridge.contract import release as releases
from dirbridge.contract.errors import ConfigurationError
from dirbridge.contract.release import LIB, Release
from dirbridge.release import archive

_LEFT_OUT = {"direct_url.json", "INSTALLER", "REQUESTED"}
"""What an installer notes about itself and about this machine."""
_TRIAL = """
import importlib, pkgutil, sys
sys.path.insert(0, sys.argv[1])
import dirbridge.agent, dirbridge.connectors, dirbridge.contract, dirbridge.cli.agent
for package in (dirbridge.agent, dirbridge.connectors, dirbridge.contract):
    for module in pkgutil.walk_packages(package.__path__, package.__name__ + "."):
        importlib.import_module(module.name)
print(dirbridge.__version__)
"""


def build(packages: Path, root: Path, folder: Path, *, level: int = 9) -> Path:
    """Pack the agent that is installed in a folder, with the root that its updater begins with.

    Args:
        packages: the folder of installed packages.
        root: a signed root of the repository, the newest at best.
        folder: where to write the archive.
        level: how hard to compress, 1 to 9.

    Raises:
        ConfigurationError: something is missing there, or the agent does not run from what is there.
    """
    python, platform = releases.here()
    release = Release(_version(packages), python, platform)
    contents: dict[str, Path | bytes] = {
        f"{LIB}/{path.relative_to(packages)}": path for path in sorted(packages.rglob("*")) if _belongs(path, packages)
    }
    contents[releases.ROOT] = _root(root)
    made = archive.pack(folder, release, contents, level=level)
    try:
        archive.examine(made)
        try_out(made, release.version)
    except ConfigurationError:
        made.unlink()
        raise
    return made


def _belongs(path: Path, packages: Path) -> bool:
    parts = path.relative_to(packages).parts
    return path.is_file() and parts[0] != "bin" and "__pycache__" not in parts and path.name not in _LEFT_OUT


def _version(packages: Path) -> str:
    found = list(importlib.metadata.distributions(name="dirbridge", path=[str(packages)]))
    if len(found) != 1 or not (packages / "dirbridge" / "__init__.py").is_file():
        raise ConfigurationError(
            f"'{packages}' holds {len(found) or 'no'} installed dirbridge; exactly one is expected, not editable.",
            code="ReleaseUnfit",
            recommended_action="Install it into an empty folder: pip install --target FOLDER … (docs/releases.md).",
        )
    return found[0].version


def _root(file: Path) -> bytes:
    try:
        content = file.read_bytes()
        root = Metadata[Any].from_bytes(content)
        if not isinstance(root.signed, Root):
            raise RepositoryError(f"it is a {root.signed.type}")
        root.signed.verify_delegate(Root.type, root.signed_bytes, root.signatures)
    except (OSError, RepositoryError, ValueError) as error:
        raise ConfigurationError(
            f"'{file}' is not a signed root of a repository: {error}.",
            code="FileUnreadable",
            recommended_action="Give the newest `metadata/….root.json` of the folder that is published from.",
        ) from error
    return content


def try_out(file: Path, version: str) -> None:
    """Import all of the agent from an archive, with nothing of this machine but its Python.

    Raises:
        ConfigurationError: a package is missing, or it is another version.
    """
    with tempfile.TemporaryDirectory(prefix="dirbridge-release-") as folder:
        with tarfile.open(file) as tar:
            tar.extractall(folder, filter="data")
        tried = subprocess.run(
            [sys.executable, "-I", "-S", "-B", "-c", _TRIAL, f"{folder}/{LIB}"],
            capture_output=True,
            text=True,
            timeout=120,
            check=False,
        )
    if tried.returncode != 0 or tried.stdout.strip() != version:
        said = (tried.stderr or tried.stdout).strip().rpartition("\n")[2]
        raise ConfigurationError(
            f"The agent does not run from {file.name}: {said[:300]}.",
            code="ReleaseUnfit",
            recommended_action="Install all packages that requirements/agent.txt names into the folder.",
        )
