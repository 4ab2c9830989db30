"""The agent's services as systemd sees them: there, started with the host, running, and if not, what kept them from it.

Only where systemd is the host's first process. An agent that another supervisor runs has no units, and no finding here.
"""

from __future__ import annotations

import asyncio
import os
from collections.abc import AsyncIterator, Mapping, Sequence
from pathlib import Path

from dirbridge.agent.install import units
from dirbridge.contract.wire import Finding

BOOTED = Path("/run/systemd/system")
"""There where systemd booted the host. Source: sd_booted(3)."""
PATIENCE = 20
"""Seconds that systemd may take to answer."""

_PROPERTIES = (
    "Id", "LoadState", "ActiveState", "SubState", "Result", "ExecMainCode", "ExecMainStatus", "UnitFileState",
    "NeedDaemonReload", "User",
)  # fmt: skip

_NOT_STARTED: Mapping[str, tuple[str, str]] = {
    "200": ("its working folder cannot be entered", "Give the account the right to enter it."),
    "203": (
        "its program cannot be run",
        "See that the program of ExecStart= is there, that the account may run it, and that its mount is not noexec.",
    ),
    "216": ("the group cannot be taken on", "See that the group exists: `getent group`."),
    "217": ("the account cannot be taken on", "Run `dirbridge agent install` again: it makes the account."),
    "218": ("a capability cannot be dropped", "See what bars it: a container, or a policy of the host."),
    "226": ("its namespaces cannot be made", "See that each path of ReadWritePaths= exists, and what bars namespaces."),
    "228": ("its filter of system calls cannot be set", "See what bars it: a container, or the kernel."),
    "229": ("its SELinux context cannot be set", "See `ausearch -m avc -ts recent`."),
    "231": ("its AppArmor profile cannot be set", "See `aa-status`, and `journalctl -k -g DENIED`."),
}
"""What kept a service from its start, by the status that systemd ends it with. Source: systemd.exec(5), exit codes."""

_ENDED: Mapping[str, tuple[str, str]] = {
    "3": ("its settings are wrong", "The test `settings` says what is; then start it."),
    "4": ("the service does not accept this agent any more", "The test `sign-in` says why."),
    "5": ("the service cannot be reached", "The tests that follow say where the way ends."),
}
"""Why the agent itself ended; source: docs/command-line.md, exit codes."""


async def examine(names: Sequence[str] = units.NAMES, booted: Path = BOOTED) -> AsyncIterator[Finding]:
    """Give what systemd says of each unit; nothing where it does not run, or knows none of them."""
    if not os.access(booted, os.F_OK):
        return
    try:
        told = await _ask(names)
    except (OSError, TimeoutError) as error:
        yield Finding(
            "services",
            "warn",
            f"systemd runs here and does not say how the agent's services are: {str(error) or 'no answer in time'}.",
            f"Ask it yourself: `systemctl status {' '.join(names)}`.",
            "SystemdSilent",
        )
        return
    if all(unit.get("LoadState") == "not-found" for unit in told.values()):
        return
    for name in names:
        yield _judge(name, told.get(name, {}))


async def _ask(names: Sequence[str]) -> dict[str, dict[str, str]]:
    """Give each unit's properties.

    Raises:
        OSError: systemctl cannot be run, or complains. TimeoutError: it does not answer.
    """
    process = await asyncio.create_subprocess_exec(
        "systemctl", "show", "--no-pager", f"--property={','.join(_PROPERTIES)}", "--", *names,
        stdin=asyncio.subprocess.DEVNULL, stdout=asyncio.subprocess.PIPE, stderr=asyncio.subprocess.PIPE,
    )  # fmt: skip
    try:
        async with asyncio.timeout(PATIENCE):
            said, complaint = await process.communicate()
    except TimeoutError:
        process.kill()
        await process.wait()
        raise
    if process.returncode != 0:
        raise OSError(complaint.decode(errors="replace").strip() or f"systemctl ended with {process.returncode}")
    blocks = said.decode(errors="replace").strip().split("\n\n")
    found = [dict(line.split("=", 1) for line in block.splitlines() if "=" in line) for block in blocks]
    return {unit["Id"]: unit for unit in found if "Id" in unit}


def _judge(name: str, unit: Mapping[str, str]) -> Finding:
    """Say how one service is."""
    label = f"service {name.removesuffix('.service')}"
    load, active, file = (unit.get(key, "") for key in ("LoadState", "ActiveState", "UnitFileState"))
    if load != "loaded":
        said = {"masked": "is masked, so that nothing can start it", "not-found": "is not installed, others are"}
        return Finding(
            label,
            "fail",
            f"The service {name} {said.get(load, f'cannot be loaded ({load})')}.",
            f"`systemctl unmask {name}`." if load == "masked" else "Run `dirbridge agent install` again.",
            "ServiceNotInstalled",
        )
    if active == "failed" or (active == "activating" and unit.get("SubState") == "auto-restart"):
        return _failed(label, name, unit)
    if active not in {"active", "activating", "reloading"}:
        return Finding(
            label, "fail", f"The service {name} does not run.", f"`systemctl start {name}`.", "ServiceNotStarted"
        )
    if unit.get("NeedDaemonReload") == "yes":
        return Finding(
            label,
            "warn",
            f"The service {name} runs, but its unit was changed since systemd read it.",
            f"`systemctl daemon-reload`, then `systemctl restart {name}`.",
            "ServiceUnitChanged",
        )
    if file == "disabled":
        return Finding(
            label,
            "warn",
            f"The service {name} runs, but does not start with the host.",
            f"`systemctl enable {name}`.",
            "ServiceNotEnabled",
        )
    return Finding(label, "pass", f"The service {name} runs as {unit.get('User') or 'root'}.")


def _failed(label: str, name: str, unit: Mapping[str, str]) -> Finding:
    status, account = unit.get("ExecMainStatus", ""), unit.get("User") or "root"
    if unit.get("ExecMainCode") == "1" and status in _NOT_STARTED:  # CLD_EXITED
        why, remedy = _NOT_STARTED[status]
        return Finding(
            label,
            "fail",
            f"The service {name} failed to start: {why} (status {status}). The account {account} does not have the "
            "privileges to start it.",
            remedy,
            "ServiceMayNotStart",
        )
    result = unit.get("Result", "")
    why, remedy = _ENDED.get(status, (f"{result}, status {status}" if status not in {"", "0"} else result, ""))
    return Finding(
        label,
        "fail",
        f"The service {name} failed: {why}.",
        remedy or f"See what it said: `journalctl -u {name} -n 50`.",
        "ServiceFailed",
    )
