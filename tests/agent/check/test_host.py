"""What a host's policy keeps the agent from."""

import os
import subprocess
import sys
from pathlib import Path

import pytest

from dirbridge.agent.check import files, host
from dirbridge.contract.wire import Finding

needs_root = pytest.mark.skipif(os.geteuid() != 0, reason="file systems are mounted by root")

_ASK = """
import sys
from pathlib import Path
from dirbridge.agent.check import host
for finding in host.policy(Path(sys.argv[1])):
    print(finding.outcome, finding.code, finding.finding)
"""


@needs_root
def test_file_system_that_is_mounted_noexec(tmp_path: Path) -> None:
    """A real one, in a mount namespace of its own: the finding names the folder."""
    place = tmp_path / "opt"
    place.mkdir()
    mounting = ["unshare", "--mount", "sh", "-c", 'mount -t tmpfs -o noexec none "$1"; shift; exec "$@"', "sh"]
    said = subprocess.run(
        [*mounting, str(place), sys.executable, "-c", _ASK, str(place)],
        capture_output=True,
        text=True,
        timeout=60,
        check=True,
    ).stdout
    assert said.startswith("fail MountedNoexec ")
    assert str(place) in said
    assert [each.outcome for each in host.policy(place) if each.code == "MountedNoexec"] == []


def test_denials_of_a_policy(tmp_path: Path) -> None:
    """The last line about the agent is shown; what others were denied is not ours, and what cannot be read is not."""
    log = tmp_path / "audit.log"
    assert list(host.denials((log,))) == []
    log.write_text(
        'apparmor="ALLOWED" operation="open" profile="dirbridge" name="/a"\n'
        'apparmor="DENIED" operation="open" profile="cups" name="/b"\n'
        'apparmor="DENIED" operation="open" profile="dirbridge" name="/c"\n'
        'avc:  denied  { read } for  pid=7 comm="dirbridge" name="d"\n'
    )
    (finding,) = host.denials((log,))
    assert (finding.outcome, finding.code) == ("fail", "PolicyDenied")
    assert "2 times" in finding.finding
    assert 'comm="dirbridge" name="d"' in finding.finding


async def test_files_that_everybody_may_change(tmp_path: Path) -> None:
    """Settings decide what leaves the host, so who may write them is told; a sticky folder protects what it holds."""
    settings, folder = tmp_path / "agent.toml", tmp_path / "state"
    settings.write_text("")
    folder.mkdir()
    (folder / "key.pem").touch()

    async def exposed() -> list[Finding]:
        found = [each async for each in files.examine(settings, None, folder)]
        return [each for each in found if each.code == "FileExposed"]

    tmp_path.chmod(0o1777)
    assert await exposed() == []
    settings.chmod(0o666)
    (finding,) = await exposed()
    assert finding.outcome == "warn"
    assert f"{settings} (mode 0666)" in finding.finding
    assert finding.remedy == f"`chmod o-w {settings}`."
