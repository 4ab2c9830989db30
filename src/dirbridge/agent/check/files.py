"""May the account that runs the agent do what it must: run the program, read its files, write its folder?

The account is the one that owns the agent's key, for it enrolled it. Root asks as that account, in a process of its
own, so that what is found is what the agent would meet: modes, ownership, access lists, mounts and policies alike.
"""

from __future__ import annotations

import asyncio
import json
import os
import pwd
import stat
import sys
from collections.abc import AsyncIterator, Iterator
from pathlib import Path

import dirbridge
from dirbridge.agent import state as agent_state
from dirbridge.agent.check import probe
from dirbridge.agent.settings import Settings
from dirbridge.contract.wire import Finding

PATIENCE = 30
"""Seconds that the probe may take."""


async def examine(
    settings_file: Path, settings: Settings | None, folder: Path, program: str = sys.executable
) -> AsyncIterator[Finding]:
    """Give what that account may not do.

    Args:
        settings: where they could be read; the files that they name are probed too.
        folder: of the agent's state.
        program: the interpreter that runs the agent.
    """
    owner = (folder / agent_state.KEY).stat().st_uid
    account = _name(owner)
    stranger = owner != os.geteuid()
    if stranger and os.geteuid() != 0:
        yield Finding(
            "account",
            "warn",
            f"The agent belongs to {account}; this check runs as {_name(os.geteuid())} and cannot ask for it.",
            f"Run it as root, or as {account}.",
            "OtherAccount",
        )
        return
    wanted = list(_wanted(settings_file, settings, folder, program))
    faults = await _ask(owner, wanted, program) if stranger else probe.faults(wanted)
    for fault in faults:
        yield Finding(
            "account",
            "fail",
            f"{account}, the account that runs the agent, {fault}.",
            f"Give it what it needs, and no more; `namei -l` of that path says who stands in its way. {_hint(fault)}",
            "NotPermitted",
        )
    if not faults:
        yield Finding("account", "pass", f"{account} may run the agent, read its files and write {folder}.")
    for path in (settings_file, settings_file.parent, Path(program), Path(dirbridge.__file__).parent):
        finding = _exposed(path)
        if finding is not None:
            yield finding


def _exposed(path: Path) -> Finding | None:
    """Say whether anybody may change what the agent goes by."""
    try:
        mode = path.stat().st_mode
    except OSError:
        return None  # that it cannot be read is another finding
    if not mode & stat.S_IWOTH or (stat.S_ISDIR(mode) and mode & stat.S_ISVTX):
        return None
    return Finding(
        "exposure",
        "warn",
        f"Everybody on this host may change {path} (mode {stat.S_IMODE(mode):04o}), and with it what the agent does.",
        f"`chmod o-w {path}`.",
        "FileExposed",
    )


def _wanted(settings_file: Path, settings: Settings | None, folder: Path, program: str) -> Iterator[tuple[str, str]]:
    """Name what is done with which path: `run`, `read` or `write`."""
    yield "run", program
    command = Path(program).with_name("dirbridge")
    if command.exists():
        yield "run", str(command)
    yield "read", str(settings_file)
    yield "write", str(folder)
    for name in (agent_state.KEY, agent_state.CERTIFICATE, agent_state.TRUST, agent_state.IDENTITY):
        yield "read", str(folder / name)
    for _, value in settings.common if settings is not None else ():
        if isinstance(value, Path):
            yield "read", str(value)
    for domain in settings.domains if settings is not None else ():
        yield from (("read", str(value)) for _, value in domain.settings if isinstance(value, Path))


async def _ask(owner: int, wanted: list[tuple[str, str]], program: str) -> list[str]:
    """Have the probe run as another account."""
    entry = _entry(owner)
    group = entry.pw_gid if entry else owner
    groups = os.getgrouplist(entry.pw_name, group) if entry else [group]
    try:
        process = await asyncio.create_subprocess_exec(
            program, "-I", "-c", probe.PROGRAM,
            stdin=asyncio.subprocess.PIPE, stdout=asyncio.subprocess.PIPE, stderr=asyncio.subprocess.PIPE,
            user=owner, group=group, extra_groups=groups, cwd="/", env={"PATH": os.defpath, "LC_ALL": "C.UTF-8"},
        )  # fmt: skip
    except OSError as error:
        return [f"cannot run {program}: {error.strerror}"]
    try:
        async with asyncio.timeout(PATIENCE):
            said, complaint = await process.communicate(json.dumps(wanted).encode())
    except TimeoutError:
        process.kill()
        await process.wait()
        return [f"had no answer from {program} within {PATIENCE} s"]
    if process.returncode != 0:
        last = complaint.decode(errors="replace").strip().rpartition("\n")[2]
        return [f"cannot run {program}: {last or f'it ended with {process.returncode}'}"]
    return [str(fault) for fault in json.loads(said)]


def _entry(uid: int) -> pwd.struct_passwd | None:
    try:
        return pwd.getpwuid(uid)
    except KeyError:
        return None


def _name(uid: int) -> str:
    entry = _entry(uid)
    return entry.pw_name if entry else f"the account {uid}"


def _hint(fault: str) -> str:
    if "Read-only" in fault:
        return "The file system is mounted read-only, or the unit's ProtectSystem bars it."
    return ""
