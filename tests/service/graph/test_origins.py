"""The way back from an object to the entries that it came from, on a real database."""

from uuid import UUID, uuid4

from tests.service.graph.conftest import BASE, World, add_job, code

JOB = "AD2AADProvisioning.test"


async def link(world: World, target: UUID, anchor: str, *, job: str = JOB, state: str = "provisioned") -> None:
    await world.run(
        "insert into links (tenant, job, anchor, object_type, name, container, target, state, reason, digest)"
        " select id, %s, %s, 'user', 'Ada', 'sales', %s, %s, '', 'x' from tenants",
        (job, anchor, target, state),
    )


async def origins(world: World, id: UUID) -> list[dict[str, object]]:
    answer = await world.client.get(f"{BASE}/beta/dirbridge/directoryObjects/{id}/origins")
    assert answer.status_code == 200, answer.text
    found: list[dict[str, object]] = answer.json()["value"]
    return found


async def test_an_entry_is_named_by_its_place(world: World) -> None:
    """With its job, and as the master of the object; one that was removed before comes after it."""
    principal = await add_job(world, JOB)
    await add_job(world, "AD2AADProvisioning.old", "old.test")
    ada = await world.user("Ada Lovelace", job=JOB)
    await link(world, ada, "a-new")
    await link(world, ada, "a-old", job="AD2AADProvisioning.old", state="deprovisioned")
    await world.run(
        "insert into containers (tenant, job, anchor, parent, name) select id, %s, u.* from tenants,"
        " (values ('top', null, 'contoso.test'), ('sales', 'top', 'A/B')) as u",
        [JOB],
    )
    await world.run("update links set changed_at = '2026-03-01T12:00:00Z'")
    now, before = await origins(world, ada)
    assert now == {
        "jobId": JOB, "domain": "contoso.test", "servicePrincipalId": str(principal), "isMaster": True,
        "state": "provisioned", "errorCode": None, "changedDateTime": "2026-03-01T12:00:00Z", "pending": [],
        "source": {
            "id": "a-new", "identityType": "user", "displayName": "Ada", "canonicalName": r"contoso.test/A\/B/Ada",
        },
    }  # fmt: skip
    assert (before["jobId"], before["isMaster"], before["state"]) == ("AD2AADProvisioning.old", False, "deprovisioned")


async def test_what_is_due_names_who_holds_the_value(world: World) -> None:
    """An escrow with its attempts and what to do; the holder is the object that has the value now."""
    await add_job(world, JOB)
    ada, bob = await world.user("Ada", job=JOB), await world.user("Bob")
    await link(world, ada, "a")
    await world.run(
        "insert into due (tenant, job, anchor, reason, at, attempt, since, waits_for) select id, %s, 'a',"
        " 'UniqueValueTaken', '2026-03-01T13:00:00Z', 3, '2026-03-01T12:00:00Z',"
        " 'userPrincipalName:bob@contoso.test' from tenants",
        [JOB],
    )
    (found,) = await origins(world, ada)
    (pending,) = found["pending"]  # type: ignore[misc]
    assert pending["waitsFor"] == {
        "property": "userPrincipalName", "value": "bob@contoso.test", "holderId": str(bob),
    }  # fmt: skip
    assert (pending["code"], pending["attempts"]) == ("UniqueValueTaken", 3)
    assert pending["sinceDateTime"] == "2026-03-01T12:00:00Z"
    assert pending["message"] == "Another object has a value that this one should have."


async def test_what_people_made_has_no_origin(world: World) -> None:
    """Live and in the recycle bin; what is nowhere is not found."""
    assert await origins(world, await world.user("Eve")) == []
    assert await origins(world, await world.put("group", "Staff", deleted=True)) == []
    for key in (uuid4(), "none"):
        answer = await world.client.get(f"{BASE}/beta/dirbridge/directoryObjects/{key}/origins")
        assert (answer.status_code, code(answer)) == (404, "Request_ResourceNotFound")
