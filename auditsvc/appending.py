"""Appending to the logs, with group commit across callers: what waits together becomes durable and integrated together.

A receipt is final: when it is answered, the entry is committed and in its log's tree. An event is judged for itself; a bad
one fails no other in its batch. The same event ID with the same content is a retry, with other content a conflict.
"""

from __future__ import annotations

import asyncio
from collections import deque
from collections.abc import Sequence
from dataclasses import dataclass, field
from datetime import timedelta

from auditsvc.batch import Batch, Outcome, Prepared, Submission
from auditsvc.opened_subjects import OpenedSubjects
from auditsvc.store import log
from infosec.clock import Clock
from infosec.errors import (
    Aborted,
    AlreadyExists,
    InfosecError,
    Internal,
    InvalidInput,
    Reason,
    ResourceExhausted,
    Unavailable,
)
from infosec.ids import RegionId
from infosec.keys import SealingKeys
from infosec.logging import get
from infosec.storage.postgres import Database, Ends

_LOG = get(__name__)
_RETRY_SOON = timedelta(milliseconds=200)
_TRIES = 4
_LOOK = timedelta(seconds=1)


@dataclass(frozen=True, slots=True, kw_only=True)
class AppendLimits:
    """How much is appended together, how much may wait, and for how long."""

    batch: int = 1000
    max_waiting: int = 20_000
    max_of_systems: int = 10_000
    """Of those that wait: store systems together, so that their floods leave the centre room to record reads."""
    deadline: timedelta = timedelta(seconds=5)


@dataclass(slots=True)
class _Waiting:
    """The events of one caller for one log, and the future that gets their outcomes."""

    submissions: Sequence[Submission]
    done: asyncio.Future[list[Outcome]]
    is_systems: bool
    prepared: Sequence[Prepared] = ()
    erasures: int | None = None
    """How often subjects had been erased when those of these events were read; None where they name no customer."""


@dataclass(slots=True)
class _Queue:
    """What waits for one log, and the task that writes it."""

    waiting: deque[_Waiting] = field(default_factory=deque)
    arrived: asyncio.Event = field(default_factory=asyncio.Event)
    events: int = 0
    of_systems: int = 0

    def has_room(self, more: int, is_systems: bool, limits: AppendLimits) -> bool:
        if is_systems and self.of_systems + more > limits.max_of_systems:
            return False
        return self.events + more <= limits.max_waiting

    def count(self, waiting: _Waiting, sign: int) -> None:
        size = sign * len(waiting.submissions)
        self.events += size
        self.of_systems += size if waiting.is_systems else 0


