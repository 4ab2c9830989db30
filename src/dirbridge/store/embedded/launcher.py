"""Becomes another program as another user, and lets that program end when its parent ends.

Started by `embedded` as a script of its own (`python -I -S launcher.py PLAN`), so that nothing has to run between fork
and exec in a process with threads. Reaches nothing of ours. PLAN is a JSON object:

    uid, gid    the user to become; null to stay
    parent      the process id of the starter; with `argv`: SIGINT, PostgreSQL's fast shutdown, when that process ends
    argv        the program to become
    paths       without `argv`: print as JSON, for each path, the first of it and its parents that the user cannot enter
"""

import ctypes
import json
import os
import signal
import sys
from pathlib import Path

PR_SET_PDEATHSIG = 1


def obstacle(path: Path) -> str | None:
    """The first folder on the way to a path that this user cannot enter."""
    return next((str(folder) for folder in reversed([path, *path.parents]) if not os.access(folder, os.X_OK)), None)


def main() -> None:
    """Do what the plan in the first argument says."""
    plan = json.loads(sys.argv[1])
    if plan["uid"] is not None:
        os.setgroups([])
        os.setgid(plan["gid"])
        os.setuid(plan["uid"])
    if "argv" not in plan:
        sys.stdout.write(json.dumps([obstacle(Path(path)) for path in plan["paths"]]))
        return
    # After the change of user: the kernel forgets this setting when a process changes who it is.
    if ctypes.CDLL(None, use_errno=True).prctl(PR_SET_PDEATHSIG, signal.SIGINT, 0, 0, 0) != 0:
        sys.exit(f"prctl: {os.strerror(ctypes.get_errno())}")
    if os.getppid() != plan["parent"]:
        sys.exit("the process that started this ended meanwhile")
    os.umask(0o077)
    os.execv(plan["argv"][0], plan["argv"])  # noqa: S606 - the program is ours, no shell is wanted


if __name__ == "__main__":
    main()
