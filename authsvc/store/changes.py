"""Change rows and the regions' counters: what nodes must read again, in commit order."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime
from typing import Any

from psycopg import AsyncConnection

from infosec.ids import RegionId
from infosec.storage.postgres import Statement

_APPEND = """
with counter as (
    insert into auth.region_revisions as r (region_id, number) values (%(region)s, %(count)s)
    on conflict (region_id) do update set number = r.number + %(count)s
    returning number
), rows as (
    insert into auth.changes (region_id, number, kind, entity_id, at)
    select %(region)s, counter.number - %(count)s + entry.ordinal, entry.kind, entry.entity_id, %(at)s
    from counter, unnest(%(kinds)s::text[], %(ids)s::text[]) with ordinality as entry (kind, entity_id, ordinal)
)
select number from counter
"""


async def append(
    conn: AsyncConnection[tuple[Any, ...]], region_id: RegionId, entries: Sequence[tuple[str, str]], at: datetime
) -> int:
    """Append (kind, entity ID) rows and return the region's new revision. Must be a transaction's last statement."""
    query, values = appending(region_id, entries, at)
    row = await (await conn.execute(query, values, prepare=True)).fetchone()
    assert row is not None  # noqa: S101 - the upsert always returns its row
    return int(row[0])


def appending(region_id: RegionId, entries: Sequence[tuple[str, str]], at: datetime) -> Statement:
    """The statement of `append`; its one row is the new revision."""
    return (
        _APPEND,
        {
            "region": region_id,
            "count": len(entries),
            "kinds": [kind for kind, _ in entries],
            "ids": [entity for _, entity in entries],
            "at": at,
        },
    )
