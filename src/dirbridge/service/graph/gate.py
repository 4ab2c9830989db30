"""The first thing a Graph request meets: its path is brought to one form, its answer gets Graph's headers.

Clients write the same address in several ways: `/users('a@b')` or `/users/a@b`, `delta()` or `delta`, any case, with
or without a trailing slash. Routes know one form only.
"""

from __future__ import annotations

import json
import re
from uuid import uuid4

from starlette.datastructures import Headers, MutableHeaders
from starlette.requests import Request
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from dirbridge.service.graph import objects
from dirbridge.service.graph.errors import bad_request, envelope

VERSIONS = ("v1.0", "beta")

_SEGMENTS = {
    segment.lower(): segment
    for segment in (
        "acquireAccessToken",
        "addKey",
        "addPassword",
        "administrators",
        "agentGroups",
        "agents",
        "allow",
        "applications",
        "applicationTemplates",
        "appRoleAssignedTo",
        "appRoleAssignments",
        "archives",
        "auditLogs",
        "bulkUpload",
        "checkMemberGroups",
        "checkMemberObjects",
        "choose",
        "clearQuarantine",
        "contacts",
        "createdObjects",
        "deletedItems",
        "delta",
        "dirbridge",
        "directories",
        "directory",
        "directoryAudits",
        "directoryObjects",
        "directoryProvisioning",
        "directoryRoles",
        "directReports",
        "discover",
        "domains",
        "escrows",
        "filterOperators",
        "functions",
        "getByIds",
        "getMemberGroups",
        "getMemberObjects",
        "groups",
        "hybridAgentUpdaterConfiguration",
        "instantiate",
        "jobs",
        "manager",
        "me",
        "memberOf",
        "members",
        "onPremisesPublishingProfiles",
        "onPremisesSyncBehavior",
        "onPremisesSynchronization",
        "organization",
        "ownedObjects",
        "owners",
        "parseExpression",
        "pause",
        "Ping",
        "provisioning",
        "provisionOnDemand",
        "publishedResources",
        "registeredOwners",
        "reject",
        "releases",
        "removeKey",
        "removePassword",
        "repository",
        "resetPassword",
        "resetSecondFactor",
        "restart",
        "restore",
        "revokeSignInSessions",
        "roleManagement",
        "schema",
        "secrets",
        "servicePrincipals",
        "sessions",
        "signingKeys",
        "stagedRemovals",
        "start",
        "summary",
        "synchronization",
        "templates",
        "transitiveMemberOf",
        "transitiveMembers",
        "unlink",
        "unlock",
        "users",
        "validate",
        "validateCredentials",
        "validateProperties",
        "$batch",
        "$count",
        "$metadata",
        "$ref",
        "$value",
    )
}
_CASTS = {
    f"{prefix}.{name}".lower(): f"graph.{name}"
    for prefix in ("microsoft.graph", "graph")
    for name in (*objects.GRAPH_TYPES.values(), *objects.FOREIGN_TYPES)
}
_KEYED = re.compile(r"^([^/()]+)\((.*)\)$", re.DOTALL)


def normalise(path: str) -> str:
    """Give the one form of a path: known names in Graph's spelling, keys as segments, no empty parentheses."""
    segments: list[str] = []
    for segment in path.rstrip("/").split("/"):
        keyed = _KEYED.match(segment)
        if keyed is None:
            segments.append(_name(segment))
            continue
        name, key = keyed.groups()
        segments.append(_name(name))
        if key:
            segments.append(_key(key))
    return "/".join(segments)


def _name(segment: str) -> str:
    folded = segment.lower()
    # Functions may be called by their full name: `microsoft.graph.delta()`.
    return _CASTS.get(folded) or _SEGMENTS.get(folded.removeprefix("microsoft.graph.")) or segment


def _key(text: str) -> str:
    """Read a key in parentheses: `'value'`, `value` or `name='value'`; a named one keeps its name."""
    name, equals, value = text.partition("=")
    if equals and name.isidentifier():
        return f"{name}={_unquoted(value)}"
    return _unquoted(text)


def _unquoted(text: str) -> str:
    if len(text) >= 2 and text[0] == text[-1] == "'":
        return text[1:-1].replace("''", "'")
    return text


class GraphGate:
    """Middleware for everything under `/v1.0` and `/beta`; other paths pass untouched.

    What is put into the scope's `graph_headers` stands in the answer, whatever it becomes.
    """

    def __init__(self, app: ASGIApp) -> None:
        self.app = app

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http" or not scope["path"].lower().startswith(tuple(f"/{each}" for each in VERSIONS)):
            await self.app(scope, receive, send)
            return
        version, _, rest = scope["path"][1:].partition("/")
        if version.lower() not in VERSIONS:
            await self.app(scope, receive, send)
            return
        ids = _ids(Headers(scope=scope))
        path = f"/{version.lower()}{normalise('/' + rest)}"
        told: dict[str, str] = {}
        scope = {**scope, "path": path, "graph_ids": ids, "graph_version": version.lower(), "graph_headers": told}

        async def answer(message: Message) -> None:
            if message["type"] == "http.response.start":
                _complete(MutableHeaders(scope=message), ids | told)
            await send(message)

        if "\x00" in path or b"%00" in scope.get("query_string", b""):
            fault = bad_request("The address holds a NUL character, which no name or value may have.")
            await envelope(Request(scope), fault)(scope, receive, answer)
            return
        await self.app(scope, receive, answer)


def _ids(headers: Headers) -> dict[str, str]:
    request_id = str(uuid4())
    wanted = headers.get("client-request-id", "")
    sound = wanted.isascii() and wanted.isprintable() and 0 < len(wanted) <= 128
    return {"request-id": request_id, "client-request-id": wanted if sound else request_id}


def _complete(headers: MutableHeaders, told: dict[str, str]) -> None:
    for name, value in told.items():
        headers[name] = value
    headers["OData-Version"] = "4.0"
    headers["x-ms-ags-diagnostic"] = json.dumps({"ServerInfo": {"Slice": "E", "Ring": "1"}})
    headers["Strict-Transport-Security"] = "max-age=31536000"
    headers.setdefault("Cache-Control", "no-cache")
    if "vary" not in headers:
        headers["Vary"] = "Accept-Encoding"
