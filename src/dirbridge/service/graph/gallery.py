"""The gallery: the applications that can be instantiated, each the home of a configuration.

Source: Graph applicationTemplate and applicationServicePrincipal.
"""

from __future__ import annotations

import re
from datetime import UTC, datetime
from typing import Annotated, Any
from uuid import UUID, uuid4

import msgspec
from fastapi import APIRouter, Depends, Request
from starlette.responses import Response

from dirbridge.service import templates
from dirbridge.service.auth.access import Caller, require
from dirbridge.service.auth.applications import registrations
from dirbridge.service.auth.permissions import SYNCHRONIZERS
from dirbridge.service.graph import application_lists, odata
from dirbridge.service.graph.application_lists import OWNED
from dirbridge.service.graph.applications import act_of
from dirbridge.service.graph.context import body, context, database, guid
from dirbridge.service.graph.errors import bad_request, not_found
from dirbridge.service.graph.responses import GraphResponse
from dirbridge.service.graph.service_principals import Reader
from dirbridge.store.application_queries import Listed
from dirbridge.store.applications import Application

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
async def list_templates(request: Request, _caller: Reader) -> Response:
    """List what can be instantiated."""
    odata.read(request, frozenset({"format", "top"}))
    shown = [_shown(id) for id in templates.APPLICATIONS]
    return GraphResponse({"@odata.context": context(request, "applicationTemplates"), "value": shown})


@router.get("/applicationTemplates/{key}")
async def get_template(request: Request, key: str, _caller: Reader) -> Response:
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
        "description": templates.DESCRIPTIONS[templates.AD_PROVISIONING],
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
    new = Application(
        id=uuid4(), app_id=uuid4(), display_name=name, template_id=template, created_at=datetime.now(UTC),
        tags=["WindowsAzureActiveDirectoryIntegratedApp"],
    )  # fmt: skip
    async with database(request).transaction() as conn:
        await registrations.create(act_of(conn, caller), new, caller.object_id)
        application = await application_lists.shown(request, conn, caller, new, Listed.APPLICATIONS)
        principal = await application_lists.shown(request, conn, caller, new, Listed.PRINCIPALS)
    answer = {
        "@odata.context": context(request, "microsoft.graph.applicationServicePrincipal"),
        "application": application,
        # Scripts of the beta read `objectId`.
        "servicePrincipal": {**principal, "objectId": principal["id"]},
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
