"""After any edits, crashes, and whatever a target outside does to us, cycles without trouble make it right.

The stories of `test_convergence`, told of an application in memory that times out, throttles, refuses and breaks.
"""

from __future__ import annotations

import asyncio
import os
from collections.abc import Iterator
from random import Random

import pytest
from hypothesis import HealthCheck, Phase, settings
from hypothesis import strategies as st
from hypothesis.stateful import rule, run_state_machine_as_test

from dirbridge.connectors.memory.cloud import Cloud, Operation, Request, Trouble
from dirbridge.connectors.memory.target import MemoryTarget
from tests.engine import model
from tests.engine.test_convergence import NAMES, Convergence

WRITES = (Operation.CREATE, Operation.UPDATE, Operation.DELETE, Operation.REFER, Operation.BATCH)
STATUSES = (0, 400, 403, 409, 422, 429, 500, 502, 503, 504)


class Outside(Convergence):
    """Edits of a directory, cycles in every kind of trouble, and a target that has troubles of its own."""

    target = "cloud"

    @property
    def cloud(self) -> Cloud:
        """The application."""
        assert self.world.cloud is not None
        return self.world.cloud

    async def _converge(self) -> None:
        world, cloud = self.world, self.cloud
        cloud.troubles = []
        for anchor in self._hidden():
            world.directory.show(anchor)
        await self._choose_anew()
        if self.forgotten:
            # Failures that a person let be forgotten are met again at the next full read.
            await world.restart("Watermark")
        for _ in range(4):  # what was refused is tried again within a day; a name that is freed, in the next round
            world.clock.forward(hours=25)
            await world.cycle()
            job = await world.state()
            if job.quarantine is not None and job.quarantine["reason"] == "TooManyDeletes":
                await world.restart("ForceDeletes")
                await world.cycle()
        job = await world.state()
        assert job.quarantine is None, job.quarantine
        assert cloud.impatient == 0
        await model.check_cloud(world)
        asked, before = dict(cloud.requests), await world.fingerprint()
        await world.cycle()
        assert await world.fingerprint() == before, "an idle cycle wrote"
        assert cloud.requests == {**asked, Operation.READ: asked[Operation.READ] + 1}, "an idle cycle asked"

    def meddle(self, pick: int, back: bool) -> None:
        """What a person does there by hand is seen by a full read only; `test_outside` has it."""

    @rule(
        status=st.sampled_from(STATUSES),
        done=st.sampled_from([0, 1]),
        operation=st.sampled_from(WRITES),
        about=st.sampled_from(["", *NAMES]),
        after=st.sampled_from([None, 1, 90, 1000]),
        as_date=st.booleans(),
    )
    def trouble(
        self, status: int, done: int, operation: Operation, about: str, after: int | None, as_date: bool
    ) -> None:
        """Something will go wrong with one write, perhaps only for one object."""
        wait = after if status in (429, 503) else None
        self.cloud.troubles.append(Trouble(status, done, wait, as_date, frozenset({operation}), about))

    @rule(operation=st.sampled_from(WRITES), times=st.integers(1, 4))
    def lose_answers(self, operation: Operation, times: int) -> None:
        """The next cycle's first writes are carried out, and it does not hear of it."""
        self.cloud.troubles.append(Trouble(0, 1, operations=frozenset({operation}), times=times))
        self.run(self.world.cycle())

    @rule(seed=st.integers(0, 1_000), share=st.sampled_from([0.1, 0.5]))
    def storm(self, seed: int, share: float) -> None:
        """A cycle in which any request may go wrong."""
        random = Random(seed)

        def chance(request: Request) -> Trouble | None:
            if request.operation is Operation.READ or random.random() >= share:
                return None
            return Trouble(random.choice(STATUSES), done=random.choice([0, 1]))

        self.cloud.chance = chance
        self.run(self.world.cycle())
        self.cloud.chance = lambda _request: None

    @rule(after=st.integers(0, 12))
    def shut_out(self, after: int) -> None:
        """After some requests of a cycle the credential is refused."""
        left = [after]

        def chance(_request: Request) -> Trouble | None:
            left[0] -= 1
            return Trouble(401) if left[0] < 0 else None

        self.cloud.chance = chance
        self.run(self.world.cycle())
        self.cloud.chance = lambda _request: None

    @rule()
    def unreachable(self) -> None:
        """A cycle that finds nobody there."""
        self.cloud.reachable = False
        self.run(self.world.cycle())
        self.cloud.reachable = True

    @rule(in_batches=st.booleans())
    def manner(self, in_batches: bool) -> None:
        """Many exports in a request, or one."""
        self.world.target = MemoryTarget(self.cloud, self.world.clock, in_batches=in_batches)


@pytest.fixture
def machine(database_url: str) -> Iterator[type[Outside]]:
    """The machine on a database of its own."""
    with asyncio.Runner() as runner:
        yield type("Machine", (Outside,), {"postgres_url": database_url, "runner": runner})


@pytest.mark.timeout(900)
def test_converges_whatever_the_target_does(machine: type[Outside]) -> None:
    """Random stories, each ending in cycles that make it right and one that asks and writes nothing."""
    run_state_machine_as_test(
        machine,
        settings=settings(
            max_examples=int(os.environ.get("CONVERGENCE_EXAMPLES", "20")),
            derandomize=bool(os.environ.get("CI")),
            phases=[Phase.explicit, Phase.reuse, Phase.generate],
            stateful_step_count=30,
            deadline=None,
            suppress_health_check=list(HealthCheck),
            print_blob=True,
        ),
    )
