"""Events that are committed with what they tell of, until they are in the log."""

from __future__ import annotations

from collections.abc import Iterable
from typing import LiteralString, NamedTuple
from uuid import UUID

from infosec.events.catalogue import check
from infosec.events.event import Event
from infosec.storage.postgres import Connection

_ADD: LiteralString = """
insert into audit.announcements (event_id, body) values (%s, %s) on conflict (event_id) do nothing"""

_WAITING: LiteralString = "select seq, event_id, body from audit.announcements where seq > %s order by seq limit %s"


class Waiting(NamedTuple):
    """One that is not in the log yet."""

    seq: int
    event_id: UUID
    body: bytes


async def add(conn: Connection, event: Event) -> None:
    """Keep an event; one of the same ID that waits already stays. Raises InvalidInput unless it passes the catalogue."""
    check(event)
    await conn.execute(_ADD, (event.event_id, event.body()))


async def waiting(conn: Connection, after: int, limit: int) -> list[Waiting]:
    """The oldest ones that were announced after this one."""
    return [Waiting(*row) for row in await (await conn.execute(_WAITING, (after, limit))).fetchall()]


async def waits(conn: Connection, event_id: UUID) -> bool:
    """Whether this one is not in the log yet."""
    rows = await conn.execute("select 1 from audit.announcements where event_id = %s", (event_id,))
    return await rows.fetchone() is not None


async def told(conn: Connection, event_ids: Iterable[UUID]) -> None:
    """They are in the log."""
    await conn.execute("delete from audit.announcements where event_id = any(%s)", (list(event_ids),))
