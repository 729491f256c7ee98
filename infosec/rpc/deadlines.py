"""How long a call may take: what a client asks for, and what a server grants at most. Knows no method."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import timedelta

DEFAULT_CALL_S = 10.0
SLOW_CALL_S = 30.0
"""For calls that hash passwords or wait for a gateway."""
LONG_CALL_S = 600.0
"""For an import of thousands of rows."""


@dataclass(frozen=True, slots=True, kw_only=True)
class ServerDeadlines:
    """The longest that a server works on one call, whatever the caller asked for."""

    unary_s: float = 30.0
    stream_s: float = 3600.0

    def granted_s(self, *, is_stream: bool, asked_s: float | None) -> float | None:
        """Seconds after which the server itself ends the call; None where the caller's own deadline is sooner."""
        most = self.stream_s if is_stream else self.unary_s
        return None if asked_s is not None and asked_s <= most else most


@dataclass(frozen=True, slots=True, kw_only=True)
class Backoff:
    """Waits between attempts of a call that may be repeated: exponential, capped, with full jitter above half."""

    attempts: int = 4
    first: timedelta = timedelta(milliseconds=100)
    longest: timedelta = timedelta(seconds=3)

    def wait_s(self, attempt: int, *, told: timedelta | None, jitter: float) -> float:
        """Seconds before attempt number `attempt` + 1; never sooner than the server `told`. `jitter` is in 0..1."""
        grown = min(self.first * (1 << (attempt - 1)), self.longest).total_seconds()
        spread = grown * (0.5 + 0.5 * jitter)
        return spread if told is None else told.total_seconds() + spread
