"""What clients write of applications and service principals, checked and put onto the row.

Stock clients send whole objects back: a property that is not kept here passes where it says nothing (null, false,
empty), and is refused where it says something.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Annotated, Any, Literal, TypeVar
from urllib.parse import urlsplit
from uuid import UUID

import msgspec
from fastapi import Request
from msgspec import UNSET, UnsetType

from dirbridge.contract.entry import text_fault
from dirbridge.service.auth.applications import graph_resource
from dirbridge.service.graph.context import body
from dirbridge.service.graph.credential_keys import KeyCredential
from dirbridge.service.graph.errors import GraphError, bad_request
from dirbridge.store.applications import Application

Wish = TypeVar("Wish", bound=msgspec.Struct)

AUDIENCE = "AzureADMyOrg"
MOST_URIS = 256

_LOOPBACK = frozenset({"localhost", "127.0.0.1", "::1"})
_SCHEME = re.compile(r"[a-z][a-z0-9+.-]{0,63}")
_FORBIDDEN_SCHEMES = frozenset({
    "about", "blob", "data", "file", "filesystem", "ftp", "javascript", "vbscript", "view-source", "ws", "wss",
})  # fmt: skip

Name = Annotated[str, msgspec.Meta(min_length=1, max_length=256)]
Text = Annotated[str, msgspec.Meta(max_length=1024)]
Tags = Annotated[list[Annotated[str, msgspec.Meta(min_length=1, max_length=256)]], msgspec.Meta(max_length=100)]


class ResourceAccess(msgspec.Struct):
    """A permission that an application says it needs."""

    id: UUID
    type: Literal["Role", "Scope"]


class RequiredResourceAccess(msgspec.Struct, rename="camel"):
    """The permissions of one API."""

    resource_app_id: UUID
    resource_access: Annotated[list[ResourceAccess], msgspec.Meta(max_length=400)]


class ApplicationWish(msgspec.Struct, rename="camel"):
    """What a client may say of an application; what it leaves out stays as it is."""

    display_name: Name | UnsetType = UNSET
    description: Text | UnsetType | None = UNSET
    tags: Tags | UnsetType = UNSET
    sign_in_audience: str | UnsetType | None = UNSET
    is_fallback_public_client: bool | UnsetType | None = UNSET
    web: dict[str, Any] | UnsetType | None = UNSET
    public_client: dict[str, Any] | UnsetType | None = UNSET
    required_resource_access: Annotated[list[RequiredResourceAccess], msgspec.Meta(max_length=50)] | UnsetType = UNSET
    key_credentials: list[KeyCredential] | UnsetType = UNSET


class PrincipalWish(msgspec.Struct, rename="camel"):
    """What a client may say of a service principal."""

    display_name: Name | UnsetType = UNSET
    description: Text | UnsetType | None = UNSET
    tags: Tags | UnsetType = UNSET
    account_enabled: bool | UnsetType = UNSET
    key_credentials: list[KeyCredential] | UnsetType = UNSET


class NewPrincipal(PrincipalWish, rename="camel", kw_only=True):
    """A service principal to be made, for an application that is registered."""

    app_id: UUID


async def read(request: Request, shape: type[Wish]) -> Wish:
    """Read a body.

    Raises:
        GraphError: 400 that names the property.
    """
    given = await body(request, dict[str, Any])
    known = {field.encode_name for field in msgspec.structs.fields(shape)}
    try:
        wish = msgspec.convert(_known(given, known), shape)
    except msgspec.ValidationError as error:
        raise bad_request(f"The body does not fit: {error}") from error
    for name in ("display_name", "description", "tags"):
        value = getattr(wish, name)
        for text in value if isinstance(value, list) else [value]:
            fault = text_fault(text) if isinstance(text, str) else None
            if fault is not None:
                raise GraphError(400, "Request_BadRequest", f"The value of '{name}' {fault}.", target=name)
    return wish


def _known(given: Mapping[str, Any], known: set[str]) -> dict[str, Any]:
    for name, value in given.items():
        if name not in known and not name.startswith("@odata.") and not _says_nothing(value):
            raise bad_request(
                f"The property '{name[:80]}' cannot be set here. Supported: {', '.join(sorted(known))}.",
                code="Request_BadRequest",
                target=name[:80],
            )
    return {name: value for name, value in given.items() if name in known}


def _says_nothing(value: object) -> bool:
    if isinstance(value, dict):
        return all(_says_nothing(each) for each in value.values())
    return value in (None, False, "", []) if isinstance(value, str | bool | list | None) else False


def application(before: Application, wish: ApplicationWish) -> Application:
    """Put what a client says of an application onto it.

    Raises:
        GraphError: 400 for an audience, address or permission that there cannot be.
    """
    if wish.sign_in_audience not in {UNSET, None, AUDIENCE}:
        raise bad_request(
            f"signInAudience is '{wish.sign_in_audience}'; this service has one tenant, so {AUDIENCE} is expected.",
            code="Request_BadRequest", target="signInAudience",
        )  # fmt: skip
    public_before = before.public_redirect_uris
    web = _redirects(wish.web, "web", [each for each in before.redirect_uris if each not in public_before])
    public = _redirects(wish.public_client, "publicClient", public_before)
    required = {} if wish.required_resource_access is UNSET else _required(wish.required_resource_access)
    return msgspec.structs.replace(
        before,
        **_set(display_name=wish.display_name, description=wish.description, tags=wish.tags),
        redirect_uris=[*web, *(each for each in public if each not in web)],
        public_redirect_uris=public,
        is_public=_is_public(before, wish, public),
        **required,
    )


def principal(before: Application, wish: PrincipalWish) -> Application:
    """Put what a client says of a service principal onto its application."""
    changes = _set(
        display_name=wish.display_name, description=wish.description, tags=wish.tags, is_enabled=wish.account_enabled
    )
    return msgspec.structs.replace(before, **changes)


def _set(**values: Any) -> dict[str, Any]:
    return {name: value for name, value in values.items() if value is not UNSET}


def _is_public(before: Application, wish: ApplicationWish, uris: list[str]) -> bool:
    """Whoever registers an address of a device says thereby that its application can keep no secret."""
    if isinstance(wish.is_fallback_public_client, bool):
        return wish.is_fallback_public_client
    return before.is_public or bool(set(uris) - set(before.public_redirect_uris))


def _redirects(given: dict[str, Any] | UnsetType | None, name: str, before: list[str]) -> list[str]:
    if given is UNSET or given is None:
        return before
    for other in given.keys() - {"redirectUris"}:
        if not _says_nothing(given[other]):
            raise bad_request(
                f"The property '{name}/{other[:80]}' cannot be set here. Supported: {name}/redirectUris.",
                code="Request_BadRequest", target=name,
            )  # fmt: skip
    try:
        uris = msgspec.convert(given.get("redirectUris", before), list[str])
    except msgspec.ValidationError as error:
        raise bad_request(f"The body does not fit: {error} in {name}/redirectUris") from error
    if len(uris) > MOST_URIS:
        raise bad_request(f"{name}/redirectUris has {len(uris):,} addresses, at most {MOST_URIS} are kept.")
    for uri in uris:
        fault = _fault(uri, for_device=name == "publicClient")
        if fault:
            raise bad_request(
                f"The redirect URI '{uri[:200]}' is refused: {fault}.", code="InvalidRedirectUri", target=name
            )
    return list(dict.fromkeys(uris))


def _fault(uri: str, *, for_device: bool) -> str:
    """Say why nobody is to be sent to an address; empty where all is well. Source: RFC 6749 3.1.2, RFC 8252 7."""
    if not uri.isascii() or not uri.isprintable() or any(each in uri for each in ' "<>\\^`{|}*') or len(uri) > 256:
        return "it has more than 256 characters, or such as an address has not"
    try:
        parts = urlsplit(uri)
        host, _ = parts.hostname, parts.port
    except ValueError:
        return "it is no address"
    if "#" in uri or parts.username is not None:
        return "it has a fragment or a user's name in it"
    if parts.scheme in {"http", "https"}:
        if not host:
            return "it names no host"
        return "" if parts.scheme == "https" or host in _LOOPBACK else "it is neither https nor http://localhost"
    if not for_device or not _SCHEME.fullmatch(parts.scheme) or parts.scheme in _FORBIDDEN_SCHEMES:
        return "an address with https is expected" + (", or one of the application's own scheme" if for_device else "")
    return ""


def _required(wanted: list[RequiredResourceAccess]) -> dict[str, Any]:
    """Read what an application says that it needs; what it needs for people is what people can allow it."""
    known = {"Role": graph_resource.app_roles(), "Scope": graph_resource.scopes()}
    for each in wanted:
        if each.resource_app_id != graph_resource.APP_ID:
            raise _unknown(f"The API '{each.resource_app_id}' is not known; there is {graph_resource.APP_ID}")
        for access in each.resource_access:
            if access.id not in known[access.type]:
                raise _unknown(f"There is no permission '{access.id}' of the type {access.type}")
    delegated = {known["Scope"][one.id] for each in wanted for one in each.resource_access if one.type == "Scope"}
    own = {known["Role"][one.id] for each in wanted for one in each.resource_access if one.type == "Role"}
    return {"required_permissions": sorted(own), "delegated_permissions": sorted(delegated)}


def _unknown(said: str) -> GraphError:
    return bad_request(f"{said}.", code="Request_BadRequest", target="requiredResourceAccess")
