"""One page after the other: orders of events that lose, invent or block something where they are not thought of."""

from __future__ import annotations

from collections.abc import AsyncIterator, Callable
from datetime import UTC, datetime, timedelta
from typing import Any
from uuid import UUID, uuid4

import msgspec
import pytest

from dirbridge.connectors.memory.directory import anchor_of
from dirbridge.connectors.memory.source import MemorySource
from dirbridge.contract.entry import ChangePage, Entry, ReferenceDelta, Selection, Watermark
from dirbridge.contract.schema import Schema
from dirbridge.store import directory, jobs
from dirbridge.store.identifiers import new_id
from dirbridge.tenant import account, administration
from tests.engine.world import DOMAIN, SEALING, World, key

ANN, BOB, CAT, DAN = (anchor_of(i) for i in range(4))
SALES, STAFF = anchor_of(100), anchor_of(101)


class Altered(MemorySource):
    """The directory in memory, with something done to each entry on its way."""

    def __init__(self, world: World, change: Callable[[Entry], Entry]) -> None:
        super().__init__(world.directory)
        self._change = change

    def _entry(self, node: Any, selection: Selection) -> Entry:
        return self._change(super()._entry(node, selection))


def unreadable(world: World, anchor: str, *names: str) -> None:
    """The account may no longer read these attributes of one entry, references among them."""

    def change(entry: Entry) -> Entry:
        if entry.anchor != anchor:
            return entry
        attributes = {name: values for name, values in entry.attributes.items() if name not in names}
        references = {name: values for name, values in entry.references.items() if name not in names}
        return msgspec.structs.replace(entry, attributes=attributes, references=references, unknown=names)

    world.source = lambda: Altered(world, change)


def readable(world: World) -> None:
    """The account may read everything again."""
    world.source = lambda: MemorySource(world.directory)


async def remap(world: World, change: Callable[[dict[str, Any]], None]) -> None:
    """Change the first rule's object mappings; the argument holds them by source type."""
    job = await world.state()
    document = msgspec.to_builtins(job.document())
    change({mapping["sourceObjectName"]: mapping for mapping in document["synchronizationRules"][0]["objectMappings"]})
    async with world.database.transaction() as conn:
        await jobs.set_schema(conn, world.tenant, world.job, msgspec.convert(document, Schema))


async def settled(world: World) -> None:
    """The next cycle writes nothing."""
    before = await world.fingerprint()
    await world.cycle()
    assert await world.fingerprint() == before


async def failures(world: World) -> dict[str, str]:
    """The reasons of failed events by source anchor, the last of each."""
    return {e["source"]: e["detail"].fault.reason for e in await world.events() if e["status"] == "failure"}


# What cannot be read is no evidence -----------------------------------------------------------------------------------


@pytest.mark.parametrize("full", [False, True])
async def test_unreadable_attribute_of_the_scope_deletes_nobody(world: World, full: bool) -> None:
    """The scope asks for sAMAccountName; where it cannot be read, the entry fails and stays as it is."""
    world.person(ANN, "Ann Lee")
    world.person(BOB, "Bob Ray")
    world.team(SALES, "Sales")
    await world.cycle()
    unreadable(world, ANN, "sAMAccountName")
    world.directory.set(ANN, "title", "Clerk")
    if full:
        await world.restart()
    await world.cycle()
    assert set(await world.users()) == {key(ANN), key(BOB)}
    assert "sAMAccountName" in (await failures(world))[ANN]
    assert "delete" not in [e["action"] for e in await world.events()]
    readable(world)
    world.clock.forward(hours=6)
    await world.cycle()
    assert (await world.users())[key(ANN)]["jobTitle"] == "Clerk"


async def test_damaged_attribute_of_the_scope_deletes_nobody(world: World) -> None:
    """A distribution group is in scope for its mail; when that is damaged, the group fails and is not deleted."""
    world.team(SALES, "Sales", groupType="2", mail="sales@contoso.test")
    world.team(STAFF, "Staff")
    await world.cycle()
    world.directory.set(SALES, "mail", "sales\x00@contoso.test")
    await world.cycle()
    assert set(await world.groups()) == {key(SALES), key(STAFF)}
    assert "NUL" in (await failures(world))[SALES]


