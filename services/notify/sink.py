"""The gateway of the loopback demo: keeps the newest messages in memory, for this machine's command line to show.

Nothing is written anywhere; what it holds ends with the process.
"""

from __future__ import annotations

from collections import OrderedDict
from dataclasses import dataclass
from datetime import datetime

from infosec.clock import Clock
from infosec.secret import Secret
from services.notify.ports import Receipt

CAPACITY = 1_000


@dataclass(frozen=True, slots=True, kw_only=True)
class Kept:
    """A message as the phone would show it."""

    phone: Secret
    text: Secret
    at: datetime


class Sink:
    """Takes every message and says that it was delivered; the same ID twice is shown once."""

    def __init__(self, clock: Clock, *, capacity: int = CAPACITY) -> None:
        self._clock = clock
        self._capacity = capacity
        self._kept: OrderedDict[str, Kept] = OrderedDict()

    async def send(self, message_id: str, phone: Secret, text: Secret) -> Receipt:
        """See Gateway.send. Never refuses."""
        if message_id not in self._kept:
            self._kept[message_id] = Kept(phone=phone, text=text, at=self._clock.now())
            while len(self._kept) > self._capacity:
                self._kept.popitem(last=False)
        return Receipt.DELIVERED

    async def health(self) -> None:
        """Always there."""

    def newest(self, count: int, *, phone: Secret | None = None) -> tuple[Kept, ...]:
        """At most `count` messages, newest first; only those to `phone` if one is given."""
        found = (kept for kept in reversed(self._kept.values()) if phone is None or kept.phone == phone)
        return tuple(kept for kept, _ in zip(found, range(count), strict=False))
