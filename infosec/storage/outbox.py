"""The transactional outbox: an event commits with the change it tells of, and a relay then delivers it (design: Outbox).

Delivery is at least once with a fixed event ID, and the receiver keeps one of each ID: together exactly once. Knows no
receiver: the deliver function comes in. The table is in outbox.sql.
"""

from __future__ import annotations

import asyncio
import logging
import random
import uuid
from collections.abc import Awaitable, Callable, Iterable, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import LiteralString, NamedTuple, TypeAlias

from infosec.cancellation import raise_if_cancelled
from infosec.clock import Clock
from infosec.errors import InfosecError, Reason
from infosec.storage.identifiers import sql_name
from infosec.storage.postgres import Connection, Database, Statement

_LOG = logging.getLogger(__name__)


class Parcel(NamedTuple):
    """What is delivered of an event."""

    event_id: uuid.UUID
    body: bytes


Deliver: TypeAlias = Callable[[Sequence[Parcel]], Awaitable[Sequence[Reason | None]]]
"""For each None when the receiver has it for good, or why that is not known. What it raises is so for all of them."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Event:
    """What is put: its ID, which the receiver knows a repetition by, its topic, and its body."""

    event_id: uuid.UUID
    topic: str
    body: bytes


@dataclass(frozen=True, slots=True, kw_only=True)
class RelayTimes:
    """`lease` bounds one delivery; waits after failures grow from `first_retry` to `longest_retry`.

    With `give_up_after` an event that old is no longer delivered, and its body is erased: for messages that expire.
    """

    lease: timedelta = timedelta(seconds=30)
    poll_s: float = 1.0
    first_retry: timedelta = timedelta(seconds=1)
    longest_retry: timedelta = timedelta(minutes=5)
    give_up_after: timedelta | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Backlog:
    """What waits on a topic."""

    count: int
    oldest: datetime | None


@dataclass(frozen=True, slots=True, kw_only=True)
class _Claim:
    event_id: uuid.UUID
    body: bytes
    attempts: int


class Outbox:
    """Puts events into one schema's outbox, inside the caller's transaction."""

    def __init__(self, schema: str) -> None:
        self._insert = _query(
            "INSERT INTO {schema}.outbox (event_id, topic, body, created_at, not_before) VALUES (%s, %s, %s, %s, %s)",
            schema,
        )
        self._insert_many = _query(
            "INSERT INTO {schema}.outbox (event_id, topic, body, created_at, not_before)"
            " SELECT event_id, topic, body, %s, %s"
            " FROM unnest(%s::uuid[], %s::text[], %s::bytea[]) WITH ORDINALITY AS put (event_id, topic, body, ordinal)"
            " ORDER BY ordinal",
            schema,
        )

    async def put(self, connection: Connection, topic: str, event_id: uuid.UUID, body: bytes, now: datetime) -> None:
        """Add one event; it exists if and only if the caller's transaction commits."""
        await connection.execute(self._insert, (event_id, topic, body, now, now))

    async def put_many(self, connection: Connection, events: Iterable[Event], now: datetime) -> None:
        """Add several in one statement, in this order."""
        for query, values in self.putting(events, now):
            await connection.execute(query, values, prepare=True)

    def putting(self, events: Iterable[Event], now: datetime) -> list[Statement]:
        """The statement that adds several, in this order; none where there are no events."""
        rows = [(event.event_id, event.topic, event.body) for event in events]
        if not rows:
            return []
        ids, topics, bodies = (list(column) for column in zip(*rows, strict=True))
        return [(self._insert_many, (now, now, ids, topics, bodies))]


