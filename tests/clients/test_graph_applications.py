"""msgraph-sdk for Python registers an application, which then signs in by itself and may do what it was granted."""

from __future__ import annotations

import secrets
from collections.abc import AsyncIterator
from typing import Any
from uuid import UUID

import pytest
import pytest_asyncio
from azure.core.exceptions import ClientAuthenticationError
from kiota_abstractions.base_request_configuration import RequestConfiguration
from msgraph.generated.applications.item.add_password.add_password_post_request_body import AddPasswordPostRequestBody
from msgraph.generated.applications.item.remove_password.remove_password_post_request_body import (
    RemovePasswordPostRequestBody,
)
from msgraph.generated.models.app_role_assignment import AppRoleAssignment
from msgraph.generated.models.application import Application
from msgraph.generated.models.key_credential import KeyCredential
from msgraph.generated.models.o_data_errors.o_data_error import ODataError
from msgraph.generated.models.password_credential import PasswordCredential
from msgraph.generated.models.service_principal import ServicePrincipal
from msgraph.generated.service_principals.service_principals_request_builder import ServicePrincipalsRequestBuilder

from tests.clients.cloud import MARKS, Cloud
from tests.clients.conftest import new_certificate

pytestmark = MARKS

GRAPH = "00000003-0000-0000-c000-000000000000"


@pytest_asyncio.fixture(loop_scope="session")
async def application(graph: Any) -> AsyncIterator[Application]:
    """A new application without any permission, removed in the end."""
    made = await graph.applications.post(Application(display_name=f"client-{secrets.token_hex(4)}"))
    yield made
    await graph.applications.by_application_id(made.id).delete()


@pytest_asyncio.fixture(loop_scope="session")
async def principal(graph: Any, application: Application) -> ServicePrincipal:
    """Its service principal."""
    return await graph.service_principals.post(ServicePrincipal(app_id=application.app_id))


async def grant(graph: Any, principal: ServicePrincipal, permission: str) -> None:
    """Assign an application permission of Graph."""
    options = ServicePrincipalsRequestBuilder.ServicePrincipalsRequestBuilderGetQueryParameters(
        filter=f"appId eq '{GRAPH}'"
    )
    (resource,) = (await graph.service_principals.get(RequestConfiguration(query_parameters=options))).value
    role = next(each.id for each in resource.app_roles if each.value == permission)
    assignments = graph.service_principals.by_service_principal_id(principal.id).app_role_assignments
    wanted = AppRoleAssignment(principal_id=UUID(principal.id), resource_id=UUID(resource.id), app_role_id=role)
    assert (await assignments.post(wanted)).app_role_id == role
    assert [each.app_role_id for each in (await assignments.get()).value] == [role]


async def test_an_application_acts_within_its_permissions(
    cloud: Cloud, graph: Any, application: Application, principal: ServicePrincipal
) -> None:
    """With a secret of its own: refused before it is granted anything, let in afterwards, and only there."""
    builder = graph.applications.by_application_id(application.id)
    body = AddPasswordPostRequestBody(password_credential=PasswordCredential(display_name="test"))
    made = await builder.add_password.post(body)
    its = {"CLIENT_ID": application.app_id, "CLIENT_SECRET": made.secret_text}
    before = cloud.run("azure-identity, with a client secret", **its)["token"].token
    assert await cloud.status("/users", before) == 403

    await grant(graph, principal, "User.Read.All")
    sdk = cloud.run("msgraph-sdk for Python", **its)
    assert (await sdk["graph"].users.get()).value
    with pytest.raises(ODataError) as refused:
        await sdk["graph"].groups.get()
    assert (refused.value.response_status_code, refused.value.error.code) == (403, "Authorization_RequestDenied")
    await sdk["http_client"]._transport.transport.aclose()

    await builder.remove_password.post(RemovePasswordPostRequestBody(key_id=made.key_id))
    with pytest.raises(ClientAuthenticationError, match="AADSTS7000215"):
        cloud.run("azure-identity, with a client secret", **its)


@pytest.mark.usefixtures("principal")
async def test_a_certificate_is_registered(cloud: Cloud, graph: Any, application: Application) -> None:
    """As a key credential of the application; without it, the same assertion is refused."""
    made = new_certificate(cloud.installation.folder / f"{application.app_id}.pem")
    values = {**made.values, "CLIENT_ID": application.app_id}
    with pytest.raises(ClientAuthenticationError, match="AADSTS700027"):
        cloud.run("azure-identity, with a certificate", **values)
    key = KeyCredential(type="AsymmetricX509Cert", usage="Verify", key=made.der, display_name="test")
    builder = graph.applications.by_application_id(application.id)
    await builder.patch(Application(key_credentials=[key]))
    (kept,) = (await builder.get()).key_credentials
    assert (kept.type, kept.usage, kept.display_name) == ("AsymmetricX509Cert", "Verify", "test")
    assert cloud.run("azure-identity, with a certificate", **values)["token"].token
    assert "access_token" in cloud.run("msal, with a certificate", **values)["result"]
