"""A service over HTTPS, and agents that leave nothing behind."""

from collections.abc import AsyncIterator, Callable, Iterator
from pathlib import Path

import pytest

from dirbridge.store.database import Database
from tests.service.relay.harness import QUICK, Agent, Service, made_up
from tests.service.relay.island import Island, discover


@pytest.fixture
async def relay(database: Database, tmp_path: Path) -> AsyncIterator[Service]:
    """The service, answering on a port of its own."""
    async with Service(database, tmp_path, QUICK) as running:
        yield running


@pytest.fixture
def new_agent(tmp_path: Path) -> Iterator[Callable[..., Agent]]:
    """Make agents; their processes end with the test."""
    made: list[Agent] = []

    def make(domain: str | None = None, common: str = "") -> Agent:
        agent = Agent(tmp_path / f"agent-{len(made)}", domain or made_up(), common)
        made.append(agent)
        return agent

    yield make
    for agent in made:
        agent.end()


@pytest.fixture
def island() -> Iterator[Island]:
    """A host of its own network."""
    with discover() as found:
        yield found
