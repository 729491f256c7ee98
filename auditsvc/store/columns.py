"""All rows of all logs with their columns, in pieces: also those that no log knows of."""

from __future__ import annotations

from typing import LiteralString

from auditsvc.columns import Stored
from infosec.storage.postgres import Connection

_AFTER: LiteralString = """
select e.log_id, e.index, e.event_id, e.recorded_at, e.type, e.store_id, e.staff_id, e.operation, e.decision, e.subject_id,
       e.body, e.index not between 0 and coalesce(l.size, 0) - 1
  from audit.entries e left join audit.logs l on l.log_id = e.log_id
 where (e.log_id, e.index) > (%s, %s) order by e.log_id, e.index limit %s"""


async def after(conn: Connection, log_id: str, position: int, *, limit: int) -> list[Stored]:
    """The rows after this one, in order of log and index."""
    rows = await (await conn.execute(_AFTER, (log_id, position, limit), prepare=True)).fetchall()
    return [Stored(*row) for row in rows]
