"""Keeps one process's snapshot current: reads change rows and the entities they name, at once on a hint, else by poll.

What grants is read from PostgreSQL only; a hint only makes the next read come sooner (design, section 5).
"""

from __future__ import annotations

import asyncio
import time
from collections.abc import AsyncIterator, Callable, Mapping, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from typing import Any

from authsvc.store import snapshot as store
from authsvc.work import ChangeKind
from infosec.cancellation import raise_if_cancelled
from infosec.clock import Clock
from infosec.decision.snapshot import EMPTY, Changes, PublicKeys, Snapshot
from infosec.decision.tables import Limits, Session
from infosec.errors import InfosecError
from infosec.ids import RegionId, SessionId
from infosec.logging import get
from infosec.storage.postgres import Database, Ends, Isolation

_LOG = get(__name__)
_WATCHER_BACKLOG = 1000
_GIVE_UP_S = 30.0
_LEAST_GAP_S = 0.005
"""Between two reads: whoever asks for revisions that do not exist makes us read no faster than this."""
_IN_TIME = 0.9
"""Of the poll interval; the rest is for reads that take longer than the one before, and for the question on its way."""


@dataclass(frozen=True, slots=True)
class News:
    """What one read of the truth brought, and when it was begun, by this process's monotonic clock."""

    changes: Changes
    read_at_s: float
    is_empty: bool
    """Nothing had changed: it only confirms."""


class Feeder:
    """Holds `snapshot`. `run()` must be running for it to stay fresh."""

    def __init__(
        self,
        db: Database,
        clock: Clock,
        *,
        limits: Limits,
        public_keys: Callable[[], PublicKeys],
        poll_every: timedelta = timedelta(milliseconds=250),
    ) -> None:
        """`public_keys` is asked at every read, so that a key that was made, retired or forgotten is known to all soon."""
        self.snapshot: Snapshot = EMPTY
        self._db = db
        self._clock = clock
        self._limits = limits
        self._public_keys = public_keys
        self._poll_s = poll_every.total_seconds()
        self._confirmed_at = float("-inf")
        self._confirmations = 0
        self.is_failing = False
        """The last read did not succeed: waiting for news is in vain."""
        self._hinted = asyncio.Event()
        self._moved = asyncio.Condition()
        self._reading = asyncio.Lock()
        self._watchers: set[asyncio.Queue[News]] = set()

    @property
    def read_at_s(self) -> float:
        """When the truth was last read, by the monotonic clock."""
        return self._confirmed_at

    @property
    def is_fresh(self) -> bool:
        """Read from the truth within the staleness bound, by a clock that cannot be set back."""
        return time.monotonic() - self._confirmed_at <= self._limits.staleness_s

    def hint(self) -> None:
        """Something changed: read now rather than at the next poll."""
        self._hinted.set()

    async def run(self) -> None:
        """Read for ever. A failed read is logged and tried again; the snapshot then goes stale and denies by itself."""
        while True:
            self._hinted.clear()
            began = time.monotonic()
            try:
                # Against a server that neither answers nor hangs up.
                async with asyncio.timeout(_GIVE_UP_S):
                    await self.refresh()
            except (InfosecError, TimeoutError) as error:
                self.is_failing = True
                reason = error.reason.value if isinstance(error, InfosecError) else "TIMEOUT"
                _LOG.warning("snapshot not refreshed", reason=reason)
            took = time.monotonic() - began
            raise_if_cancelled()
            await asyncio.sleep(_LEAST_GAP_S)
            try:
                async with asyncio.timeout(self._pause_s(took)):
                    await self._hinted.wait()
            except TimeoutError:
                continue

    def _pause_s(self, took_s: float) -> float:
        """What is committed just after a read began is known before the poll interval is over, if the next read takes as
        long; but a slow database is not asked all the time.
        """
        return max(self._poll_s / 2, self._poll_s * _IN_TIME - _LEAST_GAP_S - 2 * took_s)

    async def refresh(self) -> None:
        """Bring the snapshot up to the truth as it is now.

        Raises Unavailable, and Aborted when the truth itself went back (a backup was restored): then nothing is
        believed until this process is started anew.
        """
        async with self._reading:
            # Freshness dates from before the read: what commits while we read may not be in it.
            started, now = time.monotonic(), self._clock.now()
            read = await self._read(now)
            keys = _changed_keys(self.snapshot.keys, self._public_keys())
            changes = replace(read, as_of_s=now.timestamp(), keys=keys)
            is_empty = _is_empty(changes) and changes.revisions == self.snapshot.revisions
            if is_empty:
                self.snapshot = self.snapshot.confirmed(now)
            else:
                self.snapshot = self.snapshot.with_changes(changes).pruned(now)
            self._confirmed_at = started
            self._confirmations += 1
            self.is_failing = False
        self._publish(News(changes, started, is_empty))
        async with self._moved:
            self._moved.notify_all()

    def _publish(self, news: News) -> None:
        for watcher in tuple(self._watchers):
            if watcher.qsize() >= _WATCHER_BACKLOG:
                self._watchers.discard(watcher)  # its reader is gone or far too slow: the stream ends as stale
            else:
                watcher.put_nowait(news)

    async def _read(self, now: datetime) -> Changes:
        """What is new, in two messages; without tables where nothing is."""
        known, knows_nothing = self.snapshot.revisions, self.snapshot is EMPTY
        ends = Ends(first=store.asking(known))
        reads: list[store.Read] = []
        async with self._db.transaction(Isolation.SNAPSHOT_READ_ONLY, ends=ends):
            newest, changed = store.news(ends.first_rows, known)
            is_everything = knows_nothing or changed is None
            reads += _reads(None if is_everything else changed, now)
            ends.last = lambda: [read.statement for read in reads]
        tables: dict[str, Any] = {}
        for read, rows in zip(reads, ends.last_rows, strict=True):
            tables |= read.tables(rows)
        if is_everything:
            return Changes(revisions=newest, limits=self._limits, **self._replacing(tables))
        return Changes(revisions=newest, **tables)

    def _replacing(self, tables: Mapping[str, Mapping[Any, Any]]) -> dict[str, Any]:
        """These tables, and that whatever else was known is gone."""
        old = self.snapshot
        known: dict[str, Mapping[Any, Any]] = {
            "operations": old.policy.operations,
            "roles": old.policy.roles,
            **{name: getattr(old, name) for name in _TABLES if name not in ("operations", "roles")},
        }
        return {name: {**dict.fromkeys(known[name]), **tables[name]} for name in _TABLES}

    async def reached(self, wanted: Sequence[tuple[RegionId, int]], within: timedelta) -> bool:
        """Wait until the snapshot is at these revisions or `within` is over; whether it is."""

        def there() -> bool:
            known = self.snapshot.revisions
            return all(known.get(region, -1) >= number for region, number in wanted)

        return await self._comes_true(there, within)

    async def read_again(self, within: timedelta) -> bool:
        """Wait until the truth was read once more or `within` is over; whether it was."""
        before = self._confirmations
        return await self._comes_true(lambda: self._confirmations > before, within)

    async def _comes_true(self, condition: Callable[[], bool], within: timedelta) -> bool:
        self.hint()
        try:
            async with asyncio.timeout(within.total_seconds()), self._moved:
                await self._moved.wait_for(condition)
        except TimeoutError:
            return condition()
        return True

    def seen(self, session_id: SessionId, at_s: float) -> bool:
        """A session was certainly used at `at_s` (ID-9); whether that is later than the snapshot knew."""
        session: Session | None = self.snapshot.sessions.get(session_id)
        if session is None or at_s <= session.last_seen_s:
            return False
        used = replace(session, last_seen_s=at_s)
        self.snapshot = self.snapshot.with_changes(Changes(sessions={session_id: used}))
        return True

    @asynccontextmanager
    async def watched(self) -> AsyncIterator[asyncio.Queue[News]]:
        """Every change from now on; an empty one confirms that nothing changed. Left behind too far, it ends."""
        queue: asyncio.Queue[News] = asyncio.Queue()
        self._watchers.add(queue)
        try:
            yield queue
        finally:
            self._watchers.discard(queue)

    def follows(self, queue: asyncio.Queue[News]) -> bool:
        """Whether the queue still gets changes."""
        return queue in self._watchers