async def test_unknown_attribute_flows_nowhere_and_is_cleared_later(world: World) -> None:
    """A title that could not be read stays; emptied once it can be read again, it is cleared."""
    world.person(ANN, "Ann Lee", title="Clerk")
    await world.cycle()
    unreadable(world, ANN, "title")
    world.directory.set(ANN, "department", "Sales")
    await world.cycle()
    user = (await world.users())[key(ANN)]
    assert (user["jobTitle"], user["department"]) == ("Clerk", "Sales")
    readable(world)
    world.directory.set(ANN, "title")
    await world.cycle()
    assert "jobTitle" not in (await world.users())[key(ANN)]


async def test_unknown_expiry_enables_nobody(world: World) -> None:
    """An expired account stays disabled while its expiry cannot be read."""
    world.person(ANN, "Ann Lee", accountExpires="1")
    await world.cycle()
    assert (await world.users())[key(ANN)]["accountEnabled"] is False
    unreadable(world, ANN, "accountExpires")
    world.directory.set(ANN, "title", "Clerk")
    await world.cycle()
    user = (await world.users())[key(ANN)]
    assert (user["jobTitle"], user["accountEnabled"]) == ("Clerk", False)


# References -----------------------------------------------------------------------------------------------------------


async def test_cleared_manager_goes(world: World) -> None:
    """An entry whose manager was cleared comes without the reference at all: it is taken away."""
    world.person(ANN, "Ann Lee")
    world.person(BOB, "Bob Ray")
    world.directory.set_manager(BOB, ANN)
    await world.cycle()
    world.directory.set_manager(BOB, None)
    await world.cycle()
    assert await world.references("manager") == set()
    await settled(world)


async def test_unreadable_manager_stays(world: World) -> None:
    """A manager that cannot be read is neither kept for ever nor taken away: it is left alone until it can be read."""
    world.person(ANN, "Ann Lee")
    world.person(BOB, "Bob Ray")
    world.directory.set_manager(BOB, ANN)
    await world.cycle()
    unreadable(world, BOB, "manager")
    world.directory.set(BOB, "title", "Clerk")
    await world.cycle()
    assert await world.references("manager") == {(key(BOB), key(ANN))}
    readable(world)
    world.directory.set_manager(BOB, None)
    await world.cycle()
    assert await world.references("manager") == set()


class Scripted(MemorySource):
    """Hands out given reference changes in front of the directory's own pages."""

    references: tuple[ReferenceDelta, ...] = ()

    async def changes(self, selection: Selection, since: Watermark | None) -> AsyncIterator[ChangePage]:
        async for page in super().changes(selection, since):
            yield msgspec.structs.replace(page, references=(*self.references, *page.references), idle=False)


@pytest.mark.parametrize(
    ("story", "is_member"),
    [
        ([ReferenceDelta(SALES, "member", added=(ANN,)), ReferenceDelta(SALES, "member", removed=(ANN,))], False),
        ([ReferenceDelta(SALES, "member", removed=(ANN,)), ReferenceDelta(SALES, "member", added=(ANN,))], True),
        ([ReferenceDelta(SALES, "member", (ANN,), whole=True), ReferenceDelta(SALES, "member", removed=(ANN,))], False),
        ([ReferenceDelta(SALES, "member", added=(ANN,)), ReferenceDelta(SALES, "member", (), whole=True)], False),
        ([ReferenceDelta(SALES, "member", (), whole=True), ReferenceDelta(SALES, "member", added=(ANN,))], True),
        ([ReferenceDelta(SALES, "member", removed=(ANN,)), ReferenceDelta(SALES, "member", (ANN,), whole=True)], True),
    ],
)
@pytest.mark.parametrize("before", [False, True])
async def test_last_word_on_a_member_counts(
    world: World, story: list[ReferenceDelta], is_member: bool, before: bool
) -> None:
    """A member may come and go within one page; what was told last is so."""
    world.person(ANN, "Ann Lee")
    world.team(SALES, "Sales")
    if before:
        world.directory.add_member(SALES, ANN)
    await world.cycle()
    source = Scripted(world.directory)
    source.references = tuple(story)
    world.source = lambda: source
    await world.cycle()
    assert await world.references("members") == ({(key(SALES), key(ANN))} if is_member else set())


