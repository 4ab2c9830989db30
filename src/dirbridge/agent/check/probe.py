"""What an account may do with files, tried and not computed. Runs by itself too, as `PROGRAM`, under another account.

It imports nothing of ours: the other account may not even be able to read where we are installed, which is a finding.
"""

from __future__ import annotations

import inspect
import os
import secrets
from collections.abc import Sequence


def faults(wanted: Sequence[tuple[str, str]]) -> list[str]:
    """Say what cannot be done; `wanted` is pairs of `run`, `read` or `write` and a path."""
    found = []
    for act, path in wanted:
        try:
            if act == "read":
                with open(path, "rb") as file:  # noqa: PTH123 - the program below has no other imports
                    file.read(1)
            elif act == "write":
                trial = os.path.join(path, f".probe.{secrets.token_hex(4)}")  # noqa: PTH118
                os.close(os.open(trial, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600))
                os.unlink(trial)  # noqa: PTH108
            elif not os.access(path, os.R_OK | os.X_OK, effective_ids=True):
                found.append(f"may not run {path}")
        except OSError as error:
            found.append(f"cannot {act} {path}: {error.strerror}")
    return found


PROGRAM = "\n".join((
    "import json, os, secrets, sys",
    "from collections.abc import Sequence",
    inspect.getsource(faults),
    "json.dump(faults(json.load(sys.stdin)), sys.stdout)",
))  # fmt: skip
"""The same as a program: reads pairs as JSON, writes the faults as JSON."""
