"""Certificates for every test of this folder."""

from pathlib import Path

import pytest

from tests.service.notify.parts import Certificates


@pytest.fixture
def certificates(tmp_path: Path) -> Certificates:
    """An authority of its own."""
    return Certificates(tmp_path)