async def test_member_of_a_page_cut_off_half_way(world: World) -> None:
    """A list in parts whose reading is cut off removes nobody; the next reading makes it right."""
    people = [anchor_of(i) for i in range(8)]
    for number, anchor in enumerate(people):
        world.person(anchor, f"Person {number}")
    world.team(SALES, "Sales")
    for anchor in people:
        world.directory.add_member(SALES, anchor)
    await world.cycle()
    world.directory.remove_member(SALES, people[0])

    class Cut(MemorySource):
        async def changes(self, selection: Selection, since: Watermark | None) -> AsyncIterator[ChangePage]:
            async for page in super().changes(selection, since):
                kept = [d for d in page.references if not d.end]
                yield msgspec.structs.replace(page, references=tuple(kept[:1]), watermark=None, last=False)
                if kept:
                    return

    world.source = lambda: Cut(world.directory)
    await world.restart()
    await world.cycle()
    assert (await world.state()).last_execution["error"]["code"] == "IncompleteRead"  # type: ignore[index]
    assert len(await world.references("members")) == 8
    readable(world)
    await world.cycle()
    assert await world.references("members") == {(key(SALES), key(a)) for a in people[1:]}
    await settled(world)


async def test_member_gone_before_a_reset_of_the_links(world: World) -> None:
    """A member removed before a restart that distrusts all links is removed by the full read that follows."""
    for anchor, name in ((ANN, "Ann Lee"), (BOB, "Bob Ray")):
        world.person(anchor, name)
    world.team(SALES, "Sales")
    world.directory.add_member(SALES, ANN)
    world.directory.add_member(SALES, BOB)
    await world.cycle()
    world.directory.remove_member(SALES, ANN)
    await world.restart("Full")
    await world.cycle()
    assert await world.references("members") == {(key(SALES), key(BOB))}
    await settled(world)


async def test_deleted_and_restored_by_hand_between_two_cycles(world: World) -> None:
    """A user deleted and restored in the tenant has its memberships and reports back after one cycle."""
    for anchor, name in ((ANN, "Ann Lee"), (BOB, "Bob Ray")):
        world.person(anchor, name)
    world.directory.set_manager(BOB, ANN)
    world.team(SALES, "Sales")
    world.directory.add_member(SALES, ANN)
    await world.cycle()
    target = UUID((await world.users())[key(ANN)]["id"])
    world.clock.now = datetime.now(UTC) + timedelta(hours=1)  # acts by hand are due by the database's clock
    async with world.database.transaction() as conn:
        now = world.clock()
        assert await administration.delete_object(conn, world.tenant, target, "user", now)
        assert await administration.restore_object(conn, world.tenant, target, now)
    await world.cycle()
    assert await world.references("members") == {(key(SALES), key(ANN))}
    assert await world.references("manager") == {(key(BOB), key(ANN))}
    await settled(world)


async def test_deleted_by_hand_and_purged_after_thirty_days(world: World) -> None:
    """A paused job finds its user gone for good: it is made anew, with its memberships."""
    world.person(ANN, "Ann Lee")
    world.team(SALES, "Sales")
    world.directory.add_member(SALES, ANN)
    await world.cycle()
    before = (await world.users())[key(ANN)]["id"]
    world.clock.now = datetime.now(UTC) + timedelta(hours=1)
    async with world.database.transaction() as conn:
        await administration.delete_object(conn, world.tenant, UUID(before), "user", world.clock())
        world.clock.forward(days=31)
        assert await directory.purge(conn, world.tenant, world.clock.now - timedelta(days=30)) == 1
    await world.cycle()
    assert (await world.users())[key(ANN)]["id"] != before
    assert await world.references("members") == {(key(SALES), key(ANN))}
    await settled(world)


