"""Passwords, their counts and their history, and second factors. Hashes and sealed values only."""

from __future__ import annotations

import uuid
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from psycopg import AsyncConnection

from infosec.ids import StaffId

_PUT_FIRST = """
insert into auth.credentials as c (staff_id, hash, is_first, first_expires_at, changed_at, ends_at, delivery_id)
values (%(staff)s, %(hash)s, true, %(expires)s, %(now)s, %(expires)s, %(delivery)s)
on conflict (staff_id) do update set hash = excluded.hash, is_first = true, must_change = false,
    first_expires_at = excluded.first_expires_at, first_used_at = null, changed_at = excluded.changed_at,
    ends_at = excluded.ends_at, failures = 0, last_failure_at = null, reminded_days = null,
    delivery_id = excluded.delivery_id, delivery_state = 'QUEUED'
"""

_FORGET_UNUSED_FIRST = """
delete from auth.password_history h using auth.credentials c
where c.staff_id = %s and c.is_first and c.first_used_at is null and h.staff_id = c.staff_id and h.hash = c.hash
"""

_PUT_CHOSEN = """
update auth.credentials set hash = %(hash)s, is_first = false, must_change = false, first_expires_at = null,
       first_used_at = null, changed_at = %(now)s, ends_at = %(ends)s, reminded_days = null
where staff_id = %(staff)s
"""


@dataclass(frozen=True, slots=True, kw_only=True)
class Checked:
    """What the password checker needs to know of a person and their store; sealed facts stay sealed here."""

    facts_sealed: bytes
    phone_sealed: bytes
    room_words: tuple[str, ...]
    hashes: tuple[str, ...]
    """The last passwords, newest first; the current one is among them."""


@dataclass(frozen=True, slots=True, kw_only=True)
class TotpStanding:
    """Whether a second factor is in force, and whether one waits for its first code."""

    active: bool
    pending: bool


async def count_failure(conn: AsyncConnection[Any], staff_id: StaffId, failures: int, now: datetime) -> None:
    """One more wrong answer: the count is now `failures`."""
    await conn.execute(
        "update auth.credentials set failures = %s, failures_since = failures_since + 1, last_failure_at = %s"
        " where staff_id = %s",
        (failures, now, staff_id),
    )


async def replace_hash(conn: AsyncConnection[Any], staff_id: StaffId, old: str, new: str) -> None:
    """The same password under better parameters: here and in the history."""
    await conn.execute(
        "with h as (update auth.password_history set hash = %(new)s where staff_id = %(staff)s and hash = %(old)s)"
        " update auth.credentials set hash = %(new)s where staff_id = %(staff)s and hash = %(old)s",
        {"staff": staff_id, "old": old, "new": new},
    )


async def put_first(
    conn: AsyncConnection[Any],
    staff_id: StaffId,
    *,
    hash: str,
    expires_at: datetime,
    delivery_id: uuid.UUID,
    now: datetime,
) -> None:
    """A first password in force: count cleared, one use, ends when it expires. It joins the history.

    One before it that nobody used leaves the history: it must not push out passwords that were used (ID-6).
    """
    await conn.execute(_FORGET_UNUSED_FIRST, (staff_id,))
    await conn.execute(
        _PUT_FIRST, {"staff": staff_id, "hash": hash, "expires": expires_at, "delivery": delivery_id, "now": now}
    )
    await add_history(conn, staff_id, hash, now)


async def put_chosen(
    conn: AsyncConnection[Any], staff_id: StaffId, *, hash: str, ends_at: datetime, now: datetime, depth: int
) -> None:
    """A password that the person chose. The count stays: only a login clears it (ID-5)."""
    await conn.execute(_PUT_CHOSEN, {"staff": staff_id, "hash": hash, "ends": ends_at, "now": now})
    await add_history(conn, staff_id, hash, now)
    await conn.execute(
        "delete from auth.password_history where staff_id = %(staff)s and seq not in"
        " (select seq from auth.password_history where staff_id = %(staff)s order by seq desc limit %(depth)s)",
        {"staff": staff_id, "depth": depth},
    )


async def add_history(conn: AsyncConnection[Any], staff_id: StaffId, hash: str, now: datetime) -> None:
    """This hash was put in force (ID-6)."""
    await conn.execute(
        "insert into auth.password_history (staff_id, used_at, hash) values (%s, %s, %s)", (staff_id, now, hash)
    )


async def checked(conn: AsyncConnection[Any], staff_id: StaffId, depth: int) -> Checked | None:
    """What a new password is checked against."""
    cursor = await conn.execute(
        "select s.facts_sealed, s.phone_sealed, w.name, w.address, w.hotline, array("
        "  select h.hash from auth.password_history h where h.staff_id = s.staff_id order by h.seq desc limit %s)"
        " from auth.staff s join auth.stores w on w.store_id = s.store_id where s.staff_id = %s",
        (depth, staff_id),
    )
    row = await cursor.fetchone()
    if row is None:
        return None
    words = tuple(word for word in row[2:5] if word)
    return Checked(facts_sealed=row[0], phone_sealed=row[1], room_words=words, hashes=tuple(row[5]))


async def use_totp_step(conn: AsyncConnection[Any], staff_id: StaffId, step: int) -> None:
    """The code of this step was accepted, and none of it or before will be again (RQ-3)."""
    await conn.execute("update auth.totp set last_step = %s where staff_id = %s", (step, staff_id))


async def put_pending_totp(conn: AsyncConnection[Any], staff_id: StaffId, sealed: bytes) -> None:
    """A new secret that waits for its first code; the active one stays in force."""
    await conn.execute(
        "insert into auth.totp (staff_id, pending_sealed) values (%s, %s)"
        " on conflict (staff_id) do update set pending_sealed = excluded.pending_sealed",
        (staff_id, sealed),
    )


async def activate_totp(conn: AsyncConnection[Any], staff_id: StaffId) -> None:
    """The pending secret is the active one."""
    await conn.execute(
        "update auth.totp set secret_sealed = pending_sealed, pending_sealed = null, active = true where staff_id = %s",
        (staff_id,),
    )


async def totp_standing(conn: AsyncConnection[Any], staff_id: StaffId) -> TotpStanding:
    """Which secrets there are."""
    cursor = await conn.execute(
        "select active, pending_sealed is not null from auth.totp where staff_id = %s", (staff_id,)
    )
    row = await cursor.fetchone()
    return TotpStanding(active=row[0], pending=row[1]) if row else TotpStanding(active=False, pending=False)


async def clean(conn: AsyncConnection[Any], *, retries_before: datetime, changes_before: datetime) -> int:
    """Forget answers given long ago and changes that every node has read; how many rows went."""
    total = 0
    statements: Sequence[tuple[str, datetime]] = (
        ("delete from auth.retries where at < %s", retries_before),
        ("delete from auth.changes where at < %s", changes_before),
    )
    for statement, before in statements:
        total += (await conn.execute(statement, (before,))).rowcount
    return total
