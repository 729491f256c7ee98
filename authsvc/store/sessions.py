"""Sessions: one staff ID at one terminal, at most one alive (ID-9)."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from psycopg import AsyncConnection
from psycopg.rows import class_row

from infosec.ids import RegionId, SessionId, StaffId, StoreId, SystemId, TerminalId
from infosec.storage.postgres import Statement, together

_BY_LOGIN = """
with counted as (
    update auth.credentials
    set failures = 0, failures_since = 0, last_login_at = %(now)s, last_login_terminal_id = %(terminal)s,
        last_login_store_id = %(store)s, first_used_at = case when is_first then %(now)s else first_used_at end
    where staff_id = %(staff)s
), forgotten as (
    delete from auth.terminal_failures where terminal_id = %(terminal)s and attempt_key = %(key)s
), known as (
    insert into auth.staff_terminals (staff_id, terminal_id, first_at, last_at)
    values (%(staff)s, %(terminal)s, %(now)s, %(now)s)
    on conflict (staff_id, terminal_id) do update set last_at = excluded.last_at
)
update auth.sessions set ended_at = %(now)s, end_reason = %(reason)s where staff_id = %(staff)s and ended_at is null
returning session_id, staff_id, terminal_id, store_id, region_id
"""
_ENDED = "returning session_id, staff_id, terminal_id, store_id, region_id"


@dataclass(frozen=True, slots=True, kw_only=True)
class NewSession:
    """What a login starts."""

    session_id: SessionId
    staff_id: StaffId
    terminal_id: TerminalId
    store_id: StoreId
    region_id: RegionId
    system_id: SystemId
    staff_epoch: int
    started_at: datetime
    ends_at: datetime
    must_change: bool
    must_enroll: bool


@dataclass(frozen=True, slots=True, kw_only=True)
class EndedSession:
    """One that ended just now."""

    session_id: SessionId
    staff_id: StaffId
    terminal_id: TerminalId
    store_id: StoreId
    region_id: RegionId


def _starting(new: NewSession) -> Statement:
    return (
        "insert into auth.sessions (session_id, staff_id, terminal_id, store_id, region_id, system_id, staff_epoch,"
        " started_at, last_seen, ends_at, must_change, must_enroll)"
        " values (%s, %s, %s, %s, %s, %s, %s, %s, %s, %s, %s, %s)",
        (
            new.session_id,
            new.staff_id,
            new.terminal_id,
            new.store_id,
            new.region_id,
            new.system_id,
            new.staff_epoch,
            new.started_at,
            new.started_at,
            new.ends_at,
            new.must_change,
            new.must_enroll,
        ),
    )


async def start_by_login(
    conn: AsyncConnection[Any], new: NewSession, *, failing_key: str, reason: str
) -> EndedSession | None:
    """All that a complete login changes, in one message: this is the path that is measured.

    The count starts anew and a first password is used (ID-1, ID-5); the terminal is known, and the key no longer fails
    there (ID-11); the live session ends (ID-9), which is what it answers with; the new one begins.
    """
    values = {
        "staff": new.staff_id,
        "terminal": new.terminal_id,
        "store": new.store_id,
        "key": failing_key,
        "reason": reason,
        "now": new.started_at,
    }
    ended, _ = await together(conn, (_BY_LOGIN, values), _starting(new))
    return EndedSession(**dict(zip(EndedSession.__dataclass_fields__, ended[0], strict=True))) if ended else None


async def end_of_staff(
    conn: AsyncConnection[Any], staff_id: StaffId, now: datetime, reason: str
) -> EndedSession | None:
    """End the live session of a staff ID, if there is one."""
    async with conn.cursor(row_factory=class_row(EndedSession)) as cursor:
        await cursor.execute(
            f"update auth.sessions set ended_at = %s, end_reason = %s where staff_id = %s and ended_at is null {_ENDED}",  # noqa: S608
            (now, reason, staff_id),
        )
        return await cursor.fetchone()


async def end(conn: AsyncConnection[Any], session_id: SessionId, now: datetime, reason: str) -> EndedSession | None:
    """End this session, unless it has ended."""
    async with conn.cursor(row_factory=class_row(EndedSession)) as cursor:
        await cursor.execute(
            f"update auth.sessions set ended_at = %s, end_reason = %s where session_id = %s and ended_at is null {_ENDED}",  # noqa: S608
            (now, reason, session_id),
        )
        return await cursor.fetchone()


async def end_overdue(
    conn: AsyncConnection[Any], *, seen_before: datetime, now: datetime, limit: int
) -> Sequence[tuple[EndedSession, str]]:
    """End sessions that are idle, over, or whose terminal was retired; each with why."""
    cursor = await conn.execute(
        "with due as ("
        "  select s.session_id, case when t.is_retired then 'terminal-retired'"
        "         when s.ends_at <= %(now)s then 'over' else 'idle' end as reason"
        "  from auth.sessions s join auth.terminals t on t.terminal_id = s.terminal_id"
        "  where s.ended_at is null and (s.last_seen < %(seen)s or s.ends_at <= %(now)s or t.is_retired)"
        "  order by s.session_id limit %(limit)s for update of s skip locked)"
        " update auth.sessions s set ended_at = %(now)s, end_reason = due.reason from due"
        " where s.session_id = due.session_id"
        " returning s.session_id, s.staff_id, s.terminal_id, s.store_id, s.region_id, due.reason",
        {"seen": seen_before, "now": now, "limit": limit},
    )
    return [
        (EndedSession(session_id=r[0], staff_id=r[1], terminal_id=r[2], store_id=r[3], region_id=r[4]), r[5])
        for r in await cursor.fetchall()
    ]


async def lock(conn: AsyncConnection[Any], session_id: SessionId) -> bool:
    """Lock it at its terminal; whether it was open."""
    cursor = await conn.execute(
        "update auth.sessions set is_locked = true where session_id = %s and ended_at is null and not is_locked",
        (session_id,),
    )
    return cursor.rowcount > 0


async def resume(conn: AsyncConnection[Any], session_id: SessionId, now: datetime) -> bool:
    """Unlock it; whether it was locked."""
    cursor = await conn.execute(
        "update auth.sessions set is_locked = false, last_seen = %s"
        " where session_id = %s and ended_at is null and is_locked",
        (now, session_id),
    )
    return cursor.rowcount > 0


async def complete_duty(
    conn: AsyncConnection[Any], session_id: SessionId, *, must_change: bool, must_enroll: bool, ends_at: datetime
) -> None:
    """Write what is still to be done in it, and when it now ends."""
    await conn.execute(
        "update auth.sessions set must_change = %s, must_enroll = %s, ends_at = %s where session_id = %s",
        (must_change, must_enroll, ends_at, session_id),
    )


async def step_up(conn: AsyncConnection[Any], session_id: SessionId, until: datetime) -> None:
    """A second factor was proved (RQ-3)."""
    await conn.execute("update auth.sessions set stepped_up_until = %s where session_id = %s", (until, session_id))


async def revision(conn: AsyncConnection[Any], region_id: RegionId) -> int:
    """The region's newest revision."""
    cursor = await conn.execute("select number from auth.region_revisions where region_id = %s", (region_id,))
    row = await cursor.fetchone()
    return int(row[0]) if row else 0
