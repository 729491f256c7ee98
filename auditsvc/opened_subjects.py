"""The subjects of customers as appending needs them: found or made, with their keys opened, and kept until one is erased."""

from __future__ import annotations

import asyncio
from collections.abc import Collection, Mapping
from datetime import timedelta
from itertools import islice
from typing import NamedTuple

from auditsvc.store import subjects
from auditsvc.subjects import Subject, new_row, opened
from infosec.cancellation import raise_if_cancelled
from infosec.clock import Clock
from infosec.errors import ResourceExhausted
from infosec.keys import SealingKeys
from infosec.logging import get
from infosec.storage.postgres import Database

_LOG = get(__name__)
_KEPT = 20_000


class Opened(NamedTuple):
    """Subjects by their customers, and how often subjects had been erased when the first of them was read.

    Where that has changed by the time of the append, one of these may be gone: they are to be asked for again.
    """

    subjects: Mapping[str, Subject]
    erasures: int


class OpenedSubjects:
    """Subjects for one process. Customers come as the hex of their digests."""

    def __init__(self, db: Database, keys: SealingKeys, clock: Clock) -> None:
        """`db` as role audit_service; `keys` of SealingKind.SUBJECTS."""
        self._db = db
        self._keys = keys
        self._clock = clock
        self._kept: dict[str, Subject] = {}
        self._erasures = 0
        """When all that is kept was read."""

    async def of(self, customers: Collection[str], lane: asyncio.Semaphore) -> Opened:
        """The subject of each; made where there is none. `lane` bounds the connections that this takes at a time.

        Raises Unavailable, ResourceExhausted.
        """
        kept = Opened({each: self._kept[each] for each in customers if each in self._kept}, self._erasures)
        missing = [each for each in customers if each not in kept.subjects]
        if not missing:
            return kept
        async with lane:
            read = await self._read(missing)
        self._keep(read)
        # What was kept is never younger than what was read after it.
        if not kept.subjects:
            return read
        return Opened({**kept.subjects, **read.subjects}, kept.erasures)

    def forget(self) -> None:
        """Drop the opened data keys from memory: one of them was erased (CI-8)."""
        self._kept.clear()

    async def follow(self, every: timedelta) -> None:
        """Drop them also when another process erased somebody, so often; ends by cancellation.

        Appending needs no telling: it is refused with what was read before an erasure. But what is erased is to be gone (CI-8).
        """
        has_failed = False
        while True:
            try:
                async with self._db.statements() as conn:
                    erasures = await subjects.erasures(conn)
                has_failed = False
                if erasures != self._erasures:
                    self.forget()
            except ResourceExhausted:
                pass  # busy appending, which is told of erasures; the keys are what it is busy with
            except Exception as error:
                # Nobody can say; and a fault of ours must not end all recording.
                self.forget()
                if not has_failed:
                    _LOG.warning("erasures elsewhere are not followed", exc_info=error)
                has_failed = True
            raise_if_cancelled()
            await asyncio.sleep(every.total_seconds())

    def _keep(self, read: Opened) -> None:
        if read.erasures != self._erasures:
            self.forget()
            self._erasures = read.erasures
        self._kept.update(read.subjects)
        for oldest in list(islice(self._kept, max(0, len(self._kept) - _KEPT))):
            del self._kept[oldest]

    async def _read(self, customers: Collection[str]) -> Opened:
        wanted = {bytes.fromhex(each) for each in customers}
        async with self._db.statements() as conn:
            erasures, rows = await subjects.known(conn, sorted(wanted))
            while missing := wanted - rows.keys():
                # Kept even if nothing is appended then: a random ID that no entry names tells nothing.
                made = [(digest, *new_row(self._keys)) for digest in sorted(missing)]
                await subjects.make(conn, made, self._clock.now())
                _, others = await subjects.known(conn, sorted(missing))
                rows |= others
        return Opened({digest.hex(): opened(*row, self._keys) for digest, row in rows.items()}, erasures)
