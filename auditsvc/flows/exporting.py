"""Exports a part of the record with what proves it, in constant memory. What is exported is on record before a row leaves.

Nothing is held between two pieces, neither a transaction nor a connection: rows never change, and what retention takes in
the meantime keeps its hash in the tree, or ends the export.
"""

from __future__ import annotations

from collections.abc import AsyncGenerator, Mapping, Sequence
from dataclasses import dataclass

from auditsvc.flows.own_events import OwnEvents
from auditsvc.flows.reading import facts_of, looked_up, named, period
from auditsvc.selection import Selection
from auditsvc.store import checkpoints, entries, nodes
from auditsvc.store.entries import LogHead, Wanted
from auditsvc.stretches import Gap, Resumed, Row, Stretch, between, in_messages, nodes_between
from auditsvc.tiles import WIDTH
from infosec.decision.assertion import IdentityAssertion
from infosec.errors import FailedPrecondition, InvalidInput, NotFound, Reason
from infosec.events.types import EventType
from infosec.ids import NODE_ID, RegionId
from infosec.storage.postgres import Connection, Database, Isolation
from infosec.transparency.merkle import NodeId

_PIECE = 4 * WIDTH
"""Entries that are read at once where all are wanted: whole tiles."""
_LEAST, _MOST = 500, 5_000
"""Rows that one statement looks at where some are wanted: more while few match."""
_MATCHES_AT_ONCE = 100
"""A gap may take several tiles."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Export:
    """An export that is on record."""

    wanted: Wanted
    stretches: list[Stretch]


@dataclass(frozen=True, slots=True, kw_only=True)
class Begun:
    """A log begins."""

    stretch: Stretch
    left: list[bytes]
    expected: int


@dataclass(frozen=True, slots=True, kw_only=True)
class Ended:
    """A log ends."""

    log_id: RegionId
    right: list[bytes]


Part = Begun | list[Row | Gap] | Ended


class Exporting:
    """Exports for one process. `db` as role audit_service."""

    def __init__(self, db: Database, events: OwnEvents) -> None:
        self._db = db
        self._events = events

    async def begin(
        self, selection: Selection, resumed: Sequence[Resumed], export_id: str, person: IdentityAssertion
    ) -> Export:
        """Fix what is exported, and put it on record. Raises InvalidInput, FailedPrecondition(STATE_CONFLICT),
        Unavailable(RECORD_UNAVAILABLE | STORAGE_UNAVAILABLE).
        """
        if not NODE_ID.fullmatch(export_id):
            raise InvalidInput(Reason.INVALID_ARGUMENT, field="export_id", detail="1 to 36 of a-z 0-9 . _ -")
        async with self._db.transaction(Isolation.SNAPSHOT_READ_ONLY) as conn:
            wanted, customer = await looked_up(conn, selection)
            heads = named(selection, await entries.heads(conn))
            stretches = await _stretches(conn, selection, heads, _by_log(resumed, heads))
        facts = {**facts_of(selection), "customer": customer, "export_id": export_id}
        events = [
            self._events.event(
                EventType.AUDIT_EXPORTED,
                person,
                **{
                    **facts,
                    "region_id": one.log_id,
                    "from_index": one.next_index,
                    "to_index": one.end,
                    "tree_size": one.size,
                    "is_complete": selection.takes_all,
                },
            )
            for one in stretches
        ]
        await self._events.record(*events)
        return Export(wanted=wanted, stretches=stretches)

    async def parts(self, export: Export) -> AsyncGenerator[Part, None]:
        """All of it, in order. Raises FailedPrecondition(STATE_CONFLICT) when retention takes what is being exported."""
        for stretch in export.stretches:
            left, right = await self._around(stretch)
            takes_all = export.wanted.selection.takes_all
            yield Begun(stretch=stretch, left=left, expected=stretch.end - stretch.start if takes_all else 0)
            items = self._all(stretch) if takes_all else self._matching(stretch, export.wanted)
            async for piece in items:
                for message in in_messages(piece):
                    yield message
            yield Ended(log_id=stretch.log_id, right=right)

    async def _around(self, stretch: Stretch) -> tuple[list[bytes], list[bytes]]:
        left, right = stretch.left(), stretch.right()
        async with self._db.transaction(Isolation.SNAPSHOT_READ_ONLY) as conn:
            hashes = await _hashes(conn, stretch.log_id, left + right)
        return [hashes[node] for node in left], [hashes[node] for node in right]

    async def _all(self, stretch: Stretch) -> AsyncGenerator[list[Row | Gap], None]:
        """Every entry; those whose payload is gone have their hash alone."""
        begin = stretch.next_index
        while begin < stretch.end:
            end = min(stretch.end, begin - begin % WIDTH + _PIECE)
            async with self._db.transaction(Isolation.SNAPSHOT_READ_ONLY) as conn:
                there = await entries.whole(conn, stretch.log_id, begin, end)
                hashes = await _hashes(conn, stretch.log_id, [NodeId(0, at) for at in range(begin, end)])
            yield [Row(at, hashes[NodeId(0, at)], there.get(at, b"")) for at in range(begin, end)]
            begin = end

    async def _matching(self, stretch: Stretch, wanted: Wanted) -> AsyncGenerator[list[Row | Gap], None]:
        """The entries that match, and gaps. A gap goes on until something matches, however far that is."""
        begin, at, limit = stretch.next_index, stretch.next_index, _LEAST
        while at < stretch.end and not wanted.is_nothing:
            async with self._db.transaction() as conn:
                piece = await entries.look(conn, stretch.log_id, wanted, at, stretch.end, limit=limit)
            for first in range(0, len(piece.found), _MATCHES_AT_ONCE):
                some = {row.position: row.body for row in piece.found[first : first + _MATCHES_AT_ONCE]}
                end = max(some) + 1
                yield await self._bridged(stretch.log_id, begin, end, some)
                begin = end
            if piece.edge is None:
                break
            at = piece.edge.position + 1
            limit = min(2 * limit, _MOST) if len(piece.found) < _LEAST else _LEAST
        if begin < stretch.end:
            yield await self._bridged(stretch.log_id, begin, stretch.end, {})

    async def _bridged(self, log_id: RegionId, begin: int, end: int, bodies: Mapping[int, bytes]) -> list[Row | Gap]:
        async with self._db.transaction(Isolation.SNAPSHOT_READ_ONLY) as conn:
            hashes = await _hashes(conn, log_id, nodes_between(begin, end, list(bodies)))
        return list(between(begin, end, bodies, hashes))


def _by_log(resumed: Sequence[Resumed], heads: Sequence[LogHead]) -> dict[RegionId, Resumed]:
    by_log = {one.log_id: one for one in resumed}
    if len(by_log) < len(resumed) or by_log.keys() - {head.log_id for head in heads}:
        raise InvalidInput(Reason.INVALID_ARGUMENT, field="resume", detail="a log twice, or one that is not exported")
    return by_log


async def _stretches(
    conn: Connection, selection: Selection, heads: Sequence[LogHead], resumed: Mapping[RegionId, Resumed]
) -> list[Stretch]:
    """What is exported of each log. One without a checkpoint is left out, unless it was asked for by its name."""
    found = []
    for head in heads:
        before = resumed.get(head.log_id)
        if before is not None:
            found.append(await _going_on(conn, head, before))
            continue
        newest = await checkpoints.newest(conn, head.log_id)
        if newest is not None:
            _check_is_there(head, newest.size)
            begin, end = await period(conn, head, selection)
            end = min(end, newest.size)
            begin = min(begin, end)
            found.append(
                Stretch(log_id=head.log_id, start=begin, end=end, size=newest.size, note=newest.note, next_index=begin)
            )
        elif selection.log_ids:
            raise FailedPrecondition(
                Reason.STATE_CONFLICT, field="filter.log_ids", detail="no checkpoint of this log has been signed yet"
            )
    return found


def _check_is_there(head: LogHead, signed: int) -> None:
    """Refuse a log that lost what was signed (CI-1): said here, because its hashes cannot be put together any more."""
    if head.size < signed:
        raise FailedPrecondition(
            Reason.STATE_CONFLICT,
            log=head.log_id,
            detail=f"{signed} entries were signed and {head.size} are left: rolled back, or tampered with",
        )


async def _going_on(conn: Connection, head: LogHead, before: Resumed) -> Stretch:
    checkpoint = await checkpoints.at_least(conn, head.log_id, before.size)
    if checkpoint is None or checkpoint.size != before.size:
        raise InvalidInput(Reason.INVALID_ARGUMENT, field="resume.size", detail="no checkpoint of this size was signed")
    _check_is_there(head, checkpoint.size)
    if before.next_index < head.first_index and before.next_index < before.end:
        raise _gone()
    return Stretch(
        log_id=head.log_id,
        start=before.start,
        end=before.end,
        size=before.size,
        note=checkpoint.note,
        next_index=before.next_index,
    )


async def _hashes(conn: Connection, log_id: RegionId, wanted: list[NodeId]) -> dict[NodeId, bytes]:
    try:
        return await nodes.hashes(conn, log_id, wanted)
    except NotFound:
        raise _gone() from None


def _gone() -> FailedPrecondition:
    return FailedPrecondition(Reason.STATE_CONFLICT, field="resume", detail="gone by retention: export again")
