"""A new configuration, step by step. What is decided is kept in a paused job at once, so nothing is lost on the way."""

from __future__ import annotations

from fastapi import APIRouter

from dirbridge.service.portal.wizard import beginning, steps


def routers() -> tuple[APIRouter, ...]:
    """Give the routes of all steps."""
    return (beginning.router, steps.router)
