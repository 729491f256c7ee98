"""The logs: head rows, entries and tiles, as they are appended."""

from __future__ import annotations

import uuid
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import LiteralString, NamedTuple

from auditsvc.tiles import TileId, Tree
from infosec.ids import RegionId
from infosec.storage.postgres import Connection, Statement

_LOCK: LiteralString = """
select size, frontier, edges, recorded_at, passages from audit.logs log, audit.gates gate
 where log_id = %s and gate.name = 'subjects' for update of log for share of gate"""

_MAKE: LiteralString = """
insert into audit.logs (log_id, recorded_at) values (%s, %s) on conflict (log_id) do nothing"""

_COPY: LiteralString = """
copy audit.entries (log_id, index, event_id, recorded_at, type, store_id, staff_id, operation, decision, subject_id, body)
from stdin (format binary)"""

_COPY_TYPES = ("text", "int8", "uuid", "timestamptz", "text", "text", "text", "text", "text", "uuid", "bytea")

_TILES: LiteralString = """
insert into audit.tiles (log_id, level, index, hashes)
select %s, level, index, hashes from unnest(%s::smallint[], %s::bigint[], %s::bytea[]) as filled (level, index, hashes)"""

_HEAD: LiteralString = """
update audit.logs set size = %s, frontier = %s, edges = %s, recorded_at = %s where log_id = %s"""

_KNOWN: LiteralString = """
select event_id, log_id, index, body from audit.entries where event_id = any(%s)"""


@dataclass(frozen=True, slots=True, kw_only=True)
class Head:
    """A log as far as appending to it goes."""

    tree: Tree
    recorded_at: datetime
    erasures: int
    """How often subjects were erased so far; nobody erases any while the head is locked."""


class Row(NamedTuple):
    """An entry with what it is searched by."""

    number: int
    """Its index."""
    event_id: uuid.UUID
    type: str
    store_id: str | None
    staff_id: str | None
    operation: str | None
    decision: str | None
    subject_id: uuid.UUID | None
    body: bytes


@dataclass(frozen=True, slots=True)
class Known:
    """An event that is on record already."""

    log_id: RegionId
    index: int
    body: bytes


def locking(log_id: RegionId) -> Statement:
    """The statement that locks a head; `head` reads its rows."""
    return _LOCK, (log_id,)


def head(rows: Sequence[tuple[object, ...]]) -> Head | None:
    """The locked head; None where there is no such log. Raises Internal when the row contradicts itself."""
    if not rows:
        return None
    size, frontier, edges, recorded_at, erasures = rows[0]
    tree = Tree.stored(size, frontier, edges)  # type: ignore[arg-type]
    return Head(tree=tree, recorded_at=recorded_at, erasures=erasures)  # type: ignore[arg-type]


async def make(conn: Connection, log_id: RegionId, now: datetime) -> None:
    """Begin a log, unless there is one."""
    await conn.execute(_MAKE, (log_id, now))


async def exists(conn: Connection, log_id: RegionId) -> bool:
    """Whether there is such a log."""
    rows = await conn.execute("select 1 from audit.logs where log_id = %s", (log_id,), prepare=True)
    return await rows.fetchone() is not None


async def known(conn: Connection, event_ids: Iterable[uuid.UUID]) -> dict[uuid.UUID, Known]:
    """Those of these events that are on record."""
    rows = await (await conn.execute(_KNOWN, (list(event_ids),), prepare=True)).fetchall()
    return {row[0]: Known(RegionId(row[1]), row[2], row[3]) for row in rows}


async def add(conn: Connection, log_id: RegionId, recorded_at: datetime, rows: Sequence[Row]) -> None:
    """Add entries. Raises psycopg's UniqueViolation when an event is on record already.

    They go in by event ID: of two logs that are sent the same events one waits for the other, whatever order they came in.
    """
    async with conn.cursor() as cursor, cursor.copy(_COPY) as copy:
        copy.set_types(_COPY_TYPES)
        for number, event_id, *others in sorted(rows, key=lambda row: row.event_id.int):
            await copy.write_row((log_id, number, event_id, recorded_at, *others))


def moving(
    log_id: RegionId, tree: Tree, full: Sequence[tuple[TileId, bytes]], recorded_at: datetime
) -> list[Statement]:
    """The statements that write the grown tree: its full tiles and its head."""
    frontier = b"".join(tree.frontier.hashes)
    statements: list[Statement] = [(_HEAD, (tree.size, frontier, list(tree.edges), recorded_at, log_id))]
    if full:
        levels, indices = [tile.level for tile, _ in full], [tile.position for tile, _ in full]
        statements.insert(0, (_TILES, (log_id, levels, indices, [hashes for _, hashes in full])))
    return statements
