"""Which sessions this process served, and when, until that is written to the record of truth (ID-9).

Every use is in the truth within a recording step and two flushes. A use after a long pause is written at once, so that no
other node takes the session for idle meanwhile.
"""

from __future__ import annotations

import asyncio
from collections.abc import Mapping
from datetime import UTC, datetime, timedelta

from authsvc.store import snapshot as store
from authsvc.work import Works
from infosec.cancellation import raise_if_cancelled
from infosec.clock import Clock
from infosec.errors import InfosecError
from infosec.ids import SessionId
from infosec.logging import get

_LOG = get(__name__)


class Activity:
    """Collects last uses and writes them in batches. `run()` must be running, or a job calls `flush` every 30 s."""

    def __init__(self, works: Works, clock: Clock, *, step: timedelta, latest_idle: timedelta) -> None:
        """`latest_idle`: a session that was not used for so long is over, whatever is reported of it later."""
        self._works = works
        self._clock = clock
        self._step_s = step.total_seconds()
        self._latest_idle_s = latest_idle.total_seconds()
        self._served: dict[SessionId, float] = {}
        self._reported: dict[SessionId, float] = {}

    def served(self, session_id: SessionId, at_s: float) -> None:
        """The session was used at `at_s`, as decided here."""
        _keep_later(self._served, session_id, at_s)

    def reported(self, session_id: SessionId, at_s: float) -> None:
        """Somebody else says so: counts once it is written, and only if the session was not idle by then."""
        _keep_later(self._reported, session_id, min(at_s, self._clock.now().timestamp()))

    async def last_use_s(self, session_id: SessionId) -> float:
        """Ask the truth when a live session was last used; what was decided here and is not written yet counts.

        0 for a session that has ended. Raises Unavailable.
        """
        async with self._works.read() as conn:
            seen = await store.last_seen(conn, session_id)
        return 0.0 if seen is None else max(seen.timestamp(), self._served.get(session_id, 0.0))

    async def write_now(self, session_id: SessionId, at_s: float) -> None:
        """Write this one use at once. Raises Unavailable; the next flush then has it."""
        self.served(session_id, at_s)
        await self._write({session_id: at_s}, step_s=0.0)

    async def run(self, every_s: float) -> None:
        """Flush for ever. What cannot be written now is written the next time."""
        while True:
            raise_if_cancelled()
            await asyncio.sleep(every_s)
            try:
                await self.flush()
            except InfosecError as error:
                _LOG.warning("activity not written", reason=error.reason.value)

    async def flush(self) -> None:
        """Write what was collected. What could not be written is kept for the next time. Raises Unavailable."""
        served, reported = dict(self._served), dict(self._reported)
        await self._write(served, step_s=self._step_s)
        _forget(self._served, served)
        await self._write(reported, step_s=self._step_s, latest_idle_s=self._latest_idle_s)
        _forget(self._reported, reported)

    async def _write(
        self, uses: Mapping[SessionId, float], *, step_s: float, latest_idle_s: float | None = None
    ) -> None:
        if not uses:
            return
        seen = [(session_id, datetime.fromtimestamp(at_s, UTC)) for session_id, at_s in uses.items()]
        async with self._works.read() as conn:
            await store.record_activity(conn, seen, step_s=step_s, latest_idle_s=latest_idle_s)


def _keep_later(uses: dict[SessionId, float], session_id: SessionId, at_s: float) -> None:
    if uses.get(session_id, 0.0) < at_s:
        uses[session_id] = at_s


def _forget(uses: dict[SessionId, float], written: Mapping[SessionId, float]) -> None:
    """What was written; a later use that came meanwhile stays."""
    for session_id, at_s in written.items():
        if uses.get(session_id) == at_s:
            del uses[session_id]
