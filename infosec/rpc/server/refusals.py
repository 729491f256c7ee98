"""Refusals and unauthenticated attempts are recorded too (CI-1); a flood from one caller becomes one event with a count.

Knows no log and no queue: a sink takes the events.
"""

from __future__ import annotations

import asyncio
import contextlib
import time
from collections import deque
from collections.abc import Callable
from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from typing import Protocol

from infosec.clock import Clock
from infosec.coalescing import Coalescer, Counted
from infosec.errors import InfosecError, PermissionDenied, Reason, Unauthenticated, Unimplemented

BACKLOG = 1000

_REFUSALS = (Unauthenticated, PermissionDenied, Unimplemented)


def is_refusal(error: InfosecError) -> bool:
    """Whether an error says that somebody tried what they may not."""
    return isinstance(error, _REFUSALS)


@dataclass(frozen=True, slots=True, kw_only=True)
class Refusal:
    """One refused call; or, with a count above one, many of one caller, of which this is the first."""

    caller: str | None
    """`system/<name>`; None for whom we do not know."""
    method: str
    reason: Reason
    peer: str
    count: int = 1
    first: datetime
    last: datetime


class RefusalSink(Protocol):
    """Takes refusals for the record."""

    async def __call__(self, refusal: Refusal) -> None:
        """Durable on return. Raises what it likes when it cannot: the event is kept here and tried again."""
        ...


class RefusalReporter:
    """Brings refusals to the sink: at once where it answers in time, from a bounded backlog where it does not."""

    def __init__(
        self,
        sink: RefusalSink,
        *,
        clock: Clock,
        on_fault: Callable[[Exception, bool], None],
        deadline: timedelta = timedelta(seconds=2),
        monotonic_s: Callable[[], float] = time.monotonic,
    ) -> None:
        """`on_fault(error, is_lost)` is told of every delivery that failed, and whether the event is given up."""
        self._sink = sink
        self._clock = clock
        self._on_fault = on_fault
        self._deadline_s = deadline.total_seconds()
        self._monotonic_s = monotonic_s
        self._coalescer: Coalescer[Refusal] = Coalescer()
        self._backlog: deque[Refusal] = deque()
        self._task: asyncio.Task[None] | None = None

    def start(self) -> None:
        """Begin to report what was held back; needs a running loop."""
        self._task = asyncio.create_task(self._forever(), name="refusals")

    async def report(self, *, caller: str | None, method: str, reason: Reason, peer: str) -> None:
        """Returns when the event is recorded, counted in with others, or waits in the backlog. Never raises."""
        now = self._clock.now()
        refusal = Refusal(caller=caller, method=method, reason=reason, peer=peer, first=now, last=now)
        for event in self._coalescer.offer(caller, refusal, now=now, at_s=self._monotonic_s()):
            await self._deliver(_counted(event))

    async def close(self) -> None:
        """Report what is left, counts included, each tried once more."""
        if self._task is not None:
            self._task.cancel()
            with contextlib.suppress(asyncio.CancelledError):
                await self._task
        await self._flush(at_s=float("inf"))

    async def _forever(self) -> None:
        while True:
            await asyncio.sleep(1.0)
            await self._flush(at_s=self._monotonic_s())

    async def _flush(self, *, at_s: float) -> None:
        waiting, self._backlog = self._backlog, deque()
        for event in (*waiting, *map(_counted, self._coalescer.due(at_s))):
            await self._deliver(event)

    async def _deliver(self, event: Refusal) -> None:
        try:
            async with asyncio.timeout(self._deadline_s):
                await self._sink(event)
        except Exception as error:
            is_lost = len(self._backlog) >= BACKLOG
            if not is_lost:
                self._backlog.append(event)
            self._on_fault(error, is_lost)


def _counted(several: Counted[Refusal]) -> Refusal:
    return replace(several.sample, count=several.count, first=several.first, last=several.last)
