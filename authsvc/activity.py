"""Which sessions this process served, and when, until that is written to the record of truth (ID-9)."""

from __future__ import annotations

import asyncio
from datetime import UTC, datetime, timedelta

from authsvc.store import snapshot as store
from authsvc.work import Works
from infosec.clock import Clock
from infosec.errors import InfosecError
from infosec.ids import SessionId
from infosec.logging import get

_LOG = get(__name__)


class Activity:
    """Collects last uses and writes them in batches. `run()` must be running."""

    def __init__(self, works: Works, clock: Clock, *, step: timedelta) -> None:
        self._works = works
        self._clock = clock
        self._step_s = step.total_seconds()
        self._served: dict[SessionId, float] = {}

    def served(self, session_id: SessionId, now_s: float) -> None:
        """The session was used at `now_s`."""
        self._served[session_id] = now_s

    def last_served_s(self, session_id: SessionId) -> float:
        """When this process last served it and has not yet written it, or 0."""
        return self._served.get(session_id, 0.0)

    async def run(self, every_s: float) -> None:
        """Flush for ever. What cannot be written now is written the next time."""
        while True:
            await asyncio.sleep(every_s)
            try:
                await self.flush()
            except InfosecError as error:
                _LOG.warning("activity not written", reason=error.reason.value)

    async def flush(self) -> None:
        """Write what was collected. What could not be written is kept for the next time."""
        taken, self._served = self._served, {}
        if not taken:
            return
        try:
            async with self._works.read() as conn:
                seen = [(session, datetime.fromtimestamp(at, UTC)) for session, at in taken.items()]
                await store.record_activity(conn, seen, self._step_s)
        except BaseException:
            self._served = {**taken, **self._served}
            raise
