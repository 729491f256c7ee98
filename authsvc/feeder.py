"""Keeps one process's snapshot current: reads change rows and the entities they name, at once on a hint, else by poll.

What grants is read from PostgreSQL only; a hint only makes the next read come sooner (design, section 5).
"""

from __future__ import annotations

import asyncio
import time
from collections.abc import AsyncIterator, Callable, Mapping, Sequence
from contextlib import asynccontextmanager
from dataclasses import replace
from datetime import timedelta

from authsvc.store import snapshot as store
from authsvc.work import ChangeKind
from infosec.clock import Clock
from infosec.decision.snapshot import EMPTY, Changes, PublicKeys, Snapshot
from infosec.decision.tables import Limits
from infosec.errors import InfosecError
from infosec.ids import RegionId, SessionId
from infosec.logging import get
from infosec.storage.postgres import Database, Isolation

_LOG = get(__name__)
_WATCHER_BACKLOG = 1000


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
        self.snapshot: Snapshot = EMPTY
        self._db = db
        self._clock = clock
        self._limits = limits
        self._public_keys = public_keys
        self._poll_s = poll_every.total_seconds()
        self._confirmed_at = float("-inf")
        self._hinted = asyncio.Event()
        self._moved = asyncio.Condition()
        self._reading = asyncio.Lock()
        self._watchers: set[asyncio.Queue[Changes]] = set()

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
            try:
                await self.refresh()
            except InfosecError as error:
                _LOG.warning("snapshot not refreshed", reason=error.reason.value)
            try:
                async with asyncio.timeout(self._poll_s):
                    await self._hinted.wait()
            except TimeoutError:
                continue

    async def refresh(self) -> None:
        """Bring the snapshot up to the truth as it is now. Raises Unavailable."""
        async with self._reading:
            # Freshness dates from before the read: what commits while we read may not be in it.
            started, now = time.monotonic(), self._clock.now()
            async with self._db.transaction(Isolation.REPEATABLE_READ) as conn:
                changes = await self._changes(conn)
            if changes is None:
                self.snapshot = self.snapshot.confirmed(now)
                changes = Changes(revisions=self.snapshot.revisions, as_of_s=now.timestamp())
            else:
                changes = replace(changes, as_of_s=now.timestamp())
                self.snapshot = self.snapshot.with_changes(changes).pruned(now)
            self._confirmed_at = started
        for watcher in tuple(self._watchers):
            if watcher.qsize() >= _WATCHER_BACKLOG:
                self._watchers.discard(watcher)  # its reader is gone or far too slow: the stream ends as stale
            else:
                watcher.put_nowait(changes)
        async with self._moved:
            self._moved.notify_all()

    async def _changes(self, conn: store.Connection) -> Changes | None:
        known = self.snapshot.revisions
        newest = await store.revisions(conn)
        if self.snapshot is not EMPTY and newest == dict(known):
            return None
        if self.snapshot is EMPTY or await self._missed_some(conn, newest):
            return await self._everything(conn, newest)
        changed: dict[str, list[str]] = {kind.value: [] for kind in ChangeKind}
        for kind, entity in await store.changed_since(conn, known):
            changed[kind].append(entity)
        return await self._read(conn, changed, newest)

    async def _missed_some(self, conn: store.Connection, newest: Mapping[RegionId, int]) -> bool:
        """True when change rows that this node has not read were cleaned away."""
        oldest = await store.oldest_changes(conn)
        known = self.snapshot.revisions
        return any(
            number > known.get(region, 0) and oldest.get(region, number + 1) > known.get(region, 0) + 1
            for region, number in newest.items()
        )

    async def _everything(self, conn: store.Connection, newest: Mapping[RegionId, int]) -> Changes:
        whole = await self._read(conn, None, newest)
        gone = self.snapshot
        return replace(
            whole,
            sessions={**{key: None for key in gone.sessions}, **whole.sessions},
            assignments={**{key: None for key in gone.assignments}, **whole.assignments},
            bound={**{key: None for key in gone.bound}, **whole.bound},
            revoked={**{key: None for key in gone.revoked}, **whole.revoked},
            keys=self._public_keys(),
            limits=self._limits,
        )

    async def _read(
        self, conn: store.Connection, changed: Mapping[str, list[str]] | None, newest: Mapping[RegionId, int]
    ) -> Changes:
        """The named entities, or all of them; kinds of which nothing changed are not asked for."""

        def ids(kind: ChangeKind) -> store.Ids:
            return None if changed is None else changed[kind.value]

        def wanted(kind: ChangeKind) -> bool:
            return changed is None or bool(changed[kind.value])

        now = self._clock.now()
        read = Changes(revisions=newest)
        if wanted(ChangeKind.STORE):
            read = replace(read, stores=await store.stores(conn, ids(ChangeKind.STORE)))
        if wanted(ChangeKind.TERMINAL):
            read = replace(read, terminals=await store.terminals(conn, ids(ChangeKind.TERMINAL)))
        if wanted(ChangeKind.SYSTEM):
            read = replace(read, systems=await store.systems(conn, ids(ChangeKind.SYSTEM)))
        if wanted(ChangeKind.ROLE):
            read = replace(read, roles=await store.roles(conn, ids(ChangeKind.ROLE)))
        if wanted(ChangeKind.OPERATION):
            read = replace(read, operations=await store.operations(conn, ids(ChangeKind.OPERATION)))
        if wanted(ChangeKind.STAFF):
            read = replace(read, staff=await store.staff(conn, ids(ChangeKind.STAFF)))
        if wanted(ChangeKind.SESSION):
            read = replace(read, sessions=await store.sessions(conn, ids(ChangeKind.SESSION), now))
        if wanted(ChangeKind.ASSIGNMENT):
            read = replace(read, assignments=await store.assignments(conn, ids(ChangeKind.ASSIGNMENT)))
        if wanted(ChangeKind.GRANT):
            bound, revoked = await store.grants(conn, ids(ChangeKind.GRANT), now)
            read = replace(read, bound=bound, revoked=revoked)
        return read

    async def reached(self, wanted: Sequence[tuple[RegionId, int]], within: timedelta) -> bool:
        """Wait until the snapshot is at these revisions or `within` is over; whether it is."""

        def there() -> bool:
            known = self.snapshot.revisions
            return all(known.get(region, -1) >= number for region, number in wanted)

        self.hint()
        try:
            async with asyncio.timeout(within.total_seconds()), self._moved:
                await self._moved.wait_for(there)
        except TimeoutError:
            return there()
        return True

    async def ask_last_seen(self, session_id: SessionId, served_s: float) -> bool:
        """Ask the truth once about a session that looks idle; whether it was used later than the snapshot knew (ID-9)."""
        async with self._db.transaction() as conn:
            seen = await store.last_seen(conn, session_id)
        session = self.snapshot.sessions.get(session_id)
        if seen is None or session is None:
            return False
        newest = max(seen.timestamp(), served_s)
        if newest <= session.last_seen_s:
            return False
        refreshed = replace(session, last_seen_s=newest)
        self.snapshot = self.snapshot.with_changes(Changes(sessions={session_id: refreshed}))
        return True

    @asynccontextmanager
    async def watched(self) -> AsyncIterator[asyncio.Queue[Changes]]:
        """Every change from now on; an empty one confirms that nothing changed. Left behind too far, it ends."""
        queue: asyncio.Queue[Changes] = asyncio.Queue()
        self._watchers.add(queue)
        try:
            yield queue
        finally:
            self._watchers.discard(queue)

    def follows(self, queue: asyncio.Queue[Changes]) -> bool:
        """Whether the queue still gets changes."""
        return queue in self._watchers