class Relay:
    """Delivers one topic of one schema's outbox. Any number of processes may run one: a row is leased, not locked.

    No transaction is open while `deliver` runs. A process that dies in between leaves its row leased; when the lease is
    over the event is delivered again, with the same ID.
    """

    def __init__(
        self,
        database: Database,
        *,
        schema: str,
        topic: str,
        deliver: Deliver,
        clock: Clock,
        erase_body: bool = False,
        batch: int = 32,
        shipment: int = 1,
        times: RelayTimes = RelayTimes(),
    ) -> None:
        """A pass takes `batch` and hands over `shipment` at once; shipments do not wait for one another.

        `erase_body` empties the body at delivery: for sealed secrets, which must not outlive it.
        """
        self._database = database
        self._topic = topic
        self._deliver = deliver
        self._clock = clock
        self._erase_body = erase_body
        self._batch = batch
        self._shipment = shipment
        self._times = times
        self._nudged = asyncio.Event()
        self._claim_sql = _query(_CLAIM, schema)
        self._delivered_sql = _query(_DELIVERED, schema)
        self._failed_sql = _query(_FAILED, schema)
        self._give_up_sql = _query(_GIVE_UP, schema)
        self._backlog_sql = _query(_BACKLOG, schema)
        self._forget_sql = _query(_FORGET, schema)

    def nudge(self) -> None:
        """Look at once: something was committed."""
        self._nudged.set()

    async def run(self) -> None:
        """Deliver for ever; ends by cancellation. Survives an absent database and a failing receiver."""
        while True:
            self._nudged.clear()
            try:
                # A batch that was not full was all there was: what comes meanwhile goes together with its like.
                busy = await self.deliver_due() >= self._batch
            except InfosecError as error:
                _LOG.warning("outbox relay %s waits: %s", self._topic, error.reason)
                busy = False
            raise_if_cancelled()
            if not busy:
                await self._rest()

    async def deliver_due(self) -> int:
        """One pass: claim what is due, deliver it, settle it. Answers how many were claimed."""
        if self._times.give_up_after is not None:
            await self._give_up(self._clock.now() - self._times.give_up_after)
        claims = await self._claim()
        shipments = [claims[first : first + self._shipment] for first in range(0, len(claims), self._shipment)]
        under_way = {asyncio.create_task(self._delivered(shipment)): shipment for shipment in shipments}
        try:
            while under_way:
                # What is delivered together is written down together.
                ended, _ = await asyncio.wait(under_way, return_when=asyncio.FIRST_COMPLETED)
                await self._settle(
                    [one for task in ended for one in zip(under_way.pop(task), task.result(), strict=True)]
                )
        finally:
            # What could not be written down is repeated after its lease.
            for task in under_way:
                task.cancel()
            await asyncio.gather(*under_way, return_exceptions=True)
        return len(claims)

    async def backlog(self) -> Backlog:
        """What is undelivered, for metrics and health."""
        row = await self._database.read_one(self._backlog_sql, (self._topic,))
        return Backlog(count=row[0], oldest=row[1]) if row else Backlog(count=0, oldest=None)

    async def forget_delivered(self, before: datetime) -> int:
        """Delete what was delivered before a moment. Answers how many rows went."""
        async with self._database.statements() as connection:
            return (await connection.execute(self._forget_sql, (self._topic, before))).rowcount

    async def _rest(self) -> None:
        try:
            async with asyncio.timeout(self._times.poll_s * random.uniform(0.8, 1.2)):
                await self._nudged.wait()
        except TimeoutError:
            return

    async def _claim(self) -> list[_Claim]:
        now = self._clock.now()
        async with self._database.statements() as connection:
            rows = await connection.execute(
                self._claim_sql, (now + self._times.lease, self._topic, now, self._batch), prepare=True
            )
            return [_Claim(event_id=row[0], body=row[1], attempts=row[2]) for row in await rows.fetchall()]

    async def _delivered(self, shipment: Sequence[_Claim]) -> Sequence[Reason | None]:
        """Deliver some; answers for each why it could not be."""
        fault = Reason.INTERNAL
        try:
            async with asyncio.timeout(self._times.lease.total_seconds() * 0.8):
                faults = await self._deliver([Parcel(claim.event_id, claim.body) for claim in shipment])
            if len(faults) == len(shipment):
                return faults
            _LOG.error("outbox relay %s: deliver answered %d for %d", self._topic, len(faults), len(shipment))
        except InfosecError as error:
            fault = error.reason
        except TimeoutError:
            fault = Reason.DEADLINE_EXCEEDED
        except Exception as error:
            # Whatever a receiver's client raises, the event stays ours; its words may quote the body, so they stay out.
            _LOG.error("outbox relay %s: deliver raised %s", self._topic, type(error).__name__)
        return [fault] * len(shipment)

    async def _settle(self, outcomes: Sequence[tuple[_Claim, Reason | None]]) -> None:
        """Write down how deliveries ended."""
        delivered = [claim.event_id for claim, fault in outcomes if fault is None]
        if delivered:
            await self._write(self._delivered_sql, (self._clock.now(), self._erase_body, delivered))
        for claim, fault in outcomes:
            if fault is not None:
                await self._failed(claim, fault)

    async def _failed(self, claim: _Claim, reason: Reason) -> None:
        """Wait longer each time. Bound to the attempt: a later holder of the row is not disturbed."""
        wait = min(self._times.longest_retry, self._times.first_retry * 2 ** min(claim.attempts - 1, 30))
        again = self._clock.now() + wait * random.uniform(0.8, 1.2)
        await self._write(self._failed_sql, (again, reason.value, claim.event_id, claim.attempts))

    async def _give_up(self, before: datetime) -> None:
        await self._write(self._give_up_sql, (Reason.DEADLINE_EXCEEDED.value, self._topic, before, self._clock.now()))

    async def _write(self, query: LiteralString, parameters: tuple[object, ...]) -> None:
        async with self._database.statements() as connection:
            await connection.execute(query, parameters, prepare=True)


def _query(text: LiteralString, schema: str) -> LiteralString:
    """`text` with its schema; sql_name lets nothing but a plain identifier in."""
    return text.format(schema=sql_name(schema))


_CLAIM: LiteralString = """
UPDATE {schema}.outbox SET not_before = %s, attempts = attempts + 1
 WHERE event_id IN (
       SELECT event_id FROM {schema}.outbox
        WHERE topic = %s AND delivered_at IS NULL AND not_before <= %s
        ORDER BY seq LIMIT %s FOR UPDATE SKIP LOCKED)
RETURNING event_id, body, attempts"""

_DELIVERED: LiteralString = """
UPDATE {schema}.outbox SET delivered_at = %s, last_error = NULL, body = CASE WHEN %s THEN ''::bytea ELSE body END
 WHERE event_id = ANY(%s) AND delivered_at IS NULL"""

_FAILED: LiteralString = """
UPDATE {schema}.outbox SET not_before = %s, last_error = %s
 WHERE event_id = %s AND attempts = %s AND delivered_at IS NULL"""

_GIVE_UP: LiteralString = """
UPDATE {schema}.outbox SET not_before = 'infinity', body = '', last_error = %s
 WHERE topic = %s AND delivered_at IS NULL AND created_at < %s AND not_before <= %s"""

_BACKLOG: LiteralString = """
SELECT count(*), min(created_at) FROM {schema}.outbox
 WHERE topic = %s AND delivered_at IS NULL AND not_before < 'infinity'"""

_FORGET: LiteralString = """
DELETE FROM {schema}.outbox WHERE topic = %s AND delivered_at < %s"""
