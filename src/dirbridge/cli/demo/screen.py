"""What the demo shows: one line a step, a bar for the initial sync, one line a change.

At a terminal with colours and a bar that moves; elsewhere plain lines, none of them longer than 80 columns.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager

from rich.console import Console
from rich.markup import escape
from rich.progress import BarColumn, Progress, TextColumn, TimeRemainingColumn

from dirbridge.cli.demo.changes import Arrival

NAME_WIDTH = 20
SENTENCE_WIDTH = 56
PLAIN_SECONDS = 2.0
"""How often progress is told where no bar can move."""
SHOWN_DIFFERENCES = 20


class Step:
    """A step under way: what there is to say of it."""

    def __init__(self) -> None:
        self.detail = ""


class Screen:
    """Where the demo is shown.

    Args:
        console: takes it; decides by itself whether there are colours and whether a bar can move.
    """

    def __init__(self, console: Console) -> None:
        self._console = console
        self._done, self._failed = ("ok", "no") if console.options.ascii_only else ("✓", "✗")

    def title(self, text: str, remark: str) -> None:
        self._print(f"\n[bold]{escape(text)}[/bold]\n{escape(remark)}\n")

    def heading(self, text: str) -> None:
        self._print(f"\n[bold]{escape(text)}[/bold]")

    def say(self, text: str = "") -> None:
        self._print(escape(text))

    def fact(self, name: str, value: str) -> None:
        """Show something to be copied: it is never folded."""
        self._print(f"  {name:<{NAME_WIDTH - 4}} [bold]{escape(value)}[/bold]")

    @contextmanager
    def step(self, name: str, doing: str) -> Iterator[Step]:
        """Show a step, its outcome and how long it took."""
        step, began = Step(), time.monotonic()
        try:
            if self._console.is_terminal:
                with self._console.status(f"{name}: {doing}", spinner="dots"):
                    yield step
            else:
                yield step
        except BaseException:
            self._print(f"  [red]{self._failed}[/red] {name}")
            raise
        self._line(f"[green]{self._done}[/green]", f"{name:<{NAME_WIDTH}}{step.detail}", time.monotonic() - began)

    @contextmanager
    def progress(self, name: str, total: int) -> Iterator[Callable[[int, int | None], None]]:
        """Show progress; the function given takes how many are done, and how many there are where that is known."""
        if not self._console.is_terminal:
            yield self._plain_progress(name, total)
            return
        with Progress(
            TextColumn(f"  {name}"),
            BarColumn(bar_width=22),
            TextColumn("{task.completed:.0f} of {task.total:.0f} objects"),
            TextColumn("{task.fields[rate]}"),
            TimeRemainingColumn(compact=True, elapsed_when_finished=True),
            console=self._console,
            transient=True,
        ) as bar:
            task = bar.add_task(name, total=total, rate="")
            began = time.monotonic()

            def show(done: int, of: int | None) -> None:
                rate = done / max(time.monotonic() - began, 0.001)
                bar.update(task, completed=done, total=max(of or 0, total, done), rate=f"{rate:.0f}/s")

            yield show

    def _plain_progress(self, name: str, total: int) -> Callable[[int, int | None], None]:
        began = told = time.monotonic()

        def show(done: int, of: int | None) -> None:
            nonlocal told
            now = time.monotonic()
            if now - told < PLAIN_SECONDS or not done:
                return
            told, whole = now, max(of or 0, total, done)
            rate = done / (now - began)
            self._print(
                f"    {name}: {done} of {whole} objects, {rate:.0f} a second, {(whole - done) / rate:.0f} s left"
            )

        return show

    def finished(self, name: str, detail: str, seconds: float) -> None:
        """Show the outcome of what had a bar."""
        self._line(f"[green]{self._done}[/green]", f"{name:<{NAME_WIDTH}}{detail}", seconds)

    def arrival(self, number: int, arrival: Arrival) -> None:
        """Show what became of a change."""
        sentence = f"{number:>2}  {arrival.change.sentence}"
        if arrival.seconds is not None:
            self._line(f"[green]{self._done}[/green]", sentence, arrival.seconds)
            return
        self._print(f"  [red]{self._failed}[/red] {escape(sentence)}")
        self._print(f"        [red]has not arrived: {escape(arrival.missing)}[/red]")

    @contextmanager
    def waiting(self, number: int, sentence: str) -> Iterator[None]:
        """Show that a change is on its way."""
        if not self._console.is_terminal:
            yield
            return
        with self._console.status(f"{number:>2}  {escape(sentence)}", spinner="dots"):
            yield

    def differences(self, found: Sequence[str]) -> None:
        """Show what the tenant holds otherwise."""
        for sentence in found[:SHOWN_DIFFERENCES]:
            self._print(f"  [red]{self._failed}[/red] {escape(sentence)}")
        if len(found) > SHOWN_DIFFERENCES:
            self._print(f"    and {len(found) - SHOWN_DIFFERENCES} more")

    def failure(self, reason: str, remedy: str, log: str) -> None:
        """Show why it cannot go on, and the end of the log that may say more."""
        self._print(f"\n[red bold]{escape(reason)}[/red bold]")
        if remedy:
            self._print(escape(remedy))
        if log:
            self._print(f"\n[dim]{escape(log)}[/dim]")

    def _line(self, mark: str, text: str, seconds: float) -> None:
        shown = f"{seconds * 1000:.0f} ms" if seconds < 1 else f"{seconds:.1f} s"
        self._print(f"  {mark} {escape(f'{text:<{SENTENCE_WIDTH + 6}}')} [dim]{shown:>8}[/dim]")

    def _print(self, text: str) -> None:
        self._console.print(text, highlight=False, soft_wrap=True)
