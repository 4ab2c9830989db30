"""Applications, service principals, their credentials, permissions and owners.

Source: Graph application, servicePrincipal, keyCredential, passwordCredential, appRole, permissionScope,
appRoleAssignment.
"""

from __future__ import annotations

from typing import Literal

import msgspec

from dirbridge.service.openapi.shapes import Entity, Selectable, Shape, Text


class KeyCredential(Shape, kw_only=True):
    """A certificate."""

    custom_key_identifier: str
    display_name: str
    end_date_time: str
    key: str
    key_id: str
    start_date_time: str
    type: Literal["AsymmetricX509Cert"]
    usage: Literal["Verify"]


class PasswordCredential(Shape, kw_only=True):
    """A client secret; `secretText` is there when it is made, and never again."""

    custom_key_identifier: Text
    display_name: str
    end_date_time: str
    hint: str
    key_id: str
    secret_text: Text
    start_date_time: str


class MadeKeyCredential(KeyCredential, kw_only=True):
    """A certificate that was added."""

    context: str = msgspec.field(name="@odata.context")


class MadePasswordCredential(PasswordCredential, kw_only=True):
    """A client secret that was made."""

    context: str = msgspec.field(name="@odata.context")


class AppRole(Shape, kw_only=True):
    """A permission that can be granted to applications."""

    allowed_member_types: list[str]
    description: str
    display_name: str
    id: str
    is_enabled: bool
    origin: str
    value: str


class PermissionScope(Shape, kw_only=True):
    """A permission that applications can have for people."""

    admin_consent_description: str
    admin_consent_display_name: str
    id: str
    is_enabled: bool
    type: str
    user_consent_description: Text
    user_consent_display_name: Text
    value: str


class ResourceAccess(Shape, kw_only=True):
    """A permission that an application says it needs."""

    id: str
    type: Literal["Role", "Scope"]


class RequiredResourceAccess(Shape, kw_only=True):
    """Permissions of one API."""

    resource_app_id: str
    resource_access: list[ResourceAccess]


class RedirectUris(Shape, kw_only=True):
    """Where people who signed in are sent back to."""

    redirect_uris: list[str]


class WebApplication(RedirectUris, kw_only=True):
    """The same for a web application."""

    home_page_url: Text
    logout_url: Text


class ApiApplication(Shape, kw_only=True):
    """What an application offers as an API."""

    oauth2_permission_scopes: list[PermissionScope] = msgspec.field(name="oauth2PermissionScopes")


class Application(Selectable, kw_only=True):
    """An application; its object id is its client id."""

    id: str
    deleted_date_time: Text
    app_id: str
    application_template_id: Text
    created_date_time: str
    description: Text
    display_name: str
    identifier_uris: list[str]
    is_fallback_public_client: bool
    sign_in_audience: str
    tags: list[str]
    api: ApiApplication
    app_roles: list[AppRole]
    public_client: RedirectUris
    required_resource_access: list[RequiredResourceAccess]
    spa: RedirectUris
    web: WebApplication
    key_credentials: list[KeyCredential]
    password_credentials: list[PasswordCredential]


class ServicePrincipal(Selectable, kw_only=True):
    """An application as the tenant lets it act."""

    id: str
    deleted_date_time: Text
    account_enabled: bool
    alternative_names: list[str]
    app_description: Text
    app_display_name: Text
    app_id: str
    application_template_id: Text
    app_owner_organization_id: str
    app_role_assignment_required: bool
    app_roles: list[AppRole]
    created_date_time: str
    description: Text
    display_name: str
    homepage: Text
    reply_urls: list[str]
    service_principal_names: list[str]
    service_principal_type: str
    sign_in_audience: str
    tags: list[str]
    key_credentials: list[KeyCredential]
    password_credentials: list[PasswordCredential]
    oauth2_permission_scopes: list[PermissionScope] | msgspec.UnsetType = msgspec.field(
        name="oauth2PermissionScopes", default=msgspec.UNSET
    )
    published_permission_scopes: list[PermissionScope] | msgspec.UnsetType = msgspec.UNSET


class InstantiatedPrincipal(ServicePrincipal, kw_only=True):
    """The service principal of an instantiation; `objectId` is its id once more."""

    object_id: str


class ApplicationServicePrincipal(Entity, kw_only=True):
    """What an instantiation made."""

    application: Application
    service_principal: InstantiatedPrincipal


class AppRoleAssignment(Entity, kw_only=True):
    """A permission that a service principal was granted."""

    id: str
    deleted_date_time: Text
    app_role_id: str
    created_date_time: Text
    principal_display_name: str
    principal_id: str
    principal_type: Literal["ServicePrincipal"]
    resource_display_name: str
    resource_id: str


class Owner(Shape, kw_only=True):
    """Who owns an application: another one, or an administrator."""

    odata_type: Literal["#microsoft.graph.servicePrincipal", "#microsoft.graph.user"] = msgspec.field(
        name="@odata.type"
    )
    id: str
    display_name: str
    app_id: str | msgspec.UnsetType = msgspec.UNSET
    user_principal_name: str | msgspec.UnsetType = msgspec.UNSET
