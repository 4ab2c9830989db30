"""Settings of a job through Graph's synchronizationJobSettings."""

from typing import Any

import pytest

from dirbridge.store import audits
from tests.service.graph.conftest import TENANT, World, message
from tests.service.graph.test_job_interval import job

__all__ = ["job"]


async def _shown(world: World, job: str) -> dict[str, str]:
    return {each["name"]: each["value"] for each in (await world.get(job)).json()["synchronizationJobSettings"]}


async def _patch(world: World, job: str, *pairs: tuple[str, str | None]) -> Any:
    settings = [{"name": name, "value": value} for name, value in pairs]
    return await world.client.patch(job, json={"synchronizationJobSettings": settings})


async def test_a_setting_is_changed_and_taken_back(world: World, job: str) -> None:
    """What is named changes, the rest stays; null is the default again; each change leaves an audit row."""
    assert (await _patch(world, job, ("QuarantineFailureShare", "0.5"), ("DeleteThresholdValue", "50"))).content == b""
    assert (await _patch(world, job, ("QuarantineFailureShare", None))).status_code == 204
    shown = await _shown(world, job)
    assert (shown["QuarantineFailureShare"], shown["DeleteThresholdValue"]) == ("0.4", "50")
    async with world.database.connection() as conn:
        kept = [each.detail for each in await audits.latest(conn, TENANT) if "settings" in each.detail]
    assert kept == [
        {"settings": {"QuarantineFailureShare": None}},
        {"settings": {"QuarantineFailureShare": "0.5", "DeleteThresholdValue": "50"}},
    ]


async def test_a_client_may_send_back_what_it_read(world: World, job: str) -> None:
    """A whole list as it was read is no change, even with what only the service sets; nothing is stored by it."""
    before = (await world.get(job)).json()["synchronizationJobSettings"]
    answer = await world.client.patch(job, json={"synchronizationJobSettings": before})
    assert answer.status_code == 204
    async with world.database.connection() as conn:
        cursor = await conn.execute("select settings from jobs where tenant = %s", (TENANT,))
        assert await cursor.fetchone() == ({"DomainFQDN": "contoso.test"},)


async def test_the_delete_threshold_under_graphs_name(world: World, job: str) -> None:
    """It shows the same number, changes it, and takes it back; two different ones are a contradiction."""
    graphs, ours = "QuarantineTooManyDeletesThreshold", "DeleteThresholdValue"
    for change, expected in (
        ([(graphs, "50")], "50"),
        ([(graphs, "50"), (ours, "60")], "60"),
        ([(graphs, "70"), (ours, "60")], "70"),
        ([(graphs, "80"), (ours, "80")], "80"),
        ([(graphs, None)], "500"),
    ):
        answer = await _patch(world, job, *change)
        assert answer.status_code == 204, answer.text
        shown = await _shown(world, job)
        assert (shown[graphs], shown[ours]) == (expected, expected), change
    answer = await _patch(world, job, (graphs, "7"), (ours, "8"))
    assert (answer.status_code, "are one threshold; found '7' and '8'" in message(answer)) == (400, True)
    answer = await _patch(world, job, (graphs, "many"))
    assert (answer.status_code, "found 'many'" in message(answer)) == (400, True)


@pytest.mark.parametrize(
    ("name", "value", "said"),
    [
        ("DeleteThresholdValue", "none", "expects a whole number from 1 to 1000000000; found 'none'"),
        ("QuarantineFailureShare", "40", "expects a number above 0, at most 1, such as 0.4; found '40'"),
        ("SkipOutOfScopeDeletions", "perhaps", "expects True or False; found 'perhaps'"),
        ("DeletesThreshold", "5", "'DeletesThreshold' is no setting that can be changed; these are: DeleteThreshold"),
        ("DeletesThreshold", None, "'DeletesThreshold' is no setting that can be changed"),
        ("DomainFQDN", "other.test", "'DomainFQDN' is no setting that can be changed"),
        ("DomainFQDN", None, "'DomainFQDN' is no setting that can be changed"),
    ],
)
async def test_wrong_settings_are_refused(world: World, job: str, name: str, value: str | None, said: str) -> None:
    """An unknown name or a wrong value is named, and nothing of the request happens."""
    before = await _shown(world, job)
    answer = await _patch(world, job, ("MemberThresholdValue", "7"), (name, value))
    assert answer.status_code == 400
    assert said in message(answer)
    assert answer.json()["error"]["target"] == "synchronizationJobSettings"
    assert await _shown(world, job) == before


async def test_a_changed_setting_is_tried_at_once(world: World, job: str) -> None:
    """A job in quarantine may have been so for a setting: it is due when one changes, not when one is repeated."""
    await world.run(
        """update jobs set state = 'Active', quarantine = '{"reason": "Unknown"}',
             next_run = now() + interval '1 hour'"""
    )
    await _patch(world, job, ("DeleteThresholdValue", "500"))
    assert await world.run("select next_run <= now() from jobs") == [(False,)]
    await _patch(world, job, ("DeleteThresholdValue", "501"))
    assert await world.run("select next_run <= now() from jobs") == [(True,)]
