"""The spool against a plain list: whatever ends, breaks off or fills up, what was put comes out, in order."""

from __future__ import annotations

import asyncio
import errno
import os
import shutil
import signal
import subprocess
import sys
import tempfile
from collections.abc import AsyncIterator, Awaitable, Callable, Collection, Iterator, Sequence
from contextlib import asynccontextmanager, contextmanager
from datetime import UTC, datetime, timedelta
from pathlib import Path
from unittest import mock

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, invariant, precondition, rule

from infosec.clock import ManualClock
from infosec.errors import InvalidInput, Misconfigured, Reason, Unavailable
from infosec.spool import MAX_RECORD_BYTES, Spool, SpoolDamaged, SpoolRelay, orphans, read_refused
from infosec.spool.frames import HEADER_BYTES, MAGIC

START = datetime(2026, 11, 22, 8, tzinfo=UTC)
ROOM = 2000
"""max_bytes of the small spools here."""
RECORDS = st.binary(max_size=120)


def small(directory: Path, clock: ManualClock | None = None) -> Spool:
    return Spool.open(directory, max_bytes=ROOM, segment_bytes=300, clock=clock)


def roomy(directory: Path) -> Spool:
    return Spool.open(directory, max_bytes=1 << 24, segment_bytes=300)


def everything(spool: Spool) -> list[bytes]:
    return list(spool.peek(1_000_000, max_bytes=1 << 30).records)


def files(directory: Path) -> list[Path]:
    return sorted(directory.glob("*.segment"))


def on_disk(records: Sequence[bytes]) -> int:
    return sum(HEADER_BYTES + len(record) for record in records)


@contextmanager
def short_write(kept: int, *, cannot_cut: bool = False) -> Iterator[None]:
    """The next writes are cut off after `kept` bytes, as on a full disk; or fail, where kept is negative."""
    real = os.pwrite

    def pwrite(handle: int, data: bytes, offset: int) -> int:
        if kept < 0:
            raise OSError(errno.EIO, "input/output error")
        return real(handle, data[:kept], offset)

    def ftruncate(handle: int, length: int) -> None:
        raise OSError(errno.EIO, "input/output error")

    with mock.patch.object(os, "pwrite", pwrite):
        if cannot_cut:
            with mock.patch.object(os, "ftruncate", ftruncate):
                yield
        else:
            yield


class AgainstAList(RuleBasedStateMachine):
    """Every record ever put, and how many are done; the spool must agree after whatever happens to it."""

    def __init__(self) -> None:
        super().__init__()
        self.place = tempfile.TemporaryDirectory()
        self.directory = Path(self.place.name) / "spool"
        self.all: list[bytes] = []
        self.delivered = 0
        self.spool = small(self.directory)

    @property
    def left(self) -> list[bytes]:
        return self.all[self.delivered :]

    @rule(records=st.lists(RECORDS, min_size=1, max_size=4), in_one=st.booleans())
    def put(self, records: list[bytes], in_one: bool) -> None:
        batches = [records] if in_one else [[record] for record in records]
        for batch in batches:
            if on_disk(self.left + batch) > ROOM:
                with pytest.raises(Unavailable) as caught:
                    self.spool.put_many(batch)
                assert caught.value.details == {"sink": "spool", "detail": "full"}
            else:
                self.spool.put_many(batch) if in_one else self.spool.put(batch[0])
                self.all += batch

    @rule(record=RECORDS, kept=st.integers(-1, 140), cannot_cut=st.booleans())
    def write_fails(self, record: bytes, kept: int, cannot_cut: bool) -> None:
        kept = min(kept, on_disk([record]) - 1)
        with short_write(kept, cannot_cut=cannot_cut), pytest.raises(Unavailable) as caught:
            self.spool.put(record)
        assert caught.value.reason is Reason.RECORD_UNAVAILABLE

    @rule(count=st.integers(1, 12), taken=st.integers(0, 12))
    def deliver(self, count: int, taken: int) -> None:
        batch = self.spool.peek(count)
        assert list(batch.records) == self.left[:count]
        assert self.spool.peek(count) == batch
        if taken:
            some = self.spool.peek(taken)
            self.spool.done(some.position)
            self.delivered += len(some.records)

    @rule()
    def sync(self) -> None:
        self.spool.sync()
        assert not self.spool.is_dirty

    @rule()
    def close_and_open(self) -> None:
        self.spool.close()
        self.spool = small(self.directory)

    @rule(at=st.integers(0, 400), zeros=st.sampled_from([0, 0, 512, 1500]))
    def die_in_the_middle_of_a_write(self, at: int, zeros: int) -> None:
        """The newest file ends anywhere, or is zeros from there on: the records that it holds whole stay."""
        self.spool.close()
        small(self.directory).close()  # cuts what a failed write left: the list knows nothing of that
        if files(self.directory):
            newest = files(self.directory)[-1]
            end = newest.stat().st_size
            kept = min(at, end)
            while len(MAGIC) < end and kept < end:
                end -= on_disk([self.all.pop()])
            # With zeros: the length was on the disk already, and nothing behind the last whole record.
            os.truncate(newest, end if zeros else kept)
            os.truncate(newest, newest.stat().st_size + zeros)
            self.delivered = min(self.delivered, len(self.all))
        self.spool = small(self.directory)

    @precondition(lambda self: (self.directory / "delivered").exists())
    @rule(how=st.sampled_from([b"", b"\0" * 20, b"rubbish", None]))
    def lose_the_place(self, how: bytes | None) -> None:
        """Then some come again, from the oldest file that is there; none is lost."""
        self.spool.close()
        place = self.directory / "delivered"
        place.unlink() if how is None else place.write_bytes(how)
        self.spool = small(self.directory)
        again = everything(self.spool)
        assert len(again) >= len(self.left)
        assert again == self.all[len(self.all) - len(again) :]
        self.delivered = len(self.all) - len(again)

    @invariant()
    def agrees(self) -> None:
        assert everything(self.spool) == self.left
        backlog = self.spool.backlog()
        assert (backlog.count, backlog.bytes) == (len(self.left), on_disk(self.left))
        assert (backlog.oldest is None) == (not self.left)
        assert sum(file.stat().st_size for file in files(self.directory)) <= ROOM + 2 * 300 + 4 * 140 + 100 * len(MAGIC)

    def teardown(self) -> None:
        self.spool.close()
        self.place.cleanup()


