"""msgraph-sdk for Python reads a schema, changes it and writes it back, and nothing is lost on the way."""

from __future__ import annotations

import json
from collections.abc import AsyncIterator
from typing import Any

import pytest
import pytest_asyncio
from kiota_abstractions.method import Method
from kiota_serialization_json.json_serialization_writer_factory import JsonSerializationWriterFactory
from msgraph.generated.models.attribute_mapping_source import AttributeMappingSource
from msgraph.generated.models.attribute_mapping_source_type import AttributeMappingSourceType
from msgraph.generated.models.container_filter import ContainerFilter
from msgraph.generated.models.o_data_errors.o_data_error import ODataError
from msgraph.generated.models.string_key_attribute_mapping_source_value_pair import (
    StringKeyAttributeMappingSourceValuePair,
)
from msgraph.generated.models.synchronization_job import SynchronizationJob
from msgraph.generated.models.synchronization_schema import SynchronizationSchema
from msgraph.generated.service_principals.item.synchronization.jobs.item.schema.parse_expression.parse_expression_post_request_body import (  # noqa: E501
    ParseExpressionPostRequestBody,
)

from dirbridge.connectors.generated.directory import CONTAINER
from tests.clients.cloud import MARKS, Cloud
from tests.e2e import made_up

pytestmark = MARKS


@pytest_asyncio.fixture(loop_scope="session")
async def job(cloud: Cloud, graph: Any) -> AsyncIterator[Any]:
    """The builder of requests on a new job for the made-up domain."""
    jobs = graph.service_principals.by_service_principal_id(cloud.configuration).synchronization.jobs
    made = await jobs.post(SynchronizationJob(template_id="AD2AADProvisioning"))
    builder = jobs.by_synchronization_job_id(made.id)
    yield builder
    await builder.delete()


async def raw(adapter: Any, job: Any) -> dict[str, Any]:
    """Read the schema as it is on the wire, without what every change of it makes anew."""
    request = job.schema.to_get_request_information()
    document: dict[str, Any] = json.loads(await adapter.send_primitive_async(request, "bytes", {"XXX": ODataError}))
    return {name: value for name, value in document.items() if name != "version"}


def written(schema: SynchronizationSchema) -> bytes:
    """Write a schema as the SDK does."""
    writer = JsonSerializationWriterFactory().get_serialization_writer("application/json")
    writer.write_object_value(None, schema)
    content: bytes = writer.get_serialized_content()
    return content


async def put(adapter: Any, job: Any, content: bytes) -> None:
    """Send a schema by PUT, for which the SDK has no builder."""
    request = job.schema.to_get_request_information()
    request.http_method = Method.PUT
    request.set_stream_content(content, "application/json")
    await adapter.send_no_response_content_async(request, {"XXX": ODataError})


@pytest.mark.parametrize("method", ["PATCH", "PUT"])
async def test_schema_comes_back_as_it_was(sdk: dict[str, Any], job: Any, method: str) -> None:
    """Read by the SDK, written by the SDK: the document is equal, with the flags that the SDK cannot write."""
    before = await raw(sdk["adapter"], job)
    schema = await job.schema.get()
    content = written(schema)
    assert b'"flowTypes"' not in content
    assert before["synchronizationRules"][0]["objectMappings"][0]["flowTypes"] == "Add,Update,Delete"
    if method == "PATCH":
        await job.schema.patch(schema)
    else:
        await put(sdk["adapter"], job, content)
    assert await raw(sdk["adapter"], job) == before
    assert (await job.schema.get()).version == schema.version


async def test_changed_schema_is_kept(sdk: dict[str, Any], cloud: Cloud, job: Any) -> None:
    """A changed mapping and another scope are there afterwards, and everything else is as it was."""
    before = await raw(sdk["adapter"], job)
    schema = await job.schema.get()
    rule = schema.synchronization_rules[0]
    container = made_up.directory(cloud.directory).anchor(CONTAINER, 1)
    rule.container_filter = ContainerFilter(included_containers=[container])
    mapping = rule.object_mappings[0]
    mapping.enabled = False
    attribute = next(each for each in mapping.attribute_mappings if each.target_attribute_name == "Department")
    attribute.source = AttributeMappingSource(
        type=AttributeMappingSourceType.Function,
        expression="ToUpper([department])",
        name="ToUpper",
        parameters=[
            StringKeyAttributeMappingSourceValuePair(
                key="source",
                value=AttributeMappingSource(
                    type=AttributeMappingSourceType.Attribute, expression="[department]", name="department"
                ),
            )
        ],
    )
    await job.schema.patch(schema)
    after = await raw(sdk["adapter"], job)
    assert (await job.schema.get()).version != schema.version

    wanted = before["synchronizationRules"][0]
    wanted["containerFilter"] = {"includedContainers": [container]}
    wanted["objectMappings"][0]["enabled"] = False
    changed = next(
        each for each in wanted["objectMappings"][0]["attributeMappings"] if each["targetAttributeName"] == "Department"
    )
    source = {"expression": "[department]", "name": "department", "type": "Attribute", "parameters": []}
    changed["source"] = {
        "expression": "ToUpper([department])",
        "name": "ToUpper",
        "type": "Function",
        "parameters": [{"key": "source", "value": source}],
    }
    assert after == before

    await job.schema.delete()
    assert (await raw(sdk["adapter"], job))["synchronizationRules"][0]["objectMappings"][0]["enabled"] is True


async def test_defective_schema_is_refused(job: Any) -> None:
    """With a detail for each defect, that names its place in the document."""
    schema = await job.schema.get()
    schema.synchronization_rules[0].source_directory_name = "Elsewhere"
    with pytest.raises(ODataError) as refused:
        await job.schema.patch(schema)
    assert refused.value.response_status_code == 400
    assert any("Elsewhere" in detail.message for detail in refused.value.error.details)
    assert all(detail.target for detail in refused.value.error.details)


async def test_what_filters_and_expressions_know_is_listed(job: Any) -> None:
    """Bound functions, which the SDK calls with parentheses; elements have their name as id."""
    operators = await job.schema.filter_operators.get()
    assert {"EQUALS", "IS NULL", "REGEX MATCH"} <= {each.id for each in operators.value}
    functions = {each.id: each for each in (await job.schema.functions.get()).value}
    assert [each.name for each in functions["Append"].parameters] == ["source", "suffix"]


async def test_an_expression_is_parsed_and_tried(job: Any) -> None:
    """A good one gives its parts; a bad one is answered too, and says what is wrong."""
    good = await job.schema.parse_expression.post(ParseExpressionPostRequestBody(expression='Append([cn], "!")'))
    assert (good.parsing_succeeded, good.parsed_expression.name) == (True, "Append")
    assert [each.value.name for each in good.parsed_expression.parameters] == ["cn", "!"]
    bad = await job.schema.parse_expression.post(ParseExpressionPostRequestBody(expression="Append([cn"))
    assert bad.parsing_succeeded is False
    assert bad.error.message


async def test_directory_is_discovered(job: Any) -> None:
    """An agent reads which attributes entries can have."""
    schema = await job.schema.get()
    directory = next(each for each in schema.directories if each.name == "Active Directory")
    found = await job.schema.directories.by_directory_definition_id(directory.id).discover.post()
    assert found.discovery_date_time
    assert "sAMAccountName" in {each.name for each in found.objects[0].attributes}
