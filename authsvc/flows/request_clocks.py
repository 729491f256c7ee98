"""The two clocks of a request (RQ-4): writes what time has already made true, and hears which SMS the gateway took.

Who decides or uses looks at the clock themselves; nothing here grants anything, and nothing is decided by silence.
"""

from __future__ import annotations

import uuid
from dataclasses import replace
from datetime import datetime

from authsvc.flows.carry_out import carried_out, facts, tell_subject
from authsvc.flows.seating import Seating
from authsvc.notices import Notices
from authsvc.profile import Profile
from authsvc.requests import ABOVE, Event, Kind, Request, State, after, due, escalated, is_overdue, present_level
from authsvc.store import requests as store
from authsvc.store import subjects
from authsvc.work import Work, Works
from infosec.events.types import EventType

BATCH = 200
ACCEPTED_STATES = frozenset({"ACCEPTED", "DELIVERED"})
"""Delivery states in which the gateway has the SMS."""


class RequestClocks:
    """Writes escalations and ends."""

    def __init__(self, works: Works, *, seating: Seating, notices: Notices, profile: Profile) -> None:
        self._works = works
        self._seating = seating
        self._notices = notices
        self._profile = profile

    async def sweep(self, now: datetime) -> None:
        """Periodic: write what is due, each request in a transaction of its own."""
        async with self._works.read() as conn:
            ids = await store.due(conn, now, limit=BATCH)
        for request_id in ids:
            async with self._works.begin() as work:
                request = await store.lock(work.conn, request_id)
                if request is not None:
                    await self.settle(work, request)

    async def settle(self, work: Work, request: Request) -> Request:
        """Write what the clock has made of a held request."""
        match due(request, work.now):
            case Event.EXPIRE:
                return await self._expire(work, request)
            case Event.LAPSE:
                return await self._lapse(work, request)
            case _:
                return await self._escalate(work, request)

    async def on_delivery(self, message_id: uuid.UUID, state: str) -> None:
        """Told how an SMS fared. An approval whose first password the gateway took in time is carried out."""
        if state not in ACCEPTED_STATES:
            return
        async with self._works.begin() as work:
            request = await store.approved_with(work.conn, message_id)
            if request is None or request.decided_at is None:
                return
            if due(request, work.now) is Event.LAPSE:
                await self._lapse(work, request)
                return
            until = request.decided_at + self._profile.first_password_life
            await subjects.limit_first_password(work.conn, message_id, until)
            await store.save(work.conn, carried_out(work, request))

    async def _expire(self, work: Work, request: Request) -> Request:
        level = ABOVE[request.level] if is_overdue(request, work.now) else request.level
        expired = replace(request, state=after(request.state, Event.EXPIRE), level=level)
        await store.save(work.conn, expired)
        work.event(EventType.REQUEST_EXPIRED, request.region_id, **facts(request))
        await tell_subject(work, self._notices, expired, "EXPIRED")
        return expired

    async def _lapse(self, work: Work, request: Request) -> Request:
        """Not carried out in time. But who logged in with the new password plainly had the SMS."""
        if request.delivery_id is not None:
            if await subjects.first_password_was_used(work.conn, request.delivery_id):
                done = carried_out(work, request)
                await store.save(work.conn, done)
                return done
            await subjects.limit_first_password(work.conn, request.delivery_id, request.execute_by or work.now)
        lapsed = replace(request, state=after(request.state, Event.LAPSE))
        await store.save(work.conn, lapsed)
        work.event(EventType.REQUEST_LAPSED, request.region_id, **facts(request))
        await tell_subject(work, self._notices, lapsed, "LAPSED")
        return lapsed

    async def _escalate(self, work: Work, request: Request) -> Request:
        """To the next level, because the time is over or because nobody is left to decide at this one."""
        if request.state is not State.PENDING or request.kind is Kind.APPROVAL:
            return request
        matter, people = await self._seating.of(work.conn, request, work.now)
        level = present_level(request, matter, people, work.now)
        if level is request.level:
            return request
        moved = escalated(request, level)
        await store.save(work.conn, moved)
        work.event(EventType.REQUEST_ESCALATED, request.region_id, **facts(moved))
        return moved