AgainstAList.TestCase.settings = settings(max_examples=60, stateful_step_count=30, deadline=None)
TestAgainstAList = pytest.mark.rule("CI-1")(AgainstAList.TestCase)


@pytest.mark.rule("CI-1")
@settings(deadline=None, max_examples=80)
@given(
    records=st.lists(st.binary(min_size=1, max_size=60).map(lambda r: r + b"!"), min_size=1, max_size=20),
    at=st.integers(0, 10_000),
    bit=st.integers(0, 7),
)
def test_a_changed_bit_is_never_read_over(records: list[bytes], at: int, bit: int) -> None:
    with tempfile.TemporaryDirectory() as place:
        directory = Path(place) / "spool"
        with roomy(directory) as spool:
            spool.put_many(records[:5])
            for record in records[5:]:
                spool.put(record)
        whole = [(file, offset) for file in files(directory) for offset in range(file.stat().st_size)]
        file, offset = whole[at % len(whole)]
        data = bytearray(file.read_bytes())
        data[offset] ^= 1 << bit
        file.write_bytes(data)
        with pytest.raises(SpoolDamaged) as caught:
            roomy(directory)
        assert caught.value.details["file"] == str(file)
        assert int(caught.value.details["offset"]) <= offset


@pytest.mark.rule("CI-1")
def test_damage_under_an_open_spool_is_told_after_what_stands_before_it(tmp_path: Path) -> None:
    with roomy(tmp_path / "s") as spool:
        spool.put_many([b"one", b"two", b"three"])
        file = files(tmp_path / "s")[0]
        data = file.read_bytes()
        file.write_bytes(data.replace(b"two", b"owt"))
        before = spool.peek(10)
        assert before.records == (b"one",)
        spool.done(before.position)
        with pytest.raises(SpoolDamaged) as caught:
            spool.peek(10)
        assert caught.value.details["offset"] == str(len(MAGIC) + on_disk([b"one"]))


@pytest.mark.rule("CI-1")
def test_a_tail_torn_in_any_file_but_the_newest_is_damage(tmp_path: Path) -> None:
    with roomy(tmp_path / "s") as spool:
        for number in range(20):
            spool.put(b"%060d" % number)
    oldest = files(tmp_path / "s")[0]
    assert len(files(tmp_path / "s")) > 2
    os.truncate(oldest, oldest.stat().st_size - 1)
    with pytest.raises(SpoolDamaged):
        roomy(tmp_path / "s")


