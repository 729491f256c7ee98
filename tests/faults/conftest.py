"""Real engines, a carrier, processes to interrupt, and which steps a run interrupts."""

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


def pytest_collection_modifyitems(config: pytest.Config, items: list[pytest.Item]) -> None:
    """A full disk takes root and a loop device: with --all-faults alone, and last, as it may end the run."""
    full_disk = [item for item in items if item.path.name == _FULL_DISK]
    items[:] = [item for item in items if item.path.name != _FULL_DISK]
    if config.getoption("--all-faults"):
        items += full_disk
    elif full_disk:
        config.hook.pytest_deselected(items=full_disk)
