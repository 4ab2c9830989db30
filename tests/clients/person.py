"""A person at a browser: opens pages, fills forms in, presses buttons, and goes where that leads."""

from __future__ import annotations

import asyncio
import ssl
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from html.parser import HTMLParser
from typing import Any, Self
from urllib.parse import urljoin

import httpx2


@dataclass
class Form:
    """A form of a page: where it leads, and what is in it."""

    action: str
    values: dict[str, str] = field(default_factory=dict)


class _Page(HTMLParser):
    def __init__(self) -> None:
        super().__init__()
        self.forms: list[Form] = []
        self.onward = ""

    def handle_starttag(self, tag: str, attributes: list[tuple[str, str | None]]) -> None:
        given = {name: value or "" for name, value in attributes}
        if tag == "form":
            self.forms.append(Form(given.get("action", "")))
        elif tag == "input" and self.forms and "name" in given:
            self.forms[-1].values[given["name"]] = given.get("value", "")
        elif tag == "meta" and given.get("http-equiv") == "refresh":
            self.onward = given["content"].partition("url=")[2]


class Person:
    """Somebody with a name and a password.

    Attributes:
        address: where their browser is.
        text: the page that it shows.
    """

    def __init__(self, client: httpx2.AsyncClient, name: str, password: str) -> None:
        self._client = client
        self._name = name
        self._password = password
        self.address = ""
        self.text = ""

    @classmethod
    @asynccontextmanager
    async def at_browser(cls, url: str, ca_file: str, name: str, password: str) -> AsyncIterator[Self]:
        """Open a browser that trusts the service's CA."""
        trust = ssl.create_default_context(cafile=ca_file)
        async with httpx2.AsyncClient(base_url=url, verify=trust, timeout=30, trust_env=False) as client:
            yield cls(client, name, password)

    async def open(self, address: str) -> None:
        """Open a page, signing in where that is asked for."""
        await self._follow(await self._client.get(address))
        if self._is_shown("password"):
            await self.send(name=self._name, password=self._password)

    async def send(self, **values: str) -> None:
        """Send the page's form with these values filled in; a button counts as one."""
        form = self._page().forms[0]
        answer = await self._client.post(urljoin(self.address, form.action), data={**form.values, **values})
        await self._follow(answer)

    def brings(self, application: str) -> dict[str, str]:
        """Give what the page's form is to bring to an application that listens elsewhere."""
        form = self._page().forms[0]
        assert form.action == application
        return form.values

    def _is_shown(self, field: str) -> bool:
        return any(field in form.values for form in self._page().forms)

    def _page(self) -> _Page:
        page = _Page()
        page.feed(self.text)
        return page

    async def _follow(self, answer: httpx2.Response) -> None:
        """Go where an answer leads."""
        while True:
            self.address, self.text = str(answer.url), answer.text
            onward = answer.headers.get("location") or self._page().onward
            if not onward:
                assert answer.status_code == 200, (answer.status_code, answer.text)
                return
            self.address = urljoin(self.address, onward)
            answer = await self._client.get(self.address)


def waiting_for(act: Callable[[str], Awaitable[Any]]) -> Callable[[str], Any]:
    """Give a function for another thread that has a person act in this one, and waits for it."""
    loop = asyncio.get_running_loop()

    async def acted(said: str) -> Any:
        return await act(said)

    return lambda said: asyncio.run_coroutine_threadsafe(acted(said), loop).result(60)
