"""An administrator's screen: Debian's Chromium, headless, that remembers everything a page complains of."""

from __future__ import annotations

import json
import re
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from playwright.async_api import Browser, ConsoleMessage, Page, async_playwright

CHROMIUM = "/usr/bin/chromium"
FLAGS = (
    "--no-sandbox", "--disable-gpu", "--disable-quic", "--no-first-run", "--disable-background-networking",
    "--disable-component-update", "--disable-sync",
)  # fmt: skip
"""Root has no sandbox; the others keep it from calling its maker's hosts."""

AXE = Path(__file__).parent / "third_party" / "node_modules" / "axe-core" / "axe.min.js"

WIDE = {"width": 1280, "height": 800}
NARROW = {"width": 390, "height": 844}

PATIENCE = 15_000
"""Milliseconds until what should be seen counts as missing."""


@dataclass
class Screen:
    """One window.

    Attributes:
        page: Playwright's.
        url: of the service.
        complaints: what the console said: errors, warnings and violations of the page's policy.
    """

    page: Page
    url: str
    complaints: list[str] = field(default_factory=list)

    async def open(self, path: str) -> None:
        """Go to a page of the portal."""
        answer = await self.page.goto(self.url + path)
        assert answer is not None
        assert answer.ok, f"{path}: {answer.status} {await self.page.inner_text('main')}"

    async def sign_in(self, name: str, password: str) -> None:
        """Sign in where the portal asks for it."""
        await self.page.goto(f"{self.url}/portal")
        await self.page.fill("#name", name)
        await self.page.fill("#password", password)
        await self.page.click("button[type=submit]")
        await self.page.wait_for_url(re.compile(r"/portal$"))

    async def axe(self) -> list[str]:
        """Say what axe finds on the page that is shown. It may run here although the page's policy lets no one in."""
        await self.page.evaluate(AXE.read_text())
        found: list[dict[str, Any]] = await self.page.evaluate("axe.run().then(result => result.violations)")
        return [
            f"{one['id']}: {one['help']} ({', '.join(' '.join(map(str, node['target'])) for node in one['nodes'][:3])})"
            for one in found
        ]

    async def faults(self) -> list[str]:
        """Say everything that is wrong with the page that is shown, whatever it shows."""
        wider: int = await self.page.evaluate("document.documentElement.scrollWidth - innerWidth")
        return [
            *self.complaints,
            *await self.axe(),
            *([f"the page is {wider} pixels wider than the window"] if wider > 0 else []),
        ]

    def _heard(self, message: ConsoleMessage) -> None:
        if message.type in {"error", "warning"}:
            self.complaints.append(f"{message.type}: {message.text} ({json.dumps(message.location)})")


@asynccontextmanager
async def chromium() -> AsyncIterator[Browser]:
    """A browser of its own, with a profile that goes away with it."""
    async with async_playwright() as playwright:
        browser = await playwright.chromium.launch(executable_path=CHROMIUM, args=FLAGS)
        try:
            yield browser
        finally:
            await browser.close()


@asynccontextmanager
async def window(browser: Browser, url: str, **options: Any) -> AsyncIterator[Screen]:
    """A window with cookies of its own.

    Args:
        browser: whose.
        url: of the service; its certificate is that of a private authority.
        **options: of Playwright's `new_context`.
    """
    context = await browser.new_context(**{"ignore_https_errors": True, "viewport": WIDE, **options})
    context.set_default_timeout(PATIENCE)
    try:
        page = await context.new_page()
        screen = Screen(page, url)
        page.on("console", screen._heard)
        page.on("pageerror", lambda error: screen.complaints.append(f"exception: {error}"))
        yield screen
    finally:
        await context.close()
