"""Is this host an agent that works? Every local test, one after the other, each with what was found and what to do.

Run by `dirbridge agent check`. What a test needs of an earlier one is missing where that failed; then it is left out,
for its finding would be the other's once more. Nothing is changed, and a directory is signed in to once only.
"""

from __future__ import annotations

import time
from collections.abc import AsyncIterator, Callable
from pathlib import Path

from dirbridge.agent import settings as agent_settings
from dirbridge.agent import state as agent_state
from dirbridge.agent.check import directories, files, host, process, service, units, updates
from dirbridge.agent.runner import check_domains, running_pid
from dirbridge.agent.settings import Common, Settings
from dirbridge.agent.state import State
from dirbridge.contract.errors import DirbridgeError
from dirbridge.contract.wire import Finding


async def examine(
    settings_file: Path, state_folder: Path, *, now: Callable[[], float] = time.time
) -> AsyncIterator[Finding]:
    """Give the findings as they come.

    Args:
        settings_file: of the agent.
        state_folder: where it was enrolled.
        now: seconds since the epoch, by this host's clock.
    """
    for finding in host.examine(running_pid(state_folder)):
        yield finding
    settings, said = _settings(settings_file)
    yield said
    state, said = _state(state_folder)
    yield said
    yield process.examine(state_folder, now())
    async for finding in units.examine():
        yield finding
    for finding in updates.examine(state_folder, now()):
        yield finding
    if state is not None:
        if settings is not None:
            yield _domains(settings, state)
        async for finding in files.examine(settings_file, settings, state_folder):
            yield finding
        yield service.examine_certificate(state, now())
        common = settings.common if settings is not None else Common()
        async for finding in service.examine(state, common, now):
            yield finding
    if settings is not None:
        async for finding in directories.examine(settings):
            yield finding


def _settings(file: Path) -> tuple[Settings | None, Finding]:
    try:
        settings = agent_settings.load(file)
    except DirbridgeError as error:
        return None, failed("settings", error)
    return settings, Finding("settings", "pass", f"{file} names {', '.join(settings.names)}.")


def _state(folder: Path) -> tuple[State | None, Finding]:
    try:
        state = agent_state.load(folder)
    except DirbridgeError as error:
        return None, failed("enrolment", error)
    except PermissionError as error:
        return None, Finding(
            "enrolment",
            "fail",
            f"The agent's state in {folder} cannot be read: {error.strerror}.",
            "Run the check under the account that runs the agent, or as root.",
            "StateUnreadable",
        )
    known = state.identity
    return state, Finding("enrolment", "pass", f"Enrolled as agent {known.agent} with {known.service}.")


def _domains(settings: Settings, state: State) -> Finding:
    try:
        check_domains(settings, state)
    except DirbridgeError as error:
        return failed("domains", error)
    return Finding("domains", "pass", f"Enrolled for every domain of the settings: {', '.join(settings.names)}.")


def failed(name: str, error: DirbridgeError) -> Finding:
    """Make a finding of an error."""
    return Finding(name, "fail", error.reason, error.recommended_action, error.code)
