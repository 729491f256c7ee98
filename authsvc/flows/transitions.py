"""Moves a staff ID from state to state, with everything that hangs on it: sessions, events, changes, findings."""

from __future__ import annotations

from authsvc.sessions import EndReason
from authsvc.staff import StaffEvent, StaffState, after
from authsvc.store import sessions, staff
from authsvc.store.sessions import EndedSession
from authsvc.work import ChangeKind, Draft, Work
from infosec.events.types import EventType
from infosec.ids import RegionId, StaffId


async def move(
    work: Work, staff_id: StaffId, region_id: RegionId, state: StaffState, event: StaffEvent, ends: EndReason | None
) -> StaffState:
    """Carry out what the table says (section A); with `ends` the live session ends and no older one is good any more.

    Raises FailedPrecondition(STATE_CONFLICT). The caller holds the staff row locked.
    """
    reached = after(state, event)
    if reached is not state or ends is not None:
        await staff.set_state(work.conn, staff_id, reached, work.now, ends_sessions=ends is not None)
    work.change(region_id, ChangeKind.STAFF, staff_id)
    if ends is not None:
        await end_session(work, staff_id, ends)
    return reached


async def end_session(work: Work, staff_id: StaffId, reason: EndReason) -> EndedSession | None:
    """End the live session of a staff ID, if there is one, and have every node know."""
    ended = await sessions.end_of_staff(work.conn, staff_id, work.now, reason.value)
    if ended is not None:
        record_end(work, ended, reason)
    return ended


def record_end(work: Draft, ended: EndedSession, reason: EndReason, *, is_pressing: bool = True) -> None:
    """The event and the change row of a session that ended."""
    work.event(
        EventType.SESSION_ENDED,
        ended.region_id,
        staff_id=ended.staff_id,
        session_id=ended.session_id,
        terminal_id=ended.terminal_id,
        store_id=ended.store_id,
        reason=reason.value,
    )
    work.change(ended.region_id, ChangeKind.SESSION, ended.session_id, is_pressing=is_pressing)
