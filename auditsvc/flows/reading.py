"""Pages of entries across logs, newest or oldest first. The work for one page is bounded, whatever is asked for.

Who reads is on record before a page leaves.
"""

from __future__ import annotations

from collections.abc import AsyncGenerator, Sequence
from contextlib import aclosing
from dataclasses import dataclass
from datetime import timedelta
from typing import NamedTuple

from auditsvc.flows.own_events import OWN_LOG, OwnEvents
from auditsvc.merging import merged
from auditsvc.paging import Cursor, PageTokens, Place
from auditsvc.selection import Selection
from auditsvc.store import entries
from auditsvc.store.entries import LogHead, Wanted
from infosec.decision.assertion import IdentityAssertion
from infosec.errors import InvalidInput, Reason
from infosec.events.event import Fact
from infosec.events.types import EventType
from infosec.ids import RegionId
from infosec.storage.postgres import Connection, Database, Isolation

MAX_PAGE = 1000
_ROWS_A_HIT, _LEAST, _MOST = 4, 100, 20_000
"""Rows that one statement looks at: few at first, more while nothing is found."""
_LOOKED_AT = 200_000
"""Rows that are looked at for one page, in all logs together: then it ends, shorter than was asked for."""
_PAGE_BYTES = 4 << 20
_TICK = timedelta(microseconds=1)


class Hit(NamedTuple):
    """An entry that matches."""

    place: Place
    row: entries.Found


@dataclass(frozen=True, slots=True, kw_only=True)
class Question:
    """What one page is asked for."""

    selection: Selection
    oldest_first: bool = False
    size: int
    token: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class Page:
    """Entries, and where the next ones are."""

    hits: list[Hit]
    next_token: str
    wanted: Wanted
    """What was looked for."""
    customer: str | None
    """The digest, in hex, under which the log knows the customer who was asked for; None where it does not."""


