"""`dirbridge agent check`: every local test of an agent, with what was found and what to do."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import click
import msgspec
from rich.text import Text

from dirbridge.cli.client import console, plain, print_json

_LOOK = {"pass": ("pass", "green"), "warn": ("warn", "yellow"), "fail": ("FAIL", "bold red")}


async def examine(settings_file: Path | None, state_folder: Path | None, *, as_json: bool) -> bool:
    """Run the tests and print each finding as it comes; tells whether none failed."""
    from dirbridge.agent import check, state
    from dirbridge.agent import settings as agent_settings

    found = []
    async for finding in check.examine(
        settings_file or agent_settings.default_file(), state_folder or state.default_folder()
    ):
        found.append(finding)
        if not as_json:
            _show(finding)
    if as_json:
        print_json({"findings": [msgspec.to_builtins(each) for each in found]})
    else:
        _sum_up([each.outcome for each in found])
    return all(each.outcome != "fail" for each in found)


def _show(finding: Any) -> None:
    word, style = _LOOK[finding.outcome]
    said = "\n".join(map(plain, finding.finding.splitlines()))  # faults of the settings have a line each
    line = Text.assemble((f"{word}  ", style), (f"{plain(finding.name)}: ", "bold"), said)
    console().print(line, soft_wrap=True)
    if finding.remedy and finding.outcome != "pass":
        console().print(Text(f"      → {plain(finding.remedy)}"), soft_wrap=True)


def _sum_up(outcomes: list[str]) -> None:
    failed, warned = outcomes.count("fail"), outcomes.count("warn")
    if failed:
        click.echo(f"{failed} of {len(outcomes)} tests failed. Mend the first one first: the others may come of it.")
    elif warned:
        click.echo(f"All {len(outcomes)} tests passed, {warned} of them with a warning.")
    else:
        click.echo(f"All {len(outcomes)} tests passed.")
