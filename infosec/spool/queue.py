"""The queue itself: put is one write, peek reads the oldest, done forgets what was delivered (CI-1).

What survives what: the end of the process, kill -9 included, everything whose `put` returned; the end of the machine,
everything that the last `sync` found, so with the relay all but the last 100 ms. Delivered at least once: after a lost
place, or a crash between delivery and `done`, records come again, and the receiver tells them by their event ID.
One process, one `Spool`; its methods may be called from any thread, `peek` and `done` by one consumer.
"""

from __future__ import annotations

import logging
import os
import threading
from collections import deque
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path
from types import TracebackType
from typing import NamedTuple, Self

from infosec.clock import Clock, SystemClock
from infosec.errors import FailedPrecondition, InvalidInput, Reason, Unavailable
from infosec.spool import folder
from infosec.spool.folder import Found, Segment
from infosec.spool.frames import MAGIC, MAX_FRAME_BYTES, SpoolDamaged, framed, frames

_LOG = logging.getLogger(__name__)
_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
_RETRY_AFTER = timedelta(seconds=1)


class Position(NamedTuple):
    """How far a batch goes; only good for the Spool that gave it."""

    segment: int
    offset: int
    records: int
    """Delivered up to here since this Spool was opened."""
    size: int


@dataclass(frozen=True, slots=True, kw_only=True)
class Batch:
    """The oldest records, in the order in which they were put."""

    records: tuple[bytes, ...]
    position: Position


@dataclass(frozen=True, slots=True, kw_only=True)
class Backlog:
    """What is not delivered."""

    count: int
    bytes: int
    """As it stands in the files, 20 more than its length for each record."""
    oldest: datetime | None
    """When the first of it was put."""


