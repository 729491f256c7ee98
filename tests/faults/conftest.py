"""Real engines, a carrier, processes to interrupt, and which steps a run interrupts."""

from pathlib import Path

import pytest

from tests.faults.stages import Share, breeder, stages

__all__ = ["breeder", "stages"]

_PARTS = 4
_FULL_DISK = "test_records_small_disk.py"


def pytest_generate_tests(metafunc: pytest.Metafunc) -> None:
    """A share of the steps, and with --all-faults every share."""
    if "share" in metafunc.fixturenames:
        shares = range(_PARTS) if metafunc.config.getoption("--all-faults") else [0]
        metafunc.parametrize(
            "share", [Share(first=first, of=_PARTS) for first in shares], ids=lambda s: f"part{s.first}"
        )


def pytest_ignore_collect(collection_path: Path, config: pytest.Config) -> bool | None:
    """A full disk is tested with --all-faults alone: it takes root and a loop device."""
    is_left_out = collection_path.name == _FULL_DISK and not config.getoption("--all-faults")
    return True if is_left_out else None


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Last what may end the run: all that can be tested without root is tested by then."""
    items.sort(key=lambda item: item.path.name == _FULL_DISK)
