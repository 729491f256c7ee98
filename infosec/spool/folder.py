"""A spool's directory: who holds it, which files stand in it, how far was delivered, and what a dead process left.

Knows the files, not the queue.
"""

from __future__ import annotations

import fcntl
import os
import struct
import time
import zlib
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from infosec.errors import Misconfigured, Reason
from infosec.private_files import private_directory
from infosec.spool.frames import MAGIC, SpoolDamaged, frames, is_torn

SEGMENT_SUFFIX = ".segment"
DELIVERED = "delivered"
REFUSED = "refused"
_PLACE = struct.Struct(">QQ")
_LOCK_TRIES = 10
_LOCK_WAIT_S = 0.02
"""Between tries: somebody who only looks for orphans holds the lock for a moment."""


@dataclass(slots=True)
class Segment:
    """One file of frames. Its end moves while it is the one that is written."""

    number: int
    path: Path
    end: int
    """Offset behind the last whole frame."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Found:
    """What stood in a directory, with torn tails cut and delivered files removed."""

    segments: list[Segment]
    segment: int
    """Where what is undelivered begins: the number of a segment, ..."""
    offset: int
    """... and an offset in it."""
    records: int
    size: int
    next_number: int
    """Never used before, by what the directory can tell."""
    refused: int
    refused_end: int
    """How many records were set aside, and where the next goes."""


def take(directory: Path) -> int:
    """Make the directory if need be, and lock it: the handle that holds the lock, until it is closed or the process ends.

    Raises Misconfigured: ALREADY_RUNNING where another holds it, CONFIGURATION where others may enter the directory.
    """
    for _ in range(_LOCK_TRIES):
        private_directory(directory)
        handle = os.open(directory, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
        # Who held it may have removed it: then the lock is on a directory that is not there any more.
        if _is_locked(handle, fcntl.LOCK_EX) and is_still(directory, handle):
            return handle
        os.close(handle)
        time.sleep(_LOCK_WAIT_S)
    raise Misconfigured(Reason.ALREADY_RUNNING, key="spool", path=str(directory), detail="another process writes here")


def orphans(parent: Path) -> list[Path]:
    """The spools in directories under `parent` that no living process holds, for a starting process to open and deliver."""
    if not parent.is_dir():
        return []
    found = [path for path in sorted(parent.iterdir()) if path.is_dir() and not path.is_symlink()]
    return [path for path in found if _is_spool(path) and not _is_held(path)]


def is_still(path: Path, handle: int) -> bool:
    """Whether what we hold is what stands there. Raises OSError where that cannot be told."""
    try:
        return os.path.samestat(path.stat(), os.fstat(handle))
    except (FileNotFoundError, NotADirectoryError):
        return False


def segment_path(directory: Path, number: int) -> Path:
    return directory / f"{number:016d}{SEGMENT_SUFFIX}"


def recover(directory: Path) -> Found:
    """Look through all that is undelivered. Raises SpoolDamaged for anything but the torn tail of the newest file."""
    at_segment, at_offset = _read_place(directory)
    # What is not named by a number is nothing of ours: it stays as it is.
    numbers = sorted(int(p.stem) for p in directory.glob("*" + SEGMENT_SUFFIX) if p.stem.isdecimal())
    kept: list[Segment] = []
    records = size = 0
    for number in numbers:
        path = segment_path(directory, number)
        if number < at_segment:
            path.unlink()
            continue
        start = max(at_offset if number == at_segment else 0, len(MAGIC))
        count, end = _whole(path, start, may_be_torn=number == numbers[-1])
        if count == 0:
            path.unlink()
            continue
        kept.append(Segment(number, path, end))
        records, size = records + count, size + end - start
    if kept:
        # What a killed process put is in the system's memory: on the disk before a newer file exists.
        _sync(kept[-1].path)
    if not kept or kept[0].number != at_segment:
        at_segment, at_offset = (kept[0].number if kept else at_segment), len(MAGIC)
    refused = directory / REFUSED
    aside, aside_end = _whole(refused, len(MAGIC), may_be_torn=True) if refused.exists() else (0, 0)
    return Found(
        segments=kept,
        segment=at_segment,
        offset=max(at_offset, len(MAGIC)),
        records=records,
        size=size,
        next_number=max([*numbers, at_segment]) + 1,
        refused=aside,
        refused_end=aside_end,
    )


def write_place(directory: Path, segment: int, offset: int) -> None:
    """Remember how far was delivered: the old place or the new one, never a mixture. Not synced: lost is delivered again."""
    place = _PLACE.pack(segment, offset)
    draft = directory / f".{DELIVERED}"
    draft.write_bytes(place + zlib.crc32(place).to_bytes(4))
    draft.replace(directory / DELIVERED)


def clear(directory: Path) -> None:
    """Remove the directory with all that is a spool's own. Raises OSError where anything else stands in it."""
    for path in directory.glob("*" + SEGMENT_SUFFIX):
        path.unlink()
    for name in (DELIVERED, f".{DELIVERED}", REFUSED):
        (directory / name).unlink(missing_ok=True)
    directory.rmdir()


