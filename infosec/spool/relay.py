"""Takes records out of a spool and to their receiver, and syncs the spool in groups. Knows no wire.

One task: `run()`, until it is cancelled. Idle it sleeps, woken by the next put.
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Awaitable, Callable, Collection, Sequence
from contextlib import suppress

from infosec.errors import InfosecError, InvalidInput
from infosec.spool.frames import SpoolDamaged
from infosec.spool.queue import Spool

Deliver = Callable[[Sequence[bytes]], Awaitable[Collection[int] | None]]
"""Hands records over; returns when they are safe there. The same records may come again: the receiver tells them by their
event ID. Answers the indices of those that it refuses for good, if any; raises InvalidInput where it refuses all or cannot
say which, and anything else where the same records may be taken later.
"""
MAX_RECORDS = 500
SYNC_EVERY_S = 0.1
GATHER_S = 0.2
"""From the first put after a pause to the delivery, so that one delivery takes many."""
DEADLINE_S = 10.0
"""For one delivery: a receiver that hangs is one that failed."""
_FIRST_WAIT_S = 0.1
_LONGEST_WAIT_S = 5.0

_LOG = logging.getLogger(__name__)


class SpoolRelay:
    """Delivers what is in `spool`, oldest first, at least once (CI-1: within 1 s, while the receiver answers)."""

    def __init__(
        self,
        spool: Spool,
        deliver: Deliver,
        *,
        max_records: int = MAX_RECORDS,
        gather_s: float = GATHER_S,
        sync_every_s: float = SYNC_EVERY_S,
        deadline_s: float = DEADLINE_S,
    ) -> None:
        self._spool = spool
        self._deliver = deliver
        self._max_records = max_records
        self._gather_s = gather_s
        self._sync_every_s = sync_every_s
        self._deadline_s = deadline_s
        self._put = asyncio.Event()
        self._to_sync = asyncio.Event()
        self._moved = asyncio.Event()
        self._is_woken = False
        self.delivered = 0
        """Records handed over since the start, ..."""
        self.refused = 0
        """... those among them that the receiver will never take, ..."""
        self.failures = 0
        """... and deliveries in a row that failed until now."""

    async def run(self) -> None:
        """Deliver and sync until cancelled. Raises SpoolDamaged: what is damaged is not delivered around."""
        loop = asyncio.get_running_loop()

        def woken() -> None:
            # From any thread. One call into the loop until it was seen, however many puts there are.
            if not self._is_woken:
                self._is_woken = True
                with suppress(RuntimeError):  # the loop is closed: the record waits for the next process
                    loop.call_soon_threadsafe(self._wake)

        self._spool.on_put(woken)
        self._wake()
        tasks = [asyncio.create_task(self._deliver_for_ever()), asyncio.create_task(self._sync_for_ever())]
        try:
            ended, _ = await asyncio.wait(tasks, return_when=asyncio.FIRST_COMPLETED)
            for task in ended:
                task.result()
        finally:
            self._spool.on_put(None)
            for task in tasks:
                task.cancel()
            await asyncio.gather(*tasks, return_exceptions=True)

    async def drained(self) -> None:
        """Wait until nothing is undelivered: before a spool that was adopted is removed, or a process ends."""
        while self._spool.count:
            self._moved.clear()
            await self._moved.wait()

    def _wake(self) -> None:
        self._is_woken = False
        self._put.set()
        self._to_sync.set()

    async def _deliver_for_ever(self) -> None:
        has_more = False
        while True:
            if not has_more:
                await self._put.wait()
                self._put.clear()
                await asyncio.sleep(self._gather_s)
            try:
                has_more = await self._deliver_once()
            except SpoolDamaged:
                raise
            except Exception as error:
                # Whatever it is, the records stay where they are, and the next try may find the receiver well again.
                await self._wait(error)
                has_more = True

    async def _deliver_once(self) -> bool:
        """Hand over the oldest; whether the next delivery need not wait for more to come."""
        batch = self._spool.peek(self._max_records)
        if batch.records:
            refused = await self._handed_over(batch.records)
            self._set_aside([batch.records[index] for index in refused])
            self._spool.done(batch.position)
            self.delivered += len(batch.records) - len(refused)
        self.failures = 0
        self._moved.set()
        left = self._spool.count
        return left >= self._max_records or (left > 0 and not self._put.is_set())

    async def _handed_over(self, records: Sequence[bytes]) -> list[int]:
        """The indices of those that were refused for good; all others are safe. Raises what `deliver` raises."""
        try:
            async with asyncio.timeout(self._deadline_s):
                return sorted(set(await self._deliver(records) or ()))
        except InvalidInput:
            if len(records) == 1:
                return [0]
        # One bad record must not hold up the others, for ever: halves, until it stands alone.
        half = len(records) // 2
        first = await self._handed_over(records[:half])
        return first + [half + index for index in await self._handed_over(records[half:])]

    def _set_aside(self, records: Sequence[bytes]) -> None:
        if not records:
            return
        self._spool.set_aside(records)
        self.refused += len(records)
        _LOG.error("the receiver refused %s records for good: set aside, %s in all", len(records), self._spool.refused)

    async def _wait(self, error: Exception) -> None:
        self.failures += 1
        wait_s = min(_LONGEST_WAIT_S, _FIRST_WAIT_S * 2 ** min(self.failures - 1, 10))
        what = error.reason.value if isinstance(error, InfosecError) else type(error).__name__
        _LOG.warning("the spool could not be delivered, %s times now: %s; again in %s s", self.failures, what, wait_s)
        await asyncio.sleep(wait_s)

    async def _sync_for_ever(self) -> None:
        """At most once in `sync_every_s`, and not at all while nothing is put."""
        while True:
            await self._to_sync.wait()
            await asyncio.sleep(self._sync_every_s)
            self._to_sync.clear()
            try:
                await asyncio.to_thread(self._spool.sync)
            except InfosecError:
                # Until it succeeds the spool takes nothing in, so nothing would wake us.
                self._to_sync.set()
                await asyncio.sleep(1.0)
            if self._spool.is_dirty:
                self._to_sync.set()
