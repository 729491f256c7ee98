"""Retention: what is past its term loses its row, and the beginning of a log goes where nothing of it is left.

In ranges, each a transaction of its own that notes how far it got: a retention that was killed goes on from there. Nothing
goes that no checkpoint vouches for, and nothing that a hold keeps. Proofs of what is left stay as they are.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from datetime import datetime
from uuid import UUID

from auditsvc import acts as rules
from auditsvc.acts import Act, ActEvent, Counts
from auditsvc.flows.telling import about, taken_up
from auditsvc.retention import Terms, cutoffs, first_index
from auditsvc.store import acts, announcements, holds
from auditsvc.store import retention as store
from auditsvc.store.retention import Head, Past, Progress
from auditsvc.tiles import WIDTH
from infosec.clock import Clock
from infosec.errors import Internal, Reason
from infosec.events.event import Fact
from infosec.events.types import EventType
from infosec.ids import RegionId
from infosec.storage.postgres import Connection, Database


@dataclass(frozen=True, slots=True, kw_only=True)
class RetentionLimits:
    """How much is done in one transaction, and while a caller waits."""

    rows_deleted: int = 5_000
    rows_read: int = 50_000
    tiles: int = 1_000
    steps_in_call: int = 40


@dataclass(frozen=True, slots=True, kw_only=True)
class _Plan:
    """What is past its term in one log."""

    log_id: RegionId
    past: Past
    until: datetime
    """The moment before which the shortest term is over."""
    start: int
    bound: int
    to_index: int


class Retaining:
    """The deed of ActKind.APPLY_RETENTION, and its dry run."""

    def __init__(
        self, *, db: Database, keeper: Database, clock: Clock, terms: Terms, limits: RetentionLimits = RetentionLimits()
    ) -> None:
        """`db` as role audit_service, `keeper` as role audit_keeper; `terms` from auditsvc.retention.terms."""
        self._db = db
        self._keeper = keeper
        self._clock = clock
        self._terms = terms
        self._limits = limits

    async def dry_run(self) -> Counts:
        """What would go now."""
        total = Counts()
        async with self._db.transaction() as conn:
            heads = await store.heads(conn)
        for head in heads:
            plan = await self._planned(head, self._clock.now())
            if plan is not None:
                total += await self._counted(plan)
        return total

    async def check(self, conn: Connection, act: Act) -> None:
        """There is always something to apply, if only to nothing."""

    async def carry_out(self, act_id: UUID, *, in_call: bool) -> None:
        """Range by range, log by log. With `in_call` a bounded number of steps: the job does the others."""
        steps = self._limits.steps_in_call if in_call else None
        async with self._keeper.transaction() as conn:
            act = await taken_up(conn, act_id)
            heads = await store.heads(conn)
        if act is None:
            return
        for head in heads:
            plan = await self._planned(head, _decided(act))
            while (is_done := await self._step(act_id, head, plan)) is False:
                if steps is not None:
                    steps -= 1
                    if steps <= 0:
                        return
            if is_done is None:
                return
        await self._done(act_id)

    async def _step(self, act_id: UUID, head: Head, plan: _Plan | None) -> bool | None:
        """One range, or one piece of the beginning. Whether the log is done; None if the act is."""
        async with self._keeper.transaction() as conn:
            act = await taken_up(conn, act_id)
            if act is None:
                return None
            progress = await store.progress(conn, act_id, head.log_id)
            if progress is None:
                return plan is None or await self._begun(conn, act_id, plan)
            if progress.is_done:
                return True
            if plan is not None and progress.next_index < progress.bound:
                await self._range(conn, act_id, plan, progress)
                return False
            return await self._move_beginning(conn, act, head, progress)

    async def _begun(self, conn: Connection, act_id: UUID, plan: _Plan) -> bool:
        begun = Progress(
            log_id=plan.log_id,
            until=plan.until,
            from_index=plan.start,
            bound=plan.bound,
            to_index=plan.to_index,
            next_index=plan.start,
        )
        await store.begin(conn, act_id, begun)
        return False

    async def _range(self, conn: Connection, act_id: UUID, plan: _Plan, progress: Progress) -> None:
        """Delete one range. A hold that was answered before is seen; one that comes now waits for us."""
        await holds.no_hold_is_placed(conn)
        start, stop = progress.next_index, min(progress.bound, progress.next_index + self._limits.rows_deleted)
        part = await store.delete(conn, progress.log_id, plan.past, start, stop, progress.to_index)
        await store.advance(conn, act_id, progress.log_id, stop, part)

    async def _move_beginning(self, conn: Connection, act: Act, head: Head, progress: Progress) -> bool:
        """One piece; at last what it came to. The rows decide: a hold may have kept some that were to go."""
        (now_is,) = [one.first_index for one in await store.heads(conn) if one.log_id == head.log_id]
        kept = await store.first_row(conn, head.log_id, now_is, progress.to_index)
        target = first_index(begins_at=now_is, first_kept=kept)
        piece = min(target, now_is + self._limits.tiles * WIDTH)
        if piece > now_is:
            await store.begin_log_at(conn, head.log_id, piece)
        if piece < target:
            return False
        entries = target - progress.from_index
        await store.finish(conn, act.id, head.log_id, to_index=target, entries=entries)
        facts: dict[str, Fact] = {
            "region_id": head.log_id,
            "until": progress.until.isoformat(),
            "count": progress.deleted,
            "from_index": progress.from_index,
            "to_index": target,
            "tree_size": head.size,
        }
        event = about(EventType.AUDIT_RETENTION_APPLIED, act, f"applied to {head.log_id}", self._clock.now(), facts)
        await announcements.add(conn, event)
        return True

    async def _done(self, act_id: UUID) -> None:
        async with self._keeper.transaction() as conn:
            act = await taken_up(conn, act_id)
            if act is None:
                return
            counted = replace(act, counts=await store.sums(conn, act_id))
            await acts.write(conn, rules.after_now(counted, ActEvent.CARRY_OUT, self._clock.now()))

    async def _planned(self, head: Head, now: datetime) -> _Plan | None:
        """None where nothing is past its term. What is not signed yet is not looked at."""
        end = min(head.size, head.signed_size)
        of_type = cutoffs(self._terms, now)
        async with self._db.transaction() as conn:
            index_at = {
                moment: await store.index_at(conn, head.log_id, moment, head.first_index, end)
                for moment in set(of_type.values())
            }
        past = {type.value: index_at[moment] for type, moment in of_type.items()}
        bound = max(past.values())
        if bound <= head.first_index:
            return None
        kept = await self._first_kept(head, past, bound)
        return _Plan(
            log_id=head.log_id,
            past=past,
            until=max(of_type.values()),
            start=head.first_index,
            bound=bound,
            to_index=first_index(begins_at=head.first_index, first_kept=kept),
        )

    async def _first_kept(self, head: Head, past: Past, bound: int) -> int:
        for start in range(head.first_index, bound, self._limits.rows_read):
            stop = min(bound, start + self._limits.rows_read)
            async with self._db.transaction() as conn:
                found = await store.first_kept(conn, head.log_id, past, start, stop)
            if found is not None:
                return found
        return bound

    async def _counted(self, plan: _Plan) -> Counts:
        total = Counts(entries=plan.to_index - plan.start)
        for start in range(plan.start, plan.bound, self._limits.rows_read):
            stop = min(plan.bound, start + self._limits.rows_read)
            async with self._db.transaction() as conn:
                part = await store.count(conn, plan.log_id, plan.past, start, stop, plan.to_index)
            total += Counts(payloads=part.payloads, held=part.held)
        return total


def _decided(act: Act) -> datetime:
    if act.decided_at is None:
        raise Internal(Reason.INTERNAL, detail="an act is confirmed by nobody")
    return act.decided_at
