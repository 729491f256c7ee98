"""Periodic jobs: each due time is worked once by one process of many, and what was missed is caught up once.

A lease row per job; leases run in the database's real time, due times in the application's Clock. The table is in jobs.sql.
"""

from __future__ import annotations

import asyncio
import logging
import uuid
from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import LiteralString, TypeAlias

from infosec.cancellation import raise_if_cancelled
from infosec.clock import Clock
from infosec.errors import InfosecError
from infosec.storage.identifiers import sql_name
from infosec.storage.postgres import Database

_LOG = logging.getLogger(__name__)

OnSuccess: TypeAlias = Callable[[str, datetime], None]
"""Told a job's name and when it succeeded: for the metric of its last success."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Job:
    """Work to be done every `every`. `run` is given the present moment, must bear being repeated, and raises if it failed.

    `lease` is how long a dead process keeps the others from taking over; a living one renews it.
    """

    name: str
    every: timedelta
    run: Callable[[datetime], Awaitable[None]]
    lease: timedelta = timedelta(seconds=30)
    retry_after: timedelta = timedelta(seconds=10)


class Jobs:
    """Runs the jobs of one schema in this process, as far as no other process holds them."""

    def __init__(
        self, database: Database, *, schema: str, jobs: Sequence[Job], clock: Clock, on_success: OnSuccess | None = None
    ) -> None:
        self._database = database
        self._jobs = tuple(jobs)
        self._clock = clock
        self._on_success = on_success
        self._owner = str(uuid.uuid4())
        self._are_entered = False
        """The jobs have their rows."""
        self._sql = {name: text.format(schema=sql_name(schema)) for name, text in _SQL.items()}

    async def run(self, poll_s: float = 1.0) -> None:
        """Run what is due, for ever; ends by cancellation. Jobs do not wait for one another."""
        under_way: set[str] = set()

        async def one(job: Job) -> None:
            under_way.add(job.name)
            try:
                await self._run_if_due(job)
            except InfosecError as error:
                _LOG.warning("job %s waits: %s", job.name, error.reason)
            finally:
                under_way.discard(job.name)

        async with asyncio.TaskGroup() as group:
            while True:
                try:
                    due = await self._due()
                except InfosecError as error:
                    _LOG.warning("jobs wait: %s", error.reason)
                    due = []
                for job in due:
                    if job.name not in under_way:
                        group.create_task(one(job))
                raise_if_cancelled()
                await asyncio.sleep(poll_s)

    async def run_due(self) -> tuple[str, ...]:
        """One pass over all jobs; answers the names of those that ran here and succeeded."""
        return tuple([job.name for job in await self._due() if await self._run_if_due(job)])

    async def last_success(self, name: str) -> datetime | None:
        """When a job last succeeded, in whichever process."""
        row = await self._database.read_one(self._sql["last_success"], (name,))
        return row[0] if row else None

    async def _due(self) -> list[Job]:
        """Those that are due and that nobody has, by one question for all. A job never seen before is due at once."""
        now, names = self._clock.now(), [job.name for job in self._jobs]
        async with self._database.statements() as connection:
            if not self._are_entered:
                await connection.execute(self._sql["insert"], (now, names))
                self._are_entered = True
            rows = await connection.execute(self._sql["due"], (names, now), prepare=True)
            due = {name for (name,) in await rows.fetchall()}
        return [job for job in self._jobs if job.name in due]

    async def _run_if_due(self, job: Job) -> bool:
        due = await self._claim(job)
        if due is None:
            return False
        try:
            await self._run_leased(job)
        except _LeaseLost:
            _LOG.error("job %s was stopped: another process holds its lease", job.name)
            return False
        except Exception as error:
            _LOG.error(
                "job %s failed: %s", job.name, error if isinstance(error, InfosecError) else type(error).__name__
            )
            await self._write("release", (job.retry_after, job.name, self._owner))
            return False
        now = self._clock.now()
        if not await self._write("done", (now, _next_due(due, job.every, now), job.name, self._owner)):
            return False  # the lease ran out in the last moment; whoever holds it now does the work again
        if self._on_success is not None:
            self._on_success(job.name, now)
        return True

    async def _claim(self, job: Job) -> datetime | None:
        """The due time of a job that is ours to run now, or None: another process was faster."""
        now = self._clock.now()
        async with self._database.statements() as connection:
            rows = await connection.execute(self._sql["claim"], (self._owner, job.lease, job.name, now))
            row = await rows.fetchone()
            return row[0] if row else None

    async def _run_leased(self, job: Job) -> None:
        """Run with the lease kept alive beside it; losing the lease stops the work."""
        work = asyncio.ensure_future(job.run(self._clock.now()))
        keep = asyncio.create_task(self._keep_lease(job))
        try:
            await asyncio.wait((work, keep), return_when=asyncio.FIRST_COMPLETED)
            if not work.done():
                raise _LeaseLost
            await work
        finally:
            for task in (work, keep):
                task.cancel()
            await asyncio.gather(work, keep, return_exceptions=True)

    async def _keep_lease(self, job: Job) -> None:
        """Ends when the lease is lost, or could not be renewed while it lasted."""
        loop = asyncio.get_running_loop()
        lasts_until = loop.time() + job.lease.total_seconds()
        while loop.time() < lasts_until:
            await asyncio.sleep(job.lease.total_seconds() / 3)
            asked = loop.time()
            try:
                if not await self._write("renew", (job.lease, job.name, self._owner)):
                    return
            except InfosecError as error:
                _LOG.warning("job %s cannot renew its lease: %s", job.name, error.reason)
            else:
                lasts_until = asked + job.lease.total_seconds()

    async def _write(self, name: str, parameters: tuple[object, ...]) -> bool:
        async with self._database.statements() as connection:
            return (await connection.execute(self._sql[name], parameters)).rowcount > 0


class _LeaseLost(Exception):
    """Another process may be running the job by now."""


def _next_due(due: datetime, every: timedelta, now: datetime) -> datetime:
    """The first time after `now` on the raster of `due`: what was missed is caught up once, not once each."""
    missed = max(0, (now - due) // every)
    return due + every * (missed + 1)


_SQL: dict[str, LiteralString] = {
    "insert": """
INSERT INTO {schema}.jobs (name, next_due) SELECT name, %s FROM unnest(%s::text[]) AS name
 ON CONFLICT (name) DO NOTHING""",
    "due": """
SELECT name FROM {schema}.jobs
 WHERE name = ANY(%s) AND next_due <= %s AND (lease_until IS NULL OR lease_until < clock_timestamp())""",
    "claim": """
UPDATE {schema}.jobs SET lease_owner = %s, lease_until = clock_timestamp() + %s
 WHERE name = %s AND next_due <= %s AND (lease_until IS NULL OR lease_until < clock_timestamp())
RETURNING next_due""",
    "renew": """
UPDATE {schema}.jobs SET lease_until = clock_timestamp() + %s
 WHERE name = %s AND lease_owner = %s AND lease_until > clock_timestamp()""",
    # the lease without an owner holds the next try off for a while
    "release": """
UPDATE {schema}.jobs SET lease_owner = NULL, lease_until = clock_timestamp() + %s WHERE name = %s AND lease_owner = %s""",
    "done": """
UPDATE {schema}.jobs SET lease_owner = NULL, lease_until = NULL, last_success = %s, next_due = %s
 WHERE name = %s AND lease_owner = %s""",
    "last_success": "SELECT last_success FROM {schema}.jobs WHERE name = %s",
}
