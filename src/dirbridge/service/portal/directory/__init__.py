"""Users and groups of the tenant: found, looked at, and the way back from each to its source."""

from __future__ import annotations

from fastapi import APIRouter

from dirbridge.service.portal.directory import listing, overview, relations, restoring


def routers() -> tuple[APIRouter, ...]:
    """Give the routes; those with fixed names come before those that take an id in their place."""
    return (listing.router, restoring.router, relations.router, overview.router)
