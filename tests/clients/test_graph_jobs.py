"""msgraph-sdk for Python steers synchronization: configurations, jobs, secrets, schema, on demand."""

from __future__ import annotations

import json
import secrets
import time
from collections.abc import AsyncIterator
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
import pytest_asyncio
from kiota_abstractions.method import Method
from kiota_abstractions.request_information import RequestInformation
from msgraph import GraphServiceClient
from msgraph.generated.application_templates.item.instantiate.instantiate_post_request_body import (
    InstantiatePostRequestBody,
)
from msgraph.generated.models.o_data_errors.o_data_error import ODataError
from msgraph.generated.models.synchronization_job import SynchronizationJob
from msgraph.generated.models.synchronization_job_application_parameters import SynchronizationJobApplicationParameters
from msgraph.generated.models.synchronization_job_restart_criteria import SynchronizationJobRestartCriteria
from msgraph.generated.models.synchronization_job_restart_scope import SynchronizationJobRestartScope
from msgraph.generated.models.synchronization_job_subject import SynchronizationJobSubject
from msgraph.generated.models.synchronization_schedule import SynchronizationSchedule
from msgraph.generated.models.synchronization_schedule_state import SynchronizationScheduleState
from msgraph.generated.models.synchronization_secret import SynchronizationSecret
from msgraph.generated.models.synchronization_secret_key_string_value_pair import (
    SynchronizationSecretKeyStringValuePair,
)
from msgraph.generated.models.synchronization_status_code import SynchronizationStatusCode
from msgraph.generated.models.synchronization_task_execution_result import SynchronizationTaskExecutionResult
from msgraph.generated.service_principals.item.synchronization.jobs.item.provision_on_demand.provision_on_demand_post_request_body import (  # noqa: E501
    ProvisionOnDemandPostRequestBody,
)
from msgraph.generated.service_principals.item.synchronization.jobs.item.restart.restart_post_request_body import (
    RestartPostRequestBody,
)
from msgraph.generated.service_principals.item.synchronization.jobs.item.validate_credentials.validate_credentials_post_request_body import (  # noqa: E501
    ValidateCredentialsPostRequestBody,
)
from msgraph.generated.service_principals.item.synchronization.secrets.secrets_put_request_body import (
    SecretsPutRequestBody,
)
from msgraph.generated.service_principals.item.synchronization.secrets.secrets_put_response import SecretsPutResponse

from tests.clients import page
from tests.clients.cloud import MARKS, Cloud
from tests.clients.conftest import GROUPS, USERS
from tests.e2e.harness import until

pytestmark = MARKS

AD_TEMPLATE = "1a4721b3-e57f-4451-ae87-ef078703ec94"


@pytest_asyncio.fixture(loop_scope="session")
async def synchronization(graph: GraphServiceClient) -> Any:
    """The builder of requests on a new configuration, for a domain that no agent reads."""
    name = f"{secrets.token_hex(4)}.example"
    template = graph.application_templates.by_application_template_id(AD_TEMPLATE)
    made = await template.instantiate.post(InstantiatePostRequestBody(display_name=name))
    assert made.application.app_id == made.service_principal.app_id
    assert (made.application.display_name, made.service_principal.display_name) == (name, name)
    return graph.service_principals.by_service_principal_id(made.service_principal.id).synchronization


@pytest_asyncio.fixture(loop_scope="session")
async def job(synchronization: Any) -> AsyncIterator[Any]:
    """The builder of requests on a new job of that configuration, dropped in the end: it would only wait for agents."""
    made = await synchronization.jobs.post(SynchronizationJob(template_id="AD2AADProvisioning"))
    builder = synchronization.jobs.by_synchronization_job_id(made.id)
    yield builder
    await builder.delete()


@pytest.fixture
def running(cloud: Cloud, graph: GraphServiceClient) -> Any:
    """The builder of requests on the job that filled the tenant."""
    synchronization = graph.service_principals.by_service_principal_id(cloud.configuration).synchronization
    return synchronization.jobs.by_synchronization_job_id(cloud.installation.job.rpartition("/")[2])


async def restarts(graph: GraphServiceClient, job: Any) -> list[str]:
    """Give what restarts of a job cleared, as the audit trail has it, latest first."""
    found = await graph.audit_logs.directory_audits.get()
    id = job.path_parameters["synchronizationJob%2Did"]
    return [
        next(each.value for each in audit.additional_details if each.key == "resetScope")
        for audit in found.value
        if audit.activity_display_name == "Enable/restart provisioning configuration"
        and audit.target_resources[0].id == id
    ]


# Jobs -----------------------------------------------------------------------------------------------------------------


