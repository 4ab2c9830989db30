"""Whom the embedded server runs as: a system user of its own where we are root, which PostgreSQL refuses to be."""

from __future__ import annotations

import contextlib
import json
import os
import pwd
import subprocess
import sys
import time
from dataclasses import dataclass
from pathlib import Path

from dirbridge.contract.errors import ConfigurationError
from dirbridge.store.embedded import launcher

USER = "dirbridge"
"""The system user, the database and its owner."""


@dataclass(frozen=True, slots=True)
class Account:
    """Whom the server runs as; `uid` is None where it is ourselves."""

    name: str
    uid: int | None
    gid: int | None


def ours() -> Account:
    """Give the account, which is made where it is missing.

    Raises:
        ConfigurationError: there is none, and none can be made.
    """
    if os.geteuid() != 0:
        try:
            return Account(pwd.getpwuid(os.geteuid()).pw_name, None, None)
        except KeyError as error:
            raise ConfigurationError(
                f"The user id {os.geteuid()} has no name on this machine, and PostgreSQL does not run without one.",
                code="DatabaseUserMissing",
                recommended_action="Run as a user that /etc/passwd knows, or give a server with --database-url.",
            ) from error
    try:
        found = pwd.getpwnam(USER)
    except KeyError:
        found = _create_user()
    if found.pw_uid == 0:
        raise ConfigurationError(
            f"The user '{USER}' is root by another name, and PostgreSQL refuses to run as root.",
            code="DatabaseUserMissing",
            recommended_action="Give it another user id.",
        )
    return Account(USER, found.pw_uid, found.pw_gid)


def _create_user() -> pwd.struct_passwd:
    """Create the system user that the server runs as; another process may be doing the same."""
    command = ["useradd", "--system", "--user-group", "--no-create-home", "--home-dir", "/nonexistent"]
    command += ["--shell", "/usr/sbin/nologin", "--comment", "dirbridge database", USER]
    why = ""
    for _ in range(20):
        try:
            tried = subprocess.run(command, capture_output=True, text=True, check=False, stdin=subprocess.DEVNULL)
            why = tried.stderr.strip()
        except FileNotFoundError:
            why = "there is no useradd"
        with contextlib.suppress(KeyError):
            return pwd.getpwnam(USER)
        time.sleep(0.1)
    raise ConfigurationError(
        f"The system user '{USER}' does not exist and could not be created: {why}.",
        code="DatabaseUserMissing",
        recommended_action=f"Create it ('{' '.join(command[:3])} {USER}'), run dirbridge as an ordinary user, or give "
        "a server with --database-url.",
    )


def obstacle(account: Account, path: Path) -> str | None:
    """Give the first folder on the way to a path that the account cannot enter."""
    if account.uid is None:
        return launcher.obstacle(path)
    plan = {"uid": account.uid, "gid": account.gid, "paths": [str(path)]}
    asked = subprocess.run(
        [sys.executable, "-I", "-S", launcher.__file__, json.dumps(plan)],
        capture_output=True,
        text=True,
        check=True,
        stdin=subprocess.DEVNULL,
        cwd="/",
    )
    found: list[str | None] = json.loads(asked.stdout)
    return found[0]


def check_reachable(account: Account, data: Path) -> None:
    """Make sure that the account can enter a data folder.

    Raises:
        ConfigurationError: it cannot.
    """
    hindrance = obstacle(account, data)
    if hindrance is not None:
        raise ConfigurationError(
            f"The database in '{data}' runs as the user '{account.name}', which cannot enter the folder '{hindrance}' "
            f"(mode {Path(hindrance).stat().st_mode & 0o7777:04o}).",
            code="DataFolderNotReachable",
            recommended_action=f"Allow it ('chmod o+x {hindrance}'), or choose a data folder elsewhere, such as "
            "/var/lib/dirbridge.",
            details={"folder": hindrance, "user": account.name},
        )
