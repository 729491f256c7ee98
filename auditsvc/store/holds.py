"""Holds, and the gate between them and deletion. Placed by the service, released by the keeper."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any, LiteralString
from uuid import UUID

from infosec.ids import StaffId
from infosec.storage.postgres import Connection

_COLUMNS: LiteralString = "hold_id, subject_ids, reason, placed_by, placed_at, released_by, released_at"

_ADD: LiteralString = """
insert into audit.holds (hold_id, subject_ids, reason, placed_by, placed_at) values (%s, %s, %s, %s, %s)"""

_ONE: LiteralString = f"select {_COLUMNS} from audit.holds where hold_id = %s"  # noqa: S608

_ON: LiteralString = """
select 1 from audit.holds where released_at is null and subject_ids && %s::uuid[] limit 1"""

_RELEASE: LiteralString = """
update audit.holds set released_by = %s, released_at = %s where hold_id = %s and released_at is null
returning hold_id, subject_ids, reason, placed_by, placed_at, released_by, released_at"""

_PAGE: LiteralString = f"""
select {_COLUMNS} from audit.holds
where (not %(active_only)s or released_at is null)
  and (%(at)s::timestamptz is null or (placed_at, hold_id) < (%(at)s, %(id)s::uuid))
order by placed_at desc, hold_id desc limit %(size)s"""  # noqa: S608

_SHARED: LiteralString = "select 1 from audit.gates where name = 'holds' for share"
_ALONE: LiteralString = "select 1 from audit.gates where name = 'holds' for update"


@dataclass(frozen=True, slots=True, kw_only=True)
class Hold:
    """A customer's data that must be kept."""

    id: UUID
    subject_ids: tuple[UUID, ...]
    reason: str
    placed_by: StaffId
    placed_at: datetime
    released_by: StaffId | None = None
    released_at: datetime | None = None


async def nothing_is_deleted(conn: Connection) -> None:
    """Waits for whoever deletes; until this transaction ends nobody does. For who places a hold."""
    await conn.execute(_SHARED)


async def no_hold_is_placed(conn: Connection) -> None:
    """Waits for whoever places a hold; what is read of holds from here on is true until this transaction ends."""
    await conn.execute(_ALONE)


async def add(conn: Connection, hold: Hold) -> None:
    """Place one."""
    await conn.execute(_ADD, (hold.id, list(hold.subject_ids), hold.reason, hold.placed_by, hold.placed_at))


async def get(conn: Connection, hold_id: UUID) -> Hold | None:
    """One hold."""
    row = await (await conn.execute(_ONE, (hold_id,))).fetchone()
    return None if row is None else _hold(row)


async def is_held(conn: Connection, subject_ids: Sequence[UUID]) -> bool:
    """Whether a hold is on one of these subjects."""
    return await (await conn.execute(_ON, (list(subject_ids),))).fetchone() is not None


async def release(conn: Connection, hold_id: UUID, by: StaffId, now: datetime) -> Hold | None:
    """Lift one; None where it is lifted already."""
    row = await (await conn.execute(_RELEASE, (by, now, hold_id))).fetchone()
    return None if row is None else _hold(row)


async def page(conn: Connection, *, active_only: bool, size: int, before: tuple[datetime, UUID] | None) -> list[Hold]:
    """Newest first."""
    at, hold_id = before or (None, None)
    values = {"active_only": active_only, "size": size, "at": at, "id": hold_id}
    return [_hold(row) for row in await (await conn.execute(_PAGE, values)).fetchall()]


def _hold(row: tuple[Any, ...]) -> Hold:
    return Hold(
        id=row[0],
        subject_ids=tuple(row[1]),
        reason=row[2],
        placed_by=StaffId(row[3]),
        placed_at=row[4],
        released_by=None if row[5] is None else StaffId(row[5]),
        released_at=row[6],
    )
