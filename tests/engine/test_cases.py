"""What hurt the users of other systems, and does not happen here: one test for each case that the engine can show.

The names say what happened elsewhere; the sentences say what happens here.
"""

from __future__ import annotations

from collections.abc import AsyncIterator, Callable, Sequence
from typing import Any

import msgspec
import pytest

from dirbridge.connectors.memory.directory import anchor_of
from dirbridge.connectors.memory.source import MemorySource
from dirbridge.contract.entry import ChangePage, ReferenceDelta, Selection, Watermark
from dirbridge.contract.errors import CredentialError, HandedOver, TransientError
from dirbridge.store import due
from tests.engine.world import DOMAIN, World, key

ANN, BOB, CAT, DAN = (anchor_of(number) for number in range(4))
TEAM, SALES = anchor_of(1000), anchor_of(1001)


def people(world: World, size: int) -> list[str]:
    """Add so many people."""
    anchors = [anchor_of(number) for number in range(size)]
    for number, anchor in enumerate(anchors):
        world.person(anchor, f"Person {number}")
    return anchors


async def ids(world: World) -> dict[str, str]:
    """The object ids by immutable id."""
    return {immutable: shown["id"] for immutable, shown in (await world.users()).items()}


class Altered(MemorySource):
    """A source whose pages are altered on their way."""

    def __init__(self, world: World, alter: Callable[[int, ChangePage], ChangePage | None]) -> None:
        super().__init__(world.directory)
        self.alter = alter

    async def changes(self, *arguments: Any, **more: Any) -> AsyncIterator[ChangePage]:
        number = 0
        async for page in super().changes(*arguments, **more):
            altered = self.alter(number, page)
            number += 1
            if altered is not None:
                yield altered


class Copied(MemorySource):
    """A directory of several copies, of which this is one."""

    def __init__(self, world: World) -> None:
        super().__init__(world.directory)
        self.read_in: set[str] = set()

    def read_at(self, replica: str, selection: Selection, anchors: Sequence[str]) -> AsyncIterator[ChangePage]:
        self.read_in.add(replica)
        return self.read(selection, anchors)


async def test_a_delete_is_confirmed_where_it_was_told(world: World) -> None:
    """Another copy of the directory may not have heard of it, and would show the entry as it was."""
    source = Copied(world)
    world.source = lambda: source
    people(world, 14)
    await world.cycle()
    world.directory.delete(ANN)
    await world.cycle()
    assert key(ANN) not in await world.users()
    (stored,) = await world.rows("select replica from watermarks where tenant = %s")
    assert source.read_in == {stored[0]}


# Deletes and lost users -----------------------------------------------------------------------------------------------


@pytest.mark.parametrize(("code", "is_stopped"), [("DomainControllerAway", False), ("DomainControllerSilent", True)])
async def test_waiting_for_a_domain_controller_is_no_row_of_failures(world: World, code: str, is_stopped: bool) -> None:
    """Its restart takes minutes, and another one will do: nobody is called for that, as for one that is lost."""
    people(world, 3)
    await world.cycle()

    def wait(number: int, page: ChangePage) -> ChangePage | None:
        raise TransientError("It is away.", code=code)

    world.source = lambda: Altered(world, wait)
    for _ in range(4):
        await world.cycle()
    job = await world.state()
    assert (job.quarantine is not None) is is_stopped
    assert job.last_execution is not None
    assert job.last_execution["error"]["code"] == code


@pytest.mark.parametrize("cut", range(6))
async def test_the_directory_froze_and_its_empty_result_counted_as_all_deleted(world: World, cut: int) -> None:
    """An error or a cut at any page of a full read deletes nothing; the next cycle goes on, with the same ids."""
    people(world, 14)
    await world.cycle()
    before = await ids(world)

    def froze(number: int, page: ChangePage) -> ChangePage | None:
        if number < cut:
            return page
        raise TransientError("The connection was cut.", code="StreamCut")

    world.source = lambda: Altered(world, froze)
    await world.restart("Watermark")
    await world.cycle()
    assert await ids(world) == before
    world.source = lambda: MemorySource(world.directory)
    await world.cycle()
    assert await ids(world) == before
    assert {event["action"] for event in await world.events()} == {"create"}


