"""After any edits, crashes and take-overs, one more cycle makes the target equal to the mapping of what is in scope.

And the cycle after that writes nothing, nothing was deleted without evidence, and the log tells each change once.
"""

from __future__ import annotations

import asyncio
import os
from collections.abc import Callable, Coroutine, Iterator
from datetime import UTC, datetime, timedelta
from typing import Any, Literal

import pytest
from hypothesis import HealthCheck, Phase, settings
from hypothesis import strategies as st
from hypothesis.stateful import Bundle, RuleBasedStateMachine, initialize, precondition, rule, run_state_machine_as_test

from dirbridge.connectors.memory.directory import ROOT, anchor_of
from dirbridge.connectors.memory.source import MemorySource
from dirbridge.contract.errors import DirbridgeError
from dirbridge.store import jobs
from dirbridge.store.database import Database
from dirbridge.tenant import administration
from tests.engine import model
from tests.engine.stepping import Stepped, run_stepped
from tests.engine.world import DOMAIN, World

NAMES = [f"n{number}" for number in range(6)]
names = st.sampled_from(NAMES)
picks = st.integers(0, 1_000)
steps = st.integers(0, 120)


class EditingSource(MemorySource):
    """A source under whose pages the directory changes."""

    def __init__(self, directory: Any, edits: list[Any]) -> None:
        super().__init__(directory)
        self.edits = edits

    async def changes(self, selection: Any, since: Any) -> Any:
        async for page in super().changes(selection, since):
            yield page
            if self.edits:
                self.edits.pop()()


class Anybody(set[str]):
    """Everybody: once a scope was chosen, anybody may have left it."""

    def __contains__(self, _: object) -> bool:
        return True


