"""Applications, service principals, their credentials, permissions and owners, and the gallery."""

from __future__ import annotations

from dirbridge.service.graph import (
    app_roles,
    application_bodies,
    application_views,
    credentials,
    gallery,
    membership,
    odata,
)
from dirbridge.service.openapi.operations import (
    FEW,
    Body,
    Operation,
    Options,
    Table,
    acts,
    answers,
    counts,
    gives,
    lists,
    makes,
    options,
)
from dirbridge.service.openapi.shapes.applications import (
    Application,
    ApplicationServicePrincipal,
    AppRoleAssignment,
    MadeKeyCredential,
    MadePasswordCredential,
    Owner,
    ServicePrincipal,
)
from dirbridge.service.openapi.shapes.synchronization import ApplicationTemplate
from dirbridge.store.application_queries import Order

_ORDERS = [str(each) for each in Order if each is not Order.ID]
_COUNT = counts(Options(frozenset({"filter", "search"}), eventual=True))
_ASSIGNED = lists(AppRoleAssignment, options("format", "top", "count"))


def _names(kind: str) -> list[str]:
    """Give the properties of a type in any version."""
    return sorted({
        name for version in ("v1.0", "beta") for name in application_views.properties(kind, version).values()
    })  # fmt: skip


def _list(of: type, kind: str) -> Operation:
    asked = Options(odata.LIST | {"search"}, select=_names(kind), orders=_ORDERS, eventual=True)
    return lists(of, asked)


def _one(of: type, kind: str) -> Operation:
    return gives(of, Options(odata.ITEM, select=_names(kind)))


APPLICATIONS: Table = {
    "graph.applications.list_applications": _list(Application, "application"),
    "graph.applications.count_applications": _COUNT,
    "graph.applications.get_application": _one(Application, "application"),
    "graph.applications.create": makes(
        Application,
        Body(application_bodies.ApplicationWish, required=("displayName",), name="NewApplicationWish"),
        refusals=(404,),
    ),
    "graph.applications.change": acts(application_bodies.ApplicationWish),
    "graph.applications.remove": acts(),
    "graph.service_principals.list_principals": _list(ServicePrincipal, "servicePrincipal"),
    "graph.service_principals.count_principals": _COUNT,
    "graph.service_principals.get_principal": _one(ServicePrincipal, "servicePrincipal"),
    "graph.service_principals.create": makes(ServicePrincipal, application_bodies.NewPrincipal, refusals=(409,)),
    "graph.service_principals.change": acts(application_bodies.PrincipalWish),
    "graph.service_principals.remove": acts(),
    "graph.credentials.add_password": answers(MadePasswordCredential, Body(credentials.NewPassword, optional=True)),
    "graph.credentials.remove_password": acts(credentials.NamedPassword),
    "graph.credentials.add_key": answers(MadeKeyCredential, credentials.NewKey, refusals=(403,)),
    "graph.credentials.remove_key": acts(credentials.NamedKey, refusals=(403,)),
    "graph.app_roles.list_assignments": _ASSIGNED,
    "graph.app_roles.list_assigned": _ASSIGNED,
    "graph.app_roles.get_assignment": gives(AppRoleAssignment),
    "graph.app_roles.grant": makes(AppRoleAssignment, app_roles.Assignment, located=False),
    "graph.app_roles.revoke": acts(),
    "graph.owners.list_owners": lists(Owner, FEW),
    "graph.owners.list_references": lists("ObjectReference", FEW),
    "graph.owners.add_owner": acts(membership.Address),
    "graph.owners.remove_owner": acts(),
    "graph.gallery.list_templates": lists(ApplicationTemplate, FEW),
    "graph.gallery.get_template": gives(ApplicationTemplate),
    "graph.gallery.instantiate": makes(ApplicationServicePrincipal, gallery.NewApplication, located=False),
}
