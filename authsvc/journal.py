"""The centre's journal of checks that release no customer data: infosec.journal, delivered to the audit service (CI-1)."""

from __future__ import annotations

import time
from collections.abc import Callable, Collection, Sequence
from pathlib import Path
from typing import Protocol

from authsvc.recorder import AuditLog
from infosec.clock import Clock
from infosec.events.event import Event
from infosec.ids import SystemId
from infosec.journal import MAX_BYTES, DecisionJournal, refused_for_good


class Journal(Protocol):
    """Where decisions go that are not reads."""

    def allowed(self, event: Event) -> None:
        """Survives this process when it returns. Raises Unavailable(RECORD_UNAVAILABLE): deny, then."""
        ...

    def denied(self, caller: SystemId, event: Event) -> None:
        """As `allowed`; of a flood from one system a count is kept."""
        ...


class CheckJournal(DecisionJournal):
    """Journal in a directory of spools, one for each process of the centre."""

    def __init__(
        self,
        directory: Path,
        log: AuditLog,
        clock: Clock,
        *,
        max_bytes: int = MAX_BYTES,
        monotonic_s: Callable[[], float] = time.monotonic,
    ) -> None:
        """As DecisionJournal."""
        super().__init__(directory, _ToLog(log), clock, max_bytes=max_bytes, monotonic_s=monotonic_s)


class _ToLog:
    """The centre names customers by their digests: an event stands in the spool as the log would take it."""

    def __init__(self, log: AuditLog) -> None:
        self._log = log

    def packed(self, event: Event, _customer: str) -> bytes:
        return event.body()

    async def deliver(self, records: Sequence[bytes]) -> Collection[int]:
        return refused_for_good(await self._log.record([Event.from_body(record) for record in records]))
