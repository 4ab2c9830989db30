"""The updater believes what enough of the right keys vouch for, and nothing else; a hostile service gets nowhere."""

import asyncio
from collections.abc import AsyncIterator, Callable
from datetime import timedelta
from pathlib import Path
from typing import Any

import httpx2
import pytest
from securesystemslib.signer import CryptoSigner
from tuf.api.metadata import Metadata, Root, TargetFile, Targets

from dirbridge.agent.updater.fetching import Fetcher
from dirbridge.agent.updater.orders import Orders
from dirbridge.agent.updater.repository import Repository, choose, forget
from dirbridge.contract.errors import DirbridgeError
from dirbridge.contract.release import Release, here
from tests.agent.updater.serving import Serving
from tests.agent.updater.signing import Signed, archive

Ask = Callable[..., Repository]


@pytest.fixture
def signed() -> Signed:
    return Signed()


@pytest.fixture
async def serving(signed: Signed) -> AsyncIterator[Serving]:
    async with Serving(signed.files) as running:
        yield running


@pytest.fixture
async def ask(serving: Serving, signed: Signed, tmp_path: Path) -> AsyncIterator[Ask]:
    """Make what a freshly started updater has; what it verified before lies on the disk."""
    async with httpx2.AsyncClient() as client:

        def make(root: bytes | None = None, longest: float = 60) -> Repository:
            fetcher = Fetcher(client, asyncio.get_running_loop(), longest)
            return Repository(serving.url, root or signed.trusted, tmp_path / "updater", fetcher)

        yield make


async def found(repository: Repository) -> list[str]:
    await asyncio.to_thread(repository.refresh)
    return [each.version for each in repository.releases()]


async def download(repository: Repository) -> Path:
    await asyncio.to_thread(repository.refresh)
    return await asyncio.to_thread(repository.download, repository.releases()[-1])


async def refusal(repository: Repository) -> str:
    """Ask for everything; gives the code of the refusal."""
    with pytest.raises(DirbridgeError) as refused:
        await download(repository)
    return refused.value.code


async def test_what_is_no_release_is_passed_over(ask: Ask, signed: Signed) -> None:
    """A target of another kind, which newer updaters may know, does not hide the releases."""
    signed.add("1.0.0")
    other = TargetFile.from_data("report.pdf", b"%PDF", ["sha256"])
    other.unrecognized_fields["custom"] = {"version": "../../etc"}
    signed.targets.targets["report.pdf"] = other
    signed.add("1.1.0")
    assert await found(ask()) == ["1.0.0", "1.1.0"]


async def test_downloaded_release_is_the_signed_one(ask: Ask, signed: Signed) -> None:
    content = archive("1.0.0")
    signed.add("1.0.0", content)
    assert (await download(ask())).read_bytes() == content


async def test_changed_archive(ask: Ask, signed: Signed) -> None:
    """Of the right length, with one byte changed."""
    place = signed.add("1.0.0")
    signed.files[place] = signed.files[place][:-1] + bytes([signed.files[place][-1] ^ 1])
    assert await refusal(ask()) == "ReleaseDamaged"


async def test_changed_metadata(ask: Ask, signed: Signed) -> None:
    """A release that somebody changed without the key."""
    signed.add("1.0.0")
    name = f"metadata/{signed.targets.version}.targets.json"
    signed.files[name] = signed.files[name].replace(b'"stable"', b'"stabel"')
    assert await refusal(ask()) == "ReleaseNotTrusted"


@pytest.mark.parametrize("role", [Root.type, "timestamp", "snapshot", Targets.type])
async def test_unknown_key(ask: Ask, signed: Signed, role: str) -> None:
    """Everything is signed anew by somebody who has a key for one role, and not ours."""
    signed.add("1.0.0")
    await found(ask())
    signed.signers[role] = CryptoSigner.generate_ed25519()
    signed.root.version += role == Root.type
    signed.publish_root()
    signed.add("1.1.0")
    assert await refusal(ask()) == "ReleaseNotTrusted"


async def test_another_repository_altogether(ask: Ask, serving: Serving) -> None:
    """Of a service that made its own keys: its root is not asked for."""
    other = Signed()
    other.add("9.0.0")
    serving.files = other.files
    assert await refusal(ask()) == "ReleaseNotTrusted"
    assert "metadata/1.root.json" not in serving.asked


