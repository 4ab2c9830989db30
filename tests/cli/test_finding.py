"""Which job a command means."""

from collections.abc import Iterator
from typing import Any

import pytest

from dirbridge.cli.client import Client
from dirbridge.cli.finding import find
from dirbridge.contract.errors import DirbridgeError


class Jobs(Client):
    """A client of a service with these jobs: domain to id."""

    def __init__(self, jobs: dict[str, str]) -> None:
        self._jobs = jobs

    def pages(self, path: str, **_: Any) -> Iterator[dict[str, Any]]:
        if path == "/servicePrincipals":
            yield from ({"id": each, "displayName": each, "applicationTemplateId": "x"} for each in self._jobs)
        else:
            yield {"id": self._jobs[path.split("/")[2]]}


@pytest.mark.parametrize(
    ("jobs", "wanted", "code", "said"),
    [
        ({}, None, "JobNotFound", "There is no job yet."),
        ({"a.test": "1", "b.test": "2"}, None, "JobAmbiguous", "There are: a.test (1); b.test (2)."),
        ({"a.test": "1"}, "c.test", "JobNotFound", "No job fits 'c.test'. There are: a.test (1)."),
    ],
)
def test_no_job_or_several(jobs: dict[str, str], wanted: str | None, code: str, said: str) -> None:
    """Those that there are stand beside it, or that there is none."""
    with pytest.raises(DirbridgeError) as refused:
        find(Jobs(jobs), wanted)
    assert refused.value.code == code
    assert said in refused.value.reason
    assert ("jobs create" if not jobs else "--job") in refused.value.recommended_action


def test_by_domain_beginning_of_the_id_or_alone() -> None:
    """A domain wins over the beginning of an id."""
    two = Jobs({"a.test": "12", "b.test": "34"})
    assert [find(two, wanted)["id"] for wanted in ("A.test", "3", "12")] == ["12", "34", "12"]
    assert find(Jobs({"a.test": "12"}), None)["domain"] == "a.test"
