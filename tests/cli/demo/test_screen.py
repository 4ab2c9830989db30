"""What is shown is plain and narrow where there is no terminal, and moves where there is one."""

import io

import pytest
from rich.console import Console

from dirbridge.cli.demo import changes
from dirbridge.cli.demo.changes import Arrival
from dirbridge.cli.demo.screen import Screen


def plain() -> tuple[Screen, io.StringIO]:
    output = io.StringIO()
    return Screen(Console(file=output, width=80)), output


@pytest.mark.parametrize("seconds", [0.02, 59.9, 61.2])
def test_no_line_of_a_change_is_wider_than_80_columns(seconds):
    """Every change of the demo fits, however long it took."""
    screen, output = plain()
    for number, change in enumerate(changes.CHANGES, start=1):
        screen.arrival(number, Arrival(change, seconds))
    lines = output.getvalue().splitlines()
    assert len(lines) == len(changes.CHANGES)
    assert max(map(len, lines)) <= 80


def test_a_change_that_is_missing_says_what():
    """The failure stands below the change, unfolded and unstyled."""
    screen, output = plain()
    screen.arrival(3, Arrival(changes.CHANGES[2], None, "mail is 'a@x', not yet 'b@x' [sic]"))
    assert output.getvalue().splitlines() == [
        "  ✗  3  Dora Dietz moves from Finance to Human Resources",
        "        has not arrived: mail is 'a@x', not yet 'b@x' [sic]",
    ]


def test_step_tells_its_outcome():
    """One line a step; one that fails is marked and passes the error on."""
    screen, output = plain()
    with screen.step("Service", "starting it") as step:
        step.detail = "https://127.0.0.1:1"
    with pytest.raises(ValueError, match="no"), screen.step("Agent", "starting it"):
        raise ValueError("no")
    done, failed = output.getvalue().splitlines()
    assert done.startswith("  ✓ Service             https://127.0.0.1:1  ")
    assert done.endswith(" ms")
    assert failed == "  ✗ Agent"


def test_plain_progress_tells_now_and_then(monkeypatch):
    """Where no bar can move, a line every two seconds says how far it is, how fast, and how long it takes."""
    now = [100.0]
    monkeypatch.setattr("dirbridge.cli.demo.screen.time.monotonic", lambda: now[0])
    screen, output = plain()
    with screen.progress("Initial sync", 340) as show:
        for at, done in ((100.5, 10), (102.0, 100), (103.0, 150), (104.0, 200)):
            now[0] = at
            show(done, None)
    assert output.getvalue().splitlines() == [
        "    Initial sync: 100 of 340 objects, 50 a second, 5 s left",
        "    Initial sync: 200 of 340 objects, 50 a second, 3 s left",
    ]


def test_a_terminal_gets_a_bar():
    """At a terminal the bar shows objects and rate."""
    output = io.StringIO()
    screen = Screen(Console(file=output, width=80, force_terminal=True, color_system=None))
    with screen.progress("Initial sync", 340) as show:
        show(170, 400)
    assert "170 of 400 objects" in output.getvalue()
    assert "/s" in output.getvalue()


def test_many_differences_are_cut():
    """Twenty are shown, the others are counted."""
    screen, output = plain()
    screen.differences([f"User {number} is missing in the tenant." for number in range(23)])
    lines = output.getvalue().splitlines()
    assert len(lines) == 21
    assert lines[-1] == "    and 3 more"


def test_an_ascii_terminal_gets_no_other_marks():
    """Marks are words where the output has no others."""
    output = io.TextIOWrapper(io.BytesIO(), encoding="ascii")
    screen = Screen(Console(file=output, width=80))
    screen.finished("Initial sync", "340 objects", 1.0)
    output.seek(0)
    assert output.read().startswith("  ok Initial sync")
