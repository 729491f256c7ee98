"""`<FILE>.part`: what has arrived of an export. Framed, so that what a kill or a power cut left half written is cut away.

The frames are bytes of whoever writes them. Not evidence: only what is rendered from it, and then proved, is.
"""

from __future__ import annotations

import json
import os
import struct
import zlib
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import BinaryIO, Self

from infosec.errors import FailedPrecondition, Reason

MAGIC = b"infosec-export-part 1\n"
_FRAME = struct.Struct(">II")
MAX_FRAME = 64 << 20

Ask = Mapping[str, object]
"""What the export was asked for, as JSON; whoever goes on with it must ask for the same."""


class PartFile:
    """Appends frames and reads them again. One process at a time."""

    def __init__(self, path: Path, file: BinaryIO, ask: Ask) -> None:
        self.path = path
        self.ask = ask
        self._file = file

    @classmethod
    def begin(cls, path: Path, ask: Ask) -> Self:
        """A new one. Raises FileExistsError."""
        handle = os.open(path, os.O_RDWR | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC, 0o600)
        file = os.fdopen(handle, "r+b")
        made = cls(path, file, ask)
        file.write(MAGIC)
        made.append(json.dumps(dict(ask), ensure_ascii=False, sort_keys=True).encode())
        return made

    @classmethod
    def go_on(cls, path: Path) -> Self | None:
        """The one that is there, cut to its last whole frame; None if not even what was asked for is whole.

        Raises FileNotFoundError; FailedPrecondition for a file of another kind, which is left as it is.
        """
        file = path.open("r+b")
        try:
            head = file.read(len(MAGIC))
            if head != MAGIC:
                if MAGIC.startswith(head):
                    file.close()
                    return None
                raise FailedPrecondition(Reason.STATE_CONFLICT, detail="not a part file")
            end, ask = len(MAGIC), None
            for payload in _frames(file):
                if ask is None:
                    ask = json.loads(payload)
                end += _FRAME.size + len(payload)
            file.truncate(end)
            file.seek(end)
        except BaseException:
            file.close()
            raise
        if ask is None:
            file.close()
            return None
        return cls(path, file, ask)

    def append(self, payload: bytes) -> None:
        """Add a frame; it outlives this process once this returns."""
        self._file.write(_FRAME.pack(len(payload), zlib.crc32(payload)) + payload)
        self._file.flush()

    def frames(self) -> Iterator[bytes]:
        """All whole frames from the first one after what was asked for."""
        with self.path.open("rb") as file:
            file.seek(len(MAGIC))
            frames = _frames(file)
            next(frames, None)
            yield from frames

    def close(self) -> None:
        self._file.close()

    def remove(self) -> None:
        """It has been rendered."""
        self.close()
        self.path.unlink(missing_ok=True)


def _frames(file: BinaryIO) -> Iterator[bytes]:
    while len(head := file.read(_FRAME.size)) == _FRAME.size:
        length, crc = _FRAME.unpack(head)
        if length > MAX_FRAME:
            return
        payload = file.read(length)
        if len(payload) < length or zlib.crc32(payload) != crc:
            return
        yield payload