async def test_a_job_is_made_listed_and_dropped(synchronization: Any) -> None:
    """From a template: not started, every two minutes, never run."""
    made = await synchronization.jobs.post(SynchronizationJob(template_id="AD2AADProvisioning"))
    assert made.template_id == "AD2AADProvisioning"
    assert made.schedule.state == SynchronizationScheduleState.Disabled
    assert made.schedule.interval.total_seconds() == 120
    assert made.status.code == SynchronizationStatusCode.Paused
    assert made.status.steady_state_first_achieved_time.year == 1
    listed = await synchronization.jobs.get()
    assert [each.id for each in listed.value] == [made.id]
    assert await synchronization.jobs.count.get() == 1
    job = synchronization.jobs.by_synchronization_job_id(made.id)
    assert (await job.get()).id == made.id
    await job.delete()
    assert (await synchronization.jobs.get()).value == []


async def test_an_unknown_template_is_refused(synchronization: Any) -> None:
    """The error names what was sent."""
    with pytest.raises(ODataError) as refused:
        await synchronization.jobs.post(SynchronizationJob(template_id="Fax2AAD"))
    assert refused.value.response_status_code == 400
    assert "Fax2AAD" in refused.value.error.message


async def test_templates_are_listed(synchronization: Any) -> None:
    """With the one that reads a domain, and its schema beside it."""
    found = {each.id: each for each in (await synchronization.templates.get()).value}
    assert found["AD2AADProvisioning"].default is True
    template = synchronization.templates.by_synchronization_template_id("AD2AADProvisioning")
    assert [each.name for each in (await template.schema.get()).directories] == [
        "Active Directory", "Azure Active Directory",
    ]  # fmt: skip


async def test_a_job_starts_and_pauses(job: Any) -> None:
    """Both are answered without content and seen at once."""
    await job.start.post()
    assert (await job.get()).schedule.state == SynchronizationScheduleState.Active
    await job.pause.post()
    found = await job.get()
    assert found.schedule.state == SynchronizationScheduleState.Paused
    assert found.status.code == SynchronizationStatusCode.Paused


async def test_the_running_job_tells_how_it_is(running: Any) -> None:
    """Its last execution, its counts, and how many objects it keeps in step."""
    status = (await running.get()).status
    assert status.code == SynchronizationStatusCode.Active
    assert status.last_successful_execution_with_exports.count_exported >= 1
    assert status.last_execution.state == SynchronizationTaskExecutionResult.Succeeded
    counts = {each.key: each.value for each in status.synchronized_entry_count_by_type}
    assert (counts["user to User"], counts["group to Group"]) == (USERS, GROUPS)


async def test_agents_are_listed(sdk: dict[str, Any]) -> None:
    """Beta only, and so by the adapter, as docs/clients.md says."""
    left = await page.run_async("beta", **sdk)
    (agent,) = json.loads(left["text"])["value"]
    assert agent["status"] == "active"


# Restart --------------------------------------------------------------------------------------------------------------


@pytest_asyncio.fixture(loop_scope="session")
async def seldom(running: Any) -> AsyncIterator[None]:
    """The running job runs only when told to."""

    async def every(interval: timedelta) -> None:
        await running.patch(SynchronizationJob(schedule=SynchronizationSchedule(interval=interval)))
        assert (await running.get()).schedule.interval == interval

    await every(timedelta(hours=1))
    yield
    await every(timedelta(seconds=1))
    await running.restart.post(RestartPostRequestBody())


@pytest.mark.usefixtures("seldom")
async def test_restart_reads_everything_again(running: Any) -> None:
    """After the watermark is dropped, the next cycle is an initial one."""
    began = datetime.now(UTC)
    criteria = SynchronizationJobRestartCriteria(reset_scope=SynchronizationJobRestartScope.Watermark)
    await running.restart.post(RestartPostRequestBody(criteria=criteria))

    async def read_again() -> int | None:
        last = (await running.get()).status.last_successful_execution
        return last.count_imported if last.time_began > began else None

    assert await until(read_again, "a cycle succeeds") == USERS + GROUPS


@pytest.mark.parametrize("scope", SynchronizationJobRestartScope)
async def test_restart_with_one_criterion(
    graph: GraphServiceClient, job: Any, scope: SynchronizationJobRestartScope
) -> None:
    """Each member of the enumeration arrives as it was sent."""
    criteria = SynchronizationJobRestartCriteria(reset_scope=scope)
    await job.restart.post(RestartPostRequestBody(criteria=criteria))
    assert await restarts(graph, job) == [scope.value]


async def test_restart_with_a_list_is_the_default(graph: GraphServiceClient, job: Any) -> None:
    """The SDK drops lists of flags when it writes: what arrives says nothing, and that means the default."""
    criteria = SynchronizationJobRestartCriteria(
        reset_scope=[SynchronizationJobRestartScope.Watermark, SynchronizationJobRestartScope.Escrows]
    )
    await job.restart.post(RestartPostRequestBody(criteria=criteria))
    assert await restarts(graph, job) == ["Escrows, QuarantineState, Watermark"]


