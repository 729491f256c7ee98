"""What a test of interrupted operations needs: databases as they stand before an operation, and processes to interrupt in it.

Fixtures to import into a conftest: breeder, stages.
"""

from __future__ import annotations

import asyncio
import contextlib
import json
import os
import shutil
import signal
import subprocess
import sys
import tempfile
from collections import Counter
from collections.abc import AsyncIterator, Awaitable, Callable, Iterator, Mapping
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from datetime import datetime
from pathlib import Path
from typing import Any

import pytest
from argon2.exceptions import VerifyMismatchError

from infosec.clock import ManualClock
from infosec.keys import KeyRing
from infosec.storage.embedded import Addresses
from tests.faults.victim import desk_with
from tests.sim.request_desk import Desk
from tests.sim.servers import SharedServers, sync_connection
from tests.sim.world import CHEAP, ROLE, World, build

Operation = Callable[[Desk], Awaitable[Mapping[str, Any]]]
"""Brings a carrier to where the operation can be done; answers what a victim is told of it."""
_NEVER = -1
_HUNG_S = 120
_FACTS = {
    "outbox": "select topic, body from auth.outbox order by seq",
    "states": "select staff_id, state, epoch from auth.staff order by 1",
    "failures": "select staff_id, failures, is_first from auth.credentials order by 1",
    "sessions": "select staff_id, terminal_id, ended_at is null from auth.sessions order by 1, 2, 3",
    "history": "select staff_id, count(*) from auth.password_history group by 1 order by 1",
    "locks": "select staff_id, terminal_id from auth.lock_history order by 1, 2",
    "requests": "select kind, state, delivery_id is null, executed_at is null from auth.requests",
    "grants": "select order_id from auth.grants",
    "retries": "select request_id from auth.retries order by 1",
    "changes": "select count(*) from auth.changes",
}
LEASES_END = "update auth.attempt_places set expires_at = clock_timestamp() - interval '1 second'"
"""As if their real time were over: it waits for a row that a stopped process has in hand still."""
_AT_ONCE = 4
"""Cases under way at a time: they mostly wait for PostgreSQL."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Victim:
    """A process in the middle of an operation."""

    pid: int
    reader: asyncio.StreamReader
    writer: asyncio.StreamWriter

    async def says(self) -> dict[str, Any]:
        """The next thing that it says; nothing once it is dead."""
        line = await self.reader.readline()
        said = json.loads(line) if line else {}
        assert isinstance(said, dict)
        return said

    async def ask(self, what: object) -> dict[str, Any]:
        """For one that serves."""
        self.writer.write(json.dumps(what).encode() + b"\n")
        return await self.says()

    async def comes_to_its_stop(self) -> str:
        """Wait until the whole process has stopped; the step that comes next, or was just done."""
        said = await self.says()
        while Path(f"/proc/{self.pid}/stat").read_text().rsplit(")", 1)[1].split()[0] != "T":
            await asyncio.sleep(0.001)
        return str(said["stopped"])

    async def is_killed(self) -> None:
        os.kill(self.pid, signal.SIGKILL)
        assert await self.says() == {}

    async def is_killed_now(self) -> None:
        """Wherever it is; it may have said its answer just before."""
        with contextlib.suppress(ProcessLookupError):
            os.kill(self.pid, signal.SIGKILL)
        while await self.says():
            pass

    async def goes_on(self) -> str:
        """Let a stopped one go on; its answer."""
        os.kill(self.pid, signal.SIGCONT)
        return str((await self.says())["answer"])


@dataclass(frozen=True, slots=True, kw_only=True)
class Case:
    """One database of its own, just before the operation."""

    world: World
    told: Mapping[str, Any]
    breeder: Path

    @asynccontextmanager
    async def victim(self, stop_at: int = _NEVER, **more: Any) -> AsyncIterator[Victim]:
        """A process that carries out the operation up to a step; what is left of it at the end is killed."""
        reader, writer = await asyncio.open_unix_connection(str(self.breeder))
        writer.write(json.dumps({**self.told, "stop_at": stop_at, **more}).encode() + b"\n")
        pid = json.loads(await reader.readline())["pid"]
        try:
            yield Victim(pid=pid, reader=reader, writer=writer)
        finally:
            with contextlib.suppress(ProcessLookupError):
                if not reader.at_eof():
                    os.kill(pid, signal.SIGKILL)
            writer.close()

    async def desk(self) -> Desk:
        """Another process's objects, as the follow-up has them, when the leases of the one that was interrupted are over."""
        await asyncio.to_thread(self.world.rows, LEASES_END)
        return await desk_with(self.world)

    def facts(self) -> Mapping[str, Any]:
        """All that an operation can change, but for random values: half of a change would be seen here."""
        with sync_connection(self.world.addresses.postgres) as connection:
            found = {name: connection.execute(query.encode()).fetchall() for name, query in _FACTS.items()}
        bodies = [(topic, json.loads(bytes(body))) for topic, body in found.pop("outbox")]
        return {
            **found,
            "events": Counter(body["type"] for topic, body in bodies if topic == "audit"),
            "messages": Counter(body["template"] for topic, body in bodies if topic == "notify"),
        }

    def opens(self, staff: str, *passwords: str) -> list[str]:
        """Which of the passwords is right for the staff ID, by the record."""
        return [text for text in passwords if _matches(self.world.credentials(staff)["hash"], text)]


