"""Entries as they are read: in order of index within a log, in pieces of bounded work, by the indexes that there are.

Rows never change; retention may take some away between two pieces.
"""

from __future__ import annotations

import uuid
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import LiteralString, NamedTuple

from auditsvc.selection import Selection
from infosec.decision.operations import CATALOGUE, OperationClass
from infosec.ids import RegionId
from infosec.storage.postgres import Connection, Statement

_COLUMNS: LiteralString = "index, event_id, recorded_at, type, store_id, staff_id, operation, decision, subject_id"
_SCAN: LiteralString = """
select {columns} from audit.entries where log_id = %(log_id)s and index >= %(begin)s and index < %(end)s
 order by index {order} limit %(limit)s"""
# Compared as rows, and in the order of their own index: so the planner cannot take the log's for cheaper, and pass over
# millions of entries in search of somebody who is in none of them.
_BY: LiteralString = """
select e.* from unnest({wanted}) as wanted (id) cross join lateral (
    select {columns} from audit.entries where {by} is not null
       and ({by}, log_id, index) >= (wanted.id, %(log_id)s, %(begin)s)
       and ({by}, log_id, index) < (wanted.id, %(log_id)s, %(end)s)
     order by {by} {order}, log_id {order}, index {order} limit %(limit)s
) e order by e.index {order} limit %(limit)s"""

# The last row says how far it was looked, and how many rows that were; so a piece without a match is progress too.
_MATCHES: LiteralString = """
with looked as materialized ({inner})
select false, index, event_id, recorded_at, (
    select body from audit.entries b where b.log_id = %(log_id)s and b.index = looked.index
) from looked
 where (%(types)s::text[] is null or type = any(%(types)s))
   and (%(store_ids)s::text[] is null or store_id = any(%(store_ids)s))
   and (%(staff_ids)s::text[] is null or staff_id = any(%(staff_ids)s))
   and (%(operations)s::text[] is null or operation = any(%(operations)s))
   and (not %(only_reads)s or {is_read})
   and (%(decision)s::text is null or decision = %(decision)s)
   and (%(subjects)s::uuid[] is null or subject_id = any(%(subjects)s))
union all
select true, count(*), null, {edge}(recorded_at), int8send({edge}(index)) from looked"""

# The class as the entry says it (a quote within a value is escaped: this can only be the fact itself). Older entries do not,
# nor do denials of what may not be known: of those, operations known to release no customer data are left out. An
# installation may have codes of its own; rather than leave out a read that only it knew, what is not known counts as one.
_IS_READ: LiteralString = """(
    select case when position('"operation_class":"'::bytea in b.body) > 0
                then position('"operation_class":"READ"'::bytea in b.body) > 0
                else looked.operation <> all(%(release_nothing)s::text[]) end
      from audit.entries b where b.log_id = %(log_id)s and b.index = looked.index)"""

_INNER: dict[str, LiteralString] = {
    "subject": _BY.format(by="subject_id", wanted="%(subjects)s::uuid[]", columns="{columns}", order="{order}"),
    "staff": _BY.format(by="staff_id", wanted="%(staff_ids)s::text[]", columns="{columns}", order="{order}"),
    "scan": _SCAN,
}


def _statement(inner: LiteralString, order: LiteralString, edge: LiteralString) -> LiteralString:
    return _MATCHES.format(inner=inner.format(columns=_COLUMNS, order=order), is_read=_IS_READ, edge=edge)


_OLDEST_FIRST = {plan: _statement(inner, "asc", "max") for plan, inner in _INNER.items()}
_NEWEST_FIRST = {plan: _statement(inner, "desc", "min") for plan, inner in _INNER.items()}

_WHOLE: LiteralString = """
select index, body from audit.entries where log_id = %s and index >= %s and index < %s order by index"""

_PROBE: LiteralString = """
select e.index, e.recorded_at from unnest(%s::bigint[]) with ordinality as probe (at, number) left join lateral (
    select index, recorded_at from audit.entries where log_id = %s and index >= probe.at and index < %s
     order by index limit 1
) e on true order by probe.number"""

_HEADS: LiteralString = "select log_id, size, first_index, recorded_at from audit.logs order by log_id"
_HEAD: LiteralString = "select log_id, size, first_index, recorded_at from audit.logs where log_id = %s"

_SUBJECTS: LiteralString = """
select digest, subject_id from audit.subjects where digest = any(%s) order by made_at, subject_id"""

_WITHDRAWN: LiteralString = """
select convert_from(substr(body, position('"withdraws":"'::bytea in body) + 13, 36), 'UTF8')
  from audit.entries
 where subject_id = any(%s) and type = 'check.decided' and decision = 'DENIED'
   and position('"withdraws":"'::bytea in body) > 0"""

_PROBES = 32
_RELEASE_NOTHING = sorted(code for code, one in CATALOGUE.items() if one.cls is not OperationClass.READ)


class Found(NamedTuple):
    """A row that matches, at its index."""

    position: int
    event_id: uuid.UUID
    recorded_at: datetime
    body: bytes


