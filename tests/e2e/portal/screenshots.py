"""`make screenshots`: a picture of every screen, light and dark, wide and narrow, and what is wrong with any.

A domain, a service and agents are started for it, and end with it.
"""

from __future__ import annotations

import argparse
import asyncio
import shutil
import sys
from pathlib import Path

from dirbridge.cli.demo.domain import Domain
from tests.e2e import company
from tests.e2e.portal import screen
from tests.e2e.portal.desks import ADMINISTRATOR, administrator
from tests.e2e.portal.screen import Screen
from tests.e2e.portal.screens import SCREENS
from tests.e2e.portal.story import told
from tests.fixtures.postgres import open_folder

SIZES = {"wide": screen.WIDE, "narrow": screen.NARROW}
SETTLED = 800
"""Milliseconds in which a page's first changes arrive."""


async def take(folder: Path, chosen: list[str]) -> int:
    """Take the pictures; gives the number of faults."""
    place = open_folder("dirbridge-screens-")
    faults = 0
    try:
        async with Domain(company.REALM) as domain:
            await company.fill(domain)
            async with told(place, domain) as story, screen.chromium() as browser:
                password = await administrator(story.installation)
                async with screen.window(browser, story.installation.url) as window:
                    await window.sign_in(ADMINISTRATOR, password)
                    for name in chosen:
                        found = await _take_one(window, folder, name, story.path(SCREENS[name]))
                        faults += len(found)
                        print(f"{name}: {'; '.join(found) or 'well'}", flush=True)
    finally:
        shutil.rmtree(place, ignore_errors=True)
    return faults


async def _take_one(window: Screen, folder: Path, name: str, path: str) -> list[str]:
    found = []
    window.complaints.clear()
    await window.open(path)
    await window.page.wait_for_timeout(SETTLED)
    for size, viewport in SIZES.items():
        await window.page.set_viewport_size(viewport)  # type: ignore[arg-type]
        for scheme in ("light", "dark"):
            await window.page.emulate_media(color_scheme=scheme)  # type: ignore[arg-type]
            await window.page.screenshot(path=folder / f"{name}-{size}-{scheme}.png", full_page=True)
            found += [f"{size}, {scheme}: {fault}" for fault in await window.faults()]
    await window.page.set_viewport_size(screen.WIDE)  # type: ignore[arg-type]
    await window.page.emulate_media(color_scheme="light")
    return found


def main() -> int:
    """Take all pictures, or those that are named."""
    parser = argparse.ArgumentParser(prog="make screenshots", description=__doc__)
    parser.add_argument("names", nargs="*", help=f"screens to take; all, if none is named: {', '.join(SCREENS)}")
    parser.add_argument("--output", type=Path, default=Path("build/screenshots"), help="folder for the pictures")
    options = parser.parse_args()
    unknown = [name for name in options.names if name not in SCREENS]
    if unknown:
        parser.error(f"there is no screen '{unknown[0]}'")
    options.output.mkdir(parents=True, exist_ok=True)
    faults = asyncio.run(take(options.output, options.names or list(SCREENS)))
    print(f"The pictures are in {options.output}.")
    return 1 if faults else 0


if __name__ == "__main__":
    sys.exit(main())