class Spool:
    """`with Spool.open(directory, max_bytes=64 << 20) as spool: spool.put(record)`."""

    def __init__(
        self, directory: Path, handle: int, found: Found, *, max_bytes: int, segment_bytes: int, clock: Clock
    ) -> None:
        """Use `open`."""
        self._directory = directory
        self._handle = handle
        self._max_bytes = max_bytes
        self._segment_bytes = segment_bytes
        self._clock = clock
        self._lock = threading.Lock()
        self._segments = deque(found.segments)
        self._next_number = found.next_number
        self._count, self._bytes = found.records, found.size
        self._done = Position(found.segment, found.offset, 0, 0)
        self._oldest_micros: int | None = None
        self._writer: int | None = None
        """Of the last segment; None where the next put begins a new one."""
        self._has_tail = False
        """Behind the last whole frame may stand what a failed write left."""
        self._is_dirty = False
        self._is_new = False
        self._cannot_sync = False
        self._is_failing = False
        """The last put met the disk's error: told once, however many follow."""
        self._is_gone = False
        """Somebody removed what we write into; for good, as far as this Spool goes."""
        self._is_closed = False
        self._on_put: Callable[[], None] | None = None
        self._refused, self._refused_end = found.refused, found.refused_end

    @classmethod
    def open(
        cls,
        directory: Path,
        *,
        max_bytes: int,
        segment_bytes: int = 4 << 20,
        clock: Clock | None = None,
    ) -> Spool:
        """Lock the directory (made with mode 0700), cut a torn tail, and find what is undelivered.

        `max_bytes` bounds what is undelivered; on the disk it may be `segment_bytes` more. Raises Misconfigured
        (ALREADY_RUNNING for a second opener), SpoolDamaged for damage other than a torn tail, and Unavailable.
        """
        handle = folder.take(directory)
        try:
            found = folder.recover(directory)
        except OSError as error:
            os.close(handle)
            raise _not_recorded(error) from None
        except BaseException:
            os.close(handle)
            raise
        return cls(
            directory,
            handle,
            found,
            max_bytes=max_bytes,
            segment_bytes=segment_bytes,
            clock=clock or SystemClock(),
        )

    def put(self, record: bytes) -> None:
        """Written to the operating system when it returns. Raises Unavailable(RECORD_UNAVAILABLE), and then nothing was put:
        too much is undelivered, the disk is full or failing, the last sync failed, or somebody removed the directory or the file
        (then until another Spool is opened). InvalidInput for one too long.
        """
        self._put(framed(record, self._micros()), 1)

    def put_many(self, records: Sequence[bytes]) -> None:
        """All of them or none, in one write; else as `put`. After a crash in the middle of it some may be there."""
        micros = self._micros()
        if records:
            self._put(b"".join([framed(record, micros) for record in records]), len(records))

    def on_put(self, listener: Callable[[], None] | None) -> None:
        """Call `listener` after each put, in the thread that put; it must be quick and may not raise."""
        self._on_put = listener

    @property
    def is_dirty(self) -> bool:
        """Whether there is something to sync."""
        return self._is_dirty

    def sync(self) -> None:
        """On the disk when it returns. Blocks for as long as the disk takes, but no `put`: call it in a thread.

        Raises Unavailable(RECORD_UNAVAILABLE); until one succeeds nothing more is taken in, and nothing ever again where the
        file that is written has been removed: what is put into such a file is lost with the process.
        """
        with self._lock:
            if not self._is_dirty or self._writer is None:
                self._cannot_sync = False  # nothing is at stake any more
                return
            writer, tail = os.dup(self._writer), self._segments[-1]
            mark, is_new = (tail.number, tail.end), self._is_new
        try:
            os.fsync(writer)
            if is_new:
                os.fsync(self._handle)
            self._synced(*mark)
        except OSError as error:
            self._cannot_sync = True
            raise _not_recorded(error) from None
        finally:
            os.close(writer)

    def peek(self, max_records: int, *, max_bytes: int = 1 << 20) -> Batch:
        """The oldest records that are not done, at least one where there is any. Twice without `done`: the same again.

        Raises SpoolDamaged, and Unavailable where the disk cannot be read.
        """
        with self._lock:
            done = self._done
            pieces = [(segment.number, segment.path, segment.end) for segment in self._segments]
        records: list[bytes] = []
        segment, offset, size = done.segment, done.offset, 0
        for number, path, end in pieces:
            if len(records) >= max_records or size >= max_bytes:
                break
            start = done.offset if number == done.segment else len(MAGIC)
            if start == end:
                continue
            for record, stop in _read(path, start, end, max_records - len(records), max_bytes - size):
                if records and size + stop - start > max_bytes:
                    break
                records.append(record)
                size += stop - start
                segment, offset, start = number, stop, stop
            if start < end:
                break
        return Batch(
            records=tuple(records), position=Position(segment, offset, done.records + len(records), done.size + size)
        )

    def done(self, position: Position) -> None:
        """All up to `position` was delivered: it counts no more, and files that are done with are removed.

        Never raises for the disk's sake: a place that cannot be written down means another delivery after a restart.
        """
        with self._lock:
            count = position.records - self._done.records
            if count <= 0:
                return
            if count > self._count:
                raise InvalidInput(Reason.INVALID_ARGUMENT, field="position", detail="of another spool")
            self._count -= count
            self._bytes -= position.size - self._done.size
            self._done, self._oldest_micros = position, None
            finished = self._finished()
        try:
            folder.write_place(self._directory, position.segment, position.offset)
        except OSError as error:
            _LOG.warning("the spool cannot note what was delivered: error %s", error.errno)
        # All the same: an old place without its file means the oldest file that there is, and the disk may be full.
        for segment in finished:
            try:
                segment.path.unlink(missing_ok=True)
            except OSError as error:
                _LOG.warning("the spool cannot remove what was delivered: error %s", error.errno)

    def set_aside(self, records: Sequence[bytes]) -> None:
        """Keep in the file `refused` what no receiver will ever take. On the disk when it returns; raises Unavailable."""
        micros = self._micros()
        data = b"".join([framed(record, micros) for record in records])
        try:
            self._refused_end = folder.append_refused(self._directory, data, self._refused_end)
        except OSError as error:
            raise _not_recorded(error) from None
        self._refused += len(records)

    @property
    def count(self) -> int:
        """How many records are undelivered."""
        return self._count

    @property
    def refused(self) -> int:
        """How many records stand in the file `refused`: somebody has to look at each (`read_refused`)."""
        return self._refused

    def backlog(self) -> Backlog:
        """How much is undelivered, and since when. Raises as `peek`."""
        with self._lock:
            count, size, micros, done = self._count, self._bytes, self._oldest_micros, self._done
            first = next((s for s in self._segments if s.number != done.segment or s.end > done.offset), None)
        if count and micros is None and first is not None:
            micros = _first_micros(first.path, done.offset if first.number == done.segment else len(MAGIC), first.end)
            with self._lock:
                self._oldest_micros = micros if self._done == done else self._oldest_micros
        oldest = None if not count or micros is None else _EPOCH + timedelta(microseconds=micros)
        return Backlog(count=count, bytes=size, oldest=oldest)

    def close(self) -> None:
        """Sync, and let go of the directory. Raises Unavailable where the sync fails, closed all the same."""
        if self._is_closed:
            return
        try:
            self.sync()
        finally:
            with self._lock:
                self._is_closed = True
                if self._writer is not None:
                    os.close(self._writer)
                    self._writer = None
                os.close(self._handle)

    def remove(self) -> bool:
        """Close and take the directory away, where nothing is undelivered and nothing was set aside; whether it was."""
        with self._lock:
            if self._count or self._refused or self._is_closed:
                return False
            # No put may come between this and the end of the files.
            self._is_closed = True
            if self._writer is not None:
                os.close(self._writer)
                self._writer = None
            try:
                folder.clear(self._directory)
            except OSError as error:
                _LOG.warning("the spool's directory stays: error %s", error.errno)
            os.close(self._handle)
        return True

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

    def _micros(self) -> int:
        return int(self._clock.now().timestamp() * 1_000_000)

    def _put(self, data: bytes, count: int) -> None:
        with self._lock:
            if self._is_closed:
                raise FailedPrecondition(Reason.STATE_CONFLICT, detail="the spool is closed")
            if self._bytes + len(data) > self._max_bytes:
                raise _not_recorded("full")
            if self._is_gone:
                raise _not_recorded("gone")
            if self._cannot_sync:
                raise _not_recorded("disk")
            try:
                self._write(data)
            except OSError as error:
                self._cut_back()
                if not self._is_failing:
                    _LOG.error("the spool cannot be written, and takes nothing in: error %s", error.errno)
                self._is_failing = True
                raise _not_recorded("disk") from None
            self._segments[-1].end += len(data)
            self._has_tail = self._is_failing = False
            self._is_dirty = True
            self._count += count
            self._bytes += len(data)
        if self._on_put is not None:
            self._on_put()

    def _write(self, data: bytes) -> None:
        """At the end of the last whole frame. A failed write leaves a tail there, which the next one cuts first."""
        writer = self._writer
        if writer is None or self._segments[-1].end >= self._segment_bytes:
            writer = self._begin_segment()
        end = self._segments[-1].end
        if self._has_tail:
            os.ftruncate(writer, end)
        self._has_tail = True
        if os.pwrite(writer, data, end) != len(data):
            raise OSError("short write")

    def _begin_segment(self) -> int:
        """The one before is whole and on the disk first: a torn tail stands in the newest file alone."""
        self._require_there()
        if self._writer is not None:
            if self._has_tail:
                os.ftruncate(self._writer, self._segments[-1].end)
                self._has_tail = False
            os.fsync(self._writer)
        number = self._next_number
        path = folder.segment_path(self._directory, number)
        writer = os.open(path, os.O_RDWR | os.O_CREAT | os.O_TRUNC | os.O_CLOEXEC, 0o600)
        try:
            if os.pwrite(writer, MAGIC, 0) != len(MAGIC):
                raise OSError("short write")
        except OSError:
            os.close(writer)
            path.unlink(missing_ok=True)
            raise
        if self._writer is not None:
            os.close(self._writer)
        self._writer, self._next_number = writer, number + 1
        self._segments.append(Segment(number, path, len(MAGIC)))
        self._has_tail, self._is_new = False, True
        return writer

    def _synced(self, number: int, end: int) -> None:
        with self._lock:
            # Not before: a file that was delivered meanwhile, and removed by ourselves, is no longer among them.
            if self._segments and number == self._segments[-1].number:
                self._require_there()
                self._is_new = False
                self._is_dirty = self._segments[-1].end != end
            self._cannot_sync = False

    def _require_there(self) -> None:
        """Raises Unavailable where the directory, or the file that is written, is not where it was."""
        last = self._segments[-1] if self._segments and self._writer is not None else None
        if not self._is_gone and (
            not folder.is_still(self._directory, self._handle)
            or (last is not None and self._writer is not None and not folder.is_still(last.path, self._writer))
        ):
            self._is_gone = True
            if last is not None:
                # It lives for as long as we hold it: what is in it can still be delivered.
                last.path = Path(f"/dev/fd/{self._writer}")
            _LOG.critical(
                "the spool %s was removed under us, and takes nothing in: leave the process running until it has "
                "delivered what it holds, find out who removes files there, and start it again",
                self._directory,
            )
        if self._is_gone:
            raise _not_recorded("gone")

    def _cut_back(self) -> None:
        """At once, so that a later start finds no torn tail; where even that fails, before the next write."""
        if self._writer is None or not self._has_tail:
            return
        try:
            os.ftruncate(self._writer, self._segments[-1].end)
        except OSError:
            return  # `_has_tail` stays true, and the next write begins by cutting
        self._has_tail = False

    def _finished(self) -> list[Segment]:
        """Take out the segments that are delivered to their end; the one that is written only when it is full."""
        finished: list[Segment] = []
        while self._segments:
            first = self._segments[0]
            is_delivered = (first.number, first.end) <= (self._done.segment, self._done.offset)
            is_written = len(self._segments) == 1 and self._writer is not None
            if not is_delivered or (is_written and first.end < self._segment_bytes):
                break
            if is_written and self._writer is not None:
                os.close(self._writer)
                self._writer, self._is_dirty, self._has_tail = None, False, False
            finished.append(self._segments.popleft())
        return finished


