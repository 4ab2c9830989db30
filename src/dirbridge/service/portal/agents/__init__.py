"""Agents: a room for each page of one; `inventory` asks the API for what all of them show."""

from __future__ import annotations

from fastapi import APIRouter

from dirbridge.service.portal.agents import adding, listing, one, revoking, traces, updates


def routers() -> tuple[APIRouter, ...]:
    """Give the routes of all pages; those with a name of their own come before those that take any."""
    return (listing.router, adding.router, one.router, updates.router, traces.router, revoking.router)
