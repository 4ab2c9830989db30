"""What goes wrong at a customer's: said plainly where the administrator looks, and gone by itself once it is mended."""

from __future__ import annotations

import contextlib
import json
import subprocess
from collections.abc import AsyncIterator
from datetime import UTC, datetime
from pathlib import Path

import msgspec
import pytest

from dirbridge.cli.demo import company as demo
from dirbridge.cli.demo.authority import Authority
from dirbridge.cli.demo.domain import Domain
from dirbridge.contract import enrolment
from dirbridge.store.embedded import EmbeddedServer
from tests.e2e import company, made_up
from tests.e2e.harness import Done, Installation, Process, is_plain, until

pytestmark = [pytest.mark.service, pytest.mark.timeout(180)]


@contextlib.asynccontextmanager
async def made_up_in_step(place: Path, **more: object) -> AsyncIterator[Installation]:
    """A small made-up directory that was read once."""
    async with Installation(place, made_up.DOMAIN, **more) as installation:  # type: ignore[arg-type]
        await installation.agent(made_up.toml(SMALL(place)))
        await installation.create_job()
        await installation.settled()
        yield installation


def SMALL(place: Path) -> made_up.Settings:  # noqa: N802 - stands for a value
    return made_up.settings(place, users=200, groups=4, members=20, pause=0)


async def said(installation: Installation, code: str, *parts: str) -> None:
    """Wait for a fault, and see that job status and command line tell it plainly, with what to do."""
    error = await installation.failed(code)
    for part in parts:
        assert part in error["message"]
    assert is_plain(error["message"]), error["message"]
    shown = await installation.command("jobs", "show")
    assert code in shown.output
    assert " ".join(error["message"].split()[:4]) in " ".join(shown.output.split())


def complained(done: Done, code: str, *parts: str) -> None:
    """See that a command failed, and says why and what to do."""
    assert done.code not in {0, 2}, done.output
    assert done.error["code"] == code
    text = f"{done.error['message']} {done.error.get('recommendedAction', '')}"
    for part in parts:
        assert part in text
    assert done.error["recommendedAction"]
    assert is_plain(text), text


# The directory --------------------------------------------------------------------------------------------------------


@pytest.mark.samba
async def test_directory_that_cannot_be_read(place: Path, pristine: Domain) -> None:
    """Unknown CA, wrong password, another domain's name, no right on Deleted Objects: told, mended, in step again."""
    async with await pristine.copy() as domain, company.in_step(place, domain) as installation:
        (agent,) = installation.agents
        with company.reader(domain) as administrator:
            known = await company.ids(installation)
            number = 0

            async def change() -> None:
                """Something happens while nobody can read it."""
                nonlocal number
                number += 1
                (somebody, *_) = await administrator.search("(sAMAccountName=dora.dietz)")
                await administrator.modify(
                    f"dn: {somebody.dn}\nchangetype: modify\nreplace: title\ntitle: Title {number}\n-\n"
                )

            async def led_to(settings: str) -> None:
                await agent.end()
                head = installation.settings().read_text().partition("[[domain]]")[0]
                installation.settings().write_text(head + settings)
                agent.start()

            async def mended() -> None:
                await installation.settled()
                assert await company.differences(installation, administrator) == []
                assert await company.ids(installation) == known
                assert (await installation.status())["code"] == "Active"

            # A wrong password; the right one is noticed without a restart.
            company.password_file(place).write_text("Wrong-word.1")
            await change()
            await said(installation, "InvalidCredentials", f"{company.READER}@{company.REALM}", "password")
            company.password_file(place).write_text(company.PASSWORD)
            await mended()

            # An authority that did not sign the domain controller's certificate.
            ca_file = place / "ca.pem"
            ca_file.write_bytes(Authority(place / "other").ca_file.read_bytes())
            await led_to(company.toml(domain, place, ca_file=ca_file))
            await change()
            await said(installation, "UnknownCertificateAuthority", domain.address, "ca.pem")
            ca_file.write_bytes(domain.ca_file.read_bytes())
            await led_to(company.toml(domain, place, ca_file=ca_file))
            await mended()

            # An account without the right to see deletes.
            await led_to(company.toml(domain, place, user=company.PLAIN))
            await change()
            await said(installation, "NoRightOnDeletedObjects", company.PLAIN, "CN=Deleted Objects", "dsacls")
            await domain.grant_deleted_objects(company.PLAIN)
            await mended()

            # The domain controller is gone for a while.
            domain.suspend()
            await led_to(company.toml(domain, place, user=company.PLAIN) + 'connect_timeout = "1s"\n')
            await said(installation, "DomainControllerSilent", domain.address)
            domain.resume()
            await change()
            await mended()


