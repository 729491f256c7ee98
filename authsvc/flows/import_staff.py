"""Imports many staff IDs, all or nothing: every fault of every row is told, and nothing is written until there is none."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Sequence
from dataclasses import dataclass

from authsvc.flows.hire import Hiring, PreparedHire
from authsvc.hiring import Applicant, Hire, RowFault, among, examine
from authsvc.store import staff_admin
from authsvc.work import Work, Works
from infosec.clock import Clock, carrier_date
from infosec.errors import InvalidInput, Reason
from infosec.events.types import EventType
from infosec.ids import StaffId

AT_ONCE = 16
"""Passwords that are hashed for one import at the same time: logins must get their turn too."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Examined:
    """A whole file, judged."""

    hires: tuple[Hire, ...]
    faults: tuple[RowFault, ...]
    """In the order of the rows; empty if the file may be imported."""


def check_rows(declared: int, received: int) -> None:
    """Whether the file came whole. Raises InvalidInput(FILE_REJECTED)."""
    if not received:
        raise rejected("no rows")
    if declared != received:
        raise rejected(f"{declared} rows were announced, {received} came")


def rejected(why: str) -> InvalidInput:
    """The file as such is refused."""
    return InvalidInput(Reason.FILE_REJECTED, violations=(why,), field="rows", detail=why)


class Imports:
    """Examines a file, prepares its passwords, writes it in one transaction."""

    def __init__(self, works: Works, hiring: Hiring, clock: Clock) -> None:
        self._works = works
        self._hiring = hiring
        self._clock = clock

    async def examine(self, rows: Sequence[Applicant]) -> Examined:
        """Every fault of every row, alone, beside the others and beside what is stored."""
        known, today = await self._hiring.known(), carrier_date(self._clock.now())
        hires: list[tuple[int, Hire]] = []
        faults: list[RowFault] = []
        for number, applicant in enumerate(rows, start=1):
            judged = examine(number, applicant, known, today)
            if isinstance(judged, Hire):
                hires.append((number, judged))
            else:
                faults += judged
        async with self._works.read() as conn:
            taken = await staff_admin.taken(conn, [hire.staff_id for _, hire in hires])
        faults += among(hires, taken)
        return Examined(
            hires=tuple(hire for _, hire in hires), faults=tuple(sorted(faults, key=lambda fault: fault.row))
        )

    async def prepared(self, hires: Sequence[Hire]) -> AsyncIterator[tuple[PreparedHire, ...]]:
        """The hires made ready, some at a time: progress for who waits. Raises ResourceExhausted(OVERLOADED)."""
        for first in range(0, len(hires), AT_ONCE):
            yield tuple(await asyncio.gather(*(self._hiring.prepare(hire) for hire in hires[first : first + AT_ONCE])))

    async def put(self, work: Work, prepared: Sequence[PreparedHire], by: StaffId) -> int:
        """Write all of them, or raise and write none. The count."""
        await self._hiring.put_all(work, tuple(prepared), by)
        work.event(EventType.STAFF_IMPORTED, staff_id=by, count=len(prepared))
        return len(prepared)
