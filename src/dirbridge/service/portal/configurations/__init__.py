"""Configurations: a room for each page of one; `jobs` asks the API for what all of them show."""

from __future__ import annotations

from fastapi import APIRouter

from dirbridge.service.portal.configurations import (
    deletes,
    expressions,
    filtering,
    listing,
    mapping,
    mapping_rows,
    mapping_saving,
    on_demand,
    overview,
    preview,
    preview_changes,
    properties,
    schema,
    scope,
    steering,
)


def routers() -> tuple[APIRouter, ...]:
    """Give the routes of all pages; those with a name of their own come before those that take any."""
    return (
        listing.router,
        overview.router,
        steering.router,
        scope.router,
        filtering.router,
        on_demand.router,
        preview.router,
        preview_changes.router,
        deletes.router,
        properties.router,
        mapping.router,
        mapping_rows.router,
        mapping_saving.router,
        expressions.router,
        schema.router,
    )