class Edge(NamedTuple):
    """The last row that was looked at."""

    position: int
    recorded_at: datetime


@dataclass(frozen=True, slots=True, kw_only=True)
class Piece:
    """What one look found. `edge` is None where the range is done with."""

    found: list[Found]
    edge: Edge | None


@dataclass(frozen=True, slots=True, kw_only=True)
class LogHead:
    """A log, as far as reading it goes."""

    log_id: RegionId
    size: int
    first_index: int
    recorded_at: datetime


@dataclass(frozen=True, slots=True, kw_only=True)
class Wanted:
    """A selection whose customer was looked up: None where none was asked for, empty where nobody knows them."""

    selection: Selection
    subjects: tuple[uuid.UUID, ...] | None

    @property
    def is_nothing(self) -> bool:
        return self.subjects == ()


def looking(
    log_id: RegionId, wanted: Wanted, begin: int, end: int, *, newest_first: bool = False, limit: int
) -> Statement:
    """The statement that looks at up to `limit` rows of [begin, end), by the best index that there is."""
    chosen = wanted.selection
    plan = "subject" if wanted.subjects is not None else "staff" if chosen.staff_ids else "scan"
    values = {
        "log_id": log_id,
        "begin": begin,
        "end": end,
        "limit": limit,
        "types": [kind.value for kind in chosen.types] or None,
        "store_ids": list(chosen.store_ids) or None,
        "staff_ids": list(chosen.staff_ids) or None,
        "operations": list(chosen.operations) or None,
        "only_reads": chosen.only_reads,
        "release_nothing": _RELEASE_NOTHING,
        "decision": chosen.decision,
        "subjects": None if wanted.subjects is None else list(wanted.subjects),
    }
    return (_NEWEST_FIRST if newest_first else _OLDEST_FIRST)[plan], values


async def look(
    conn: Connection,
    log_id: RegionId,
    wanted: Wanted,
    begin: int,
    end: int,
    *,
    newest_first: bool = False,
    limit: int,
) -> Piece:
    """Look at up to `limit` rows of [begin, end), and answer those that match."""
    query, values = looking(log_id, wanted, begin, end, newest_first=newest_first, limit=limit)
    rows = await (await conn.execute(query, values)).fetchall()
    (_, count, _, recorded_at, index), *found = sorted(rows, key=lambda row: not row[0])  # the last row, first
    edge = Edge(int.from_bytes(index, "big"), recorded_at) if count == limit else None
    return Piece(found=sorted((Found(*row[1:]) for row in found), reverse=newest_first), edge=edge)


async def whole(conn: Connection, log_id: RegionId, begin: int, end: int) -> dict[int, bytes]:
    """Bodies of the entries [begin, end) that are there, by index."""
    rows = await (await conn.execute(_WHOLE, (log_id, begin, end), prepare=True)).fetchall()
    return dict(rows)


async def boundary(conn: Connection, head: LogHead, moment: datetime) -> tuple[int, int]:
    """Around `moment`: the index after the last row that was recorded before it, and the first row recorded at or after.

    The two differ where retention has taken what lay between. By probes of the primary key, a few dozen at once, each
    leaving a thirtieth of the range: within a log time never goes back.
    """
    low, high, first = head.first_index, head.size, head.size
    while low < high:
        step = -(-(high - low) // _PROBES)
        probes = list(range(low, high, step))
        rows = await (await conn.execute(_PROBE, (probes, head.log_id, head.size), prepare=True)).fetchall()
        for at, (index, recorded_at) in zip(probes, rows, strict=True):
            if index is None or recorded_at >= moment:
                high, first = at, head.size if index is None else index
                break
            low = index + 1
        low = min(low, high)
    return low, first


async def heads(conn: Connection) -> list[LogHead]:
    """Every log, by name."""
    rows = await (await conn.execute(_HEADS, prepare=True)).fetchall()
    return [_head(row) for row in rows]


async def head(conn: Connection, log_id: RegionId) -> LogHead | None:
    """One log; None where there is no such log."""
    row = await (await conn.execute(_HEAD, (log_id,), prepare=True)).fetchone()
    return None if row is None else _head(row)


async def subjects(conn: Connection, digests: Sequence[bytes]) -> dict[bytes, uuid.UUID]:
    """The subjects of one customer by the digests under which they are known, the oldest first."""
    rows = await (await conn.execute(_SUBJECTS, (list(digests),), prepare=True)).fetchall()
    return {row[0]: row[1] for row in rows}


async def withdrawn(conn: Connection, subject_ids: Sequence[uuid.UUID]) -> set[uuid.UUID]:
    """The events about these subjects that another one takes back: what was allowed was not released after all."""
    rows = await (await conn.execute(_WITHDRAWN, (list(subject_ids),), prepare=True)).fetchall()
    return {uuid.UUID(row[0]) for row in rows}


def _head(row: tuple[object, ...]) -> LogHead:
    log_id, size, first_index, recorded_at = row
    return LogHead(log_id=log_id, size=size, first_index=first_index, recorded_at=recorded_at)  # type: ignore[arg-type]
