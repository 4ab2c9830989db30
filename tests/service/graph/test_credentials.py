"""Trying credentials: what is given or stored is looked at, then an agent signs in at the domain."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any
from uuid import UUID

import pytest

from dirbridge.connectors.memory.source import MemorySource
from dirbridge.connectors.protocol import Source
from dirbridge.contract.errors import CredentialError, DirbridgeError, TransientError
from dirbridge.contract.wire import CheckReport, Finding
from tests.service.graph.conftest import TENANT, code, message
from tests.service.graph.test_ondemand import Office, office

__all__ = ["office"]


class Checked(MemorySource):
    """A directory whose check ends as a test wants."""

    def __init__(self, office: Office, outcome: DirbridgeError | CheckReport) -> None:
        super().__init__(office.directory)
        self.outcome = outcome
        self.asked: list[tuple[UUID, str]] = []

    def reach(self) -> Callable[[UUID, str], Source]:
        def reached(tenant: UUID, domain: str) -> Source:
            self.asked.append((tenant, domain))
            return self

        return reached

    async def check(self) -> CheckReport:
        if isinstance(self.outcome, CheckReport):
            return self.outcome
        raise self.outcome


GOOD = CheckReport((Finding("connection", "pass", "Connected."), Finding("deleted", "warn", "Not all.")))


def _collection(office: Office) -> str:
    return office.path.rpartition("/")[0]


@pytest.mark.parametrize(
    "body",
    [
        None,
        {},
        {"useSavedCredentials": True, "credentials": [{"key": "Nonsense", "value": "is not looked at"}]},
        {"templateId": "AD2AADProvisioning", "credentials": []},
        {"credentials": [{"key": "Domain", "value": '{"domain":"contoso.test"}'}]},
    ],
)
async def test_what_works_has_no_answer(office: Office, body: Any) -> None:
    """204, for a job and for the collection, once an agent has read the domain."""
    checked = Checked(office, GOOD)
    office.world.app.state.reach = checked.reach()
    for at in (office.path, _collection(office)):
        answer = await office.world.client.post(f"{at}/validateCredentials", json=body)
        assert answer.status_code == 204, answer.text
    assert checked.asked == [(TENANT, "contoso.test")] * 2


@pytest.mark.parametrize(
    ("outcome", "wanted"),
    [
        (CheckReport((Finding("connection", "fail", "Refused.", "Mend it.", "InvalidPassword"),)), "InvalidPassword"),
        (CheckReport((Finding("deleted objects", "fail", "Refused.", "Mend it."),)), "CredentialsNotValid"),
        (CredentialError("Refused.", code="InvalidPassword", recommended_action="Mend it."), "InvalidPassword"),
        (
            TransientError("Refused.", code="HybridIdentityServiceNoActiveAgents", recommended_action="Mend it."),
            "HybridIdentityServiceNoActiveAgents",
        ),
    ],
)
async def test_what_does_not_work_says_why(office: Office, outcome: DirbridgeError | CheckReport, wanted: str) -> None:
    """400 with the code of what failed, whoever found it, and what to do."""
    office.world.app.state.reach = Checked(office, outcome).reach()
    answer = await office.world.client.post(f"{office.path}/validateCredentials")
    assert (answer.status_code, code(answer)) == (400, wanted)
    assert message(answer) == "Refused. Mend it."


@pytest.mark.parametrize(
    ("body", "part"),
    [
        ({"templateId": "Workday2AAD"}, "The requested value 'Workday2AAD' was not found."),
        ({"credentials": [{"key": "Domain", "value": '{"domain":"other.test"}'}]}, "reads 'contoso.test'"),
        ({"credentials": [{"key": "Sesame", "value": "x"}]}, "is no key of a secret"),
    ],
)
async def test_what_cannot_work_is_not_tried(office: Office, body: Any, part: str) -> None:
    """No agent is asked about values that are wrong in themselves."""
    checked = Checked(office, GOOD)
    office.world.app.state.reach = checked.reach()
    answer = await office.world.client.post(f"{office.path}/validateCredentials", json=body)
    assert answer.status_code == 400
    assert part in message(answer)
    assert checked.asked == []


async def test_access_tokens_are_not_fetched(office: Office) -> None:
    """Nothing here signs in by an authorization code."""
    at = _collection(office).removesuffix("/jobs")
    answer = await office.world.client.post(f"{at}/acquireAccessToken", json={"credentials": []})
    assert (answer.status_code, code(answer)) == (400, "notSupported")
