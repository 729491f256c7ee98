"""How records stand in a spool's file: a header with its own checksum, then the record; and where such a file breaks off.

A frame is: length (4), when (8, microseconds since 1970), CRC-32 of the record (4), CRC-32 of those 16 bytes (4), record.
The header's checksum makes its length sure: a frame that the file is too short for is a write that was cut off, and
anything else that does not add up is damage. Knows no file.
"""

from __future__ import annotations

import struct
import zlib
from collections.abc import Iterator
from typing import NamedTuple

from infosec.errors import Internal, InvalidInput, Reason

MAGIC = b"infosec spool 1\n"
"""What every file of frames begins with."""
MAX_RECORD_BYTES = 256 * 1024
HEADER_BYTES = 20
MAX_FRAME_BYTES = HEADER_BYTES + MAX_RECORD_BYTES
_HEAD = struct.Struct(">IQI")
_WHOLE_HEAD = struct.Struct(">IQII")
_SECTOR_BYTES = 512


class SpoolDamaged(Internal):
    """Bytes that were whole once are not any more. `details` name the file and the offset; nothing was skipped."""

    def __init__(self, file: str, offset: int) -> None:
        super().__init__(
            Reason.INTERNAL,
            sink="spool",
            file=file,
            offset=str(offset),
            detail="a record in the spool is damaged",
            hint="keep the file as evidence, take it out of the directory, and start again",
        )


class Frame(NamedTuple):
    """One record as it was read."""

    micros: int
    """When it was put, microseconds since 1970."""
    record: bytes
    end: int
    """Offset behind it."""


def framed(record: bytes, micros: int) -> bytes:
    """The record as it is written. Raises InvalidInput for one that is too long."""
    if len(record) > MAX_RECORD_BYTES:
        raise InvalidInput(Reason.INVALID_ARGUMENT, field="record", detail=f"at most {MAX_RECORD_BYTES} bytes")
    head = _HEAD.pack(len(record), micros, zlib.crc32(record))
    return b"".join((head, zlib.crc32(head).to_bytes(4), record))


def frames(data: bytes, at: int) -> Iterator[Frame]:
    """The whole frames from `at` on; ends before the first that is not whole, whatever is wrong with it."""
    while (frame := _frame(data, at)) is not None:
        yield frame
        at = frame.end


def is_torn(data: bytes, at: int) -> bool:
    """Whether what stands at `at`, where no whole frame does, is the tail of a write that never ended.

    True where the data ends within the frame (the process died, or the disk was full), and where from a sector of it on
    there are zeros alone (the power went: the length was on the disk, the bytes were not). Whole frames may not follow.
    """
    end = _end(data, at)
    if len(data) < (at + HEADER_BYTES if end is None else end):
        return True
    written = max(at, len(data.rstrip(b"\0")))
    missing_from = at if written == at else -(-written // _SECTOR_BYTES) * _SECTOR_BYTES
    return missing_from < len(data) and missing_from < (at + HEADER_BYTES if end is None else end)


def _end(data: bytes, at: int) -> int | None:
    """Where the frame at `at` ends, by a header that is whole."""
    if len(data) - at < HEADER_BYTES:
        return None
    length, _micros, _crc, head_crc = _WHOLE_HEAD.unpack_from(data, at)
    if zlib.crc32(data[at : at + _HEAD.size]) != head_crc or length > MAX_RECORD_BYTES:
        return None
    return at + HEADER_BYTES + int(length)


def _frame(data: bytes, at: int) -> Frame | None:
    end = _end(data, at)
    if end is None or end > len(data):
        return None
    _length, micros, crc, _head_crc = _WHOLE_HEAD.unpack_from(data, at)
    record = data[at + HEADER_BYTES : end]
    return Frame(micros, record, end) if zlib.crc32(record) == crc else None
