"""Floods: the first of a second are let through, caller by caller, and the others are counted together (CI-1).

Knows neither what is counted nor where it goes.
"""

from __future__ import annotations

from dataclasses import dataclass, field, replace
from datetime import datetime
from typing import Generic, TypeVar

PER_SECOND = 10
"""CI-1: up to so many from one caller are an event each."""

T = TypeVar("T")


@dataclass(frozen=True, slots=True, kw_only=True)
class Counted(Generic[T]):
    """One thing that happened; or, with a count above one, many of one caller, of which `sample` is the first."""

    sample: T
    count: int = 1
    first: datetime
    last: datetime


@dataclass(slots=True)
class _Window(Generic[T]):
    opened_s: float
    seen: int = 0
    held: Counted[T] | None = None


@dataclass(slots=True)
class Coalescer(Generic[T]):
    """Lets the first of a second through, caller by caller, and counts the others together."""

    limit: int = PER_SECOND
    window_s: float = 1.0
    _windows: dict[str | None, _Window[T]] = field(default_factory=dict)

    def offer(self, caller: str | None, sample: T, *, now: datetime, at_s: float) -> list[Counted[T]]:
        """What to tell now: this one itself, a full count of the second before, both, or nothing."""
        out = []
        window = self._windows.get(caller)
        if window is None or at_s - window.opened_s >= self.window_s:
            if window is not None and window.held is not None:
                out.append(window.held)
            window = self._windows[caller] = _Window(opened_s=at_s)
        window.seen += 1
        if window.seen <= self.limit:
            out.append(Counted(sample=sample, first=now, last=now))
        elif window.held is None:
            window.held = Counted(sample=sample, first=now, last=now)
        else:
            window.held = replace(window.held, count=window.held.count + 1, last=now)
        return out

    def due(self, at_s: float) -> list[Counted[T]]:
        """Counts whose second is over; their callers are forgotten."""
        over = [caller for caller, window in self._windows.items() if at_s - window.opened_s >= self.window_s]
        closed = [self._windows.pop(caller) for caller in over]
        return [window.held for window in closed if window.held is not None]
