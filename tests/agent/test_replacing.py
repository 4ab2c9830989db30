"""A file is replaced whole, or stays as it was."""

import subprocess
import sys
from pathlib import Path

from dirbridge.agent.replacing import replace

NO_ROOM = """
import resource, sys
from pathlib import Path
from dirbridge.agent.replacing import replace
resource.setrlimit(resource.RLIMIT_FSIZE, (100, 100))
replace(Path(sys.argv[1]), b"x" * 10_000)
"""


def test_what_is_written_has_its_mode(tmp_path: Path) -> None:
    """For its owner only unless told otherwise, whatever the one before had."""
    file = tmp_path / "file"
    file.write_bytes(b"old")
    file.chmod(0o666)
    replace(file, b"new")
    assert (file.read_bytes(), file.stat().st_mode & 0o777) == (b"new", 0o600)
    replace(file, b"newer", mode=0o644)
    assert (file.read_bytes(), file.stat().st_mode & 0o777) == (b"newer", 0o644)


def test_file_stays_where_there_is_no_room_for_another(tmp_path: Path) -> None:
    """The write fails, what was there is whole, and no draft is left."""
    file = tmp_path / "file"
    file.write_bytes(b"old")
    done = subprocess.run(
        [sys.executable, "-c", NO_ROOM, str(file)], capture_output=True, text=True, timeout=60, check=False
    )
    assert "File too large" in done.stderr
    assert [each.read_bytes() for each in tmp_path.iterdir()] == [b"old"]
