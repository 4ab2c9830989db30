"""The host itself: what is installed, and whether its policy lets it run."""

from __future__ import annotations

import importlib
import os
import platform
import re
import sys
from collections.abc import Iterator, Sequence
from pathlib import Path

import dirbridge
from dirbridge.contract.wire import Finding

LIBRARIES = ("ldap", "cryptography", "joserfc", "zstandard")
"""What the agent cannot do without; each is code of this machine's kind, which another machine's does not load."""


DENIALS = (Path("/var/log/audit/audit.log"), Path("/var/log/kern.log"), Path("/var/log/syslog"))
"""Where SELinux and AppArmor leave word of what they denied, unless only the journal has it."""
_DENIED = re.compile(r"apparmor=\"DENIED\"|avc:\s+denied")
_TAIL = 1024 * 1024


def examine(pid: int | None = None) -> Iterator[Finding]:
    """Give what there is to say of installation and policy.

    Args:
        pid: the running agent's process, whose confinement may be another than this one's.
    """
    yield installation()
    yield from policy(Path(sys.executable), Path(dirbridge.__file__).parent, pid=pid)
    yield from denials()


def installation(libraries: tuple[str, ...] = LIBRARIES) -> Finding:
    """Say which version is installed, and whether all that it needs can be loaded."""
    broken: list[str] = []
    for name in libraries:
        try:
            importlib.import_module(name)
        except ImportError as error:
            broken.append(f"{name} ({error})")
    if broken:
        return Finding(
            "installation",
            "fail",
            f"The agent is not whole: {', '.join(broken)} cannot be loaded.",
            "Install it again with its dependencies; in a checkout: pip install '.[agent]'. python-ldap needs the "
            "system's OpenLDAP library, on Debian libldap-2.5-0.",
            "InstallationBroken",
        )
    version = f"dirbridge {dirbridge.__version__}, Python {platform.python_version()}, {platform.platform(terse=True)}"
    return Finding("installation", "pass", f"{version}, installed in {Path(dirbridge.__file__).parent}.")


def policy(*places: Path, pid: int | None = None) -> Iterator[Finding]:
    """Say whether programs and libraries may be run from where they lie."""
    barred = sorted({str(place) for place in places if os.statvfs(place).f_flag & os.ST_NOEXEC})
    if barred:
        yield Finding(
            "execution-policy",
            "fail",
            f"The file system of {' and '.join(barred)} is mounted noexec: nothing may be run from there.",
            "Install the agent on another file system, or mount this one with exec.",
            "MountedNoexec",
        )
        return
    confinement = _confinement(pid)
    if confinement:
        yield Finding(
            "execution-policy",
            "warn",
            f"The {'agent' if pid else 'check'} is confined by {confinement}.",
            "If the agent does not start or cannot read its files, look for denials with `journalctl -k -g DENIED` or "
            "`ausearch -m avc -ts recent`, and allow what is denied.",
            "Confined",
        )
        return
    yield Finding("execution-policy", "pass", "Programs may be run from where the agent is installed.")


def denials(logs: Sequence[Path] = DENIALS) -> Iterator[Finding]:
    """Give the last thing that a policy denied the agent, by each log that has one and can be read."""
    for log in logs:
        try:
            with log.open("rb") as file:
                file.seek(max(0, log.stat().st_size - _TAIL))
                lines = file.read().decode(errors="replace").splitlines()
        except OSError:
            continue
        found = [line for line in lines if _DENIED.search(line) and "dirbridge" in line]
        if found:
            yield Finding(
                "policy-denials",
                "fail",
                f"{log} says that a policy of this host denied the agent something, {len(found)} times; the last: "
                f"{found[-1][:400]}",
                "Allow what is denied in the policy that the line names, then rotate the log or wait until the line is "
                "out of it.",
                "PolicyDenied",
            )


def _confinement(pid: int | None) -> str:
    """Name the profile of SELinux or AppArmor that confines a process, this one if none is named; empty if none."""
    try:
        label = Path(f"/proc/{pid or 'self'}/attr/current").read_text("utf-8").strip("\0\n ")
    except OSError:
        return ""
    if label.endswith("(enforce)"):
        return f"the AppArmor profile {label.removesuffix('(enforce)').strip()}"
    try:
        enforcing = Path("/sys/fs/selinux/enforce").read_text("utf-8").strip() == "1"
    except OSError:
        return ""
    return f"SELinux as {label}" if enforcing and ":unconfined_t:" not in label else ""
