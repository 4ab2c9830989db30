"""A real squid: the outbound proxy that companies have."""

import asyncio
import contextlib
import secrets
import shutil
import socket
import subprocess
from pathlib import Path
from typing import Self

from tests.fixtures.postgres import open_folder

USER, PASSWORD = "agent", "Out-goes-1t"
HELPERS = Path("/usr/lib/squid")

BASIC = f"auth_param basic program {HELPERS}/basic_ncsa_auth {{folder}}/users\nauth_param basic realm company\n"


class Squid:
    """One squid at an address of its own, in the foreground; `log` has what it let through and what it refused.

    Args:
        scheme: lines that say how it asks who somebody is; {folder} stands for its folder.
        closed: a port to which it leads nobody.
    """

    def __init__(self, address: str = "127.0.0.1", scheme: str = BASIC, closed: int = 9) -> None:
        self.address = address
        self._scheme = scheme
        self._closed = closed
        self.folder = open_folder("dirbridge-squid-")
        with socket.socket() as probe:
            probe.bind((address, 0))
            self.port = probe.getsockname()[1]
        self.url = f"http://{address}:{self.port}"
        self.log = self.folder / "access.log"

    async def __aenter__(self) -> Self:
        for name in ("access.log", "cache.log"):
            file = self.folder / name
            file.touch()
            shutil.chown(file, "proxy")
        hashed = subprocess.run(
            ["openssl", "passwd", "-apr1", PASSWORD], check=True, capture_output=True, text=True, timeout=20
        ).stdout.strip()
        (self.folder / "users").write_text(f"{USER}:{hashed}\n")
        configuration = self.folder / "squid.conf"
        configuration.write_text(
            f"http_port {self.address}:{self.port}\npid_filename none\npinger_enable off\ncache deny all\n"
            f"access_log stdio:{self.log}\ncache_log {self.folder}/cache.log\ncoredump_dir {self.folder}\n"
            f"netdb_filename none\nshutdown_lifetime 0 seconds\nvisible_hostname proxy.contoso.test\n"
            f"{self._scheme.format(folder=self.folder)}"
            f"acl closed port {self._closed}\nhttp_access deny closed\n"
            "acl known proxy_auth REQUIRED\nhttp_access allow known\nhttp_access deny all\n"
        )
        self._process = subprocess.Popen(
            ["squid", "-N", "-n", f"dbx{secrets.token_hex(4)}", "-f", str(configuration)],
            stdin=subprocess.DEVNULL,
            stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL,
        )
        try:
            await self._answers()
        except BaseException:
            await self.__aexit__()
            raise
        return self

    async def __aexit__(self, *_: object) -> None:
        self._process.terminate()
        try:
            await asyncio.to_thread(self._process.wait, 20)
        except subprocess.TimeoutExpired:
            self._process.kill()
            await asyncio.to_thread(self._process.wait, 20)
        shutil.rmtree(self.folder, ignore_errors=True)

    async def _answers(self) -> None:
        async with asyncio.timeout(30):
            while self._process.poll() is None:
                with contextlib.suppress(OSError):
                    _, writer = await asyncio.open_connection(self.address, self.port)
                    writer.close()
                    return
                await asyncio.sleep(0.05)
        raise AssertionError((self.folder / "cache.log").read_text())
