"""The directories of the settings, each asked by its own connector."""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import aclosing
from typing import Literal

import msgspec

from dirbridge.agent.settings import Settings
from dirbridge.connectors.protocol import Watched
from dirbridge.contract.errors import ConfigurationError, DirbridgeError
from dirbridge.contract.wire import Finding


async def examine(settings: Settings) -> AsyncIterator[Finding]:
    """Give each directory's findings, under the directory's name."""
    for domain in settings.domains:
        source = domain.source()
        try:
            report = await source.check()
        except DirbridgeError as error:
            yield Finding(f"{domain.name}: connection", "fail", error.reason, error.recommended_action, error.code)
            continue
        for finding in report.findings:
            yield msgspec.structs.replace(finding, name=f"{domain.name}: {finding.name}")
        is_reached = not any(each.name == "connection" and each.outcome == "fail" for each in report.findings)
        if is_reached and isinstance(source, Watched):
            yield msgspec.structs.replace(await _listen(domain.name, source), name=f"{domain.name}: notification")


async def _listen(name: str, source: Watched) -> Finding:
    """Listen until it is known whether the directory tells of changes."""
    try:
        async with aclosing(source.watch()) as changes:
            async for _ in changes:
                return Finding("notification", "pass", f"{name} tells of changes as they happen.")
    except ConfigurationError as error:
        outcome: Literal["pass", "warn"] = "pass" if error.code == "NotificationOff" else "warn"
        said = f"Changes wait for the interval of the jobs. {error.reason}"
        return Finding("notification", outcome, said, error.recommended_action, error.code)
    except DirbridgeError as error:
        return Finding("notification", "warn", error.reason, error.recommended_action, error.code)
    return Finding("notification", "warn", f"{name} let go of who listened.", "Try again.", "WatchEnded")
