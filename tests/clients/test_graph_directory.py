"""msgraph-sdk for Python reads and writes the tenant: users, groups, members, and what changed of them."""

from __future__ import annotations

import secrets
from collections.abc import AsyncIterator
from typing import Any
from uuid import UUID

import pytest
import pytest_asyncio
from kiota_abstractions.base_request_configuration import RequestConfiguration
from kiota_abstractions.headers_collection import HeadersCollection
from msgraph.generated.groups.delta.delta_request_builder import DeltaRequestBuilder as GroupsDelta
from msgraph.generated.groups.groups_request_builder import GroupsRequestBuilder
from msgraph.generated.models.group import Group
from msgraph.generated.models.o_data_errors.o_data_error import ODataError
from msgraph.generated.models.password_profile import PasswordProfile
from msgraph.generated.models.reference_create import ReferenceCreate
from msgraph.generated.models.reference_update import ReferenceUpdate
from msgraph.generated.models.user import User
from msgraph.generated.users.count.count_request_builder import CountRequestBuilder
from msgraph.generated.users.delta.delta_request_builder import DeltaRequestBuilder as UsersDelta
from msgraph.generated.users.users_request_builder import UsersRequestBuilder

from tests.clients.cloud import MARKS, Cloud
from tests.clients.conftest import GROUPS, MEMBERS, USERS
from tests.clients.test_graph_logs import every
from tests.e2e import made_up

pytestmark = MARKS


def users(*, advanced: bool = False, **options: Any) -> RequestConfiguration[Any]:
    """Options of a list of users; advanced ones need a header and a count."""
    headers = HeadersCollection()
    if advanced:
        headers.add("ConsistencyLevel", "eventual")
        options["count"] = True
    parameters = UsersRequestBuilder.UsersRequestBuilderGetQueryParameters(**options)
    return RequestConfiguration(query_parameters=parameters, headers=headers)


def new_user() -> User:
    name = f"client-{secrets.token_hex(4)}"
    return User(
        account_enabled=True,
        display_name=f"Client {name}",
        mail_nickname=name,
        user_principal_name=f"{name}@{made_up.DOMAIN}",
        password_profile=PasswordProfile(password=secrets.token_urlsafe(16)),
    )


def new_group() -> Group:
    name = f"team-{secrets.token_hex(4)}"
    return Group(display_name=name, mail_nickname=name, mail_enabled=False, security_enabled=True)


@pytest_asyncio.fixture(loop_scope="session")
async def user(graph: Any) -> AsyncIterator[Any]:
    """A user of the cloud, removed in the end."""
    made = await graph.users.post(new_user())
    yield made
    await graph.users.by_user_id(made.id).delete()


@pytest_asyncio.fixture(loop_scope="session")
async def group(graph: Any) -> AsyncIterator[Any]:
    """A group of the cloud, removed in the end."""
    made = await graph.groups.post(new_group())
    yield made
    await graph.groups.by_group_id(made.id).delete()


# Lists ----------------------------------------------------------------------------------------------------------------


async def test_users_are_listed_with_what_is_selected(graph: Any, sdk: dict[str, Any]) -> None:
    """All pages; only the properties asked for."""
    page = await graph.users.get(
        users(filter="onPremisesSyncEnabled eq true", select=["id", "userPrincipalName", "department"], top=7)
    )
    found = await every(page, sdk["adapter"])
    assert len({each.id for each in found}) == len(found) == USERS
    assert {each.department for each in found} == set(made_up.DEPARTMENTS)
    assert {each.display_name for each in found} == {None}


async def test_users_are_counted_filtered_sorted_and_searched(graph: Any) -> None:
    """Advanced queries, with the header and the count that they need."""
    department = "department eq 'Sales' and onPremisesSyncEnabled eq true"
    page = await graph.users.get(users(advanced=True, filter=department, orderby=["displayName desc"], top=3))
    assert page.odata_count == len([number for number in range(USERS) if number % 8 == 0])
    names = [each.display_name for each in page.value]
    assert (len(names), names) == (3, sorted(names, key=str.casefold, reverse=True))
    found = await graph.users.get(users(advanced=True, search='"displayName:Kowalski"', select=["displayName"]))
    assert found.value
    assert all("Kowalski" in each.display_name for each in found.value)


async def test_users_are_counted(graph: Any) -> None:
    """As text, which the SDK reads as a number; without the header it is refused."""
    headers = HeadersCollection()
    headers.add("ConsistencyLevel", "eventual")
    options = CountRequestBuilder.CountRequestBuilderGetQueryParameters(filter="onPremisesSyncEnabled eq true")
    assert await graph.users.count.get(RequestConfiguration(query_parameters=options, headers=headers)) == USERS
    with pytest.raises(ODataError, match="ConsistencyLevel"):
        await graph.users.count.get()


