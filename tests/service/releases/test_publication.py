"""Publishing releases: what agents would take is handed out, what they would refuse is not."""

import hashlib
import json
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from pathlib import Path
from uuid import uuid4

import httpx2
import pytest
from fastapi import FastAPI
from tuf.api.metadata import Metadata

from dirbridge.contract.release import Release, here, target_name
from dirbridge.service.releases import publication
from dirbridge.store import releases as stored
from tests.fixtures.releases import Publisher
from tests.service.releases.conftest import RELEASES, Administrator

pytestmark = pytest.mark.service

AGENTS = "/agents/v1/releases"
NAME = target_name(Release("1.0.0", *here()))


async def test_agents_get_what_was_published(
    administrator: Administrator, publisher: Publisher, client: httpx2.AsyncClient
) -> None:
    """Byte for byte, without a token, under the paths of the repository's folder; and nothing else."""
    file = publisher.release("1.0.0", {"lib/large": bytes(range(256)) * 20_000 + uuid4().bytes})
    publisher.release("1.1.0")
    await administrator.publish(publisher)
    for name, content in publisher.repository.files().items():
        answer = await client.get(f"{AGENTS}/metadata/{name}")
        assert (answer.status_code, answer.content) == (200, content), name
    for stored_file in publisher.repository.target_files():
        answer = await client.get(f"{AGENTS}/targets/{stored_file.name}")
        assert answer.headers["content-length"] == str(stored_file.stat().st_size)
        assert answer.content == stored_file.read_bytes()
    digest = file.name.partition(".")[0]
    odd = ("metadata/%00", f"targets/{digest}.%00")
    for path in (*odd, "metadata/2.root.json", "metadata/..%2f", f"targets/{digest}", f"targets/{'0' * 64}.{NAME}"):
        answer = await client.get(f"{AGENTS}/{path}")
        assert answer.status_code == 404, path
    listed = (await administrator.get())["value"]
    assert [(each["version"], each["sha256"] == digest) for each in listed] == [("1.1.0", False), ("1.0.0", True)]
    assert listed[1]["size"] == file.stat().st_size


async def test_pieces_are_put_together(
    administrator: Administrator, publisher: Publisher, client: httpx2.AsyncClient, monkeypatch: pytest.MonkeyPatch
) -> None:
    """However an archive's length falls on the pieces that it is kept in."""
    monkeypatch.setattr(stored, "PIECE", 100)
    for number in range(5):
        publisher.release(f"1.0.{number}", {"lib/any": b"x" * number * 37})
    await administrator.publish(publisher)
    for file in publisher.repository.target_files():
        assert (await client.get(f"{AGENTS}/targets/{file.name}")).content == file.read_bytes()