async def test_an_empty_answer_counted_as_all_deleted(world: World) -> None:
    """A complete answer without a single entry, and reads that see nobody, delete nothing: absence is no evidence."""
    people(world, 14)
    await world.cycle()
    before = await ids(world)

    class Blind(MemorySource):
        async def changes(self, *_: Any, **__: Any) -> AsyncIterator[ChangePage]:
            yield ChangePage(last=True)

        async def read(self, _: Any, anchors: Any) -> AsyncIterator[ChangePage]:
            yield ChangePage(not_visible=tuple(anchors), last=True)

    world.source = lambda: Blind(world.directory)
    for _ in range(3):
        await world.restart("Watermark")
        await world.cycle()
        world.clock.forward(days=9)
    assert await ids(world) == before
    held = [event for event in await world.events() if event["reason"] == "NotVisibleInSource"]
    assert {event["status"] for event in held} == {"warning"}
    assert len(held) == 14


async def test_a_partial_answer_that_calls_itself_complete(world: World) -> None:
    """What a full read leaves out is asked for one by one; who is still there stays."""
    anchors = people(world, 14)
    await world.cycle()
    before = await ids(world)

    def partial(_: int, page: ChangePage) -> ChangePage:
        kept = tuple(entry for entry in page.entries if entry.anchor not in anchors[3:])
        return msgspec.structs.replace(page, entries=kept)

    world.source = lambda: Altered(world, partial)
    await world.restart("Watermark")
    await world.cycle()
    assert await ids(world) == before


async def test_bind_password_rotated_and_later_fixed(world: World) -> None:
    """A refused bind is an error of the source; after the fix everybody has the id that they had."""
    people(world, 5)
    await world.cycle()
    before = await ids(world)

    class Refused(MemorySource):
        async def changes(self, *_: Any, **__: Any) -> AsyncIterator[ChangePage]:
            raise CredentialError("The directory refuses the account's password.", code="InvalidCredentials")
            yield

    world.source = lambda: Refused(world.directory)
    await world.cycle()
    assert (await world.state()).quarantine is not None
    assert await ids(world) == before
    world.source = lambda: MemorySource(world.directory)
    await world.cycle()
    assert (await world.state()).quarantine is None
    assert await ids(world) == before


async def test_objects_that_the_tool_had_never_made_were_deleted(world: World) -> None:
    """An object of the tenant that no link holds is left alone, whatever the directory says and has."""
    people(world, 12)
    await world.cycle()
    async with world.database.transaction() as conn:
        await conn.execute(
            """insert into directory_objects (tenant, id, object_type, display_name, properties)
               values (%s, gen_random_uuid(), 'user', 'Cloud Admin',
                 '{"displayName": "Cloud Admin", "accountEnabled": true}')""",
            (world.tenant,),
        )
    world.person(CAT.replace(CAT[-1], "f"), "Cloud Admin", userPrincipalName=f"other@{DOMAIN}")
    world.directory.delete(ANN)
    await world.restart("Full", "ForceDeletes")
    await world.cycle()
    rows = await world.rows(
        """select deleted_at, sync_job from directory_objects
           where tenant = %s and display_name = 'Cloud Admin' and immutable_id is null"""
    )
    assert rows == [(None, None)]


async def test_a_half_read_member_list_removed_members(world: World) -> None:
    """A list whose last part does not come removes nobody; the next whole one is exact."""
    anchors = people(world, 8)
    world.team(TEAM, "Team")
    for anchor in anchors:
        world.directory.add_member(TEAM, anchor)
    await world.cycle()
    everybody = await world.references("members")

    def half(_: int, page: ChangePage) -> ChangePage:
        lists = tuple(one for one in page.references if not one.whole or one.part == 0)
        cut = tuple(msgspec.structs.replace(one, end=False) if one.whole else one for one in lists)
        if any(one.whole for one in page.references):
            raise TransientError("The connection was cut.", code="StreamCut")
        return msgspec.structs.replace(page, references=cut)

    world.directory.remove_member(TEAM, anchors[0])
    world.source = lambda: Altered(world, half)
    await world.restart("Watermark")
    await world.cycle()
    assert await world.references("members") == everybody
    world.source = lambda: MemorySource(world.directory)
    await world.cycle()
    assert await world.references("members") == everybody - {(key(TEAM), key(anchors[0]))}


