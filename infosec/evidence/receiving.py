"""The order in which the parts of an export may arrive, and where a broken one goes on.

A wrong part is refused before it is kept.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import NoReturn

from infosec.errors import Internal, Reason
from infosec.evidence.cells import Row
from infosec.evidence.parts import Gap, LogBegun, LogEnded, Part, Rows
from infosec.transparency.checkpoints import Checkpoint
from infosec.transparency.errors import NotVerified
from infosec.transparency.notes import parse_note


@dataclass(slots=True, kw_only=True)
class LogState:
    """One log of the export so far."""

    begun: LogBegun
    size: int
    next_index: int
    is_ended: bool = False
    entries: int = 0


@dataclass(slots=True)
class Receiving:
    """All logs so far. The same part may not come twice, but for the beginnings of logs when the export goes on."""

    logs: dict[str, LogState] = field(default_factory=dict)
    _current: str | None = None
    _is_passed_over: bool = False

    @property
    def entries(self) -> int:
        return sum(log.entries for log in self.logs.values())

    @property
    def expected(self) -> int:
        """How many entries there will be, as far as that was told; 0 where it was not."""
        return sum(log.begun.expected for log in self.logs.values())

    @property
    def is_between_logs(self) -> bool:
        """Every log that was begun has ended: the stream may end here, and nowhere else."""
        return all(log.is_ended for log in self.logs.values())

    def connected(self) -> None:
        """A new stream begins."""
        self._current, self._is_passed_over = None, False

    def accept(self, part: Part) -> bool:
        """Take a part in; False if it is already there and is not to be kept again. Raises Internal for what cannot be."""
        match part:
            case LogBegun():
                return self._begin(part)
            case Rows() if self._is_passed_over:
                return False
            case Rows():
                for row in part.rows:
                    self._row(row)
                return bool(part.rows)
            case LogEnded():
                return self._end(part)

    def _begin(self, part: LogBegun) -> bool:
        size = _size(part.checkpoint)
        if self._current is not None:
            _wrong("a log begins within another")
        if not 0 <= part.start <= part.end <= size:
            _wrong("a range beyond the checkpoint")
        self._current = part.log_id
        known = self.logs.get(part.log_id)
        if known is None:
            if not self.is_between_logs:
                # It came into being since the export began, and sorts before the log that broke off: not of this export.
                self._is_passed_over = True
                return False
            self.logs[part.log_id] = LogState(begun=part, size=size, next_index=part.start)
            return True
        if (part.start, part.end, size) != (known.begun.start, known.begun.end, known.size):
            _wrong("another range than before")
        if part.left != known.begun.left:
            _wrong("other hashes than before")
        return False

    def _row(self, row: Row | Gap) -> None:
        log = self._open_log()
        begin, end = (row.start, row.end) if isinstance(row, Gap) else (row.index, row.index + 1)
        if begin != log.next_index or end <= begin or end > log.begun.end:
            _wrong("an index out of order")
        log.next_index = end
        if not isinstance(row, Gap):
            log.entries += 1

    def _end(self, part: LogEnded) -> bool:
        if self._is_passed_over:
            self._current, self._is_passed_over = None, False
            return False
        log = self._open_log()
        if part.log_id != log.begun.log_id or log.next_index != log.begun.end:
            _wrong("a log that ends before its range does")
        self._current = None
        known, log.is_ended = log.is_ended, True
        return not known

    def _open_log(self) -> LogState:
        if self._current is None:
            _wrong("rows of no log")
        return self.logs[self._current]


def _size(note: bytes) -> int:
    try:
        return Checkpoint.parse(parse_note(note).text).size
    except NotVerified:
        _wrong("no checkpoint")


def _wrong(detail: str) -> NoReturn:
    raise Internal(Reason.INTERNAL, detail=f"export stream: {detail}")
