"""What a finding is about: the entry of a spot check."""

from __future__ import annotations

from typing import NamedTuple

from infosec.ids import RegionId
from infosec.storage.postgres import Connection


class Checked(NamedTuple):
    """Of an entry, who it is of and where."""

    staff_id: str | None
    store_id: str | None


async def checked(conn: Connection, log_id: RegionId, index: int) -> Checked | None:
    """The entry at this index; None where there is none (any more)."""
    query = "select staff_id, store_id from audit.entries where log_id = %s and index = %s"
    row = await (await conn.execute(query, (log_id, index))).fetchone()
    return None if row is None else Checked(row[0], row[1])
