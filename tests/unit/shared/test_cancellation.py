"""What runs for ever ends at once when it is cancelled, also where the driver forgets the cancellation."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager, suppress
from datetime import timedelta
from typing import Any

import pytest

from auditsvc.opened_subjects import OpenedSubjects
from infosec.clock import SystemClock
from infosec.errors import Reason, Unavailable
from infosec.storage.jobs import Jobs
from tests.sim.patience import PATIENCE_S

FOR_EVER_S = 1e6


class Forgetful:
    """A database that is asked once, and loses the cancellation of whoever asks."""

    def __init__(self) -> None:
        self.is_asked = asyncio.Event()

    @asynccontextmanager
    async def statements(self) -> AsyncIterator[Any]:
        self.is_asked.set()
        with suppress(asyncio.CancelledError):
            await asyncio.Event().wait()
        raise Unavailable(Reason.STORAGE_UNAVAILABLE)
        yield


def _jobs(database: Any) -> Awaitable[None]:
    return Jobs(database, schema="x", jobs=[], clock=SystemClock()).run(FOR_EVER_S)


def _subjects(database: Any) -> Awaitable[None]:
    return OpenedSubjects(database, None, SystemClock()).follow(timedelta(seconds=FOR_EVER_S))  # type: ignore[arg-type]


@pytest.mark.parametrize("loop", [_jobs, _subjects])
async def test_a_loop_does_not_rest_once_more_when_its_cancellation_was_lost(
    loop: Callable[[Any], Awaitable[None]],
) -> None:
    database = Forgetful()
    running = asyncio.ensure_future(loop(database))
    await database.is_asked.wait()
    running.cancel()
    await asyncio.wait({running}, timeout=PATIENCE_S)
    assert running.cancelled()
