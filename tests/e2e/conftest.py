"""One running installation for the tests that only use it, and places for those that start and stop their own."""

from __future__ import annotations

import shutil
import tempfile
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.sim.installation import Installation, Opened, Process, free_port, opened


@pytest.fixture
def place() -> Iterator[Path]:
    """A short, private folder."""
    folder = Path(tempfile.mkdtemp(prefix="infosec-e2e-"))
    yield folder
    shutil.rmtree(folder)


@pytest.fixture
def processes() -> Iterator[list[Process]]:
    """Whatever a test puts in here is killed after it."""
    started: list[Process] = []
    yield started
    for process in started:
        process.kill()


@pytest.fixture(scope="session")
def metrics_port() -> int:
    return free_port()


@pytest.fixture(scope="session")
def office(metrics_port: int) -> Iterator[tuple[Installation, Opened]]:
    """A running installation, set up; the first administrator is logged in at the console, with a password of their own."""
    folder = Path(tempfile.mkdtemp(prefix="infosec-e2e-"))
    installation = Installation(place=folder, config_text=f'metrics_listen = "127.0.0.1:{metrics_port}"')
    server = installation.start()
    try:
        people = opened(installation)
        people.administrators[0].log_in()
        people.administrators[0].change_password("plum.Fence-27")
        yield installation, people
        assert server.terminate() == 0
    finally:
        server.kill()
        shutil.rmtree(folder)