@pytest.mark.rule("CI-1")
def test_a_record_whose_sectors_were_never_written_is_cut_and_one_with_a_hole_in_it_is_damage(tmp_path: Path) -> None:
    with roomy(tmp_path / "s") as spool:
        spool.put(b"whole")
        spool.put(b"x" * 2000)
    file = files(tmp_path / "s")[0]
    whole = file.read_bytes()
    file.write_bytes(whole[:1000] + bytes(24) + whole[1024:])
    with pytest.raises(SpoolDamaged):
        roomy(tmp_path / "s")
    file.write_bytes(whole[:1024] + bytes(len(whole) - 1024))
    with roomy(tmp_path / "s") as spool:
        assert everything(spool) == [b"whole"]
        spool.put(b"next")
    with roomy(tmp_path / "s") as spool:
        assert everything(spool) == [b"whole", b"next"]


@pytest.mark.rule("CI-1")
@pytest.mark.parametrize("cannot_cut", [True, False])
def test_what_a_failed_write_left_does_not_stand_behind_the_next_record(tmp_path: Path, cannot_cut: bool) -> None:
    with roomy(tmp_path / "s") as spool:
        spool.put(b"one")
        with short_write(150, cannot_cut=cannot_cut), pytest.raises(Unavailable):
            spool.put(b"x" * 200)
        size = files(tmp_path / "s")[0].stat().st_size
        assert (size > len(MAGIC) + on_disk([b"one"])) == cannot_cut
        spool.put(b"two")
        assert files(tmp_path / "s")[0].stat().st_size == len(MAGIC) + on_disk([b"one", b"two"])
    with roomy(tmp_path / "s") as spool:
        assert everything(spool) == [b"one", b"two"]


def test_a_second_opener_is_refused_and_the_first_is_not_disturbed(tmp_path: Path) -> None:
    with small(tmp_path / "s") as spool:
        spool.put(b"mine")
        with pytest.raises(Misconfigured) as caught:
            small(tmp_path / "s")
        assert caught.value.reason is Reason.ALREADY_RUNNING
        spool.put(b"still mine")
        assert everything(spool) == [b"mine", b"still mine"]
    small(tmp_path / "s").close()


def test_a_directory_that_others_may_enter_is_refused(tmp_path: Path) -> None:
    open_to_all = tmp_path / "s"
    open_to_all.mkdir(mode=0o755)
    with pytest.raises(Misconfigured):
        small(open_to_all)
    with small(tmp_path / "made") as spool:
        spool.put(b"x")
        assert (tmp_path / "made").stat().st_mode & 0o777 == 0o700
        assert files(tmp_path / "made")[0].stat().st_mode & 0o077 == 0


def test_the_longest_record_passes_and_a_longer_one_is_refused(tmp_path: Path) -> None:
    with roomy(tmp_path / "s") as spool:
        spool.put(b"before")
        spool.put(b"x" * MAX_RECORD_BYTES)
        with pytest.raises(InvalidInput):
            spool.put(b"x" * (MAX_RECORD_BYTES + 1))
        spool.put(b"after")
        assert [len(record) for record in everything(spool)] == [6, MAX_RECORD_BYTES, 5]
        sizes = []
        while (batch := spool.peek(500, max_bytes=100)).records:
            sizes.append([len(record) for record in batch.records])
            spool.done(batch.position)
        assert sizes == [[6], [MAX_RECORD_BYTES], [5]]


def test_the_backlog_says_since_when_over_a_restart(tmp_path: Path) -> None:
    clock = ManualClock(START)
    with small(tmp_path / "s", clock) as spool:
        spool.put(b"first")
        clock.advance(timedelta(minutes=5))
        spool.put(b"second")
    with small(tmp_path / "s", clock) as spool:
        assert spool.backlog().oldest == START
        spool.done(spool.peek(1).position)
        assert spool.backlog().oldest == START + timedelta(minutes=5)
        spool.done(spool.peek(1).position)
        assert spool.backlog().oldest is None


def test_a_position_of_another_spool_is_refused_and_an_old_one_changes_nothing(tmp_path: Path) -> None:
    with small(tmp_path / "a") as one, small(tmp_path / "b") as other:
        one.put_many([b"1", b"2", b"3"])
        other.put(b"x")
        old, position = one.peek(1).position, one.peek(2).position
        with pytest.raises(InvalidInput):
            other.done(position)
        one.done(position)
        one.done(old)
        assert everything(one) == [b"3"]