class Convergence(RuleBasedStateMachine):
    """Edits of a directory, and cycles in every kind of trouble."""

    postgres_url: str
    runner: asyncio.Runner
    target: Literal["tenant", "cloud"] = "tenant"

    containers = Bundle("containers")

    def __init__(self) -> None:
        super().__init__()
        self.count = 0
        self.database = Database(self.postgres_url, most=6)
        self.run(self.database.open())
        self.world = World(self.database, self.target)
        self.world.clock.now = datetime.now(UTC) + timedelta(hours=1)  # acts by hand are due by the database's clock
        self.world.ever_gone = set()  # type: ignore[attr-defined]
        self.run(self.world.found())
        self.edits: list[Any] = []
        self.forgotten = False

    def run(self, work: Any) -> Any:
        return self.runner.run(work)

    def teardown(self) -> None:
        try:
            self.run(self._converge())
        finally:
            self.run(self.database.close())

    async def _converge(self) -> None:
        world = self.world
        for anchor in self._hidden():
            world.directory.show(anchor)
        await self._choose_anew()
        if self.forgotten:
            # Failures that a person let be forgotten are met again at the next full read.
            await world.restart("Watermark")
        await world.cycle()
        job = await world.state()
        if job.quarantine is not None:
            assert job.quarantine["reason"] == "TooManyDeletes", job.quarantine
            await world.restart("ForceDeletes")
            await world.cycle()
        job = await world.state()
        assert job.quarantine is None, job.quarantine
        assert job.last_execution is not None
        assert job.last_execution["state"] in ("Succeeded", "EntryLevelErrors"), job.last_execution
        await model.check(world)
        before = await world.fingerprint()
        await world.cycle()
        assert await world.fingerprint() == before, "an idle cycle wrote"

    async def _choose_anew(self) -> None:
        """A scoping group that was deleted holds whom the job knew in it; the log asks for another choice."""
        lost = {anchor for anchor in self.world.chosen_groups if self.world.directory.nodes[anchor].deleted}
        if lost:
            self.world.chosen_groups -= lost
            self.world.ever_gone = Anybody()  # type: ignore[attr-defined]
            await self.world.configure()

    # The directory ---------------------------------------------------------------------------------------------------

    def _new_anchor(self) -> str:
        self.count += 1
        return anchor_of(self.count)

    def _live(self, pick: int, *types: str) -> str | None:
        found = [node for node in self.world.directory.live(*types) if node.anchor != ROOT and not node.hidden]
        return found[pick % len(found)].anchor if found else None

    def _hidden(self) -> list[str]:
        return sorted(node.anchor for node in self.world.directory.nodes.values() if node.hidden)

    @initialize()
    def start(self) -> None:
        """Three people and a team to begin with."""
        for name in NAMES[:3]:
            self.create_user(name, name, 0)
        self.create_group("team", 0)

    @rule(name=names, mail=names, pick=picks)
    def create_user(self, name: str, mail: str, pick: int) -> None:
        """A person, perhaps with a name and an address that somebody else has."""
        container = self._live(pick, "container") if pick % 3 == 0 else None
        self.world.person(
            self._new_anchor(),
            name,
            mail=f"{mail}@{DOMAIN}",
            userPrincipalName=f"{name}@{DOMAIN}",
            sAMAccountName=f"{name}{self.count}",
        )
        if container:
            self.world.directory.move(anchor_of(self.count), container)

    @rule(name=names, pick=picks)
    def create_group(self, name: str, pick: int) -> None:
        """A group with a few members at once."""
        anchor = self._new_anchor()
        self.world.team(anchor, f"g-{name}")
        for offset in range(pick % 4):
            self._member(anchor, pick + offset)

    @rule(name=names, mail=names, pick=picks)
    def create_contact(self, name: str, mail: str, pick: int) -> None:
        """Somebody elsewhere, perhaps with an address that a person has, perhaps with a manager."""
        anchor = self._new_anchor()
        self.world.partner(anchor, f"c-{name}", mail=f"{mail}@{DOMAIN}")
        if pick % 2:
            self.world.directory.set_manager(anchor, self._live(pick, "user", "contact"))

    def _member(self, group: str, pick: int) -> None:
        member = self._live(pick, "user", "group", "contact")
        if member and member != group:
            self.world.directory.add_member(group, member)

    @rule(name=names)
    def create_container(self, name: str) -> None:
        """An organizational unit."""
        self.world.directory.create(self._new_anchor(), "container", f"ou-{name}")

    @rule(pick=picks, name=names)
    def rename(self, pick: int, name: str) -> None:
        """Any name changes; of a container, those below are called otherwise."""
        anchor = self._live(pick, "user", "group", "contact", "container")
        if anchor:
            self.world.directory.rename(anchor, f"{name}-{pick}")

    @rule(pick=picks, to=picks)
    def move(self, pick: int, to: int) -> None:
        """An entry moves to another container, or a container to the top."""
        anchor, container = self._live(pick, "user", "group", "contact"), self._live(to, "container")
        if anchor:
            self.world.directory.move(anchor, container or ROOT)

    @rule(pick=picks, to=picks)
    def move_container(self, pick: int, to: int) -> None:
        """A container moves below another."""
        one, other = self._live(pick, "container"), self._live(to, "container")
        if not one:
            return
        above = other
        while above and above != one:
            above = self.world.directory.nodes[above].container or None
        self.world.directory.move(one, other if other and above != one else ROOT)

    @rule(pick=picks)
    def delete(self, pick: int) -> None:
        """An entry is deleted."""
        anchor = self._live(pick, "user", "group", "contact")
        if anchor:
            self.world.ever_gone.add(anchor)  # type: ignore[attr-defined]
            self.world.directory.delete(anchor)

    @rule(pick=picks, links=st.booleans())
    def restore(self, pick: int, links: bool) -> None:
        """A tombstone comes back, with its references or without."""
        gone = [n for n in self.world.directory.nodes.values() if n.deleted]
        if gone:
            self.world.directory.restore(gone[pick % len(gone)].anchor, with_links=links)

    @rule(pick=picks)
    def recreate(self, pick: int) -> None:
        """Deleted, and made again with the same names: another entry."""
        anchor = self._live(pick, "user", "contact")
        if anchor:
            node = self.world.directory.nodes[anchor]
            self.world.ever_gone.add(anchor)  # type: ignore[attr-defined]
            self.world.directory.delete(anchor)
            fresh = self._new_anchor()
            self.world.directory.create(fresh, node.object_type, node.name)
            self.world.directory.nodes[fresh].attributes.update(node.attributes)

    @rule(pick=picks, name=names)
    def set_mail(self, pick: int, name: str) -> None:
        """An address changes, perhaps to one that is taken."""
        anchor = self._live(pick, "user", "contact")
        if anchor:
            self.world.directory.set(anchor, "mail", f"{name}@{DOMAIN}")

    @rule(one=picks, other=picks, attribute=st.sampled_from(["mail", "userPrincipalName"]))
    def swap(self, one: int, other: int, attribute: str) -> None:
        """Two people swap a unique value."""
        kinds = ("user", "contact") if attribute == "mail" else ("user",)
        a, b = self._live(one, *kinds), self._live(other, *kinds)
        if a and b and a != b:
            nodes = self.world.directory.nodes
            mine, theirs = nodes[a].attributes.get(attribute), nodes[b].attributes.get(attribute)
            self.world.directory.set(a, attribute, *(theirs or ()))
            self.world.directory.set(b, attribute, *(mine or ()))

    @rule(pick=picks, value=st.sampled_from([None, "Sales", "Staff", "Zoë & Łukasz 🎉"]))
    def set_department(self, pick: int, value: str | None) -> None:
        """An ordinary attribute changes or is cleared."""
        anchor = self._live(pick, "user", "contact")
        if anchor:
            self.world.directory.set(anchor, "department", *([value] if value else []))

    @rule(pick=picks)
    def toggle(self, pick: int) -> None:
        """An account is disabled or enabled."""
        anchor = self._live(pick, "user")
        if anchor:
            off = self.world.directory.nodes[anchor].attributes["userAccountControl"] == ("512",)
            self.world.directory.set(anchor, "userAccountControl", "514" if off else "512")

    @rule(pick=picks)
    def toggle_scope(self, pick: int) -> None:
        """An entry is marked as not to be synchronized, or the mark is taken away."""
        anchor = self._live(pick, "user", "group")
        if anchor:
            node = self.world.directory.nodes[anchor]
            if "adminDescription" in node.attributes:
                self.world.directory.set(anchor, "adminDescription")
            else:
                self.world.ever_gone.add(anchor)  # type: ignore[attr-defined]
                prefix = "Group_" if node.object_type == "group" else "User_"
                self.world.directory.set(anchor, "adminDescription", f"{prefix}{self.count}")

    @rule(pick=picks, name=names)
    def toggle_contact_scope(self, pick: int, name: str) -> None:
        """A contact loses its address, and is of no use without, or gets one again."""
        anchor = self._live(pick, "contact")
        if anchor and self.world.directory.nodes[anchor].attributes.get("mail"):
            self.world.ever_gone.add(anchor)  # type: ignore[attr-defined]
            self.world.directory.set(anchor, "mail")
        elif anchor:
            self.world.directory.set(anchor, "mail", f"{name}@{DOMAIN}")

    @rule(group=picks, member=picks)
    def add_member(self, group: int, member: int) -> None:
        """A member comes; groups may contain groups, in rings too."""
        anchor = self._live(group, "group")
        if anchor:
            self._member(anchor, member)

    @rule(group=picks, member=picks)
    def remove_member(self, group: int, member: int) -> None:
        """A member goes."""
        anchor = self._live(group, "group")
        members = sorted(self.world.directory.nodes[anchor].members) if anchor else []
        if anchor and members:
            self.world.directory.remove_member(anchor, members[member % len(members)])

    @rule(group=picks)
    def fill_group(self, group: int) -> None:
        """A group gets everybody as a member: more than one part of a list holds."""
        anchor = self._live(group, "group")
        for node in self.world.directory.live("user", "group", "contact") if anchor else ():
            if node.anchor != anchor and not node.hidden:
                self.world.directory.add_member(str(anchor), node.anchor)

    @rule(pick=picks, group=picks, none=st.booleans())
    def set_primary_group(self, pick: int, group: int, none: bool) -> None:
        """A user's primary group changes, perhaps to one that lists it as a member too."""
        anchor = self._live(pick, "user")
        if anchor:
            self.world.directory.set_primary_group(anchor, None if none else self._live(group, "group"))

    @rule(pick=picks)
    def hide(self, pick: int) -> None:
        """The reader loses its right on a person or contact."""
        anchor = self._live(pick, "user", "contact")
        if anchor:
            self.world.directory.hide(anchor)

    @rule(pick=picks)
    def show(self, pick: int) -> None:
        """The reader has its right back."""
        hidden = self._hidden()
        if hidden:
            self.world.directory.show(hidden[pick % len(hidden)])

    @rule(hours=st.sampled_from([1, 7, 25]))
    def wait(self, hours: int) -> None:
        """Time passes: failures are tried again, and what is out of sight is asked for."""
        self.world.clock.forward(hours=hours)

    @rule(pick=picks, back=st.booleans())
    def meddle(self, pick: int, back: bool) -> None:
        """A person deletes an object of the tenant, and perhaps brings it back."""
        self.run(self._meddle(pick, back))

    async def _meddle(self, pick: int, back: bool) -> None:
        rows = await self.world.rows(
            """select id, object_type from directory_objects
               where tenant = %s and deleted_at is null and object_type <> 'contact'
                 and id not in (select id from synchronization_accounts)
               order by immutable_id"""
        )
        if not rows:
            return
        target, kind = rows[pick % len(rows)]
        async with self.database.transaction() as conn:
            now = self.world.clock()
            await administration.delete_object(conn, self.world.tenant, target, kind, now)
            if back:
                await administration.restore_object(conn, self.world.tenant, target, now)

    @rule(pick=picks, manager=picks)
    def set_manager(self, pick: int, manager: int) -> None:
        """A manager changes or goes."""
        anchor, above = self._live(pick, "user", "contact"), self._live(manager, "user", "contact")
        if anchor:
            self.world.directory.set_manager(anchor, above if above != anchor else None)

    # Cycles ----------------------------------------------------------------------------------------------------------

    @rule()
    def cycle(self) -> None:
        """A cycle without trouble."""
        self.run(self.world.cycle())

    @rule(at=steps)
    def crash(self, at: int) -> None:
        """The worker dies between two awaits."""
        self.run(self._crash(at))

    async def _crash(self, at: int) -> None:
        database = Database(self.postgres_url, most=3)
        async with database:
            await run_stepped(Stepped(self.world.cycle(database), at))

    @rule(at=steps)
    def overtake(self, at: int) -> None:
        """A second worker takes over while the first still runs; the first goes on afterwards."""
        self.run(self._overtake(at))

    async def _overtake(self, at: int) -> None:
        gate = asyncio.Event()
        async with Database(self.postgres_url, most=3) as slow, Database(self.postgres_url, most=3) as quick:
            first = Stepped(self.world.cycle(slow), at, gate)
            running = asyncio.ensure_future(_settle(first))
            reached = asyncio.ensure_future(first.reached.wait())
            await asyncio.wait([running, reached], return_when=asyncio.FIRST_COMPLETED, timeout=30)
            second = asyncio.ensure_future(_settle(self.world.cycle(quick)))
            # Where the first holds a lock, the second waits for it.
            await asyncio.wait([second], timeout=0.3)
            gate.set()
            reached.cancel()
            await asyncio.gather(running, second)

    @rule(kinds=st.lists(st.sampled_from(["mail", "delete", "member", "rename", "swap"]), max_size=3), a=picks, b=picks)
    def edit_during_cycle(self, kinds: list[str], a: int, b: int) -> None:
        """The directory changes while a cycle reads it."""
        edits = {
            "mail": lambda: self.set_mail(a, NAMES[b % len(NAMES)]),
            "delete": lambda: self.delete(a),
            "member": lambda: self.add_member(a, b),
            "rename": lambda: self.rename(a, NAMES[b % len(NAMES)]),
            "swap": lambda: self.swap(a, b, "mail"),
        }
        source = EditingSource(self.world.directory, [edits[kind] for kind in kinds])
        self.world.source = lambda: source
        try:
            self.run(self.world.cycle())
        finally:
            self.world.source = lambda: MemorySource(self.world.directory)

    @rule(at=steps)
    def restart_during_cycle(self, at: int) -> None:
        """An administrator restarts the job while a cycle runs."""
        self.run(self._act_during(at, self.world.restart))

    async def _act_during(self, at: int, act: Callable[[], Coroutine[Any, Any, None]]) -> None:
        gate = asyncio.Event()
        async with Database(self.postgres_url, most=3) as slow:
            first = Stepped(self.world.cycle(slow), at, gate)
            running = asyncio.ensure_future(_settle(first))
            reached = asyncio.ensure_future(first.reached.wait())
            await asyncio.wait([running, reached], return_when=asyncio.FIRST_COMPLETED, timeout=30)
            acting = asyncio.ensure_future(_settle(act()))
            await asyncio.wait([acting], timeout=0.3)
            gate.set()
            reached.cancel()
            await asyncio.gather(running, acting)

    @rule(scopes=st.sets(st.sampled_from(jobs.RESET_SCOPES), max_size=3))
    def restart(self, scopes: set[str]) -> None:
        """An administrator restarts the job between two cycles, whatever is cleared."""
        self.run(self.world.restart(*sorted(scopes)))
        self.forgotten |= "Escrows" in scopes and not scopes & {"Watermark", "Full"}

    @rule(at=steps, clears=st.booleans())
    def pause_or_clear_during_cycle(self, at: int, clears: bool) -> None:
        """An administrator pauses the job at any point of a cycle and starts it again, or clears its quarantine."""
        self.run(self._act_during(at, self._clear if clears else self._pause))

    async def _pause(self) -> None:
        async with self.database.transaction() as conn:
            await jobs.pause(conn, self.world.tenant, self.world.job)
        async with self.database.transaction() as conn:
            await jobs.start(conn, self.world.tenant, self.world.job)

    async def _clear(self) -> None:
        async with self.database.transaction() as conn:
            await jobs.clear_quarantine(conn, self.world.tenant, self.world.job, self.world.clock())

    # Scope and mapping -----------------------------------------------------------------------------------------------

    @rule(pick=picks, kind=st.sampled_from(["container", "group", "both", "everything"]))
    def choose_scope(self, pick: int, kind: str) -> None:
        """An administrator chooses an OU, a group, both, or everything again."""
        container = self._live(pick, "container") if kind in ("container", "both") else None
        group = self._live(pick, "group") if kind in ("group", "both") else None
        self.world.chosen_containers = {container} if container else set()
        self.world.chosen_groups = {group} if group else set()
        self.world.ever_gone = Anybody()  # type: ignore[attr-defined]
        self.run(self.world.configure())

    @rule()
    def change_mapping(self) -> None:
        """An administrator maps departments otherwise."""
        self.world.shouts = not self.world.shouts
        self.run(self.world.configure())

    @rule()
    @precondition(lambda self: self.count % 3 == 0)
    def lose_position(self) -> None:
        """The source no longer accepts the watermark."""
        self.run(self._lose_position())

    async def _lose_position(self) -> None:
        async with self.database.transaction() as conn:
            await conn.execute("update watermarks set replica = 'gone' where tenant = %s", (self.world.tenant,))


async def _settle(work: Any) -> None:
    """Await; an error that the next cycle mends is none."""
    try:
        await work
    except DirbridgeError as error:
        assert error.code in ("DatabaseConflict", "DatabaseTimeout", "Fenced"), error  # noqa: PT017


@pytest.fixture
def machine(database_url: str) -> Iterator[type[Convergence]]:
    """The machine on a database of its own."""
    with asyncio.Runner() as runner:
        yield type("Machine", (Convergence,), {"postgres_url": database_url, "runner": runner})


@pytest.mark.timeout(900)
def test_converges_after_any_edits_and_crashes(machine: type[Convergence]) -> None:
    """Random stories, each ending in one cycle that makes it right and one that writes nothing."""
    run_state_machine_as_test(
        machine,
        settings=settings(
            # In CI the same stories every time; at a desk new ones, and as many as are asked for.
            max_examples=int(os.environ.get("CONVERGENCE_EXAMPLES", "20")),
            derandomize=bool(os.environ.get("CI")),
            phases=[Phase.explicit, Phase.reuse, Phase.generate],
            stateful_step_count=30,
            deadline=None,
            suppress_health_check=list(HealthCheck),
            print_blob=True,
        ),
    )
