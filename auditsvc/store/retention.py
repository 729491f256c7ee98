"""Retention: which entries are past their term, their rows gone in ranges, and the beginning of a log moved up."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Any, LiteralString, NamedTuple
from uuid import UUID

from auditsvc.acts import Counts
from auditsvc.tiles import WIDTH
from infosec.ids import RegionId
from infosec.storage.postgres import Connection

Past = Mapping[str, int]
"""For each type the index before which its entries are past their term."""

_HEADS: LiteralString = """
select l.log_id, l.first_index, l.size, coalesce((select max(c.size) from audit.checkpoints c where c.log_id = l.log_id), 0)
from audit.logs l order by l.log_id"""

_FROM_HERE: LiteralString = """
select index, recorded_at from audit.entries where log_id = %s and index >= %s and index < %s order by index limit 1"""

_IN_RANGE: LiteralString = "e.log_id = %(log)s and e.index >= %(start)s and e.index < %(stop)s"
_PAST: LiteralString = "unnest(%(types)s::text[], %(below)s::bigint[]) as past (type, below)"
_IS_PAST: LiteralString = "e.type = past.type and e.index < past.below"
_HELD: LiteralString = """
exists (select from audit.holds h where h.released_at is null and e.subject_id = any (h.subject_ids))"""

_FIRST_KEPT: LiteralString = f"""
select min(e.index) from audit.entries e left join {_PAST} on e.type = past.type
where {_IN_RANGE} and (past.below is null or e.index >= past.below or {_HELD})"""  # noqa: S608

_COUNT: LiteralString = f"""
select count(*) filter (where not held), count(*) filter (where not held and index >= %(keep)s), count(*) filter (where held)
from (select e.index, {_HELD} as held from audit.entries e join {_PAST} on {_IS_PAST} where {_IN_RANGE}) as found"""  # noqa: S608

_DELETE: LiteralString = f"""
with gone as (
    delete from audit.entries e using {_PAST} where {_IN_RANGE} and {_IS_PAST} and not {_HELD} returning e.index
)
select (select count(*) from gone), (select count(*) from gone where index >= %(keep)s),
    (select count(*) from audit.entries e join {_PAST} on {_IS_PAST} where {_IN_RANGE} and {_HELD})"""  # noqa: S608

_BEGIN: LiteralString = """
insert into audit.retentions (act_id, log_id, until, from_index, bound, to_index, next_index)
values (%s, %s, %s, %s, %s, %s, %s)"""

_COLUMNS: LiteralString = """
log_id, until, from_index, bound, to_index, next_index, deleted, payloads, entries, held, is_done"""

_ADVANCE: LiteralString = """
update audit.retentions set next_index = %s, deleted = deleted + %s, payloads = payloads + %s, held = held + %s
where act_id = %s and log_id = %s"""

_FINISH: LiteralString = """
update audit.retentions set to_index = %s, entries = %s, is_done = true where act_id = %s and log_id = %s"""

_SUMS: LiteralString = """
select coalesce(sum(payloads), 0)::bigint, coalesce(sum(entries), 0)::bigint, coalesce(sum(held), 0)::bigint
from audit.retentions where act_id = %s"""


@dataclass(frozen=True, slots=True, kw_only=True)
class Head:
    """A log as far as retention goes."""

    log_id: RegionId
    first_index: int
    size: int
    signed_size: int


class Part(NamedTuple):
    """What a range of a log comes to."""

    deleted: int
    payloads: int
    """Those of them that keep their leaf hash."""
    held: int


@dataclass(frozen=True, slots=True, kw_only=True)
class Progress:
    """How far a retention is in one log."""

    log_id: RegionId
    until: datetime
    from_index: int
    bound: int
    to_index: int
    next_index: int
    deleted: int = 0
    payloads: int = 0
    entries: int = 0
    held: int = 0
    is_done: bool = False


async def heads(conn: Connection) -> list[Head]:
    """Every log."""
    rows = await (await conn.execute(_HEADS)).fetchall()
    return [Head(log_id=RegionId(row[0]), first_index=row[1], size=row[2], signed_size=row[3]) for row in rows]


async def index_at(conn: Connection, log_id: RegionId, moment: datetime, start: int, stop: int) -> int:
    """The first index in [start, stop) whose entry was recorded at `moment` or later; `stop` if there is none.

    Found by halving: time does not go back within a log. Rows that are gone are passed over.
    """
    while start < stop:
        middle = (start + stop) // 2
        row = await (await conn.execute(_FROM_HERE, (log_id, middle, stop), prepare=True)).fetchone()
        if row is None or row[1] >= moment:
            stop = middle
        else:
            start = row[0] + 1
    return start


async def first_kept(conn: Connection, log_id: RegionId, past: Past, start: int, stop: int) -> int | None:
    """The first entry in [start, stop) that is there and stays."""
    row = await (await conn.execute(_FIRST_KEPT, _range(log_id, past, start, stop))).fetchone()
    return None if row is None else row[0]


async def count(conn: Connection, log_id: RegionId, past: Past, start: int, stop: int, keep: int) -> Part:
    """What `delete` would do."""
    return await _part(conn, _COUNT, _range(log_id, past, start, stop) | {"keep": keep})


async def delete(conn: Connection, log_id: RegionId, past: Past, start: int, stop: int, keep: int) -> Part:
    """As the keeper: the rows in [start, stop) that are past their term and not held are gone.

    `keep`: from this index on leaf hashes stay.
    """
    return await _part(conn, _DELETE, _range(log_id, past, start, stop) | {"keep": keep})


async def begin(conn: Connection, act_id: UUID, progress: Progress) -> None:
    """Note the plan for one log."""
    one = progress
    row = (act_id, one.log_id, one.until, one.from_index, one.bound, one.to_index, one.next_index)
    await conn.execute(_BEGIN, row)


async def progress(conn: Connection, act_id: UUID, log_id: RegionId) -> Progress | None:
    """How far it is in this log; None if it has not begun there."""
    query: LiteralString = f"select {_COLUMNS} from audit.retentions where act_id = %s and log_id = %s"  # noqa: S608
    row: tuple[Any, ...] | None = await (await conn.execute(query, (act_id, log_id))).fetchone()
    if row is None:
        return None
    names = (
        "until",
        "from_index",
        "bound",
        "to_index",
        "next_index",
        "deleted",
        "payloads",
        "entries",
        "held",
        "is_done",
    )
    return Progress(log_id=RegionId(row[0]), **dict(zip(names, row[1:], strict=True)))


async def advance(conn: Connection, act_id: UUID, log_id: RegionId, next_index: int, part: Part) -> None:
    """A range is done."""
    await conn.execute(_ADVANCE, (next_index, part.deleted, part.payloads, part.held, act_id, log_id))


async def first_row(conn: Connection, log_id: RegionId, start: int, stop: int) -> int:
    """The first entry in [start, stop) that is there; `stop` if none is."""
    row = await (await conn.execute(_FROM_HERE, (log_id, start, stop))).fetchone()
    return stop if row is None else row[0]


async def begin_log_at(conn: Connection, log_id: RegionId, index: int) -> None:
    """As the keeper: the log begins here, at a whole tile; the leaf hashes before it are gone, the tree above stays."""
    await conn.execute(
        "update audit.logs set first_index = %s where log_id = %s and first_index < %s", (index, log_id, index)
    )
    await conn.execute(
        "delete from audit.tiles where log_id = %s and level = 0 and index < %s", (log_id, index // WIDTH)
    )


async def finish(conn: Connection, act_id: UUID, log_id: RegionId, *, to_index: int, entries: int) -> None:
    """This log is done."""
    await conn.execute(_FINISH, (to_index, entries, act_id, log_id))


async def sums(conn: Connection, act_id: UUID) -> Counts:
    """Of all logs."""
    row: tuple[Any, ...] | None = await (await conn.execute(_SUMS, (act_id,))).fetchone()
    return Counts() if row is None else Counts(payloads=row[0], entries=row[1], held=row[2])


def _range(log_id: RegionId, past: Past, start: int, stop: int) -> dict[str, object]:
    return {"log": log_id, "start": start, "stop": stop, "types": list(past), "below": list(past.values())}


async def _part(conn: Connection, query: LiteralString, values: Mapping[str, object]) -> Part:
    row: tuple[Any, ...] | None = await (await conn.execute(query, values)).fetchone()
    return Part(0, 0, 0) if row is None else Part(*row)