async def test_a_download_is_cut_where_the_archive_goes(
    administrator: Administrator, publisher: Publisher, client: httpx2.AsyncClient, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Rather than ended as if it were whole."""
    monkeypatch.setattr(stored, "PIECE", 100)
    file = publisher.release("1.0.0")
    await administrator.publish(publisher)
    database = client._transport.app.state.database  # type: ignore[attr-defined]
    async with database.transaction() as conn:
        await conn.execute("delete from release_pieces where number > 0")
    answer = await client.get(f"{AGENTS}/targets/{file.name}")
    assert answer.headers["content-length"] == str(file.stat().st_size)
    assert answer.content == file.read_bytes()[:100]


async def test_what_was_withdrawn_is_gone(
    administrator: Administrator, publisher: Publisher, client: httpx2.AsyncClient
) -> None:
    """From the list, for agents, and after a day from the database."""
    gone, stays = publisher.release("1.0.0"), publisher.release("1.1.0")
    await administrator.publish(publisher)
    publisher.repository.withdraw("1.0.0")
    publisher.sign()
    await administrator.publish(publisher)
    assert [each["version"] for each in (await administrator.get())["value"]] == ["1.1.0"]
    assert (await client.get(f"{AGENTS}/targets/{gone.name}")).status_code == 404
    assert len((await administrator.get("/repository"))["archives"]) == 2
    database = client._transport.app.state.database  # type: ignore[attr-defined]
    async with database.transaction() as conn:
        await conn.execute("update release_archives set stored_at = stored_at - interval '2 days'")
    publisher.repository.renew()
    publisher.sign()
    answer = await administrator.sign(publisher.repository.files())
    assert answer.status_code == 204
    assert (await administrator.get("/repository"))["archives"] == [stays.name.partition(".")[0]]


async def test_the_repository_is_shown(administrator: Administrator, publisher: Publisher) -> None:
    """Empty at first; then each role with its version and the time until which it counts."""
    assert await administrator.get("/repository") == {"roles": [], "archives": []}
    publisher.release("1.0.0")
    await administrator.publish(publisher)
    shown = (await administrator.get("/repository"))["roles"]
    assert {each["role"]: each["version"] for each in shown} == {
        "root": 1,
        "targets": 2,
        "snapshot": 2,
        "timestamp": 2,
    }
    state = {each.role: each.expires for each in publisher.repository.state()}
    assert {each["role"]: datetime.fromisoformat(each["expirationDateTime"]) for each in shown} == state


def _stranger(publisher: Publisher) -> dict[str, bytes]:
    """The files of somebody else, who has keys of their own."""
    other = Publisher(publisher.folder / "stranger")
    for _ in range(3):
        other.repository.renew(["targets", "snapshot"])
        other.sign()
    return other.repository.files()


def _tampered(publisher: Publisher) -> dict[str, bytes]:
    """The list says another hash than was signed."""
    files = publisher.repository.files()
    name = next(name for name in files if name.endswith(".targets.json"))
    signed = json.loads(files[name])
    (target,) = signed["signed"]["targets"].values()
    target["hashes"]["sha256"] = "0" * 64
    return {**files, name: json.dumps(signed).encode()}


def _mixed(publisher: Publisher) -> dict[str, bytes]:
    """An old timestamp with new lists."""
    before = publisher.repository.files()["timestamp.json"]
    publisher.repository.renew(["targets"])
    publisher.sign()
    return {**publisher.repository.files(), "timestamp.json": before}


def _without(part: str) -> Callable[[Publisher], dict[str, bytes]]:
    def cut(publisher: Publisher) -> dict[str, bytes]:
        return {name: content for name, content in publisher.repository.files().items() if part not in name}

    return cut


def _with(name: str, content: bytes) -> Callable[[Publisher], dict[str, bytes]]:
    return lambda publisher: {**publisher.repository.files(), name: content}


@pytest.mark.parametrize(
    ("files", "why"),
    [
        (_stranger, "'1.root.json' is not the one that was published before"),
        (_tampered, "version 2 of the targets lacks signatures"),
        (_mixed, "'2.snapshot.json' is missing"),
        (_without("root"), "the first root is missing"),
        (_without("targets"), "is missing"),
        (_with("7.targets.json", b"{}"), "cannot be read"),
        (_with("../../x", b"{}"), "no signed file"),
        (_with("timestamp.json", b" " * 20_000), "no signed file"),
        (_with("timestamp.json", b"[" * 10_000), "cannot be read"),
        (lambda publisher: {"1.root.json": publisher.repository.files()["timestamp.json"]}, "holds version 2"),
        (lambda publisher: {}, "the first root is missing"),
    ],
)  # fmt: skip
async def test_what_agents_would_refuse_is_refused(
    administrator: Administrator, publisher: Publisher, files: Callable[[Publisher], dict[str, bytes]], why: str
) -> None:
    """Said why, and what was handed out before still is."""
    publisher.release("1.0.0")
    await administrator.publish(publisher)
    before = await administrator.get("/repository")
    answer = await administrator.sign(files(publisher))
    assert (answer.status_code, answer.json()["error"]["code"]) == (400, "ReleasesRefused")
    assert why in answer.json()["error"]["message"]
    assert await administrator.get("/repository") == before


async def test_nothing_steps_back(administrator: Administrator, publisher: Publisher) -> None:
    """Not to an older list, although all of it was signed once."""
    publisher.release("1.0.0")
    old = publisher.repository.files()
    publisher.release("1.1.0")
    await administrator.publish(publisher)
    answer = await administrator.sign(old)
    assert answer.status_code == 400
    assert "targets 2 after 3" in answer.json()["error"]["message"]


async def test_expired_files_are_refused(administrator: Administrator, tmp_path: Path) -> None:
    """Agents would take nothing from them: said before they are cut off from releases."""
    long_ago = datetime.now(UTC) - timedelta(days=31)
    publisher = Publisher(tmp_path / "old", lambda: long_ago)
    answer = await administrator.sign(publisher.repository.files())
    assert answer.status_code == 400
    assert "the timestamp expired at" in answer.json()["error"]["message"]
    assert "dirbridge release renew" in answer.json()["error"]["message"]


async def test_another_repository_has_to_be_meant(administrator: Administrator, publisher: Publisher) -> None:
    """With new keys from the beginning, where the old ones are lost."""
    publisher.release("1.0.0")
    await administrator.publish(publisher)
    other = Publisher(publisher.folder / "other")
    assert (await administrator.sign(other.repository.files())).status_code == 400
    assert (await administrator.sign(other.repository.files(), anew=True)).status_code == 204
    assert (await administrator.get())["value"] == []


async def test_archives_have_to_be_there_and_whole(
    administrator: Administrator, publisher: Publisher, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Before a list may name them; one that comes twice is kept once."""
    file = publisher.release("1.0.0")
    missing = await administrator.sign(publisher.repository.files())
    assert (missing.status_code, missing.json()["error"]["code"]) == (400, "ArchiveMissing")
    assert NAME in missing.json()["error"]["message"]
    body = file.read_bytes()
    digest = hashlib.sha256(body).hexdigest()
    for address, content, code in (
        (digest, body[:-1], "ArchiveDamaged"),
        (digest, b"", "ArchiveDamaged"),
        ("x", body, "BadRequest"),
    ):
        answer = await administrator.client.put(
            f"{RELEASES}/archives/{address}", content=content, headers=administrator.headers
        )
        assert (answer.status_code, answer.json()["error"]["code"]) == (400, code), address
    monkeypatch.setattr(publication.releases, "MAX_ARCHIVE", len(body) - 1)
    assert (await administrator.send(file)).status_code == 413
    monkeypatch.undo()
    assert (await administrator.get("/repository"))["archives"] == []
    for _ in range(2):
        assert (await administrator.send(file)).status_code == 204
    assert (await administrator.get("/repository"))["archives"] == [digest]
    await administrator.publish(publisher)


async def test_publishing_is_in_the_audit_trail(
    administrator: Administrator, publisher: Publisher, service: FastAPI
) -> None:
    """With the releases that agents are offered from then on."""
    publisher.release("1.0.0")
    await administrator.publish(publisher)
    async with service.state.database.connection() as conn:
        rows = await (await conn.execute("select activity, detail from audits order by at desc limit 1")).fetchall()
    assert [(row[0], row[1]["releases"]) for row in rows] == [("Publish agent releases", [NAME])]


async def test_signatures_are_by_those_of_the_last_root(administrator: Administrator, publisher: Publisher) -> None:
    """A key that was taken from a role signs no more, whatever it signed before."""
    from securesystemslib.signer import CryptoSigner

    publisher.release("1.0.0")
    new = CryptoSigner.generate_ed25519()
    old = publisher.keys["timestamp"]
    publisher.repository.rotate("timestamp", add=[new.public_key], remove=[old.public_key.keyid])
    publisher.keys = {**publisher.keys, "timestamp": new}
    publisher.sign()
    files = publisher.repository.files()
    forged = Metadata.from_bytes(files["timestamp.json"])
    forged.sign(old)
    refused = await administrator.sign({**files, "timestamp.json": forged.to_bytes()})
    assert "version 3 of the timestamp lacks signatures" in refused.json()["error"]["message"]
    await administrator.publish(publisher)
    assert (await administrator.get("/repository"))["roles"][0]["version"] == 2
