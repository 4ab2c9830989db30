"""msgraph-sdk for Python reads the provisioning log and the audit trail."""

from __future__ import annotations

from typing import Any

import pytest
from kiota_abstractions.base_request_configuration import RequestConfiguration
from msgraph.generated.audit_logs.directory_audits.directory_audits_request_builder import DirectoryAuditsRequestBuilder
from msgraph.generated.audit_logs.provisioning.provisioning_request_builder import ProvisioningRequestBuilder
from msgraph.generated.models.initiator_type import InitiatorType
from msgraph.generated.models.o_data_errors.o_data_error import ODataError
from msgraph.generated.models.provisioning_action import ProvisioningAction
from msgraph.generated.models.provisioning_object_summary import ProvisioningObjectSummary
from msgraph.generated.models.provisioning_result import ProvisioningResult
from msgraph_core import PageIterator

from tests.clients.cloud import MARKS, Cloud
from tests.clients.conftest import GROUPS, USERS

pytestmark = MARKS


def provisioning(**options: Any) -> RequestConfiguration[Any]:
    return RequestConfiguration(
        query_parameters=ProvisioningRequestBuilder.ProvisioningRequestBuilderGetQueryParameters(**options)
    )


def audits(**options: Any) -> RequestConfiguration[Any]:
    return RequestConfiguration(
        query_parameters=DirectoryAuditsRequestBuilder.DirectoryAuditsRequestBuilderGetQueryParameters(**options)
    )


async def every(page: Any, adapter: Any) -> list[Any]:
    """Read all items of all pages."""
    found: list[Any] = []

    def take(item: Any) -> bool:
        found.append(item)
        return True

    await PageIterator(page, adapter).iterate(take)
    return found


async def test_created_objects_are_in_the_log(graph: Any, sdk: dict[str, Any], cloud: Cloud) -> None:
    """Page by page, in the order asked for, each once; users and groups of the first cycle."""
    chosen = f"jobId eq '{cloud.installation.job.rpartition('/')[2]}' and provisioningAction eq 'create'"
    page = await graph.audit_logs.provisioning.get(
        provisioning(filter=chosen, orderby=["activityDateTime asc"], top=25)
    )
    assert len(page.value) == 25
    assert page.odata_next_link
    found: list[ProvisioningObjectSummary] = await every(page, sdk["adapter"])
    assert len(found) == len({each.id for each in found}) == USERS + GROUPS
    times = [each.activity_date_time for each in found]
    assert times == sorted(times)
    one = found[0]
    assert one.provisioning_action == ProvisioningAction.Create
    assert one.provisioning_status_info.status == ProvisioningResult.Success
    assert one.provisioning_status_info.error_information is None
    assert one.initiated_by.initiator_type == InitiatorType.System
    assert one.service_principal.id == cloud.configuration
    assert one.target_system.display_name == "Azure Active Directory"
    assert one.provisioning_steps[0].name == "EntryImportAdd"
    assert {each.display_name for each in one.modified_properties} >= {"DisplayName", "AccountEnabled"}


async def test_one_entry_is_found_by_its_source(graph: Any) -> None:
    """By name and kind; and read again by its id."""
    chosen = "contains(sourceIdentity/displayName, 'Kowalski') and sourceIdentity/identityType eq 'user'"
    page = await graph.audit_logs.provisioning.get(provisioning(filter=chosen))
    assert page.value
    assert all("Kowalski" in each.source_identity.display_name for each in page.value)
    one = page.value[0]
    again = await graph.audit_logs.provisioning.by_provisioning_object_summary_id(one.id).get()
    assert (again.change_id, again.activity_date_time) == (one.change_id, one.activity_date_time)


async def test_filter_that_cannot_be_read_is_refused(graph: Any) -> None:
    """With the code for it, and a message that shows what was met."""
    with pytest.raises(ODataError) as refused:
        await graph.audit_logs.provisioning.get(provisioning(filter="colour eq 'red'"))
    assert refused.value.response_status_code == 400
    assert refused.value.error.code == "BadRequest"
    assert "colour" in refused.value.error.message


async def test_administrative_acts_are_in_the_audit_trail(graph: Any, cloud: Cloud) -> None:
    """Who did what to which object, newest first."""
    chosen = "activityDisplayName eq 'Add provisioning configuration'"
    page = await graph.audit_logs.directory_audits.get(audits(filter=chosen, top=5))
    made = page.value[-1]
    assert made.target_resources[0].id.startswith("AD2AADProvisioning.")
    assert made.initiated_by.app.app_id == cloud.values["CLIENT_ID"]
    times = [each.activity_date_time for each in page.value]
    assert times == sorted(times, reverse=True)
    again = await graph.audit_logs.directory_audits.by_directory_audit_id(made.id).get()
    assert again.activity_display_name == "Add provisioning configuration"