@dataclass(frozen=True, slots=True, kw_only=True)
class Stage:
    """An operation, ready to be done any number of times, with its steps and what it changes."""

    fresh: Callable[[], Any]
    """A context of one Case."""
    steps: tuple[str, ...] = ()
    before: Mapping[str, Any] = field(default_factory=dict)
    after: Mapping[str, Any] = field(default_factory=dict)
    answer: str = ""


Rows = Mapping[str, bytes]
"""What the tables of a database hold, as COPY writes it."""


class Lanes:
    """Databases for cases: a new one where none is free. Filling one with kept rows is quicker than making one."""

    def __init__(self, servers: SharedServers, template: str) -> None:
        self._servers = servers
        self._template = template
        self._free: list[Addresses] = []

    def take(self, rows: Rows | None = None) -> Addresses:
        """A database that holds `rows`; a new one without."""
        if rows is None:
            return self._servers.database(self._template)
        try:
            addresses = self._free.pop()
        except IndexError:
            addresses = self._servers.database(self._template)
        _fill(addresses, rows)
        return addresses

    def give_back(self, addresses: Addresses) -> None:
        self._free.append(addresses)


def _fill(addresses: Addresses, rows: Rows) -> None:
    """Replace everything. Whoever is still connected, is no longer."""
    others = b"from pg_stat_activity where datname = current_database() and pid <> pg_backend_pid()"
    with sync_connection(addresses.postgres) as connection:
        connection.execute(b"select pg_terminate_backend(pid, 10000) " + others)
        with connection.transaction():
            connection.execute("set local session_replication_role = replica")  # they come back in any order
            connection.execute("".join(f"delete from auth.{table};" for table in rows).encode())
            for table, text in rows.items():
                if text:
                    with connection.cursor().copy(f"copy auth.{table} from stdin".encode()) as copy:
                        copy.write(text)
            # What the operation adds comes after what was there.
            connection.execute("select setval(pg_get_serial_sequence('auth.outbox', 'seq'), max(seq)) from auth.outbox")


def _rows(addresses: Addresses) -> Rows:
    """What is in every table now."""
    kept = {}
    with sync_connection(addresses.postgres) as connection:
        for (table,) in connection.execute("select tablename from pg_tables where schemaname = 'auth'").fetchall():
            with connection.cursor().copy(f"copy auth.{table} to stdout".encode()) as copy:
                kept[table] = b"".join(copy)
    return kept