@pytest.mark.samba
async def test_settings_of_another_domain(place: Path, pristine: Domain) -> None:
    """A domain controller of another naming context than the settings name is not taken for it."""
    async with await pristine.copy() as domain, Installation(place, "fabrikam.test") as installation:
        await installation.agent(company.toml(domain, place, name="fabrikam.test"))
        await installation.create_job()
        await said(installation, "WrongNamingContext", domain.ldaps_url, "DC=contoso,DC=test", "fabrikam.test")
        assert await company.ids(installation) == {}


@pytest.mark.samba
async def test_values_that_cannot_be_stored(place: Path, pristine: Domain) -> None:
    """NUL and half characters in any attribute stop that attribute of that entry, with a reason, and nobody else."""
    async with await pristine.copy() as domain:
        with company.reader(domain) as administrator:
            people = await administrator.search("(&(objectClass=user)(title=*)(mail=*))", base=_people(domain))
            bad = dict(zip(BAD, people, strict=False))
            assert len(bad) == len(BAD)
            for attribute, entry in bad.items():
                change = [demo.line("dn", entry.dn), "changetype: modify", f"replace: {attribute}"]
                await administrator.modify("\n".join([*change, demo.line(attribute, BAD[attribute]), "-", ""]))
            async with company.in_step(place, domain) as installation:
                held = await company.ids(installation)
                accounts = {str(entry.text("sAMAccountName")) for entry in bad.values()}
                assert {str(person.text("sAMAccountName")) for person in people} - held.keys() <= accounts
                assert (await installation.status())["code"] == "Active"
                done = await installation.command("logs", "--status", "failure", "--limit", "500", "--json")
                log = {row["sourceIdentity"]["displayName"]: row for row in json.loads(done.output)}
                for attribute, entry in bad.items():
                    error = log[str(entry.text("cn"))]["provisioningStatusInfo"]["errorInformation"]
                    assert attribute in error["reason"]
                    assert is_plain(error["reason"]), error
                    assert error["recommendedAction"]

                # Mended at the source, each comes at once, with all that it has.
                for attribute, entry in bad.items():
                    change = [demo.line("dn", entry.dn), "changetype: modify", f"replace: {attribute}"]
                    good = [demo.line(attribute, value) for value in entry.values(attribute)]
                    await administrator.modify("\n".join([*change, *good, "-", ""]))
                await installation.settled()
                assert await company.differences(installation, administrator) == []


BAD = {
    # Samba itself takes bad UTF-8 only where it keeps no index.
    "displayName": b"n\x00ul",
    "givenName": b"n\x00ul",
    "sn": b"\x00",
    "company": b"n\x00ul",
    "telephoneNumber": b"+49\x0030",
    "title": b"half \xed\xa0\x80",
    "department": b"half \xed\xa0\x80",
    "mail": b"n\x00ul@contoso.test",
}


def _people(domain: Domain) -> str:
    return f"{demo.PEOPLE},{domain.base_dn}"


# Enrolment ------------------------------------------------------------------------------------------------------------


async def test_codes_that_are_no_good(place: Path) -> None:
    """Expired, used, of another service, damaged: the command says which, and a fresh code enrols the same host."""
    async with Installation(place, made_up.DOMAIN) as installation:
        (place / "agent.toml").write_text(made_up.toml(SMALL(place)))

        async def enrol(code: str, state: str) -> Done:
            places = ["--settings", str(place / "agent.toml"), "--state", str(place / state)]
            return await installation.command(
                "agent", "enrol", "--service", installation.url, "--code", code, *places, "--json", environment={}
            )

        expired = await installation.code()
        await installation.rows("update enrolment_codes set expires_at = now() - interval '1 minute' returning 1")
        complained(await enrol(expired, "first"), "EnrolmentCodeExpired", "dirbridge agent code")

        good = await installation.code()
        foreign = enrolment.render(msgspec.structs.replace(enrolment.parse(good), fingerprint="ab" * 32))
        complained(await enrol(foreign, "first"), "ServiceNotTrusted", installation.url, "ab" * 32)
        assert (await enrol(good, "first")).code == 0
        complained(await enrol(good, "second"), "EnrolmentCodeUsed", "dirbridge agent code")
        complained(await enrol(good[:-4], "second"), "EnrolmentCodeDamaged", "Copy the whole code")
        assert (await enrol(await installation.code(), "second")).code == 0


async def test_agent_settings_that_cannot_be_read(place: Path) -> None:
    """An agent whose settings are damaged says what and where, and runs once they are mended."""
    async with made_up_in_step(place) as installation:
        (agent,) = installation.agents
        await agent.end()
        file = installation.settings()
        good = file.read_bytes()
        command = ("agent", "run", "--settings", str(file), "--state", str(place / "agent-0"))
        for bad, part in (
            (b"\xff\xfe" + good, "UTF-8"),
            (good + b"users = many\n", "line"),
            (good + b"colour = 3\n", "colour"),
        ):
            file.write_bytes(bad)
            done = await installation.command(*command, environment={})
            assert done.code == 3
            assert str(file) in done.complaint
            assert part in done.complaint
            assert "Traceback" not in done.complaint
        file.unlink()
        file.mkdir()
        done = await installation.command(*command, environment={})
        assert done.code in {2, 3}
        assert str(file) in done.complaint
        file.rmdir()
        file.write_bytes(good)
        SMALL(place).revision_file.write_text("2")  # type: ignore[union-attr]
        agent.start()
        await installation.settled()
        await made_up.compare(installation, SMALL(place))


