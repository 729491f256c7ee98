"""What is done from time to time, whether or not anybody calls. Each sweep may be repeated, stopped or late: nothing is
decided here that is not decided from the dates at the moment of use as well (ID-4, ID-9).
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from datetime import datetime, timedelta

from authsvc.flows.transitions import move, record_end
from authsvc.notices import Notices
from authsvc.passwords import days_left, reminder_due
from authsvc.profile import Profile
from authsvc.sessions import EndReason, FindingKind, idle_before
from authsvc.staff import StaffEvent, StaffState
from authsvc.store import credentials, findings, places, sessions
from authsvc.store import sweeps as store
from authsvc.store.findings import Finding
from authsvc.store.sweeps import EndingPassword
from authsvc.work import Work, Works
from infosec import sms
from infosec.events.types import EventType
from infosec.storage.jobs import Job

_BATCH = 200
_KEEP_RETRIES = timedelta(days=2)
_KEEP_CHANGES = timedelta(days=1)
_KEEP_FAILURES = timedelta(days=1)
_LEASE_OVER = timedelta(hours=1)

_Page = Callable[[str], Awaitable[str | None]]
"""Works one batch beyond a staff ID, in a transaction of its own; answers the last one, or None when there is no more."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Sweeps:
    """The periodic work of authsvc's staff IDs and sessions."""

    works: Works
    notices: Notices
    profile: Profile

    def jobs(self) -> tuple[Job, ...]:
        """All of them with their periods."""
        return (
            Job(name="end-sessions", every=self.profile.idle_flush, run=self.end_sessions),
            Job(name="blacklist-ended-passwords", every=timedelta(minutes=1), run=self.blacklist),
            Job(name="remind-of-ending-passwords", every=timedelta(hours=1), run=self.remind),
            Job(name="report-dormant-ids", every=timedelta(hours=6), run=self.report_dormant),
            Job(name="clean-attempts", every=timedelta(hours=1), run=self.clean),
        )

    async def remind(self, now: datetime) -> None:
        """ID-4: 14, 7, 3 and 1 days before a password ends, by SMS to the bound phone."""
        if not self.profile.reminder_days:
            return
        until = now + timedelta(days=max(self.profile.reminder_days) + 1)

        async def page(after: str) -> str | None:
            async with self.works.begin() as work:
                rows = await store.ending(work.conn, now=now, until=until, after=after, limit=_BATCH)
                for row in rows:
                    await self._remind_one(work, row)
            return rows[-1].staff_id if rows else None

        await _all(page)

    async def blacklist(self, now: datetime) -> None:
        """ID-4: an active staff ID whose password has ended is put on the blacklist, and its phone is told."""

        async def page(after: str) -> str | None:
            async with self.works.begin() as work:
                rows = await store.ended(work.conn, now=now, after=after, limit=_BATCH)
                for row in rows:
                    await self._blacklist_one(work, row)
            return rows[-1].staff_id if rows else None

        await _all(page)

    async def end_sessions(self, now: datetime) -> None:
        """ID-9: sessions that are idle, over or left without a terminal; never before the idle limit is certainly reached."""
        seen_before = idle_before(now, self.profile)
        ended = True
        while ended:
            async with self.works.begin() as work:
                rows = await sessions.end_overdue(work.conn, seen_before=seen_before, now=now, limit=_BATCH)
                for session, reason in rows:
                    record_end(work, session, EndReason(reason))
            ended = bool(rows)

    async def report_dormant(self, now: datetime) -> None:
        """ID-10: staff IDs that nobody used for 45 days."""
        unused_since = now - timedelta(days=self.profile.dormant_days)
        async with self.works.begin() as work:
            for row in await store.dormant(work.conn, unused_since=unused_since):
                finding = Finding(
                    kind=FindingKind.DORMANT,
                    region_id=row.region_id,
                    staff_id=row.staff_id,
                    store_id=row.store_id,
                    detail={"since": row.since.isoformat()},
                )
                await findings.put(work.conn, finding, now)

    async def clean(self, now: datetime) -> None:
        """Forget what can no longer matter: old failures at terminals, dead attempts, retries, and changes long read."""
        async with self.works.begin() as work:
            await places.clean(work.conn, failed_before=now - _KEEP_FAILURES, lease_over=_LEASE_OVER)
            await credentials.clean(work.conn, retries_before=now - _KEEP_RETRIES, changes_before=now - _KEEP_CHANGES)

    async def _remind_one(self, work: Work, row: EndingPassword) -> None:
        sent = frozenset() if row.reminded_days is None else frozenset({row.reminded_days})
        due = reminder_due(row.ends_at, work.now, self.profile, sent=sent)
        if due is None:
            return
        days = str(days_left(row.ends_at, work.now))
        work.message(
            self.notices.to_staff(
                sms.Template.PASSWORD_REMINDER,
                row.staff_id,
                row.phone_sealed,
                work.now,
                days=days,
                hotline=row.hotline,
            )
        )
        await store.set_reminded(work.conn, row.staff_id, due)

    async def _blacklist_one(self, work: Work, row: EndingPassword) -> None:
        await move(
            work,
            row.staff_id,
            row.region_id,
            StaffState(row.state),
            StaffEvent.PASSWORD_ENDED,
            EndReason.BLACKLISTED,
        )
        work.event(EventType.STAFF_BLACKLISTED, row.region_id, subject_staff_id=row.staff_id)
        work.message(
            self.notices.to_staff(
                sms.Template.BLACKLISTED, row.staff_id, row.phone_sealed, work.now, hotline=row.hotline
            )
        )


async def _all(page: _Page) -> None:
    """Every batch, one after the other."""
    after: str | None = ""
    while after is not None:
        after = await page(after)