async def test_older_releases_than_before(ask: Ask, signed: Signed) -> None:
    """What was signed once, with a release that had a hole, is not taken again; nor by an updater started anew."""
    signed.add("1.0.0")
    before = dict(signed.files)
    signed.add("1.1.0")
    assert await found(ask()) == ["1.0.0", "1.1.0"]
    signed.files.clear()
    signed.files.update(before)
    assert await refusal(ask()) == "ReleasesRolledBack"


async def test_held_back_releases(ask: Ask, signed: Signed) -> None:
    """Whoever withholds what is newer can do so only until what he shows expires."""
    signed.lives = timedelta(seconds=2)
    signed.add("1.0.0")
    assert await found(ask()) == ["1.0.0"]
    await asyncio.sleep(2.1)
    assert await refusal(ask()) == "ReleasesExpired"


async def test_endless_metadata(ask: Ask, signed: Signed, serving: Serving) -> None:
    """Bytes that never end are cut off where metadata may not be longer."""
    signed.add("1.0.0")
    serving.endless.add("metadata/timestamp.json")
    assert await refusal(ask()) == "ReleaseDamaged"
    assert serving.sent < 20 * 1024 * 1024


async def test_endless_archive(ask: Ask, signed: Signed, serving: Serving) -> None:
    """Bytes beyond the signed length are not taken."""
    serving.endless.add(signed.add("1.0.0"))
    assert await refusal(ask()) == "ReleaseDamaged"
    assert serving.sent < 20 * 1024 * 1024


async def test_cut_download_comes_another_time(ask: Ask, signed: Signed, serving: Serving) -> None:
    """A connection that breaks in the middle is no damage, and the next try has it all."""
    place = signed.add("1.0.0")
    serving.cut.add(place)
    assert await refusal(ask()) == "ReleasesUnreachable"
    serving.cut.clear()
    assert (await download(ask())).read_bytes() == signed.files[place]


async def test_trickling_download_is_given_up(ask: Ask, signed: Signed, serving: Serving) -> None:
    serving.slow.add(signed.add("1.0.0"))
    assert await refusal(ask(longest=0.2)) == "ReleasesUnreachable"


@pytest.mark.parametrize(("status", "code"), [(404, "NoReleases"), (503, "ReleasesUnreachable")])
async def test_service_that_has_none(ask: Ask, serving: Serving, status: int, code: str) -> None:
    serving.refused["metadata/timestamp.json"] = status
    assert await refusal(ask()) == code


async def test_releases_that_are_hidden_altogether(ask: Ask, signed: Signed, serving: Serving) -> None:
    """A host that has seen releases is not told that there are none, and goes quietly on with an old version."""
    signed.add("1.0.0")
    await found(ask())
    serving.refused["metadata/timestamp.json"] = 404
    assert await refusal(ask()) == "ReleasesUnreachable"


async def test_list_that_is_published_meanwhile(ask: Ask, signed: Signed, serving: Serving) -> None:
    """What the timestamp named a moment ago is gone; the new one names what is there."""
    signed.add("1.0.0")
    await found(ask())
    signed.add("1.1.0")
    after = signed.files["metadata/timestamp.json"]
    signed.add("1.2.0")
    gone = f"metadata/{signed.snapshot.version - 1}.snapshot.json"
    del signed.files[gone]

    class Publishing(dict[str, bytes]):
        def get(self, path: str, other: Any = b"") -> Any:
            stale = path == "metadata/timestamp.json" and gone not in serving.asked
            return after if stale else super().get(path, other)

    serving.files = Publishing(signed.files)
    assert await found(ask()) == ["1.0.0", "1.1.0", "1.2.0"]
    assert gone in serving.asked


