"""The columns of a row are copies of what its entry says, to search by. Somebody who changes one hides an entry from a search.

No proof reaches them: the tree is of the entries. Pure; knows no storage.
"""

from __future__ import annotations

import uuid
from datetime import datetime
from typing import NamedTuple

from auditsvc import entry
from infosec.errors import InvalidInput


class Stored(NamedTuple):
    """A row as it stands in the database."""

    log_id: str
    position: int
    event_id: uuid.UUID
    recorded_at: datetime
    type: str
    store_id: str | None
    staff_id: str | None
    operation: str | None
    decision: str | None
    subject_id: uuid.UUID | None
    body: bytes
    is_behind_the_end: bool
    """The log does not reach as far as this row."""


class WrongRow(NamedTuple):
    """A row that is not what its entry says: in these columns, by their names in the database."""

    log_id: str
    position: int
    columns: tuple[str, ...]


def wrong_row(row: Stored) -> WrongRow | None:
    """None for a row that is right. One whose entry cannot be read is wrong in `body`."""
    wrong = ["index"] if row.is_behind_the_end else []
    try:
        said = entry.parse(row.body)
    except InvalidInput:
        wrong.append("body")
    else:
        copies = {
            "log_id": (row.log_id, said.log_id),
            "event_id": (row.event_id, said.event_id),
            "recorded_at": (row.recorded_at, said.recorded_at),
            "type": (row.type, said.type.value),
            **{
                name: (getattr(row, name), said.text(name))
                for name in ("store_id", "staff_id", "operation", "decision")
            },
            "subject_id": (row.subject_id, said.subject_id),
        }
        wrong += [name for name, (stored, meant) in copies.items() if stored != meant]
    return WrongRow(row.log_id, row.position, tuple(wrong)) if wrong else None
