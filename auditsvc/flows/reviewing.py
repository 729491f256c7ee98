"""Spot checks (CI-6) and odd patterns (CI-7): drawn and found over one log at a time, in pieces, and on record themselves.

Who asks is on record before anything is answered.
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncGenerator, Awaitable, Callable, Collection, Sequence
from contextlib import aclosing
from dataclasses import dataclass, replace
from datetime import datetime, timedelta

from auditsvc.appending import Appender
from auditsvc.batch import Receipt, Submission
from auditsvc.checkpoint_keys import CheckpointKeys
from auditsvc.entry import moment
from auditsvc.flows.own_events import RECORDER, OwnEvents
from auditsvc.patterns import JUDGED, LOOKED_AT, Pattern, Watch
from auditsvc.review_profile import TELECOM_HALL, ReviewProfile
from auditsvc.selection import Selection
from auditsvc.store import checkpoints, entries, nodes, review
from auditsvc.store.entries import LogHead
from infosec.clock import Clock
from infosec.decision.assertion import IdentityAssertion
from infosec.errors import FailedPrecondition, Internal, InvalidInput, NotFound, Reason, Unavailable
from infosec.events import catalogue
from infosec.events.types import EventType
from infosec.ids import RegionId, StoreId
from infosec.review.sampling import CLOSING, Population, Sample, Week, closes, draw
from infosec.review.seen import Seen, seen
from infosec.storage.postgres import Connection, Database, Isolation
from infosec.transparency.checkpoints import Checkpoint, extends, open_checkpoint, sign_checkpoint
from infosec.transparency.errors import NotVerified
from infosec.transparency.merkle import covering
from infosec.transparency.proofs import consistency_nodes, consistency_proof
from infosec.transparency.ranges import CompactRange

MAX_PERIOD = timedelta(days=31)
MAX_PATTERNS = 5000
_PIECE = 2000
"""Entries that are read at once."""
_BREATH = 100
"""Entries that are judged before other calls have their turn."""
_SOON = timedelta(seconds=1)
_Piece = Callable[[Connection, int, int], Awaitable[list[tuple[int, bytes]]]]
"""What reads one piece: positions and bodies."""


@dataclass(frozen=True, slots=True, kw_only=True)
class SignedSample:
    """A sample, and the note that says which tree fixed its seed."""

    sample: Sample
    note: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Found:
    """A pattern in its log."""

    log_id: RegionId
    pattern: Pattern


class Reviewing:
    """Reviews for one process. `db` as role audit_service; `keys` as the signer has them."""

    def __init__(
        self,
        db: Database,
        appender: Appender,
        events: OwnEvents,
        keys: CheckpointKeys,
        clock: Clock,
        profile: ReviewProfile = TELECOM_HALL,
    ) -> None:
        self._db = db
        self._appender = appender
        self._events = events
        self._keys = keys
        self._clock = clock
        self._profile = profile

    async def sample(self, store_id: StoreId, log_id: RegionId, week: Week, person: IdentityAssertion) -> SignedSample:
        """The draw, the same for whoever asks and whenever (CI-6).

        Raises NotFound (no such log), FailedPrecondition(STATE_CONFLICT: the week is not over, nothing was signed after
        it yet, or its entries are past their term), Unavailable(RECORD_UNAVAILABLE | STORAGE_UNAVAILABLE).
        """
        now = self._clock.now()
        if now < week.ends:
            raise _conflict("the week is not over")
        if week.begins + catalogue.CATALOGUE[EventType.CHECK_DECIDED].term <= now:
            raise _conflict("entries of this week may be gone by retention")
        head = await self._head(log_id)
        async with self._db.transaction() as conn:
            begin, _ = await entries.boundary(conn, head, week.begins)
            end, _ = await entries.boundary(conn, head, week.ends)
        closing = await self._closing(head, end)
        if closing is None:
            await self._close(store_id, log_id, week, person)
            raise _conflict("the draw is fixed by the next checkpoint: ask again", retry_after=_SOON)
        fixed = await self._signed(log_id, closing + 1)
        population = Population(store=store_id)
        async for entry in self._entries(log_id, begin, end, (EventType.CHECK_DECIDED,), store_id):
            population.tell(entry)
        sample = draw(population, fixed, week)
        await self._record_sample(sample, log_id, person)
        return SignedSample(sample=sample, note=sign_checkpoint(fixed, self._keys.signer(log_id)).encode().decode())

    async def patterns(
        self, since: datetime, until: datetime, log_ids: Sequence[RegionId], person: IdentityAssertion
    ) -> list[Found]:
        """What is odd in a period, log by log; all logs where none is named (CI-7).

        Raises InvalidInput (a period of no length or of more than 31 days; more than 5000 patterns; a log that there is
        not), Unavailable(RECORD_UNAVAILABLE | STORAGE_UNAVAILABLE).
        """
        selection = Selection(since=since, until=until, log_ids=tuple(log_ids), types=LOOKED_AT)
        if not since < until <= since + MAX_PERIOD:
            detail = f"after since, by at most {MAX_PERIOD.days} days"
            raise InvalidInput(Reason.INVALID_ARGUMENT, field="until", detail=detail)
        async with self._db.transaction() as conn:
            heads = await entries.heads(conn)
        unknown = set(log_ids) - {head.log_id for head in heads}
        if unknown:
            raise InvalidInput(Reason.INVALID_ARGUMENT, field="log_ids", detail="there is no such log")
        found = list[Found]()
        for head in heads:
            if selection.names_log(head.log_id):
                found += await self._patterns_of(head, since, until, room=MAX_PATTERNS - len(found))
        event = self._events.event(
            EventType.AUDIT_QUERIED,
            person,
            filter=f"odd patterns {selection.summary()}"[:400],
            region_id=log_ids[0] if len(log_ids) == 1 else None,
            first=moment(since),
            last=moment(until),
            count=len(found),
        )
        await self._events.record(event)
        return found

    async def _patterns_of(self, head: LogHead, since: datetime, until: datetime, *, room: int) -> list[Found]:
        watch = Watch(since, until, self._profile)
        async with self._db.transaction() as conn:
            begin, _ = await entries.boundary(conn, head, since - self._profile.lookback)
            end, _ = await entries.boundary(conn, head, until + self._profile.settling)
            judged, _ = await entries.boundary(conn, head, until)
        foretold = self._foretold(head.log_id, begin, end)
        async with aclosing(foretold):
            coming = await anext(foretold, None)
            async for entry in self._entries(head.log_id, begin, judged, JUDGED):
                while coming is not None and coming.recorded <= watch.horizon(entry):
                    watch.foretell(coming)
                    coming = await anext(foretold, None)
                watch.tell(entry)
                if len(watch.patterns) > room:
                    break
        patterns = watch.finish()
        if len(patterns) > room:
            detail = f"more than {MAX_PATTERNS} patterns: ask for a shorter period"
            raise InvalidInput(Reason.INVALID_ARGUMENT, field="until", detail=detail)
        return [Found(log_id=head.log_id, pattern=pattern) for pattern in patterns]

    async def _head(self, log_id: RegionId) -> LogHead:
        async with self._db.transaction() as conn:
            head = await entries.head(conn, log_id)
        if head is None:
            raise NotFound(Reason.NOT_FOUND, field="log_id", detail="there is no such log")
        return head

    async def _closing(self, head: LogHead, end: int) -> int | None:
        """The index of the entry that fixes the seeds of the week that ended before index `end`."""
        async for entry in self._entries(head.log_id, end, head.size, CLOSING):
            if closes(entry):
                return entry.position
        return None

    async def _close(self, store_id: StoreId, log_id: RegionId, week: Week, person: IdentityAssertion) -> None:
        """Where nothing came after the week yet, the question itself goes on record in the log, and fixes the seed.

        Its ID and time are made here, after the question: who asks can choose when, and not what will be drawn.
        """
        asked = self._events.event(
            EventType.AUDIT_QUERIED,
            person,
            region_id=log_id,
            filter=f"spot checks store={store_id} week={week.name}",
            count=0,
        )
        catalogue.check(asked)
        submission = Submission(replace(asked, region_id=log_id), RECORDER)
        (outcome,) = await self._appender.append([submission], may_begin_log=False)
        if not isinstance(outcome, Receipt):
            raise Unavailable(Reason.RECORD_UNAVAILABLE, retry_after=outcome.retry_after, sink="audit")

    async def _signed(self, log_id: RegionId, size: int) -> Checkpoint:
        """The tree of this size, which a checkpoint that was signed commits to."""
        self._keys.refresh()
        async with self._db.transaction(Isolation.SNAPSHOT_READ_ONLY) as conn:
            stored = await checkpoints.at_least(conn, log_id, size)
            if stored is None:
                raise _conflict("no checkpoint has been signed after the week yet", retry_after=_SOON)
            wanted = [*covering(0, size), *consistency_nodes(size, stored.size)]
            hashes = await nodes.hashes(conn, log_id, wanted)
        origin = self._keys.origins.of(log_id)
        root = CompactRange(end=size, hashes=tuple(hashes[node] for node in covering(0, size))).root()
        found = Checkpoint(origin=origin, size=size, root=root)
        try:
            signed = open_checkpoint(stored.note.encode(), origin=origin, keys=self._keys.verifiers(log_id))
            extends(found, signed.checkpoint, consistency_proof(size, stored.size, hashes))
        except NotVerified as fault:
            raise Internal(Reason.INTERNAL, detail=f"what was signed is not what is stored: {fault}") from None
        return found

    async def _record_sample(self, sample: Sample, log_id: RegionId, person: IdentityAssertion) -> None:
        event = self._events.event(
            EventType.AUDIT_SAMPLED,
            person,
            store_id=sample.store,
            region_id=log_id,
            period=sample.week.name,
            seed=sample.seed.hex(),
            tree_size=sample.checkpoint.size,
            population=len(sample.population),
            count=len(sample.drawn),
        )
        await self._events.record(event)

    def _entries(
        self, log_id: RegionId, begin: int, end: int, types: Collection[EventType], store_id: StoreId | None = None
    ) -> AsyncGenerator[Seen]:
        """The entries of [begin, end) of these types, in order."""

        def piece(conn: Connection, first: int, last: int) -> Awaitable[list[tuple[int, bytes]]]:
            return review.bodies(conn, log_id, first, last, types=types, store_id=store_id)

        return self._in_pieces(begin, end, piece)

    def _foretold(self, log_id: RegionId, begin: int, end: int) -> AsyncGenerator[Seen]:
        """What is in [begin, end) that says something of other entries, in order."""
        return self._in_pieces(begin, end, lambda conn, first, last: review.foretelling(conn, log_id, first, last))

    async def _in_pieces(self, begin: int, end: int, piece: _Piece) -> AsyncGenerator[Seen]:
        """Read piece by piece, with a short transaction for each."""
        for first in range(begin, end, _PIECE):
            async with self._db.transaction() as conn:
                found = await piece(conn, first, min(first + _PIECE, end))
            for number, (position, body) in enumerate(found, 1):
                yield seen(position, body)
                if number % _BREATH == 0:
                    await asyncio.sleep(0)


def _conflict(detail: str, *, retry_after: timedelta | None = None) -> FailedPrecondition:
    return FailedPrecondition(Reason.STATE_CONFLICT, retry_after=retry_after, detail=detail)