@pytest.mark.rule("CI-1")
def test_after_a_failed_sync_nothing_is_taken_in_until_one_succeeds(tmp_path: Path) -> None:
    with roomy(tmp_path / "s") as spool:
        spool.put(b"one")
        with mock.patch.object(os, "fsync", side_effect=OSError(errno.EIO, "input/output error")):
            with pytest.raises(Unavailable) as caught:
                spool.sync()
            assert caught.value.reason is Reason.RECORD_UNAVAILABLE
            with pytest.raises(Unavailable):
                spool.put(b"two")
        spool.sync()
        spool.put(b"two")
        assert everything(spool) == [b"one", b"two"]


REMOVED = {
    "the file": lambda place: files(place)[-1].unlink(),
    "the directory": shutil.rmtree,
    "the directory, moved away": lambda place: place.rename(place.with_name("elsewhere")),
    "the directory, replaced": lambda place: (shutil.rmtree(place), place.mkdir(mode=0o700)),
    "the file, replaced": lambda place: (
        files(place)[-1].rename(place / "kept"),
        shutil.copy(place / "kept", place / f"{1:016d}.segment"),
    ),
}


@pytest.mark.rule("CI-1")
@pytest.mark.parametrize("what", REMOVED)
def test_a_spool_that_somebody_removed_takes_nothing_in_and_delivers_what_it_holds(
    tmp_path: Path, what: str, caplog: pytest.LogCaptureFixture
) -> None:
    place = tmp_path / "s"
    with pytest.raises(Unavailable), Spool.open(place, max_bytes=1 << 24) as spool:
        spool.put_many([b"one", b"two"])
        REMOVED[what](place)
        for _ in range(2):
            with pytest.raises(Unavailable) as caught:
                spool.sync()
            assert caught.value.reason is Reason.RECORD_UNAVAILABLE
        with pytest.raises(Unavailable) as caught:
            spool.put(b"three")
        assert caught.value.details == {"sink": "spool", "detail": "gone"}
        assert everything(spool) == [b"one", b"two"]
        spool.done(spool.peek(2).position)
        assert spool.count == 0
        with pytest.raises(Unavailable):
            spool.put(b"three")
    critical = [one for one in caplog.records if one.levelname == "CRITICAL"]
    assert [str(place) in one.getMessage() for one in critical] == [True]
    if what != "the file, replaced":
        with Spool.open(place, max_bytes=1 << 24) as spool:
            spool.put(b"four")
            assert everything(spool) == [b"four"]


@pytest.mark.rule("CI-1")
@pytest.mark.parametrize("what", ["the directory", "the directory, replaced"])
@pytest.mark.parametrize("earlier", [0, 9])
def test_no_file_is_begun_where_the_directory_is_another(tmp_path: Path, what: str, earlier: int) -> None:
    spool = roomy(tmp_path / "s")
    for _ in range(earlier):
        spool.put(b"x" * 12)  # the last of them fills the file
    REMOVED[what](tmp_path / "s")
    with pytest.raises(Unavailable) as caught:
        spool.put(b"next")
    assert caught.value.details == {"sink": "spool", "detail": "gone"}
    assert files(tmp_path / "s") == []
    assert everything(spool) == [b"x" * 12] * earlier


def test_a_file_that_was_delivered_while_it_was_synced_is_not_taken_for_removed(tmp_path: Path) -> None:
    with roomy(tmp_path / "s") as spool:
        real = os.fsync

        def fsync(handle: int) -> None:
            real(handle)
            spool.done(spool.peek(100).position)

        for _ in range(9):
            spool.put(b"x" * 12)
        with mock.patch.object(os, "fsync", fsync):
            spool.sync()
        assert files(tmp_path / "s") == []
        spool.put(b"next")
        spool.sync()


def test_what_cannot_be_noted_as_delivered_is_still_removed_and_comes_again_after_a_restart(tmp_path: Path) -> None:
    records = [b"%060d" % number for number in range(20)]
    with roomy(tmp_path / "s") as spool:
        for record in records:
            spool.put(record)
        count = len(files(tmp_path / "s"))
        (tmp_path / "s" / ".delivered").mkdir()  # nothing can be written there
        spool.done(spool.peek(18).position)
        assert len(files(tmp_path / "s")) < count
        assert everything(spool) == records[18:]
    with roomy(tmp_path / "s") as spool:
        again = everything(spool)
        assert again == records[-len(again) :]
        assert len(again) >= 2


