"""The durable queue through which decisions that release no customer data reach the log (CI-1): within a second, or denied.

A decision is in a file before it is answered; a task delivers it. Denials above ten a second from one caller are counted
together. What waits names customers, and is sealed. Shared by the centre and the SDK; knows neither wire nor receiver.
"""

from __future__ import annotations

import asyncio
import logging
import time
from collections.abc import Callable, Collection, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Protocol

from infosec.cancellation import raise_if_cancelled
from infosec.clock import Clock
from infosec.coalescing import Coalescer, Counted
from infosec.errors import InfosecError, InvalidInput, Reason, Unavailable
from infosec.events import catalogue
from infosec.events.event import Event, Fact
from infosec.ids import new_id
from infosec.journal_keys import JournalKeys
from infosec.spool import Backlog, Spool, SpoolRelay, orphans

_LOG = logging.getLogger(__name__)
MAX_BYTES = 64 << 20
"""Of undelivered decisions: some 150,000. Beyond that checks are denied (CI-1)."""
LOOK_AGAIN_S = 10.0
"""For what processes left that have died meanwhile."""
_Told = tuple[Event, str]


class Delivery(Protocol):
    """How decisions are written down, and who takes them."""

    def packed(self, event: Event, customer: str) -> bytes:
        """The record of one decision; `customer` is the customer's number, where the event names no digest of it.

        Raises InvalidInput for what the receiver would not take.
        """
        ...

    async def deliver(self, records: Sequence[bytes]) -> Collection[int]:
        """As infosec.spool.Deliver: the indices of those that are refused for good; raises where all come again."""
        ...


def refused_for_good(faults: Sequence[InfosecError | None]) -> list[int]:
    """Where the log refuses for good. Raises Unavailable where one may be taken later: then all come again."""
    for fault in faults:
        if isinstance(fault, Unavailable):
            raise fault
    return [index for index, fault in enumerate(faults) if fault is not None]


class DecisionJournal:
    """A directory of spools, one for each process. `run()` must be running: it delivers, and tells of floods."""

    def __init__(
        self,
        directory: Path,
        delivery: Delivery,
        clock: Clock,
        *,
        max_bytes: int = MAX_BYTES,
        monotonic_s: Callable[[], float] = time.monotonic,
    ) -> None:
        """Raises Misconfigured or Unavailable where nothing can be written, SpoolDamaged."""
        self._directory = directory
        self._delivery = delivery
        self._clock = clock
        self._monotonic_s = monotonic_s
        self._coalescer: Coalescer[_Told] = Coalescer()
        self._adopted: set[Path] = set()
        """What is not looked at again: delivered, or told of."""
        self._name = new_id()
        self._keys = JournalKeys(directory, clock.now)
        self._queue = Spool.open(directory / self._name, max_bytes=max_bytes, clock=clock)
        try:
            self._keys.begun(self._name)
        except BaseException:
            self._queue.remove()
            raise
        self._relay = self._relay_of(self._name, self._queue)

    def allowed(self, event: Event, customer: str = "") -> None:
        """Survives this process when it returns. Raises Unavailable(RECORD_UNAVAILABLE) or, when closed, another
        InfosecError: deny, then.
        """
        try:
            catalogue.check(event)
            record = self._keys.seal(self._name, self._delivery.packed(event, customer))
        except InvalidInput as error:
            _LOG.error("a decision that cannot be recorded: %s", error)
            raise Unavailable(Reason.RECORD_UNAVAILABLE, sink="journal") from None
        self._queue.put(record)

    def denied(self, caller: str, event: Event, customer: str = "") -> None:
        """As `allowed`; of a flood from one caller a count is kept."""
        for told in self._coalescer.offer(caller, (event, customer), now=self._clock.now(), at_s=self._monotonic_s()):
            self.allowed(*_counted(told))

    def backlog(self) -> Backlog:
        """What is not delivered yet."""
        return self._queue.backlog()

    async def run(self) -> None:
        """Deliver what is put, what dead processes left, and the counts of floods; until cancelled."""
        async with asyncio.TaskGroup() as group:
            group.create_task(self._relay.run())
            group.create_task(self._tell_for_ever())
            group.create_task(self._adopt_for_ever(group))

    async def drained(self) -> None:
        """Wait until everything that was put is in the log. `run()` must be running."""
        self.tell()
        await self._relay.drained()

    def close(self) -> None:
        """Let go of the spool; what is undelivered waits for the next process."""
        self.tell()
        self._let_go(self._name, self._queue)

    def tell(self, at_s: float = float("inf")) -> None:
        """Put down the counts of floods that are over by then."""
        for told in self._coalescer.due(at_s):
            try:
                self.allowed(*_counted(told))
            except InfosecError as error:
                _LOG.error("%s denials are not recorded: %s", told.count, error.reason.value)

    def _relay_of(self, name: str, spool: Spool) -> SpoolRelay:
        async def deliver(records: Sequence[bytes]) -> Collection[int]:
            opened = {
                index: clear for index, one in enumerate(records) if (clear := self._opened(name, one)) is not None
            }
            # What cannot be opened is set aside too, for a person who has the key.
            refused = [index for index in range(len(records)) if index not in opened]
            if opened:
                indices = list(opened)
                refused += [indices[at] for at in await self._delivery.deliver(list(opened.values()))]
            return refused

        return SpoolRelay(spool, deliver)

    def _opened(self, name: str, record: bytes) -> bytes | None:
        try:
            return self._keys.open(name, record)
        except InfosecError:
            return None

    async def _adopt_for_ever(self, group: asyncio.TaskGroup) -> None:
        """Also of those that die while this one lives: nobody may start in their place."""
        while True:
            raise_if_cancelled()
            for left in orphans(self._directory):
                if left not in self._adopted:
                    self._adopted.add(left)
                    group.create_task(self._adopt(left))
            await asyncio.sleep(LOOK_AGAIN_S)

    async def _adopt(self, left: Path) -> None:
        try:
            spool = Spool.open(left, max_bytes=MAX_BYTES)
        except InfosecError as fault:
            if fault.reason is Reason.ALREADY_RUNNING:
                self._adopted.discard(left)  # another process was faster, and may die too
            else:
                _LOG.error("what another process left cannot be opened: %s", fault)
            return
        relay = self._relay_of(left.name, spool)
        running, drained = asyncio.create_task(relay.run()), asyncio.create_task(relay.drained())
        try:
            await asyncio.wait({running, drained}, return_when=asyncio.FIRST_COMPLETED)
            if running.done() and (error := running.exception()) is not None:
                # What is damaged stays where it is, for a person to look at; it does not stop what is whole.
                _LOG.error("what another process left cannot be delivered: %s", error)
        finally:
            for task in (running, drained):
                task.cancel()
            await asyncio.gather(running, drained, return_exceptions=True)
            self._let_go(left.name, spool)

    def _let_go(self, name: str, spool: Spool) -> None:
        if spool.remove():
            self._keys.ended(name)
        else:
            spool.close()

    async def _tell_for_ever(self) -> None:
        while True:
            raise_if_cancelled()
            await asyncio.sleep(1.0)
            self.tell(self._monotonic_s())


def _counted(told: Counted[_Told]) -> _Told:
    event, customer = told.sample
    if told.count == 1:
        return event, customer
    several: dict[str, Fact] = {"count": told.count, "first": told.first.isoformat(), "last": told.last.isoformat()}
    return replace(event, facts={**event.facts, **several}), customer
