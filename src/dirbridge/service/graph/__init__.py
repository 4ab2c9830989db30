"""The API of the tenant: Microsoft Graph's, v1.0 and beta, as stock clients speak it.

A request meets `gate` (one form of path, headers), then a route here, which reads options (`odata`, `filters`), calls
the store or `tenant`, and answers; whatever is raised ends in `errors`.
"""

from __future__ import annotations

from collections.abc import Callable
from functools import cache
from typing import Any

from fastapi import APIRouter, FastAPI
from fastapi.routing import APIRoute, iter_route_contexts
from starlette.routing import Match
from starlette.types import Scope

from dirbridge.service.graph import (
    account,
    administrator_sign_in,
    administrators,
    agent_changes,
    agents,
    all_jobs,
    app_roles,
    applications,
    batch,
    browsing,
    contacts,
    credentials,
    deleted_items,
    delta,
    directories,
    directory_audits,
    entries,
    errors,
    escrows,
    expressions,
    gallery,
    groups,
    insights,
    job_actions,
    job_templates,
    jobs,
    log_counts,
    log_exports,
    me,
    member_groups,
    membership,
    on_premises,
    ondemand,
    origins,
    overview,
    owners,
    previews,
    provisioning_logs,
    retention,
    root,
    schema,
    scopes,
    secrets,
    service_principals,
    signing_keys,
    staged,
    steering,
    sync_behavior,
    synchronization,
    tenant,
    users,
)
from dirbridge.service.graph.gate import VERSIONS, GraphGate


def router() -> APIRouter:
    """Give all routes, under each version's prefix."""
    routes = APIRouter()
    for version in VERSIONS:
        for part in (
            batch,
            delta,
            me,
            users,
            groups,
            membership,
            member_groups,
            sync_behavior,
            contacts,
            deleted_items,
            tenant,
            applications,
            service_principals,
            credentials,
            app_roles,
            owners,
            expressions,
            schema,
            gallery,
            provisioning_logs,
            on_premises,
            directory_audits,
        ):
            routes.include_router(part.router, prefix=f"/{version}")
        for tree in synchronization.TREES:
            for below in (root, jobs, job_actions, job_templates, schema, directories, expressions, secrets, ondemand):
                routes.include_router(below.tree, prefix=f"/{version}{tree}")
    for tree in synchronization.TREES:
        routes.include_router(root.beta, prefix=f"/beta{tree}")
    for part in (agents, agent_changes):
        routes.include_router(part.router, prefix="/beta")
    routes.include_router(previews.router)
    routes.include_router(scopes.router)
    routes.include_router(browsing.router)
    routes.include_router(staged.router)
    routes.include_router(escrows.router)
    routes.include_router(all_jobs.router)
    routes.include_router(overview.router)
    routes.include_router(insights.router)
    routes.include_router(steering.router)
    routes.include_router(account.router)
    routes.include_router(administrators.router)
    routes.include_router(signing_keys.router)
    routes.include_router(administrator_sign_in.router)
    routes.include_router(schema.checks)
    routes.include_router(origins.router)
    routes.include_router(retention.router)
    routes.include_router(entries.router)
    routes.include_router(expressions.help_router)
    routes.include_router(log_counts.router)
    routes.include_router(log_exports.router)
    return routes


class _Route(APIRoute):
    """A route that is passed by where the path begins otherwise, as most are at each request."""

    def __init__(self, path: str, endpoint: Callable[..., Any], **options: Any) -> None:
        super().__init__(path, endpoint, **options)
        self._beginning = path.partition("{")[0]

    def matches(self, scope: Scope) -> tuple[Match, Scope]:
        """Say whether a request is for this route."""
        if not scope["path"].startswith(self._beginning):
            return Match.NONE, {}
        return super().matches(scope)


@cache
def routes() -> tuple[APIRoute, ...]:
    """Give all routes in one row.

    In an application they stand as they are, not as routers in routers: these are searched from end to end at each
    level, and once more by the level above, which took longer than most answers.
    """
    return tuple(
        _Route(
            str(each.path),
            each.endpoint,
            methods=each.methods,
            name=each.name,
            dependencies=each.dependencies,
            include_in_schema=each.include_in_schema,
        )
        for each in iter_route_contexts(router().routes)
        if each.endpoint is not None
    )


def install(app: FastAPI) -> None:
    """Give an application that has nothing of Graph yet its routes, error envelope and gate.

    Its state must hold `database`, `base_url`, `tokens` and `sealing`.
    """
    app.router.routes.extend(routes())
    errors.register(app)
    app.add_middleware(GraphGate)
