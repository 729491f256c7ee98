"""Periodic jobs: one process at a time, missed ticks once, and no silent failure."""

from __future__ import annotations

import asyncio
from datetime import datetime, timedelta

from infosec.clock import ManualClock
from infosec.errors import Reason, Unavailable
from infosec.storage.embedded import Addresses
from infosec.storage.jobs import Job, Jobs
from infosec.storage.postgres import Database
from tests.contract.storage.conftest import SCHEMA, START
from tests.sim.servers import sync_connection

HOUR = timedelta(hours=1)


class Sweep:
    """A job that counts, and can be held or made to fail."""

    def __init__(self) -> None:
        self.runs: list[datetime] = []
        self.failure: Exception | None = None
        self.hold: asyncio.Event | None = None
        self.held = asyncio.Event()

    async def __call__(self, now: datetime) -> None:
        self.runs.append(now)
        if self.hold is not None:
            self.held.set()
            await self.hold.wait()
        if self.failure is not None:
            raise self.failure


def jobs(database: Database, sweep: Sweep, clock: ManualClock, **options: object) -> Jobs:
    job = Job(name="sweep", every=HOUR, run=sweep, retry_after=timedelta(0))
    return Jobs(database, schema=SCHEMA, jobs=[job], clock=clock, **options)  # type: ignore[arg-type]


async def test_a_job_runs_when_due_and_its_last_success_is_told(database: Database) -> None:
    sweep, clock, told = Sweep(), ManualClock(START), list[tuple[str, datetime]]()
    mine = jobs(database, sweep, clock, on_success=lambda name, at: told.append((name, at)))
    assert await mine.run_due() == ("sweep",)
    assert await mine.run_due() == ()
    clock.advance(HOUR)
    assert await mine.run_due() == ("sweep",)
    assert told == [("sweep", START), ("sweep", START + HOUR)]
    assert await mine.last_success("sweep") == START + HOUR


async def test_missed_ticks_are_caught_up_once_and_the_raster_stays(database: Database) -> None:
    sweep, clock = Sweep(), ManualClock(START)
    mine = jobs(database, sweep, clock)
    await mine.run_due()
    clock.advance(HOUR * 10.5)
    assert await mine.run_due() == ("sweep",)
    assert await mine.run_due() == ()
    clock.advance(HOUR * 0.5)
    assert await mine.run_due() == ("sweep",)
    assert len(sweep.runs) == 3


async def test_of_many_processes_one_runs_it(database: Database) -> None:
    sweep, clock = Sweep(), ManualClock(START)
    processes = [jobs(database, sweep, clock) for _ in range(6)]
    await asyncio.gather(*(process.run_due() for process in processes))
    assert len(sweep.runs) == 1


async def test_a_failed_run_is_done_again_and_counts_as_no_success(database: Database) -> None:
    sweep, clock = Sweep(), ManualClock(START)
    mine = jobs(database, sweep, clock)
    sweep.failure = Unavailable(Reason.PEER_UNAVAILABLE)
    assert await mine.run_due() == ()
    assert await mine.last_success("sweep") is None
    sweep.failure = None
    assert await mine.run_due() == ("sweep",)


async def test_a_dead_process_holds_a_job_for_its_lease_and_no_longer(addresses: Addresses, database: Database) -> None:
    sweep, clock = Sweep(), ManualClock(START)
    sweep.hold = asyncio.Event()
    dead = asyncio.create_task(jobs(database, sweep, clock).run_due())
    await sweep.held.wait()
    dead.cancel()
    await asyncio.gather(dead, return_exceptions=True)
    sweep.hold = None
    heir = jobs(database, sweep, clock)
    assert await heir.run_due() == ()
    with sync_connection(addresses.postgres) as admin:
        admin.execute(f"UPDATE {SCHEMA}.jobs SET lease_until = clock_timestamp() - interval '1 s'")
    assert await heir.run_due() == ("sweep",)


async def test_who_lost_the_lease_is_stopped_and_does_not_write_down_a_success(
    addresses: Addresses, database: Database
) -> None:
    sweep, clock = Sweep(), ManualClock(START)
    sweep.hold = asyncio.Event()
    job = Job(name="sweep", every=HOUR, run=sweep, lease=timedelta(seconds=0.3))
    slow = asyncio.create_task(Jobs(database, schema=SCHEMA, jobs=[job], clock=clock).run_due())
    await sweep.held.wait()
    with sync_connection(addresses.postgres) as admin:
        admin.execute(f"UPDATE {SCHEMA}.jobs SET lease_owner = 'another'")
    assert await slow == ()
    found = await database.read_one(f"SELECT lease_owner, last_success FROM {SCHEMA}.jobs")
    assert found == ("another", None)


async def test_the_loop_runs_jobs_and_ends_when_cancelled(database: Database) -> None:
    sweep, clock = Sweep(), ManualClock(START)
    sweep.hold = asyncio.Event()
    loop = asyncio.create_task(jobs(database, sweep, clock).run(poll_s=0.01))
    async with asyncio.timeout(20):
        await sweep.held.wait()
    loop.cancel()
    assert (await asyncio.gather(loop, return_exceptions=True))[0].__class__ is asyncio.CancelledError
