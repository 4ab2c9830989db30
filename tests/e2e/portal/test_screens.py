"""Every screen when everything has happened: nothing on it is wrong. `make screenshots` looks at more of each."""

from __future__ import annotations

from pathlib import Path

import pytest

from dirbridge.cli.demo.domain import Domain
from dirbridge.service import portal
from tests.e2e.portal import screen
from tests.e2e.portal.desks import ADMINISTRATOR, administrator
from tests.e2e.portal.screens import NOT_SCREENS, SCREENS
from tests.e2e.portal.story import told

pytestmark = [pytest.mark.service]


def _shape(path: str) -> str:
    """Give a path without the names of its keys."""
    return "/".join("{}" if part.startswith("{") else part for part in path.partition("?")[0].split("/"))


def test_every_page_has_a_picture() -> None:
    """A page that is added is looked at, or it is said here why it is none."""
    routes = {
        _shape(route.path)
        for router in portal.routers()
        for route in router.routes
        if "GET" in (getattr(route, "methods", None) or ())
    }
    shown, others = {_shape(path) for path in SCREENS.values()}, {_shape(path) for path in NOT_SCREENS}
    assert routes - shown - others == set()
    assert (shown | others) - routes == set()


@pytest.mark.samba
@pytest.mark.timeout(900)
async def test_nothing_is_wrong_with_any_screen(place: Path, pristine: Domain) -> None:
    """No error in the console, no violation of the policy, nothing that axe finds, nothing wider than the window."""
    found = {}
    async with (
        await pristine.copy() as domain,
        told(place, domain) as story,
        screen.chromium() as browser,
        screen.window(browser, story.installation.url) as window,
    ):
        await window.sign_in(ADMINISTRATOR, await administrator(story.installation))
        for name, path in SCREENS.items():
            window.complaints.clear()
            await window.open(story.path(path))
            for viewport, scheme in ((screen.WIDE, "light"), (screen.NARROW, "dark")):
                await window.page.set_viewport_size(viewport)  # type: ignore[arg-type]
                await window.page.emulate_media(color_scheme=scheme)  # type: ignore[arg-type]
                found[name, viewport["width"], scheme] = await window.faults()
    assert {where: faults for where, faults in found.items() if faults} == {}
