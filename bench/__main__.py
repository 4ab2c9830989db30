"""`python -m bench`: run the measurements and print their table; `--json` gives it to programs."""

from __future__ import annotations

import argparse
import asyncio
import dataclasses
import json
import sys
from collections.abc import AsyncIterator, Callable
from datetime import timedelta

from rich.console import Console
from rich.table import Table

from bench import expressions, latency, measures, pages, screens, soak
from bench.deployment import processors
from bench.measures import Figure

Measure = Callable[[], AsyncIterator[Figure]]


def _measures(scale: float) -> dict[str, Measure]:
    return {
        "initial": lambda: measures.initial(int(100_000 * scale), max(10, int(1_000 * scale)), 200),
        "samba": lambda: measures.samba(int(10_000 * scale)),
        "failing": lambda: measures.failing(int(100_000 * scale)),
        "group": lambda: measures.large_group(max(20, int(100_000 * scale))),
        "expressions": lambda: expressions.default_mapping(max(500, int(20_000 * scale))),
        "pages": lambda: pages.pages(max(2_000, int(100_000 * scale)), max(20_000, int(1_000_000 * scale))),
        "portal": lambda: screens.screens(
            max(2_000, int(100_000 * scale)), max(20_000, int(1_000_000 * scale)), max(20, int(500 * scale))
        ),
        "latency": lambda: latency.latency(
            (max(20, int(1_000 * scale)), int(100_000 * scale)), max(10, int(200 * scale))
        ),
        "soak": lambda: soak.soak(timedelta(minutes=max(1.0, 15 * scale))),
        "member": lambda: measures.one_member((10, int(100_000 * scale))),
    }


async def _run(chosen: dict[str, Measure], console: Console) -> list[Figure]:
    found = []
    for name, measure in chosen.items():
        console.print(f"[dim]{name} …[/dim]")
        async for figure in measure():
            found.append(figure)
            console.print(f"  {figure.what}: {figure.value}  {figure.compared}")
    return found


def main() -> int:
    """Run what was asked for."""
    parser = argparse.ArgumentParser(prog="python -m bench", description=__doc__)
    parser.add_argument("--only", choices=[*_measures(1)], action="append", help="this one; may be given again")
    parser.add_argument("--scale", type=float, default=1.0, help="fraction of the full size, for a quick look")
    parser.add_argument("--json", action="store_true", help="print the figures as one JSON document")
    options = parser.parse_args()
    if not 0.001 <= options.scale <= 10:
        parser.error(f"--scale is {options.scale}; give a number from 0.001 to 10")
    console = Console(stderr=True)
    every = _measures(options.scale)
    figures = asyncio.run(_run({name: every[name] for name in options.only or every}, console))
    failed = int(any(figure.failed for figure in figures))
    if options.json:
        sys.stdout.write(json.dumps([dataclasses.asdict(figure) for figure in figures], indent=2) + "\n")
        return failed
    table = Table(title=f"dirbridge on {processors()} processors")
    for column in ("what", "figure", "compared", "goal"):
        table.add_column(column)
    for figure in figures:
        table.add_row(figure.what, figure.value, figure.compared, figure.goal)
    Console().print(table)
    return failed


if __name__ == "__main__":
    sys.exit(main())