async def test_restart_with_several_criteria(graph: GraphServiceClient, sdk: dict[str, Any], job: Any) -> None:
    """As one text, by the adapter, as docs/clients.md says."""
    id = job.path_parameters["synchronizationJob%2Did"]
    principal = job.path_parameters["servicePrincipal%2Did"]
    url = f"{sdk['adapter'].base_url}/servicePrincipals/{principal}/synchronization/jobs/{id}"
    await page.run_async("Several restart criteria", **sdk, JOB=url)
    assert await restarts(graph, job) == ["Escrows, QuarantineState, Watermark"]


# Secrets and credentials ----------------------------------------------------------------------------------------------


def pair(key: SynchronizationSecret, value: str) -> SynchronizationSecretKeyStringValuePair:
    return SynchronizationSecretKeyStringValuePair(key=key, value=value)


async def test_secrets_are_replaced_as_a_whole(sdk: dict[str, Any], synchronization: Any) -> None:
    """PUT by the SDK; GET, for which the SDK has no builder, by its adapter. Confidential values are masked."""
    await synchronization.secrets.put(
        SecretsPutRequestBody(
            value=[
                pair(SynchronizationSecret.SkipOutOfScopeDeletions, "true"),
                pair(SynchronizationSecret.SecretToken, "s3cret"),
            ]
        )
    )
    assert await synchronization.secrets.count.get() == 2
    request = RequestInformation(Method.GET)
    request.url = f"{sdk['adapter'].base_url}/servicePrincipals/{synchronization.path_parameters['servicePrincipal%2Did']}/synchronization/secrets"  # noqa: E501
    found = await sdk["adapter"].send_async(request, SecretsPutResponse, {"XXX": ODataError})
    assert {each.key: each.value for each in found.value} == {
        SynchronizationSecret.SkipOutOfScopeDeletions: "true",
        SynchronizationSecret.SecretToken: "********",
    }
    await synchronization.secrets.put(SecretsPutRequestBody(value=[]))
    assert await synchronization.secrets.count.get() == 0


async def test_secrets_for_another_domain_are_refused(synchronization: Any) -> None:
    """The error says which domain this configuration reads."""
    with pytest.raises(ODataError, match=r"names 'other\.example'"):
        await synchronization.secrets.put(
            SecretsPutRequestBody(value=[pair(SynchronizationSecret.Domain, '{"domain":"other.example"}')])
        )


async def test_credentials_are_tried_by_an_agent(running: Any) -> None:
    """204 where an agent can read the domain."""
    await running.validate_credentials.post(ValidateCredentialsPostRequestBody(use_saved_credentials=True))


async def test_credentials_without_an_agent_are_no_good(job: Any) -> None:
    """The error has the code that a job of this configuration would show."""
    with pytest.raises(ODataError) as refused:
        await job.validate_credentials.post(ValidateCredentialsPostRequestBody(use_saved_credentials=True))
    assert refused.value.response_status_code == 400
    assert refused.value.error.code == "HybridIdentityServiceNoAgentsAssigned"


# On demand ------------------------------------------------------------------------------------------------------------


async def demand(running: Any, name: str, kind: str = "user") -> tuple[dict[str, Any], dict[str, Any]]:
    """Provision an entry on demand; gives result and steps."""
    rule = (await running.schema.get()).synchronization_rules[0].id
    subject = SynchronizationJobSubject(object_id=name, object_type_name=kind)
    answer = await running.provision_on_demand.post(
        ProvisionOnDemandPostRequestBody(
            parameters=[SynchronizationJobApplicationParameters(rule_id=rule, subjects=[subject])]
        )
    )
    return json.loads(answer.key), json.loads(answer.value)


async def test_a_user_is_provisioned_on_demand(running: Any) -> None:
    """Nothing is to be written, as the cycle has done it; every step is told."""
    result, told = await demand(running, "u0000007")
    assert (result["result"], result["details"]["errorCode"]) == ("Skipped", "RedundantExport")
    assert [(step["type"], step["status"]) for step in told["provisioningSteps"]] == [
        ("Import", "Success"), ("Scoping", "Success"), ("Matching", "Success"), ("Export", "Skipped"),
    ]  # fmt: skip
    assert told["sourceIdentity"]["type"] == "user"
    assert told["targetIdentity"]["type"] == "User"
    assert told["provisioningSteps"][0]["details"]["sAMAccountName"] == "u0000007"


async def test_requests_on_demand_are_throttled(running: Any) -> None:
    """The sixth within ten seconds is answered 429; the SDK waits as `Retry-After` says and gets through."""
    began = time.monotonic()
    for number in range(6):
        result, _ = await demand(running, f"u{number:07d}")
        assert result["result"] == "Skipped"
    assert time.monotonic() - began > 5
