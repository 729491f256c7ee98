"""What there is once per installation: its ID, and the break-glass codes (ID-8). Written by the owner's role alone."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from psycopg import AsyncConnection

from infosec.ids import StaffId

Connection = AsyncConnection[Any]
_ID = "id"


@dataclass(frozen=True, slots=True, kw_only=True)
class HeldCode:
    """One holder's code, as a hash."""

    holder: str
    hash: str


async def claim(conn: Connection, installation: str) -> str:
    """Write the installation's ID if it has none, and hold its row: of two set-ups the second waits. Answers the ID."""
    await conn.execute(
        "insert into auth.installation (key, value) values (%s, %s) on conflict (key) do nothing", (_ID, installation)
    )
    row = await (await conn.execute("select value from auth.installation where key = %s for update", (_ID,))).fetchone()
    return str(row[0]) if row else installation


async def installation_id(conn: Connection) -> str | None:
    """The ID that tokens and grants name; None before the set-up."""
    row = await (await conn.execute("select value from auth.installation where key = %s", (_ID,))).fetchone()
    return str(row[0]) if row else None


async def has_administrator(conn: Connection) -> bool:
    """Whether there is, or ever was, one."""
    row = await (await conn.execute("select 1 from auth.staff where role_id = 'administrator' limit 1")).fetchone()
    return row is not None


async def put_shown_first(
    conn: Connection, staff_id: StaffId, *, hash: str, expires_at: datetime, now: datetime
) -> None:
    """A first password that was shown rather than sent: one use, ends when it expires; it joins the history."""
    await conn.execute(
        """
        insert into auth.credentials as c (staff_id, hash, is_first, first_expires_at, changed_at, ends_at, delivery_state)
        values (%(staff)s, %(hash)s, true, %(expires)s, %(now)s, %(expires)s, 'NONE')
        on conflict (staff_id) do update set hash = excluded.hash, is_first = true, must_change = false,
            first_expires_at = excluded.first_expires_at, first_used_at = null, changed_at = excluded.changed_at,
            ends_at = excluded.ends_at, failures = 0, last_failure_at = null, reminded_days = null,
            delivery_id = null, delivery_state = 'NONE'
        """,
        {"staff": staff_id, "hash": hash, "expires": expires_at, "now": now},
    )
    await conn.execute(
        "insert into auth.password_history (staff_id, used_at, hash) values (%s, %s, %s)", (staff_id, now, hash)
    )


async def put_active_totp(conn: Connection, staff_id: StaffId, sealed: bytes) -> None:
    """A second factor that is in force from the start."""
    await conn.execute(
        "insert into auth.totp (staff_id, secret_sealed, active) values (%s, %s, true)", (staff_id, sealed)
    )


async def codes(conn: Connection, *, is_held: bool = False) -> list[HeldCode]:
    """The codes that were not used; with `is_held` nobody else reads them before the transaction ends."""
    query = "select holder, hash from auth.break_glass where used_at is null order by holder"
    rows = await (await conn.execute(query + " for update" if is_held else query)).fetchall()
    return [HeldCode(holder=row[0], hash=row[1]) for row in rows]


async def replace_codes(conn: Connection, held: Sequence[HeldCode], now: datetime) -> None:
    """Every code of before is used up, and these are in force."""
    await conn.execute("update auth.break_glass set used_at = %s where used_at is null", (now,))
    for code in held:
        await conn.execute(
            "insert into auth.break_glass (holder, hash) values (%s, %s)"
            " on conflict (holder) do update set hash = excluded.hash, used_at = null",
            (code.holder, code.hash),
        )
