"""Brings the scripts of the portal's pages from npm before a package is built, as `make setup` does.

Where npm is not or fails, the package is built without them, and says so: an agent or the tools alone need none.
"""

from __future__ import annotations

import shutil
import subprocess
from pathlib import Path
from typing import Any

from hatchling.builders.hooks.plugin.interface import BuildHookInterface

FOLDER = "src/dirbridge/service/portal/third_party"


class Scripts(BuildHookInterface):  # type: ignore[misc]
    """Hatchling's hook of this project."""

    PLUGIN_NAME = "scripts"

    def initialize(self, version: str, build_data: dict[str, Any]) -> None:
        """Install what is locked, if it is not there; an editable install leaves it to the set-up."""
        folder = Path(self.root) / FOLDER
        if version == "editable" or (folder / "node_modules").is_dir() or not (folder / "package.json").exists():
            return
        npm = shutil.which("npm")
        command = [npm or "npm", "ci", "--ignore-scripts", "--loglevel=error"]
        if npm is None or subprocess.run(command, cwd=folder, check=False, stdout=subprocess.DEVNULL).returncode != 0:
            self.app.display_warning("npm is missing or failed: the portal's pages will not move by themselves.")
