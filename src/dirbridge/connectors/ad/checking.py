"""What a domain that was reached lets the account do: one finding for each thing that reading needs.

Used by `source`, once it is connected. Each is tried as reading does it; one that fails does not hide the others.
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import aclosing
from datetime import timedelta
from typing import Literal

from dirbridge.connectors.ad.directory import Directory
from dirbridge.connectors.ad.settings import Settings
from dirbridge.contract.errors import ConfigurationError, DirbridgeError
from dirbridge.contract.wire import Finding

_NO_RIGHT = "NoRightOnDeletedObjects"
_LISTENING = 10.0
"""Seconds that a server may take to begin to tell of changes."""


async def examine(settings: Settings, directory: Directory) -> AsyncIterator[Finding]:
    """Give the findings. The session can be used for nothing else afterwards: it ends as one that listens."""
    yield await _changes(settings, directory)
    yield _deleted(settings, lists_deleted=directory.facts.lists_deleted)
    yield _clock(directory.facts.ahead)
    yield await _privileges(settings, directory)
    yield await _notification(settings, directory)


def no_right(settings: Settings) -> ConfigurationError:
    """Say that deletes would go unnoticed."""
    container = f"CN=Deleted Objects,{settings.base_dn}"
    return ConfigurationError(
        f"The account {settings.user} may not list deleted objects of {settings.name}: deletes would go unnoticed.",
        code=_NO_RIGHT,
        recommended_action="Give it List Contents and Read Property on that container, as a domain administrator: "
        "`dirbridge agent permissions --set --administrator ADMIN`, or "
        f'dsacls "{container}" /takeownership, then dsacls "{container}" /G DOMAIN\\account:LCRP.',
    )


async def _changes(settings: Settings, directory: Directory) -> Finding:
    seen = 0
    try:
        async with aclosing(directory.answer(b"", "(objectClass=domainDNS)", ("name",))) as answer:
            async for chunk, _ in answer:
                seen += len(chunk.found)
    except DirbridgeError as error:
        return Finding("changes", "fail", error.reason, error.recommended_action, error.code)
    if not seen:  # what may not be read is left out without a word, and a full read would find a domain without anybody
        return Finding(
            "changes",
            "fail",
            f"The account {settings.user} may not read {settings.name}: it is shown nothing, not even the head.",
            "Give it read access to the domain, which ordinary accounts have; look for rules that deny it.",
            "InsufficientRights",
        )
    return Finding("changes", "pass", f"{settings.name} reports changes by DirSync to {settings.user}.")


def _deleted(settings: Settings, *, lists_deleted: bool) -> Finding:
    if lists_deleted:
        return Finding("deleted-objects", "pass", f"{settings.user} may list deleted objects.")
    refused = no_right(settings)
    outcome: Literal["warn", "fail"] = "warn" if settings.allow_without_deleted_objects else "fail"
    return Finding("deleted-objects", outcome, refused.reason, refused.recommended_action, refused.code)


def _clock(ahead: float) -> Finding:
    seconds = round(abs(ahead))
    if seconds < 300:
        return Finding("clock", "pass", f"The clocks of domain controller and agent differ by {seconds} s.")
    direction = "ahead of" if ahead > 0 else "behind"
    return Finding(
        "clock",
        "warn",
        f"The domain controller's clock is {timedelta(seconds=seconds)} {direction} this host's.",
        "Have both take their time from the same source; watermarks go by the domain controller's clock.",
        "ClockSkewed",
    )


async def _privileges(settings: Settings, directory: Directory) -> Finding:
    held = await directory.privileges()
    if not held:
        return Finding("privileges", "pass", f"{settings.user} holds no administrative membership.")
    return Finding(
        "privileges",
        "warn",
        f"{settings.user} is a member of {', '.join(held)}; reading needs none of it.",
        "Use an ordinary account that may list deleted objects; `dirbridge agent permissions` shows what is too much.",
        "TooManyRights",
    )


async def _notification(settings: Settings, directory: Directory) -> Finding:
    if not settings.change_notification:
        return Finding("notification", "pass", "Changes wait for the job's interval: `change_notification` is off.")
    try:
        async with asyncio.timeout(_LISTENING), aclosing(directory.listen()) as changes:
            await anext(changes)
    except (DirbridgeError, TimeoutError) as error:
        why = error.reason if isinstance(error, DirbridgeError) else f"it did not begin to within {_LISTENING:g} s"
        return Finding(
            "notification",
            "warn",
            f"{settings.name} does not tell of changes as they happen: {why}",
            "Changes wait for the job's interval. Set `change_notification` to false if it shall stay so.",
            "NotificationUnsupported",
        )
    return Finding("notification", "pass", f"{settings.name} tells {settings.user} of changes as they happen.")
