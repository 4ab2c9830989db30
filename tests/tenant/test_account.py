"""The synchronization service account: what a job does without it, and its repair."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from datetime import datetime, timedelta
from typing import Any
from uuid import UUID, uuid4

import pytest

from dirbridge.contract.errors import CredentialError, EntryError
from dirbridge.service.auth.sealing import Sealing
from dirbridge.store import accounts, directory, jobs
from dirbridge.store.identifiers import new_id
from dirbridge.tenant import account, administration
from tests.engine.world import DOMAIN, SEALING, World, key

ANN, BOB, EVE = (f"00000000-0000-4000-8000-00000000000{n}" for n in "123")
NAME = "ADToAADSyncServiceAccount@contoso.dirbridge.local"

Conn = Any
Act = Callable[[Conn, World, UUID], Awaitable[Any]]


async def account_id(world: World) -> UUID:
    return UUID(str((await world.rows("select id from synchronization_accounts where tenant = %s"))[0][0]))


async def act(world: World, what: Act) -> None:
    id = await account_id(world)
    async with world.database.transaction() as conn:
        await what(conn, world, id)


async def repair(world: World, expires_at: datetime | None = None) -> account.Repaired:
    async with world.database.transaction() as conn:
        return await account.repair(
            conn, world.tenant, SEALING, new_id, world.clock(), actor="a person", expires_at=expires_at
        )


async def disable(conn: Conn, world: World, id: UUID) -> None:
    await administration.update(conn, world.tenant, id, "user", {"accountEnabled": False}, world.clock())


async def delete(conn: Conn, world: World, id: UUID) -> None:
    await administration.delete_object(conn, world.tenant, id, "user", world.clock())


async def purge(conn: Conn, world: World, id: UUID) -> None:
    await delete(conn, world, id)
    await administration.purge(conn, world.tenant, id)


async def take_role(conn: Conn, world: World, id: UUID) -> None:
    await accounts.put(conn, world.tenant, id, [])


async def reset_password(conn: Conn, world: World, id: UUID) -> None:
    changes = {"passwordProfile": {"password": "a new one"}}
    await administration.update(conn, world.tenant, id, "user", changes, world.clock())


async def force_change(conn: Conn, world: World, id: UUID) -> None:
    changes = {"passwordProfile": {"forceChangePasswordNextSignIn": True}}
    await administration.update(conn, world.tenant, id, "user", changes, world.clock())


async def alter_credential(conn: Conn, world: World, id: UUID) -> None:
    await conn.execute("update synchronization_credentials set digest = %s where account = %s", (bytes(32), id))


async def seal_elsewhere(conn: Conn, world: World, id: UUID) -> None:
    sealed = Sealing([bytes([1] * 32)]).seal(b"secret", "elsewhere")
    await conn.execute("update job_credentials set sealed = %s where tenant = %s", (sealed, world.tenant))


async def forget(conn: Conn, world: World, id: UUID) -> None:
    await conn.execute("delete from job_credentials where tenant = %s", (world.tenant,))


BROKEN: dict[str, tuple[Act, str, str, list[str]]] = {
    "disabled": (disable, "AuthenticationFailed", f"account {NAME} is disabled.", ["enabled"]),
    "deleted": (delete, "InvalidCredential", f"account {NAME} was deleted.", ["restored"]),
    "purged": (purge, "InvalidCredential", "does not exist any more.", ["created"]),
    "without its role": (take_role, "AuthenticationFailed", "is not in the role 'Directory Synch", ["role"]),
    "password reset": (reset_password, "InvalidCredential", f"The password of {NAME} was reset", []),
    "expired": (force_change, "ExpiredCredentials", f"The credential of {NAME} expired on 2026-03-01", []),
    "wrong credential": (alter_credential, "InvalidCredential", f"presents is not one of {NAME}.", []),
    "sealed with another key": (seal_elsewhere, "AuthenticationFailed", "cannot be opened: ", []),
    "no credential": (forget, "InvalidCredential", "was never given a credential", []),
}


@pytest.mark.parametrize("case", BROKEN)
async def test_quarantine_within_one_cycle_and_repaired_catches_up(world: World, case: str) -> None:
    """Whatever is wrong with the account, one cycle says it plainly; repaired, a delta catches up, nothing twice."""
    break_it, code, reason, healed = BROKEN[case]
    world.person(ANN, "Ann")
    world.person(BOB, "Bob")
    await world.cycle()
    before = await world.users()
    await act(world, break_it)
    world.person(EVE, "Eve")
    world.directory.set(ANN, "department", "Sales")
    await world.cycle()
    job = await world.state()
    assert job.quarantine is not None
    assert job.quarantine["reason"] == "EncounteredQuarantineException"
    assert job.quarantine["error"]["code"] == f"AzureActiveDirectory{code}"
    assert reason in job.quarantine["error"]["message"]
    assert "dirbridge jobs repair-account" in job.quarantine["error"]["message"]
    assert await world.users() == before, "something was written"
    done = await repair(world)
    assert (list(done.repaired), list(done.given), list(done.woken)) == (
        [*healed, "credential"], [world.job], [world.job],
    )  # fmt: skip
    await world.cycle()
    job = await world.state()
    assert job.quarantine is None
    assert job.last_execution is not None
    assert (job.last_execution["countImported"], job.last_execution["countImportedDeltas"]) == (0, 2)
    happened = [(e["source"], e["action"], e["status"]) for e in await world.events()]
    assert sorted(happened) == [
        (ANN, "create", "success"),
        (ANN, "update", "success"),
        (BOB, "create", "success"),
        (EVE, "create", "success"),
    ]
    unchanged = await world.fingerprint()
    await world.cycle()
    assert await world.fingerprint() == unchanged


async def test_disabled_between_two_pages(world: World) -> None:
    """It is looked at before each batch: what was written before stays, what comes after is not."""
    people = [f"10000000-0000-4000-8000-{number:012}" for number in range(9)]
    for number, anchor in enumerate(people):
        world.person(anchor, f"N{number}")
    source = world.source()
    pages = 0

    class Watching(type(source)):  # type: ignore[misc]
        async def changes(self, selection: Any, since: Any) -> Any:
            nonlocal pages
            async for page in super().changes(selection, since):
                pages += 1
                if pages == 3:
                    await act(world, disable)
                yield page

    world.source = lambda: Watching(world.directory)
    await world.cycle()
    made = set(await world.users())
    assert 0 < len(made) < 9
    quarantine = (await world.state()).quarantine
    assert quarantine is not None
    assert quarantine["error"]["code"] == "AzureActiveDirectoryAuthenticationFailed"
    await repair(world)
    await world.cycle()
    assert set(await world.users()) == {key(anchor) for anchor in people}
    created = [e["source"] for e in await world.events() if e["action"] == "create"]
    assert sorted(created) == people


async def test_it_is_no_ones_match(world: World) -> None:
    """A person with its name or its source anchor is not it: the account is neither taken over nor changed."""
    id = await account_id(world)
    async with world.database.transaction() as conn:
        await conn.execute(
            "update directory_objects set immutable_id = %s where tenant = %s and id = %s", (key(ANN), world.tenant, id)
        )
        before = (await directory.read(conn, world.tenant, [id]))[id]
    world.person(ANN, "Ann")
    world.person(BOB, "Bob", userPrincipalName=f"adtoaadsyncserviceaccount@{DOMAIN}")
    world.person(EVE, "Eve", userPrincipalName=NAME, mailNickname="ADToAADSyncServiceAccount")
    await world.cycle()
    async with world.database.transaction() as conn:
        assert (await directory.read(conn, world.tenant, [id]))[id] == before
    failed = {e["source"]: e["detail"].fault for e in await world.events() if e["status"] == "failure"}
    assert set(failed) == {EVE}
    assert NAME in failed[EVE].reason
    assert set(await world.users()) == {key(ANN), key(BOB)}


async def test_it_is_no_synchronized_user(world: World) -> None:
    """It is a cloud user, and no job counts it."""
    await world.cycle()
    rows = await world.rows(
        "select sync_job, properties ->> 'onPremisesSyncEnabled' from directory_objects where tenant = %s"
    )
    assert rows == [(None, None)]
    async with world.database.connection() as conn:
        assert await jobs.counts_by_type(conn, world.tenant, world.job) == {}


async def test_two_jobs_have_a_credential_each(world: World) -> None:
    """One that is void stops its own job only; a job that goes takes its credential with it."""
    async with world.database.transaction() as conn:
        await conn.execute(
            "insert into jobs (tenant, id, service_principal, template_id, domain, schema) select tenant, 'other',"
            " service_principal, template_id, domain, schema from jobs"
        )
        await account.ensure(conn, world.tenant, SEALING, new_id, world.clock())
        other = await accounts.presented(conn, world.tenant, "other")
        mine = await accounts.presented(conn, world.tenant, world.job)
        assert other is not None
        assert mine is not None
        assert other.digest != mine.digest
        await account.authenticate(conn, world.tenant, "other", SEALING, world.clock())
        await jobs.delete(conn, world.tenant, "other")
        with pytest.raises(CredentialError, match="never given"):
            await account.authenticate(conn, world.tenant, "other", SEALING, world.clock())
        await account.authenticate(conn, world.tenant, world.job, SEALING, world.clock())
    assert await world.rows("select job from job_credentials where tenant = %s") == [(world.job,)]
    assert len(await world.rows("select id from synchronization_credentials where tenant = %s")) == 1


async def test_a_credential_of_another_job_does_not_open(world: World) -> None:
    """A sealed secret that is moved to another job is none."""
    async with world.database.transaction() as conn:
        await conn.execute(
            "insert into jobs (tenant, id, service_principal, template_id, domain, schema) select tenant, 'other',"
            " service_principal, template_id, domain, schema from jobs"
        )
        await conn.execute(
            "insert into job_credentials select tenant, 'other', credential, sealed from job_credentials"
        )
        with pytest.raises(CredentialError, match="cannot be opened"):
            await account.authenticate(conn, world.tenant, "other", SEALING, world.clock())


async def test_ensure_repairs_nothing(world: World) -> None:
    """A start of the service gives what was never there; what somebody took away stays away."""
    await act(world, purge)
    async with world.database.transaction() as conn:
        await account.ensure(conn, world.tenant, SEALING, new_id, world.clock())
        with pytest.raises(CredentialError, match="does not exist any more"):
            await account.check(conn, world.tenant)


async def test_mended_by_hand(world: World) -> None:
    """Enabling or restoring it by hand is a repair too: jobs in quarantine are due at once."""
    for break_it, mend in (
        (disable, lambda conn, id: administration.update(
            conn, world.tenant, id, "user", {"accountEnabled": True}, world.clock())),
        (delete, lambda conn, id: administration.restore_object(conn, world.tenant, id, world.clock())),
    ):  # fmt: skip
        await act(world, break_it)
        await world.cycle()
        due = (await world.state()).next_run
        await act(world, lambda conn, _world, id, mend=mend: mend(conn, id))
        after = (await world.state()).next_run
        assert due is not None
        assert after is not None
        assert after < due
        await world.cycle()
        assert (await world.state()).quarantine is None


async def test_credentials_that_end(world: World) -> None:
    """A repair may give credentials that end; from then on the job says so."""
    await repair(world, world.clock() + timedelta(days=1))
    await world.cycle()
    assert (await world.state()).quarantine is None
    world.clock.forward(days=2)
    await world.cycle()
    quarantine = (await world.state()).quarantine
    assert quarantine is not None
    assert quarantine["error"]["code"] == "AzureActiveDirectoryExpiredCredentials"


async def test_its_name_is_taken(world: World) -> None:
    """Where somebody else has its name by now, a repair names him and changes nothing."""
    await act(world, purge)
    async with world.database.transaction() as conn:
        user = {"userPrincipalName": NAME, "displayName": "Mallory", "accountEnabled": True}
        await administration.create_user(conn, world.tenant, uuid4(), user, world.clock())
    with pytest.raises(EntryError, match=NAME):
        await repair(world)
    async with world.database.connection() as conn:
        with pytest.raises(CredentialError):
            await account.check(conn, world.tenant)


async def test_repair_leaves_a_trace(world: World) -> None:
    """Who repaired what stands in the audit trail."""
    await act(world, disable)
    await repair(world)
    rows = await world.rows("select actor, activity, target, detail from audits where tenant = %s")
    assert rows == [
        (
            "a person",
            "Repair synchronization account",
            str(await account_id(world)),
            {"repaired": ["enabled", "credential"], "jobs": [world.job], "woken": []},
        )
    ]
