"""The API of the tenant: Microsoft Graph's, v1.0 and beta, as stock clients speak it.

A request meets `gate` (one form of path, headers), then a route here, which reads options (`odata`, `filters`), calls
the store or `tenant`, and answers; whatever is raised ends in `errors`.
"""

from __future__ import annotations

from fastapi import APIRouter, FastAPI

from dirbridge.service.graph import (
    account,
    administrator_sign_in,
    administrators,
    agent_changes,
    agents,
    app_roles,
    applications,
    batch,
    contacts,
    credentials,
    deleted_items,
    delta,
    directories,
    directory_audits,
    errors,
    expressions,
    gallery,
    groups,
    job_actions,
    job_templates,
    jobs,
    me,
    member_groups,
    membership,
    on_premises,
    ondemand,
    owners,
    previews,
    provisioning_logs,
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
    routes.include_router(staged.router)
    routes.include_router(steering.router)
    routes.include_router(account.router)
    routes.include_router(administrators.router)
    routes.include_router(signing_keys.router)
    routes.include_router(administrator_sign_in.router)
    routes.include_router(schema.checks)
    return routes


def install(app: FastAPI) -> None:
    """Give an application that has nothing of Graph yet its routes, error envelope and gate.

    Its state must hold `database`, `base_url`, `tokens` and `sealing`.
    """
    app.include_router(router())
    errors.register(app)
    app.add_middleware(GraphGate)
