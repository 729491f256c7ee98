"""Takes due messages from the table, opens each for the moment of sending, and records what the gateway said.

Any number of processes may run one: a lease keeps a message with one of them. Nothing a gateway does ends the loop.
"""

from __future__ import annotations

import asyncio
import logging
import uuid
from collections import defaultdict
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import timedelta

from infosec import sms
from infosec.cancellation import raise_if_cancelled
from infosec.clock import Clock
from infosec.errors import InfosecError
from infosec.storage.postgres import Database
from services.notify import store
from services.notify.messages import DeliveryEvent, RetryPolicy, after, settled
from services.notify.ports import Gateway, GatewayRefused, GatewayUnreachable, Receipt

_LOG = logging.getLogger(__name__)

_EVENTS = {Receipt.ACCEPTED: DeliveryEvent.ACCEPTED, Receipt.DELIVERED: DeliveryEvent.DELIVERED}


@dataclass(frozen=True, slots=True, kw_only=True)
class SenderLimits:
    """How much at once and how long. A lease outlasts a send, so that a slow gateway is not asked twice."""

    at_once: int = 16
    send_s: float = 10.0
    lease: timedelta = timedelta(seconds=30)
    poll_s: float = 2.0
    """How soon a message of another process's, or one whose wait is over, is found."""
    sweep_batch: int = 200


class Sender:
    """The worker of the notify service. `run` until cancelled; `nudge` when there is something new."""

    def __init__(
        self,
        *,
        db: Database,
        keys: sms.Sealer,
        gateway: Gateway,
        clock: Clock,
        policy: RetryPolicy,
        limits: SenderLimits,
    ) -> None:
        self._db = db
        self._keys = keys
        self._gateway = gateway
        self._clock = clock
        self._policy = policy
        self._limits = limits
        self._wake = asyncio.Event()
        self._sending: set[asyncio.Task[None]] = set()
        self._watchers: defaultdict[uuid.UUID, set[asyncio.Event]] = defaultdict(set)

    def nudge(self) -> None:
        """Look at the table now."""
        self._wake.set()

    @contextmanager
    def watching(self, message_id: uuid.UUID) -> Iterator[asyncio.Event]:
        """An event that is set when an attempt of this process at the message has been recorded."""
        answered = asyncio.Event()
        self._watchers[message_id].add(answered)
        try:
            yield answered
        finally:
            self._watchers[message_id].discard(answered)
            if not self._watchers[message_id]:
                del self._watchers[message_id]

    async def run(self) -> None:
        """Send until cancelled. What is under way then keeps its lease, and is sent again after it."""
        try:
            while True:
                self._wake.clear()
                try:
                    await self.sweep()
                    await self._start_due()
                except InfosecError as error:
                    _LOG.warning("messages cannot be read: %s", error.reason)
                raise_if_cancelled()
                await self._rest()
        finally:
            for task in self._sending:
                task.cancel()
            await asyncio.gather(*self._sending, return_exceptions=True)

    async def send_due(self) -> int:
        """One round, finished: send what is due now and say how many were tried."""
        started = await self._start_due()
        await asyncio.gather(*started)
        return len(started)

    async def sweep(self) -> int:
        """Destroy the bodies that are past their end, given up or not; answers how many."""
        now = self._clock.now()
        async with self._db.transaction() as conn:
            ending = await store.ending(conn, now, count=self._limits.sweep_batch)
            for delivery in ending:
                await store.save(conn, after(delivery, DeliveryEvent.EXPIRED, now=now, policy=self._policy))
        return len(ending)

    async def _rest(self) -> None:
        try:
            async with asyncio.timeout(self._limits.poll_s):
                await self._wake.wait()
        except TimeoutError:
            return

    async def _start_due(self) -> list[asyncio.Task[None]]:
        free = self._limits.at_once - len(self._sending)
        if free <= 0:
            return []
        async with self._db.transaction() as conn:
            due = await store.claim(conn, self._clock.now(), count=free, lease=self._limits.lease)
        started = [asyncio.create_task(self._deliver(claimed)) for claimed in due]
        for task in started:
            self._sending.add(task)
            task.add_done_callback(self._finished)
        return started

    def _finished(self, task: asyncio.Task[None]) -> None:
        was_full = len(self._sending) >= self._limits.at_once
        self._sending.discard(task)
        if was_full:
            self.nudge()

    async def _deliver(self, claimed: store.Claimed) -> None:
        """One attempt, and its record. A record that cannot be made is left to the next attempt, after the lease."""
        delivery = claimed.delivery
        event = await self._attempt(claimed)
        now = self._clock.now()
        try:
            async with self._db.transaction() as conn:
                present = await store.locked(conn, delivery.message_id)
                outcome = settled(present, event, attempt=delivery.attempts, now=now, policy=self._policy)
                if outcome is not present:
                    await store.save(conn, outcome)
        except InfosecError as error:
            _LOG.warning("message %s: %s is not recorded: %s", delivery.message_id, event, error.reason)
            return
        for answered in self._watchers.get(delivery.message_id, ()):
            answered.set()

    async def _attempt(self, claimed: store.Claimed) -> DeliveryEvent:
        delivery = claimed.delivery
        if delivery.tries > self._policy.max_tries:
            return DeliveryEvent.UNREACHABLE  # every try before ended its process: not once more
        try:
            message = sms.open_message(
                self._keys, message_id=delivery.message_id, template=delivery.template, sealed=claimed.sealed
            )
        except InfosecError:  # it opened when it was submitted: a key file is missing, and may be put back
            _LOG.error("message %s does not open: is its sealing key here?", delivery.message_id)
            return DeliveryEvent.UNREACHABLE
        try:
            async with asyncio.timeout(self._limits.send_s):
                return _EVENTS[await self._gateway.send(str(delivery.message_id), message.phone, message.text)]
        except GatewayRefused:
            return DeliveryEvent.REFUSED
        except (GatewayUnreachable, TimeoutError):
            return DeliveryEvent.UNREACHABLE
        except Exception as error:  # a gateway's own text may quote the message: its class alone is logged (ID-7)
            _LOG.error("message %s: the gateway failed with %s", delivery.message_id, type(error).__name__)
            return DeliveryEvent.UNREACHABLE
