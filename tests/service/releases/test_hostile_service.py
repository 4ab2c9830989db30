"""Whoever has the service, and all of its database, can bring no agent to take what the holders of keys did not sign.

A real updater asks the real service, in which somebody with every right changed something.
"""

import asyncio
import json
from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import httpx2
import pytest
from fastapi import FastAPI

from dirbridge.agent.updater.fetching import Fetcher
from dirbridge.agent.updater.orders import Orders
from dirbridge.agent.updater.repository import Repository, choose
from dirbridge.contract.errors import DirbridgeError
from dirbridge.store.database import Database
from tests.fixtures.releases import Publisher
from tests.service.conftest import BASE_URL
from tests.service.releases.conftest import Administrator

pytestmark = pytest.mark.service


@dataclass
class Service:
    """The service in the hands of somebody else."""

    database: Database
    publisher: Publisher
    administrator: Administrator
    before: dict[str, bytes]

    async def run(self, statement: str, *parameters: Any) -> None:
        async with self.database.transaction() as conn:
            await conn.execute(statement, parameters)

    async def put(self, files: dict[str, bytes]) -> None:
        """Hand out these signed files, and no others."""
        await self.run("delete from release_files")
        for name, body in files.items():
            await self.run("insert into release_files (tenant, name, body) select id, %s, %s from tenants", name, body)


@dataclass
class Host:
    """A host with the first root, and what it verified before."""

    client: httpx2.AsyncClient
    root: bytes
    folder: Path

    async def update(self, current: str = "1.0.0") -> tuple[str, bytes]:
        """Fetch what an updater would install over a version; gives the version and the archive."""
        repository = Repository(BASE_URL, self.root, self.folder, Fetcher(self.client, asyncio.get_running_loop()))
        await asyncio.to_thread(repository.refresh)
        release = choose(repository.releases(), current, Orders(), ())
        assert release is not None
        return release.version, (await asyncio.to_thread(repository.download, release)).read_bytes()


@pytest.fixture
async def hostile(service: FastAPI, publisher: Publisher, administrator: Administrator) -> Service:
    """1.1.0 was released, then 1.2.0; somebody has kept what was handed out before."""
    publisher.release("1.1.0")
    before = publisher.repository.files()
    publisher.release("1.2.0")
    await administrator.publish(publisher)
    return Service(service.state.database, publisher, administrator, before)


@pytest.fixture
def host(client: httpx2.AsyncClient, publisher: Publisher, tmp_path: Path) -> Host:
    """A host that has taken nothing yet."""
    return Host(client, publisher.root, tmp_path / "host")


async def _one_byte(service: Service) -> None:
    await service.run(
        """update release_pieces set body = set_byte(body, length(body) / 2, get_byte(body, length(body) / 2) # 1)"""
    )


async def _swapped(service: Service) -> None:
    """The archive of the older release, under the address of the newer one."""
    old, new = (next(service.publisher.repository.targets.glob(f"*-{version}-*")) for version in ("1.1.0", "1.2.0"))
    await service.run(
        """update release_pieces set body = %s where sha256 = %s""", old.read_bytes(), new.name.partition(".")[0]
    )


async def _longer(service: Service) -> None:
    await service.run(
        """insert into release_pieces (tenant, sha256, number, body)
           select tenant, sha256, number + 1, body from release_pieces"""
    )
    await service.run("update release_archives set length = 1024 * 1024 + length")
    await service.run(
        "update release_pieces set body = body || repeat('x', 1048576 - length(body))::bytea where number = 0"
    )


async def _older(service: Service) -> None:
    await service.put(service.before)


async def _changed_list(service: Service) -> None:
    """The newest release is described as another version."""
    files = service.publisher.repository.files()
    name = next(name for name in files if name.endswith(".targets.json"))
    text = files[name].decode().replace("1.2.0", "9.9.9")
    assert text != files[name].decode()
    await service.put({**files, name: text.encode()})


async def _own_keys(service: Service) -> None:
    """A repository with other keys in which all is well, published with every right."""
    other = Publisher(service.publisher.folder / "other")
    other.release("9.9.9")
    for file in other.repository.target_files():
        await service.administrator.send(file)
    assert (await service.administrator.sign(other.repository.files(), anew=True)).status_code == 204


async def _own_root(service: Service) -> None:
    """A next version of the root, with the attacker's keys, which no holder of the first root signed."""
    other = Publisher(service.publisher.folder / "other")
    other.repository.renew(["root"])
    other.sign()
    files = other.repository.files()
    await service.put({**files, "1.root.json": service.publisher.root})


async def _unsigned(service: Service) -> None:
    files = service.publisher.repository.files()
    await service.put(
        {name: json.dumps({**json.loads(body), "signatures": []}).encode() for name, body in files.items()}
    )


ATTACKS = [
    (_one_byte, "ReleaseDamaged"),
    (_swapped, "ReleaseDamaged"),
    (_longer, "ReleaseDamaged"),
    (_older, "ReleasesRolledBack"),
    (_own_keys, "ReleaseNotTrusted"),
    (_own_root, "ReleaseNotTrusted"),
    (_unsigned, "ReleaseNotTrusted"),
]


@pytest.mark.parametrize(("attack", "code"), ATTACKS)
async def test_nothing_but_what_was_signed_is_taken(
    hostile: Service, host: Host, attack: Callable[[Service], Awaitable[None]], code: str
) -> None:
    """By a host that saw the releases before; and it goes on once the service is the holders' again."""
    assert (await host.update())[0] == "1.2.0"
    await attack(hostile)
    with pytest.raises(DirbridgeError) as refused:
        await host.update()
    assert refused.value.code == code
    await hostile.run("delete from releases")
    await hostile.run("delete from release_archives")
    hostile.publisher.release("1.3.0")
    await hostile.put({})
    await hostile.administrator.publish(hostile.publisher)
    (file,) = hostile.publisher.repository.targets.glob("*-1.3.0-*")
    assert await host.update() == ("1.3.0", file.read_bytes())


@pytest.mark.parametrize("attack", [_own_keys, _own_root, _changed_list, _unsigned])
async def test_a_new_host_believes_only_its_root(
    hostile: Service, host: Host, attack: Callable[[Service], Awaitable[None]]
) -> None:
    """Although it has seen nothing before."""
    await attack(hostile)
    with pytest.raises(DirbridgeError) as refused:
        await host.update()
    assert refused.value.code == "ReleaseNotTrusted"


async def test_what_is_held_back_is_noticed(hostile: Service, host: Host, tmp_path: Path) -> None:
    """At the latest when the timestamp ends: an old state, however well signed, is no state any more."""
    past = datetime.now(UTC) - timedelta(days=30, seconds=1)
    frozen = Publisher(tmp_path / "frozen", lambda: past)
    frozen.release("1.1.0")
    await hostile.put(frozen.repository.files())
    with pytest.raises(DirbridgeError) as refused:
        await Host(host.client, frozen.root, tmp_path / "new").update()
    assert refused.value.code == "ReleasesExpired"
