"""How patient the relay is. The defaults are what operators get; tests shorten them."""

from __future__ import annotations

from datetime import timedelta

import msgspec

from dirbridge.store.requests import Leases


class RelaySettings(msgspec.Struct, frozen=True):
    """Times of the relay, on both of its sides.

    Attributes:
        leases: how long an agent, and the reader of its answer, may be silent.
        look: between two looks into the database of who waits; a notification comes sooner.
        hold: how long a page that finds no room is held before the agent is told to come again.
        page_limit: how long a cycle waits for the next page of an agent that is there.
        agent_grace: how long a cycle waits for an agent where none is connected; not at all where none was for so long.
        heard_within: an agent heard from within this time counts as connected.
        renew_every, heartbeat_every, poll_wait: what agents are told to do.
        code_lifetime: how long an enrolment code is good.
        certificate_days: how long an agent's certificate is good; it renews in the last third.
    """

    leases: Leases = Leases()
    look: timedelta = timedelta(seconds=1.5)
    hold: timedelta = timedelta(seconds=10)
    page_limit: timedelta = timedelta(minutes=10)
    agent_grace: timedelta = timedelta(seconds=60)
    heard_within: timedelta = timedelta(seconds=90)
    renew_every: timedelta = timedelta(seconds=15)
    heartbeat_every: timedelta = timedelta(seconds=30)
    poll_wait: timedelta = timedelta(seconds=25)
    code_lifetime: timedelta = timedelta(minutes=15)
    certificate_days: int = 90
