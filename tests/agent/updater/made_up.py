"""Releases of an agent that is none: it takes the lock, says that it was found, and fails as it is told to."""

from __future__ import annotations

import json
import os
import signal
import sys
import time
from pathlib import Path

from tests.agent.updater.signing import archive

_MAIN = """
import fcntl, json, os, pathlib, sys, time

VERSION, FAULT = {version!r}, {fault!r}
KNOWN = ("agent", "run", "updater", "--check")

def main():
    words = sys.argv[1:]
    state = pathlib.Path(words[words.index("--state") + 1])
    with (state / "made-up.log").open("a") as log:
        log.write(f"{{VERSION}} {{' '.join(word for word in words if word in KNOWN)}}\\n")
    if words[:2] == ["agent", "updater"]:
        if "--check" in words:
            sys.exit("no such setting: 'concurrency'" if FAULT == "does not start" else 0)
        time.sleep(300)
    run(state)

def run(state):
    if FAULT == "ends":
        sys.exit(3)
    lock = (state / "agent.lock").open("a+")
    fcntl.flock(lock, fcntl.LOCK_EX)
    lock.truncate(0)
    lock.write(str(os.getpid()))
    lock.flush()
    if FAULT == "hangs":
        time.sleep(300)
    report = {{"version": VERSION, "found": FAULT != "is not found", "lost": "it does not answer"}}
    (state / "report.json").write_text(json.dumps(report))
    time.sleep(0.3 if FAULT == "falls over" else 300)
    sys.exit(1)
"""


def release(version: str, fault: str = "") -> bytes:
    """The archive of a version.

    Args:
        fault: `does not start`, `ends`, `hangs`, `is not found`, `falls over`; none if empty.
    """
    return archive(version, {name.removeprefix("lib/"): text for name, text in contents(version, fault).items()})


def contents(version: str, fault: str = "") -> dict[str, str]:
    """What is in it."""
    return {
        "lib/dirbridge/__init__.py": "",
        "lib/dirbridge/cli/__init__.py": "",
        "lib/dirbridge/cli/main.py": _MAIN.format(version=version, fault=fault),
    }


_RESTART = """
import os, pathlib, signal, subprocess, sys, time
program, state = sys.argv[1], pathlib.Path(sys.argv[2])
lock = state / "agent.lock"
if lock.exists() and lock.read_text():
    try:
        os.kill(int(lock.read_text()), signal.SIGKILL)
    except ProcessLookupError:
        pass
lock.write_text("")
with (state / "pids").open("a") as pids:
    running = subprocess.Popen(
        [program, "agent", "run", "--state", str(state)], stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL, start_new_session=True,
    )
    pids.write(f"{running.pid}\\n")
"""


def restart(program: Path, state: Path) -> list[str]:
    """The command that restarts it."""
    return [sys.executable, "-I", "-c", _RESTART, str(program), str(state)]


def end(state: Path) -> None:
    """Leave none of its processes behind."""
    pids = state / "pids"
    for pid in pids.read_text().split() if pids.exists() else ():
        _end(int(pid))


def _end(pid: int) -> None:
    try:
        os.kill(pid, signal.SIGKILL)
    except ProcessLookupError:
        return
    while Path(f"/proc/{pid}").exists() and "\nState:\tZ" not in Path(f"/proc/{pid}/status").read_text():
        time.sleep(0.01)


def logged(state: Path) -> list[str]:
    """What was started, in order."""
    return (state / "made-up.log").read_text().splitlines()


def phase(state: Path) -> tuple[str, str]:
    """What the updater says: phase and message."""
    said = json.loads((state / "update.json").read_text())
    return said["phase"], said["message"]
