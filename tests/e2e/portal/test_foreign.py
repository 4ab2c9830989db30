"""A page of somebody else, open beside the portal in the same browser: it can neither frame it nor act through it."""

from __future__ import annotations

import functools
import http.server
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from urllib.parse import quote

import pytest

from tests.e2e import company
from tests.e2e.harness import Installation
from tests.e2e.portal import screen
from tests.e2e.portal.desks import ADMINISTRATOR, administrator

pytestmark = [pytest.mark.service, pytest.mark.timeout(300)]

PAGE = """<!doctype html><title>Win a prize</title>
<iframe id="frame" src="{portal}/portal"></iframe>
<form id="act" method="post" action="{portal}{act}"><input name="csrf" value="guessed"></form>"""


async def test_a_foreign_page_neither_frames_nor_acts(place: Path) -> None:
    """Clickjacking and forged forms, by an administrator's own browser with their session in it."""
    async with Installation(place, company.REALM) as installation, screen.chromium() as browser:
        await installation.create_job(start=False)
        job = installation.job.rpartition("/")[2]
        act = f"/portal/configurations/{quote(job, safe='')}/act/start"
        async with screen.window(browser, installation.url) as window:
            await window.sign_in(ADMINISTRATOR, await administrator(installation))
            (place / "foreign").mkdir()
            (place / "foreign" / "index.html").write_text(PAGE.format(portal=installation.url, act=act))
            with _served(place / "foreign") as foreign:
                await window.page.goto(foreign)
                frame = await (await window.page.query_selector("#frame")).content_frame()  # type: ignore[union-attr]
                assert frame is not None
                assert await frame.query_selector("main") is None, "the portal was framed"
                assert any("frame-ancestors" in said or "X-Frame-Options" in said for said in window.complaints)
                await window.page.evaluate("document.getElementById('act').submit()")
                await window.page.wait_for_load_state()
            assert "Configuration" not in await window.page.title()
            assert (await installation.api.get(installation.job))["schedule"]["state"] == "Disabled"

            # Sent with the session's cookie, but with a token that is not this browser's, the form is refused as well.
            answer = await window.page.request.post(installation.url + act, form={"csrf": "guessed"})
            assert answer.status == 403
            assert "FormExpired" in await answer.text()
            assert (await installation.api.get(installation.job))["schedule"]["state"] == "Disabled"


@contextmanager
def _served(folder: Path) -> Iterator[str]:
    """Serve a folder from another origin."""
    handler = functools.partial(_Quiet, directory=str(folder))
    with http.server.ThreadingHTTPServer(("127.0.0.1", 0), handler) as server:
        thread = threading.Thread(target=server.serve_forever)
        thread.start()
        try:
            yield f"http://127.0.0.1:{server.server_address[1]}/"
        finally:
            server.shutdown()
            thread.join()


class _Quiet(http.server.SimpleHTTPRequestHandler):
    def log_message(self, format: str, *args: object) -> None:  # noqa: A002 - the base's name
        """Say nothing."""
