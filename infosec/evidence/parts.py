"""An export as it arrives, as plain values. Knows no wire: whoever receives it makes these."""

from __future__ import annotations

from dataclasses import dataclass

from infosec.evidence.cells import Row


@dataclass(frozen=True, slots=True, kw_only=True)
class LogBegun:
    """The range [start, end) of a log, and what its proof starts with."""

    log_id: str
    start: int
    end: int
    checkpoint: bytes
    """The C2SP signed note, unverified."""
    left: tuple[bytes, ...]
    """Roots of the perfect subtrees left of `start`, from the largest."""
    expected: int = 0
    """How many entries match, where that is known beforehand."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Gap:
    """Entries [start, end) that do not match: the roots of the perfect subtrees that cover them."""

    start: int
    end: int
    hashes: tuple[bytes, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class Rows:
    """Entries and gaps, in order."""

    rows: tuple[Row | Gap, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class LogEnded:
    """Ends a log: roots of the perfect subtrees right of its range, from the smallest."""

    log_id: str
    right: tuple[bytes, ...]


Part = LogBegun | Rows | LogEnded