async def test_out_of_scope_purged_and_back_with_another_target(world: World) -> None:
    """An entry that left scope for more than thirty days comes back as a new object, memberships included."""
    world.person(ANN, "Ann Lee")
    world.person(BOB, "Bob Ray")
    world.team(SALES, "Sales")
    world.directory.add_member(SALES, ANN)
    await world.cycle()
    world.directory.set(ANN, "adminDescription", "User_1")
    await world.cycle()
    assert set(await world.users()) == {key(BOB)}
    world.clock.forward(days=31)
    async with world.database.transaction() as conn:
        assert await directory.purge(conn, world.tenant, world.clock.now - timedelta(days=30)) == 1
    await world.cycle()
    await settled(world)
    world.directory.set(ANN, "adminDescription")
    await world.cycle()
    assert set(await world.users()) == {key(ANN), key(BOB)}
    assert await world.references("members") == {(key(SALES), key(ANN))}
    await settled(world)


async def test_disabled_mapping_of_an_owner_stops_nobody(world: World) -> None:
    """References of entries whose mapping was switched off are still resolved; the cycle does not fall over them."""
    world.directory.create(ANN, "inetOrgPerson", "Ann Lee", sAMAccountName="ann", userPrincipalName=f"ann@{DOMAIN}")
    world.directory.nodes[ANN].manager = BOB
    await world.cycle()
    assert set(await world.users()) == {key(ANN)}
    await remap(world, lambda mappings: mappings["inetOrgPerson"].update(enabled=False))
    world.person(BOB, "Bob Ray")
    await world.cycle()
    assert (await world.state()).quarantine is None
    assert set(await world.users()) == {key(ANN), key(BOB)}


# Disables -------------------------------------------------------------------------------------------------------------


async def test_disabled_although_its_address_is_taken(world: World) -> None:
    """An account disabled together with a change that collides is disabled; the change fails by itself."""
    world.person(ANN, "Ann Lee", mail="office@contoso.test")
    for number in range(2, 8):
        world.person(anchor_of(number), f"Person {number}")
    world.person(BOB, "Bob Ray", mail="bob@contoso.test")
    await world.cycle()
    world.directory.set(BOB, "userAccountControl", "514")
    world.directory.set(BOB, "mail", "office@contoso.test")
    await world.cycle()
    bob = (await world.users())[key(BOB)]
    assert (bob["accountEnabled"], bob["mail"]) == (False, "bob@contoso.test")
    assert "ann.lee@contoso.test" in (await failures(world))[BOB]
    await settled(world)
    world.directory.set(ANN, "mail", "ann@contoso.test")
    await world.cycle()
    bob = (await world.users())[key(BOB)]
    assert (bob["accountEnabled"], bob["mail"]) == (False, "office@contoso.test")
    await settled(world)


async def test_staged_disables_hold_back_nothing_else(world: World) -> None:
    """While too many disables wait for a person, other changes of the same accounts flow, and nothing is repeated."""
    people = [anchor_of(i) for i in range(20)]
    for number, anchor in enumerate(people):
        world.person(anchor, f"Person {number}")
    await world.cycle()
    for anchor in people[:12]:
        world.directory.set(anchor, "userAccountControl", "514")
        world.directory.set(anchor, "department", "Closed")
    await world.cycle()
    users = await world.users()
    assert {(users[key(a)]["department"], users[key(a)]["accountEnabled"]) for a in people[:12]} == {("Closed", True)}
    assert (await world.state()).quarantine["reason"] == "TooManyDeletes"  # type: ignore[index]
    await settled(world)
    await world.restart("ForceDeletes")
    await world.cycle()
    users = await world.users()
    assert [users[key(a)]["accountEnabled"] for a in people] == [False] * 12 + [True] * 8
    assert (await world.state()).quarantine is None
    await settled(world)


async def test_expiry_of_many_accounts_blocks_nothing_else(world: World) -> None:
    """Accounts whose expiry has passed and whose disable waits for a person are not asked for again and again."""
    soon = int((world.clock.now.timestamp() + 3600 + 11644473600) * 10_000_000)
    for number in range(12):
        world.person(anchor_of(number), f"Person {number}", accountExpires=str(soon))
    await world.cycle()
    world.clock.forward(hours=2)
    await world.cycle()
    assert (await world.state()).quarantine["reason"] == "TooManyDeletes"  # type: ignore[index]
    assert await world.rows("select anchor, reason from due where tenant = %s") == []
    await settled(world)


