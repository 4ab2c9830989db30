"""The processes that the demo starts: each with a log file, each ended in good order, none left behind.

A child ends with its parent, however that ends, and does not hear the terminal's Ctrl-C: the parent does, and stops
its children in its own order.
"""

from __future__ import annotations

import asyncio
import json
import os
import re
import signal
import sys
from collections.abc import Awaitable, Mapping, Sequence
from pathlib import Path
from typing import TypeVar

from dirbridge.contract.errors import DirbridgeError

STOP_SECONDS = 20
TAIL_LINES = 10

_COMMAND = (sys.executable, "-c", "from dirbridge.cli.main import main; main()")
_CODES = re.compile(r"\x1b\[[0-9;]*m")

Result = TypeVar("Result")


class ChildEnded(DirbridgeError):
    """A process that had to go on has ended.

    Attributes:
        child: its name.
    """

    code = "ProcessEnded"

    def __init__(self, child: str, how: str) -> None:
        super().__init__(f"The {child} {how}.")
        self.child = child


class Child:
    """One process of the `dirbridge` command, from start to stop.

    Args:
        name: what people call it.
        arguments: of the command.
        log: file that takes what it logs; what it prints goes to one beside it.
        environment: variables laid over ours.
        before: a command that runs commands, such as one that enters a network namespace.
    """

    def __init__(
        self,
        name: str,
        arguments: Sequence[str],
        log: Path,
        environment: Mapping[str, str],
        before: Sequence[str] = (),
    ) -> None:
        self.name = name
        self.log = log
        self._arguments = tuple(arguments)
        self._environment = environment
        self._before = tuple(before)
        self._printed = log.with_suffix(".out")
        self._process: asyncio.subprocess.Process | None = None

    async def start(self) -> None:
        """Start it; whether it works is for others to find out."""
        with self.log.open("ab") as log, self._printed.open("wb") as printed:
            self._process = await asyncio.create_subprocess_exec(
                *("setpriv", "--pdeathsig", "TERM", *self._before, *_COMMAND, *self._arguments),
                stdin=asyncio.subprocess.DEVNULL,
                stdout=printed,
                stderr=log,
                env={**clean_environment(), **self._environment},
                start_new_session=True,
            )

    @property
    def pid(self) -> int:
        """The process id."""
        assert self._process is not None, "it was not started"
        return self._process.pid

    async def first_line(self) -> str:
        """Wait for the first line that it prints."""
        while True:
            line, end, _ = self._printed.read_text(encoding="utf-8").partition("\n")
            if end:
                return line
            await asyncio.sleep(0.05)

    async def ended(self) -> ChildEnded:
        """Wait until it ends, and give the error that this is."""
        assert self._process is not None, "it was not started"
        code = await self._process.wait()
        how = f"was ended by signal {-code}" if code < 0 else f"ended with exit code {code}"
        return ChildEnded(self.name, how)

    async def stop(self) -> None:
        """End it, gently at first. May be called twice."""
        process, self._process = self._process, None
        if process is None:
            return
        for number in (signal.SIGTERM, signal.SIGKILL):
            try:
                os.killpg(process.pid, number)
            except ProcessLookupError:
                break
            try:
                await asyncio.wait_for(process.wait(), STOP_SECONDS)
                break
            except TimeoutError:
                continue
        await process.wait()


async def command(arguments: Sequence[str], environment: Mapping[str, str], log: Path) -> str:
    """Run the `dirbridge` command to its end and give what it printed.

    Args:
        arguments: with `--json`, so that a failure can be understood.
        environment: variables laid over ours.
        log: file that takes what it logs.

    Raises:
        DirbridgeError: with what it said, where it ends with anything but 0.
    """
    process = await asyncio.create_subprocess_exec(
        *("setpriv", "--pdeathsig", "TERM", *_COMMAND, *arguments),
        stdin=asyncio.subprocess.DEVNULL,
        stdout=asyncio.subprocess.PIPE,
        stderr=asyncio.subprocess.PIPE,
        env={**clean_environment(), **environment},
        start_new_session=True,
    )
    try:
        output, errors = await process.communicate()
    except asyncio.CancelledError:
        process.kill()
        await process.wait()
        raise
    with log.open("ab") as stream:
        stream.write(errors)
    if process.returncode != 0:
        raise _failure(f"`dirbridge {arguments[0]}`", process.returncode, errors.decode(errors="replace"))
    return output.decode()


async def watch(work: Awaitable[Result], children: Sequence[Child]) -> Result:
    """Do something for as long as the children live.

    Raises:
        ChildEnded: one of them ended first; the work was cancelled.
    """
    doing = asyncio.ensure_future(work)
    endings = [asyncio.create_task(child.ended()) for child in children]
    try:
        await asyncio.wait({doing, *endings}, return_when=asyncio.FIRST_COMPLETED)
        if doing.done():
            return doing.result()
        raise next(ending.result() for ending in endings if ending.done())
    finally:
        for task in (doing, *endings):
            task.cancel()
        await asyncio.gather(doing, *endings, return_exceptions=True)


def clean_environment() -> dict[str, str]:
    """Give our environment without what would lead the children elsewhere."""
    names = ("DIRBRIDGE_", "LDAP", "REQUESTS_CA_BUNDLE", "CURL_CA_BUNDLE", "SSL_CERT_", "COLUMNS", "FORCE_COLOR")
    proxies = ("http_proxy", "https_proxy", "all_proxy")
    return {
        name: value for name, value in os.environ.items() if not name.startswith(names) and name.lower() not in proxies
    }


def tail(log: Path, lines: int = TAIL_LINES) -> str:
    """Give the last lines of a log, without colours."""
    try:
        with log.open("rb") as stream:
            stream.seek(max(0, log.stat().st_size - 16_384))
            text = stream.read().decode(errors="replace")
    except OSError:
        return ""
    return "\n".join(_plain(text).splitlines()[-lines:])


def _failure(name: str, code: int | None, errors: str) -> DirbridgeError:
    """Give the error that a command complained of, or what it said where it did not do so in form."""
    said = _plain(errors)
    try:
        complaint = json.loads(said.splitlines()[-1])["error"]
        reason, remedy = f"{name} failed: {complaint['message']}", complaint.get("recommendedAction", "")
        return DirbridgeError(reason, code=complaint["code"], recommended_action=remedy)
    except (IndexError, KeyError, TypeError, ValueError):
        return DirbridgeError(f"{name} ended with exit code {code}: {said}", code="CommandFailed")


def _plain(text: str) -> str:
    return _CODES.sub("", text).strip()
