"""The journal of erasures, a file outside the database: a restored backup must not bring back who was erased (CI-8).

`<data_dir>/audit/erasures.journal`, of mode 0600: a line of JSON for each erasure, on the disk before its rows are gone from
the database. Only ever added to. Must not go into the same backup as the database. Processes on one data directory share it.
"""

from __future__ import annotations

import json
import os
from collections.abc import Iterable, Mapping, Set
from dataclasses import dataclass
from datetime import datetime, timedelta
from pathlib import Path
from typing import Any
from uuid import UUID

from infosec.errors import Misconfigured, Reason
from infosec.private_files import locked, private_directory, read_private

FILE = "erasures.journal"
_PATIENCE_S = 3.0
"""For another process that has it locked, and writes a line."""
_MAX_BYTES = 1 << 30
_ERASED, _KEPT = "erased", "kept"


@dataclass(frozen=True, slots=True, kw_only=True)
class Erasure:
    """Subjects that an act erased."""

    act_id: UUID
    subject_ids: tuple[UUID, ...]
    at: datetime


@dataclass(frozen=True, slots=True, kw_only=True)
class Settled:
    """What the journal says when it is read from its first line to its last."""

    erased: Mapping[UUID, Erasure]
    """By act, in order, but for what was taken back."""
    taken_back: Set[tuple[UUID, datetime]]
    """Acts, each with the moment of its erasure."""

    def next_of(self, act_id: UUID, subject_ids: tuple[UUID, ...], decided_at: datetime) -> Erasure:
        """The erasure by which an act is to be noted, or taken back, now: the same at every try of it.

        It is told by the moment of the decision; each time that it was taken back moves it on by a microsecond, so that an act
        which is carried out after all is not taken for what a process that was held up notes.
        """
        at = decided_at
        while (act_id, at) in self.taken_back:
            at += timedelta(microseconds=1)
        return Erasure(act_id=act_id, subject_ids=subject_ids, at=at)


class ErasureJournal:
    """The file. Its methods block, shortly; they raise OSError where the disk refuses, or another process keeps it locked."""

    def __init__(self, directory: Path) -> None:
        """Raises Misconfigured when others may enter the directory."""
        self.path = private_directory(directory) / FILE

    def read(self) -> list[Erasure]:
        """Every erasure that was not taken back, in order. Raises as `settled`."""
        return list(self.settled().erased.values())

    def length(self) -> int:
        """Bytes: whoever has read it need not read it again while these are as many."""
        return self.path.stat().st_size if self.path.exists() else 0

    def settled(self) -> Settled:
        """All of it. Raises Misconfigured for a file that is not whole.

        A last line without its end was never acted upon. What was taken back stays so, also where a process that was held
        up notes it afterwards; the same act of another moment is another erasure.
        """
        found: dict[UUID, Erasure] = {}
        taken_back: set[tuple[UUID, datetime]] = set()
        for number, line in enumerate(self._lines(), 1):
            try:
                word, erasure = _parsed(json.loads(line))
            except (ValueError, KeyError, TypeError, AttributeError):
                raise self._broken(number) from None
            if word == _KEPT:
                found.pop(erasure.act_id, None)
                taken_back.add((erasure.act_id, erasure.at))
            elif (erasure.act_id, erasure.at) not in taken_back:
                found[erasure.act_id] = erasure
        return Settled(erased=found, taken_back=taken_back)

    def add(self, erasure: Erasure) -> None:
        """Note what is about to be erased. On the disk when this returns."""
        self._append(_ERASED, erasure)

    def take_back(self, erasure: Erasure) -> None:
        """It did not happen, because a hold came between, whether it was noted or is yet to be."""
        self._append(_KEPT, erasure)

    def _append(self, word: str, erasure: Erasure) -> None:
        line = {
            "v": 1,
            "what": word,
            "act": str(erasure.act_id),
            "subjects": [str(one) for one in erasure.subject_ids],
            "at": erasure.at.isoformat(),
        }
        with locked(self.path.parent, within_s=_PATIENCE_S):
            handle = os.open(self.path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
            try:
                os.ftruncate(handle, _whole_lines(handle))
                os.lseek(handle, 0, os.SEEK_END)
                _write_all(handle, json.dumps(line, sort_keys=True).encode() + b"\n")
                os.fsync(handle)
            finally:
                os.close(handle)
            _sync(self.path.parent)

    def _lines(self) -> Iterable[bytes]:
        if not self.path.exists():
            return ()
        with locked(self.path.parent, within_s=_PATIENCE_S):
            *whole, _torn = read_private(self.path, max_bytes=_MAX_BYTES).split(b"\n")
        return whole

    def _broken(self, number: int) -> Misconfigured:
        return Misconfigured(
            Reason.CONFIGURATION,
            path=str(self.path),
            detail=f"line {number} is not an erasure",
            hint="bring back a copy of it: without it a restored database shows who was erased",
        )


def _parsed(line: Any) -> tuple[str, Erasure]:
    if line["v"] != 1 or line["what"] not in (_ERASED, _KEPT):
        raise ValueError("not a line of ours")
    at = datetime.fromisoformat(line["at"])
    subjects = tuple(UUID(one) for one in line["subjects"])
    return line["what"], Erasure(act_id=UUID(line["act"]), subject_ids=subjects, at=at)


def _whole_lines(handle: int) -> int:
    """Where the last whole line ends: what a crash left behind it was never acted upon."""
    end = os.fstat(handle).st_size
    while end:
        start = max(0, end - 4096)
        found = os.pread(handle, end - start, start).rfind(b"\n")
        if found >= 0:
            return start + found + 1
        end = start
    return 0


def _write_all(handle: int, data: bytes) -> None:
    while data:
        data = data[os.write(handle, data) :]


def _sync(directory: Path) -> None:
    handle = os.open(directory, os.O_RDONLY | os.O_DIRECTORY)
    try:
        os.fsync(handle)
    finally:
        os.close(handle)
