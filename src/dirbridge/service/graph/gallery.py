"""The gallery: the applications that can be instantiated, each the home of a configuration.

Source: Graph applicationTemplate and applicationServicePrincipal.
"""

from __future__ import annotations

import re
from typing import Annotated, Any
from uuid import UUID, uuid4

import msgspec
from fastapi import APIRouter, Depends, Request
from starlette.responses import Response

from dirbridge.service import templates
from dirbridge.service.auth.access import Caller, require
from dirbridge.service.auth.permissions import SYNCHRONIZERS
from dirbridge.service.graph import odata
from dirbridge.service.graph.context import body, context, database, guid
from dirbridge.service.graph.errors import bad_request, not_found
from dirbridge.service.graph.responses import GraphResponse
from dirbridge.service.graph.synchronization import OWNED, PrincipalReader, show_principal
from dirbridge.store import audits, identity

router = APIRouter()

Installer = Annotated[
    Caller, Depends(require("Application.ReadWrite.All", "Directory.ReadWrite.All", OWNED, roles=SYNCHRONIZERS))
]

# A DNS name of at least two labels; the length of labels and of the whole as RFC 1035 section 2.3.4 says.
_DOMAIN = re.compile(
    r"(?=.{3,253}$)[a-z0-9]([a-z0-9-]{0,61}[a-z0-9])?(\.[a-z0-9]([a-z0-9-]{0,61}[a-z0-9])?)+", re.IGNORECASE
)


class NewApplication(msgspec.Struct, rename="camel"):
    """The name of a new configuration: the DNS name of the domain that it reads."""

    display_name: Annotated[str, msgspec.Meta(min_length=1, max_length=256)]


@router.get("/applicationTemplates")
async def list_templates(request: Request, _caller: PrincipalReader) -> Response:
    """List what can be instantiated."""
    odata.read(request, frozenset({"format", "top"}))
    shown = [_shown(id) for id in templates.APPLICATIONS]
    return GraphResponse({"@odata.context": context(request, "applicationTemplates"), "value": shown})


@router.get("/applicationTemplates/{key}")
async def get_template(request: Request, key: str, _caller: PrincipalReader) -> Response:
    """Give one of them."""
    odata.read(request, frozenset({"format"}))
    id = guid(key)
    if id not in templates.APPLICATIONS:
        raise not_found("application template", key)
    return GraphResponse({"@odata.context": context(request, "applicationTemplates/$entity"), **_shown(id)})


def _shown(id: UUID) -> dict[str, Any]:
    return {
        "id": str(id),
        "displayName": templates.APPLICATIONS[id],
        "publisher": "dirbridge",
        "categories": [],
        "description": "Brings users, groups and contacts of an Active Directory domain into the tenant directory.",
        "homePageUrl": None,
        "logoUrl": None,
        "supportedProvisioningTypes": ["sync"],
        "supportedSingleSignOnModes": [],
    }


@router.post("/applicationTemplates/{key}/instantiate")
async def instantiate(request: Request, key: str, caller: Installer) -> Response:
    """Make the application under which a domain's jobs live."""
    template = guid(key)
    if template not in templates.APPLICATIONS:
        raise not_found("application template", key)
    wanted = await body(request, NewApplication)
    name = domain_name(wanted.display_name)
    principal, app = uuid4(), uuid4()
    async with database(request).transaction() as conn:
        await identity.add_service_principal(
            conn, caller.tenant, principal, app_id=app, display_name=name, template_id=template
        )
        await audits.record(
            conn, caller.tenant, actor=caller.actor, activity="Add service principal", target=str(principal)
        )
        made = await identity.service_principal(conn, caller.tenant, principal)
    shown = show_principal(made) if made else {}
    answer = {
        "@odata.context": context(request, "microsoft.graph.applicationServicePrincipal"),
        "application": {"id": str(app), "appId": str(app), "displayName": name, "applicationTemplateId": str(template)},
        # Scripts of the beta read `objectId`.
        "servicePrincipal": {**shown, "objectId": str(principal)},
    }
    return GraphResponse(answer, status_code=201)


def domain_name(text: str, member: str = "displayName") -> str:
    """Read the DNS name of a domain, which is what a configuration is called.

    Args:
        member: where it stands.

    Raises:
        GraphError: 400 where it is none.
    """
    name = text.strip().rstrip(".").lower()
    if not _DOMAIN.fullmatch(name):
        raise bad_request(
            f"{member} names the domain to synchronize by its DNS name, such as contoso.test; found '{text}'.",
            target=member,
        )
    return name
