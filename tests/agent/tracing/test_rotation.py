"""A trace file stays small, keeps whole lines, and costs no more than lines when it cannot be written."""

import logging
import resource
import signal
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from dirbridge.agent.tracing.rotation import RotatedFile

logger = logging.getLogger("test.rotation")


@pytest.fixture(autouse=True)
def quiet() -> Iterator[None]:
    """A logger of its own, which leads nowhere else."""
    logger.propagate = False
    logger.setLevel(logging.DEBUG)
    yield
    for handler in list(logger.handlers):
        logger.removeHandler(handler)
        handler.close()


def opened(file: Path, size: int = 100, kept: int = 2, clock: float = 0.0) -> RotatedFile:
    now = [clock]
    handler = RotatedFile(file, size, kept, lambda: now[0])
    handler.now = now  # type: ignore[attr-defined]
    logger.addHandler(handler)
    return handler


def test_full_file_becomes_an_older_one(tmp_path: Path) -> None:
    """Three files of 100 bytes at most hold the newest lines, none of them cut; nobody else may read them."""
    opened(tmp_path / "trace" / "a.log")
    for number in range(40):
        logger.info("line %02d of the test", number)
    files = sorted((tmp_path / "trace").iterdir())
    assert [file.name for file in files] == ["a.log", "a.log.1", "a.log.2"]
    lines = [line for file in reversed(files) for line in file.read_text().splitlines()]
    assert lines == [f"line {number:02d} of the test" for number in range(40 - len(lines), 40)]
    assert len(lines) > 8
    assert [(file.stat().st_mode & 0o777, file.stat().st_size <= 100) for file in files] == [(0o600, True)] * 3
    assert (tmp_path / "trace").stat().st_mode & 0o777 == 0o700


def test_line_larger_than_a_file_is_kept_whole(tmp_path: Path) -> None:
    """It has a file for itself."""
    opened(tmp_path / "a.log")
    logger.info("small")
    logger.info("x" * 500)
    assert (tmp_path / "a.log").read_text() == "x" * 500 + "\n"
    assert (tmp_path / "a.log.1").read_text() == "small\n"


def test_file_that_was_taken_away_is_made_again(tmp_path: Path) -> None:
    """An administrator may clear the folder while the agent runs."""
    opened(tmp_path / "trace" / "a.log")
    logger.info("before")
    (tmp_path / "trace" / "a.log").unlink()
    (tmp_path / "trace").rmdir()
    logger.info("after")
    assert (tmp_path / "trace" / "a.log").read_text() == "after\n"


def test_lines_that_cannot_be_written_are_counted(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    """It is said once; when there is room again the file says how many are missing."""
    (tmp_path / "trace").write_text("in the way")
    handler = opened(tmp_path / "trace" / "a.log")
    for _ in range(3):
        logger.info("lost")
    assert [record.getMessage() for record in caplog.records if record.levelno == logging.WARNING] == [
        f"The trace {handler.file} cannot be written: File exists. The agent works on without."
    ]
    (tmp_path / "trace").unlink()
    logger.info("lost as well, for it is not tried at every line")
    handler.now[0] += 5  # type: ignore[attr-defined]
    logger.info("there again")
    assert (tmp_path / "trace" / "a.log").read_text().splitlines() == [
        '{"lost": 4, "reason": "lines could not be written"}',
        "there again",
    ]


def test_no_link_is_followed(tmp_path: Path) -> None:
    """Whoever may write the folder cannot lead the lines elsewhere."""
    (tmp_path / "elsewhere").write_text("")
    (tmp_path / "a.log").symlink_to(tmp_path / "elsewhere")
    handler = opened(tmp_path / "a.log")
    logger.info("secretive")
    assert (tmp_path / "elsewhere").read_text() == ""
    assert handler.failure is not None


_CUT = """
import logging, sys
from pathlib import Path
from dirbridge.agent.tracing.rotation import RotatedFile
logger = logging.getLogger("cut")
logger.setLevel("INFO")
logger.addHandler(RotatedFile(Path(sys.argv[1]), 1_000_000, 2, clock=lambda: 0.0))
for number in range(100):
    logger.info("line %03d %s", number, "y" * 40)
"""


def test_line_that_fits_in_half_is_not_there_at_all(tmp_path: Path) -> None:
    """A file that may grow no further, as on a full disk, ends with a whole line."""

    def limit() -> None:
        signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
        resource.setrlimit(resource.RLIMIT_FSIZE, (1000, 1000))

    file = tmp_path / "a.log"
    subprocess.run([sys.executable, "-c", _CUT, str(file)], check=True, preexec_fn=limit, timeout=60)
    text = file.read_text()
    assert 900 < len(text) <= 1000
    assert text.endswith("y\n")
