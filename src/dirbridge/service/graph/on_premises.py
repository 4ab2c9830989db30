"""The tenant's settings for everything that comes from directories on premises: one object, its guard and switches.

Source: Graph onPremisesDirectorySynchronization. The job's own delete threshold is among its secrets and settings.
"""

from __future__ import annotations

from typing import Annotated, Any, get_args

import msgspec
from fastapi import APIRouter, Depends, Request
from starlette.responses import Response

from dirbridge.engine import guard
from dirbridge.service.auth.access import Caller, require
from dirbridge.service.auth.permissions import HYBRID
from dirbridge.service.graph import job_settings, odata
from dirbridge.service.graph.context import context, database, exact_body, version
from dirbridge.service.graph.errors import bad_request, not_found
from dirbridge.service.graph.responses import GraphResponse, no_content
from dirbridge.store import audits, tenant_settings
from dirbridge.tenant import features

router = APIRouter()

ROOT = "/directory/onPremisesSynchronization"
_WRITE = "OnPremDirectorySynchronization.ReadWrite.All"
Lister = Annotated[Caller, Depends(require("OnPremDirectorySynchronization.Read.All", _WRITE, roles=HYBRID))]
Writer = Annotated[Caller, Depends(require(_WRITE, roles=HYBRID))]

NEVER = {
    "passwordSyncEnabled": "password hashes are not synchronized",
    "passwordWritebackEnabled": "Graph does not let it be changed either",
}
"""Features that cannot be turned on, with the reason."""

PREVENTION: dict[str, Any] = msgspec.to_builtins(guard.Guard())
_KINDS: dict[str, str] = {kind.lower(): kind for kind in get_args(guard.Kind)}


class Prevention(msgspec.Struct, rename="camel", forbid_unknown_fields=True):
    """The tenant's guard against deletes by accident."""

    alert_threshold: Annotated[int, msgspec.Meta(ge=0, le=2_147_483_647)] | None = None
    synchronization_prevention_type: str | None = None


class Configuration(msgspec.Struct, rename="camel", forbid_unknown_fields=True):
    """The configuration: the guard, what a client keeps with it, and what may come along as it is, which is null."""

    accidental_deletion_prevention: Prevention | None = None
    anchor_attribute: str | msgspec.UnsetType | None = msgspec.UNSET
    customer_requested_synchronization_interval: str | msgspec.UnsetType | None = msgspec.UNSET
    synchronization_client_version: str | msgspec.UnsetType | None = msgspec.UNSET
    application_id: str | None = None
    current_export_data: dict[str, Any] | None = None
    synchronization_interval: str | None = None
    writeback_configuration: dict[str, Any] | None = None


class Change(msgspec.Struct, forbid_unknown_fields=True):
    """What is to be changed; the rest stays."""

    id: str | None = None
    configuration: Configuration | None = None
    features: dict[str, Any] | None = None


@router.get(ROOT)
async def list_settings(request: Request, caller: Lister) -> Response:
    """Give the one object, as a list."""
    query = odata.read(request, odata.ITEM)
    shown = _selected(await _shown(request, caller), query)
    return GraphResponse({"@odata.context": context(request, "directory/onPremisesSynchronization"), "value": [shown]})


@router.get(ROOT + "/{key}")
async def get_settings(request: Request, key: str, caller: Writer) -> Response:
    """Give the one object."""
    query = odata.read(request, odata.ITEM)
    _check(key, caller)
    shown = _selected(await _shown(request, caller), query)
    return GraphResponse({"@odata.context": context(request, "directory/onPremisesSynchronization/$entity"), **shown})


@router.patch(ROOT + "/{key}")
async def change_settings(request: Request, key: str, caller: Writer) -> Response:
    """Change what the body names."""
    _check(key, caller)
    wanted = await exact_body(request, Change)
    if wanted.id is not None:
        _check(wanted.id, caller)
    async with database(request).transaction() as conn:
        stored = await tenant_settings.get(conn, caller.tenant, tenant_settings.ON_PREMISES, lock=True)
        kept = {
            "configuration": stored.get("configuration", {}) | _configuration(wanted.configuration, stored),
            "features": stored.get("features", {}) | _features(wanted.features or {}),
        }
        await tenant_settings.put(conn, caller.tenant, tenant_settings.ON_PREMISES, kept)
        await audits.record(
            conn,
            caller.tenant,
            actor=caller.actor,
            activity="Update on-premises synchronization",
            target=str(caller.tenant),
            detail=kept,
        )
    return no_content()