def _read(path: Path, start: int, end: int, max_records: int, max_bytes: int) -> list[tuple[bytes, int]]:
    """Up to so many records from `start` on, each with the offset behind it; at least one."""
    try:
        with path.open("rb") as file:
            file.seek(start)
            data = file.read(min(end - start, max(max_bytes, MAX_FRAME_BYTES)))
    except OSError as error:
        raise _not_recorded(error) from None
    found: list[tuple[bytes, int]] = []
    for frame in frames(data, 0):
        found.append((frame.record, start + frame.end))
        if len(found) == max_records:
            return found
    if not found:  # it was whole when it was counted, and enough was read for the longest
        raise SpoolDamaged(str(path), start)
    return found


def _first_micros(path: Path, start: int, end: int) -> int:
    try:
        with path.open("rb") as file:
            file.seek(start)
            data = file.read(min(end - start, MAX_FRAME_BYTES))
    except OSError as error:
        raise _not_recorded(error) from None
    first = next(frames(data, 0), None)
    if first is None:
        raise SpoolDamaged(str(path), start)
    return first.micros


def _not_recorded(why: OSError | str) -> Unavailable:
    """CI-1: what cannot be recorded is refused; the error names the sink. The system's own words stay here."""
    detail = why if isinstance(why, str) else "disk"
    if isinstance(why, OSError):
        _LOG.error("the spool cannot write or read: error %s", why.errno)
    return Unavailable(Reason.RECORD_UNAVAILABLE, retry_after=_RETRY_AFTER, sink="spool", detail=detail)