async def test_the_report_said_none_removed_and_one_was(world: World) -> None:
    """The counters of a cycle equal the rows of the log, each of which names its object."""
    people(world, 12)
    world.team(TEAM, "Team")
    await world.cycle()
    first = (await world.state()).last_execution or {}
    world.directory.delete(BOB)
    world.directory.set(ANN, "department", "Sales")
    world.person(anchor_of(50), "Twin", userPrincipalName=f"person.3@{DOMAIN}")
    world.directory.add_member(TEAM, CAT)
    await world.cycle()
    second = (await world.state()).last_execution or {}
    rows = await world.rows(
        "select cycle::text, status, action, source_name from events where tenant = %s order by at, id"
    )
    for execution in (first, second):
        here = [row for row in rows if row[0] == execution["activityIdentifier"]]
        assert execution["countExported"] == sum(row[1] == "success" for row in here)
        assert execution["countEscrowed"] == sum(row[1] == "failure" for row in here)
        assert all(row[3] for row in here)
    assert [row[2] for row in rows].count("delete") == 1


async def test_deleted_users_stayed_for_years(world: World) -> None:
    """A tombstone, a place out of scope, and a tombstone found when a full read missed somebody: each is a delete."""
    people(world, 20)
    await world.cycle()
    world.directory.delete(ANN)
    world.directory.set(BOB, "adminDescription", "User_x")
    await world.cycle()
    assert {key(ANN), key(BOB)}.isdisjoint(await world.users())
    world.directory.delete(CAT)
    await world.restart("Watermark")
    await world.cycle()
    assert key(CAT) not in await world.users()


async def test_returning_users_got_new_accounts(world: World) -> None:
    """Restored within 30 days, by the directory or into scope again: the id, the group and the manager are back."""
    people(world, 20)
    world.team(TEAM, "Team")
    world.directory.add_member(TEAM, ANN)
    world.directory.add_member(TEAM, BOB)
    world.directory.set_manager(ANN, CAT)
    await world.cycle()
    before = await ids(world)
    members, managers = await world.references("members"), await world.references("manager")
    world.directory.delete(ANN)
    world.directory.set(BOB, "adminDescription", "User_x")
    await world.cycle()
    world.clock.forward(days=29)
    world.directory.restore(ANN, with_links=True)
    world.directory.set(BOB, "adminDescription")
    await world.cycle()
    assert await ids(world) == before
    assert await world.references("members") == members
    assert await world.references("manager") == managers


# Reading the directory ------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("size", [0, 1, 1499, 1500, 1501, 5000])
async def test_groups_over_1500_members_came_back_empty(world: World, size: int) -> None:
    """However many members: all of them, as the source tells them in parts."""
    world.source = lambda: MemorySource(world.directory, page_entries=1000)
    anchors = people(world, size)
    world.team(TEAM, "Team")
    for anchor in anchors:
        world.directory.add_member(TEAM, anchor)
    await world.cycle()
    assert await world.references("members") == {(key(TEAM), key(anchor)) for anchor in anchors}


async def test_domain_users_had_no_members(world: World) -> None:
    """The primary group has those whose primary group it is; a change of it moves them."""
    for anchor, name in ((ANN, "Ann Lee"), (BOB, "Bob Ray")):
        world.person(anchor, name)
    world.team(TEAM, "Domain Users")
    world.team(SALES, "Sales")
    for anchor in (ANN, BOB):
        world.directory.set_primary_group(anchor, TEAM)
    await world.cycle()
    assert await world.references("members") == {(key(TEAM), key(ANN)), (key(TEAM), key(BOB))}
    world.directory.set_primary_group(ANN, SALES)
    await world.cycle()
    assert await world.references("members") == {(key(SALES), key(ANN)), (key(TEAM), key(BOB))}


async def test_the_same_delta_came_for_ever(world: World) -> None:
    """A cycle in which nothing happened has no event and writes nothing, however often."""
    people(world, 5)
    await world.cycle()
    await world.cycle()
    before = await world.fingerprint()
    for _ in range(3):
        await world.cycle()
        world.clock.forward(hours=1)
    assert await world.fingerprint() == before


