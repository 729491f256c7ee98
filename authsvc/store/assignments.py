"""Customers assigned to a person (CI-2): keyed digests alone, never a number."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime
from typing import Any

from psycopg import AsyncConnection

from infosec.ids import StaffId

Connection = AsyncConnection[Any]


async def add(conn: Connection, staff_id: StaffId, digests: Sequence[bytes], *, by: StaffId, now: datetime) -> None:
    """Assign; who is assigned already stays so."""
    await conn.execute(
        "insert into auth.assignments (staff_id, customer_digest, assigned_at, assigned_by)"
        " select %s, digest, %s, %s from unnest(%s::bytea[]) as digest on conflict do nothing",
        (staff_id, now, by, list(digests)),
    )


async def remove(conn: Connection, staff_id: StaffId, digests: Sequence[bytes]) -> None:
    """Take away; who was not assigned is no error."""
    await conn.execute(
        "delete from auth.assignments where staff_id = %s and customer_digest = any(%s::bytea[])",
        (staff_id, list(digests)),
    )


async def remove_all(conn: Connection, staff_id: StaffId) -> int:
    """Take all away; how many there were."""
    return (await conn.execute("delete from auth.assignments where staff_id = %s", (staff_id,))).rowcount


async def count(conn: Connection, staff_id: StaffId) -> int:
    row = await (
        await conn.execute("select count(*) from auth.assignments where staff_id = %s", (staff_id,))
    ).fetchone()
    return int(row[0]) if row else 0
