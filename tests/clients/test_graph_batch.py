"""msgraph-core's batches: many requests in one, each with a status of its own."""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import Any

import pytest
from kiota_abstractions.request_information import RequestInformation
from msgraph.generated.models.o_data_errors.o_data_error import ODataError
from msgraph.generated.models.user import User
from msgraph_core.requests.batch_request_content import BatchRequestContent
from msgraph_core.requests.batch_request_content_collection import BatchRequestContentCollection
from msgraph_core.requests.batch_request_item import BatchRequestItem

from tests.clients.cloud import MARKS
from tests.clients.test_graph_directory import new_user, users
from tests.e2e import made_up

pytestmark = MARKS


def batch(requests: Mapping[str, RequestInformation], **after: list[str]) -> BatchRequestContent:
    """Put requests into a batch, by their ids; `after` names those that others wait for."""
    content = BatchRequestContent()
    for id, request in requests.items():
        content.add_request(id, BatchRequestItem(request, id, after.get(id, [])))
    return content


async def test_requests_of_a_batch_are_answered_each(graph: Any) -> None:
    """Reads, writes, what is not there, and what depends on it."""
    made = await graph.users.post(new_user())
    one = graph.users.by_user_id(made.id)
    content = batch(
        {
            "list": graph.users.to_get_request_information(users(top=3, select=["id"])),
            "change": one.to_patch_request_information(User(job_title="Batch")),
            "read": one.to_get_request_information(),
            "nobody": graph.users.by_user_id(f"nobody@{made_up.DOMAIN}").to_get_request_information(),
            "waiting": one.to_get_request_information(),
            "delete": one.to_delete_request_information(),
        },
        read=["change"],
        waiting=["nobody"],
        delete=["read"],
    )
    answer = await graph.batch.post(content)
    assert answer.get_response_status_codes() == {
        "list": 200, "change": 204, "read": 200, "nobody": 404, "waiting": 424, "delete": 204,
    }  # fmt: skip
    assert answer.get_response_by_id("nobody").headers["request-id"]


async def test_bodies_of_a_batch_are_whole(graph: Any, sdk: dict[str, Any]) -> None:
    """The SDK sends what it should; of bodies that are JSON, as Graph's are, it reads none. So they are read raw."""
    wanted = new_user()
    content = batch({
        "make": graph.users.to_post_request_information(wanted),
        "list": graph.users.to_get_request_information(users(top=3, select=["id"])),
        "nobody": graph.users.by_user_id(f"nobody@{made_up.DOMAIN}").to_get_request_information(),
    })  # fmt: skip
    request = await graph.batch.to_post_request_information(content)
    text = await sdk["adapter"].send_primitive_async(request, "bytes", {"XXX": ODataError})
    answers = {each["id"]: each for each in json.loads(text)["responses"]}
    assert answers["make"]["status"] == 201
    assert answers["make"]["body"]["userPrincipalName"] == wanted.user_principal_name
    assert [set(each) for each in answers["list"]["body"]["value"]] == [{"id"}] * 3
    error = answers["nobody"]["body"]["error"]
    assert (error["code"], error["innerError"]["request-id"]) == (
        "Request_ResourceNotFound", answers["nobody"]["headers"]["request-id"],
    )  # fmt: skip
    await graph.users.by_user_id(answers["make"]["body"]["id"]).delete()


async def test_more_than_a_batch_holds_goes_in_several(graph: Any) -> None:
    """Twenty at most in each, as the SDK cuts them."""
    collection = BatchRequestContentCollection()
    request = graph.users.to_get_request_information(users(top=1, select=["id"]))
    for number in range(25):
        collection.add_batch_request_item(BatchRequestItem(request, str(number)))
    answers = await graph.batch.post(collection)
    codes = [each.get_response_status_codes() for each in answers.get_responses()]
    assert [len(each) for each in codes] == [20, 5]
    assert {status for each in codes for status in each.values()} == {200}


async def test_a_batch_that_cannot_be_read_is_refused(graph: Any) -> None:
    """As a whole, where requests cannot be told apart."""
    request = graph.users.to_get_request_information()
    with pytest.raises(ODataError, match="needs an id of its own") as refused:
        await graph.batch.post(batch({"one": request, "ONE": request}), {"XXX": ODataError})
    assert refused.value.response_status_code == 400