@pytest.mark.parametrize(
    ("attribute", "value"),
    [
        ("department", "a\x00b"),
        ("department", "\ud800"),
        ("title", b"\xff\xfe"),
        ("description", "x" * 100_000),
        ("telephoneNumber", "☎ \u202e +49"),
        ("displayName", "\x1b[31mred"),
    ],
)
async def test_binary_values_nul_bytes_and_bad_utf8_broke_the_run(
    world: World, attribute: str, value: str | bytes
) -> None:
    """An attribute survives any bytes, or fails its entry alone with a plain reason."""
    world.person(ANN, "Ann Lee", **{attribute: value})
    world.person(BOB, "Bob Ray")
    await world.cycle()
    assert key(BOB) in await world.users()
    failures = [event for event in await world.events() if event["status"] == "failure"]
    if key(ANN) in await world.users():
        assert failures == []
    else:
        assert [event["source"] for event in failures] == [ANN]
        assert attribute in failures[0]["detail"].fault.reason


@pytest.mark.parametrize("name", ["Lee, Ann", "a/b", "#hash", "a+b", "trailing ", " leading", 'q"<>;', "Zoë 🎉", "\\x"])
async def test_names_with_comma_slash_plus_space_or_emoji(world: World, name: str) -> None:
    """A name arrives exactly as it is, in the object and in the log."""
    world.person(ANN, name, displayName=name, sAMAccountName="ann", userPrincipalName=f"ann@{DOMAIN}")
    await world.cycle()
    shown = (await world.users())[key(ANN)]
    assert shown["displayName"] == name
    assert shown["onPremisesDistinguishedName"] == world.directory.dn(world.directory.nodes[ANN])
    assert await world.rows("select source_name from events where tenant = %s") == [(name,)]


# References, matching, duplicates -------------------------------------------------------------------------------------


async def test_a_manager_or_member_came_into_scope_later_and_was_never_set(world: World) -> None:
    """Within one cycle of the other end's arrival the reference is there."""
    world.person(ANN, "Ann Lee")
    world.person(BOB, "Bob Ray", adminDescription="User_x")
    world.team(TEAM, "Team")
    world.directory.set_manager(ANN, BOB)
    world.directory.add_member(TEAM, BOB)
    await world.cycle()
    assert await world.references("manager") == set()
    world.directory.set(BOB, "adminDescription")
    await world.cycle()
    assert await world.references("manager") == {(key(ANN), key(BOB))}
    assert await world.references("members") == {(key(TEAM), key(BOB))}


async def test_one_member_not_yet_provisioned_failed_the_whole_group(world: World) -> None:
    """Known members go, the unknown one waits, and the log says how many wait."""
    world.person(ANN, "Ann Lee")
    world.team(TEAM, "Team")
    world.directory.add_member(TEAM, ANN)
    world.directory.add_member(TEAM, anchor_of(77))
    await world.cycle()
    assert await world.references("members") == {(key(TEAM), key(ANN))}
    steps = [step for event in await world.events() for step in event["detail"].steps if "waiting" in step.details]
    assert [(step.details["written"], step.details["waiting"]) for step in steps] == [("1", "1")]
    assert [event for event in await world.events() if event["status"] == "failure"] == []


async def test_a_rename_made_a_second_user(world: World) -> None:
    """Every name changes at once, and it is the same object."""
    world.person(ANN, "Ann Lee", mail=f"ann@{DOMAIN}")
    await world.cycle()
    before = await ids(world)
    world.directory.rename(ANN, "Ann Lee-Ray")
    for attribute, value in {
        "sAMAccountName": "aray",
        "userPrincipalName": f"aray@{DOMAIN}",
        "mail": f"aray@{DOMAIN}",
        "displayName": "Ann Lee-Ray",
        "sn": "Lee-Ray",
    }.items():
        world.directory.set(ANN, attribute, value)
    await world.cycle()
    assert await ids(world) == before
    assert (await world.users())[key(ANN)]["userPrincipalName"] == f"aray@{DOMAIN}"


async def test_mail_moved_from_a_leaver_to_a_joiner(world: World) -> None:
    """Both end right in one cycle, whichever of them is read first; so do two who swap."""
    people(world, 20)
    world.directory.set(DAN, "mail", f"desk@{DOMAIN}")
    await world.cycle()
    world.directory.delete(DAN)
    world.person(anchor_of(30), "Joiner", mail=f"desk@{DOMAIN}")
    await world.cycle()
    shown = await world.users()
    assert shown[key(anchor_of(30))]["mail"] == f"desk@{DOMAIN}"
    assert key(DAN) not in shown
    world.directory.set(ANN, "mail", f"desk@{DOMAIN}")
    world.directory.set(anchor_of(30), "mail", f"old@{DOMAIN}")
    await world.cycle()
    shown = await world.users()
    assert shown[key(ANN)]["mail"] == f"desk@{DOMAIN}"
    assert shown[key(anchor_of(30))]["mail"] == f"old@{DOMAIN}"


