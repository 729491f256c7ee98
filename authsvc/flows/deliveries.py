"""Hands sealed messages to the notify service and writes down how they fared (ID-1, RQ-4). Never opens one."""

from __future__ import annotations

import uuid
from collections.abc import Mapping, Sequence
from datetime import datetime
from typing import Protocol

from authsvc.flows.request_clocks import RequestClocks
from authsvc.store import deliveries as store
from authsvc.work import Message, Works
from infosec.errors import Reason
from infosec.events.types import EventType
from infosec.storage.outbox import Parcel


class NotifyService(Protocol):
    """What is needed of the notify service."""

    async def submit(self, message: Message) -> str:
        """Hand over for delivery; the state so far, as DeliveryState names it. Idempotent by message ID.

        Raises InfosecError when it is not known whether the service has it.
        """
        ...

    async def states(self, message_ids: Sequence[uuid.UUID]) -> Mapping[uuid.UUID, str]:
        """How messages fared; unknown ones are left out. Raises InfosecError."""
        ...


class Deliveries:
    """The outbox's deliver function for messages, and the job that follows up what was still under way."""

    def __init__(self, works: Works, *, notify: NotifyService, clocks: RequestClocks) -> None:
        self._works = works
        self._notify = notify
        self._clocks = clocks

    async def deliver(self, parcels: Sequence[Parcel]) -> Sequence[Reason | None]:
        """Deliver messages of the outbox. Raises InfosecError, and all of them are then tried again."""
        for event_id, body in parcels:
            await self._record(event_id, await self._notify.submit(Message.from_body(event_id, body)))
        return [None] * len(parcels)

    async def follow_up(self, now: datetime) -> None:
        """Ask after the messages whose fate is not known yet."""
        async with self._works.read() as conn:
            waiting = await store.waiting(conn, now)
        if waiting:
            for message_id, state in (await self._notify.states(waiting)).items():
                await self._record(message_id, state)

    async def _record(self, message_id: uuid.UUID, state: str) -> None:
        async with self._works.begin() as work:
            whose = await store.record(work.conn, message_id, state)
            if whose is not None:
                staff_id, region_id = whose
                work.event(
                    EventType.PASSWORD_DELIVERY,
                    region_id,
                    subject_staff_id=staff_id,
                    message_id=str(message_id),
                    state=state,
                )
        await self._clocks.on_delivery(message_id, state)