@dataclass(kw_only=True)
class Stages:
    """Makes stages, once per run."""

    lanes: Lanes
    keys_dir: Path
    breeder: Path
    made: dict[str, Stage] = field(default_factory=dict)

    async def of(self, operation: Operation) -> Stage:
        """The stage of an operation; the first time, it is built and done once without a stop."""
        name = operation.__name__
        if name not in self.made:
            rows, told = await self._built(operation)
            ready = Stage(fresh=lambda: self._fresh(rows, told))
            async with ready.fresh() as case:
                before = case.facts()
                async with case.victim() as victim:
                    said = await victim.says()
                self.made[name] = Stage(
                    fresh=ready.fresh,
                    steps=tuple(said["steps"]),
                    before=before,
                    after=case.facts(),
                    answer=said["answer"],
                )
        return self.made[name]

    async def _built(self, operation: Operation) -> tuple[Rows, Mapping[str, Any]]:
        addresses = await asyncio.to_thread(self.lanes.take)
        world = World(addresses=addresses, keys=KeyRing.load(self.keys_dir), keys_dir=self.keys_dir)
        told = await operation(await desk_with(world))
        await world.close()
        rows = _rows(addresses)
        self.lanes.give_back(addresses)
        return rows, {**told, "now": world.clock.now().isoformat()}

    @asynccontextmanager
    async def _fresh(self, rows: Rows, told: Mapping[str, Any]) -> AsyncIterator[Case]:
        addresses = await asyncio.to_thread(self.lanes.take, rows)
        clock = ManualClock(datetime.fromisoformat(told["now"]))
        world = World(addresses=addresses, keys=KeyRing.load(self.keys_dir), keys_dir=self.keys_dir, clock=clock)
        address = addresses.role(ROLE)
        where = {
            "host": address.host,
            "port": address.port,
            "dbname": address.dbname,
            "user": ROLE,
            "passwords": str(addresses.passwords),
            "keys": str(self.keys_dir),
        }
        try:
            yield Case(world=world, told={**told, **where}, breeder=self.breeder)
        finally:
            await world.close()
            self.lanes.give_back(addresses)


@dataclass(frozen=True, slots=True, kw_only=True)
class Share:
    """Which of the steps a test interrupts. Those around a commit are always among them."""

    first: int
    of: int

    def among(self, steps: tuple[str, ...]) -> list[int]:
        # Statements outside a transaction are committed between the last of them and the giving back.
        ends = [n for n, step in enumerate(steps) if step.startswith(("commit", "gave"))]
        around = {*ends, *(n - 1 for n in ends)}
        return [n for n in range(len(steps)) if n % self.of == self.first or n in around]


async def at_every_step(
    stage: Stage, share: Share, interrupted: Callable[[Case, int], Awaitable[Any]]
) -> dict[int, Any]:
    """Interrupt a new case at each step of the share; what came of each. A failure names its step."""
    turns = asyncio.Semaphore(_AT_ONCE)

    async def one(number: int) -> Any:
        async with turns, stage.fresh() as case:
            try:
                async with asyncio.timeout(_HUNG_S):
                    return await interrupted(case, number)
            except BaseException as failure:
                failure.add_note(f"at step {number} of {len(stage.steps)}: {' | '.join(stage.steps[: number + 1])}")
                raise

    numbers = share.among(stage.steps)
    came = await asyncio.gather(*map(one, numbers), return_exceptions=True)  # all end before the first failure is told
    for result in came:
        if isinstance(result, BaseException):
            raise result
    return dict(zip(numbers, came, strict=True))


@pytest.fixture(scope="session")
def breeder() -> Iterator[Path]:
    """The socket of a process that forks victims."""
    folder = Path(tempfile.mkdtemp(prefix="v-"))
    path = folder / "s"
    process = subprocess.Popen(
        [sys.executable, "-m", "tests.faults.victim", path],
        cwd=Path(__file__).parents[2],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
    )
    assert process.stdout is not None
    assert process.stdout.readline() == b"READY\n"
    yield path
    process.communicate(timeout=120)
    shutil.rmtree(folder)


@pytest.fixture(scope="session")
def stages(embedded: SharedServers, world_keys: Path, breeder: Path) -> Stages:
    """Every operation of the run, each staged when it is first asked for."""
    keys = KeyRing.load(world_keys)
    template = embedded.template("world_template", lambda addresses: build(addresses, keys))
    return Stages(lanes=Lanes(embedded, template), keys_dir=world_keys, breeder=breeder)


def _matches(stored: str, password: str) -> bool:
    try:
        return CHEAP.hasher().verify(stored, password)
    except VerifyMismatchError:
        return False