def _check(key: str, caller: Caller) -> None:
    if key.lower() != str(caller.tenant):
        raise not_found("onPremisesDirectorySynchronization", key)


async def _shown(request: Request, caller: Caller) -> dict[str, Any]:
    async with database(request).connection() as conn:
        stored = await tenant_settings.get(conn, caller.tenant, tenant_settings.ON_PREMISES)
    kept = stored.get("configuration", {})
    configuration = {"accidentalDeletionPrevention": PREVENTION | kept.get("accidentalDeletionPrevention", {})}
    if version(request) == "beta":
        configuration |= dict.fromkeys(_BETA) | {name: value for name, value in kept.items() if name in _BETA}
    shown = dict(sorted(features.of(stored).items()))
    return {"id": str(caller.tenant), "configuration": configuration, "features": shown}


_INTERVAL = "customerRequestedSynchronizationInterval"
_BETA = ("anchorAttribute", "applicationId", "currentExportData", _INTERVAL,
         "synchronizationClientVersion", "synchronizationInterval", "writebackConfiguration")  # fmt: skip
_WRITABLE = ("anchorAttribute", _INTERVAL, "synchronizationClientVersion")


def _selected(shown: dict[str, Any], query: odata.Query) -> dict[str, Any]:
    if query.select is None:
        return shown
    unknown = [name for name in query.select if name not in shown]
    if unknown:
        raise bad_request(f"$select knows {', '.join(shown)} here; found '{unknown[0]}'.")
    return {name: shown[name] for name in query.select}


def _configuration(wanted: Configuration | None, stored: dict[str, Any]) -> dict[str, Any]:
    if wanted is None:
        return {}
    named = msgspec.to_builtins(wanted)
    _check_kept(named)
    given: dict[str, Any] = {name: value for name, value in named.items() if name in _WRITABLE}
    prevention = wanted.accidental_deletion_prevention
    if prevention is None:
        return given
    kept = PREVENTION | stored.get("configuration", {}).get("accidentalDeletionPrevention", {})
    if prevention.synchronization_prevention_type is not None:
        kept["synchronizationPreventionType"] = _kind(prevention.synchronization_prevention_type)
    if prevention.alert_threshold is not None:
        kept["alertThreshold"] = prevention.alert_threshold
    if kept["synchronizationPreventionType"] == "enabledForPercentage" and int(str(kept["alertThreshold"])) > 100:
        raise bad_request(
            f"alertThreshold is a percentage here and can be 100 at most; found {kept['alertThreshold']}.",
            target="configuration/accidentalDeletionPrevention/alertThreshold",
        )
    return given | {"accidentalDeletionPrevention": kept}


def _check_kept(named: dict[str, Any]) -> None:
    for name in _BETA:
        if name not in _WRITABLE and named.get(name) is not None:
            raise bad_request(
                f"'{name}' cannot be changed: it is null, as agents and not a synchronization client report to it.",
                target=f"configuration/{name}",
                inner="propertyNotUpdateable",
            )
    wish = named.get(_INTERVAL)
    if wish is not None and job_settings.read_duration(wish) is None:
        raise bad_request(
            f"{_INTERVAL} expects a duration such as PT30M; found '{wish:.80}'.", target=f"configuration/{_INTERVAL}"
        )


def _kind(text: str) -> str:
    kind = _KINDS.get(text.lower())
    if kind is None:
        raise bad_request(f"synchronizationPreventionType expects one of {', '.join(_KINDS.values())}; found '{text}'.")
    return kind


def _features(wanted: dict[str, Any]) -> dict[str, bool]:
    """Read the features that are to be changed; null leaves one as it is, as in Graph."""
    given = {name: value for name, value in wanted.items() if value is not None}
    known = features.ON + features.OFF
    for name, value in given.items():
        if name not in known or not isinstance(value, bool):
            what = "true or false" if name in known else f"names of {', '.join(sorted(known))}"
            raise bad_request(f"features expects {what}; found '{name}': {value!r:.80}.", target=f"features/{name}")
        if value and name in NEVER:
            raise bad_request(f"'{name}' cannot be turned on: {NEVER[name]}.", target=f"features/{name}")
    return given
