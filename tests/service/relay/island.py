"""A host of its own network: a namespace whose one neighbour is this machine."""

import contextlib
import secrets
import subprocess
from collections.abc import Iterator
from dataclasses import dataclass


@dataclass(frozen=True)
class Island:
    """A network namespace with one way out.

    Attributes:
        inside: command that runs commands there.
        gateway: address of this machine as seen from there.
    """

    inside: tuple[str, ...]
    gateway: str


@contextlib.contextmanager
def discover() -> Iterator[Island]:
    """A namespace, a cable to it, and nothing else; gone with its context."""
    name = f"dbx{secrets.token_hex(4)}"
    network = f"10.{secrets.randbelow(100) + 100}.{secrets.randbelow(250)}"
    with contextlib.ExitStack() as undo:
        _ip("netns", "add", name)
        undo.callback(_ip, "netns", "delete", name)
        _ip("link", "add", name, "type", "veth", "peer", "name", "eth0", "netns", name)
        _ip("address", "add", f"{network}.1/30", "dev", name)
        _ip("link", "set", name, "up")
        _ip("-n", name, "address", "add", f"{network}.2/30", "dev", "eth0")
        _ip("-n", name, "link", "set", "eth0", "up")
        yield Island(("ip", "netns", "exec", name), f"{network}.1")


def _ip(*words: str) -> None:
    subprocess.run(["ip", *words], check=True, capture_output=True, timeout=20)
