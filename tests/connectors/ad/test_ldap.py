"""How long an answer is waited for, whatever its pace."""

from __future__ import annotations

import time
from datetime import timedelta
from typing import Any

import ldap
import pytest

from dirbridge.connectors.ad.settings import Settings
from dirbridge.connectors.ldap_wire import connection as wire
from dirbridge.connectors.ldap_wire.connection import SUBTREE, Connection, Search
from dirbridge.contract.errors import TransientError
from tests.connectors.ad.test_entries import settings as settings  # noqa: PLC0414 - a fixture


class Slow:
    """libldap's handle on a server that sends an entry now and then, and falls silent after `number` of them."""

    def __init__(self, pause: float, number: int, *, ends: bool) -> None:
        self.pause = pause
        self.left = number
        self.ends = ends

    def search_ext(self, *_: Any, **__: Any) -> int:
        return 1

    def result3(self, *_: Any, timeout: float, **__: Any) -> Any:
        if self.left:
            time.sleep(self.pause)
            self.left -= 1
            return ldap.RES_SEARCH_ENTRY, [(f"CN=u{self.left},DC=contoso,DC=test", {})], 1, []
        if self.ends:
            return ldap.RES_SEARCH_RESULT, [], 1, []
        time.sleep(timeout)
        raise ldap.TIMEOUT({})

    def unbind_ext_s(self) -> None:
        pass


def connection(settings: Settings, handle: Slow) -> Connection:
    made = Connection(settings.model_copy(update={"answer_timeout": timedelta(seconds=0.4)}), "ldaps://dc1")
    made._handle = handle
    return made


async def test_server_that_is_slow_but_not_silent_is_listened_to(
    settings: Settings, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Only silence is bounded: an answer over a thin line may take as long as it goes on."""
    monkeypatch.setattr(wire, "POLL_SECONDS", 0.1)
    slow = connection(settings, Slow(0.02, 60, ends=True))
    assert len(await slow.search(Search("", SUBTREE))) == 60
    await slow.close()


async def test_server_that_falls_silent_half_way_is_a_failed_read(
    settings: Settings, monkeypatch: pytest.MonkeyPatch
) -> None:
    """What came before is no answer."""
    monkeypatch.setattr(wire, "POLL_SECONDS", 0.1)
    silent = connection(settings, Slow(0.02, 30, ends=False))
    with pytest.raises(TransientError) as raised:
        await silent.search(Search("", SUBTREE))
    assert raised.value.code == "DomainControllerSilent"
    await silent.close()
