"""The record of an access to customer data, made before the data is released (CI-1): no record, no allow."""

from __future__ import annotations

import asyncio
import uuid
from collections.abc import Sequence
from datetime import timedelta
from typing import Protocol

from infosec.cancellation import raise_if_cancelled
from infosec.errors import InfosecError, InvalidInput, Reason, Unavailable
from infosec.events import catalogue
from infosec.events.event import Event
from infosec.logging import get
from infosec.storage.outbox import Parcel

_LOG = get(__name__)
_RETRY_SOON = timedelta(milliseconds=200)
RELAYED = 256
"""Events of the outbox that are delivered together: about what one group commit of the audit service takes."""


class AccessRecorder(Protocol):
    """Where accesses are recorded."""

    async def record(self, event: Event) -> None:
        """In the log when it returns. Idempotent by event ID. Raises Unavailable(RECORD_UNAVAILABLE)."""
        ...


class AuditLog(Protocol):
    """The audit service, as authsvc sees it."""

    async def record(self, events: Sequence[Event]) -> Sequence[InfosecError | None]:
        """For each event None when it is in the log for good, or why it is not; at most 1000.

        An Unavailable, in the answer or raised, may be taken later: the same events may be recorded again.
        """
        ...


class GroupRecorder:
    """Group commit into the audit log: what waits together goes out together. `run()` must be running."""

    def __init__(self, log: AuditLog, *, deadline: timedelta, batch: int = 500, max_waiting: int = 5000) -> None:
        self._log = log
        self._batch = batch
        self._deadline_s = deadline.total_seconds()
        self._waiting: asyncio.Queue[tuple[Event, asyncio.Future[None]]] = asyncio.Queue(max_waiting)

    async def record(self, event: Event) -> None:
        """As AccessRecorder; what the log refuses for good is Unavailable here too: the caller can only deny."""
        try:
            catalogue.check(event)
        except InvalidInput as error:
            # Here, and not in the batch: one caller's bad event must not fail another's.
            _LOG.error("an event that the catalogue does not know", fault=str(error))
            raise _unavailable() from None
        done: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        try:
            self._waiting.put_nowait((event, done))
            async with asyncio.timeout(self._deadline_s):
                await done
        except (asyncio.QueueFull, TimeoutError, InfosecError):
            raise _unavailable() from None

    async def run(self) -> None:
        """Record for ever, a batch at a time; whoever waits is told how theirs went."""
        while True:
            raise_if_cancelled()
            group = [await self._waiting.get()]
            while len(group) < self._batch and not self._waiting.empty():
                group.append(self._waiting.get_nowait())
            # Who gave up waiting was denied: their record would say that data was released.
            group = [(event, done) for event, done in group if not done.done()]
            if group:
                await self._write(group)

    async def _write(self, group: list[tuple[Event, asyncio.Future[None]]]) -> None:
        faults: Sequence[InfosecError | None] = [_unavailable()] * len(group)
        try:
            async with asyncio.timeout(self._deadline_s):
                faults = await _asked(self._log, [event for event, _ in group])
        except (InfosecError, TimeoutError) as error:
            reason = error.reason if isinstance(error, InfosecError) else Reason.DEADLINE_EXCEEDED
            _LOG.warning("accesses not recorded", sink="audit", count=len(group), reason=reason.value)
        except Exception as error:
            # A fault of ours in one batch must not end all recording until a restart.
            _LOG.error("accesses not recorded", sink="audit", count=len(group), exc_info=error)
        finally:
            # Also when this task is cancelled: nobody waits for what will not come.
            for (event, done), fault in zip(group, faults, strict=True):
                if fault is not None:
                    _log_refusal(event.event_id, fault)
                if done.done():
                    continue
                if fault is None:
                    done.set_result(None)
                else:
                    done.set_exception(_unavailable())


class AuditDelivery:
    """The outbox's deliver function for audit events."""

    def __init__(self, log: AuditLog) -> None:
        self._log = log

    async def deliver(self, parcels: Sequence[Parcel]) -> Sequence[Reason | None]:
        """Record events of the outbox, at most `RELAYED`. Raises InfosecError."""
        faults: list[Reason | None] = [None] * len(parcels)
        events: dict[int, Event] = {}
        for at, parcel in enumerate(parcels):
            try:
                events[at] = Event.from_body(parcel.body)
                catalogue.check(events[at])
            except InvalidInput as error:
                # One bad event must not keep the others from the log.
                events.pop(at, None)
                faults[at] = error.reason
                _LOG.error("an event that is none", event_id=str(parcel.event_id), fault=str(error))
        answers = await _asked(self._log, list(events.values())) if events else ()
        for at, fault in zip(events, answers, strict=True):
            if fault is not None:
                faults[at] = fault.reason
                _log_refusal(parcels[at].event_id, fault)
        return faults


async def _asked(log: AuditLog, events: Sequence[Event]) -> Sequence[InfosecError | None]:
    try:
        answers = await log.record(events)
    except InvalidInput as error:
        if len(events) == 1:
            return [error]
        # The wire refuses a batch whole: halves, until what it does not take stands alone.
        half = len(events) // 2
        return [*await _asked(log, events[:half]), *await _asked(log, events[half:])]
    if len(answers) != len(events):
        raise ValueError("not one answer for each event")
    return answers


def _log_refusal(event_id: uuid.UUID, fault: InfosecError) -> None:
    if fault.reason is not Reason.RECORD_UNAVAILABLE:
        _LOG.error("the log refuses an event", event_id=str(event_id), fault=str(fault))


def _unavailable() -> Unavailable:
    return Unavailable(Reason.RECORD_UNAVAILABLE, retry_after=_RETRY_SOON, sink="audit")
