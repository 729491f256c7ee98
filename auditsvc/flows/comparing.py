"""Compares every row of the record with its entry. For the command line on the server; changes nothing."""

from __future__ import annotations

from collections.abc import AsyncIterator

from auditsvc.columns import WrongRow, wrong_row
from auditsvc.store import columns
from infosec.storage.postgres import Database

_AT_ONCE = 1000


async def wrong_rows(db: Database) -> AsyncIterator[WrongRow]:
    """Rows whose columns are not what their entries say, in order. Raises Unavailable."""
    log_id, position = "", -1
    while True:
        async with db.transaction() as conn:
            rows = await columns.after(conn, log_id, position, limit=_AT_ONCE)
        if not rows:
            return
        for row in rows:
            if (wrong := wrong_row(row)) is not None:
                yield wrong
        log_id, position = rows[-1].log_id, rows[-1].position
