"""How long a change in a real domain takes to the tenant, where the domain controller tells of it."""

from __future__ import annotations

import asyncio
import random
import statistics
import time
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from typing import Any

import ldap

from bench.deployment import Deployment, deployed
from bench.measures import Figure, samba_domain, samba_settings
from dirbridge.cli.demo.domain import Domain

LIMIT_SECONDS = 60
LOOK = 0.02
"""Seconds between two looks into the tenant; so much a figure may be too long."""
BUSY_RATE = 10
"""Changes a second while it is busy."""


async def latency(sizes: Sequence[int], changes: int) -> AsyncIterator[Figure]:
    """Change one attribute of one user after the other, at moments of no order, then many of them at a steady rate.

    The interval of the job is an hour, so whatever arrives arrives by notification.
    """
    for users in sizes:
        async with (
            samba_domain(users) as (domain, password),
            deployed(domain.realm, samba_settings(domain), {"password": password}, tick=1.0) as here,
            _administrator(domain) as handle,
        ):
            await here.first_cycle()
            await here.api.patch(here.job, {"schedule": {"interval": "PT1H"}})
            await _at_rest(here)
            seconds = await _single(here, domain, handle, changes)
            yield _figure(f"a change among {users:,} users of Samba, to the tenant", seconds)
            seconds = await _busy(here, domain, handle, min(users, 2 * changes))
            yield _figure(f"the same while {BUSY_RATE} change a second", seconds)


def _figure(what: str, seconds: Sequence[float]) -> Figure:
    ordered = sorted(seconds)
    highest = ordered[min(len(ordered) - 1, int(len(ordered) * 0.99))]
    return Figure(
        what,
        f"median {statistics.median(ordered):.2f} s, 99 % under {highest:.2f} s",
        f"{len(ordered)} changes, the slowest {ordered[-1]:.2f} s",
        "median under 1 s, 99 % under 3 s",
    )


async def _single(here: Deployment, domain: Domain, handle: Any, changes: int) -> list[float]:
    """One change at a time, with pauses of up to a second and a half between them."""
    found, users = [], await _users(here)
    for number in range(changes):
        await asyncio.sleep(random.uniform(0, 1.5))
        account = random.choice(sorted(users))
        began = time.monotonic()
        await _rename(domain, handle, account, f"Single {number}")
        while (await here.api.get(f"/users/{users[account]}?$select=displayName"))["displayName"] != f"Single {number}":
            await asyncio.sleep(LOOK)
            _still(began)
        found.append(time.monotonic() - began)
    return found


async def _busy(here: Deployment, domain: Domain, handle: Any, changes: int) -> list[float]:
    """One change after the other at a steady rate, each of another user."""
    began: dict[str, float] = {}
    found: dict[str, float] = {}

    async def change() -> None:
        start = time.monotonic()
        for number, account in enumerate(sorted(await _users(here))[:changes]):
            await asyncio.sleep(max(0, start + number / BUSY_RATE - time.monotonic()))
            began[f"Busy {number}"] = time.monotonic()
            await _rename(domain, handle, account, f"Busy {number}")

    changing = asyncio.create_task(change())
    while not changing.done() or len(found) < len(began):
        answer = await here.api.get("/users?$filter=startswith(displayName,'Busy ')&$select=displayName&$top=999")
        now = time.monotonic()
        for user in answer["value"]:
            found.setdefault(user["displayName"], now - began[user["displayName"]])
        _still(min((began[name] for name in began.keys() - found.keys()), default=now))
        await asyncio.sleep(LOOK)
    await changing
    return list(found.values())


async def _users(here: Deployment) -> dict[str, str]:
    """Up to 999 users: their ids by account name."""
    answer = await here.api.get("/users?$select=id,userPrincipalName&$top=999")
    names = {user["userPrincipalName"].partition("@")[0]: user["id"] for user in answer["value"]}
    return {name: found for name, found in names.items() if name[0] == "p" and name[1:].isdigit()}


async def _rename(domain: Domain, handle: Any, account: str, name: str) -> None:
    dn = f"CN=Person {int(account[1:])},CN=Users,{domain.base_dn}"
    await asyncio.to_thread(handle.modify_s, dn, [(ldap.MOD_REPLACE, "displayName", [name.encode()])])


async def _at_rest(here: Deployment) -> None:
    """Wait until no cycle follows another: the interval that counts is the new one."""
    before = None
    while (last := (await here.status())["lastExecution"]["activityIdentifier"]) != before:
        before = last
        await asyncio.sleep(3)


def _still(began: float) -> None:
    if time.monotonic() - began > LIMIT_SECONDS:
        raise TimeoutError(f"A change had not arrived after {LIMIT_SECONDS} s.")


@asynccontextmanager
async def _administrator(domain: Domain) -> AsyncIterator[Any]:
    def sign_in() -> Any:
        handle = ldap.initialize(domain.ldaps_url)
        handle.set_option(ldap.OPT_X_TLS_CACERTFILE, str(domain.ca_file))
        handle.set_option(ldap.OPT_X_TLS_NEWCTX, 0)
        handle.simple_bind_s(domain.admin_dn, domain.admin_password)
        return handle

    handle = await asyncio.to_thread(sign_in)
    try:
        yield handle
    finally:
        handle.unbind_s()
