"""The provisioning log: filtered by what stands in the address, followed as it grows, opened, and taken along."""

from __future__ import annotations

from fastapi import APIRouter

from dirbridge.service.portal.logs import columns, download, event, listing


def routers() -> tuple[APIRouter, ...]:
    """Give the routes of all pages; those with fixed names come before the one that takes any event's id."""
    return (listing.router, columns.router, download.router, event.router)