# Rows that cannot be handled ------------------------------------------------------------------------------------------


async def test_impossible_values_fail_their_entry_alone(world: World) -> None:
    """Numbers and times beyond all bounds fail one entry with a plain reason, whatever attribute holds them."""
    world.person(ANN, "Ann Lee", countryCode="9" * 40)
    world.person(BOB, "Bob Ray", pwdLastSet="9223372036854775807")
    world.person(CAT, "Cat Poe", accountExpires="²")
    world.person(DAN, "Dan Orr", userAccountControl="9" * 5000)
    world.person(anchor_of(5), "Eve Fox")
    await world.cycle()
    assert (await world.state()).quarantine is None
    assert key(anchor_of(5)) in await world.users()
    reasons = await failures(world)
    assert "CountryCode" in reasons[ANN]
    assert "LastPasswordChangeTimestamp" in reasons[BOB]
    assert "AccountEnabled" in reasons[DAN]


async def test_name_that_cannot_be_stored_stops_nobody(world: World) -> None:
    """A name with a NUL, of a person and of a container, is shown without it; the page goes on."""
    world.directory.create(anchor_of(50), "container", "o\x00u")
    world.person(ANN, "Ann Lee")
    world.directory.nodes[ANN].name = "Ann\x00Lee"
    world.directory.nodes[ANN].container = anchor_of(50)
    world.person(BOB, "Bob Ray")
    await world.cycle()
    assert set(await world.users()) == {key(BOB)}
    assert "NUL" in (await failures(world))[ANN]
    assert (await world.state()).quarantine is None


async def test_anchor_that_becomes_another_kind_is_not_overwritten(world: World) -> None:
    """A group that shows up under a person's anchor fails: the person's object does not become a group."""
    world.person(ANN, "Ann Lee")
    await world.cycle()
    world.directory.nodes[ANN].object_type = "group"
    world.directory.set(ANN, "groupType", "-2147483646")
    await world.cycle()
    assert (await world.users())[key(ANN)]["displayName"] == "Ann Lee"
    assert "ObjectTypeMismatch" in [e["reason"] for e in await world.events()]


async def test_hidden_stranger_is_asked_for_later_and_blocks_nothing(world: World) -> None:
    """An entry that was announced and is not visible is asked for every few hours, not in every cycle."""

    class Announced(MemorySource):
        async def changes(self, selection: Selection, since: Watermark | None) -> AsyncIterator[ChangePage]:
            async for page in super().changes(selection, since):
                yield msgspec.structs.replace(page, not_visible=(DAN,)) if since is None else page

    world.person(ANN, "Ann Lee")
    world.source = lambda: Announced(world.directory)
    await world.cycle()
    assert await world.rows("select anchor, reason from due where tenant = %s") == [(DAN, "NotVisibleInSource")]
    world.clock.forward(hours=7)
    await world.cycle()
    await settled(world)
    world.person(DAN, "Dan Orr")
    world.directory.nodes[DAN].changed = 0
    world.clock.forward(hours=7)
    await world.cycle()
    assert set(await world.users()) == {key(ANN), key(DAN)}
    await settled(world)


async def test_hidden_stranger_is_given_up_after_a_month(world: World) -> None:
    """What was never seen is not asked for for ever."""
    world.clock.now = datetime.now(UTC)
    old = world.clock.now - timedelta(days=60)
    async with world.database.transaction() as conn:
        await conn.execute(
            """insert into due (tenant, job, anchor, reason, at, since)
               values (%s, %s, %s, 'NotVisibleInSource', %s, %s)""",
            (world.tenant, world.job, DAN, old, old),
        )
    await world.cycle()
    assert await world.rows("select anchor from due where tenant = %s") == []


# What the mapping allows ----------------------------------------------------------------------------------------------


