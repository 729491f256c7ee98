"""Runs a process's one event loop, on uvloop where it is installed."""

from __future__ import annotations

import asyncio
import gc
import importlib.util
from collections.abc import Coroutine
from typing import Any, TypeVar

T = TypeVar("T")
_COLLECT_AFTER = 20_000
"""New objects that may be in cycles. By itself Python looks after 700, and a batch of 500 events makes many times that."""


def run(main: Coroutine[Any, Any, T]) -> T:
    """Run `main` to its end, and answer what it answers."""
    gc.freeze()  # what is imported stays: there is no need to look through it ever again
    gc.set_threshold(_COLLECT_AFTER)
    if importlib.util.find_spec("uvloop") is None:
        return asyncio.run(main)
    import uvloop

    with asyncio.Runner(loop_factory=uvloop.new_event_loop) as runner:
        return runner.run(main)