class Reading:
    """Reads for one process. `db` as role audit_service."""

    def __init__(self, db: Database, tokens: PageTokens, events: OwnEvents) -> None:
        self._db = db
        self._tokens = tokens
        self._events = events

    async def query(self, question: Question, person: IdentityAssertion) -> Page:
        """A page, and that it was read. Raises InvalidInput, Unavailable(RECORD_UNAVAILABLE | STORAGE_UNAVAILABLE)."""
        page = await self.page(question)
        facts = {**facts_of(question.selection), "customer": page.customer, "count": len(page.hits)}
        await self._events.record(self._events.event(EventType.AUDIT_QUERIED, person, **facts))
        return page

    async def page(self, question: Question) -> Page:
        """A page that nobody has recorded yet."""
        selection = question.selection
        bound_to = selection.identity() + (b"+" if question.oldest_first else b"-")
        cursor = self._tokens.read(question.token, bound_to)
        async with self._db.transaction(Isolation.SNAPSHOT_READ_ONLY) as conn:
            wanted, customer = await looked_up(conn, selection)
            heads = named(selection, await entries.heads(conn))
            ranges = [await _range(conn, head, question, cursor) for head in heads]
        if wanted.is_nothing:
            ranges = []
        hits, after = await self._read(wanted, ranges, question)
        token = ""
        if after is not None:
            as_of = cursor.as_of if cursor else max(head.recorded_at for head in heads)
            own_end = cursor.own_end if cursor else next((head.size for head in heads if head.log_id == OWN_LOG), 0)
            token = self._tokens.written(Cursor(after=after, as_of=as_of, own_end=own_end), bound_to)
        return Page(hits=hits, next_token=token, wanted=wanted, customer=customer)

    async def _read(
        self, wanted: Wanted, ranges: Sequence[_Range], question: Question
    ) -> tuple[list[Hit], Place | None]:
        """The page, and the last place that was looked at where there may be more."""
        ranges = [one for one in ranges if one.begin < one.end]
        share = max(_LOOKED_AT // max(len(ranges), 1), _LEAST)
        sources = [self._hits(wanted, one, question, share) for one in ranges]
        hits, size = list[Hit](), 0
        async with aclosing(merged(sources, newest_first=not question.oldest_first)) as places:
            async for place, row in places:
                if row is None:
                    return hits, place
                if hits and (len(hits) == question.size or size + len(row.body) > _PAGE_BYTES):
                    return hits, hits[-1].place
                hits.append(Hit(place, row))
                size += len(row.body)
        return hits, None

    async def _hits(
        self, wanted: Wanted, one: _Range, question: Question, share: int
    ) -> AsyncGenerator[tuple[Place, entries.Found | None]]:
        """Hits of one log, in order; the last place that was looked at, without a hit, where its share of rows is used up."""
        begin, end, newest_first = one.begin, one.end, not question.oldest_first
        limit, left = max(_ROWS_A_HIT * question.size, _LEAST), share
        while left > 0:
            async with self._db.transaction() as conn:
                piece = await entries.look(conn, one.log_id, wanted, begin, end, newest_first=newest_first, limit=limit)
            for row in piece.found:
                yield Place(row.recorded_at, one.log_id, row.position), row
            if piece.edge is None:
                return
            edge = piece.edge
            begin, end = (begin, edge.position) if newest_first else (edge.position + 1, end)
            left -= limit
            limit = min(4 * limit, _MOST, max(left, _LEAST))
        yield Place(edge.recorded_at, one.log_id, edge.position), None


@dataclass(frozen=True, slots=True, kw_only=True)
class _Range:
    log_id: RegionId
    begin: int
    end: int


async def _range(conn: Connection, head: LogHead, question: Question, cursor: Cursor | None) -> _Range:
    """The indices of a log that are still to be looked at."""
    begin, end = await period(conn, head, question.selection)
    if cursor is not None:
        if head.log_id == OWN_LOG:
            end = min(end, cursor.own_end)
        if head.recorded_at > cursor.as_of:
            end = min(end, (await entries.boundary(conn, head, cursor.as_of + _TICK))[1])
        begin, end = await _left(conn, head, cursor.after, begin, end, oldest_first=question.oldest_first)
    return _Range(log_id=head.log_id, begin=begin, end=end)


async def _left(
    conn: Connection, head: LogHead, after: Place, begin: int, end: int, *, oldest_first: bool
) -> tuple[int, int]:
    """What is left of [begin, end) after this place in the order of places."""
    if head.log_id == after.log_id:
        return (max(begin, after.position + 1), end) if oldest_first else (begin, min(end, after.position))
    # Of what was recorded at the very same moment, the logs of smaller names come first.
    moment = after.recorded_at + (_TICK if head.log_id < after.log_id else timedelta(0))
    _, cut = await entries.boundary(conn, head, moment)
    return (max(begin, cut), end) if oldest_first else (begin, min(end, cut))


async def period(conn: Connection, head: LogHead, selection: Selection) -> tuple[int, int]:
    """The indices that were recorded in the period, with those between whose time nobody knows any more."""
    begin, end = head.first_index, head.size
    if selection.since is not None:
        begin, _ = await entries.boundary(conn, head, selection.since)
    if selection.until is not None:
        _, end = await entries.boundary(conn, head, selection.until)
    return min(begin, end), end


async def looked_up(conn: Connection, selection: Selection) -> tuple[Wanted, str | None]:
    """The selection with its customer's subjects, and the digest under which the record may name the customer.

    Nobody is made a subject by being asked for: of a customer whom the log does not know the record names none (CI-8).
    """
    if selection.customer is None:
        return Wanted(selection=selection, subjects=None), None
    found = await entries.subjects(conn, selection.customer)
    digest = next(iter(found), None)
    return Wanted(selection=selection, subjects=tuple(found.values())), digest.hex() if digest else None


def named(selection: Selection, heads: Sequence[LogHead]) -> list[LogHead]:
    """The logs to look at. Raises InvalidInput for a name that no log has."""
    if set(selection.log_ids) - {head.log_id for head in heads}:
        raise InvalidInput(Reason.INVALID_ARGUMENT, field="filter.log_ids", detail="there is no such log")
    return [head for head in heads if selection.names_log(head.log_id)]


def facts_of(selection: Selection) -> dict[str, Fact]:
    """What a record of reading says of what was asked for."""
    return {
        "filter": selection.summary(),
        "subject_staff_id": selection.staff_ids[0] if len(selection.staff_ids) == 1 else None,
        "region_id": selection.log_ids[0] if len(selection.log_ids) == 1 else None,
    }
