"""Locks staff IDs and ends sessions, as the core does, and says when that was committed. `python -m tests.bench.revoker FOLDER`.

A process of its own, so that no front is told without Redis. For each line `lock STAFF_ID` or `end STAFF_ID` it prints
the moment, by the machine's monotonic clock, at which the commit returned.
"""

from __future__ import annotations

import asyncio
import sys
import time
from collections.abc import Mapping
from pathlib import Path

from authsvc import app as auth
from authsvc.announcing import Announcer
from authsvc.flows.transitions import end_session, move
from authsvc.sessions import EndReason
from authsvc.staff import StaffEvent, StaffState
from authsvc.work import Works
from infosec.clock import SystemClock
from infosec.ids import RegionId, StaffId
from infosec.rpc.server import loop
from tests.bench.addresses import connected, hints

EAST = RegionId("east")


async def _main(folder: Path) -> None:
    async with await connected(folder, auth.ROLE) as db:
        announcer = Announcer(lambda: None, hints(folder))
        committed_at = 0.0

        async def announce(revisions: Mapping[RegionId, int]) -> None:
            nonlocal committed_at
            committed_at = time.monotonic()
            await announcer.at_once(revisions)

        works = Works(db, SystemClock(), announce=announce)
        while line := await asyncio.to_thread(sys.stdin.readline):
            act, staff_id = line.split()
            async with works.begin() as work:
                if act == "lock":
                    who, was = StaffId(staff_id), StaffState.ACTIVE
                    await move(work, who, EAST, was, StaffEvent.FIFTH_FAILURE, EndReason.LOCKED)
                else:
                    await end_session(work, StaffId(staff_id), EndReason.LOGOUT)
            print(committed_at, flush=True)


if __name__ == "__main__":
    loop.run(_main(Path(sys.argv[1])))
