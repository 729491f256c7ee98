"""The audit's PostgreSQL stopped, hanging or slow: no check is allowed without its record, and all goes on by itself (CI-1)."""

from __future__ import annotations

import asyncio
import shutil
import signal
import tempfile
import time
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import pytest

from infosec.keys import KeyRing
from tests.faults.books import Books, agree, ask, ask_until, asking, missing
from tests.faults.engine import Engine
from tests.faults.recording import RunningClock, over
from tests.sim.check_nodes import PAY, READ, until
from tests.sim.links import Link
from tests.sim.servers import postgres_link_to
from tests.sim.suite import Suite, build_suite, served
from tests.sim.world import ROLE, World

NO_RECORD = "RECORD_UNAVAILABLE"
STALE = "SNAPSHOT_STALE"
AT_ONCE = 8


@dataclass(frozen=True, slots=True, kw_only=True)
class Desk:
    """A running suite, one who asks it, and what was answered."""

    suite: Suite
    stub: Any
    token: str
    books: Books

    async def several(self, operation: str) -> set[str]:
        """The answers to some questions that are asked at once; every question gets one."""
        asked = (ask(self.books, self.stub, self.token, operation) for _ in range(AT_ONCE))
        answers = set(await asyncio.gather(*asked))
        assert "" not in answers, f"not answered: {self.books}"
        return answers

    async def until_allowed(self, operation: str) -> None:
        await ask_until(self.books, self.stub, self.token, operation, "OK")

    async def settled(self, world: World) -> None:
        """All is on record; the books agree with the log."""
        await until(lambda: asyncio.to_thread(missing, world, self.books), 0, within_s=60)
        await self.suite.app.journal.drained()
        agree(world, self.books)


@asynccontextmanager
async def counter(world: World, folder: Path, **more: Any) -> AsyncIterator[Desk]:
    clock = RunningClock(began_s=time.time())
    async with served(world, folder, clock=clock, **more) as suite:
        token = (await suite.login("li.na")).token
        await suite.fresh()
        async with asking(suite.address, suite.files()) as stub:
            made = Desk(suite=suite, stub=stub, token=token, books=Books())
            for operation in (READ, PAY):
                await made.until_allowed(operation)
            yield made


# --- the line to the audit's database alone: authsvc's own stays up ---


@pytest.fixture
def link(suite_world: World) -> Iterator[Link]:
    """A way to the audit service's database."""
    made = postgres_link_to(suite_world.addresses.postgres)
    yield made
    made.close()


@pytest.fixture
async def far(suite_world: World, link: Link, tmp_path: Path) -> AsyncIterator[Desk]:
    """A suite whose audit service reaches its database over the link."""
    away = replace(suite_world, addresses=over(suite_world.addresses, link.port))
    async with counter(away, tmp_path, postgres=suite_world.addresses.role(ROLE)) as made:
        yield made


FAULTS = {
    "cut": lambda link: link.cut(),
    "hanging": lambda link: link.hold(),
    "slow beyond every deadline": lambda link: link.slow_down(20.0),
}


@pytest.mark.rule("CI-1")
@pytest.mark.parametrize("fault", FAULTS)
async def test_without_the_audits_database_reads_are_denied_and_the_rest_is_recorded_later(
    suite_world: World, far: Desk, link: Link, fault: str
) -> None:
    FAULTS[fault](link)
    books = far.books
    for _ in range(3):
        assert await far.several(READ) == {NO_RECORD}, f"{fault}: {books}"
        assert await far.several(PAY) == {"OK"}, f"{fault}: {books}"
    reads = books.reads
    link.heal()
    await far.until_allowed(READ)
    await far.settled(suite_world)
    counts = f"{fault}: {books}"
    assert list(books.denied.values()).count(NO_RECORD) >= 3 * AT_ONCE, counts
    assert books.others >= 3 * AT_ONCE, counts
    assert books.reads > reads, counts


@pytest.mark.rule("CI-1")
async def test_over_a_slow_line_what_is_answered_ok_is_recorded_and_what_took_too_long_is_denied(
    suite_world: World, far: Desk, link: Link
) -> None:
    for delay_s in (0.02, 0.2, 0.45):
        link.slow_down(delay_s)
        assert await far.several(READ) <= {"OK", NO_RECORD}
        assert await far.several(PAY) == {"OK"}
    link.heal()
    await far.until_allowed(READ)
    await far.settled(suite_world)


@pytest.mark.rule("CI-1")
async def test_an_answer_of_the_database_that_was_lost_is_no_record(suite_world: World, far: Desk, link: Link) -> None:
    for _ in range(4):
        link.lose_answers()
        assert await far.several(READ) <= {"OK", NO_RECORD}
        link.heal()
        await far.until_allowed(READ)
    await far.settled(suite_world)


# --- the engine itself ---


@pytest.fixture
async def engine(world_keys: Path) -> AsyncIterator[tuple[Engine, World]]:
    """An engine with a carrier in it."""
    place = Path(tempfile.mkdtemp(prefix="t-", dir="/tmp"))
    place.chmod(0o755)
    running, keys = Engine(data=place / "data"), KeyRing.load(world_keys)
    try:
        addresses = await running.start()
        await build_suite(addresses, keys)
        world = World(addresses=addresses, keys=keys, keys_dir=world_keys)
        yield running, world
        await world.close()
    finally:
        await running.stop()
        shutil.rmtree(place)


@pytest.mark.rule("CI-1")
async def test_a_postgresql_that_hangs_allows_nothing_without_its_record(
    engine: tuple[Engine, World], tmp_path: Path
) -> None:
    running, world = engine
    async with counter(world, tmp_path) as made:
        # Asked before, answered after: what is under way when the engine stops is among them.
        early = [asyncio.create_task(made.several(READ)) for _ in range(2)]
        await asyncio.sleep(0)
        running.signal(signal.SIGSTOP)
        try:
            await asyncio.gather(*early)
            # From the staleness bound on nothing is allowed at all; until then payments are, by their spool.
            reads, others = await made.several(READ), await made.several(PAY)
        finally:
            running.signal(signal.SIGCONT)
        assert reads <= {NO_RECORD, STALE}, made.books
        assert others <= {"OK", STALE}, made.books
        for operation in (READ, PAY):
            await made.until_allowed(operation)
        await made.settled(world)


@pytest.mark.rule("CI-1")
async def test_a_postgresql_that_was_stopped_allows_nothing_without_its_record_and_is_found_again(
    engine: tuple[Engine, World], tmp_path: Path
) -> None:
    running, world = engine
    async with counter(world, tmp_path) as made:
        for _ in range(2):
            early = [asyncio.create_task(made.several(READ)) for _ in range(2)]
            await running.stop()
            try:
                await asyncio.gather(*early)
                assert await made.several(READ) <= {NO_RECORD, STALE}, made.books
                assert await made.several(PAY) <= {"OK", STALE}, made.books
            finally:
                await running.start()
            for operation in (READ, PAY):
                await made.until_allowed(operation)
        await made.settled(world)
        assert made.books.reads >= 3, made.books
