"""Collects into one zip file what tells how an agent is: traces, journal, check, versions, settings without secrets.

Run on the agent's host (`dirbridge agent trace collect`), or by the agent itself when the service asks, which then
carries the file there part by part. Every text is redacted once more on its way: a journal has lines of others.
"""

from __future__ import annotations

import json
import os
import stat
import subprocess
import sys
import tempfile
import time
import zipfile
from collections.abc import Callable, Iterator
from datetime import UTC, datetime, timedelta
from importlib import metadata
from pathlib import Path
from typing import IO, Any

from dirbridge.agent.install import units
from dirbridge.agent.settings import Settings
from dirbridge.agent.state import State
from dirbridge.agent.tracing import TRACE_FOLDER
from dirbridge.agent.tracing.redaction import Redaction, secret_files
from dirbridge.agent.tracing.switch import about

MOST = 48 * 1024 * 1024
"""Bytes of the file beyond which no older trace is added."""
CHECK_SECONDS, JOURNAL_SECONDS = 120, 60
JOURNAL_LINES = 200_000
_KEY_BEGINS, _KEY_ENDS, _KEY_LONGEST = "PRIVATE KEY-----", "-----END", 64 * 1024
NOTES = ("report.json", "update.json", "updater.json")
"""Files of the state folder that hold no secret."""


def collect(
    target: IO[bytes],
    state: State,
    settings: Settings,
    settings_file: Path,
    since: timedelta,
    *,
    now: Callable[[], float] = time.time,
) -> list[str]:
    """Write the zip file; gives what could not be had, which stands in it too.

    Blocks: the check signs in to each directory once, the journal may be long.

    Args:
        since: how far back.

    Raises:
        OSError: the target cannot be written.
    """
    redact = Redaction(secret_files(settings))
    begin = now() - since.total_seconds()
    missing: list[str] = []
    with zipfile.ZipFile(target, "w", zipfile.ZIP_DEFLATED, compresslevel=6) as bundle:
        found = _check(settings_file, state.folder, missing)
        _write(bundle, "check.json", iter([json.dumps(found, indent=2)]), redact)
        _write(bundle, "journal.txt", _journal(begin, missing), redact)
        for name in NOTES:
            if (state.folder / name).is_file():
                _write(bundle, f"state/{name}", _lines(state.folder / name), redact)
        for file in _traces(state.folder / TRACE_FOLDER, begin):
            if target.tell() > MOST:
                missing.append(f"{file.name}: the file would be too large")
                continue
            try:
                _write(bundle, f"{TRACE_FOLDER}/{file.name}", _lines(file), redact)
            except OSError as error:
                missing.append(f"{file.name}: {error.strerror}")
        known = {
            "agent": state.identity.agent,
            "service": state.identity.service,
            "domains": list(state.identity.domains),
            "certificateExpires": state.certificate.not_valid_after_utc.isoformat(),
            "collected": datetime.fromtimestamp(now(), UTC).isoformat(timespec="seconds"),
            "hours": since.total_seconds() / 3600,
            "account": os.geteuid(),
            **about(settings),
            "packages": sorted(f"{each.name} {each.version}" for each in metadata.distributions()),
            "missing": missing,
        }
        _write(bundle, "about.json", iter([json.dumps(known, indent=2)]), redact)
    return missing


def _write(bundle: zipfile.ZipFile, name: str, lines: Iterator[str], redact: Callable[[str], str]) -> None:
    with bundle.open(name, "w", force_zip64=True) as entry:
        for text in _keys_whole(lines):
            entry.write(redact(text).encode("utf-8", "backslashreplace"))


def _keys_whole(lines: Iterator[str]) -> Iterator[str]:
    """Give lines one by one, but those of a private key together, so that it is known for one."""
    for line in lines:
        text = line
        if _KEY_BEGINS in text:
            for following in lines:
                text += following
                if _KEY_ENDS in following or len(text) > _KEY_LONGEST:
                    break
        yield text


def _lines(file: Path) -> Iterator[str]:
    """Read a file of the agent line by line, and nothing that it may have been replaced by.

    Raises:
        OSError: it cannot be read.
    """
    descriptor = os.open(file, os.O_RDONLY | os.O_NOFOLLOW | os.O_CLOEXEC | os.O_NONBLOCK)
    with os.fdopen(descriptor, encoding="utf-8", errors="backslashreplace") as stream:
        if stat.S_ISREG(os.fstat(descriptor).st_mode):
            yield from stream


def _traces(folder: Path, begin: float) -> list[Path]:
    """Name the traces that were written to since a time, the newest first."""
    found = []
    for file in folder.glob("*.log*"):
        try:
            status = file.lstat()
        except FileNotFoundError:  # rotated away just now
            continue
        if stat.S_ISREG(status.st_mode) and status.st_mtime >= begin:
            found.append((status.st_mtime, file))
    return [file for _, file in sorted(found, reverse=True)]


def _check(settings_file: Path, folder: Path, missing: list[str]) -> Any:
    """Run `dirbridge agent check` as a process of its own: what hangs in it does not hang here."""
    program = [sys.executable, "-c", "from dirbridge.cli.main import main; main()"]
    command = [*program, "agent", "check", "--settings", str(settings_file), "--state", str(folder), "--json"]
    environment = {**os.environ, "PYTHONPATH": os.pathsep.join(filter(None, sys.path))}
    try:
        done = subprocess.run(
            command, capture_output=True, timeout=CHECK_SECONDS, env=environment, stdin=subprocess.DEVNULL, check=False
        )
        return json.loads(done.stdout)
    except (OSError, subprocess.SubprocessError, ValueError) as error:
        missing.append(f"check: {type(error).__name__}")
        return {}


def _journal(begin: float, missing: list[str]) -> Iterator[str]:
    """Give what systemd's journal has of the agent's units."""
    command = ["journalctl", "--no-pager", "--quiet", "--output", "short-iso", "--lines", str(JOURNAL_LINES)]
    command += [f"--since=@{begin:.0f}", *(f"--unit={name}" for name in units.NAMES)]
    with tempfile.TemporaryFile() as found:  # it may be longer than the agent's memory should be
        try:
            done = subprocess.run(
                command,
                stdout=found,
                stderr=subprocess.PIPE,
                timeout=JOURNAL_SECONDS,
                stdin=subprocess.DEVNULL,
                check=False,
            )
        except (OSError, subprocess.SubprocessError) as error:
            missing.append(f"journal: {getattr(error, 'strerror', None) or type(error).__name__}")
            return
        if done.returncode != 0:
            missing.append(f"journal: {done.stderr.decode(errors='replace').strip()[:500]}")
        found.seek(0)
        for line in found:
            yield line.decode(errors="backslashreplace")
