"""What is asked for at about the same time, done by one call: a message to PostgreSQL, and a commit, for many."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Sequence
from typing import Generic, TypeVar

_In = TypeVar("_In")
_Out = TypeVar("_Out")

_MOST = 32
"""One more begins the next group."""


class Groups(Generic[_In, _Out]):
    """Collects for `pause_s()`, nothing when that is nought, and hands the group to `act`; groups do not wait for one another.

    What `act` raises is raised to the whole group. `dropped` is told of what was done for somebody who has gone meanwhile.
    """

    def __init__(
        self,
        act: Callable[[Sequence[_In]], Awaitable[Sequence[_Out]]],
        *,
        pause_s: Callable[[], float],
        dropped: Callable[[_In], None] = lambda _: None,
    ) -> None:
        self._act = act
        self._pause_s = pause_s
        self._dropped = dropped
        self._waiting: list[tuple[_In, asyncio.Future[_Out]]] = []
        self._under_way: set[asyncio.Task[None]] = set()

    async def one(self, wanted: _In) -> _Out:
        """The answer to one of a group. Whoever is cancelled before the group goes is not in it."""
        if not self._waiting or len(self._waiting) >= _MOST:
            self._waiting = []
            task = asyncio.create_task(self._go(self._waiting))
            self._under_way.add(task)
            task.add_done_callback(self._under_way.discard)
        answer: asyncio.Future[_Out] = asyncio.get_running_loop().create_future()
        self._waiting.append((wanted, answer))
        try:
            return await answer
        except asyncio.CancelledError:
            # The answer and the cancelling may come in one turn of the loop: it was then given to somebody who has gone.
            if not answer.cancelled():
                answer.exception()  # or it is logged as never heard
                self._dropped(wanted)
            raise

    async def drain(self) -> None:
        """Wait for what is under way."""
        while self._under_way:
            await asyncio.gather(*self._under_way, return_exceptions=True)

    async def _go(self, collected: list[tuple[_In, asyncio.Future[_Out]]]) -> None:
        await asyncio.sleep(self._pause_s())
        if self._waiting is collected:
            self._waiting = []
        group = [(wanted, answer) for wanted, answer in collected if not answer.done()]
        if not group:
            return
        try:
            answers = await self._act([wanted for wanted, _ in group])
        except Exception as error:
            for wanted, answer in group:
                if answer.done():
                    self._dropped(wanted)
                else:
                    answer.set_exception(error)
            return
        for (wanted, answer), given in zip(group, answers, strict=True):
            if answer.done():
                self._dropped(wanted)
            else:
                answer.set_result(given)
