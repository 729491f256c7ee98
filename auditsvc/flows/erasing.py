"""Erasure of a customer (CI-8), and its repetition after a backup was restored.

What stays: the log, its proofs, a random ID. What goes: who the ID stands for, and the key of every value sealed for them.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Set
from dataclasses import replace
from uuid import UUID

from auditsvc import acts as rules
from auditsvc.acts import Act, ActEvent, ActState
from auditsvc.entry import moment
from auditsvc.erasures import Erasure, ErasureJournal
from auditsvc.flows.telling import about, of_act, taken_up
from auditsvc.store import acts, announcements, holds, subjects
from infosec.clock import Clock
from infosec.errors import FailedPrecondition, Reason, Unavailable
from infosec.events.event import Event
from infosec.events.types import EventType
from infosec.logging import get
from infosec.storage.postgres import Connection, Database

_LOG = get(__name__)
_AT_ONCE = 500


class Erasing:
    """The deed of ActKind.ERASE_SUBJECT."""

    def __init__(
        self, keeper: Database, journal: ErasureJournal, clock: Clock, *, forget_subjects: Callable[[], None]
    ) -> None:
        """`keeper` as role audit_keeper; `forget_subjects` drops data keys that this process has in memory."""
        self._keeper = keeper
        self._journal = journal
        self._clock = clock
        self._forget_subjects = forget_subjects

    async def check(self, conn: Connection, act: Act) -> None:
        """Raises FailedPrecondition(STATE_CONFLICT) while a hold is on it."""
        if await holds.is_held(conn, act.subject_ids):
            raise FailedPrecondition(Reason.STATE_CONFLICT, detail="a hold is on it")

    async def carry_out(self, act_id: UUID, *, in_call: bool) -> None:
        """Erase, unless a hold came between. The journal is on the disk before the rows are gone."""
        async with self._keeper.transaction() as conn:
            act = await taken_up(conn, act_id)
            if act is None:
                return
            await holds.no_hold_is_placed(conn)
            if await holds.is_held(conn, act.subject_ids):
                await self._block(conn, act)
                return
            erasure = Erasure(act_id=act.id, subject_ids=act.subject_ids, at=act.decided_at or self._clock.now())
            await _erase(conn, erasure)
            await acts.write(conn, rules.after_now(act, ActEvent.CARRY_OUT, self._clock.now()))
            await _on_disk(self._journal.add, erasure)
        self._forget_subjects()

    async def _block(self, conn: Connection, act: Act) -> None:
        now = self._clock.now()
        await acts.write(conn, rules.after_now(act, ActEvent.BLOCK, now))
        await announcements.add(conn, about(EventType.AUDIT_ACT_BLOCKED, act, "blocked", now, of_act(act)))
        # An earlier try may have got as far as the journal, and no further.
        erasure = Erasure(act_id=act.id, subject_ids=act.subject_ids, at=now)
        await _on_disk(self._journal.take_back, erasure)


async def _on_disk(write: Callable[[Erasure], None], erasure: Erasure) -> None:
    """Raises Unavailable where the file cannot be written: nothing is erased without it."""
    try:
        await asyncio.to_thread(write, erasure)
    except OSError:
        raise Unavailable(Reason.STORAGE_UNAVAILABLE, sink="erasures") from None


async def replay(journal: ErasureJournal, keeper: Database) -> int:
    """Erase again whoever the journal says was erased, and is back: a backup was restored. Answers how many subjects.

    To be run at every start, before anything is served; once more changes nothing. What the database knows and the journal
    does not (it was lost, or stayed on another machine) is noted in it. Raises Misconfigured for one that is not whole.
    """
    erasures = await asyncio.to_thread(journal.read)
    await _noted(journal, keeper, {erasure.act_id for erasure in erasures})
    count = 0
    for start in range(0, len(erasures), _AT_ONCE):
        async with keeper.transaction() as conn:
            count += await _replayed(conn, erasures[start : start + _AT_ONCE])
    if count:
        _LOG.warning("a backup was restored: erased again", subjects=count, journal=str(journal.path))
    return count


async def _noted(journal: ErasureJournal, keeper: Database, known: Set[UUID]) -> None:
    async with keeper.transaction() as conn:
        missing = [act for act in await acts.erasures(conn) if act.id not in known]
    for act in missing:
        erasure = Erasure(act_id=act.id, subject_ids=act.subject_ids, at=act.decided_at or act.proposed_at)
        await _on_disk(journal.add, erasure)
    if missing:
        _LOG.warning("the journal of erasures was not whole", noted=len(missing), journal=str(journal.path))


async def _replayed(conn: Connection, erasures: list[Erasure]) -> int:
    await holds.no_hold_is_placed(conn)
    standing = await acts.of(conn, [erasure.act_id for erasure in erasures])
    count = 0
    for erasure in erasures:
        act = standing.get(erasure.act_id)
        # Not done yet, and a hold came between: it is not for us to finish. Any other hold was released before the erasure.
        undone = act is not None and act.state in (ActState.CONFIRMED, ActState.BLOCKED)
        if undone and await holds.is_held(conn, erasure.subject_ids):
            continue
        count += await _erase(conn, erasure)
    return count


async def _erase(conn: Connection, erasure: Erasure) -> int:
    """Answers how many there were; what was erased before is not told again."""
    erased = await subjects.erase(conn, erasure.subject_ids)
    for event in _events(replace(erasure, subject_ids=tuple(erased))):
        await announcements.add(conn, event)
    return len(erased)


def _events(erasure: Erasure) -> list[Event]:
    """The same for every repetition of it: the log takes each once."""
    return [
        Event(
            type=EventType.AUDIT_SUBJECT_ERASED,
            at=erasure.at,
            facts={"act_id": str(erasure.act_id), "subject_id": str(subject_id)},
            event_id=rules.event_id(erasure.act_id, f"erased {subject_id} {moment(erasure.at)}"),
        )
        for subject_id in erasure.subject_ids
    ]