async def test_mapping_without_delete_deletes_nobody(world: World) -> None:
    """Where flowTypes leave out Delete, leaving scope and being deleted change nothing at the target."""
    for anchor, name in ((ANN, "Ann Lee"), (BOB, "Bob Ray"), (CAT, "Cat Poe")):
        world.person(anchor, name)
    await world.cycle()
    await remap(world, lambda mappings: mappings["user"].update(flowTypes="Add, Update"))
    world.directory.set(ANN, "adminDescription", "User_1")
    world.directory.delete(BOB)
    await world.cycle()
    assert set(await world.users()) == {key(ANN), key(BOB), key(CAT)}
    await settled(world)
    world.directory.set(ANN, "adminDescription")
    world.directory.set(ANN, "title", "Clerk")
    await world.cycle()
    assert (await world.users())[key(ANN)]["jobTitle"] == "Clerk"


async def test_mapping_without_update_changes_nobody(world: World) -> None:
    """Where flowTypes leave out Update, neither a title nor a disabled account flows, and no disable is counted."""
    world.person(ANN, "Ann Lee")
    world.person(BOB, "Bob Ray")
    await world.cycle()
    await remap(world, lambda mappings: mappings["user"].update(flowTypes="Add,Delete"))
    world.directory.set(ANN, "title", "Clerk")
    world.directory.set(ANN, "userAccountControl", "514")
    await world.cycle()
    user = (await world.users())[key(ANN)]
    assert ("jobTitle" in user, user["accountEnabled"]) == (False, True)
    assert await world.rows("select anchor from removals where tenant = %s") == []
    await settled(world)


async def test_failed_entry_leaves_scope(world: World) -> None:
    """An entry that failed and then leaves scope is skipped, and nothing is due for it any more."""
    world.person(ANN, "Ann Lee", mail="office@contoso.test")
    world.person(BOB, "Bob Ray", mail="office@contoso.test")
    await world.cycle()
    loser = BOB if key(ANN) in await world.users() else ANN
    world.directory.set(loser, "adminDescription", "User_1")
    await world.cycle()
    rows = await world.rows("select state, target from links where tenant = %s and anchor = %s", loser)
    assert rows == [("skipped", None)]
    assert await world.rows("select anchor from due where tenant = %s") == []
    await settled(world)


async def test_two_jobs_into_one_tenant(world: World) -> None:
    """A second job with the same people takes none of the first one's objects, and deletes none of them."""
    world.person(ANN, "Ann Lee")
    await world.cycle()
    first = world.job
    world.job = f"AD2AADProvisioning.{uuid4().hex}"
    async with world.database.transaction() as conn:
        principal = (await world.rows("select id from service_principals where tenant = %s"))[0][0]
        await jobs.create(
            conn, world.tenant, world.job, service_principal=principal, template_id="AD2AADProvisioning",
            domain=DOMAIN, schema=(await _document(world, first)), settings={},
        )  # fmt: skip
        await jobs.start(conn, world.tenant, world.job)
        await account.ensure(conn, world.tenant, SEALING, new_id, world.clock())
    await world.cycle()
    assert list(await world.users()) == [key(ANN)]
    assert f"as 'Ann Lee' of the job '{first}'" in (await failures(world))[ANN]
    world.directory.delete(ANN)
    await world.cycle()
    assert list(await world.users()) == [key(ANN)]
    world.job = first
    await world.cycle()
    await world.restart("ForceDeletes")
    await world.cycle()
    assert await world.users() == {}


async def _document(world: World, job: str) -> Schema:
    async with world.database.connection() as conn:
        found = await jobs.get(conn, world.tenant, job)
    assert found is not None
    return found.document()


async def test_mapping_without_add_makes_nobody_and_says_so_once(world: World) -> None:
    """Where flowTypes leave out Add; the entry is made as soon as they have it."""
    await remap(world, lambda mappings: mappings["user"].update(flowTypes="Update,Delete"))
    world.person(ANN, "Ann Lee")
    await world.cycle()
    world.directory.set(ANN, "title", "Clerk")
    await world.cycle()
    (event,) = await world.events()
    assert (event["action"], event["status"], event["reason"]) == ("other", "skipped", "EntrySynchronizationSkipped")
    assert event["detail"].fault.reason.endswith("the mapping makes none: its flow types are Delete, Update.")
    assert await world.rows("select anchor from due where tenant = %s") == []
    await settled(world)
    await remap(world, lambda mappings: mappings["user"].update(flowTypes="Add,Update,Delete"))
    await world.cycle()
    assert set(await world.users()) == {key(ANN)}