def test_orphans_are_the_spools_that_nobody_holds(tmp_path: Path) -> None:
    assert orphans(tmp_path / "nowhere") == []
    with small(tmp_path / "dead") as spool:
        spool.put(b"left behind")
    (tmp_path / "other").mkdir()
    (tmp_path / "file").touch()
    with small(tmp_path / "alive") as spool:
        spool.put(b"x")
        assert orphans(tmp_path) == [tmp_path / "dead"]
    with small(tmp_path / "dead") as adopted:
        assert not adopted.remove()
        assert everything(adopted) == [b"left behind"]
        adopted.done(adopted.peek(5).position)
        assert adopted.remove()
    assert not (tmp_path / "dead").exists()


FULL_DISK = """
import resource, signal, sys
from pathlib import Path
from infosec.errors import Unavailable
from infosec.spool import Spool
spool = Spool.open(Path(sys.argv[1]), max_bytes=1 << 30)
resource.setrlimit(resource.RLIMIT_FSIZE, (10_000, resource.RLIM_INFINITY))
put = 0
try:
    while True:
        spool.put(b"%0150d" % put)
        put += 1
except Unavailable as error:
    print(put, error.reason, error.details["sink"])
resource.setrlimit(resource.RLIMIT_FSIZE, (resource.RLIM_INFINITY, resource.RLIM_INFINITY))
spool.put(b"%0150d" % put)
print(len(spool.peek(1000).records))
"""


@pytest.mark.rule("CI-1")
def test_on_a_full_disk_a_put_is_refused_and_the_next_with_room_works(tmp_path: Path) -> None:
    done = subprocess.run([sys.executable, "-c", FULL_DISK, tmp_path / "s"], capture_output=True, text=True)
    assert done.stderr.count("Traceback") == 0, done.stderr
    (count, reason, sink), (after,) = (line.split() for line in done.stdout.splitlines())
    assert (reason, sink, int(after)) == ("RECORD_UNAVAILABLE", "spool", int(count) + 1)
    with Spool.open(tmp_path / "s", max_bytes=1 << 30) as spool:
        assert everything(spool) == [b"%0150d" % number for number in range(int(count) + 1)]


WRITER = """
import sys
from pathlib import Path
from infosec.spool import Spool
spool = Spool.open(Path(sys.argv[1]), max_bytes=1 << 30, segment_bytes=20_000)
number = 0
while True:
    spool.put(b"%0200d" % number)
    print(number, flush=True)
    number += 1
"""


@pytest.mark.rule("CI-1")
@pytest.mark.parametrize("after", [1, 333, 1500])
def test_a_killed_writer_leaves_all_that_it_said_it_put(tmp_path: Path, after: int) -> None:
    with subprocess.Popen([sys.executable, "-c", WRITER, tmp_path / "s"], stdout=subprocess.PIPE) as writer:
        assert writer.stdout is not None
        lines = [writer.stdout.readline() for _ in range(after)]
        writer.send_signal(signal.SIGKILL)
        lines += [line for line in writer.stdout.read().splitlines(keepends=True) if line.endswith(b"\n")]
    assert orphans(tmp_path) == [tmp_path / "s"]
    with Spool.open(tmp_path / "s", max_bytes=1 << 30) as spool:
        found = everything(spool)
    assert found == [b"%0200d" % number for number in range(len(found))]
    assert len(lines) <= len(found) <= len(lines) + 1


def test_the_spool_needs_nothing_but_the_standard_library() -> None:
    code = "import sys; before = set(sys.modules); import infosec.spool; print(*set(sys.modules) - before)"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    roots = {name.partition(".")[0] for name in done.stdout.split() if not name.startswith("_sysconfigdata")}
    assert roots <= sys.stdlib_module_names | {"infosec"}


# The relay


class Receiver:
    """Takes records, and does as told before it does."""

    def __init__(self) -> None:
        self.got: list[bytes] = []
        self.calls = 0
        self.troubles: list[BaseException | None] = []
        self.hates: set[bytes] = set()
        self.says_which = False

    async def take(self, records: Sequence[bytes]) -> Collection[int] | None:
        self.calls += 1
        trouble = self.troubles.pop(0) if self.troubles else None
        if isinstance(trouble, TimeoutError):
            await asyncio.Event().wait()
        if trouble is not None:
            raise trouble
        hated = [index for index, record in enumerate(records) if record in self.hates]
        if hated and not self.says_which:
            raise InvalidInput(Reason.INVALID_ARGUMENT, field="event")
        self.got += [record for index, record in enumerate(records) if index not in hated]
        return hated or None


