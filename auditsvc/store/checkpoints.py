"""Signed checkpoints, and of the logs what signing and proving them reads."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from operator import itemgetter
from typing import LiteralString

from auditsvc.checkpoints import edge_tiles, tiles_wanted
from auditsvc.tiles import TileId, Tree
from infosec.ids import RegionId
from infosec.storage.postgres import Connection
from infosec.transparency.merkle import NodeId

_STANDING: LiteralString = """
select l.log_id, l.size, l.frontier, c.size, c.root from audit.logs l
left join lateral (
    select size, root from audit.checkpoints where log_id = l.log_id order by size desc limit 1
) c on true order by l.log_id"""

_TREE: LiteralString = "select size, frontier, edges from audit.logs where log_id = %s"

_TILES: LiteralString = """
select t.level, t.index, t.hashes from unnest(%s::smallint[], %s::bigint[]) as wanted (level, index)
join audit.tiles t on t.log_id = %s and t.level = wanted.level and t.index = wanted.index"""

_NEWEST: LiteralString = """
select size, root, note, signed_at from audit.checkpoints where log_id = %s order by size desc limit 1"""

_AT_LEAST: LiteralString = """
select size, root, note, signed_at from audit.checkpoints where log_id = %s and size >= %s order by size limit 1"""

_ADD: LiteralString = """
insert into audit.checkpoints (log_id, size, root, note, signed_at) values (%s, %s, %s, %s, %s)
on conflict (log_id, size) do nothing"""

_THIN: LiteralString = """
delete from audit.checkpoints c using (
    select log_id, size, row_number() over (partition by log_id, date_trunc('hour', signed_at, 'UTC') order by size) as n,
        max(size) over (partition by log_id) as newest
    from audit.checkpoints
) as ranked
where c.log_id = ranked.log_id and c.size = ranked.size and n > 1 and c.size < newest and signed_at < %s"""

_LOCK_NOTE: LiteralString = "select note from audit.checkpoints where log_id = %s and size = %s for update"


@dataclass(frozen=True, slots=True, kw_only=True)
class Standing:
    """Where a log stands, and what it was last signed as: cheap to read for all of them, every second."""

    log_id: RegionId
    size: int
    frontier: bytes
    signed_size: int | None
    signed_root: bytes | None


@dataclass(frozen=True, slots=True, kw_only=True)
class StoredCheckpoint:
    """A row. Nothing about it is verified."""

    size: int
    root: bytes
    note: str
    signed_at: datetime


async def standings(conn: Connection) -> list[Standing]:
    """Every log."""
    rows = await (await conn.execute(_STANDING, prepare=True)).fetchall()
    return [
        Standing(log_id=RegionId(row[0]), size=row[1], frontier=row[2], signed_size=row[3], signed_root=row[4])
        for row in rows
    ]


async def tree(conn: Connection, log_id: RegionId) -> Tree | None:
    """A log's tree; None where there is no such log. Raises Internal when the row contradicts itself."""
    row = await (await conn.execute(_TREE, (log_id,), prepare=True)).fetchone()
    return None if row is None else Tree.stored(*row)


async def tiles_of(conn: Connection, log_id: RegionId, tree: Tree, nodes: Sequence[NodeId]) -> dict[TileId, bytes]:
    """The tiles of these nodes, as far as they are there; `tree` was read in the same snapshot."""
    wanted = sorted(tiles_wanted(tree, nodes))
    found = edge_tiles(tree)
    if wanted:
        columns = [tile.level for tile in wanted], [tile.position for tile in wanted], log_id
        rows = await (await conn.execute(_TILES, columns, prepare=True)).fetchall()
        found |= {TileId(level, position): hashes for level, position, hashes in rows}
    return found


async def newest(conn: Connection, log_id: RegionId) -> StoredCheckpoint | None:
    """The largest one."""
    return await _one(conn, _NEWEST, log_id)


async def at_least(conn: Connection, log_id: RegionId, size: int) -> StoredCheckpoint | None:
    """The smallest one of at least this size."""
    return await _one(conn, _AT_LEAST, log_id, size)


async def add(conn: Connection, log_id: RegionId, checkpoint: StoredCheckpoint) -> None:
    """Add one, unless another process was faster: the same tree then has a note already."""
    row = (log_id, checkpoint.size, checkpoint.root, checkpoint.note, checkpoint.signed_at)
    await conn.execute(_ADD, row, prepare=True)


async def locked_note(conn: Connection, log_id: RegionId, size: int) -> str | None:
    """A note, which nobody else changes until the transaction ends."""
    row = await (await conn.execute(_LOCK_NOTE, (log_id, size), prepare=True)).fetchone()
    return None if row is None else row[0]


async def replace_note(conn: Connection, log_id: RegionId, size: int, note: str) -> None:
    """The same checkpoint with more signatures."""
    await conn.execute(
        "update audit.checkpoints set note = %s where log_id = %s and size = %s", (note, log_id, size), prepare=True
    )


async def sizes(conn: Connection, log_id: RegionId) -> list[int]:
    """Of all of a log's, ascending."""
    rows = await conn.execute("select size from audit.checkpoints where log_id = %s order by size", (log_id,))
    return [row[0] for row in await rows.fetchall()]


async def remove_beyond(conn: Connection, log_id: RegionId, size: int) -> list[str]:
    """As the administrator, for a restore that was accepted: the notes of larger trees, taken away."""
    rows = await conn.execute(
        "delete from audit.checkpoints where log_id = %s and size > %s returning note, size", (log_id, size)
    )
    return [note for note, _ in sorted(await rows.fetchall(), key=itemgetter(1))]


async def thin(conn: Connection, before: datetime) -> int:
    """As the keeper: of those signed before then leave the first of every hour, and the newest; answers how many went."""
    return (await conn.execute(_THIN, (before,))).rowcount


async def _one(conn: Connection, query: LiteralString, *values: object) -> StoredCheckpoint | None:
    row = await (await conn.execute(query, values, prepare=True)).fetchone()
    return None if row is None else StoredCheckpoint(size=row[0], root=row[1], note=row[2], signed_at=row[3])
