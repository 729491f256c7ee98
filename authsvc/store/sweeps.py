"""What the periodic sweeps look for: passwords that end, and staff IDs that nobody uses. Rows are leased by locking."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from psycopg import AsyncConnection
from psycopg.rows import class_row

from infosec.ids import RegionId, StaffId, StoreId

_DUE = """
select s.staff_id, s.region_id, s.store_id, s.state, s.phone_sealed, w.hotline, c.ends_at, c.reminded_days
from auth.credentials c
join auth.staff s on s.staff_id = c.staff_id
join auth.stores w on w.store_id = s.store_id
where s.state = 'ACTIVE' and c.staff_id > %(after)s and {condition}
order by c.staff_id limit %(limit)s for no key update of s, c skip locked
"""
_ENDED = _DUE.format(condition="c.ends_at <= %(now)s")
_ENDING = _DUE.format(condition="c.ends_at > %(now)s and c.ends_at <= %(until)s")


@dataclass(frozen=True, slots=True, kw_only=True)
class EndingPassword:
    """An active staff ID whose password has ended, or soon will."""

    staff_id: StaffId
    region_id: RegionId
    store_id: StoreId
    state: str
    phone_sealed: bytes
    hotline: str
    ends_at: datetime
    reminded_days: int | None


@dataclass(frozen=True, slots=True, kw_only=True)
class Dormant:
    """An active staff ID that was not used for long."""

    staff_id: StaffId
    region_id: RegionId
    store_id: StoreId
    since: datetime


async def ended(conn: AsyncConnection[Any], *, now: datetime, after: str, limit: int) -> Sequence[EndingPassword]:
    """Active, though the password has ended, in order of staff ID beyond `after`."""
    async with conn.cursor(row_factory=class_row(EndingPassword)) as cursor:
        await cursor.execute(_ENDED, {"now": now, "after": after, "limit": limit})
        return await cursor.fetchall()


async def ending(
    conn: AsyncConnection[Any], *, now: datetime, until: datetime, after: str, limit: int
) -> Sequence[EndingPassword]:
    """Active, with a password that ends by `until`, in order of staff ID beyond `after`."""
    async with conn.cursor(row_factory=class_row(EndingPassword)) as cursor:
        await cursor.execute(_ENDING, {"now": now, "until": until, "after": after, "limit": limit})
        return await cursor.fetchall()


async def set_reminded(conn: AsyncConnection[Any], staff_id: StaffId, days: int) -> None:
    """The reminder of `days` before the end was sent."""
    await conn.execute("update auth.credentials set reminded_days = %s where staff_id = %s", (days, staff_id))


async def dormant(conn: AsyncConnection[Any], *, unused_since: datetime) -> Sequence[Dormant]:
    """Staff IDs that may log in and were not used since, and of which that was not yet reported since their last use."""
    async with conn.cursor(row_factory=class_row(Dormant)) as cursor:
        await cursor.execute(
            "select s.staff_id, s.region_id, s.store_id, coalesce(c.last_login_at, s.created_at) as since"
            " from auth.staff s join auth.credentials c on c.staff_id = s.staff_id"
            " where s.state in ('ISSUED', 'ACTIVE') and coalesce(c.last_login_at, s.created_at) < %s"
            " and not exists (select 1 from auth.findings f where f.region_id = s.region_id and f.kind = 'DORMANT'"
            "                 and f.staff_id = s.staff_id and f.at > coalesce(c.last_login_at, s.created_at))"
            " order by s.staff_id limit 1000",
            (unused_since,),
        )
        return await cursor.fetchall()
