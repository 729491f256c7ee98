"""PostgreSQL's disk is full: no check is allowed without its record, the service lives, and goes on when there is room (CI-1).

With --all-faults alone, and for root: the disk is a loop mount. Where there can be none the run ends with exit code 2.
"""

from __future__ import annotations

import asyncio
import shutil
import tempfile
from collections import Counter
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack
from dataclasses import dataclass
from pathlib import Path

import psycopg
import pytest

from infosec.client.connection import connect
from infosec.keys import KeyRing
from tests.faults.books import Books, agree, ask, ask_until, asking, missing
from tests.faults.engine import Engine
from tests.faults.recording import Service
from tests.faults.small_disk import NoSmallDisk, SmallDisk, small_disk
from tests.sim.check_nodes import PAY, READ, until
from tests.sim.servers import sync_connection
from tests.sim.suite import build_suite
from tests.sim.world import PASSWORD, World

NO_RECORD = "RECORD_UNAVAILABLE"
STALE = "SNAPSHOT_STALE"
AT_ONCE = 8
ROUNDS = 200
"""Of questions, until the disk is felt: many more than fit into what PostgreSQL has at hand."""
WAL_SEGMENTS = 16
LOG = "postgres/pg_wal"
SIZES = {"postgres": 384 << 20, LOG: 160 << 20}
"""What lies on the small disk, and how small it is: all of PostgreSQL, whose tables cannot grow then; or its write-ahead log
alone, without which it ends.
"""


@dataclass(frozen=True, slots=True, kw_only=True)
class Stand:
    """An engine with a carrier in it, and a part of it on a small disk."""

    engine: Engine
    disk: SmallDisk
    world: World
    part: str

    async def revive(self) -> None:
        """As whoever watches over PostgreSQL does: start it where it ended. The service is left alone."""
        if not self.engine.is_up():
            await self.engine.stop()
            await self.engine.start()


@pytest.fixture(params=SIZES)
async def stand(request: pytest.FixtureRequest, world_keys: Path) -> AsyncIterator[Stand]:
    part = request.param
    async with AsyncExitStack() as stack:
        place = Path(tempfile.mkdtemp(prefix="t-", dir="/tmp"))
        stack.callback(shutil.rmtree, place)
        place.chmod(0o755)
        (place / "disk").mkdir(mode=0o755)
        try:
            disk = stack.enter_context(small_disk(place / "disk", SIZES[part]))
        except NoSmallDisk as error:
            pytest.exit(f"a full disk cannot be tested here; missing: {error}", returncode=2)
        engine = Engine(data=place / "data")
        stack.push_async_callback(engine.stop)
        # Without room no engine ends in order.
        stack.callback(disk.free)
        keys = KeyRing.load(world_keys)
        await build_suite(await engine.start(), keys)
        await engine.stop()
        disk.take_in(engine.data / "engines" / part)
        world = World(addresses=await engine.start(), keys=keys, keys_dir=world_keys)
        stack.push_async_callback(world.close)
        yield Stand(engine=engine, disk=disk, world=world, part=part)


@pytest.mark.rule("CI-1")
async def test_on_a_full_disk_reads_are_denied_until_there_is_room(stand: Stand, tmp_path: Path) -> None:
    service, books, seen = Service(world=stand.world, folder=tmp_path), Books(), Counter[tuple[str, str]]()

    async def several(operation: str) -> set[str]:
        answers = await asyncio.gather(*(ask(books, stub, token, operation) for _ in range(AT_ONCE)))
        seen.update((operation, answer) for answer in answers)
        return set(answers)

    try:
        await service.start()
        files = service.files()
        async with connect(service.address, ca=files.ca, cert=files.certificate, key=files.key) as crm:
            token = (await crm.login.login("li.na", PASSWORD, terminal_id="e1-t1")).token
        async with asking(service.address, files) as stub:
            for operation in (READ, PAY):
                await ask_until(books, stub, token, operation, "OK")
            stand.disk.fill()
            for _ in range(ROUNDS):
                if not await several(READ) <= {"OK", STALE}:
                    break
                await several(PAY)
                if stand.part == LOG:
                    await asyncio.to_thread(_use_up_the_log, stand.world)
            for _ in range(3):
                await several(READ)
                await several(PAY)
            counts = f"{dict(seen)}; {books}"
            assert not books.unanswered, counts
            assert {answer for operation, answer in seen if operation == READ} <= {"OK", NO_RECORD, STALE}, counts
            assert {answer for operation, answer in seen if operation == PAY} <= {"OK", STALE}, counts
            assert seen[READ, NO_RECORD] > 0, counts
            stand.disk.free()
            await stand.revive()
            for operation in (READ, PAY):
                await ask_until(books, stub, token, operation, "OK")
            await until(lambda: asyncio.to_thread(missing, stand.world, books), 0, within_s=60)
            assert service.process is not None
            assert service.process.returncode is None, counts
        agree(stand.world, books)
        print(f"{stand.part} full: {counts}")
    finally:
        await service.kill()


def _use_up_the_log(world: World) -> None:
    """Have PostgreSQL need new files of its write-ahead log: where it can make none, it ends all sessions."""
    try:
        with sync_connection(world.addresses.postgres) as connection:
            connection.autocommit = True
            for _ in range(WAL_SEGMENTS):
                connection.execute("select pg_logical_emit_message(true, 'fill', repeat('x', 100))")
                connection.execute("select pg_switch_wal()")
    except psycopg.Error:
        return  # it is felt already