@asynccontextmanager
async def relaying(
    spool: Spool, deliver: Callable[[Sequence[bytes]], Awaitable[Collection[int] | None]], *, deadline_s: float = 10.0
) -> AsyncIterator[SpoolRelay]:
    relay = SpoolRelay(spool, deliver, max_records=7, gather_s=0, sync_every_s=0, deadline_s=deadline_s)
    task = asyncio.create_task(relay.run())
    try:
        yield relay
    finally:
        task.cancel()
        await asyncio.gather(task, return_exceptions=True)


async def until(is_so: Callable[[], bool]) -> None:
    while not is_so():
        await asyncio.sleep(0.001)


@pytest.mark.rule("CI-1")
async def test_all_is_delivered_in_order_what_was_there_and_what_comes_later(tmp_path: Path) -> None:
    receiver = Receiver()
    records = [b"%03d" % number for number in range(40)]
    with roomy(tmp_path / "s") as spool:
        spool.put_many(records[:20])
        async with relaying(spool, receiver.take) as relay:
            await relay.drained()
            assert receiver.got == records[:20]
            for record in records[20:]:
                spool.put(record)
            await relay.drained()
            await asyncio.to_thread(spool.put, b"from another thread")
            await relay.drained()
            await until(lambda: not spool.is_dirty)
        assert receiver.got == [*records, b"from another thread"]
        assert (relay.delivered, relay.failures, spool.count) == (41, 0, 0)


@pytest.mark.rule("CI-1")
async def test_a_receiver_that_fails_and_hangs_gets_all_when_it_is_well_again(tmp_path: Path) -> None:
    receiver = Receiver()
    receiver.troubles = [Unavailable(Reason.PEER_UNAVAILABLE), RuntimeError("bug"), TimeoutError(), None]
    with roomy(tmp_path / "s") as spool:
        spool.put(b"one")
        async with relaying(spool, receiver.take, deadline_s=0.01) as relay:
            await relay.drained()
        assert (receiver.got, receiver.calls, relay.failures) == ([b"one"], 4, 0)


@pytest.mark.rule("CI-1")
@pytest.mark.parametrize("says_which", [True, False])
async def test_what_the_receiver_will_never_take_is_set_aside_and_holds_up_nobody(
    tmp_path: Path, says_which: bool, caplog: pytest.LogCaptureFixture
) -> None:
    receiver = Receiver()
    receiver.says_which = says_which
    records = [b"%03d" % number for number in range(20)]
    receiver.hates = {b"000", b"004", b"005", b"019"}
    with roomy(tmp_path / "s") as spool:
        spool.put_many(records)
        async with relaying(spool, receiver.take) as relay:
            await relay.drained()
        assert receiver.got == [record for record in records if record not in receiver.hates]
        assert (relay.delivered, relay.refused, spool.refused) == (16, 4, 4)
        assert not spool.remove()
    assert read_refused(tmp_path / "s") == sorted(receiver.hates)
    assert "refused" in caplog.text
    with roomy(tmp_path / "s") as spool:
        spool.set_aside([b"one more"])
        assert spool.refused == 5
    assert read_refused(tmp_path / "s")[-1] == b"one more"


@pytest.mark.rule("CI-1")
async def test_nothing_is_delivered_around_damage(tmp_path: Path) -> None:
    receiver = Receiver()
    with roomy(tmp_path / "s") as spool:
        spool.put_many([b"one", b"two", b"three"])
        file = files(tmp_path / "s")[0]
        file.write_bytes(file.read_bytes().replace(b"two", b"owt"))
        with pytest.raises(SpoolDamaged):
            await SpoolRelay(spool, receiver.take, gather_s=0).run()
    assert receiver.got == [b"one"]


@pytest.mark.rule("CI-1")
async def test_a_failed_sync_is_tried_again(tmp_path: Path) -> None:
    receiver = Receiver()
    with roomy(tmp_path / "s") as spool:
        real, failed = os.fsync, []

        def fsync(handle: int) -> None:
            if not failed:
                failed.append(handle)
                raise OSError(errno.EIO, "input/output error")
            real(handle)

        receiver.troubles = [Unavailable(Reason.PEER_UNAVAILABLE)] * 3
        with mock.patch.object(os, "fsync", fsync):
            spool.put(b"one")
            async with relaying(spool, receiver.take):
                await until(lambda: bool(failed) and not spool.is_dirty)
                spool.put(b"two")
        assert failed
