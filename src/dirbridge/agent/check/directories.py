"""The directories of the settings, each asked by its own connector."""

from __future__ import annotations

from collections.abc import AsyncIterator

import msgspec

from dirbridge.agent.settings import Settings
from dirbridge.contract.errors import DirbridgeError
from dirbridge.contract.wire import Finding


async def examine(settings: Settings) -> AsyncIterator[Finding]:
    """Give each directory's findings, under the directory's name."""
    for domain in settings.domains:
        try:
            report = await domain.source().check()
        except DirbridgeError as error:
            yield Finding(f"{domain.name}: connection", "fail", error.reason, error.recommended_action, error.code)
            continue
        for finding in report.findings:
            yield msgspec.structs.replace(finding, name=f"{domain.name}: {finding.name}")
