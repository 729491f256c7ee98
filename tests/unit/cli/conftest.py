"""A console of its own for each test."""

from pathlib import Path

import pytest

from tests.unit.cli.fakes import Console


@pytest.fixture
def console(tmp_path: Path) -> Console:
    return Console(tmp_path)