class Appender:
    """Appends for one process; any number of processes may append to the same logs. Ended by `close`."""

    def __init__(self, db: Database, keys: SealingKeys, clock: Clock, limits: AppendLimits | None = None) -> None:
        """`db` as role audit_service; `keys` of SealingKind.SUBJECTS."""
        self._db = db
        self._clock = clock
        self._limits = limits or AppendLimits()
        self._subjects = OpenedSubjects(db, keys, clock)
        self._queues: dict[RegionId, _Queue] = {}
        self._tasks: set[asyncio.Task[None]] = set()
        self._looking = asyncio.Semaphore(1)
        """Whoever may name regions that there are not takes one connection for it, however many they name."""
        self._lanes = {is_systems: asyncio.Semaphore(1) for is_systems in (True, False)}
        """Nor do store systems take the others' connections by naming customers."""

    async def append(self, submissions: Sequence[Submission], *, may_begin_log: bool) -> list[Outcome]:
        """A receipt, or why there is none, for each, in order. Raises nothing of its own.

        `may_begin_log`: whether this recorder may begin the log of a region that has none yet: a service, no system.
        """
        by_log: dict[RegionId, list[int]] = {}
        for position, submission in enumerate(submissions):
            by_log.setdefault(submission.event.region_id, []).append(position)
        parts = await asyncio.gather(
            *(
                self._append_to(log_id, [submissions[at] for at in places], may_begin_log)
                for log_id, places in by_log.items()
            )
        )
        outcomes: list[Outcome] = [_unavailable()] * len(submissions)
        for places, part in zip(by_log.values(), parts, strict=True):
            for position, outcome in zip(places, part, strict=True):
                outcomes[position] = outcome
        return outcomes

    def forget_subjects(self) -> None:
        """Drop the opened data keys from memory: one of them was erased (CI-8)."""
        self._subjects.forget()

    async def follow_erasures(self) -> None:
        """Drop them also when another process erased one, a second later while the database answers; ends by cancellation."""
        await self._subjects.follow(_LOOK)

    async def close(self) -> None:
        """Stop writing; whoever still waits is told that nothing was recorded."""
        for task in self._tasks:
            task.cancel()
        await asyncio.gather(*self._tasks, return_exceptions=True)

    async def _append_to(
        self, log_id: RegionId, submissions: Sequence[Submission], may_begin_log: bool
    ) -> Sequence[Outcome]:
        try:
            queue = self._queues.get(log_id) or await self._opened_queue(log_id, may_begin_log)
            return await self._queued(queue, submissions, is_systems=not may_begin_log)
        except InfosecError as error:
            return [error] * len(submissions)

    async def _opened_queue(self, log_id: RegionId, may_begin_log: bool) -> _Queue:
        try:
            async with asyncio.timeout(self._limits.deadline.total_seconds()):
                if may_begin_log:
                    async with self._db.transaction() as conn:
                        await log.make(conn, log_id, self._clock.now())
                else:
                    await self._look_for(log_id)
        except TimeoutError:
            raise _unavailable() from None
        except InfosecError as error:
            raise (error if isinstance(error, InvalidInput) else _unavailable()) from None
        if log_id not in self._queues:  # another caller may have been faster
            self._queues[log_id] = _Queue()
            task = asyncio.create_task(self._write_for_ever(log_id, self._queues[log_id]), name=f"append-{log_id}")
            self._tasks.add(task)
        return self._queues[log_id]

    async def _look_for(self, log_id: RegionId) -> None:
        async with self._looking, self._db.transaction() as conn:
            if not await log.exists(conn, log_id):
                raise InvalidInput(Reason.INVALID_ARGUMENT, field="region_id", detail="there is no such region")

    async def _queued(self, queue: _Queue, submissions: Sequence[Submission], *, is_systems: bool) -> list[Outcome]:
        if not queue.has_room(len(submissions), is_systems, self._limits):
            raise ResourceExhausted(Reason.OVERLOADED, retry_after=_RETRY_SOON, sink="audit")
        waiting = _Waiting(submissions, asyncio.get_running_loop().create_future(), is_systems)
        queue.count(waiting, 1)
        try:
            async with asyncio.timeout(self._limits.deadline.total_seconds()):
                try:
                    await self._prepare(waiting)
                except BaseException:
                    queue.count(waiting, -1)
                    raise
                queue.waiting.append(waiting)
                queue.arrived.set()
                return await waiting.done
        except TimeoutError:
            raise _unavailable() from None

    async def _prepare(self, waiting: _Waiting) -> None:
        """Make its entries, as far as they go. Raises Unavailable."""
        try:
            customers = {customer for one in waiting.submissions if (customer := one.customer) is not None}
            opened = await self._subjects.of(customers, self._lanes[waiting.is_systems])
            waiting.prepared = [Prepared.of(one, opened.subjects) for one in waiting.submissions]
            waiting.erasures = opened.erasures if customers else None
        except (Unavailable, ResourceExhausted) as error:
            _LOG.warning("events not recorded", count=len(waiting.submissions), reason=error.reason.value)
            raise _unavailable() from None
        except Exception as error:
            _LOG.error("events not recorded", count=len(waiting.submissions), exc_info=error)
            raise _unavailable() from None

    async def _write_for_ever(self, log_id: RegionId, queue: _Queue) -> None:
        while True:
            await queue.arrived.wait()
            group = self._taken(queue)
            if not group:
                queue.arrived.clear()
                continue
            try:
                await self._write(log_id, group)
            finally:
                # Also when this task is cancelled: nobody waits for what will not come.
                for waiting in group:
                    if not waiting.done.done():
                        waiting.done.set_result([_unavailable()] * len(waiting.submissions))

    def _taken(self, queue: _Queue) -> list[_Waiting]:
        group: list[_Waiting] = []
        size = 0
        while queue.waiting and (not group or size + len(queue.waiting[0].submissions) <= self._limits.batch):
            group.append(queue.waiting.popleft())
            size += len(group[-1].submissions)
            queue.count(group[-1], -1)
        return group

    async def _write(self, log_id: RegionId, group: Sequence[_Waiting]) -> None:
        # Who gave up waiting was told that nothing is recorded; a retry has the same ID.
        group = [waiting for waiting in group if not waiting.done.done()]
        count = sum(len(waiting.submissions) for waiting in group)
        if not count:
            return
        try:
            outcomes = await self._committed(log_id, group)
        except (Unavailable, ResourceExhausted, Aborted) as error:
            _LOG.warning("events not recorded", log=log_id, count=count, reason=error.reason.value)
        except Exception as error:
            # A fault of ours must not end all recording until a restart; nor one caller's event fail another's.
            if len(group) == 1:
                _LOG.error("events not recorded", log=log_id, count=count, exc_info=error)
                return
            _LOG.warning("a batch failed, and is tried in halves", log=log_id, count=count)
            half = len(group) // 2
            await self._write(log_id, group[:half])
            await self._write(log_id, group[half:])
        else:
            left = iter(outcomes)
            for waiting in group:
                own = [next(left) for _ in waiting.submissions]
                if not waiting.done.done():
                    waiting.done.set_result(own)

    async def _committed(self, log_id: RegionId, group: Sequence[_Waiting]) -> Sequence[Outcome]:
        look_first = _has_repeats(group)
        for _ in range(_TRIES):
            try:
                return await self._in_one_transaction(log_id, group, look_first=look_first)
            except AlreadyExists:
                # Some are on record: rare enough that looking first is not worth a query for every batch.
                look_first = True
            except _Erased:
                self._subjects.forget()
                for waiting in group:
                    await self._prepare(waiting)
        raise _unavailable()

    async def _in_one_transaction(
        self, log_id: RegionId, group: Sequence[_Waiting], *, look_first: bool
    ) -> Sequence[Outcome]:
        prepared = [one for waiting in group for one in waiting.prepared]
        ends = Ends(first=log.locking(log_id))
        async with self._db.transaction(ends=ends) as conn:
            head = _head(log_id, ends.first_rows)
            if any(waiting.erasures not in (None, head.erasures) for waiting in group):
                raise _Erased
            now = max(self._clock.now(), head.recorded_at)
            batch = Batch(log_id, head.tree.size, now)
            known = await log.known(conn, [one.event_id for one in prepared]) if look_first else None
            outcomes = batch.judged(prepared, known)
            if batch.rows:
                tree, full = head.tree.grown(batch.leaf_hashes)
                await log.add(conn, log_id, now, batch.rows)
                ends.last = lambda: log.moving(log_id, tree, full, now)
        return outcomes


class _Erased(Exception):
    """Somebody was erased since the subjects of these events were read."""


def _head(log_id: RegionId, rows: Sequence[tuple[object, ...]]) -> log.Head:
    """The locked head. Raises Unavailable where it is not whole: that is nobody's event's fault."""
    try:
        head = log.head(rows)
    except Internal as error:
        _LOG.error("the head of a log is not whole", log=log_id, exc_info=error)
        raise _unavailable() from None
    if head is None:
        _LOG.error("a log has gone", log=log_id)
        raise _unavailable()
    return head


def _has_repeats(group: Sequence[_Waiting]) -> bool:
    ids = [submission.event.event_id.int for waiting in group for submission in waiting.submissions]
    return len(set(ids)) < len(ids)


def _unavailable() -> Unavailable:
    return Unavailable(Reason.RECORD_UNAVAILABLE, retry_after=_RETRY_SOON, sink="audit")
