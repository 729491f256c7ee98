"""Every threshold of the odd patterns (CI-7) as one frozen, typed, named set of values, each with its reason."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import time, timedelta


@dataclass(frozen=True, slots=True, kw_only=True)
class ReviewProfile:
    """The values in force. What is allowed is not odd: a pattern begins with one more, or one moment sooner."""

    name: str = "telecom-hall"

    burst: timedelta = timedelta(hours=1)
    """The window in which things are counted; odd things of one kind within it are one pattern."""
    settling: timedelta = timedelta(minutes=10)
    """How long an entry waits for what may come late: a withdrawal, a visit that a queue machine tells afterwards."""

    # MANY_LOOKUPS
    lookups_an_hour: int = 60
    """One a minute for a whole hour. Serving a customer takes five minutes and two or three looks: half of that."""

    # OUT_OF_HOURS
    night_begins: time = time(22, 0)
    night_ends: time = time(7, 0)
    """Carrier time. No hall is open then, and who may act at any hour has no customer before them."""
    reads_at_night: int = 0
    denials_out_of_hours: int = 2
    """A clerk who is late for closing tries once, and once more."""

    # OUT_OF_STORE
    denials_out_of_store: int = 2
    """A wrong terminal is found out at the first answer."""
    between_stores: timedelta = timedelta(minutes=30)
    """As for logins (ID-10): between two halls lies a way."""

    # NO_VISIT
    visit_life: timedelta = timedelta(hours=2)
    """A customer who took a number is served within it."""
    reads_without_visit: int = 0

    # MANY_CODES
    codes_an_hour: int = 20
    """One terminal serves a dozen customers an hour at most, and not each of them needs a code."""

    # FAST_CODE
    code_takes: timedelta = timedelta(seconds=10)
    """An SMS arrives, is read out and is typed: nobody is faster who does not hold the phone."""

    # SOON_REVERSED
    reversal: timedelta = timedelta(minutes=30)
    """A slip is reversed in front of the customer too; so this one asks for a look, and says nothing more."""

    @property
    def lookback(self) -> timedelta:
        """How long before a period the entries are needed that explain it."""
        return max(self.burst, self.between_stores, self.visit_life, self.code_takes, self.reversal) + self.settling

    def is_night(self, hour: time) -> bool:
        """Whether carrier time `hour` is in the night, which may pass midnight."""
        if self.night_begins <= self.night_ends:
            return self.night_begins <= hour < self.night_ends
        return hour >= self.night_begins or hour < self.night_ends


TELECOM_HALL = ReviewProfile()