def append_refused(directory: Path, data: bytes, end: int) -> int:
    """Keep what the receiver will never take; on the disk when it returns with the new end. Raises OSError."""
    handle = os.open(directory / REFUSED, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
    try:
        os.ftruncate(handle, end)
        data = data if end else MAGIC + data
        if os.pwrite(handle, data, end) != len(data):
            raise OSError("short write")
        os.fsync(handle)
    finally:
        os.close(handle)
    return end + len(data)


def read_refused(directory: Path) -> Sequence[bytes]:
    """Every record that was set aside, in order. Raises SpoolDamaged."""
    path = directory / REFUSED
    if not path.exists():
        return []
    data = path.read_bytes()
    found = list(frames(data, len(MAGIC)))
    end = found[-1].end if found else len(MAGIC)
    if end < len(data) and not is_torn(data, end):
        raise SpoolDamaged(str(path), end)
    return [frame.record for frame in found]


def _whole(path: Path, start: int, *, may_be_torn: bool) -> tuple[int, int]:
    """How many whole frames stand from `start` on, and where the last ends. Cuts a torn tail off, for good."""
    data = path.read_bytes()
    if data[: len(MAGIC)] != MAGIC:
        if may_be_torn and (len(data) < len(MAGIC) or not data.strip(b"\0")):
            return 0, 0
        raise SpoolDamaged(str(path), 0)
    count, end = 0, min(start, len(data))
    for frame in frames(data, end):
        count, end = count + 1, frame.end
    if end == len(data):
        return count, end
    if not may_be_torn or not is_torn(data, end):
        raise SpoolDamaged(str(path), end)
    # Before a newer file exists: only the newest may have a torn tail, and the power must not bring this one back.
    os.truncate(path, end)
    _sync(path)
    return count, end


def _sync(path: Path) -> None:
    handle = os.open(path, os.O_RDWR | os.O_CLOEXEC)
    try:
        os.fsync(handle)
    finally:
        os.close(handle)


def _read_place(directory: Path) -> tuple[int, int]:
    """(0, 0) where none can be read: everything that is still there is then delivered again."""
    try:
        data = (directory / DELIVERED).read_bytes()
    except FileNotFoundError:
        return 0, 0
    place = data[: _PLACE.size]
    if len(data) != _PLACE.size + 4 or zlib.crc32(place).to_bytes(4) != data[_PLACE.size :]:
        return 0, 0
    segment, offset = _PLACE.unpack(place)
    return segment, offset


def _is_spool(path: Path) -> bool:
    try:
        return any(file.name == DELIVERED or file.suffix == SEGMENT_SUFFIX for file in path.iterdir())
    except OSError:
        return False  # another account's, or gone in this moment: not ours to adopt


def _is_held(path: Path) -> bool:
    try:
        handle = os.open(path, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
    except OSError:
        return True
    try:
        return not _is_locked(handle, fcntl.LOCK_SH)
    finally:
        os.close(handle)


def _is_locked(handle: int, how: int) -> bool:
    """Whether we have the lock now."""
    try:
        fcntl.flock(handle, how | fcntl.LOCK_NB)
    except BlockingIOError:
        return False
    return True
