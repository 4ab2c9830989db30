"""The house: imports point one way, and the rules that say so can be broken."""

import shutil
import subprocess
import sys
from pathlib import Path

import pytest

pytestmark = pytest.mark.service  # the rules look at every room, so all libraries are there

ROOT = Path(__file__).parent.parent


def lint_imports(root: Path) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [
            sys.executable,
            "-c",
            "from importlinter.cli import lint_imports_command; lint_imports_command()",
            "--no-cache",
        ],
        cwd=root,
        env={"PYTHONPATH": str(root / "src"), "PATH": "/usr/bin:/bin", "COLUMNS": "200", "PYTHONUTF8": "1"},
        capture_output=True,
        text=True,
        timeout=100,
        check=False,
    )


def test_imports_point_one_way() -> None:
    """Every contract of pyproject.toml is kept by the source as it is."""
    result = lint_imports(ROOT)
    assert result.returncode == 0, result.stdout + result.stderr


@pytest.mark.parametrize(
    ("module", "statement", "contract"),
    [
        ("contract/intruder.py", "import dirbridge.store", "A change walks forward"),
        ("connectors/intruder.py", "import dirbridge.store", "A change walks forward"),
        ("store/intruder.py", "import dirbridge.connectors.protocol", "A change walks forward"),
        ("agent/intruder.py", "import dirbridge.store", "The agent reaches only"),
        ("agent/intruder.py", "import psycopg", "The agent reaches only"),
        ("engine/intruder.py", "import dirbridge.connectors.intruder", "The engine asks capabilities"),
        ("engine/intruder.py", "import dirbridge.store", "The steps of the engine"),
        ("engine/intruder.py", "import httpx2", "The steps of the engine"),
        ("connectors/intruder.py", "import psycopg", "All SQL is in the store"),
        ("connectors/intruder.py", "import ldap", "python-ldap stays in one folder"),
    ],
)
def test_a_forbidden_import_breaks_its_contract(tmp_path: Path, module: str, statement: str, contract: str) -> None:
    """An import against the direction is found, and by the contract that forbids it."""
    shutil.copy(ROOT / "pyproject.toml", tmp_path)
    shutil.copytree(ROOT / "src", tmp_path / "src", ignore=shutil.ignore_patterns("__pycache__"))
    house = tmp_path / "src" / "dirbridge"
    (house / "connectors" / "intruder.py").touch()
    (house / module).write_text(f'"""An intruder."""\n\n{statement}\n')
    result = lint_imports(tmp_path)
    assert result.returncode == 1, result.stdout + result.stderr
    broken = [line for line in result.stdout.splitlines() if " BROKEN" in line]
    assert any(line.startswith(contract) for line in broken), result.stdout
