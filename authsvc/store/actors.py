"""The one read behind a token: session, staff ID and credentials as they are now."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any

from psycopg import AsyncConnection
from psycopg.rows import class_row

from infosec.ids import RegionId, RoleId, SessionId, StaffId, StoreId, SystemId, TerminalId

RECORDING_STEP = timedelta(minutes=2)
"""Last use is written only when it moved by this much (design, section 5)."""


@dataclass(frozen=True, slots=True, kw_only=True)
class LiveSession:
    """A session that has not ended, with the staff ID that it belongs to."""

    staff_id: StaffId
    name: str
    role_id: RoleId
    store_id: StoreId
    region_id: RegionId
    state: str
    staff_epoch: int
    session_epoch: int
    terminal_id: TerminalId
    terminal_retired: bool
    session_store_id: StoreId
    session_store_region: RegionId
    ends_at: datetime
    password_ends_at: datetime
    last_seen: datetime
    stepped_up_until: datetime | None
    must_change: bool
    must_enroll: bool
    is_locked: bool
    system_serves: bool
    """The system may act at the terminal now; it may have been retired, or registered elsewhere, since the token was made."""


_LIVE = """
select f.staff_id, f.name, f.role_id, f.store_id, f.region_id, f.state, f.epoch as staff_epoch,
       s.staff_epoch as session_epoch, s.terminal_id, t.is_retired as terminal_retired,
       s.store_id as session_store_id, s.region_id as session_store_region, s.ends_at, c.ends_at as password_ends_at,
       s.last_seen, s.stepped_up_until, s.must_change, s.must_enroll, s.is_locked,
       exists (select 1 from auth.systems y where y.system_id = %s and not y.is_retired
               and (t.store_id = any(y.store_ids) or t.terminal_id = any(y.terminal_ids))) as system_serves
from auth.sessions s
join auth.staff f on f.staff_id = s.staff_id
join auth.credentials c on c.staff_id = s.staff_id
join auth.terminals t on t.terminal_id = s.terminal_id
where s.session_id = %s and s.ended_at is null
"""


async def live_session(conn: AsyncConnection[Any], session_id: SessionId, system_id: SystemId) -> LiveSession | None:
    """The session as `system_id` finds it, or None when there is none or it has ended."""
    async with conn.cursor(row_factory=class_row(LiveSession)) as cursor:
        await cursor.execute(_LIVE, (system_id, session_id))
        return await cursor.fetchone()


async def touch(conn: AsyncConnection[Any], session_id: SessionId, now: datetime) -> None:
    """Write `now` as the last use, when that moves it by the recording step or more."""
    await conn.execute(
        "update auth.sessions set last_seen = %s where session_id = %s and last_seen <= %s",
        (now, session_id, now - RECORDING_STEP),
    )