async def test_two_accounts_with_one_mail_were_both_unusable(world: World) -> None:
    """The first keeps it; the second fails with a reason that names the first, and follows when it is given up."""
    world.person(ANN, "Ann Lee", mail=f"desk@{DOMAIN}")
    await world.cycle()
    world.person(BOB, "Bob Ray", mail=f"desk@{DOMAIN}")
    await world.cycle()
    assert (await world.users())[key(ANN)]["mail"] == f"desk@{DOMAIN}"
    fault = (await world.events())[-1]["detail"].fault
    assert fault.code == "AttributeValueMustBeUnique"
    assert f"ann.lee@{DOMAIN}" in fault.reason
    world.directory.set(ANN, "mail")
    await world.cycle()
    assert (await world.users())[key(BOB)]["mail"] == f"desk@{DOMAIN}"


async def test_a_value_pointing_to_a_missing_object_put_the_job_in_quarantine(world: World) -> None:
    """Any number of references to what is not there leave the job healthy."""
    for anchor in people(world, 30):
        world.directory.set_manager(anchor, anchor_of(999))
    await world.cycle()
    assert (await world.state()).quarantine is None
    assert len(await world.users()) == 30


# Running --------------------------------------------------------------------------------------------------------------


async def test_a_run_was_lost_at_99_percent(world: World) -> None:
    """A full read that is cut late goes on from the last position that was stored, and makes nothing twice."""
    people(world, 30)

    class Marked(MemorySource):
        """Gives a position with every page, as DirSync does."""

        cut = True

        async def changes(self, selection: Any, since: Any) -> AsyncIterator[ChangePage]:
            done = int(since.position) if since is not None else 0
            anchors = sorted(node.anchor for node in self.directory.live("user"))
            for begin in range(done, 30, 3):
                if begin == 27 and Marked.cut:
                    Marked.cut = False
                    raise TransientError("The connection was cut.", code="StreamCut")
                async for page in self.read(selection, anchors[begin : begin + 3]):
                    mark = msgspec.structs.replace
                    yield mark(page, last=begin == 27, watermark=_position(begin + 3))

    world.source = lambda: Marked(world.directory)
    await world.cycle()
    first = (await world.state()).last_execution or {}
    assert (first["state"], first["countImported"]) == ("Failed", 27)
    await world.cycle()
    second = (await world.state()).last_execution or {}
    assert (second["state"], second["countImported"]) == ("Succeeded", 3)
    assert [event["action"] for event in await world.events()] == ["create"] * 30


@pytest.mark.parametrize(("losses", "state", "read"), [((3, 12, 27), "Succeeded", 30), ((0, 3, 3, 12), "Failed", 12)])
@pytest.mark.parametrize("has_positions", [True, False])
async def test_an_agent_was_lost_and_the_sync_waited_for_its_next_turn(
    world: World, losses: tuple[int, ...], state: str, read: int, has_positions: bool
) -> None:
    """Another agent goes on in the same cycle, from what was stored, and makes nothing twice; not for ever, though."""
    people(world, 30)
    to_come = list(losses)

    class Marked(MemorySource):
        async def changes(self, selection: Any, since: Any) -> AsyncIterator[ChangePage]:
            done = int(since.position) if since is not None else 0
            anchors = sorted(node.anchor for node in self.directory.live("user"))
            for begin in range(done, 30, 3):
                if to_come and begin == to_come[0]:
                    to_come.pop(0)
                    raise HandedOver("The agent fell silent.")
                async for page in self.read(selection, anchors[begin : begin + 3]):
                    last = begin == 27
                    mark = _position(begin + 3) if last or has_positions else None
                    yield msgspec.structs.replace(page, last=last, watermark=mark)

    world.source = lambda: Marked(world.directory)
    await world.cycle()
    ended = (await world.state()).last_execution or {}
    assert ended["state"] == state
    assert len(await world.users()) == read
    if state == "Failed":
        assert ended["error"]["code"] == "AgentChanged"
        await world.cycle()
        assert ((await world.state()).last_execution or {})["state"] == "Succeeded"
    assert [event["action"] for event in await world.events()] == ["create"] * 30