async def test_repository_that_was_begun_anew(ask: Ask, signed: Signed, serving: Serving, tmp_path: Path) -> None:
    """After a loss of the root keys the others still sign; a host with the new root does not take it for an old one."""
    for version in ("1.0.0", "1.1.0"):
        signed.add(version)
    await found(ask())
    new = Signed()
    new.signers.update({role: signer for role, signer in signed.signers.items() if role != Root.type})
    for role, signer in new.signers.items():
        new.root.roles[role].keyids = [signer.public_key.keyid]
        new.root.keys[signer.public_key.keyid] = signer.public_key
    new.root.keys = {
        key: value for key, value in new.root.keys.items() if any(key in r.keyids for r in new.root.roles.values())
    }
    trusted = new.publish_root()
    new.publish()
    serving.files = new.files
    forget(tmp_path / "updater", trusted)
    assert await found(ask(trusted)) == []


async def test_root_that_continues_forgets_nothing(ask: Ask, signed: Signed, tmp_path: Path) -> None:
    """Neither the host's own nor the next one lets an older list in."""
    signed.add("1.0.0")
    before = dict(signed.files)
    signed.add("1.1.0")
    await found(ask())
    signed.root.version = 2
    for root in (signed.trusted, signed.publish_root()):
        forget(tmp_path / "updater", root)
        signed.files.update(before)
        assert await refusal(ask()) == "ReleasesRolledBack"


async def test_nobody_answers(signed: Signed, tmp_path: Path) -> None:
    async with httpx2.AsyncClient() as client:
        fetcher = Fetcher(client, asyncio.get_running_loop())
        repository = Repository("http://127.0.0.1:9", signed.trusted, tmp_path, fetcher)
        assert await refusal(repository) == "ReleasesUnreachable"


async def test_keys_can_be_changed(ask: Ask, signed: Signed) -> None:
    """A new root that the old one vouches for brings new keys, to a host that knows the first root only."""
    signed.add("1.0.0")
    await found(ask())
    new = CryptoSigner.generate_ed25519()
    signed.root.revoke_key(signed.signers[Targets.type].public_key.keyid, Targets.type)
    signed.root.add_key(new.public_key, Targets.type)
    signed.signers[Targets.type] = new
    signed.root.version = 2
    signed.publish_root()
    signed.add("1.1.0")
    assert await found(ask()) == ["1.0.0", "1.1.0"]


async def test_root_of_this_host_is_damaged(ask: Ask) -> None:
    assert await refusal(ask(b"{}")) == "ReleaseNotTrusted"


async def test_two_keys_where_two_are_wanted(ask: Ask, signed: Signed) -> None:
    """Where the root wants two signatures of a role, one is not enough."""
    second = CryptoSigner.generate_ed25519()
    signed.root.add_key(second.public_key, Targets.type)
    signed.root.roles[Targets.type].threshold = 2
    trusted = signed.publish_root()
    signed.add("1.0.0")
    assert await refusal(ask(trusted)) == "ReleaseNotTrusted"
    both = Metadata(signed.targets)
    both.sign(signed.signers[Targets.type])
    both.sign(second, append=True)
    signed.files[f"metadata/{signed.targets.version}.targets.json"] = both.to_bytes()
    assert await found(ask(trusted)) == ["1.0.0"]


def test_choice() -> None:
    """The newest for this host that has not failed here; the wanted one if one is wanted; never one that is older."""
    python, platform = here()
    offered = [Release(version, python, platform) for version in ("1.0.0", "1.10.0", "1.9.0", "1.11.0rc1")]
    offered += [
        Release("2.0.0", "3.1", platform),
        Release("2.0.1", python, "linux_sparc"),
        Release("2.0.2", python, platform, requires=2),
        Release("2.0.3", python, platform, channel="beta"),
    ]

    def chosen(current: str, orders: Orders = Orders(), bad: tuple[str, ...] = ()) -> str | None:  # noqa: B008
        release = choose(offered, current, orders, bad)
        return release and release.version

    assert chosen("1.0.0") == "1.11.0rc1"
    assert chosen("1.0.0", bad=("1.11.0rc1",)) == "1.10.0"
    assert chosen("1.0.0", Orders(wanted="1.9.0")) == "1.9.0"
    assert chosen("1.9.0", Orders(wanted="1.0.0")) is None
    assert chosen("1.0.0", Orders(wanted="1.9.0"), ("1.9.0",)) is None
    assert chosen("1.11.0") is None
    assert chosen("1.0.0", Orders(api=2)) == "2.0.2"
    assert chosen("1.0.0", Orders(channel="beta")) == "2.0.3"