# The service and its database -----------------------------------------------------------------------------------------


async def test_service_restarted_under_a_running_agent(place: Path) -> None:
    """The agent waits, says so in its log, and goes on; nobody touches it."""
    async with made_up_in_step(place) as installation:
        (agent,), (service,) = installation.agents, installation.services
        before = agent.pid
        assert await service.end() == 0
        done = await installation.command("jobs", "show", "--json")
        assert done.code == 5
        assert installation.url in done.error["message"]
        await until(lambda: _logged(agent, "service_lost"), "the agent notices")
        SMALL(place).revision_file.write_text("4")  # type: ignore[union-attr]
        service.start()
        await service.ready()
        await installation.settled()
        await made_up.compare(installation, SMALL(place))
        assert agent.pid == before
        assert "service_found" in agent.logged()


async def test_database_gone(place: Path) -> None:
    """While its database is away the service says so to who asks, and goes on when it is back."""
    server = EmbeddedServer(place / "elsewhere", durable=False)
    async with server, made_up_in_step(place, database_url=server.url()) as installation:
        log = await installation.events()
        await server.stop()
        SMALL(place).revision_file.write_text("2")  # type: ignore[union-attr]
        done = await installation.command("jobs", "show", "--json")
        assert done.code in {1, 5}
        assert "database" in done.error["message"].lower()
        assert is_plain(done.error["message"])
        await server.start()
        await installation.settled(90)
        await made_up.compare(installation, SMALL(place))
        assert sum((await installation.events() - log).values()) == 2


async def test_full_disk(place: Path) -> None:
    """A first sync onto a disk without space fails plainly, and completes by itself once there is some."""
    data = place / "data"
    data.mkdir(mode=0o755)
    mount = ["mount", "-t", "tmpfs", "-o", "size=192m,mode=0755", "none", str(data)]
    mounted = subprocess.run(mount, check=False, capture_output=True).returncode == 0
    try:
        async with Installation(place, made_up.DOMAIN) as installation:
            given = made_up.settings(place, users=1000, groups=4, members=20, pause=0)
            agent = await installation.agent(made_up.toml(given))
            await agent.end()  # so that nothing is read before the disk is full
            began = datetime.now(UTC)
            await installation.create_job()
            disk = WholeDisk(data) if mounted else await OneFile.of(installation)
            await disk.fill()
            agent.start()
            (service,) = installation.services
            await until(lambda: _logged(service, "disk is full"), "the service says so", 60, installation.describe)
            if not mounted:
                await said(installation, "DiskFull", "No space left on device", "Free some space")
            assert "work goes on by itself" in service.logged()
            await disk.free()
            await installation.succeeded(began, 90)
            await made_up.compare(installation, given)
            assert set((await installation.events()).values()) == {1}
    finally:
        if mounted:
            subprocess.run(["umount", "-l", str(data)], check=True)


class WholeDisk:
    """A small file system of the data folder's own, and a file that takes all that is left of it."""

    def __init__(self, data: Path) -> None:
        self._ballast = data / "ballast"

    async def fill(self) -> None:
        with self._ballast.open("wb", buffering=0) as ballast:
            for size in (1 << 20, 4096):
                with contextlib.suppress(OSError):
                    while True:
                        ballast.write(bytes(size))

    async def free(self) -> None:
        self._ballast.unlink()


class OneFile:
    """Where nothing may be mounted: the file of a table that is empty so far becomes one that never has space."""

    def __init__(self, installation: Installation, file: Path) -> None:
        self._installation = installation
        self._file = file
        self._kept = file.with_suffix(".kept")

    @classmethod
    async def of(cls, installation: Installation) -> OneFile:
        (row,) = await installation.rows("select pg_relation_filepath('directory_objects')")
        return cls(installation, installation.data / "postgres" / row[0])

    async def fill(self) -> None:
        assert self._file.stat().st_size == 0
        self._file.rename(self._kept)
        self._file.symlink_to("/dev/full")
        await self._reopen()

    async def free(self) -> None:
        self._kept.rename(self._file)
        await self._reopen()

    async def _reopen(self) -> None:
        """End the connections: each keeps files open that it has used."""
        await self._installation.rows(
            """select pg_terminate_backend(pid) from pg_stat_activity
               where pid <> pg_backend_pid() and datname is not null"""
        )


async def _logged(process: Process, text: str) -> bool | None:
    return True if text in process.logged() else None