class Losing(MemorySource):
    """A source that loses its agent after a page of what is read afresh, as often as it is told to."""

    def __init__(self, world: World, losses: int) -> None:
        super().__init__(world.directory, page_entries=2)
        self.losses = losses

    async def read(self, selection: Selection, anchors: Sequence[str]) -> AsyncIterator[ChangePage]:
        number = 0
        async for page in super().read(selection, anchors):
            number += 1
            if number > 1 and self.losses:
                self.losses -= 1
                raise HandedOver("The agent fell silent.")
            yield page


@pytest.mark.parametrize("losses", [1, 3, 4])
async def test_an_agent_was_lost_while_entries_were_read_again(world: World, losses: int) -> None:
    """Another one reads them in the same cycle: what is due, and deletes before they go. Nothing is done twice."""
    anchors = people(world, 30)
    await world.cycle()
    source = Losing(world, losses)
    world.source = lambda: source
    for anchor in anchors[:5]:
        world.directory.delete(anchor)
    await world.cycle()
    state = await world.state()
    if losses > 3:
        assert (state.last_execution or {})["error"]["code"] == "AgentChanged"
        await world.cycle()
    else:
        assert (state.last_execution or {})["state"] == "Succeeded"
    assert source.losses == 0
    assert len(await world.users()) == 25
    assert [event["action"] for event in await world.events()] == ["create"] * 30 + ["delete"] * 5


async def test_an_agent_was_lost_while_what_is_due_was_read(world: World) -> None:
    """Another one reads what is left of it in the same cycle."""
    anchors = people(world, 12)
    await world.cycle()
    source = Losing(world, 2)
    world.source = lambda: source
    for anchor in anchors[:6]:
        world.directory.nodes[anchor].attributes["department"] = ("Other",)
    async with world.database.transaction() as conn:
        at = world.clock.now
        await due.put(conn, world.tenant, world.job, [due.Due(anchor, due.EXPIRY, at) for anchor in anchors[:6]])
    await world.cycle()
    assert source.losses == 0
    assert ((await world.state()).last_execution or {})["state"] == "Succeeded"
    assert [shown.get("department") for shown in (await world.users()).values()].count("Other") == 6
    assert [event["action"] for event in await world.events()] == ["create"] * 12 + ["update"] * 6


def _position(number: int) -> Watermark:
    return Watermark("memory", str(number).encode())


async def test_one_bad_object_stopped_everybody(world: World) -> None:
    """It fails with its reason, the others go on, and the position moves past it."""
    world.person(ANN, "Ann Lee", department="a\x00b")
    world.person(BOB, "Bob Ray")
    await world.cycle()
    assert list(await world.users()) == [key(BOB)]
    assert (await world.state()).quarantine is None
    world.person(CAT, "Cat Poe")
    await world.cycle()
    assert key(CAT) in await world.users()
    failures = [event["source"] for event in await world.events() if event["status"] == "failure"]
    assert failures == [ANN]


async def test_disabled_users_and_users_past_account_expires_stayed_active(world: World) -> None:
    """Both become inactive; the expiry fires although nothing changes in the directory."""
    people(world, 12)
    moment = int((world.clock.now.timestamp() + 11644473600 + 3600) * 10_000_000)
    world.directory.set(BOB, "accountExpires", str(moment))
    await world.cycle()
    assert (await world.users())[key(BOB)]["accountEnabled"] is True
    world.directory.set(ANN, "userAccountControl", "514")
    await world.cycle()
    assert (await world.users())[key(ANN)]["accountEnabled"] is False
    world.clock.forward(hours=2)
    await world.cycle()
    assert (await world.users())[key(BOB)]["accountEnabled"] is False


async def test_a_reference_list_of_nobody_is_no_list(world: World) -> None:
    """A group that loses members bit by bit while it is read ends exact."""
    anchors = people(world, 6)
    world.team(TEAM, "Team")
    for anchor in anchors:
        world.directory.add_member(TEAM, anchor)
    await world.cycle()

    def late(number: int, page: ChangePage) -> ChangePage:
        delta = ReferenceDelta(TEAM, "member", removed=(anchors[0],))
        return msgspec.structs.replace(page, references=(*page.references, delta)) if number == 0 else page

    world.directory.remove_member(TEAM, anchors[0])
    world.source = lambda: Altered(world, late)
    await world.cycle()
    assert await world.references("members") == {(key(TEAM), key(anchor)) for anchor in anchors[1:]}
