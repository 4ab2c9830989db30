"""Listening to a real domain controller."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncGenerator, AsyncIterator, Callable
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import ldap
import pytest

from dirbridge.cli.demo.domain import Domain
from dirbridge.connectors.ad import notification
from dirbridge.connectors.ad import settings as ad_settings
from dirbridge.connectors.ad.source import ActiveDirectorySource
from dirbridge.connectors.ldap_wire.connection import Chunk, Connection, Search
from dirbridge.connectors.protocol import Watched
from dirbridge.contract.errors import ConfigurationError, CredentialError, DirbridgeError, TransientError
from tests.connectors.ad.conftest import PASSWORD, READER, Admin, Follower, rdn, values_for

QUIET = 1.5
"""Seconds in which nothing is told where nothing happened: more than the server and we take."""

Change = Callable[[], Any]


class Ear:
    """Listens to a source beside the test."""

    def __init__(self) -> None:
        self.heard: asyncio.Queue[None] = asyncio.Queue()
        self.task: asyncio.Task[None] | None = None

    async def listen(self, source: Watched) -> None:
        async for _ in source.watch():
            self.heard.put_nowait(None)

    async def hears(self) -> None:
        """Wait for news, and let all of it come."""
        await asyncio.wait_for(self.heard.get(), 10)
        await self.quiet()

    async def quiet(self) -> bool:
        """Say whether nothing is told for a while."""
        told = False
        while True:
            try:
                await asyncio.wait_for(self.heard.get(), QUIET)
                told = True
            except TimeoutError:
                return not told

    async def fails(self) -> BaseException:
        """Wait for its end."""
        assert self.task is not None
        await asyncio.wait({self.task}, timeout=20)
        error = self.task.exception()
        assert error is not None
        return error


@asynccontextmanager
async def listening(source: Watched) -> AsyncIterator[Ear]:
    """Listen, once listening has begun."""
    ear = Ear()
    ear.task = asyncio.create_task(ear.listen(source))
    try:
        await ear.hears()
        yield ear
    finally:
        ear.task.cancel()
        await asyncio.wait({ear.task})


@pytest.mark.samba
async def test_every_kind_of_change_is_told(source: ActiveDirectorySource, admin: Admin, ou: str) -> None:
    """Users, groups, members, containers: made, changed, renamed, moved, deleted and brought back."""
    admin.unit(ou, "Below")
    ann, anchors = rdn("Ann", ou), []
    changes: tuple[Change, ...] = (
        lambda: anchors.append(admin.user(ou, "Ann")),
        lambda: admin.replace(ann, title="Boss"),
        lambda: admin.group(ou, "Group"),
        lambda: admin.join(rdn("Group", ou), ann),
        lambda: admin.leave(rdn("Group", ou), ann),
        lambda: admin.rename(ann, "CN=Bea"),
        lambda: admin.rename(rdn("Bea", ou), "CN=Bea", f"OU=Below,{ou}"),
        lambda: admin.rename(f"OU=Below,{ou}", "OU=Beneath"),
        lambda: admin.delete(rdn("Bea", f"OU=Beneath,{ou}")),
        lambda: admin.reanimate(anchors[0], ann),
    )
    async with listening(source) as ear:
        for number, change in enumerate(changes):
            await asyncio.to_thread(change)
            try:
                await asyncio.wait_for(ear.heard.get(), 5)
            except TimeoutError:
                pytest.fail(f"Change {number} was not told.")
            while not ear.heard.empty():
                ear.heard.get_nowait()


@pytest.mark.samba
async def test_what_is_no_news_is_not_told(
    source: ActiveDirectorySource, domain: Domain, values: dict[str, Any], admin: Admin, ou: str
) -> None:
    """Nothing without a change; neither sign-ins, nor failed ones, nor what no job reads."""
    follower = Follower(source)
    async with listening(source) as ear:
        await follower.next()
        await follower.next()
        connection = await Connection.open(ad_settings.parse(values), domain.ldaps_url)
        await connection.close()
        await asyncio.to_thread(refused, domain)
        await asyncio.to_thread(lambda: admin.add(rdn("PC", ou), objectClass="computer", sAMAccountName="PC$"))
        assert await ear.quiet()
        await asyncio.to_thread(lambda: admin.user(ou, "Ann"))
        await ear.hears()


def refused(domain: Domain) -> None:
    """Sign in with a wrong password."""
    handle = ldap.initialize(domain.ldaps_url)
    handle.set_option(ldap.OPT_X_TLS_CACERTFILE, str(domain.ca_file))
    handle.set_option(ldap.OPT_X_TLS_NEWCTX, 0)
    with pytest.raises(ldap.INVALID_CREDENTIALS):
        handle.simple_bind_s(f"{READER}@{domain.realm}", "wrong")
    handle.unbind_s()


@pytest.mark.samba
async def test_storm_is_heard_to_its_end(
    source: ActiveDirectorySource, follower: Follower, admin: Admin, ou: str
) -> None:
    """After the last item everything can be read; the items are no more than the changes."""
    async with listening(source) as ear:
        await asyncio.to_thread(lambda: [admin.user(ou, f"User {number}") for number in range(200)])
        heard = 0
        while True:
            try:
                await asyncio.wait_for(ear.heard.get(), QUIET)
            except TimeoutError:
                break
            heard += 1
        assert 1 <= heard <= 200
        assert len((await follower.next()).entries) == 200


@pytest.mark.samba
async def test_domain_controller_that_ends_is_noticed(domain: Domain, tmp_path: Path) -> None:
    """Whoever listens is told, so that it can listen again."""
    twin = await domain.copy()
    try:
        async with listening(ActiveDirectorySource(ad_settings.parse(values_for(twin, tmp_path)))) as ear:
            await twin.stop()
            assert isinstance(await ear.fails(), TransientError)
    finally:
        await twin.stop()


@pytest.mark.samba
async def test_server_without_notification_is_told_apart(
    source: ActiveDirectorySource, monkeypatch: pytest.MonkeyPatch
) -> None:
    """It refuses the control: no failure, only slower."""
    monkeypatch.setattr(notification, "NOTIFICATION", "1.3.6.1.4.1.99999.1")
    with pytest.raises(ConfigurationError, match="does not tell of changes by itself") as raised:
        await anext(source.watch())
    assert raised.value.code == "NotificationUnsupported"


@pytest.mark.samba
async def test_refused_account_is_remembered_for_reading_too(domain: Domain, tmp_path: Path) -> None:
    """One wrong password is one sign-in that failed, whoever asks next."""
    await domain.create_user("svc-ear", PASSWORD)
    source = ActiveDirectorySource(ad_settings.parse(values_for(domain, tmp_path, "svc-ear", "Not-its-word.1")))
    errors = []
    for ask in (lambda: anext(source.watch()), lambda: Follower(source).next()):
        with pytest.raises(CredentialError) as raised:
            await ask()
        errors.append(raised.value)
    assert errors[0] is errors[1]


async def test_listening_can_be_switched_off(tmp_path: Path) -> None:
    """No connection is made then."""
    password = tmp_path / "password"
    password.touch(mode=0o600)
    password.write_text("x")
    settings = ad_settings.Settings.model_construct(
        name="contoso.test", servers=("ldaps://127.0.0.1:1",), user="u@contoso.test", change_notification=False,
        password_file=password,
    )  # fmt: skip
    with pytest.raises(ConfigurationError) as raised:
        await anext(ActiveDirectorySource(settings).watch())
    assert raised.value.code == "NotificationOff"


class Told:
    """A connection on which the test says what comes."""

    server = "ldaps://dc1.contoso.test:636"

    def __init__(self, *usns: int | None, classes: tuple[str, ...] = ("top", "user")) -> None:
        self._usns = usns
        self._classes = [name.encode() for name in classes]

    async def stream(self, question: Search) -> AsyncGenerator[Chunk, None]:
        assert question.endless
        yield Chunk([], False)
        for usn in self._usns:
            told = {} if usn is None else {"uSNChanged": [str(usn).encode()]}
            yield Chunk([("CN=x", {"objectClass": self._classes, **told})], False)
        raise DirbridgeError("It is over.")


async def told(connection: Told, usn: int) -> list[bool]:
    heard: list[bool] = []
    with pytest.raises(DirbridgeError, match="over"):
        async for news in notification.listen(connection, "DC=contoso,DC=test", usn):  # type: ignore[arg-type]
            heard.append(news)  # noqa: PERF401 - what came before the end counts
    return heard


async def test_change_that_is_not_replicated_is_no_news(monkeypatch: pytest.MonkeyPatch) -> None:
    """It comes with an old number, known or from before; a number that the account may not read counts as new."""
    assert await told(Told(100, 101, 101, 103, 102, 103, 101, None), 100) == [
        True, False, True, False, True, True, False, False, True,
    ]  # fmt: skip
    assert await told(Told(101, 102, classes=("top", "user", "computer")), 100) == [True, False, False]
    monkeypatch.setattr(notification, "REMEMBERED", 2)
    assert await told(Told(101, 102, 103, 101, 103), 100) == [True, True, True, True, True, False]
