"""The record of an access to customer data, made before the data is released (CI-1): no record, no allow."""

from __future__ import annotations

import asyncio
from datetime import timedelta
from typing import Protocol

from authsvc.events import Event
from authsvc.work import Works
from infosec.cancellation import raise_if_cancelled
from infosec.errors import InfosecError, Reason, Unavailable
from infosec.logging import get

_LOG = get(__name__)
_RETRY_SOON = timedelta(milliseconds=200)


class AccessRecorder(Protocol):
    """Where accesses are recorded."""

    async def record(self, event: Event) -> str:
        """Durable when it returns; the record's ID. Idempotent by event ID. Raises Unavailable(RECORD_UNAVAILABLE)."""
        ...


_Waiting = tuple[Event, asyncio.Future[None]]


class OutboxRecorder:
    """Group commit into the outbox: what waits together is written by one transaction. `run()` must be running."""

    def __init__(
        self, works: Works, *, batch: int = 500, max_waiting: int = 5000, deadline: timedelta = timedelta(seconds=2)
    ) -> None:
        self._works = works
        self._batch = batch
        self._deadline_s = deadline.total_seconds()
        self._waiting: asyncio.Queue[_Waiting] = asyncio.Queue(max_waiting)

    async def record(self, event: Event) -> str:
        done: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        try:
            self._waiting.put_nowait((event, done))
            async with asyncio.timeout(self._deadline_s):
                await done
        except (asyncio.QueueFull, TimeoutError, InfosecError):
            raise _unavailable() from None
        return str(event.event_id)

    async def run(self) -> None:
        """Write for ever, a batch at a time; whoever waits is told how theirs went."""
        while True:
            raise_if_cancelled()
            group = [await self._waiting.get()]
            while len(group) < self._batch and not self._waiting.empty():
                group.append(self._waiting.get_nowait())
            # Who gave up waiting was denied: their record would say that data was released.
            group = [(event, done) for event, done in group if not done.done()]
            if group:
                await self._write(group)

    async def _write(self, group: list[_Waiting]) -> None:
        try:
            await self._works.record([event for event, _ in group])
        except InfosecError as error:
            _LOG.warning("accesses not recorded", count=len(group), reason=error.reason.value)
        except Exception as error:
            # A fault of ours in one batch must not end all recording until a restart.
            _LOG.error("accesses not recorded", count=len(group), exc_info=error)
        else:
            for _, done in group:
                if not done.done():
                    done.set_result(None)
        finally:
            # Also when this task is cancelled: nobody waits for what will not come.
            for _, done in group:
                if not done.done():
                    done.set_exception(_unavailable())


def _unavailable() -> Unavailable:
    return Unavailable(Reason.RECORD_UNAVAILABLE, retry_after=_RETRY_SOON, sink="outbox")
