"""What became of messages that somebody waits for: first passwords (ID-1) and the requests that sent them (RQ-4)."""

from __future__ import annotations

import uuid
from datetime import datetime

from infosec.ids import RegionId, StaffId
from infosec.storage.postgres import Connection

LIMIT = 500


async def waiting(conn: Connection, now: datetime) -> list[uuid.UUID]:
    """Messages with passwords that still serve, and that the gateway has not taken: under way, or to be retried."""
    rows = await (
        await conn.execute(
            "select delivery_id from auth.credentials where delivery_state in ('QUEUED', 'FAILED')"
            " and delivery_id is not null and is_first and first_expires_at > %s order by changed_at desc limit %s",
            (now, LIMIT),
        )
    ).fetchall()
    return [row[0] for row in rows]


async def record(conn: Connection, message_id: uuid.UUID, state: str) -> tuple[StaffId, RegionId] | None:
    """Write a first password's new delivery state; whose it is, or None where nothing changed."""
    row = await (
        await conn.execute(
            "update auth.credentials c set delivery_state = %s from auth.staff f"
            " where c.delivery_id = %s and c.delivery_state <> %s and f.staff_id = c.staff_id"
            " returning f.staff_id, f.region_id",
            (state, message_id, state),
        )
    ).fetchone()
    return (StaffId(row[0]), RegionId(row[1])) if row else None
