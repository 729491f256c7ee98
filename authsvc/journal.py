"""The durable queue through which checks that release no customer data reach the log (CI-1): within a second, or refused.

A decision is in a file before it is answered; a task brings it to the audit service. Denials above ten a second from one
system are counted together.
"""

from __future__ import annotations

import asyncio
import time
from collections.abc import Callable, Collection, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Protocol

from authsvc.recorder import AuditLog
from infosec.cancellation import raise_if_cancelled
from infosec.clock import Clock
from infosec.coalescing import Coalescer, Counted
from infosec.errors import InfosecError, InvalidInput, Reason, Unavailable
from infosec.events import catalogue
from infosec.events.event import Event, Fact
from infosec.ids import SystemId, new_id
from infosec.logging import get
from infosec.spool import Backlog, Spool, SpoolRelay, orphans

_LOG = get(__name__)
_FOR_NOW = frozenset({Reason.RECORD_UNAVAILABLE, Reason.OVERLOADED})
MAX_BYTES = 64 << 20
"""Of undelivered decisions: some 150,000. Beyond that checks are denied (CI-1)."""


class Journal(Protocol):
    """Where decisions go that are not reads."""

    def allowed(self, event: Event) -> None:
        """Survives this process when it returns. Raises Unavailable(RECORD_UNAVAILABLE): deny, then."""
        ...

    def denied(self, system: SystemId, event: Event) -> None:
        """As `allowed`; of a flood from one system a count is kept."""
        ...


class CheckJournal:
    """Journal in a directory of spools, one for each process. `run()` must be running: it delivers, and tells of floods."""

    def __init__(
        self,
        directory: Path,
        log: AuditLog,
        clock: Clock,
        *,
        max_bytes: int = MAX_BYTES,
        monotonic_s: Callable[[], float] = time.monotonic,
    ) -> None:
        """Raises Unavailable where nothing can be written, SpoolDamaged."""
        self._directory = directory
        self._log = log
        self._clock = clock
        self._monotonic_s = monotonic_s
        self._coalescer: Coalescer[Event] = Coalescer()
        self._queue = Spool.open(directory / new_id(), max_bytes=max_bytes)
        self._relay = SpoolRelay(self._queue, self._deliver)

    def allowed(self, event: Event) -> None:
        try:
            catalogue.check(event)
        except InvalidInput as error:
            _LOG.error("a decision that the catalogue does not know", fault=str(error))
            raise Unavailable(Reason.RECORD_UNAVAILABLE, sink="journal") from None
        self._queue.put(event.body())

    def denied(self, system: SystemId, event: Event) -> None:
        for told in self._coalescer.offer(system, event, now=self._clock.now(), at_s=self._monotonic_s()):
            self.allowed(_counted(told))

    def backlog(self) -> Backlog:
        """What is not delivered yet."""
        return self._queue.backlog()

    async def run(self) -> None:
        """Deliver what is put, what dead processes left, and the counts of floods; until cancelled."""
        async with asyncio.TaskGroup() as group:
            group.create_task(self._relay.run())
            group.create_task(self._tell_for_ever())
            for left in orphans(self._directory):
                group.create_task(self._adopt(left))

    async def drained(self) -> None:
        """Wait until everything that was put is in the log. `run()` must be running."""
        self.tell()
        await self._relay.drained()

    def close(self) -> None:
        """Let go of the spool; what is undelivered waits for the next process."""
        self.tell()
        if not self._queue.remove():
            self._queue.close()

    async def _adopt(self, left: Path) -> None:
        try:
            spool = Spool.open(left, max_bytes=MAX_BYTES)
        except InfosecError:
            return  # another process was faster
        relay = SpoolRelay(spool, self._deliver)
        running = asyncio.create_task(relay.run())
        try:
            await relay.drained()
        finally:
            running.cancel()
            await asyncio.gather(running, return_exceptions=True)
            if not spool.remove():
                spool.close()

    async def _deliver(self, records: Sequence[bytes]) -> Collection[int]:
        """Raises Unavailable where anything has to come again; answers what the log will never take."""
        faults = await self._log.record([Event.from_body(record) for record in records])
        if any(fault is not None and fault.reason in _FOR_NOW for fault in faults):
            raise Unavailable(Reason.RECORD_UNAVAILABLE, sink="audit")
        return [index for index, fault in enumerate(faults) if fault is not None]

    async def _tell_for_ever(self) -> None:
        while True:
            raise_if_cancelled()
            await asyncio.sleep(1.0)
            self.tell(self._monotonic_s())

    def tell(self, at_s: float = float("inf")) -> None:
        """Put down the counts of floods that are over by then."""
        for told in self._coalescer.due(at_s):
            try:
                self.allowed(_counted(told))
            except InfosecError as error:
                _LOG.error("denials are not recorded", count=told.count, reason=error.reason.value)


def _counted(told: Counted[Event]) -> Event:
    if told.count == 1:
        return told.sample
    several: dict[str, Fact] = {"count": told.count, "first": told.first.isoformat(), "last": told.last.isoformat()}
    return replace(told.sample, facts={**told.sample.facts, **several})