async def test_groups_are_listed_with_their_members(graph: Any) -> None:
    """Members come as what they are; `$expand` brings them along."""
    options = GroupsRequestBuilder.GroupsRequestBuilderGetQueryParameters(
        filter="onPremisesSyncEnabled eq true", expand=["members"]
    )
    page = await graph.groups.get(RequestConfiguration(query_parameters=options))
    assert sorted(each.display_name for each in page.value) == [f"Group {number}" for number in range(GROUPS)]
    assert {(type(member), len(each.members)) for each in page.value for member in each.members} == {(User, MEMBERS)}


async def test_advanced_query_without_its_header_is_refused(graph: Any) -> None:
    """The SDK hands on code, message and ids of the request."""
    with pytest.raises(ODataError) as refused:
        await graph.users.get(users(search='"displayName:Anna"'))
    error = refused.value
    assert (error.response_status_code, error.error.code) == (400, "Request_UnsupportedQuery")
    assert "ConsistencyLevel" in error.error.message
    assert error.error.inner_error.request_id == error.response_headers["request-id"]
    assert error.error.inner_error.date


async def test_what_is_not_there_is_not_found(graph: Any) -> None:
    """A user by a name that nobody has."""
    with pytest.raises(ODataError) as refused:
        await graph.users.by_user_id(f"nobody@{made_up.DOMAIN}").get()
    assert (refused.value.response_status_code, refused.value.error.code) == (404, "Request_ResourceNotFound")


# Writing --------------------------------------------------------------------------------------------------------------


async def test_a_user_lives_and_comes_back(graph: Any) -> None:
    """Made, read by name, changed, deleted, found among the deleted, restored."""
    made = await graph.users.post(new_user())
    builder = graph.users.by_user_id(made.id)
    assert (await graph.users.by_user_id(made.user_principal_name).get()).id == made.id
    assert await builder.patch(User(job_title="Client")) is None
    assert (await builder.get()).job_title == "Client"
    await builder.delete()
    assert made.id in [each.id for each in (await graph.directory.deleted_items.graph_user.get()).value]
    restored = await graph.directory.deleted_items.by_directory_object_id(made.id).restore.post()
    assert (restored.id, restored.odata_type) == (made.id, "#microsoft.graph.user")
    await builder.delete()
    await graph.directory.deleted_items.by_directory_object_id(made.id).delete()
    with pytest.raises(ODataError, match="does not exist"):
        await graph.directory.deleted_items.by_directory_object_id(made.id).get()


async def test_what_is_synchronized_is_changed_at_its_source(graph: Any) -> None:
    """The refusal says where."""
    synced = (await graph.users.get(users(filter="onPremisesSyncEnabled eq true", top=1))).value[0]
    with pytest.raises(ODataError) as refused:
        await graph.users.by_user_id(synced.id).patch(User(job_title="Client"))
    assert (refused.value.response_status_code, refused.value.error.code) == (400, "Request_BadRequest")


async def test_a_group_is_changed_and_goes(cloud: Cloud, graph: Any, user: Any) -> None:
    """Made, changed, given members by `members@odata.bind`, deleted."""
    made = await graph.groups.post(new_group())
    builder = graph.groups.by_group_id(made.id)
    change = Group(description="for clients")
    change.additional_data = {"members@odata.bind": [f"{cloud.values['URL']}/v1.0/directoryObjects/{user.id}"]}
    assert await builder.patch(change) is None
    assert (await builder.get()).description == "for clients"
    assert [each.id for each in (await builder.members.graph_user.get()).value] == [user.id]
    await builder.delete()
    with pytest.raises(ODataError) as refused:
        await builder.get()
    assert refused.value.response_status_code == 404


async def test_a_group_has_members_and_a_user_a_manager(cloud: Cloud, graph: Any, user: Any, group: Any) -> None:
    """By references, added once, seen from both sides, taken away."""
    objects = f"{cloud.values['URL']}/v1.0/directoryObjects"
    members = graph.groups.by_group_id(group.id).members
    reference = ReferenceCreate(odata_id=f"{objects}/{user.id}")
    await members.ref.post(reference)
    with pytest.raises(ODataError) as refused:
        await members.ref.post(reference)
    assert refused.value.response_status_code == 400
    assert [(type(each), each.id) for each in (await members.get()).value] == [(User, user.id)]
    assert [each.id for each in (await graph.users.by_user_id(user.id).member_of.get()).value] == [group.id]
    await members.by_directory_object_id(user.id).ref.delete()
    assert (await members.get()).value == []

    boss = (await graph.users.get(users(filter="onPremisesSyncEnabled eq true", top=1))).value[0]
    manager = graph.users.by_user_id(user.id).manager
    await manager.ref.put(ReferenceUpdate(odata_id=f"{objects}/{boss.id}"))
    assert (await manager.get()).id == boss.id
    await manager.ref.delete()
    with pytest.raises(ODataError) as refused:
        await manager.get()
    assert refused.value.response_status_code == 404


