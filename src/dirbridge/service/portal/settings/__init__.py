"""Settings of the tenant: who administers it, which applications act in it, who is told of what, what is kept."""

from __future__ import annotations

from fastapi import APIRouter

from dirbridge.service.portal.settings import (
    administrator_acts,
    administrators,
    application_acts,
    applications,
    index,
    notifications,
    retention,
    tenant,
)


def routers() -> tuple[APIRouter, ...]:
    """Give the routes; those with fixed names come before those that take an id in their place."""
    parts = (
        index, retention, notifications, tenant, administrators, administrator_acts, applications, application_acts,
    )  # fmt: skip
    return tuple(part.router for part in parts)
