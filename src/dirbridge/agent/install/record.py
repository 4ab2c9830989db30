"""What an installation made on its host, kept beside the settings until it is taken away."""

from __future__ import annotations

import json
from pathlib import Path

from dirbridge.agent.replacing import replace
from dirbridge.contract.errors import ConfigurationError

_KINDS = ("accounts", "folders", "files", "units", "trees", "links")


class Record:
    """Names of what was made, by kind. Each change is written at once: what is cut off can still be taken away."""

    def __init__(self, file: Path, made: dict[str, list[str]]) -> None:
        self._file = file
        self._made = made

    @classmethod
    def open(cls, file: Path) -> Record:
        """Read it; an empty one where there is none.

        Raises:
            ConfigurationError: it is damaged.
        """
        try:
            known = json.loads(file.read_text("utf-8"))
            made = {kind: [str(name) for name in known.get(kind, [])] for kind in _KINDS}
        except FileNotFoundError:
            made = {kind: [] for kind in _KINDS}
        except (OSError, ValueError, AttributeError, TypeError) as error:
            raise ConfigurationError(
                f"The record of the installation {file} cannot be read: {error}.",
                code="RecordDamaged",
                recommended_action="Put it back from a back-up, or remove it and install again, which writes it anew; "
                "uninstalling then leaves the account and the folders that are there now.",
            ) from error
        return cls(file, made)

    @property
    def is_empty(self) -> bool:
        """Tell whether nothing was made."""
        return not any(self._made.values())

    def names(self, kind: str) -> list[str]:
        """Give what was made of a kind."""
        return list(self._made[kind])

    def paths(self, kind: str) -> list[Path]:
        """Give what was made of a kind that lies in the file system, the newest first."""
        return [Path(name) for name in reversed(self._made[kind])]

    def add(self, kind: str, name: str | Path) -> None:
        """Note what was made."""
        if str(name) not in self._made[kind]:
            self._made[kind].append(str(name))
        self.keep()

    def drop(self, kind: str, name: str | Path) -> None:
        """Note that something is gone."""
        self._made[kind].remove(str(name))
        self.keep()

    def keep(self) -> None:
        """Write it."""
        replace(self._file, json.dumps(self._made, indent=2).encode())

    def remove(self) -> None:
        """Forget everything."""
        self._file.unlink(missing_ok=True)
