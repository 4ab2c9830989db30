"""The throw-away domain controller answers, and leaves nothing behind however its starter ends."""

from __future__ import annotations

import asyncio
import os
import signal
import ssl
import sys
from pathlib import Path

import pytest

from dirbridge.cli.demo.domain import Domain
from dirbridge.contract.errors import DirbridgeError

_STARTER = """
import asyncio
import sys
from dirbridge.cli.demo.domain import Domain

class Telling(Domain):
    async def _provision(self):
        if sys.argv[1] == "provisioning":
            self.tell()
        await super()._provision()

    def tell(self):
        print(self.folder, self._process.pid, flush=True)

async def main():
    domain = Telling()
    await domain.start()
    if sys.argv[1] == "frozen":
        domain.suspend()
    domain.tell()
    await asyncio.sleep(600)

asyncio.run(main())
"""


@pytest.mark.samba
async def test_domain_answers_at_an_address_of_its_own_and_is_gone_after_stop() -> None:
    """Two domains run side by side; each proves itself with its own certificate."""
    first, second = Domain(), Domain("fabrikam.test", "FABRIKAM")
    await asyncio.gather(first.start(), second.start())
    try:
        assert first.address != second.address
        for domain in (first, second):
            trust = ssl.create_default_context(cafile=str(domain.ca_file))
            _, writer = await asyncio.open_connection(domain.address, 636, ssl=trust, server_hostname=domain.address)
            writer.close()
        with pytest.raises(DirbridgeError, match="already exists"):
            await first.load(f"dn: CN=Users,{first.base_dn}\nobjectClass: container\n\n")
    finally:
        await asyncio.gather(first.stop(), second.stop())
    assert not first.folder.exists()
    assert not second.folder.exists()


@pytest.mark.samba
@pytest.mark.parametrize("moment", ["provisioning", "running", "frozen"])
async def test_domain_ends_when_its_starter_is_killed(moment: str) -> None:
    """After SIGKILL of the process that started it, neither processes nor files of the domain are left."""
    starter = await asyncio.create_subprocess_exec(
        sys.executable, "-c", _STARTER, moment, stdout=asyncio.subprocess.PIPE, stdin=asyncio.subprocess.DEVNULL
    )
    assert starter.stdout is not None
    folder, supervisor = (await asyncio.wait_for(starter.stdout.readline(), 60)).decode().split()
    if moment == "provisioning":
        await asyncio.sleep(1)
    starter.send_signal(signal.SIGKILL)
    await starter.wait()
    async with asyncio.timeout(20):
        while _left(Path(folder), int(supervisor)):
            await asyncio.sleep(0.05)


def _left(folder: Path, pid: int) -> bool:
    return folder.exists() or _alive(pid)


def _alive(pid: int) -> bool:
    try:
        os.kill(pid, 0)
    except ProcessLookupError:
        return False
    return Path(f"/proc/{pid}/stat").read_text().split()[2] != "Z"