# Delta ----------------------------------------------------------------------------------------------------------------


async def to_the_end(page: Any, builder: Any) -> tuple[list[Any], str]:
    """Read all pages of a delta query; gives the items and the link to go on from."""
    found = list(page.value)
    while page.odata_next_link:
        assert page.odata_delta_link is None
        page = await builder.with_url(page.odata_next_link).get()
        found += page.value
    return found, page.odata_delta_link


async def test_changes_of_users_are_followed(graph: Any) -> None:
    """Everything at first; then what was made, changed and deleted since, and nothing else."""
    options = UsersDelta.DeltaRequestBuilderGetQueryParameters(select=["displayName", "jobTitle"])
    first = await graph.users.delta.get(RequestConfiguration(query_parameters=options))
    found, link = await to_the_end(first, graph.users.delta)
    assert len({each.id for each in found}) >= USERS
    made = await graph.users.post(new_user())
    changed, link = await to_the_end(await graph.users.delta.with_url(link).get(), graph.users.delta)
    assert [(each.id, each.display_name) for each in changed] == [(made.id, made.display_name)]
    await graph.users.by_user_id(made.id).patch(User(job_title="Client"))
    changed, link = await to_the_end(await graph.users.delta.with_url(link).get(), graph.users.delta)
    assert [(each.id, each.job_title) for each in changed] == [(made.id, "Client")]
    await graph.users.by_user_id(made.id).delete()
    changed, link = await to_the_end(await graph.users.delta.with_url(link).get(), graph.users.delta)
    assert [(each.id, each.additional_data["@removed"]) for each in changed] == [(made.id, {"reason": "changed"})]
    changed, _ = await to_the_end(await graph.users.delta.with_url(link).get(), graph.users.delta)
    assert changed == []


async def test_changes_of_members_are_followed(cloud: Cloud, graph: Any, user: Any, group: Any) -> None:
    """`members@delta` names who is in a group, then who came, then who went."""
    options = GroupsDelta.DeltaRequestBuilderGetQueryParameters(select=["displayName", "members"])
    first = await graph.groups.delta.get(RequestConfiguration(query_parameters=options))
    found, link = await to_the_end(first, graph.groups.delta)
    held: dict[str, set[UUID]] = {each.id: set() for each in found}
    for each in found:
        held[each.id] |= {member["id"] for member in each.additional_data.get("members@delta", [])}
    assert sorted(map(len, held.values()), reverse=True)[: GROUPS + 1] == [MEMBERS] * GROUPS + [0]

    members = graph.groups.by_group_id(group.id).members
    await members.ref.post(ReferenceCreate(odata_id=f"{cloud.values['URL']}/v1.0/directoryObjects/{user.id}"))
    changed, link = await to_the_end(await graph.groups.delta.with_url(link).get(), graph.groups.delta)
    row = {"@odata.type": "#microsoft.graph.user", "id": UUID(user.id)}  # so the SDK reads what it has no type for
    assert [(each.id, each.additional_data["members@delta"]) for each in changed] == [(group.id, [row])]
    await members.by_directory_object_id(user.id).ref.delete()
    changed, _ = await to_the_end(await graph.groups.delta.with_url(link).get(), graph.groups.delta)
    gone = {**row, "@removed": {"reason": "deleted"}}
    assert [(each.id, each.additional_data["members@delta"]) for each in changed] == [(group.id, [gone])]


async def test_a_change_in_the_source_arrives_in_the_delta(cloud: Cloud, graph: Any) -> None:
    """From the directory, through agent and cycle, to a client that asks for changes."""
    options = UsersDelta.DeltaRequestBuilderGetQueryParameters(select=["jobTitle"])
    latest = await graph.users.delta.get(RequestConfiguration(query_parameters=options))
    _, link = await to_the_end(latest, graph.users.delta)
    file = cloud.directory.revision_file
    assert file is not None
    file.write_text("1")
    await cloud.installation.settled()
    changed, _ = await to_the_end(await graph.users.delta.with_url(link).get(), graph.users.delta)
    assert [each.job_title for each in changed] == ["Title 1"]
