"""Entries for reviews: whole stretches of a log, of some types, in order of index. Each statement looks at bounded many rows."""

from __future__ import annotations

from collections.abc import Collection
from typing import LiteralString

from infosec.events.types import EventType
from infosec.ids import RegionId, StoreId
from infosec.storage.postgres import Connection

_BODIES: LiteralString = """
select index, body from audit.entries
 where log_id = %s and index >= %s and index < %s and type = any(%s) and (%s::text is null or store_id = %s)
 order by index"""

_FORETELLING: LiteralString = """
select index, body from audit.entries
 where log_id = %s and index >= %s and index < %s
   and (type = %s or type = %s and position('"withdraws":"'::bytea in body) > 0)
 order by index"""


async def bodies(
    conn: Connection,
    log_id: RegionId,
    begin: int,
    end: int,
    *,
    types: Collection[EventType],
    store_id: StoreId | None = None,
) -> list[tuple[int, bytes]]:
    """Index and canonical bytes of the entries in [begin, end) that are of these types, and of this store where one is named."""
    values = (log_id, begin, end, [one.value for one in types], store_id, store_id)
    return await (await conn.execute(_BODIES, values, prepare=True, binary=True)).fetchall()


async def foretelling(conn: Connection, log_id: RegionId, begin: int, end: int) -> list[tuple[int, bytes]]:
    """The same of those that say something of others: visits, and what takes an earlier check back."""
    values = (log_id, begin, end, EventType.CUSTOMER_VISITED.value, EventType.CHECK_DECIDED.value)
    return await (await conn.execute(_FORETELLING, values, prepare=True, binary=True)).fetchall()
