"""The portal: what an administrator sees and steers in a browser.

Pages are rendered here from what the API answers (`api`), so they show nothing else and allow nothing more than
the API does for the same person. What moves is sent again by itself (`live`). No page needs a script to be read.
"""

from __future__ import annotations

from fastapi import APIRouter

from dirbridge.service.portal import (
    agents,
    assets,
    audit,
    configurations,
    directory,
    insights,
    logs,
    overview,
    settings,
    wizard,
)


def routers() -> tuple[APIRouter, ...]:
    """Give the routes of all pages."""
    return (
        assets.router,
        overview.router,
        insights.router,
        *agents.routers(),
        # Their paths begin as those of a configuration do, which takes any name.
        *wizard.routers(),
        *configurations.routers(),
        *logs.routers(),
        audit.router,
        *directory.routers(),
        *settings.routers(),
    )
