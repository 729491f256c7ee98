"""Real engines, a carrier, processes to interrupt, and which steps a run interrupts."""

import pytest

from tests.faults.stages import Share, breeder, stages

__all__ = ["breeder", "stages"]

_PARTS = 4


def pytest_generate_tests(metafunc: pytest.Metafunc) -> None:
    """A share of the steps, and with --all-faults every share."""
    if "share" in metafunc.fixturenames:
        shares = range(_PARTS) if metafunc.config.getoption("--all-faults") else [0]
        metafunc.parametrize(
            "share", [Share(first=first, of=_PARTS) for first in shares], ids=lambda s: f"part{s.first}"
        )
