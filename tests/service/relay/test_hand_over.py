"""An agent is lost while it answers, for good, in each way that there is: another one takes over, and all is read."""

import asyncio
import signal
import time
from collections.abc import Callable

import pytest

from dirbridge.agent.delivery import RENEWALS
from dirbridge.contract.entry import ChangePage
from dirbridge.contract.errors import TransientError
from tests.e2e.cable import Cable
from tests.service.relay.harness import QUICK, SELECTION, Agent, Service, collect, made_up
from tests.service.relay.test_channel import direct

pytestmark = pytest.mark.service

WAYS = ("killed", "frozen", "cut", "cut in mid-request", "cut in mid-answer", "unplugged", "unheard", "deaf")
SLOW = "answer_timeout = 3\n"


def lose(way: str, agent: Agent, cable: Cable) -> None:
    match way:
        case "killed":
            agent.signal(signal.SIGKILL)
        case "frozen":
            agent.signal(signal.SIGSTOP)
        case "cut":
            cable.cut()
        case "cut in mid-request":
            cable.cut_after(cable.up, 1500)
        case "cut in mid-answer":
            cable.cut_after(cable.down, 30)
        case "unplugged":
            cable.hold(cable.up, cable.down)
        case "unheard":
            cable.hold(cable.up)
        case "deaf":
            cable.hold(cable.down)


async def read_to_the_end(relay: Service) -> list[ChangePage]:
    """Read as a cycle does, once more where the agent was changed."""
    while True:
        try:
            return await collect(relay.source().changes(SELECTION, None))
        except TransientError as error:
            if error.code != "AgentChanged":
                raise


@pytest.mark.parametrize("way", WAYS)
async def test_another_agent_takes_over(relay: Service, new_agent: Callable[..., Agent], way: str) -> None:
    """Within the lease and the patience of a deaf agent, whatever the first one still does or believes."""
    async with Cable(relay.url) as cable:
        first, second = new_agent(made_up(20000, pause=1.5), SLOW), new_agent(made_up(20000), SLOW)
        await first.enrol(relay, url=cable.url)
        await second.enrol(relay)
        first.start()
        reading = asyncio.create_task(read_to_the_end(relay))
        await first.logged("request_taken")
        second.start()
        await second.logged("agent_started")
        lose(way, first, cable)
        began = time.monotonic()
        pages = await asyncio.wait_for(reading, 60)
        took = time.monotonic() - began
        assert pages == await direct(second)
        assert "request_taken" in second.log.read_text()
        patience = QUICK.leases.silence + RENEWALS * QUICK.renew_every
        assert took < patience.total_seconds() + 20, "it has to be about the lease, not about a time-out of minutes"
