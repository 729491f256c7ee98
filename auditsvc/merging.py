"""Several logs read as one, in the order of places. Knows nothing of what is merged but its place."""

from __future__ import annotations

from collections.abc import AsyncGenerator, Sequence
from contextlib import AsyncExitStack, aclosing
from typing import TypeVar

from auditsvc.paging import Place

T = TypeVar("T")
Placed = tuple[Place, T]


async def merged(
    sources: Sequence[AsyncGenerator[Placed[T], None]], *, newest_first: bool
) -> AsyncGenerator[Placed[T], None]:
    """What the sources give, each of them in order already. One thing of each is held, and no more is read than is taken."""
    first = max if newest_first else min
    async with AsyncExitStack() as stack:
        waiting: list[tuple[Placed[T], AsyncGenerator[Placed[T], None]]] = []
        for source in sources:
            await stack.enter_async_context(aclosing(source))
            if (head := await anext(source, None)) is not None:
                waiting.append((head, source))
        while waiting:
            at = first(range(len(waiting)), key=lambda number: waiting[number][0][0])
            given, source = waiting.pop(at)
            yield given
            if (head := await anext(source, None)) is not None:
                waiting.append((head, source))
