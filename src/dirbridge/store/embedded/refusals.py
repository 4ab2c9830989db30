"""Why the embedded server does not come up, in plain words."""

from __future__ import annotations

import contextlib
import errno
import os
import re
from collections.abc import Iterator
from pathlib import Path

from dirbridge.contract.errors import ConfigurationError, DirbridgeError


@contextlib.contextmanager
def plain_errors(data: Path) -> Iterator[None]:
    """Say in plain words why a folder cannot be used."""
    try:
        yield
    except OSError as error:
        if error.errno in {errno.ENOSPC, errno.EDQUOT}:
            raise disk_full(data) from error
        raise ConfigurationError(
            f"'{error.filename or data}' cannot be used for the database: {error.strerror}.",
            code="DataFolderNotWritable",
            recommended_action=f"Let user id {os.geteuid()} write to '{data}', or name another folder with --data.",
        ) from error


def disk_full(data: Path) -> ConfigurationError:
    """Say that there is no room left."""
    return ConfigurationError(
        f"The file system of '{data}' is full.",
        code="DiskFull",
        recommended_action="Free some space there, or move the data folder; nothing that was stored is lost.",
    )


def start_failed(data: Path, output: str) -> DirbridgeError:
    """Turn what initdb or the server said into an error; its last lines say why."""
    if os.strerror(errno.ENOSPC) in output or os.strerror(errno.EDQUOT) in output:
        return disk_full(data)
    lines = [re.sub(r"^[-0-9]+ [:.0-9]+ \w+ \[\d+\] (LOG: +)?", "", line).strip() for line in output.splitlines()]
    telling = [line for line in lines if re.search(r"FATAL|PANIC|HINT|error|invalid|unrecognized", line)]
    reason = " / ".join((telling or lines)[-3:]).rstrip(".") or "it said nothing"
    return ConfigurationError(
        f"The embedded PostgreSQL in '{data}' does not start: {reason}.",
        code="DatabaseDidNotStart",
        recommended_action=f"Look into '{data / 'postgres.log'}'.",
    )