_TABLES = (
    "operations",
    "roles",
    "stores",
    "terminals",
    "systems",
    "staff",
    "sessions",
    "assignments",
    "bound",
    "revoked",
)


def _is_empty(changes: Changes) -> bool:
    return not changes.keys and changes.limits is None and not any(getattr(changes, name) for name in _TABLES)


def _changed_keys(known: PublicKeys, now: PublicKeys) -> dict[str, Mapping[str, bytes] | None]:
    """The kinds whose keys are not what they were. The others keep their mapping: memos of what was verified hang on it."""
    changed: dict[str, Mapping[str, bytes] | None] = {
        kind: keys for kind, keys in now.items() if known.get(kind) != keys
    }
    return changed | {kind: None for kind in known if kind not in now}


_READERS: Mapping[ChangeKind, Callable[[store.Ids, datetime], store.Read]] = {
    ChangeKind.STORE: store.stores,
    ChangeKind.TERMINAL: store.terminals,
    ChangeKind.SYSTEM: store.systems,
    ChangeKind.ROLE: store.roles,
    ChangeKind.OPERATION: store.operations,
    ChangeKind.STAFF: store.staff,
    ChangeKind.SESSION: store.sessions,
    ChangeKind.ASSIGNMENT: store.assignments,
    ChangeKind.GRANT: store.grants,
}


def _reads(changed: Mapping[str, list[str]] | None, now: datetime) -> list[store.Read]:
    """Of the named entities, or of all of them; kinds of which nothing changed are not asked for."""
    return [
        reader(None if changed is None else changed[kind.value], now)
        for kind, reader in _READERS.items()
        if changed is None or kind.value in changed
    ]
