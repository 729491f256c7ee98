"""Turns within one process: attempts on one key wait here, holding nothing, rather than at the database (ID-5).

Only spares work; what makes attempts follow one another on all nodes is the place in PostgreSQL.
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import dataclass, field
from datetime import timedelta

from infosec.errors import Reason, ResourceExhausted

_RETRY = timedelta(seconds=2)


@dataclass(slots=True)
class _Turn:
    lock: asyncio.Lock = field(default_factory=asyncio.Lock)
    interested: int = 0


class Turns:
    """One turn per key at a time; at most `max_waiting` wait for it."""

    def __init__(self, *, max_waiting: int = 256) -> None:
        self._max = max_waiting
        self._turns: dict[str, _Turn] = {}

    @asynccontextmanager
    async def of(self, *keys: str) -> AsyncIterator[None]:
        """Hold the turn of every key. Raises ResourceExhausted(OVERLOADED) at once where too many wait."""
        async with AsyncExitStack() as stack:
            # In one order, so that nobody waits in a circle; terminals ("t:") before staff IDs ("s:"), so that a crowd from
            # one terminal stands in line there, and at most one of it before the person whom it tries (ID-11).
            for key in sorted(keys, reverse=True):
                await stack.enter_async_context(self._of_one(key))
            yield

    @asynccontextmanager
    async def _of_one(self, key: str) -> AsyncIterator[None]:
        turn = self._turns.setdefault(key, _Turn())
        if turn.interested > self._max:
            raise ResourceExhausted(Reason.OVERLOADED, retry_after=_RETRY)
        turn.interested += 1
        try:
            async with turn.lock:
                yield
        finally:
            turn.interested -= 1
            if not turn.interested:
                self._turns.pop(key, None)

    def __len__(self) -> int:
        return len(self._turns)
