"""Telling nodes, this one included, that regions have new revisions. What is told may be lost: every node polls the truth.

What takes something away is told at once. What only adds (a session that began) is told together with its like: whoever
is shown its token before that waits for the token's revision, and reads the truth at once (design, section 6).
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Mapping

from infosec.cancellation import raise_if_cancelled
from infosec.ids import RegionId
from infosec.storage.redis import Hint, Hints

_TOGETHER_S = 0.1
"""Well under the time that a Guard, which cannot ask, waits for a token's revision."""


class Announcer:
    """`at_once` is an authsvc.work.Announce; `soon` needs `run()` to be running."""

    def __init__(self, here: Callable[[], None], hints: Hints | None) -> None:
        """`here` has this process read; `hints` reach the others, where there is a Redis."""
        self._here = here
        self._hints = hints
        self._told: dict[RegionId, int] = {}
        self._waiting: dict[RegionId, int] = {}
        self._any = asyncio.Event()

    async def at_once(self, revisions: Mapping[RegionId, int]) -> None:
        """Never raises, and never waits long."""
        _raise_to(self._told, revisions)
        self._here()
        if self._hints is not None:
            hints = (Hint(region=region, number=n, kind="", entity_id="") for region, n in revisions.items())
            await self._hints.publish(*hints)

    def soon(self, revisions: Mapping[RegionId, int]) -> None:
        """Within `_TOGETHER_S`, together with what comes in the meantime; the newest number stands for all."""
        _raise_to(self._waiting, revisions)
        self._any.set()

    def heard(self, hint: Hint | None) -> None:
        """What came from Redis: news to this process, unless it was told of as much already. Our own come back too."""
        if hint is None or hint.number > self._told.get(hint.region, -1):
            self._here()

    async def run(self) -> None:
        """Tell for ever."""
        while True:
            raise_if_cancelled()
            await self._any.wait()
            self._any.clear()
            told, self._waiting = self._waiting, {}
            await self.at_once(told)
            await asyncio.sleep(_TOGETHER_S)


def _raise_to(numbers: dict[RegionId, int], revisions: Mapping[RegionId, int]) -> None:
    for region, number in revisions.items():
        numbers[region] = max(number, numbers.get(region, 0))
