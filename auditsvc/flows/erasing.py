"""Erasure of a customer (CI-8), and its repetition after a backup was restored.

What stays: the log, its proofs, a random ID. What goes: who the ID stands for, and the key of every value sealed for them.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Mapping
from dataclasses import replace
from typing import ParamSpec, TypeVar
from uuid import UUID

from auditsvc import acts as rules
from auditsvc.acts import Act, ActEvent, ActState
from auditsvc.entry import moment
from auditsvc.erasures import Erasure, ErasureJournal, Settled
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
_P = ParamSpec("_P")
_T = TypeVar("_T")


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
            erasure = _next_of(await _at_file(self._journal.settled), act)
            await _erase(conn, erasure)
            await acts.write(conn, rules.after_now(act, ActEvent.CARRY_OUT, self._clock.now()))
            await _at_file(self._journal.add, erasure)
        self._forget_subjects()

    async def _block(self, conn: Connection, act: Act) -> None:
        now = self._clock.now()
        await acts.write(conn, rules.after_now(act, ActEvent.BLOCK, now))
        await announcements.add(conn, about(EventType.AUDIT_ACT_BLOCKED, act, "blocked", now, of_act(act)))
        # An earlier try may have got as far as the journal, and no further; or is about to, in a process that was held up.
        await _at_file(self._journal.take_back, _next_of(await _at_file(self._journal.settled), act))


async def _at_file(do: Callable[_P, _T], *given: _P.args, **named: _P.kwargs) -> _T:
    """Raises Unavailable where the file cannot be read or written: nothing is erased without it."""
    try:
        return await asyncio.to_thread(do, *given, **named)
    except OSError:
        raise Unavailable(Reason.STORAGE_UNAVAILABLE, sink="erasures") from None


def _next_of(settled: Settled, act: Act) -> Erasure:
    """Of what was read behind the gate, or of an act that is done: nobody takes it back meanwhile."""
    return settled.next_of(act.id, act.subject_ids, act.decided_at or act.proposed_at)


async def replay(journal: ErasureJournal, keeper: Database) -> int:
    """Erase again whoever the journal says was erased, and is back: a backup was restored. Answers how many subjects.

    To be run at every start, before this process serves; once more changes nothing. Other processes may serve meanwhile. What
    the database knows and the journal does not (it was lost, or stayed on another machine) is noted in it.
    Raises Misconfigured for one that is not whole, Aborted when holds are being placed or erasures done for too long.
    """
    noted = await _noted(journal, keeper)
    count, length = 0, -1
    erased: Mapping[UUID, Erasure] = {}
    for start in range(0, len(noted), _AT_ONCE):
        async with keeper.transaction() as conn:
            await holds.no_hold_is_placed(conn)
            # Who takes an erasure back does so behind the same gate: what is read here is settled.
            if (now_is := await _at_file(journal.length)) != length:
                length, erased = now_is, (await _at_file(journal.settled)).erased
            several = [erased[act_id] for act_id in noted[start : start + _AT_ONCE] if act_id in erased]
            count += await _replayed(conn, several)
    if count:
        _LOG.warning("a backup was restored: erased again", subjects=count, journal=str(journal.path))
    return count


async def _noted(journal: ErasureJournal, keeper: Database) -> list[UUID]:
    """The acts in the journal, with those that the database knows to be done."""
    async with keeper.transaction() as conn:
        done = await acts.erasures(conn)
    # Read after them: whoever erases notes it before the database knows it.
    settled = await _at_file(journal.settled)
    missing = [act for act in done if act.id not in settled.erased]
    for act in missing:
        await _at_file(journal.add, _next_of(settled, act))
    if missing:
        _LOG.warning("the journal of erasures was not whole", noted=len(missing), journal=str(journal.path))
    return [*settled.erased, *(act.id for act in missing)]


async def _replayed(conn: Connection, erasures: list[Erasure]) -> int:
    standing = await acts.of(conn, [erasure.act_id for erasure in erasures])
    count = 0
    for erasure in erasures:
        act = standing.get(erasure.act_id)
        # A hold came between: it is not for us to finish. Any other hold was released before the erasure.
        if act is not None and act.state is ActState.BLOCKED:
            continue
        if act is not None and act.state is ActState.CONFIRMED and await holds.is_held(conn, erasure.subject_ids):
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
